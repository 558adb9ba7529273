"""A law by its log-density at the nodes of a grid."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Scalar, Vector
from ..mixture import GaussianMixture

_CHUNK = 16384  # points at a time,
_ENTRIES = 2**25  # and points times components: a quarter of a gigabyte an array


class Amplitude(NamedTuple):
    """The root of a density on a finer grid, and its gradient.

    Attributes:
        points: (N, d).
        volumes: (N,), quadrature weights.
        root: (N,), square root of the density.
        gradient: (N, d), of the root.
    """

    points: Float[Array, "N d"]
    volumes: Float[Array, " N"]
    root: Float[Array, " N"]
    gradient: Float[Array, "N d"]


class AbstractDensity(eqx.Module):
    """A law by its log-density at the nodes of a grid, n of them in all.

    Attributes:
        escaped_mass: (), mass of the law that is not on the grid.
    """

    escaped_mass: eqx.AbstractVar[Scalar]

    @abstractmethod
    def points(self) -> Float[Array, "n d"]:
        """The nodes, (n, d)."""

    @abstractmethod
    def volumes(self) -> Float[Array, " n"]:
        """Quadrature weights of a plain integral over the grid, (n,)."""

    @abstractmethod
    def log_densities(self) -> Float[Array, " n"]:
        """Log-density at every node, (n,); minus infinity where it is zero."""

    @abstractmethod
    def amplitude(self) -> Amplitude:
        """The root of the density and its gradient, between the nodes too."""

    @abstractmethod
    def log_outside(self, mixture: GaussianMixture) -> Scalar:
        """Log of the mixture's mass outside the grid, or of an upper bound."""

    @abstractmethod
    def total_variation_inside(self, mixture: GaussianMixture) -> Scalar:
        """Integral of |law - mixture| over the grid."""

    def weights(self) -> Float[Array, " n"]:
        """Mass of the law at every node, (n,)."""
        return self.volumes() * jnp.exp(self.log_densities())

    def expectation(self, fn: Callable[[Vector], Any]) -> Any:
        """E[fn(X); X on the grid], for fn of one point (d,) with finite values.

        The mass that escaped has no part in it. `fn` may return any tree of arrays.
        """
        return weighted(self.weights(), self.points(), fn)

    def expectation_under(
        self, mixture: GaussianMixture, fn: Callable[[Vector], Any]
    ) -> Any:
        """E[fn(X); X on the grid] for X from the mixture, by the same sum."""
        return weighted(masses(self, mixture), self.points(), fn)


def over_points(fn: Callable[[Any], Any], points: Any, width: int = 1) -> Any:
    """vmap of fn over points, a tree of arrays (n, ...); in chunks where n is large.

    Args:
        fn: of one point.
        points: the tree.
        width: numbers that fn holds at a point, as the components of a mixture.
    """
    chunk = min(_CHUNK, max(_ENTRIES // width, 256))
    if jax.tree.leaves(points)[0].shape[0] <= chunk:
        return jax.vmap(fn)(points)
    return jax.lax.map(fn, points, batch_size=chunk)


@eqx.filter_jit
def weighted(weights, points, fn):
    """Sum of fn over points (n, d) with weights (n,), a tree of arrays."""
    values = over_points(fn, points)
    return jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, 1), values)


@eqx.filter_jit
def masses(density, mixture):
    """Mass of the mixture at every node."""
    return density.volumes() * jnp.exp(
        over_points(mixture.log_prob, density.points(), mixture.num_components)
    )
