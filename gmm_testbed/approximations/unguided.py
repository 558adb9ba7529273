r"""No guidance: the prior's own reverse process, \(M = m\). The other control."""

from typing import ClassVar

import jax.numpy as jnp

from .._types import Scalar, Vector
from ..method import Cost, Facts
from ..problem import Target
from .base import AbstractCorrection, log_twist, prior_covariance


class Unguided(AbstractCorrection):
    """Ignores the measurement: every method must beat it to be worth its cost."""

    facts: ClassVar[Facts] = Facts(
        summary="ignores y: samples the prior",
        reference="Song et al. 2021, arXiv:2011.13456",
        affine=True,
        gradient=True,
        uses_noise=False,
        cost=Cost(denoiser=1),
    )

    covariance = prior_covariance

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """Zero."""
        return jnp.zeros_like(target.state(x, t)[0])


@log_twist.register(Unguided)
def _(approximation, target, x, t):
    return jnp.zeros((), x.dtype)
