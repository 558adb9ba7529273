r"""Manifold preserving guidance: one step from the denoised point along the misfit.

\[ M - m = 2 \zeta\, H^T \frac{y - f(m)}{\| y - f(m) \|} , \]

\(-\zeta\,\nabla_m \|y - f(m)\|^2 / \|y - f(m)\|\): `ZetaDPS` differentiated at the denoised
point and not through the denoiser, so without a Jacobian. The projection onto a manifold
that an autoencoder has learnt is the identity here. The noise covariance does not enter.

Not exact for any prior: the length of the step knows neither the prior nor the noise.
"""

from typing import ClassVar

import equinox as eqx

from .._checks import check_range, floating
from .._types import Scalar, Vector
from ..method import Cost, Facts
from ..problem import Target
from .base import AbstractCorrection, prior_covariance
from .zeta_dps import unit


class MPGD(AbstractCorrection):
    r"""Manifold preserving guided diffusion without a projection.

    Attributes:
        zeta: () half the length of the step, in units of x0 over those of y.

    Raises:
        InputError: if zeta is negative or not finite, where it is known.
    """

    zeta: Scalar = eqx.field(converter=floating, default=0.1)

    facts: ClassVar[Facts] = Facts(
        summary="a step from the denoised mean along the misfit, without a Jacobian",
        reference="He et al. 2024, arXiv:2311.16424, Algorithm 1",
        gradient=False,
        smooth=False,
        uses_noise=False,
        cost=Cost(denoiser=1),
    )

    def __check_init__(self):
        check_range("zeta", self.zeta, least=0.0)

    covariance = prior_covariance

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """2 zeta H^T r / |r|, (d,), and 0 where the residual r is 0."""
        mean = target.denoise(x, t).mean
        measurement = target.problem.measurement
        direction = unit(target.problem.y - measurement.apply(mean))
        return 2.0 * self.zeta * measurement.pullback(mean, direction)
