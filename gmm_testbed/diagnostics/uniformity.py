r"""Whether numbers are uniform on [0, 1]: two tests, and bands for figures.

The rank of a truth among L draws, spread over its cell,

\[ u = \frac{\#\{\text{draws} < \text{truth}\} + V\,(\#\{\text{draws} = \text{truth}\} + 1)}
            {L + 1}, \qquad V \sim U(0, 1), \]

is exactly uniform for every L if truth and draws are exchangeable, also where they tie. So
the null hypothesis of both tests is: the levels are independent and uniform on [0, 1].
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaincc
from jaxtyping import Array, Float, Int

from .._checks import require
from .._types import Scalar
from ..estimate import Estimate

_TERMS = 20  # of either series below; the last one is below 1e-100
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


def uniformity(levels: Float[Array, " n"], bins: int = 20) -> Uniformity:
    """Tests levels (n,) for being independent and uniform on [0, 1].

    Args:
        levels: (n,).
        bins: equal cells of the chi-square test and of the histogram.

    Raises:
        InputError: if fewer than five levels are expected in a cell.
    """
    count = levels.shape[0]
    require(
        bins >= 2 and count >= _PER_BIN * bins,
        "too few levels for so many bins",
        got=f"{count} levels, {bins} bins",
        expected=f"two bins or more, and {_PER_BIN} levels a bin",
        hint="take more pairs, or fewer bins",
    )
    cells = jnp.minimum((levels * bins).astype(int), bins - 1)
    counts = jnp.zeros(bins, int).at[cells].add(1)
    equal = count / bins
    chi_square = jnp.sum((counts.astype(levels.dtype) - equal) ** 2) / equal
    ordered = jnp.sort(levels)
    steps = jnp.arange(count + 1, dtype=levels.dtype) / count
    distance = jnp.maximum(jnp.max(steps[1:] - ordered), jnp.max(ordered - steps[:-1]))
    return Uniformity(
        levels,
        counts,
        chi_square,
        gammaincc(0.5 * (bins - 1), 0.5 * chi_square),
        distance,
        kolmogorov_tail(distance, count),
        Estimate.mean_of(levels, how=f"{count} pairs"),
    )


def kolmogorov_tail(distance: Scalar, count: int) -> Scalar:
    r"""P(D > distance) for the Kolmogorov distance of `count` uniform numbers, ().

    The limit law at \(x + 1/(6\sqrt n) + (x - 1)/(4n)\), with \(x = \sqrt n D\) (Vrbik,
    Pioneer J. Theor. Appl. Stat. 15 (2018), 15-23): within 4e-4 of the exact probability
    from n = 40 on (measured).
    """
    root = np.sqrt(count)
    x = root * distance
    x = x + 1.0 / (6.0 * root) + (x - 1.0) / (4.0 * count)
    k = jnp.arange(1, _TERMS + 1, dtype=x.dtype)
    large = jnp.where(x > 1.0, x, 1.0)
    signs = jnp.where(k % 2 == 1, 2.0, -2.0)
    tail = jnp.sum(signs * jnp.exp(-2.0 * k**2 * large**2))
    small = jnp.where(x > 1.0, 1.0, x)
    odd = (2.0 * k - 1.0) ** 2
    head = jnp.sum(jnp.exp(-odd * np.pi**2 / (8.0 * small**2)))
    return jnp.where(x > 1.0, tail, 1.0 - np.sqrt(2.0 * np.pi) / small * head)


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
    log_factorials = np.cumsum(np.log(np.maximum(np.arange(count + 1), 1)))
    log_choose = log_factorials[-1] - log_factorials - log_factorials[::-1]
    inside, p = np.arange(count + 1), 1.0 / bins
    law = np.exp(log_choose + inside * np.log(p) + inside[::-1] * np.log1p(-p))
    below, tail = np.cumsum(law), 0.5 * (1.0 - level)
    return int(np.searchsorted(below, tail)), int(np.searchsorted(below, 1.0 - tail))
