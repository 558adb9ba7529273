r"""One line: the idea.

The formula, in the notation of the other files (\(m, C\) = mean and covariance of
\(x_0 | x_t\); \(\alpha, \sigma\) scales at t; H the derivative of the measurement at m):

\[ M - m = \ldots \]

Exact when: ...
"""

from typing import ClassVar

import equinox as eqx

from .._checks import floating
from .._types import Scalar, Vector
from ..method import Cost, Facts
from ..problem import Target
from .base import AbstractCorrection, prior_covariance


class Template(AbstractCorrection):
    """Copy this file, rename the class, add one row to CATALOGUE in `__init__.py`.

    Attributes:
        strength: () what it does and its units. Hyper-parameters are arrays, so that a
            sweep over their values compiles once.
    """

    strength: Scalar = eqx.field(converter=floating, default=1.0)

    facts: ClassVar[Facts] = Facts(
        summary="what it does, in a line",
        reference="Authors year, arXiv:number, equation",
        affine=True,
        gradient=True,
        cost=Cost(denoiser=1, jacobian=1),
    )

    covariance = prior_covariance

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """M - m, (d,). A guidance formula g is turned into this by sigma^2 / alpha."""
        denoised = target.denoise(x, t)
        H, residual = target.problem.whitened_at(denoised.mean)
        return self.strength * denoised.times_covariance(H.T @ residual)
