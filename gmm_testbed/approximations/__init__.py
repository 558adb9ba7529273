"""Approximations of E[x0 | x_t, y]: one a file, `_template.py` to start from."""

from .base import AbstractApproximation as AbstractApproximation
from .base import AbstractCorrection as AbstractCorrection
from .base import log_twist as log_twist
from .ddnm import DDNM as DDNM
from .diffpir import DiffPIR as DiffPIR
from .dps import DPS as DPS
from .exact import Exact as Exact
from .mpgd import MPGD as MPGD
from .pigdm import PiGDM as PiGDM
from .tmpd import TMPD as TMPD
from .unguided import Unguided as Unguided
from .zeta_dps import ZetaDPS as ZetaDPS

CATALOGUE = {
    "Exact": Exact,
    "Unguided": Unguided,
    "DPS": DPS,
    "ZetaDPS": ZetaDPS,
    "PiGDM": PiGDM,
    "TMPD": TMPD,
    "DDNM": DDNM,
    "DiffPIR": DiffPIR,
    "MPGD": MPGD,
}
