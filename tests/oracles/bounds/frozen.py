"""Oracles of T4 and T5: a score that is frozen over a step."""

import functools

import numpy as np

from .line import GAMMA, expect, fisher, gaussian_kl, kl, line, noised, pdf, score
from .paths import GRID, LAW, POSTERIOR, forward_kl, output_kls, propagated
from .pins import Pin, Side

# --- T4 and T5 ------------------------------------------------------------------------

STEPS = 20


def frozen_step(theta, error):
    """Freezes score + (1 - theta) x / 2, with a constant error."""

    def step(x, here, there):
        h = np.log(there[0] / here[0])
        law = noised(POSTERIOR, here[0], here[1] ** 2)
        V = score(law, x) + 0.5 * (1.0 - theta) * x + error
        gain = 2.0 * (np.exp(theta * h) - 1.0) / theta
        return np.exp(theta * h) * x + gain * V, (
            np.exp(2 * theta * h) - 1
        ) / theta + 0 * x

    return step


def at_time(t):
    return np.exp(-t), np.sqrt(-np.expm1(-2.0 * t))


def cells(theta, T, error):
    """The divergence of paths: E |V_t - V_k - e|^2 from the martingale e^(theta u) V."""
    unit, weight = np.polynomial.legendre.leggauss(40)
    h, total = T / STEPS, 0.0

    def both(t):
        alpha, sigma = at_time(t)
        law = noised(POSTERIOR, alpha, sigma**2)

        def V(x):
            return score(law, x) + 0.5 * (1.0 - theta) * x

        return expect(law, lambda x: V(x) ** 2), expect(law, V)

    for k in range(STEPS, 0, -1):
        square, mean = both(k * h)
        for u, w in zip(0.5 * h * (unit + 1.0), 0.5 * h * weight, strict=True):
            # E<V_t, V_k> = e^(-theta u) E V_k^2, as E[V_t | x_k] = e^(-theta u) V_k
            here = both(k * h - u)[0]
            apart = here - 2.0 * np.exp(-theta * u) * square + square
            cross = 2.0 * error * (1.0 - np.exp(-theta * u)) * mean
            total += w * (apart + cross + error**2)
    return total


@functools.cache
def frozen(theta, T, error):
    """start, chain, cells and the divergence of the output."""
    scales = [at_time(t) for t in np.linspace(T, 0.0, STEPS + 1)]
    step = frozen_step(theta, error)
    chain = sum(
        forward_kl(POSTERIOR, step, *pair)
        for pair in zip(scales[:-1], scales[1:], strict=True)
    )
    start = kl(noised(POSTERIOR, scales[0][0], scales[0][1] ** 2), GAMMA)
    density, _ = propagated(step, scales, pdf(GAMMA, GRID))
    output = output_kls(density, POSTERIOR)[0]
    return start, chain, cells(theta, T, error), output


def common(theta, T, error):
    start, chain, path, output = frozen(theta, T, error)
    return {
        "paths": (Side(path, 1e-6), path),
        # Sums over steps of quadratures, here and there: found 1.4e-9 apart.
        "states on the grid and paths": (Side(chain, 5e-9), path),
        "output and states": (Side(output, LAW), start + chain),
    }


def relative_score(T, error):
    start, _, path, output = frozen(-1.0, T, error)
    information = fisher(POSTERIOR, GAMMA)
    cost = T / STEPS * information
    parts = [
        line([1.0], [m], [v]) for m, v in zip(POSTERIOR.m, POSTERIOR.v, strict=True)
    ]
    mean_fisher = POSTERIOR.w @ [fisher(f, GAMMA) for f in parts]
    mean_kl = POSTERIOR.w @ gaussian_kl(POSTERIOR.m, POSTERIOR.v)
    wide = T / STEPS * mean_fisher
    if error:
        cost, wide = (2.0 * c + 2.0 * T * error**2 for c in (cost, wide))
    decayed = np.exp(-2.0 * T) * kl(POSTERIOR, GAMMA)
    return common(-1.0, T, error) | {
        "initialisation": (start, decayed),
        "cells": (path, cost),
        "output, closed bound": (Side(output, LAW), decayed + cost),
        "closed bound by components": (
            decayed + cost,
            np.exp(-2.0 * T) * mean_kl + wide,
        ),
    }


def frozen_score(T, error):
    found = common(1.0, T, error)
    for t in (0.1, 0.8):
        alpha, sigma = at_time(t * T)
        law = noised(POSTERIOR, alpha, sigma**2)
        square = expect(law, lambda x, law=law: score(law, x) ** 2)
        found[f"J at {t}, components"] = (square, law.w @ (1.0 / law.v))
        found[f"J at {t}, noise"] = (square, 1.0 / sigma**2)
    return found


PINS = [
    Pin(
        "T4-relative-score", {"T": 0.9, "error": 0.0}, lambda: relative_score(0.9, 0.0)
    ),
    Pin(
        "T4-relative-score", {"T": 0.9, "error": 0.2}, lambda: relative_score(0.9, 0.2)
    ),
    Pin("T5-frozen-score", {"T": 0.9, "error": 0.2}, lambda: frozen_score(0.9, 0.2)),
]
