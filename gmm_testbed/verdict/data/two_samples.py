r"""Draws of a sampler beside exact ones: distances of two sets, unbiased.

The energy distance of x (n, d) with weights w and exact draws z (M, d),

\[ 2 \sum_i \frac{w_i}{M} \sum_j \|x_i - z_j\|
   - \frac{\sum_{i \ne j} w_i w_j \|x_i - x_j\|}{1 - \sum_i w_i^2}
   - \frac{1}{M (M - 1)} \sum_{i \ne j} \|z_i - z_j\| , \]

has mean zero where both have one law (Székely and Rizzo, J. Statist. Plann. Inference 143
(2013), 1249-1272). Its own error is not needed: the same is done with other exact draws in
place of x, many times.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Reference:
    """Exact draws z (M, d) to which others are compared."""

    def __init__(self, z: Float[np.ndarray, "M d"]):
        self.z, self.centre = z, z.mean(axis=0)
        uniform = np.full(len(z), 1.0 / len(z))
        self.between = _within(z - self.centre, uniform)

    def distance(self, x: Float[np.ndarray, "n d"], weights: Float[np.ndarray, " n"]):
        """The energy distance of x with weights (n,), over the mean distance of two z."""
        x, z = x - self.centre, self.z - self.centre
        across = 2.0 * float(weights @ _lengths(x, z).mean(axis=1))
        return (across - _within(x, weights) - self.between) / self.between


class Moments(NamedTuple):
    """First moments of draws beside the exact ones.

    Attributes:
        offset: squared distance of the means over the exact total variance, unbiased.
        spread: total variance over the exact one.
    """

    offset: float
    spread: float


def moments(
    x: Float[np.ndarray, "n d"],
    weights: Float[np.ndarray, " n"],
    mean: Float[np.ndarray, " d"],
    variance: float,
) -> Moments:
    """Moments of x with weights (n,) beside an exact mean (d,) and total variance.

    Args:
        x: (n, d).
        weights: (n,) normalised.
        mean: exact.
        variance: exact, the trace of the covariance, positive.
    """
    own = weights @ x
    squares = float(np.sum(weights**2))
    total = float(weights @ ((x - own) ** 2).sum(axis=1)) / (1.0 - squares)
    offset = float(np.sum((own - mean) ** 2)) - squares * total
    return Moments(offset / variance, total / variance)


def _within(x, weights) -> float:
    """Mean distance of two different points."""
    pairs = weights @ _lengths(x, x) @ weights
    return float(pairs / (1.0 - np.sum(weights**2)))


def _lengths(x, z) -> np.ndarray:
    squares = (x**2).sum(axis=1)[:, None] - 2.0 * x @ z.T + (z**2).sum(axis=1)
    lengths = np.sqrt(np.maximum(squares, 0.0))
    if x is z:
        np.fill_diagonal(lengths, 0.0)
    return lengths
