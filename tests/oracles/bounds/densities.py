"""Oracles of T6, T12, T24, T27 and T28: a density beside another."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal, norm

from .line import (
    GAMMA,
    TWO,
    curvature,
    evidence,
    fisher,
    gaussian_kl,
    kl,
    line,
    mean,
    nodes,
    noised,
    pdf,
    score,
    seen,
    tv,
    variance,
    w2_squared,
)
from .pins import Pin, Side
from .space import conditioned, mean_norm, observed

# --- T6 -------------------------------------------------------------------------------


def initialisation(alpha, dim):
    prior = line([0.3, 0.7], [-1.2, 0.9], [0.3, 0.5])
    m, v = np.array([0.7, -0.3])[: dim - 1], np.array([0.25, 1.6])[: dim - 1]
    sigma2 = 1.0 - alpha**2
    left = kl(noised(prior, alpha, sigma2), GAMMA)
    left += gaussian_kl(alpha * m, alpha**2 * v + sigma2).sum()
    start = kl(prior, GAMMA) + gaussian_kl(m, v).sum()
    second = variance(prior) + mean(prior) ** 2 + np.sum(v + m**2)
    convex = 0.5 * (alpha**2 * (second - dim) - dim * np.log(sigma2))
    moved = w2_squared(prior, GAMMA) + np.sum(m**2 + (np.sqrt(v) - 1.0) ** 2)
    return {
        "(i) entropy decay": (left, alpha**2 * start),
        "(ii) convexity": (left, convex),
        "(iii) transport": (left, alpha**2 * moved / (2.0 * sigma2)),
    }


# --- T12 ------------------------------------------------------------------------------


def density_bound(noise, constant):
    """The worst of 324 points, y = 1.3 x + N(0, noise^2) = 0.7."""
    worst, over, found = -np.inf, 0, None
    for v in np.exp(np.linspace(np.log(0.01), np.log(30.0), 18)):
        for x in np.linspace(-4.0, 4.0, 18):
            law = seen(TWO, 1.0, v, x)
            m = mean(law)
            gap = abs(
                np.exp(evidence(law, 1.3, noise**2, 0.7))
                - norm.pdf(0.7, 1.3 * m, noise)
            )
            s = np.sqrt(law.v)
            z = (m - law.m) / s
            moment = law.w @ (s * (2.0 * norm.pdf(z) + z * (2.0 * norm.cdf(z) - 1.0)))
            bound = constant * 1.3 * moment
            over += gap > bound
            if np.log(gap) - np.log(bound) > worst:
                worst, found = np.log(gap) - np.log(bound), (gap, bound)
    return {"x_t = ": found}


def printed(noise):
    return density_bound(
        noise, np.exp(-0.5 / noise**2) / np.sqrt(2.0 * np.pi * noise**2)
    )


def corrected(noise):
    """Two atoms either side of y are the worst, by search for their distance."""
    return density_bound(noise, _sharp() / (noise * np.sqrt(2.0 * np.pi * noise**2)))


def _sharp():
    """max over a of (1 - exp(-a^2/2)) / a."""
    found = minimize_scalar(
        lambda a: np.expm1(-0.5 * a**2) / a,
        bounds=(1.0, 2.5),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return -found.fun


def corrected_in_space(noise):
    """Two measurements; m_1 by its own integral over the distribution of the distance."""
    prior, A, R, y = observed()
    R = noise**2 * np.eye(2)
    steep = _sharp() / (noise * 2.0 * np.pi * noise**2)
    found, worst = None, -np.inf
    for v in np.exp(np.linspace(np.log(0.01), np.log(30.0), 18)):
        for x in np.linspace(-4.0, 4.0, 18):
            w, m, C = conditioned(
                prior, np.eye(3), v * np.eye(3), np.array([x, 0.0, 0.0])
            )
            centre = w @ m
            parts = [
                multivariate_normal.pdf(y, A @ mk, A @ Ck @ A.T + R)
                for mk, Ck in zip(m, C, strict=True)
            ]
            gap = abs(w @ parts - multivariate_normal.pdf(y, A @ centre, R))
            moment = sum(
                wk * mean_norm(mk - centre, Ck)
                for wk, mk, Ck in zip(w, m, C, strict=True)
            )
            bound = steep * np.linalg.svd(A, compute_uv=False)[0] * moment
            if np.log(gap) - np.log(bound) > worst:
                worst, found = np.log(gap) - np.log(bound), (gap, bound)
    return {"x_t = ": found}


# --- T24, T27, T28 --------------------------------------------------------------------


def speciation(weight):
    """The largest curvature by a search, and the level where it is 0 by another."""
    p = line([weight, 1.0 - weight], [-1.1, 1.5], 0.3)

    def largest(v):
        q = noised(p, 1.0, v)
        x = np.linspace(-3.0, 4.0, 701)
        best = x[np.argmax(curvature(q, x))]
        found = minimize_scalar(
            lambda x: -float(curvature(q, np.array(x))),
            bounds=(best - 0.02, best + 0.02),
            method="bounded",
            options={"xatol": 1e-10},
        )
        return -found.fun

    low, high = 0.5, 3.0
    for _ in range(45):
        level = 0.5 * (low + high)
        low, high = (low, level) if largest(level) < 0 else (level, high)
    return {
        "level": (Side(level, 1e-4), Side(level, 1e-7)),
        "curvature": (Side(largest(0.1), 1e-4), Side(largest(0.1), 1e-9)),
    }


def pair(a, weight):
    return line([weight, 1.0 - weight], [-a, a], 1.0)


def blindness(a, u=0.4, w=0.9):
    """a^2 (w - u)^2 e^(-a^2 / 2) / (2 u (1 - u) sqrt(w (1 - w)))."""
    return (
        a**2
        * (w - u) ** 2
        * np.exp(-(a**2) / 2.0)
        / (2.0 * u * (1.0 - u) * np.sqrt(w * (1.0 - w)))
    )


def log_sobolev(a):
    p, q = pair(a, 0.4), pair(a, 0.9)
    d, f, w2 = kl(q, p), fisher(q, p), w2_squared(q, p)
    c, k = np.exp(a**2), 1.0 - a**2
    return {
        "KL by Fisher": (d, 0.5 * c * f),
        "Talagrand": (w2, 2.0 * c * d),
        "W2 by Fisher": (np.sqrt(w2), c * np.sqrt(f)),
        "HWI": (d, np.sqrt(w2 * f) - 0.5 * k * w2),
        "Fisher is blind": (f, blindness(a)),
    }


def stein(a, width=0.8):
    p, q = pair(a, 0.4), pair(a, 0.9)
    x = nodes(p)
    pull = (x[1] - x[0]) * pdf(q, x) * (score(q, x) - score(p, x))
    r2 = ((x[:, None] - x) / width) ** 2
    gaussian = pull @ np.exp(-0.5 * r2) @ pull
    f = fisher(q, p)
    return {
        "Gaussian kernel": (gaussian, f),
        "inverse multiquadric": (pull @ (1.0 + r2) ** -0.5 @ pull, f),
        "blind as Fisher": (gaussian, blindness(a)),
        "by parts": (gaussian, gaussian),
        "total variation sees it": (
            Side(tv(q, p), 1e-7),
            0.5 * (2.0 * norm.cdf(a) - 1.0),
        ),
    }


PINS = [
    *(
        Pin(
            "T6-initialisation",
            {"alpha": 0.45, "dim": dim},
            lambda d=dim: initialisation(0.45, d),
        )
        for dim in (1, 3)
    ),
    Pin("T12-dps-density", {"noise": 0.8}, lambda: printed(0.8)),
    Pin("T12-dps-density-corrected", {"noise": 0.4, "dim": 1}, lambda: corrected(0.4)),
    Pin(
        "T12-dps-density-corrected",
        {"noise": 0.7, "dim": 3},
        lambda: corrected_in_space(0.7),
    ),
    Pin("T24-speciation", {"weight": 0.3}, lambda: speciation(0.3)),
    Pin("T27-log-sobolev", {"separation": 1.3}, lambda: log_sobolev(1.3)),
    Pin("T28-stein", {"separation": 1.3}, lambda: stein(1.3)),
]
