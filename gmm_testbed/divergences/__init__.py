"""Divergences between laws: closed forms, and quadrature for laws known on a grid."""

from . import closed_form as closed_form
from .expectation import line_expectation as line_expectation
from .expectation import line_rule as line_rule
from .line import LineDensity as LineDensity
from .line_mixture import mixture_cdf as mixture_cdf
from .line_mixture import mixture_quantile as mixture_quantile
from .line_mixture import mixture_survival as mixture_survival
from .line_transport import w1 as w1
from .line_transport import w2 as w2
from .line_transport import w2_squared as w2_squared
from .plane import PlaneDensity as PlaneDensity
from .quadrature import AbstractDensity as AbstractDensity
from .quadrature import covariance as covariance
from .quadrature import fisher as fisher
from .quadrature import kl_from as kl_from
from .quadrature import kl_to as kl_to
from .quadrature import mass as mass
from .quadrature import mean as mean
from .quadrature import resolution_error as resolution_error
from .quadrature import tv as tv
from .quadrature import variance as variance
