r"""Whether two sets of samples, or samples and weighted ones, have the same law."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key
from ..estimate import Estimate

_AT_ONCE = 400  # samples of each set in the test of energies


class Agreement(NamedTuple):
    """A two-sample test.

    Attributes:
        share: the energy distance over twice the mean distance between the sets, in
            [0, 1]: 0 if the laws are the same.
        p_value: of a permutation test.
    """

    share: float
    p_value: float


class Shift(NamedTuple):
    """The feature whose mean differs most significantly.

    Attributes:
        index: of the feature.
        difference: of the means, in standard deviations of the feature in the reference.
        p_value: times the number of features (Bonferroni), at most 1.
    """

    index: int
    difference: Estimate
    p_value: float


def same_law(
    key: Key, x: Float[Array, "n d"], z: Float[Array, "k d"], permutations: int = 999
) -> Agreement:
    """The energy test of Székely and Rizzo on up to 400 samples of each set.

    Args:
        key: of the permutations.
        x: (n, d), independent.
        z: (k, d), independent, and of x.
        permutations: the p-value is at least one in so many and one.
    """
    num = min(_AT_ONCE, x.shape[0], z.shape[0])
    share, above = _energy(key, x[:num], z[:num], permutations)
    return Agreement(float(share), float((1 + above) / (1 + permutations)))


@eqx.filter_jit
def _energy(key, x, z, permutations: int):
    both = jnp.concatenate([x, z])
    num = x.shape[0]
    squares = jnp.sum(both**2, axis=1)
    distances = squares[:, None] + squares[None] - 2.0 * both @ both.T
    distances = jnp.sqrt(jnp.maximum(distances, 0.0))  # rounding of equal points
    side = jnp.where(jnp.arange(2 * num) < num, 1.0, -1.0).astype(both.dtype)

    def energy(side):
        return -side @ distances @ side / num**2

    keys = jax.random.split(key, permutations)
    shuffled = jax.vmap(lambda key: jax.random.permutation(key, side))(keys)
    of_chance = -jnp.sum((shuffled @ distances) * shuffled, axis=1) / num**2
    across = 2.0 * jnp.mean(distances[:num, num:])
    found = energy(side)
    return found / across, jnp.sum((of_chance >= found).astype(both.dtype))


def largest_shift(
    plain: Float[Array, "n f"],
    reference: Float[Array, "k f"],
    weights: Float[Array, " k"],
    tolerance: float,
    *,
    paired: bool = False,
) -> Shift:
    """Of features, the one whose mean moves most, of those beyond the tolerance.

    Args:
        plain: (n, f), features of samples of equal weight.
        reference: (k, f), of the reference.
        weights: (k,), normalised.
        tolerance: in standard deviations of the feature in the reference; a smaller
            difference has a p-value of 1.
        paired: whether both are the same samples, which the reference weighs; else they
            are independent.
    """
    right = Estimate.mean_of(reference, weights)
    spread = jnp.sqrt(weights @ (reference - right.value[None]) ** 2)
    spread = jnp.where(spread > 0, spread, 1.0)
    if paired:
        count = weights.shape[0]
        own = jnp.mean(plain, axis=0)
        moved = count * weights[:, None] * (plain - right.value[None])
        slopes = (plain - own[None]) - moved
        error = Estimate.mean_of(slopes).stderr
        found = Estimate(own - right.value, error, right.how, freedom=right.freedom)
    else:
        found = Estimate.mean_of(plain) - right
    found = found / Estimate(spread)
    p = _two_sided(found) * found.value.size
    p = np.where(np.abs(np.asarray(found.value)) > tolerance, np.minimum(p, 1.0), 1.0)
    distance = np.abs(np.asarray(found.distance(0.0)))
    index = int(np.lexsort((-distance, p))[0])
    return Shift(index, found[index], float(p[index]))


def _two_sided(found: Estimate) -> np.ndarray:
    """P-values of differences from zero, by Student's law."""
    from scipy.stats import t as student  # slow to import

    freedom = np.minimum(np.asarray(found.freedom), 1e9)
    return 2.0 * student.sf(np.abs(np.asarray(found.distance(0.0))), freedom)
