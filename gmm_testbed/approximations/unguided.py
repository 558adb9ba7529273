r"""No guidance: the prior's own reverse process, \(M = m\). The other control."""

from typing import ClassVar

import jax.numpy as jnp

from .._types import Matrix, Scalar, Vector
from ..problem import Target
from .base import AbstractCorrection, Facts


class Unguided(AbstractCorrection):
    """Ignores the measurement: every method must beat it to be worth its cost."""

    facts: ClassVar[Facts] = Facts(
        summary="ignores y: samples the prior",
        reference="Song et al. 2021, arXiv:2011.13456",
        exact_for=(),
        is_gradient=True,
        affine_on_gaussian=True,
        needs="",
        cost="1 D",
    )

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """Zero."""
        return jnp.zeros_like(target.state(x, t)[0])

    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        """The prior's Cov[x0 | x_t]."""
        return target.prior_covariance(x, t)
