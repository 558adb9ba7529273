"""Oracles of T40 and T41: the flow by quantiles, and noised data beside pure noise."""

import numpy as np

from .line import TWO, cdf, denoised_moments, line, nodes, noised, pdf, w2_squared
from .pins import Pin, Side

_BEND = 1e-3  # of the clock, between the quantiles that are differentiated twice

BESIDE = np.array([0.25, 0.6])


def quantiles(p, levels):
    """By bisection, (n,)."""
    low = np.full(levels.shape, float(np.min(p.m - 12.0 * np.sqrt(p.v))))
    high = np.full(levels.shape, float(np.max(p.m + 12.0 * np.sqrt(p.v))))
    for _ in range(60):
        middle = 0.5 * (low + high)
        above = cdf(p, middle) > levels
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return 0.5 * (low + high)


def second_derivative(path, s, rho):
    """Of a function of the noise scale by the clock s^rho, five points."""
    clock, h = s**rho, _BEND * s**rho
    at = [path((clock + k * h) ** (1.0 / rho)) for k in range(-2, 3)]
    shares = np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) / 12.0
    return sum(share * one for share, one in zip(shares, at, strict=True)) / h**2


def curvature(s, after, rho, dim):
    """Points of one level are the flow on the line; a Gaussian's only widen."""
    law, beside = noised(TWO, 1.0, s**2), BESIDE[: dim - 1]
    x = nodes(law, reach=7.0)
    mass = (x[1] - x[0]) * pdf(law, x)
    levels = cdf(law, x)
    inner = (levels > 1e-9) & (levels < 1.0 - 1e-9)
    x, mass, levels = x[inner], mass[inner], levels[inner]
    bend = second_derivative(
        lambda t: quantiles(noised(TWO, 1.0, t**2), levels), s, rho
    )
    wide = second_derivative(lambda t: np.sqrt(beside + t**2), s, rho)
    left = np.sqrt(mass @ bend**2 + np.sum(wide**2))
    most = np.sqrt(dim) * (abs(1.0 - rho) + 4.0 * dim + 12.0)
    mean, _ = denoised_moments(TWO, x, s**2)
    step = x + (after - s) * (x - mean) / s
    flow = quantiles(noised(TWO, 1.0, after**2), levels)
    scale = np.sqrt(beside + s**2)
    shrunk = 1.0 + (after - s) * s / scale**2
    gaps = scale * shrunk - np.sqrt(beside + after**2)
    bias = np.sqrt(mass @ (step - flow) ** 2 + np.sum(gaps**2))
    logs = (s - after) - after * np.log(s / after)
    return {
        "bend": (Side(left, 1e-5), most * s ** (1.0 - 2.0 * rho) / rho**2),
        "one step": (Side(bias, 1e-6), np.sqrt(dim) * (4.0 * dim + 12.0) * logs),
    }


def plain_start(mean, s, dim):
    """Sums over coordinates; the limit and its next term where the law is centred."""
    data = line([0.4, 0.6], [mean - 1.5, mean + 1.0], [0.16, 0.36])
    m, v = np.array([0.5 * mean, -mean])[: dim - 1], BESIDE[: dim - 1]
    square = w2_squared(noised(data, 1.0, s**2), line([1.0], [0.0], [s**2]))
    square += np.sum(m**2 + (np.sqrt(v + s**2) - s) ** 2)
    distance = Side(np.sqrt(square), 1e-7)
    c = data.w @ (data.v + data.m**2)
    found = {"coupling": (distance, np.sqrt(c + np.sum(m**2 + v)))}
    if mean:
        return found
    left = Side(2.0 * s * distance.value, 1e-7)
    found["light tails"] = left, np.sqrt(c**2 + np.sum(v**2))
    if dim == 1:
        third = data.w @ (3.0 * data.v * data.m + data.m**3)
        found["next term"] = left, c + (third**2 / c / 9.0 - c**2 / 4.0) / s**2
    return found


PINS = [
    *(
        Pin(
            "T40-flow-curvature",
            {"law": "two modes", "s": 0.4, "next": 0.6, "rho": 0.7, "dim": dim},
            lambda d=dim: curvature(0.4, 0.24, 0.7, d),
        )
        for dim in (1, 3)
    ),
    *(
        Pin(
            "T41-plain-start",
            {"mean": mean, "s": s, "dim": dim},
            lambda m=mean, s=s, d=dim: plain_start(m, s, d),
        )
        for mean, s, dim in ((0.4, 0.8, 1), (0.4, 0.8, 3), (0.0, 12.0, 1))
    ),
]
