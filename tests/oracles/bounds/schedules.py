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


# --- T43: diffusion and Langevin for one Gaussian -----------------------------------------


def condition_number(kappa, dim, N, accuracy):
    """Loops over steps; the bounds as they are printed."""
    values = np.array([kappa ** (-i / (dim - 1)) for i in range(dim)])
    tr, top, low = values.sum(), values.max(), values.min()

    def w2(made):
        return np.sqrt(np.sum((np.sqrt(made) - np.sqrt(values)) ** 2))

    def flow(steps, T, delta):
        tau, made = T, np.full(dim, T)
        for k in range(1, steps + 1):
            later = T * (delta / T) ** (k / steps)
            made = (1 - (tau - later) / (values + tau)) ** 2 * made + (tau - later)
            tau = later
        return w2(made)

    def ula(steps, eta):
        made = np.zeros(dim)
        for _ in range(steps):
            made = (1 - eta / values) ** 2 * made + 2 * eta
        return w2(made)

    rho, aN = dim * top / tr, (1 + 4 / N**2) ** 0.5 * N ** (5 / (2 * N))
    third = (
        tr**0.5 / N * (5 / 8 * aN * rho ** (1 / N) * np.log(rho**0.4 * N) + 1 + 8**0.5)
    )
    fourth = (
        (dim * top) ** 0.5 / N * (5 / 2 ** (5 / 4) * np.log(N) + (5 / 4) ** 1.5 + 1)
    )
    inverse = np.sum(1 / values) ** 0.5
    first = top * inverse / N * (np.log(N) / 4 + 2**0.5)
    eps = accuracy * tr**0.5
    delta = eps**2 / (9 * dim)
    T = (3 / eps) ** 0.5 * np.sum((values + delta) ** 3 * values**2) ** 0.25
    few = 3 * np.e / 4 * (tr + 4 * eps**2 / 9) ** 0.5 / eps * np.log(T / delta)
    many = top / low / 2 * max(1, low * inverse / eps) * np.log((8 * tr) ** 0.5 / eps)
    return {
        "Theorem 3": (
            flow(N, (np.sum(values**5) / tr) ** 0.25 * N**0.5, tr / (dim * N**2)),
            third,
        ),
        "Proposition 4": (flow(N, top * N**0.5, top / N**2), fourth),
        "Theorem 1": (ula(N, top * np.log(N) / (2 * N)), first),
        "Corollary 5, diffusion": (flow(int(np.ceil(few)), T, delta), eps),
        "Corollary 5, ULA": (ula(int(np.ceil(many)), min(low, eps / inverse)), eps),
    }


PINS = [
    Pin(
        "T43-condition-number",
        {"kappa": 20.0, "dim": 7, "num_steps": 60, "accuracy": 0.15},
        lambda: condition_number(20.0, 7, 60, 0.15),
    ),
    Pin(
        "T42-tan-schedule",
        {"c": 0.7, "dim": 3, "num_steps": 6, "grid": "karras"},
        lambda: tan_schedule(0.7, 3, 6),
    ),
]
