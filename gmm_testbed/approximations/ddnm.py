r"""Null-space projection: replace the measured part of the denoised point.

\[ M = m + A^+ (y - A m) = A^+ y + (I - A^+ A)\, m . \]

The noise of the measurement is ignored: \(A M = y\) at every time.
"""

from typing import ClassVar

from .._types import Matrix, Scalar, Vector
from ..problem import Target
from .base import AbstractCorrection, Facts, require_linear


class DDNM(AbstractCorrection):
    """Denoising diffusion null-space model, as a posterior-mean rule."""

    facts: ClassVar[Facts] = Facts(
        summary="projects the denoised mean onto A x = y, ignoring the noise",
        reference="Wang, Yu & Zhang 2023, arXiv:2212.00490, eq. 13",
        exact_for=(),
        is_gradient=False,
        affine_on_gaussian=True,
        needs="linear",
        cost="1 D",
    )

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """A^+ (y - A m), (d,)."""
        measurement = require_linear(self, target)
        mean = target.prior_mean(x, t)
        residual = target.problem.y - measurement.apply(mean)
        return measurement.pseudo_inverse @ residual

    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        """The prior's Cov[x0 | x_t]."""
        return target.prior_covariance(x, t)
