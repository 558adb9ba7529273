"""Rules on an interval, and over all noise levels v, for one Gaussian prior."""

import functools
from collections.abc import Callable

import numpy as np

from ...divergences.expectation import refined

_NODES = 200


@functools.cache
def legendre(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (n,) of [0, 1] and weights (n,) of the rule of Gauss and Legendre.

    Args:
        nodes: n; `divergences.expectation.refined` of it where it may be doubled.
    """
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return 0.5 * (points + 1.0), 0.5 * weights


def over_levels(function: Callable, variance: float) -> float:
    r"""The integral of f(v) over v from 0 to infinity, where f falls as a power.

    By Gauss-Legendre in t with \(s^2 + v = s^2 / t^4\), in which a power of \(s^2 + v\)
    with a multiple of 1/4 as its exponent is smooth at infinity.

    Args:
        function: of v (n,), to (n,).
        variance: \(s^2\), the largest of the prior.
    """
    t, weights = legendre(refined(_NODES))
    w = variance / t**4
    return float(weights @ (function(w - variance) * 4.0 * w / t))
