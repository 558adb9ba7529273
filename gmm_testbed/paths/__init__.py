"""Noising paths, in closed form or tabulated, and grids of times."""

from .analytic import OU as OU
from .analytic import VE as VE
from .analytic import VP as VP
from .analytic import AbstractPath as AbstractPath
from .analytic import CosineVP as CosineVP
from .analytic import Rectified as Rectified
from .tabulated import TabulatedPath as TabulatedPath
