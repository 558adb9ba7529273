r"""Lecture 06, deterministic samplers: maps, densities, orders.

A sampler without noise is a map, \(x_N = \Phi(x_0)\), and its law the image of its start:
\(\log q(\Phi(x)) = \log\pi(x) - \sum_i \log|\det D\Phi_i|\), as long as no step folds
space. On the line the exact map takes quantiles to quantiles.
"""

from ..exercise import Exercise
from . import maps, steps

EXERCISES: dict[str, Exercise] = {
    "monotone-map": maps.MONOTONE_MAP,
    "log-density-after-a-step": maps.LOG_DENSITY,
    "order": steps.ORDER,
    "fold": steps.FOLD,
}
