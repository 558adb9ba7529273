"""A sampler on somebody's own data: `diagnose`, against the finite-sample posterior."""

from .judge import Diagnosis as Diagnosis
from .judge import diagnose as diagnose
