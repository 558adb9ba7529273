r"""Diffusion posterior sampling: the likelihood at the denoised point.

\[ \hat g = -\tfrac12 \nabla_x \| y - f(m(x)) \|^2_{R^{-1}} = J^T H^T R^{-1} (y - f(m)), \]

with \(J = \partial m / \partial x = (\alpha/\sigma^2)\, C\) and \(H = f'(m)\), so that
\(M - m = C H^T R^{-1}(y - f(m))\). The law of \(x_0\) given \(x_t\) is taken to be a point.
"""

from typing import ClassVar

from .._types import Scalar, Vector
from ..method import Cost, Facts
from ..problem import Target
from .base import AbstractCorrection, prior_covariance


class DPS(AbstractCorrection):
    """Diffusion posterior sampling with the noise's own weight (sigma-DPS).

    Exact in the limit t -> 0 only (relative error O(sigma^2)); too strong at large t.
    """

    facts: ClassVar[Facts] = Facts(
        summary="likelihood at the denoised mean, weighted by the noise covariance",
        reference="Chung et al. 2023, arXiv:2209.14687, eq. 11",
        affine=True,
        gradient=True,
        cost=Cost(denoiser=1, jacobian=1),
    )

    covariance = prior_covariance

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """C H^T R^{-1} (y - f(m)), (d,)."""
        denoised = target.denoise(x, t)
        mean = denoised.mean
        problem = target.problem
        return denoised.times_covariance(
            problem.measurement.misfit_gradient(problem.y, mean)
        )
