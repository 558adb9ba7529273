"""A function guidance(target, x, t) as an approximation, of which nothing is claimed."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._types import Scalar, Vector
from ..approximations import AbstractApproximation
from ..approximations.base import prior_covariance
from ..method import Cost, Facts
from ..problem import Target


class Given(AbstractApproximation):
    """The approximation whose guidance is a function that somebody brings.

    Attributes:
        fn: guidance(target, x, t).
        batched: whether fn takes points (n, d) only; it is then given one at a time.
        takes_batches: whether it takes points (n, d) too.
    """

    fn: Callable = eqx.field(static=True)
    batched: bool = eqx.field(static=True, default=False)
    takes_batches: bool = eqx.field(static=True, default=False)
    facts: ClassVar[Facts] = Facts(
        summary="the guidance of a function that was given",
        reference="its author",
        needs=frozenset({"signal"}),
        cost=Cost(float("nan"), float("nan"), float("nan")),
    )

    covariance = prior_covariance

    def guidance(self, target: Target, x: Vector, t: Scalar) -> Vector:
        found = (
            self.fn(target, x[None], t)[0] if self.batched else self.fn(target, x, t)
        )
        return jnp.asarray(found, x.dtype)

    def posterior_mean(self, target: Target, x: Vector, t: Scalar) -> Vector:
        gain = target.path.sigma(t) ** 2 / target.path.alpha(t)
        return target.denoise(x, t).mean + gain * self.guidance(target, x, t)
