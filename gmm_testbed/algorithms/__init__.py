"""Samplers that are not approximation times kernel: one a file, `_template.py` to start."""

from .base import AbstractAlgorithm as AbstractAlgorithm
from .daps import DAPS as DAPS
from .jump import Jump as Jump
from .split_gibbs import SplitGibbs as SplitGibbs

CATALOGUE = {
    "DAPS": DAPS,
    "Jump": Jump,
    "SplitGibbs": SplitGibbs,
}
