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

from .._checks import choose, concrete, require
from .._types import Key
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .line_table import projected
from .samples import checked, described, variance_of_mean
from .semi_discrete import check_power, rooted_if, transport

_FEW_BLOCKS = 10  # with fewer, directions count as independent
_MANY = 1_000_000  # samples times directions, from which two threads share them


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
    known = concrete(directions, *jax.tree.leaves(case[:3]))
    if count % 2 or count * points.shape[0] < _MANY or not known:
        return _along(directions, *case)
    with ThreadPoolExecutor(1) as pool:
        if pool.submit(jnp.result_type, float).result() != jnp.result_type(float):
            return _along(directions, *case)  # a precision of the caller's thread alone
        other = pool.submit(_along, directions[: count // 2], *case)
        costs, potential = _along(directions[count // 2 :], *case)
        first, mean = other.result()
    return jnp.concatenate([first, costs]), 0.5 * (mean + potential)


@eqx.filter_jit
def _along(directions, points, weights, mixture, p: int):
    """Costs (L,), and the mean over directions of the potential at the samples (n,)."""
    centre = mixture.mean()

    def body(total, direction):
        law = projected(mixture, direction)
        law = law._replace(means=law.means - centre @ direction)
        x = (points - centre[None]) @ direction
        plan = transport(x, weights, law, p, mixture.atomic)
        return total + plan.potential, plan.cost

    total, costs = jax.lax.scan(body, jnp.zeros_like(weights), directions)
    return costs, total / directions.shape[0]
