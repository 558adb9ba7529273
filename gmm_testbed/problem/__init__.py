"""Inverse problems: measurements, the exact likelihood, and what a method sees."""

from .inverse import InverseProblem as InverseProblem
from .measurements import AbstractMeasurement as AbstractMeasurement
from .measurements import Linear as Linear
from .measurements import Nonlinear as Nonlinear
from .measurements import blur as blur
from .measurements import downsampling as downsampling
from .measurements import inpainting as inpainting
from .measurements import random_projection as random_projection
from .target import Target as Target
