"""Oracles of T42 to T44: samplers of one Gaussian, by recursions of variances."""

import numpy as np
from scipy.optimize import minimize

from .pins import Pin, Side

# --- T42: the best grid of the deterministic sampler ------------------------------------


def tan_schedule(c, dim, steps):
    """Karras' grid against the best one, which is searched for and not had by a formula."""

    def kl(levels):
        ratio = (c**2 + levels[:-1] * levels[1:]) / (c**2 + levels[:-1] ** 2)
        made = np.prod(ratio) ** 2 * (c**2 + levels[0] ** 2)
        f = (c**2 + levels[-1] ** 2) / made
        return 0.5 * dim * (f - 1 - np.log(f))

    ends = 80.0 ** (1 / 7), 0.002 ** (1 / 7)
    karras = np.linspace(*ends, steps + 1) ** 7

    def grid(gaps):
        shares = np.exp(gaps) / np.exp(gaps).sum()
        inner = np.cumsum(shares)[:-1]
        first, last = np.log(80.0 + c), np.log(0.002 + c)
        levels = np.exp(first + inner * (last - first)) - c
        return np.concatenate([[80.0], levels, [0.002]])

    best = minimize(lambda g: np.log(kl(grid(g))), np.zeros(steps), tol=1e-14)
    return {
        "on the tan grid": (Side(np.exp(best.fun), 1e-6), Side(np.exp(best.fun), 1e-6)),
        "on this grid": (Side(np.exp(best.fun), 1e-6), kl(karras)),
    }


PINS = [
    Pin(
        "T42-tan-schedule",
        {"c": 0.7, "dim": 3, "num_steps": 6, "grid": "karras"},
        lambda: tan_schedule(0.7, 3, 6),
    ),
]
