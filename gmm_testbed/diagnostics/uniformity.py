r"""Whether numbers are uniform on [0, 1]: two tests, and bands for figures.

The rank of a truth among L draws, spread over its cell,

\[ u = \frac{\#\{\text{draws} < \text{truth}\} + V\,(\#\{\text{draws} = \text{truth}\} + 1)}
            {L + 1}, \qquad V \sim U(0, 1), \]

is exactly uniform for every L if truth and draws are exchangeable, also where they tie. So
the null hypothesis of both tests is: the levels are independent and uniform on [0, 1].
"""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaincc
from jaxtyping import Array, Float, Int

from .._checks import concrete, floating, require
from .._types import Scalar
from ..estimate import Estimate

_PER_BIN = 5  # expected counts from which the chi-square law is a good approximation


class Uniformity(NamedTuple):
    """Levels, and what speaks against their being uniform.

    Attributes:
        levels: (n,), independent and uniform on [0, 1] under the null.
        counts: (bins,), levels in each of the equal cells.
        chi_square: () of Pearson, from equal counts; bins - 1 degrees of freedom.
        chi_square_p: () its p-value.
        distance: () of Kolmogorov and Smirnov, max |empirical law - uniform law|.
        distance_p: () its p-value.
        mean: of the levels, with its standard error; 1/2 under the null. It tells the
            direction of what the two tests find.
    """

    levels: Float[Array, "*tests n"]
    counts: Int[Array, "*tests bins"]
    chi_square: Float[Array, "*tests"]
    chi_square_p: Float[Array, "*tests"]
    distance: Float[Array, "*tests"]
    distance_p: Float[Array, "*tests"]
    mean: Estimate


def ranked(
    uniform: Float[Array, ""], truth: Float[Array, ""], draws: Float[Array, " L"]
) -> Scalar:
    """The level of one truth among its draws, ().

    A draw that is not a number counts as above the truth.

    Args:
        uniform: () on [0, 1], independent of the rest.
        truth: ().
        draws: (L,).
    """
    below = jnp.sum((draws < truth).astype(draws.dtype))
    tied = jnp.sum((draws == truth).astype(draws.dtype))
    return (below + uniform * (tied + 1.0)) / (draws.shape[0] + 1.0)


def uniformity(levels: Float[Array, "*tests n"], bins: int = 20) -> Uniformity:
    """Tests levels (..., n) for being independent and uniform on [0, 1].

    Every row of the last axis is a test of its own. The p-value of the distance is the
    exact one, which SciPy computes on the host: this runs outside jit and vmap.

    Args:
        levels: (..., n).
        bins: equal cells of the chi-square test and of the histogram.

    Raises:
        InputError: if fewer than five levels are expected in a cell, or under jit.
    """
    levels = floating(levels)
    count = levels.shape[-1] if levels.ndim else 0
    require(
        bins >= 2 and count >= _PER_BIN * bins,
        "too few levels for so many bins",
        got=f"{count} levels, {bins} bins",
        expected=f"two bins or more, and {_PER_BIN} levels a bin",
        hint="take more pairs, or fewer bins",
    )
    require(
        concrete(levels),
        "p-values are computed on the host",
        got="levels that are traced",
        expected="numbers",
        hint="call it outside jit and vmap: it takes levels (..., n)",
    )
    statistics = partial(_statistics, bins=bins)
    for _ in levels.shape[:-1]:
        statistics = jax.vmap(statistics)
    counts, chi_square, distance, mean = statistics(levels)
    return Uniformity(
        levels,
        counts,
        chi_square,
        gammaincc(0.5 * (bins - 1), 0.5 * chi_square),
        distance,
        kolmogorov_tail(distance, count),
        mean,
    )


@eqx.filter_jit
def _statistics(levels, bins):
    """Counts (bins,), chi-square (), Kolmogorov distance () and mean of levels (n,)."""
    count = levels.shape[0]
    cells = jnp.minimum((levels * bins).astype(int), bins - 1)
    counts = jnp.zeros(bins, int).at[cells].add(1)
    equal = count / bins
    chi_square = jnp.sum((counts.astype(levels.dtype) - equal) ** 2) / equal
    ordered = jnp.sort(levels)
    steps = jnp.arange(count + 1, dtype=levels.dtype) / count
    distance = jnp.maximum(jnp.max(steps[1:] - ordered), jnp.max(ordered - steps[:-1]))
    mean = Estimate.mean_of(levels, how=f"{count} pairs")
    return counts, chi_square, distance, mean


def kolmogorov_tail(
    distance: Float[Array, "*tests"], count: int
) -> Float[Array, "*tests"]:
    """P(D > distance) (...) for the Kolmogorov distance D of `count` uniform numbers.

    Exact (Simard and L'Ecuyer, J. Stat. Softw. 39 (2011), as SciPy has it), on the host.

    Args:
        distance: (...).
        count: how many numbers.
    """
    from scipy.stats import kstwo  # slow to import

    return jnp.asarray(kstwo.sf(np.asarray(distance), count), distance.dtype)


def ecdf_band(count: int, level: float = 0.99) -> float:
    r"""Half-width of a band about the diagonal that holds the whole empirical law.

    \(\sqrt{\log(2/(1 - p)) / 2n}\), with probability at least p for every n (Massart,
    Ann. Probab. 18 (1990), 1269-1283).
    """
    return float(np.sqrt(np.log(2.0 / (1.0 - level)) / (2 * count)))


def histogram_band(count: int, bins: int, level: float = 0.99) -> tuple[int, int]:
    """Lowest and highest count of one bin: a central interval of its binomial law.

    It holds for each bin alone: of 20 bins at 0.99, one in five histograms has one outside.
    """
    from scipy.stats import binom  # slow to import

    low, high = binom.interval(level, count, 1.0 / bins)
    return int(low), int(high)
