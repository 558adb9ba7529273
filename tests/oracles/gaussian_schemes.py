"""Variances of samplers of N(0, diag(l)), by NumPy: formulas of Pierret & Galerne.

In their notation dx = -b x dt + sqrt(2 b) dw, b linear from .05 to 10, B its integral; the
noised variance is e^(-2B) l + 1 - e^(-2B), and the score is minus x over it.
"""

import numpy as np


def b(t):
    return 0.05 + 9.95 * t


def B(t):
    return t * (0.05 + 0.5 * 9.95 * t)


def noised(variances, t):
    return np.exp(-2 * B(t)) * variances - np.expm1(-2 * B(t))


def steps(scheme, variances, num_steps, eps, start):
    """Variances (d,) after a uniform grid from 1 to eps, from "p_T" or "N(0, I)"."""
    times = np.linspace(1.0, eps, num_steps + 1)
    spread = noised(variances, 1.0) if start == "p_T" else np.ones_like(variances)
    for t, s in zip(times[:-1], times[1:], strict=True):
        gain, fresh = _step(scheme, variances, t, s)
        spread = gain**2 * spread + fresh
    return spread


def _step(scheme, variances, t, s):
    h, w = t - s, noised(variances, t)
    if scheme == "EM":
        return 1 + h * b(t) * (1 - 2 / w), 2 * b(t) * h
    if scheme == "EI":
        growth = B(t) - B(s)
        return np.exp(growth) - 2 * np.expm1(growth) / w, np.expm1(2 * growth)
    slope = b(t) * (1 - 1 / w)
    if scheme == "Euler":
        return 1 + h * slope, 0.0
    if scheme == "Heun":
        later = b(s) * (1 - 1 / noised(variances, s))
        return 1 + 0.5 * h * (slope + later * (1 + h * slope)), 0.0
    # Steps in u = sigma / alpha of x / alpha, whose variance is l + u^2.
    u, v = (np.sqrt(np.expm1(2 * B(time))) for time in (t, s))
    scale = np.exp(B(t) - B(s))
    slope = u / (variances + u**2)
    gain = 1 + (v - u) * slope
    if scheme == "Heun in u":
        gain = 1 + 0.5 * (v - u) * (slope + v / (variances + v**2) * gain)
    return scale * gain, 0.0


def continuous(kind, variances, t, start):
    """Variances at time t without steps, of the reverse SDE or of its ODE."""
    here, first = noised(variances, t), noised(variances, 1.0)
    if start == "p_T":
        return here
    if kind == "ODE":
        return here / first
    decay = np.exp(-2 * (B(1.0) - B(t)))
    return here + decay * here**2 / first * (1 / first - 1)


def w2(variances, others):
    """Of N(0, diag(variances)) from N(0, diag(others))."""
    return np.sqrt(np.sum((np.sqrt(variances) - np.sqrt(others)) ** 2))
