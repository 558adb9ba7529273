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
from jaxtyping import Array, Float

from ..._checks import choose, concrete, require
from ..._types import Key
from ...densities.line_table import projected, table
from ...estimate import Estimate
from ...mixture import GaussianMixture
from .checks import checked, described, variance_of_mean
from .semi_discrete import check_power, rooted_if, transport

_FEW_BLOCKS = 10  # with fewer, directions count as independent
_MANY = 1_000_000  # samples times directions, from which two threads share them
_PARTS = 50  # at most, that the threads share
_BLOCK = 10  # directions whose tables are held at a time


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
    """`_along`, by two threads if there is much to do: a scan keeps one core busy."""
    count = directions.shape[0]
    case = points, weights, mixture, p
    parts = next(k for k in range(_PARTS, 0, -1) if count % k == 0)
    known = concrete(directions, *jax.tree.leaves(case[:3]))
    if parts == 1 or count * points.shape[0] < _MANY or not known:
        return _along(directions, *case)

    def part(some):
        return jax.block_until_ready(_along(some, *case))

    with ThreadPoolExecutor(2) as pool:
        if pool.submit(jnp.result_type, float).result() != jnp.result_type(float):
            return _along(directions, *case)  # a precision of the caller's thread alone
        first, *others = jnp.split(directions, parts)
        found = [part(first)]  # compiles, which two threads would do twice
        found += pool.map(part, others)
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
