"""Integrals over all noise levels v, for one Gaussian prior."""

from collections.abc import Callable

import numpy as np

from ...divergences.expectation import refined

_NODES = 200


def over_levels(function: Callable, variance: float) -> float:
    r"""The integral of f(v) over v from 0 to infinity, where f falls as a power.

    By Gauss-Legendre in t with \(s^2 + v = s^2 / t^4\), in which a power of \(s^2 + v\)
    with a multiple of 1/4 as its exponent is smooth at infinity.

    Args:
        function: of v (n,), to (n,).
        variance: \(s^2\), the largest of the prior.
    """
    nodes, weights = np.polynomial.legendre.leggauss(refined(_NODES))
    t = 0.5 * (nodes + 1.0)
    w = variance / t**4
    return float(0.5 * weights @ (function(w - variance) * 4.0 * w / t))
