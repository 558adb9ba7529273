r"""Finite training sets on the line: what T20 to T23 share.

A data set \(x_1, \dots, x_N\) of independent draws of the prior gives the empirical
marginal \(\hat p = \frac1N \sum_i N(x_i, \sigma^2)\) (signal 1, noise \(\sigma\)).
Expectations over data sets are means over independent ones; integrals over x are sums on
a grid, and expectations over atoms that are heavy-tailed are sums too.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._types import Key, Scalar
from ...divergences.expectation import refined
from ...mixture import GaussianMixture
from ...mixture.components import LOG_2PI

_REACH = 8.0  # standard deviations of a component, each way; mass beyond 1e-15
_NODES = 512
_FAR = 16384  # nodes of integrals that reach further
SMALLEST = 0.03  # noise, of which the grids have a node a standard deviation


class Grid(NamedTuple):
    """Nodes of a uniform grid, (n,), and their distance."""

    points: Float[Array, " n"]
    spacing: Scalar

    def integral(self, values):
        """Of values (..., n) at the nodes."""
        return self.spacing * jnp.sum(values, axis=-1)

    def density(self, mixture: GaussianMixture) -> Float[Array, " n"]:
        """At the nodes."""
        return jnp.exp(self.log_density(mixture))

    def log_density(self, mixture: GaussianMixture) -> Float[Array, " n"]:
        """Its logarithm."""
        return jax.vmap(lambda x: mixture.log_prob(x[None]))(self.points)


class Empirical(NamedTuple):
    """A noised data set at the nodes of a grid.

    Attributes:
        log_density: (n,).
        log_shares: (n, N) logarithms of the responsibilities.
    """

    log_density: Float[Array, " n"]
    log_shares: Float[Array, "n N"]


def two_modes() -> GaussianMixture:
    """The prior of the sweeps: unequal weights and variances."""
    return GaussianMixture.isotropic([0.35, 0.65], [[-1.1], [0.9]], [0.25, 0.4])


def grid_of(mixture: GaussianMixture, nodes: int = _NODES) -> Grid:
    """A grid of so many nodes that covers a mixture on the line."""
    reach = _REACH * jnp.sqrt(mixture.base)
    lower = jnp.min(mixture.means[:, 0] - reach)
    upper = jnp.max(mixture.means[:, 0] + reach)
    points = jnp.linspace(lower, upper, refined(nodes))
    return Grid(points, points[1] - points[0])


def far_grid(prior: GaussianMixture, sigma: Scalar) -> Grid:
    r"""A grid of integrals of \(E K^2 / p\), whose range grows like 1 / sigma.

    With s^2 the largest variance of a component, the prior noised by sigma^2 / 2, which is
    \(E K^2\) up to a factor, divided by the marginal p falls like a normal density of the
    variance \(2 (s^2 + \sigma^2/2)(s^2 + \sigma^2)/\sigma^2\), far outside of both; its
    root, in a total variation, like one of twice that.
    """
    widest, v = jnp.max(prior.base), sigma**2
    spread = 4.0 * (widest + 0.5 * v) * (widest + v) / v
    reach = _REACH * jnp.sqrt(spread) + jnp.max(jnp.abs(prior.means))
    points = jnp.linspace(-reach, reach, refined(_FAR))
    return Grid(points, points[1] - points[0])


def over_sets(key: Key, prior, size: float, measure, *, sets: int, most: int):
    """measure(atoms, log_weights) of independent data sets; a tree of (sets, ...).

    Args:
        key: of the data.
        prior: on the line.
        size: N, at most `most`: it is data, so one program serves every N.
        measure: of atoms (most,) and log-weights (most,), minus infinity beyond N; a
            `jax.tree_util.Partial`, whose arguments are data too.
        sets: how many data sets.
        most: atoms that are drawn.
    """
    return _over_sets(
        key, prior, jnp.asarray(size, prior.means.dtype), measure, sets, most
    )


@eqx.filter_jit
def _over_sets(key, prior, size, measure, sets: int, most: int):
    index = jnp.arange(most, dtype=size.dtype)
    log_weights = jnp.where(index < size, -jnp.log(size), -jnp.inf)

    def one(key):
        return measure(prior.sample(key, most)[:, 0], log_weights)

    return jax.lax.map(one, jax.random.split(key, sets), batch_size=16)


def noised_set(grid: Grid, atoms, log_weights, sigma: Scalar) -> Empirical:
    """The data set with weights, noised by sigma, at the nodes."""
    log_joint = log_weights[None] + log_kernel(grid.points[:, None], atoms[None], sigma)
    log_density = jax.scipy.special.logsumexp(log_joint, axis=1)
    return Empirical(log_density, log_joint - log_density[:, None])


def log_kernel(x, atom, sigma):
    """log N(x; atom, sigma^2)."""
    return -0.5 * (((x - atom) / sigma) ** 2 + LOG_2PI) - jnp.log(sigma)


def kernel_square(sigma: Scalar) -> Scalar:
    r"""\((4\pi\sigma^2)^{-1/2}\): N(x; a, s^2)^2 is this times N(x; a, s^2 / 2)."""
    return jnp.exp(-0.5 * (jnp.log(2.0) + LOG_2PI)) / sigma
