"""Gaussian transitions from time t to s < t, for any field: one family a file."""

from .base import AbstractKernel as AbstractKernel
from .base import GuidedField as GuidedField
from .ddim import DDIM as DDIM
from .ddpm import DDPM as DDPM
from .euler import EulerMaruyama as EulerMaruyama
from .euler import ProbabilityFlow as ProbabilityFlow
from .exponential import ExponentialIntegrator as ExponentialIntegrator
from .heun import Heun as Heun
from .heun_time import HeunInTime as HeunInTime
from .reverse_sde import ReverseSDE as ReverseSDE
from .selected import Selected as Selected

CATALOGUE = {
    "DDPM": DDPM,
    "DDIM": DDIM,
    "EulerMaruyama": EulerMaruyama,
    "ProbabilityFlow": ProbabilityFlow,
    "Heun": Heun,
    "ExponentialIntegrator": ExponentialIntegrator,
    "HeunInTime": HeunInTime,
    "ReverseSDE": ReverseSDE,
}
