r"""One line: the idea.

The formula, in the notation of the other files (\(m, C\) = mean and covariance of
\(x_0 | x_t\); \(\alpha, \sigma\) scales at t; H the derivative of the measurement at m):

\[ M - m = \ldots \]

Exact when: ...
"""

from typing import ClassVar

import equinox as eqx

from .._checks import floating
from .._types import Matrix, Scalar, Vector
from ..problem import Target
from .base import AbstractCorrection, Facts


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
        exact_for=(),
        is_gradient=True,
        affine_on_gaussian=True,
        needs="",
        cost="1 D + 1 J",
    )

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """M - m, (d,). A guidance formula g is turned into this by sigma^2 / alpha."""
        law = target.denoised(x, t)
        H, residual = target.problem.whitened_at(law.mean())
        return self.strength * law.covariance_product(H.T @ residual)

    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        """The method's own Cov[x0 | x_t, y], or the prior's."""
        return target.prior_covariance(x, t)
