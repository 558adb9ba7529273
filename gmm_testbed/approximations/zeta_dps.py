r"""DPS with the published residual-normalised weight, as a field.

\[ \hat g = 2 \zeta\, J^T H^T (y - f(m)) / \| y - f(m) \| , \]

the gradient of \(-2\zeta \|y - f(m(x))\|\). The noise covariance does not enter. As a field
it has a limit when the steps shrink; the published *update* has none: see
`gt.Published`.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import check_range, floating
from .._types import Scalar, Vector
from ..method import Cost, Facts
from ..problem import Target
from .base import AbstractCorrection, prior_covariance


class ZetaDPS(AbstractCorrection):
    r"""DPS with weight \(2\zeta / \|y - f(m)\|\).

    Attributes:
        zeta: () guidance strength, in units of \(\|y\|^{-1}\).

    Raises:
        InputError: if zeta is negative or not finite, where it is known.
    """

    zeta: Scalar = eqx.field(converter=floating, default=0.3)

    facts: ClassVar[Facts] = Facts(
        summary="DPS with step zeta over the residual's norm, ignoring the noise level",
        reference="Chung et al. 2023, arXiv:2209.14687, Algorithm 1",
        gradient=True,
        smooth=False,
        uses_noise=False,
        cost=Cost(denoiser=1, jacobian=1),
    )

    def __check_init__(self):
        check_range("zeta", self.zeta, least=0.0)

    covariance = prior_covariance

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """2 zeta C H^T r / |r|, (d,), and 0 where the residual r is 0."""
        denoised = target.denoise(x, t)
        mean = denoised.mean
        problem = target.problem
        direction = unit(problem.y - problem.measurement.apply(mean))
        pulled = problem.measurement.pullback(mean, direction)
        return 2.0 * self.zeta * denoised.times_covariance(pulled)


def unit(vector: Vector) -> Vector:
    """vector / |vector|, and 0 at 0 (a subgradient of the norm there)."""
    square = jnp.sum(vector**2)
    norm = jnp.sqrt(jnp.where(square > 0, square, 1.0))
    return jnp.where(square > 0, vector / norm, jnp.zeros_like(vector))
