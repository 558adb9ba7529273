r"""Mean and covariance of a mixture's \(x_0\) given \(x_t = x\), from one set of weights.

Component k of the law of \(x_0\) given \(\alpha x_0 + \sigma\varepsilon = x\) has a mean
that is affine in x. In coordinates in which every covariance is diagonal, \(v_k\),

\[ m_k = h_k \mu_k + g_k x, \qquad h_k = \frac{\sigma^2}{\alpha^2 v_k + \sigma^2}, \quad
   g_k = \frac{\alpha v_k}{\alpha^2 v_k + \sigma^2} . \]

What depends on k is a matrix F that x does not enter, and what depends on x is common to
all components. So sums over components are products with F, which become matrix products
when vmapped over particles, and nothing has K d entries for every particle.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Scalar, Vector
from . import components


class Moments(NamedTuple):
    """E[x0 | x_t = x], (d,), and the function v -> Cov[x0 | x_t = x] v of a v (d,)."""

    mean: Vector
    times_covariance: Callable[[Vector], Vector]


def shared_basis(
    x: Vector,
    log_terms: Float[Array, " K"],
    alpha: Scalar,
    sigma: Scalar,
    means: Float[Array, "K d"],
    base: Float[Array, " K"],
    basis: Float[Array, "d r"],
    spectrum: Float[Array, "K r"],
) -> Moments:
    r"""Moments at x (d,) of components with one basis.

    Everything is measured from amid the means, as products of what is far from
    the origin would cancel. Gains are \(g_1 + (g_k - g_1)\), with the difference in closed
    form, so that the spread of the \(m_k\), which is \(O(\sigma^2)\), keeps its accuracy.
    The covariance is centred twice: where one component has all the weight, what rounding
    leaves is squared.

    Args:
        x: (d,).
        log_terms: (K,), log-weights of the components given x, up to a constant.
        alpha: ().
        sigma: (), positive.
        means: (K, d), of x0, as all that follows.
        base: (K,).
        basis: (d, r) orthonormal columns, 0 <= r <= d.
        spectrum: (K, r).
    """
    origin = components.middle(means)
    x, means = x - alpha * origin, means - origin[None]
    frame = _Frame(basis)
    variances = frame.variances(base, spectrum)
    noisy = alpha**2 * variances + sigma**2
    keep = sigma**2 / noisy
    gains = alpha * sigma**2 * (variances - variances[:1]) / (noisy * noisy[:1])
    places = jax.vmap(frame.coordinates)(means)
    F = jnp.concatenate([jax.vmap(frame.each)(keep) * places, gains], axis=1)
    F = jnp.concatenate([F, jnp.ones_like(base)[:, None]], axis=1)
    terms = components.exponentials(log_terms)
    sums = components.weighted(terms, jnp.concatenate([keep * variances, F], axis=1))
    within, average = jnp.split(sums / sums[-1], [keep.shape[1]])
    where = frame.coordinates(x)

    def joined(sums):
        """sum_k c_k (m_k - g_1 x) from sum_k c_k F_k, in coordinates."""
        size = where.shape[0]
        return sums[:size] + frame.each(sums[size:-1]) * where

    def times_covariance(vector):
        along, size = frame.coordinates(vector), where.shape[0]
        turned = frame.grouped(where * along)  # of x, and `along` often is not
        shifts = F[:, :size] @ along + F[:, size:-1] @ turned
        features = jnp.concatenate([along, turned])
        shifts = shifts - components.weighted(features, average[:-1])
        spread = components.weighted(terms * shifts, F) / sums[-1]
        spread = spread - spread[-1] * average
        return frame.point(joined(spread) + frame.each(within) * along)

    first = frame.each(alpha * variances[0] / noisy[0]) * where
    return Moments(origin + frame.point(first + joined(average)), times_covariance)


class _Frame(NamedTuple):
    """Coordinates in which b (I - U U^T) + U diag(spectrum) U^T is diagonal.

    Those beyond the span of U come first; they are d, and have one variance. There are
    none if U is complete. Then come those along the columns of U.
    """

    basis: Float[Array, "d r"]

    def coordinates(self, vector):
        """Of a vector (d,)."""
        dim, rank = self.basis.shape
        if rank == 0:
            return vector
        inside = self.basis.T @ vector
        if rank == dim:
            return inside
        return jnp.concatenate([vector - self.basis @ inside, inside])

    def point(self, coordinates):
        """The vector (d,) with these coordinates."""
        dim, rank = self.basis.shape
        if rank == 0:
            return coordinates
        if rank == dim:
            return self.basis @ coordinates
        return coordinates[:dim] + self.basis @ coordinates[dim:]

    def variances(self, base, spectrum):
        """The different variances of every component, (K, 1 + r), or (K, d)."""
        dim, rank = self.basis.shape
        if rank == dim:
            return spectrum
        return jnp.concatenate([base[:, None], spectrum], axis=1)

    def each(self, values):
        """A value for every coordinate, from one for every different variance."""
        dim, rank = self.basis.shape
        if rank == dim:
            return values
        return jnp.concatenate([jnp.broadcast_to(values[:1], (dim,)), values[1:]])

    def grouped(self, values):
        """The adjoint of `each`: sums of coordinates of one variance."""
        dim, rank = self.basis.shape
        if rank == dim:
            return values
        first = components.weighted(values[:dim], jnp.ones_like(values[:dim]))
        return jnp.concatenate([first[None], values[dim:]])
