r"""Errors of means under normalised weights \(w_i\), down to a few that count.

A weighted mean \(\bar f = \sum_i w_i f_i\) has the variance

\[ V = \sum_i \frac{w_i^2 (f_i - \bar f)^2}{(1 - w_i)^2 + \sum_{j \ne i} w_j^2} , \]

whose denominator is \(E (f_i - \bar f)^2 / \operatorname{Var} f\) for weights that do not
depend on f: V is then unbiased, \(s^2/n\) for equal weights, and does not vanish where one
weight is almost all. For many samples the denominator is 1, and V the usual variance of
self-normalised importance sampling (Owen, Monte Carlo theory, methods and examples, 2013,
section 9.2). Its degrees of freedom are Satterthwaite's,
\((\operatorname{tr} M)^2 / \operatorname{tr} M^2\) for V written as \(f^T M f\): n - 1 for
equal weights, about 1 where one of the weights is most of their squares.

With an effective number \(1/\sum_i w_i^2\) of two or less there is no error (NaN), none of
a mean over pairs with three or less.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._types import Scalar

MEAN, PAIRS = 2, 3  # effective samples of which a mean, a mean over pairs has no error
_ROUNDING = 1e-6  # of an effective number
_SHORTEST_TAIL = 5  # weights, from which a tail can be fitted


class Parts(NamedTuple):
    r"""What the formulas need of weights (n,), each a sum of positive terms.

    Attributes:
        squares: () \(\sum_i w_i^2\), one over the effective number.
        rest: (n,) \(1 - w_i\).
        others: (n,) \(\sum_{j \ne i} w_j^2\).
    """

    squares: Scalar
    rest: Float[Array, " n"]
    others: Float[Array, " n"]


def parts(weights: Float[Array, " n"]) -> Parts:
    """Of normalised weights: nothing cancels where one of them is almost 1."""
    top = jnp.arange(weights.shape[0]) == jnp.argmax(weights)
    beside = jnp.where(top, 0.0, weights)
    squares = jnp.sum(weights**2)
    rest = jnp.where(top, jnp.sum(beside), 1.0 - weights)
    return Parts(
        squares, rest, jnp.where(top, jnp.sum(beside**2), squares - weights**2)
    )


def enough(squares: Array | float, few: int = MEAN) -> Array | bool:
    """Whether the effective number is above `few`, so that there is an error."""
    return few * squares < 1.0 - _ROUNDING


def mean_and_variance(
    terms: Float[Array, "n *shape"], weights: Float[Array, " n"]
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Weighted mean of terms over the first axis, and its variance as the module says."""
    found = parts(weights)
    # Far from the origin the differences are exact, and weights need not sum to one.
    origin = terms[jnp.argmax(weights)]
    origin = jnp.where(jnp.isfinite(origin), origin, 0.0)
    offsets = terms - origin[None]
    mean = jnp.tensordot(weights, offsets, 1)
    chosen = coefficients(weights, found)
    variance = jnp.tensordot(chosen, (offsets - mean[None]) ** 2, 1)
    return origin + mean, jnp.where(enough(found.squares), variance, jnp.nan)


def coefficients(weights: Float[Array, " n"], found: Parts) -> Float[Array, " n"]:
    """What multiplies the squares in the variance, (n,)."""
    below = found.rest**2 + found.others
    return weights**2 / jnp.where(below > 0, below, 1.0)


def freedom(weights: Float[Array, " n"]) -> Scalar:
    """Degrees of freedom of the variance of a mean, as the module says."""
    found = parts(weights)
    a, total = coefficients(weights, found), found.squares
    zeroth, first, second = jnp.sum(a), a @ weights, a @ weights**2
    mixed = (total * zeroth) ** 2 - 4.0 * total * zeroth * first
    mixed = mixed + 2.0 * zeroth * second + 2.0 * first**2
    own = weights**4 - (a * (total - 2.0 * weights)) ** 2
    freedom = total**2 / (jnp.sum(own) + mixed)
    return jnp.where(enough(total), jnp.maximum(freedom, 1.0), jnp.nan)


def freedom_of_squares(weights: Float[Array, " n"]) -> Scalar:
    r"""Degrees of freedom of the variance of a mean of squares of normal values.

    Those of a mean times \(2/(\kappa - 1)\), their kurtosis being 15; at least 1.
    """
    return jnp.maximum(freedom(weights) / 7.0, 1.0)


def pareto_shape(log_weights: Float[np.ndarray, " n"]) -> float:
    r"""Shape k of the Pareto tail of weights: their moments of order 1/k are infinite.

    Of the largest \(\min(n/5, 3 \sqrt n)\), by Zhang and Stephens (Technometrics 51 (2009),
    316-325), drawn towards 1/2 as by ten more weights, as in Vehtari, Simpson, Gelman, Yao
    and Gabry (JMLR 25 (2024), appendix G). NaN where the tail has fewer than five.
    """
    count = log_weights.shape[0]
    size = int(np.ceil(min(0.2 * count, 3.0 * np.sqrt(count))))
    if size < _SHORTEST_TAIL:
        return float("nan")
    ordered = np.sort(log_weights)
    scaled = np.exp(ordered[-size - 1 :] - ordered[-1])
    tail = scaled[1:] - scaled[0]
    if not tail[0] > 0:  # ties with the rest
        tail = tail[tail > 0]
        if tail.shape[0] < _SHORTEST_TAIL:
            return float("-inf") if np.ptp(scaled) == 0 else float("nan")
    size = tail.shape[0]
    grid = 30 + int(np.sqrt(size))
    quartile = tail[int(size / 4 + 0.5) - 1]
    b = 1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    b = b / (3.0 * quartile) + 1.0 / tail[-1]
    k = np.mean(np.log1p(-b[:, None] * tail[None]), axis=1)
    likelihood = size * (np.log(-b / k) - k - 1.0)
    chances = np.exp(likelihood - likelihood.max())
    b = chances @ b / chances.sum()
    shape = np.mean(np.log1p(-b * tail))
    return float((size * shape + 5.0) / (size + 10.0))


def largest_shape(count: int) -> float:
    """Pareto shape up to which so many weights can be relied on, at most 0.7.

    Source: Vehtari, Simpson, Gelman, Yao and Gabry, JMLR 25 (2024), section 3.2.4.
    """
    return min(1.0 - 1.0 / np.log10(max(count, 11)), 0.7)
