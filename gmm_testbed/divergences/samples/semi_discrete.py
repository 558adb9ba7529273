r"""Exact Wasserstein distances on the line between weighted points and a mixture (C14).

Points \(x_1 \le \dots \le x_n\) of weights \(a_i\), levels \(v_i = a_1 + \dots + a_i\):
point i takes the mass of the mixture between the cuts \(q_{i-1}\) and \(q_i = Q(v_i)\).
With \(A(x) = \int_{-\infty}^x F\) and \(G(v) = \int_0^v Q\),

\[ W_2^2 = \sum_i a_i x_i^2 + E X^2 - 2 x_n E X + 2 \sum_{i<n} (x_{i+1}-x_i) G(v_i) , \]

\[ W_1 = \int |F_n - F| = A(x_1) + A(x_n) - x_n + E X + \sum_{i<n}
   \int_{x_i}^{x_{i+1}} |F - v_i| , \]

where F crosses the level at most once in a cell, at \(q_i\): the integral there is
\(A(x_i) + A(x_{i+1}) - v_i (x_i + x_{i+1}) + 2 G(v_i)\), and elsewhere
\(|A(x_{i+1}) - A(x_i) - v_i (x_{i+1} - x_i)|\). The Kantorovich potential at the points,
the derivative of \(W_p^p\) in the weights, increases by
\(|x_{i+1} - q_i|^p - |x_i - q_i|^p\).
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import _weights
from ..._checks import require
from ..._samples import takes_sample_sets
from ..._types import Scalar, Vector
from ...densities.line_table import LineLaw, LineTable, projected, table
from ...estimate import Estimate
from ...mixture import GaussianMixture
from . import sorting
from .checks import checked, described, variance_of_mean


class Transport(NamedTuple):
    """The optimal plan on the line.

    Attributes:
        cost: (), W_p^p.
        potential: (n,), at every point in the order given, up to a constant.
        order: (n,), positions of the points in increasing order.
        levels: (n - 1,), mass up to each point but the last.
        cuts: (n - 1,), quantiles of the mixture there.
    """

    cost: Scalar
    potential: Float[Array, " n"]
    order: Array
    levels: Float[Array, " n-1"]
    cuts: Float[Array, " n-1"]


@takes_sample_sets
def line_wasserstein(
    samples,
    mixture: GaussianMixture,
    *,
    p: int = 2,
    rooted: bool = True,
    log_weights=None,
) -> Estimate:
    r"""\(W_p\) on the line between the law of the samples and a mixture, p = 1 or 2.

    The value is exact for the samples: their own distance, to 1e-10. As an estimate of
    the distance of the law they come from it is too large (\(W_p^p\) is convex), by
    what `floor` shows for an exact sampler; the standard error is that of the value
    about its mean over samples of this size, by its derivative in the weights.

    Args:
        samples: (n, 1).
        mixture: of dimension 1; atoms, and atoms among densities, are welcome.
        p: 1 or 2.
        rooted: whether to take the p-th root: a length, or else \(W_p^p\).
        log_weights: (n,), need not be normalised; uniform by default.

    Raises:
        InputError: if the mixture is not on the line, p is neither 1 nor 2, or the
            samples or weights do not fit.
    """
    points, weights = checked(samples, mixture, log_weights)
    check_power(p)
    require(
        mixture.dim == 1,
        "this distance is for the line",
        got=f"dimension {mixture.dim}",
        expected="dimension 1",
        hint="use sliced_wasserstein",
    )
    cost, variance = _line(points[:, 0], weights, mixture, p)
    how, freedom = described(weights, log_weights), _weights.freedom_of_squares(weights)
    found = Estimate(cost, jnp.sqrt(variance), how, freedom=freedom)
    return rooted_if(found, p, rooted)


def about(mixture: GaussianMixture, centre: Vector) -> GaussianMixture:
    """The mixture of X - centre, (d,), in which nothing is far from the origin."""
    return eqx.tree_at(lambda law: law.means, mixture, mixture.means - centre[None])


def check_power(p: int) -> None:
    """Refuses all powers but 1 and 2."""
    require(
        p in (1, 2),
        "no exact distance of this power",
        got=f"p = {p}",
        expected="p = 1 or p = 2",
        hint="these have closed forms against a mixture",
    )


def rooted_if(cost: Estimate, p: int, rooted: bool) -> Estimate:
    """The p-th root of a cost, or the cost itself."""
    if not rooted or p == 1:
        return cost
    zero = cost.value <= 0  # the samples are the atoms, up to rounding; NaN stays NaN
    root = jnp.sqrt(jnp.where(zero, 1.0, cost.value))
    error = jnp.where(zero, jnp.nan, 0.5 * cost.stderr / root)
    value = jnp.where(zero, 0.0, root)
    return Estimate(value, error, cost.how, freedom=cost.freedom)


def transport(
    points: Float[Array, " n"],
    weights: Float[Array, " n"],
    law: LineLaw,
    found: LineTable,
    p: int,
    shared: tuple[Array, Array, Array] | None = None,
) -> Transport:
    """The plan of cost |x - z|^p from points to a law with this table.

    Args:
        points: (n,).
        weights: (n,).
        law: z.
        found: its table.
        p: 1 or 2.
        shared: `cut(levels, found)` of equal weights, where several sets have them.
    """
    order = sorting.order(points)
    x = points[order]
    levels, cuts, areas = shared or cut(jnp.cumsum(weights[order])[:-1], found)
    cost = _cost(found, law, x, levels, cuts, areas, p)
    if p == 2:
        cost += weights @ points**2
    left, right = x[:-1], x[1:]
    if p == 1:
        steps = jnp.abs(right - cuts) - jnp.abs(left - cuts)
    else:
        steps = (right - left) * (right + left - 2.0 * cuts)
    potential = jnp.concatenate([jnp.zeros(1, x.dtype), jnp.cumsum(steps)])
    potential = jnp.zeros_like(x).at[order].set(potential, unique_indices=True)
    return Transport(cost, potential, order, levels, cuts)


def cut(
    levels: Float[Array, " levels"], found: LineTable
) -> tuple[Array, Array, Array]:
    """Levels, quantiles of the law there, and the integrals of its quantile up to them."""
    return levels, *found.quantile.at(levels)


def _cost(found: LineTable, law, x, levels, cuts, areas, p):
    left, right = x[:-1], x[1:]
    if p == 2:
        moments = law.second_moment() - 2.0 * x[-1] * law.mean()
        return moments + 2.0 * jnp.sum((right - left) * areas)
    ends = found.cdf.at(x)[1]
    crossed = ends[:-1] + ends[1:] - levels * (left + right) + 2.0 * areas
    plain = jnp.abs(jnp.diff(ends) - levels * (right - left))
    inside = jnp.where((left < cuts) & (cuts < right), crossed, plain)
    return ends[0] + ends[-1] - x[-1] + law.mean() + jnp.sum(inside)


@eqx.filter_jit
def _line(points, weights, mixture, p: int):
    centre = mixture.mean()
    law = projected(about(mixture, centre), jnp.ones(1, points.dtype))
    offsets = points - centre[0]
    plan = transport(offsets, weights, law, table(law, mixture.atomic), p)
    return plan.cost, variance_of_mean(plan.potential, weights)
