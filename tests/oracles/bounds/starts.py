"""Oracles of T49 and T51: the exact reverse process from a wrong start."""

import numpy as np
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.stats import norm

from .line import (
    cdf,
    curvature,
    line,
    logpdf,
    noised,
    score,
)
from .pins import Pin, Side

MODES = line([0.4, 0.6], [-0.3, 0.4], 0.25)


def quantiles(p, xi):
    """The increasing map of N(0, 1) to p at xi (n,), from the smaller tail."""
    mirrored = line(p.w, -p.m, p.v)
    width = 40.0 * np.sqrt(p.v.max()) + np.ptp(p.m)

    def below(p, mass):
        return brentq(lambda x: cdf(p, x) - mass, p.m.min() - width, p.m.max() + width)

    return np.array(
        [below(p, norm.cdf(s)) if s < 0.0 else -below(mirrored, norm.sf(s)) for s in xi]
    )


XI = np.linspace(-7.0, 7.0, 141)
SHARE = np.exp(-0.5 * XI**2) / np.sqrt(2.0 * np.pi) * (XI[1] - XI[0])


def flowed(p, points, first, last):
    """Points carried by dz/dv = -score/2 from V to v."""

    def slope(v, z):
        return -0.5 * score(noised(p, 1.0, v), z)

    options = {"rtol": 1e-10, "atol": 1e-12, "method": "DOP853"}
    return solve_ivp(slope, (first, last), points, **options).y[:, -1]


def flow_square(p, mean, variance, first, last):
    """W2^2 at v of the flow from N(mean, variance) at V; and W2^2 at V."""
    begun = mean + np.sqrt(variance) * XI
    exact = quantiles(noised(p, 1.0, first), XI)
    ended = flowed(p, begun, first, last) - flowed(p, exact, first, last)
    return SHARE @ ended**2, SHARE @ (begun - exact) ** 2


def sde_square(p, mean, variance, first, last):
    """W2^2 at v of the reverse SDE from N(mean, variance) at V, by its density."""
    z = mean + np.sqrt(variance) * np.linspace(-9.0, 9.0, 601)
    start = np.exp(-0.5 * (z - mean) ** 2 / variance) / np.sqrt(2.0 * np.pi * variance)
    ratio = start / np.exp(logpdf(noised(p, 1.0, first), z)) * (z[1] - z[0])
    now, left = noised(p, 1.0, last), first - last
    width = np.sqrt(now.v.max())
    x = np.linspace(p.m.min() - 9.0 * width, p.m.max() + 9.0 * width, 6001)
    kernel = np.exp(-0.5 * (z - x[:, None]) ** 2 / left) / np.sqrt(2.0 * np.pi * left)
    density = np.exp(logpdf(now, x)) * (kernel @ ratio)
    xi = XI[np.abs(XI) < 5.0]
    steep, area = CubicSpline(x, density), CubicSpline(x, density).antiderivative()
    guess = np.interp(norm.cdf(xi), area(x), x)
    for _ in range(4):
        guess = guess - (area(guess) - norm.cdf(xi)) / steep(guess)
    exact = quantiles(now, XI)[np.abs(XI) < 5.0]
    return SHARE[np.abs(XI) < 5.0] @ (guess - exact) ** 2


def log_concave_start(v):
    """Both sides for the two modes."""
    m = 1.0 / 0.25 - 0.7**2 / (4.0 * 0.25**2)
    flow, begun = flow_square(MODES, 0.0, v, v, 0.0)
    sde = sde_square(MODES, 0.0, v, v, 0.0)
    size = np.sqrt(MODES.w @ (MODES.v + MODES.m**2))
    found = {}
    for name, square, power in (("flow", flow, 0.5), ("SDE", sde, 1.0)):
        left = Side(np.sqrt(square), 1e-5)
        found[name] = left, Side(np.sqrt(begun) * (1.0 + m * v) ** -power, 1e-7)
        found[f"{name}, by size"] = left, size * (1.0 + m * v) ** -power
    return found


def reference_start(horizon, share, b=1.2, wide=0.8, mean=0.2):
    """Both sides for the two modes and N(mean, wide)."""
    p = line([0.4, 0.6], [0.6 - mean, 1.3 - mean], 0.3)

    def square_of(s):
        return np.exp(-(b**2) * s / wide)

    first, last = square_of(horizon), square_of((1.0 - share) * horizon)
    top, bottom = wide * (1.0 - first) / first, wide * (1.0 - last) / last
    ended = last * sde_square(p, 0.0, wide / first, top, bottom)
    exact = quantiles(noised(p, 1.0, top), XI)
    begun = first * SHARE @ (np.sqrt(wide / first) * XI - exact) ** 2
    x = np.linspace(-4.0, 4.0, 20001)

    def least(s):
        square = square_of(s)
        law = noised(p, np.sqrt(square), wide * (1.0 - square))
        return -curvature(law, x).max()

    nodes, rule = np.polynomial.legendre.leggauss(24)
    s = horizon * (1.0 - share * 0.5 * (nodes + 1.0))
    spent = 0.5 * horizon * share * rule @ [least(each) for each in s]
    every = min(least(each) for each in horizon * (1 - share * np.linspace(0, 1, 401)))
    whole = b**2 * horizon * share
    left = Side(ended, 1e-4)
    return {
        "": (left, Side(begun * np.exp(whole * (1.0 / wide - 2.0 * every)), 1e-4)),
        "in time": (
            left,
            Side(begun * np.exp(whole / wide - 2.0 * b**2 * spent), 1e-6),
        ),
    }


PINS = [
    Pin(
        "T49-log-concave-start",
        {"law": "two modes", "v": 0.6},
        lambda: log_concave_start(0.6),
    ),
    Pin(
        "T51-reference-start",
        {"law": "two modes", "horizon": 0.9, "share": 0.7},
        lambda: reference_start(0.9, 0.7),
    ),
]
