r"""U-statistics \(E\,u(X, X')\) of samples, with an error that does not vanish at zero.

With weights \(\omega_{ij}\) on ordered pairs i != j, summing to one, \(\omega_i\) their
row sums and \(r_i\) the mean of the row, \(U = \sum_{ij} \omega_{ij} u_{ij}\) has

\[ \operatorname{Var} U \approx 4 \sum_i \omega_i^2 (r_i - U)^2
   - 2 \sum_{ij} \omega_{ij}^2 (u_{ij} - U)^2 , \]

where the second sum takes away what the noise of the rows adds to the first. Times
\(m(m-1)/((m-2)(m-3))\), with \(m = 1/\sum_i w_i^2\) the effective number, this is
unbiased for m samples of equal weight; of three or fewer there is no error (NaN). By
Hoeffding's decomposition the variance is at least the second sum with the other sign,
which is all of it where u is centred under the law of the samples; the larger of the two
is taken. For samples of the mixture itself the error is then 1.3 times the spread
(measured).

At the value \(\theta\) the variance is \(a\theta + b\), with b that second sum and a at
most \(4 \sum_i \omega_i^2\) times the root of E u^2: four times the largest eigenvalue of
u, which the root of the sum of the squares of all exceeds. Value plus or minus two errors
covers too few of values near zero, where the small ones come with small errors.
`Estimate.interval` solves \((\theta - U)^2 \le z^2 (a\theta + b)\) instead, as Wilson's
interval of a proportion does, with \(a = (\operatorname{Var} U - b)/(U + \sqrt b/2)\) held
between half of its bound and its bound. Of 95 % it covers 93 to 98, at any value, for
spectra of u that decay like \(k^{-1.2}\) to \(k^{-4}\) (measured, for Gaussian means).

From fewer than fifty effective samples neither a nor the variance is known so well. There
the variance is that of the jackknife, whose mean is never below (Efron and Stein, Annals
of Statistics 9 (1981), 586-596), plus b, and the interval Student's: of 95 % it covers 95
to 100 (measured).
"""

import functools
from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import _weights
from ..._checks import require
from ...estimate import Estimate
from .checks import described

_BLOCK = 512  # samples a side: one block of pairs is two megabytes
_MANY = 50  # effective samples, from which the variance is known well enough
_FEW = 8  # coordinates, up to which products of matrices are no faster than differences
_LOST = 1e-3  # roots of a rounding, that a squared distance may lose: 1e-11 in float64


class Features(NamedTuple):
    """What a kernel needs of every sample.

    Attributes:
        vectors: arrays (n, ...) that enter through inner products alone.
        scalars: arrays (n,).
    """

    vectors: tuple[Array, ...]
    scalars: tuple[Array, ...]


class AbstractKernel(eqx.Module):
    """A symmetric function of two samples."""

    @abstractmethod
    def features(self, points: Float[Array, "n d"]) -> Features:
        """What it needs of each of the points."""

    @abstractmethod
    def __call__(self, pairs, left: Features, right: Features) -> Array:
        """u of every pair; `pairs` is one of `Expanded`, `Subtracted`, `Neighbours`."""


class Expanded:
    """All pairs (n, m), by products of matrices: for features near the origin."""

    def dot(self, left, right):
        """Inner products."""
        return left @ right.T

    def between(self, left, right, others_left, others_right):
        """(a_i - a_j) . (b_i - b_j), a from the first two arrays, b from the others."""
        own = jnp.sum(left * others_left, axis=1)[:, None]
        own = own + jnp.sum(right * others_right, axis=1)[None]
        return own - (left @ others_right.T + others_left @ right.T)


class Subtracted:
    """All pairs (n, m), by differences of coordinates: exact wherever the features are."""

    def dot(self, left, right):
        """Inner products."""
        return left @ right.T

    def between(self, left, right, others_left, others_right):
        """As of `Expanded`."""

        def coordinate(k, total):
            first = left[:, k, None] - right[None, :, k]
            return total + first * (others_left[:, k, None] - others_right[None, :, k])

        total = jnp.zeros((left.shape[0], right.shape[0]), left.dtype)
        if left.shape[1] > _FEW:
            return jax.lax.fori_loop(0, left.shape[1], coordinate, total)
        for k in range(left.shape[1]):
            total = coordinate(k, total)
        return total


class Neighbours:
    """Pairs of the same place in both arrays, (n,)."""

    def dot(self, left, right):
        """Inner products."""
        return jnp.sum(left * right, axis=1)

    def between(self, left, right, others_left, others_right):
        """As of `Expanded`."""
        return jnp.sum((left - right) * (others_left - others_right), axis=1)


def u_statistic(
    kernel: AbstractKernel, points, weights, log_weights, partners: int | None
) -> Estimate:
    r"""E u(X, X') from all pairs, or from pairs of neighbours in the order given.

    Args:
        kernel: u.
        points: (n, d), independent.
        weights: (n,) normalised.
        log_weights: as the user gave them; for the words of the estimate.
        partners: S. Sample i then meets only i + 1, ..., i + S (modulo n): n S pairs
            in place of n (n - 1) / 2, and still unbiased. All pairs by default.

    Raises:
        InputError: if there are more partners than half of the other samples.
    """
    count, how = points.shape[0], described(weights, log_weights, _weights.PAIRS)
    if partners is None:
        found = _all_pairs(kernel, points, weights)
        return estimated(*found, weights, f"{how}, all pairs")
    require(
        1 <= partners <= (count - 1) // 2,
        "no such number of partners",
        got=f"partners={partners} with {count} samples",
        expected=f"1 to {(count - 1) // 2}",
        hint="leave it out for all pairs",
    )
    found = _neighbours(kernel, points, weights, partners)
    return estimated(*found, weights, f"{how}, {partners} partners each")


def estimated(value, rows, masses, by_pairs, weights, how: str) -> Estimate:
    r"""The estimate of the module.

    Args:
        value: U.
        rows: (n,) \(\omega_i (r_i - U)\).
        masses: (n,) \(\omega_i\), summing to one.
        by_pairs: \(\sum_{ij} \omega_{ij}^2 (u_{ij} - U)^2\) and
            \(\sum_{ij} \omega_{ij}^2\).
        weights: (n,) normalised.
        how: in words.
    """
    squares, (by_pairs, outer) = jnp.sum(weights**2), by_pairs
    rounding = 100.0 * jnp.finfo(squares.dtype).eps * jnp.abs(value)
    known = _weights.enough(squares, _weights.PAIRS) & (by_pairs > rounding**2 * outer)
    number = 1.0 / squares
    below = (number - 2.0) * (number - 3.0)
    inflation = number * (number - 1.0) / jnp.where(known, below, jnp.nan)
    rate = jnp.sum(masses**2) / jnp.sqrt(outer)
    by_rows, by_pairs = inflation * jnp.sum(rows**2), inflation * by_pairs
    at_zero = 2.0 * by_pairs
    more = jnp.maximum(4.0 * by_rows - 2.0 * at_zero, 0.0)
    most = 4.0 * rate * jnp.sqrt(by_pairs)
    near = jnp.maximum(value, 0.0) + 0.5 * jnp.sqrt(at_zero)
    share = more / jnp.where(near > 0, near, 1.0)
    growth = jnp.clip(share, 0.5 * most, most)
    few = number < _MANY
    without = 1.0 - 2.0 * masses  # of the pairs, without this sample
    jackknife = jnp.sum((2.0 * rows / jnp.where(without > 0, without, jnp.nan)) ** 2)
    error = jnp.sqrt(jnp.where(few, jackknife, more) + at_zero)
    growth, freedom = jnp.where(few, 0.0, growth), _weights.freedom(weights)
    return Estimate(value, error, how, growth, freedom)


@eqx.filter_jit
def _all_pairs(kernel, points, weights):
    count = points.shape[0]
    size = min(_BLOCK, count)
    blocks = -(-count // size)
    spare = blocks * size - count
    left, right = jnp.triu_indices(blocks)
    padded = jnp.concatenate(
        [points, jnp.broadcast_to(points[:1], (spare, points.shape[1]))]
    )
    masses = jnp.pad(weights, (0, spare))  # what fills the last block weighs nothing
    features = kernel.features(padded)
    origin = _typical(kernel, features, masses)
    apart = ~jnp.eye(size, dtype=bool)

    def block(pairs, sums, pair):
        """Rows of block i gain from columns of block j, and the other way round."""
        i, j = pair
        row, column = _rows(features, i * size, size), _rows(features, j * size, size)
        u = kernel(pairs, _upright(row), _flat(column)) - origin
        u = jnp.where(apart | (i != j), u, 0.0)
        a = jax.lax.dynamic_slice(masses, (i * size,), (size,))
        b = jax.lax.dynamic_slice(masses, (j * size,), (size,))
        rows, first, second = sums
        rows = rows.at[i].add(u @ b)
        rows = rows.at[j].add(jnp.where(i == j, 0.0, a @ u))
        twice = jnp.where(i == j, 1.0, 2.0)
        first += twice * (a**2 @ (u @ b**2))
        second += twice * (a**2 @ (u**2 @ b**2))
        return (rows, first, second), None

    zero = jnp.zeros((), points.dtype)
    start = (jnp.zeros((blocks, size), points.dtype), zero, zero)

    def summed(pairs):
        blocks = left, right
        return jax.lax.scan(lambda *given: block(pairs, *given), start, blocks)[0]

    rows, first, second = _exactly(summed, features)
    rows, known = rows.ravel()[:count], _weights.parts(weights)
    total = weights @ known.rest
    outer = weights**2 @ known.others
    value = weights @ rows / total
    masses = weights * known.rest / total
    by_pairs = (second - 2.0 * value * first + value**2 * outer) / total**2
    rows = weights * rows / total - masses * value
    return origin + value, rows, masses, (by_pairs, outer / total**2)


def _exactly(summed, features):
    """Sums by products of matrices where rounding is known to do no harm."""
    if max(leaf.shape[1] for leaf in features.vectors) <= _FEW:
        return summed(Subtracted())
    sizes = [jnp.max(jnp.sum(leaf**2, axis=1)) for leaf in features.vectors]
    eps = float(jnp.finfo(sizes[0].dtype).eps)
    harmless = functools.reduce(jnp.maximum, sizes) * eps <= _LOST * eps**0.5
    return jax.lax.cond(
        harmless, lambda: summed(Expanded()), lambda: summed(Subtracted())
    )


def _typical(kernel, features, weights):
    """A weighted mean of u over pairs of neighbours: sums are of what differs from it."""
    moved = jax.tree.map(lambda leaf: jnp.roll(leaf, -1, axis=0), features)
    both = weights * jnp.roll(weights, -1)
    total = jnp.sum(both)
    found = both @ kernel(Neighbours(), features, moved)
    usable = (total > 0) & jnp.isfinite(found)
    return jnp.where(usable, found / jnp.where(total > 0, total, 1.0), 0.0)


@eqx.filter_jit
def _neighbours(kernel, points, weights, partners: int):
    features = kernel.features(points)
    origin = _typical(kernel, features, weights)

    def shift(sums, step):
        """Pairs of i and i + step."""
        moved = jax.tree.map(lambda leaf: jnp.roll(leaf, -step, axis=0), features)
        partner = jnp.roll(weights, -step)
        u = kernel(Neighbours(), features, moved) - origin
        pair = weights * partner
        rows, masses, squares = sums
        both = pair * u
        rows = rows + both + jnp.roll(both, step)
        masses = masses + pair + jnp.roll(pair, step)
        powers = [2.0 * jnp.sum(pair**2 * u**power) for power in range(3)]
        return (rows, masses, squares + jnp.stack(powers)), None

    zeros = jnp.zeros_like(weights)
    start = (zeros, zeros, jnp.zeros(3, points.dtype))
    steps = jnp.arange(1, partners + 1)
    (rows, masses, squares), _ = jax.lax.scan(shift, start, steps)
    total = jnp.sum(masses)
    value = jnp.sum(rows) / total
    by_pairs = squares[2] - 2.0 * value * squares[1] + value**2 * squares[0]
    pairs = by_pairs / total**2, squares[0] / total**2
    return origin + value, (rows - masses * value) / total, masses / total, pairs


def _rows(features, start, size):
    return jax.tree.map(
        lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, size), features
    )


def _upright(features):
    return Features(features.vectors, tuple(s[:, None] for s in features.scalars))


def _flat(features):
    return Features(features.vectors, tuple(s[None] for s in features.scalars))
