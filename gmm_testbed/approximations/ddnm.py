r"""Null-space projection: replace the measured part of the denoised point.

\[ M = m + A^+ (y - A m) = A^+ y + (I - A^+ A)\, m . \]

The noise of the measurement is ignored: \(A M = y\) at every time.
"""

from typing import ClassVar

from .._types import Scalar, Vector
from ..method import Cost, Facts, require_linear
from ..problem import Target
from .base import AbstractCorrection, prior_covariance


class DDNM(AbstractCorrection):
    """Denoising diffusion null-space model, as a posterior-mean rule."""

    facts: ClassVar[Facts] = Facts(
        summary="projects the denoised mean onto A x = y, ignoring the noise",
        reference="Wang, Yu & Zhang 2023, arXiv:2212.00490, eq. 13",
        needs=frozenset({"linear"}),
        affine=True,
        gradient=False,
        uses_noise=False,
        cost=Cost(denoiser=1, measurement=1),
    )

    covariance = prior_covariance

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """A^+ (y - A m), (d,)."""
        measurement = require_linear(self, target)
        mean = target.denoise(x, t).mean
        residual = target.problem.y - measurement.apply(mean)
        return measurement.pseudo_inverse @ residual
