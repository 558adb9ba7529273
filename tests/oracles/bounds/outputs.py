"""Oracles of T26 and T35: the law of the output of a sampler."""

import numpy as np
from scipy.stats import norm

from .. import line_sampler
from .line import denoised_moments, noised, pdf, seen
from .particles import SHARP, R, Y
from .pins import Pin, Side


def dps_law(steps, h=0.008, reach=14.0):
    """x and the law of DPS with DDPM steps, uniform in time, on one fixed fine grid."""
    x = np.arange(-reach, reach + 0.5 * h, h)
    scales = [line_sampler.path(t)[:2] for t in np.linspace(1.0, 0.01, steps + 1)]
    law = norm.pdf(x, 0.0, scales[0][1])
    for (alpha, sigma), (alpha_s, sigma_s) in zip(scales[:-1], scales[1:], strict=True):
        alive = law > 1e-40
        start = x[alive]
        m, C = denoised_moments(SHARP, start / alpha, (sigma / alpha) ** 2)
        rho2 = (alpha * sigma_s / (alpha_s * sigma)) ** 2
        mean = alpha / alpha_s * sigma_s**2 / sigma**2 * start
        mean = mean + alpha_s * (1.0 - rho2) * (m + C * (Y - m) / R)
        scale, weight = sigma_s * np.sqrt(1.0 - rho2), h * law[alive]
        parts = [
            norm.pdf(some[:, None], mean, scale) @ weight
            for some in np.split(x[:-1], 10)
        ]
        law = np.append(np.concatenate(parts), 0.0)
    return x, law


def labels(steps):
    """Of the largest responsibility; sums on another grid, p log p/q where p is."""
    x, law = dps_law(steps)
    alpha, sigma, *_ = line_sampler.path(0.01)
    exact = noised(seen(SHARP, 1.0, R, Y), alpha, sigma**2)
    h, p = x[1] - x[0], pdf(exact, x)
    parts = np.log(exact.w) + norm.logpdf(x[:, None], exact.m, np.sqrt(exact.v))
    label, rare, alive = parts.argmax(1), p < 0.01 * p.max(), law > 0

    def kl_of(p, q):
        return np.sum(p * np.log(np.divide(p, q)))

    total = h * np.sum(p[alive] * np.log(p[alive] / law[alive]))
    shares = [[h * f[label == j].sum() for j in (0, 1)] for f in (p, law)]
    odd = [[h * f[rare].sum(), h * f[~rare].sum()] for f in (p, law)]
    variation = 0.5 * h * np.sum(np.abs(law - p))
    between = kl_of(*shares)
    edge = 0.02  # the edges of the cells lie between nodes, here and there
    total = Side(total, 1e-4)
    return {
        "decomposition": (total, total),
        "label frequencies": (Side(between, edge), total),
        "shapes within labels": (Side(total.value - between, edge), total),
        "masses of B": (Side(kl_of(*odd), 0.05), total),
        "mass of B": (Side(odd[1][0], 0.05), Side(odd[0][0] + variation, 2e-3)),
    }


def order(expected):
    """The order of the scheme in its paper."""
    return {"": (Side(expected, 0.0, atol=0.2), expected)}


PINS = [
    *(
        Pin("T26-orders", {"kernel": name, "num_steps": 40}, lambda r=rank: order(r))
        for name, rank in (("DDIM 0.5", 1.0), ("DDPM matched", 2.0))
    ),
    Pin("T35-labels", {"approximation": "DPS", "num_steps": 9}, lambda: labels(9)),
]
