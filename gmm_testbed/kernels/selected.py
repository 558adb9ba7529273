r"""One kernel of several on the line, in one compiled program."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Int

from .._checks import floating
from .._types import Matrix, Scalar, Vector
from ..approximations import AbstractApproximation
from ..gaussian import Gaussian, isotropic
from ..method import Facts
from ..problem import Target
from .base import AbstractKernel, GuidedField


class Selected(AbstractKernel):
    """One kernel of several on the line, chosen by a number that is data.

    What kernels do at a point differs by a few operations once the field is known there:
    one program for all of them compiles in the time of one.

    Attributes:
        kernels: those to choose from, none of which guides by itself.
        index: () which one.
    """

    kernels: tuple[AbstractKernel, ...]
    index: Int[Array, ""] = eqx.field(converter=jnp.asarray)

    facts: ClassVar[Facts] = Facts(
        summary="one of several kernels, in one compiled program",
        reference="",
        needs=frozenset({"signal"}),
        affine=True,
        order=1,
    )

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Gaussian:
        """The transition of the chosen kernel; d = 1."""
        known = _Known(field.posterior_mean(x, t), field.covariance(x, t))
        here = GuidedField(known, field.target)
        moves = [kernel.transition(here, x, t, s) for kernel in self.kernels]
        means = jnp.stack([move.mean for move in moves])
        variances = jnp.stack([move.covariance()[0, 0] for move in moves])
        return isotropic(means[self.index], variances[self.index])


class _Known(AbstractApproximation):
    """A field at one point, where its moments have been evaluated before."""

    mean: Vector = eqx.field(converter=floating)
    variance: Matrix = eqx.field(converter=floating)

    facts: ClassVar[Facts] = Facts(
        summary="moments at one point",
        reference="",
    )

    def guidance(self, target: Target, x: Vector, t: Scalar) -> Vector:
        alpha, sigma = target.path.alpha(t), target.path.sigma(t)
        return alpha / sigma**2 * (self.mean - target.prior_mean(x, t))

    def posterior_mean(self, target: Target, x: Vector, t: Scalar) -> Vector:
        return self.mean

    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        return self.variance
