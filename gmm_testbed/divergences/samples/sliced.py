r"""Sliced Wasserstein distances between samples and a mixture, without reference samples.

\[ SW_p^p(q, p) = E_\theta W_p^p(\theta^T q, \theta^T p) , \]

\(\theta\) uniform on the sphere, with the exact distance on the line in every direction.
Sources: Rabin, Peyré, Delon and Bernot, SSVM 2011; Bonneel et al., J. Math. Imaging
Vision 51 (2015), 22-45.
"""

from concurrent.futures import ThreadPoolExecutor

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..._checks import choose, concrete, floating, require
from ..._types import Key
from ...densities.line_table import LineLaw, projected, table
from ...estimate import Estimate
from ...mixture import GaussianMixture
from ...samples import takes_sample_sets
from .checks import checked, described, variance_of_mean
from .semi_discrete import check_power, rooted_if, transport

_FEW_BLOCKS = 10  # with fewer, directions count as independent
_MANY = 500_000  # samples times directions, from which two threads share them
_PARTS = 50  # at most, that the threads share
_BLOCK = 10  # directions whose tables are held at a time


@takes_sample_sets
def sliced_wasserstein(
    key: Key,
    samples,
    mixture: GaussianMixture,
    *,
    p: int = 2,
    directions: int = 1000,
    kind: str = "orthogonal",
    rooted: bool = True,
    log_weights=None,
) -> Estimate:
    r"""Sliced Wasserstein distance \(SW_p\), p = 1 or 2.

    The p-th powers are averaged over directions, and then the root is taken:
    \((\frac1L \sum_l W_p^p(\theta_l))^{1/p}\), or without the root (`rooted=False`)
    the average itself. No factor of the dimension: \(SW_2^2 \le W_2^2 / d\).

    Of the law of the samples it is too large, \(W_p^p\) being convex, by about what
    `floor` shows. The standard error is about the mean over samples of this size, and
    has two parts, added as variances: of the average over directions, and of the
    samples, by the derivative of the average in the weights of the samples (the mean of
    the Kantorovich potentials over directions). It costs O(L n log n).

    Args:
        key: for the directions. The same key for several methods compares them along
            the same directions.
        samples: (n, d).
        mixture: of dimension d; atoms are welcome.
        p: 1 or 2.
        directions: L, rounded up to whole bases if orthogonal; one if d = 1.
        kind: "orthogonal", random orthonormal bases, which leave less error, or
            "gaussian", independent directions.
        rooted: whether to take the root.
        log_weights: (n,), need not be normalised; uniform by default.

    Raises:
        InputError: if p is neither 1 nor 2, the kind is unknown, there are fewer than
            two directions, or the samples or weights do not fit.
    """
    points, weights = checked(samples, mixture, log_weights)
    check_power(p)
    found = draw_directions(key, mixture.dim, directions, kind, points.dtype)
    costs, potential = _over(found, points, weights, mixture, p)
    variance = variance_of_mean(potential, weights)
    variance += _variance_over_directions(costs, kind, mixture.dim)
    how = f"{described(points, log_weights)}, {costs.shape[0]} directions"
    estimate = Estimate(jnp.mean(costs), jnp.sqrt(variance), how)
    return rooted_if(estimate, p, rooted)


def projected_wasserstein(
    projections: dict[str, ArrayLike],
    weights: ArrayLike,
    means: ArrayLike,
    scales: ArrayLike,
    *,
    p: int = 2,
) -> dict[str, Estimate]:
    r"""\(\frac1L \sum_l W_p^p\) of several sets of samples over L lines, by name.

    `sliced_wasserstein` without its root, of independent directions, where samples and
    mixture are projected already: what the sets share is computed once.

    Args:
        projections: (L, n) by name, n samples on L lines, as many of every set.
        weights: (K,), of the mixture; its projections are
        means: (L, K), with standard deviations
        scales: (L, K) or (L, 1), positive.
        p: 1 or 2.

    Raises:
        InputError: if p is neither 1 nor 2, there are fewer than two lines, or the
            projections do not fit the mixture's.
    """
    check_power(p)
    shapes = {np.shape(x) for x in projections.values()} or {()}
    points = np.shape(means)[:1] + next(iter(shapes))[1:]
    require(
        shapes == {points} and len(points) == 2 and min(points) > 1,
        "the projections do not fit",
        got=f"{sorted(shapes)} with means {np.shape(means)}",
        expected="(L, n) of every set, with L and n at least 2, and means (L, K)",
        hint="a row a line: directions @ samples.T and directions @ means.T",
    )
    given = floating(np.stack([*projections.values()], axis=1))
    means, scales, weights = floating(means), floating(scales), floating(weights)
    count = means.shape[-1]
    require(
        means.ndim == 2
        and scales.shape in (means.shape, (len(means), 1))
        and weights.shape == (count,),
        "the projections of the mixture do not fit",
        got=f"weights {weights.shape}, means {means.shape}, scales {scales.shape}",
        expected=f"({count},), ({len(means)}, {count}), and that or ({len(means)}, 1)",
        hint="a row a line; scales are standard deviations along it",
    )
    lines = given, means, jnp.broadcast_to(scales, means.shape)
    costs, potentials = _by_two(
        lambda *some: _on_lines(weights, *some, p), lines, weights, given.size
    )
    variance = jax.vmap(
        lambda own: variance_of_mean(own, jnp.full(own.shape, 1 / own.size))
    )
    stderr = jnp.sqrt(
        variance(potentials) + jnp.var(costs, axis=0, ddof=1) / len(costs)
    )
    values, stderr = np.mean(costs, axis=0), np.asarray(stderr)
    how = f"{given.shape[2]} samples, {len(costs)} directions"
    each = zip(projections, values, stderr, strict=True)
    return {name: Estimate(value, error, how) for name, value, error in each}


def draw_directions(
    key: Key, dim: int, count: int, kind: str, dtype
) -> Float[Array, "L d"]:
    """Random directions (L, d); in one dimension there is one."""
    draw = choose(kind, _KINDS, "kind of directions")
    require(
        count >= 2,
        "too few directions",
        got=f"directions={count}",
        expected="at least 2",
        hint="the error of the average comes from their spread; 100 to 1000 are usual",
    )
    return jnp.ones((1, 1), dtype) if dim == 1 else draw(key, dim, count, dtype)


def unit(vector: Array) -> Array:
    """Vectors (..., d) over their lengths."""
    return vector / jnp.sqrt(jnp.sum(vector**2, axis=-1, keepdims=True))


def _gaussian(key, dim, count, dtype):
    return unit(jax.random.normal(key, (count, dim), dtype))


def _orthogonal(key, dim, count, dtype):
    bases = jax.random.orthogonal(key, dim, (-(-count // dim),), dtype)
    return bases.reshape(-1, dim)


_KINDS = {"orthogonal": _orthogonal, "gaussian": _gaussian}


def _variance_over_directions(costs, kind, dim):
    """Of their average; directions of one basis are not independent of each other."""
    count = costs.shape[0]
    if count == 1:
        return jnp.zeros((), costs.dtype)
    if kind == "orthogonal" and count >= _FEW_BLOCKS * dim:
        costs = jnp.mean(costs.reshape(-1, dim), axis=1)
    return jnp.var(costs, ddof=1) / costs.shape[0]


def _over(directions, points, weights, mixture, p):
    """Costs (L,) and mean potential (n,) over all directions."""
    case = points, weights, mixture, p
    work = directions.shape[0] * points.shape[0]
    return _by_two(lambda some: _along(some, *case), (directions,), case[:3], work)


def _by_two(along, lines, others, work):
    """Costs (L, ...) and mean potential, by two threads if there is much to do.

    A scan keeps one core busy.

    Args:
        along: from a part of the lines to their costs and mean potential.
        lines: tuple of arrays (L, ...).
        others: what else the result depends on, any tree.
        work: number of points on all lines.
    """
    count = lines[0].shape[0]
    parts = next(k for k in range(_PARTS, 0, -1) if count % k == 0)
    known = concrete(*jax.tree.leaves((lines, others)))
    if parts == 1 or work < _MANY or not known:
        return along(*lines)

    def part(some):
        return jax.block_until_ready(along(*some))

    with ThreadPoolExecutor(2) as pool:
        if pool.submit(jnp.result_type, float).result() != jnp.result_type(float):
            return along(*lines)  # a precision of the caller's thread alone
        split = [jnp.split(each, parts) for each in lines]
        first, *rest = zip(*split, strict=True)
        found = [part(first)]  # compiles, which two threads would do twice
        found += pool.map(part, rest)
    costs, potentials = zip(*found, strict=True)
    return jnp.concatenate(costs), sum(potentials) / parts


@eqx.filter_jit
def _along(directions, points, weights, mixture, p: int):
    """Costs (L,), and the mean over directions of the potential at the samples (n,).

    The tables of a few directions are made first: within the same loop XLA would work out
    a table's entry again for every sample that reads it (a third of the time, measured).
    """
    centre, count = mixture.mean(), directions.shape[0]
    size = min(count, _BLOCK)
    padded = jnp.pad(directions, ((0, -count % size), (0, 0)), mode="edge")
    used = jnp.arange(padded.shape[0]) < count

    def tabulated(direction):
        law = projected(mixture, direction)
        law = law._replace(means=law.means - centre @ direction)
        return law, table(law, mixture.atomic)

    def one(total, known):
        direction, used, law, found = known
        x = (points - centre[None]) @ direction
        plan = transport(x, weights, law, found, p)
        return total + jnp.where(used, plan.potential, 0.0), plan.cost

    def block(total, known):
        some, used = known
        return jax.lax.scan(one, total, (some, used, *jax.vmap(tabulated)(some)))

    known = padded.reshape(-1, size, points.shape[1]), used.reshape(-1, size)
    total, costs = jax.lax.scan(block, jnp.zeros_like(weights), known)
    return costs.reshape(-1)[:count], total / count


@eqx.filter_jit
def _on_lines(weights, points, means, scales, p: int):
    """Costs (L, S), and the mean over lines of the potentials (S, n)."""
    uniform = jnp.full(points.shape[2], 1.0 / points.shape[2], points.dtype)

    def one(total, line):
        points, means, scales = line
        centre = weights @ means
        law = LineLaw(weights, means - centre, scales)
        found = jax.lax.optimization_barrier(table(law, False))

        def plan(x):
            made = transport(x - centre, uniform, law, found, p)
            return made.cost, made.potential

        cost, potential = jax.lax.map(plan, points)
        return total + potential, cost

    start = jnp.zeros(points.shape[1:], points.dtype)
    total, costs = jax.lax.scan(one, start, (points, means, scales))
    return costs, total / points.shape[0]
