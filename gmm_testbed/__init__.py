"""gmm_testbed: diffusion posterior samplers against the truth, on Gaussian mixtures."""

from . import approximations as approximations
from . import kernels as kernels
from ._checks import InputError as InputError
from ._checks import UnsupportedError as UnsupportedError
from .kernels import GuidedField as GuidedField
from .kernels import Transition as Transition
from .measurements import Linear as Linear
from .measurements import Nonlinear as Nonlinear
from .measurements import blur as blur
from .measurements import downsampling as downsampling
from .measurements import inpainting as inpainting
from .measurements import random_projection as random_projection
from .mixture import GaussianMixture as GaussianMixture
from .paths import OU as OU
from .paths import VE as VE
from .paths import VP as VP
from .paths import AbstractPath as AbstractPath
from .paths import CosineVP as CosineVP
from .paths import Rectified as Rectified
from .problem import InverseProblem as InverseProblem
from .problem import Target as Target
from .sampling import Guided as Guided
from .sampling import SampleSet as SampleSet
from .sampling import sample as sample
from .tabulated_path import TabulatedPath as TabulatedPath
from .time_grids import time_grid as time_grid
