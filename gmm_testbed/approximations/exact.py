r"""The exact field: no approximation. The control for every other.

\[ M = E[x_0 | x_t, y], \qquad \hat g = \nabla_x \log p(y | x_t) . \]
"""

from typing import ClassVar

from .._types import Matrix, Scalar, Vector
from ..method import Cost, ExactWhen, Facts
from ..problem import Target
from .base import AbstractApproximation, log_twist


class Exact(AbstractApproximation):
    """The exact posterior mean, guidance and covariance.

    For an empirical prior this is the finite-sample reference, exact for any measurement
    (Burns & Fridovich-Keil, arXiv:2605.30330).
    """

    facts: ClassVar[Facts] = Facts(
        summary="the exact posterior mean; on an empirical prior, the FSR",
        reference="closed form; Burns & Fridovich-Keil 2026, arXiv:2605.30330",
        exact_when=(ExactWhen(),),
        affine=True,
        gradient=True,
        cost=Cost(denoiser=1),
    )

    def guidance(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """grad_x log p(y | x_t = x), (d,)."""
        return target.guidance(x, t)

    def posterior_mean(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """E[x0 | x_t = x, y], (d,); the exact correction of another denoiser's mean."""
        if target.denoiser is None:
            return target.posterior_mean(x, t)
        return target.denoise(x, t).mean + target.correction(x, t)

    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        """Cov[x0 | x_t = x, y], (d, d)."""
        return target.posterior_covariance(x, t)


@log_twist.register(Exact)
def _(approximation, target, x, t):
    return target.log_likelihood(x, t)
