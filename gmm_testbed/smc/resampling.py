r"""Resampling: which particles go on, given their weights.

Every scheme turns uniform numbers \(U_i\) and log-weights into ancestors (num,), such that
particle k has \(n W_k\) offspring on average:

- multinomial: n independent draws, at the points \(U_i\) of the cumulative weights;
- stratified: one point in each of n equal cells, \((i + U_i)/n\);
- systematic: the same offset in every cell, \((i + U_0)/n\);
- residual: \(\lfloor n W_k \rfloor\) copies each, and multinomial draws for the rest.

Reference: Douc, Cappe & Moulines 2005, arXiv:cs/0507025.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._checks import choose, vector
from .._types import Scalar
from ..mixture.components import below_total, cumulative

Weights = Float[Array, " num"]
Ancestors = Int[Array, " num"]


def multinomial(uniforms: Weights, log_weights: Weights) -> Ancestors:
    """Independent draws; the only scheme `conditional` and `kl_bounds` take."""
    return _search(jax.nn.softmax(log_weights), uniforms)


def stratified(uniforms: Weights, log_weights: Weights) -> Ancestors:
    """One draw in each of n equal cells."""
    return _search(jax.nn.softmax(log_weights), _cells(uniforms))


def systematic(uniforms: Weights, log_weights: Weights) -> Ancestors:
    """The same offset in each of n equal cells; uses the first number only."""
    same = jnp.broadcast_to(uniforms[:1], uniforms.shape)
    return _search(jax.nn.softmax(log_weights), _cells(same))


def residual(uniforms: Weights, log_weights: Weights) -> Ancestors:
    """Copies of the whole part of n W, multinomial draws of what is left."""
    num = uniforms.shape[0]
    expected = num * jnp.exp(log_weights - jax.nn.logsumexp(log_weights))
    whole = jnp.floor(expected)
    position = jnp.arange(num, dtype=expected.dtype)
    copies = jnp.cumsum(whole)
    copied = jnp.searchsorted(copies, position, side="right")
    drawn = _search(expected - whole, uniforms)
    return jnp.where(position < copies[-1], copied, drawn)


SCHEMES: dict[str, Callable[[Weights, Weights], Ancestors]] = {
    "multinomial": multinomial,
    "stratified": stratified,
    "systematic": systematic,
    "residual": residual,
}


def scheme(name: str) -> Callable:
    """The scheme of that name.

    Raises:
        InputError: for an unknown name.
    """
    return choose(name, SCHEMES, "resampling scheme")


def effective_size(log_weights: Weights) -> Scalar:
    r"""\((\sum W)^2 / \sum W^2\), between 1 and n."""
    log_weights = vector(log_weights, "log_weights")
    total = 2.0 * jax.nn.logsumexp(log_weights)
    return jnp.exp(total - jax.nn.logsumexp(2.0 * log_weights))


def _cells(offsets):
    num = offsets.shape[0]
    return (jnp.arange(num, dtype=offsets.dtype) + offsets) / num


def _search(weights, levels):
    """The particle in whose share of the total weight each level in (0, 1) falls."""
    sums = cumulative(weights)
    found = jnp.searchsorted(sums, below_total(levels, sums[-1]), side="right")
    return jnp.minimum(found, weights.shape[0] - 1)  # beyond it only where all died
