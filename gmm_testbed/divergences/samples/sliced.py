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

from ... import _weights
from ..._checks import choose, concrete, floating, require
from ..._samples import takes_sample_sets
from ..._types import Key
from ...densities.line_table import LineLaw, projected, table
from ...estimate import Estimate
from ...mixture import GaussianMixture
from .checks import checked, described, variance_of_mean
from .semi_discrete import about, check_power, cut, rooted_if, transport

_BLOCKS = 10  # of directions, at least: their spread is what is known of the error
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
        directions: L, rounded up to whole blocks if orthogonal; one if d = 1.
        kind: "orthogonal", random blocks of orthonormal directions, whole bases if
            there are ten or more, and else ten blocks: they leave less error, which is
            that of their independent blocks; or "gaussian", independent directions.
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
    how = f"{described(weights, log_weights)}, {costs.shape[0]} directions"
    error = jnp.sqrt(variance_of_mean(potential, weights))
    freedom = _weights.freedom_of_squares(weights)
    estimate = Estimate(jnp.mean(costs), error, how, freedom=freedom)
    if costs.shape[0] > 1:
        size = block_size(mixture.dim, directions) if kind == "orthogonal" else 1
        estimate = estimate + over_directions(costs, size)
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
    sets = zip(projections, costs.T, potentials, strict=True)
    return {name: _of_lines(*each) for name, *each in sets}


def _of_lines(costs, potential):
    """Of one set: the mean over independent lines, with both errors."""
    count = potential.shape[0]
    weights = jnp.full(count, 1.0 / count, potential.dtype)
    error = jnp.sqrt(variance_of_mean(potential, weights))
    how = f"{count} samples, {costs.shape[0]} directions"
    freedom = _weights.freedom_of_squares(weights)
    value = Estimate(jnp.mean(costs), error, how, freedom=freedom)
    return value + over_directions(costs, 1)


def draw_directions(
    key: Key, dim: int, count: int, kind: str, dtype
) -> Float[Array, "L d"]:
    """Random directions (L, d); in one dimension there is one."""
    draw = choose(kind, _KINDS, "kind of directions")
    _check_directions(count)
    return jnp.ones((1, 1), dtype) if dim == 1 else draw(key, dim, count, dtype)


def draw_bases(key: Key, dim: int, count: int, dtype) -> Float[Array, "L d"]:
    """Directions of whole random bases, `count` or more; in one dimension there is one."""
    _check_directions(count)
    return jnp.ones((1, 1), dtype) if dim == 1 else _bases(key, dim, count, dtype)


def unit(vector: Array) -> Array:
    """Vectors (..., d) over their lengths."""
    return vector / jnp.sqrt(jnp.sum(vector**2, axis=-1, keepdims=True))


def _check_directions(count):
    require(
        count >= 2,
        "too few directions",
        got=f"directions={count}",
        expected="at least 2",
        hint="the error of the average comes from their spread; 100 to 1000 are usual",
    )


def _gaussian(key, dim, count, dtype):
    return unit(jax.random.normal(key, (count, dim), dtype))


def _bases(key, dim, count, dtype):
    bases = jax.random.orthogonal(key, dim, (-(-count // dim),), dtype)
    return bases.reshape(-1, dim)


def _orthogonal(key, dim, count, dtype):
    size = block_size(dim, count)
    if size == dim:
        return _bases(key, dim, count, dtype)
    blocks = jax.random.orthogonal(key, dim, (-(-count // size),), dtype, m=size)
    return jnp.swapaxes(blocks, 1, 2).reshape(-1, dim)


_KINDS = {"orthogonal": _orthogonal, "gaussian": _gaussian}


def block_size(dim: int, count: int) -> int:
    """Directions in an orthonormal block, of which there are to be ten at least."""
    return min(dim, max(1, count // _BLOCKS))


def over_directions(costs: Float[Array, " L"], size: int) -> Estimate:
    """Zero, with the error of the average of costs over blocks of so many directions.

    Directions of one block depend on each other, and two functions of them may be equal:
    in the plane, those of four times the angle. Only blocks are independent.
    """
    means = jnp.mean(costs.reshape(-1, size), axis=1)
    count = means.shape[0]
    error = jnp.std(means, ddof=1) / jnp.sqrt(jnp.asarray(count, costs.dtype))
    return Estimate(jnp.zeros_like(error), error, freedom=count - 1.0)


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

    Everything is measured from the mixture's mean.

    The tables of a few directions are made first: within the same loop XLA would work out
    a table's entry again for every sample that reads it (a third of the time, measured).
    """
    centre, count = mixture.mean(), directions.shape[0]
    points, mixture = points - centre[None], about(mixture, centre)
    size = min(count, _BLOCK)
    padded = jnp.pad(directions, ((0, -count % size), (0, 0)), mode="edge")
    used = jnp.arange(padded.shape[0]) < count

    def tabulated(direction):
        law = projected(mixture, direction)
        return law, table(law, mixture.atomic)

    def one(total, known):
        direction, used, law, found = known
        plan = transport(points @ direction, weights, law, found, p)
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
        shared = jax.lax.optimization_barrier(cut(jnp.cumsum(uniform)[:-1], found))

        def plan(x):
            made = transport(x - centre, uniform, law, found, p, shared)
            return made.cost, made.potential

        cost, potential = jax.lax.map(plan, points)
        return total + potential, cost

    start = jnp.zeros(points.shape[1:], points.dtype)
    total, costs = jax.lax.scan(one, start, (points, means, scales))
    return costs, total / points.shape[0]
