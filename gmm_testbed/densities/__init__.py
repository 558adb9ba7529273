"""Laws known on a grid, on a line or in a plane."""

from .base import AbstractDensity as AbstractDensity
from .line import LineDensity as LineDensity
from .line_mixture import mixture_cdf as mixture_cdf
from .line_mixture import mixture_quantile as mixture_quantile
from .line_mixture import mixture_survival as mixture_survival
from .plane import PlaneDensity as PlaneDensity
