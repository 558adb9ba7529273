"""Oracles of T50: the density of DPS beside the posterior, on the line."""

import numpy as np
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from scipy.stats import norm

from .line import (
    denoised,
    denoised_moments,
    evidence,
    line,
    mean,
    noised,
    pdf,
    score,
    seen,
    variance,
)
from .pins import Pin, Side

A, SEEN, FIRST, LAST = 1.2, 0.9, 300.0, 0.05


def posterior_points(p, noise):
    """Law at the last level given y, and three points of it."""
    given = seen(p, A, noise, SEEN)
    law = noised(given, 1.0, LAST)
    return law, mean(law) + np.sqrt(variance(law)) * np.array([-1.5, 0.0, 1.5])


LABELS = "-1.5 sd", "at the mean", "+1.5 sd"


def dps_gaussian(noise, centre=0.4, own=0.7, printed=False):
    """One Gaussian: moments of the linear SDE, and the Riccati equations of log k."""
    p = line([1.0], [centre], own)
    law, x = posterior_points(p, noise)

    def drift(v):
        """Slope and constant of score and guidance."""
        gain = own / (own + v)
        pull = gain * A / noise  # of y - a m, m = centre + gain (z - centre)
        slope = -1.0 / (own + v) - pull * A * gain
        return slope, -slope * centre + pull * (SEEN - A * centre)

    def moments(v, state):
        slope, constant = drift(v)
        return [-(slope * state[0] + constant), -2.0 * slope * state[1] - 1.0]

    tight = {"rtol": 1e-11, "atol": 1e-13, "method": "LSODA"}
    begin = [centre, own + FIRST]
    m, s2 = solve_ivp(moments, (FIRST, LAST), begin, **tight).y[:, -1]
    ratio = norm.pdf(x, m, np.sqrt(s2)) / pdf(law, x)

    def riccati(v, state):
        """log k = a + b z + g z^2 / 2, of which c = c0 + c1 z + c2 z^2."""
        _, b, g = state
        gain = own / (own + v)
        spread = own * v / (own + v)
        level, slope = SEEN - A * centre + A * gain * centre, -A * gain
        factor = 0.5 * (spread * A / noise) ** 2
        factor *= 1.0 / (1.0 + v) if printed else 1.0 / v**2
        trace = 0.5 * (A * spread / v) ** 2 / noise
        c0 = factor * level**2 - trace
        c1, c2 = 2.0 * factor * level * slope, factor * slope**2
        return [c0 - 0.5 * (g + b**2), c1 - b * g, 2.0 * c2 - g**2]

    def log_approximate(v):
        """Coefficients of log N(y; a m, noise)."""
        gain = own / (own + v)
        level, slope = SEEN - A * centre + A * gain * centre, -A * gain
        constant = -0.5 * level**2 / noise - 0.5 * np.log(2.0 * np.pi * noise)
        return np.array([constant, -level * slope / noise, -(slope**2) / noise])

    end = solve_ivp(riccati, (FIRST, LAST), -log_approximate(FIRST), **tight).y[:, -1]

    def log_ratio(z):
        a, b, g = end + log_approximate(LAST)
        likely = np.array([evidence(one(z), A, noise, SEEN) for z in z])
        return a + b * z + 0.5 * g * z**2 - likely + evidence(p, A, noise, SEEN)

    def one(z):
        gain = own / (own + LAST)
        return line([1.0], [centre + gain * (z - centre)], own * LAST / (own + LAST))

    found = np.exp(log_ratio(x))
    z = mean(law) + np.sqrt(variance(law)) * np.linspace(-9.0, 9.0, 2001)
    total = np.sum(pdf(law, z) * np.exp(log_ratio(z))) * (z[1] - z[0])
    if printed:
        found = found / total
    pairs = zip(LABELS, ratio, found, strict=True)
    sides = {n: (Side(left, 1e-5), Side(right, 1e-5)) for n, left, right in pairs}
    return sides if printed else sides | {"mean": (Side(total, 1e-5), 1.0)}


def dps_modes(noise):
    """Two modes: Euler steps of the density, extrapolated; paths that are drawn."""
    p = line([0.4, 0.6], [-1.0, 1.2], [0.3, 0.5])
    law, x = posterior_points(p, noise)

    def density(count):
        levels = np.geomspace(FIRST, LAST, count + 1)
        unit = np.linspace(-7.0, 7.0, 601)
        z = unit * np.sqrt(1.6 + FIRST)
        now = pdf(noised(p, 1.0, FIRST), z)
        for high, low in zip(levels[:-1], levels[1:], strict=True):
            m, C = denoised_moments(p, z, high)
            pull = A * C / high * (SEEN - A * m) / noise
            there = z + (high - low) * (score(noised(p, 1.0, high), z) + pull)
            after = unit * np.sqrt(1.6 + low)
            kernel = norm.pdf(after[:, None], there, np.sqrt(high - low))
            now, z = kernel @ now * (z[1] - z[0]), after
        return CubicSpline(z, now)(x)

    coarse, fine = density(200), density(400)
    ratio = (2.0 * fine - coarse) / pdf(law, x)

    draw = np.random.default_rng(5)
    levels = np.geomspace(LAST, FIRST, 201)
    found = {}
    for label, left, begin in zip(LABELS, ratio, x, strict=True):
        z, spent, before = np.full(10000, begin), 0.0, None
        for low, high in zip(np.append(LAST, levels[:-1]), levels, strict=True):
            z = z + np.sqrt(high - low) * draw.standard_normal(z.size)
            m, C = denoised_moments(p, z, high)
            c = (A * C * (SEEN - A * m) / noise) ** 2 - (A * C) ** 2 / noise
            c = 0.5 * c / high**2
            spent = spent + (
                0.0 if before is None else 0.5 * (high - low) * (c + before)
            )
            before = c
        weights = np.exp(-spent) / norm.pdf(SEEN, A * m, np.sqrt(noise))
        m = denoised_moments(p, np.array([begin]), LAST)[0][0]
        log = evidence(p, A, noise, SEEN) + norm.logpdf(SEEN, A * m, np.sqrt(noise))
        shares, means, variances = denoised(p, begin, LAST)
        factor = np.exp(log - evidence(line(shares, means, variances), A, noise, SEEN))
        error = factor * weights.std() / np.sqrt(weights.size)
        right = Side(factor * weights.mean(), 1e-3, stderr=error)
        found[label] = Side(left, 2e-3), right
    return found | {"mean": (Side(1.0, 1e-3), 1.0)}


PINS = [
    Pin(
        "T50-dps-ratio",
        {"law": "gaussian", "noise": 0.5},
        lambda: dps_gaussian(0.5, printed=True),
    ),
    Pin(
        "T50-dps-ratio-corrected",
        {"law": "gaussian", "noise": 0.5},
        lambda: dps_gaussian(0.5),
    ),
    Pin(
        "T50-dps-ratio-corrected",
        {"law": "two modes", "noise": 0.6},
        lambda: dps_modes(0.6),
    ),
]
