"""Oracles of T16, T17, T19 and T25: particles, and a Gaussian sampler in space."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from .. import line_sampler, numpy_mixture
from .line import (
    cdf,
    chi2,
    denoised_moments,
    evidence,
    line,
    nodes,
    noised,
    pdf,
    seen,
)
from .paths import GRID, SPACING, backward, forward, levels
from .pins import Pin, Side

SHARP = line(*line_sampler.TWO)
Y, R = 0.5, 0.3**2


def proposal(x, here, there):
    """PiGDM with the matched variance: N(a x + c M, small + c^2 C)."""
    (alpha, sigma), (alpha_s, sigma_s) = here, there
    v = (sigma / alpha) ** 2
    m, C = denoised_moments(SHARP, x / alpha, v)
    M = m + C * (Y - m) / (R + sigma**2 / (sigma**2 + alpha**2))
    rho2 = (alpha * sigma_s / (alpha_s * sigma)) ** 2
    c = alpha_s * (1.0 - rho2)
    a = alpha / alpha_s * sigma_s**2 / sigma**2
    return a * x + c * M, sigma_s**2 * (1.0 - rho2) + c**2 * C


def one_particle():
    """The filter is its proposal: both right sides are divergences of paths."""
    scales = levels(12, 0.99, 0.01, beta_min=0.01, beta_max=20.0)
    after = seen(SHARP, 1.0, R, Y)
    start = scales[0, 1] ** 2
    path = forward(after, proposal, scales, start)
    back, density = backward(after, proposal, scales, start)
    exact = noised(after, scales[-1, 0], scales[-1, 1] ** 2)
    forth, behind = of_cells(exact, density)
    return {
        "E Z^/p(y)": (1.0, 1.0),
        "E_cond p(y)/Z^": (1.0, 1.0),
        "KL(post || particle), cells": (Side(forth, stderr=7e-4), path),
        "KL(particle || post), cells": (Side(behind, stderr=7e-4), back),
    }


def of_cells(exact, density):
    """Divergences of eight cells of equal mass, both ways."""
    below = SPACING * (np.cumsum(density) - 0.5 * density)
    edges = np.interp(np.arange(1, 8) / 8, cdf(exact, GRID), GRID)
    at = np.concatenate([[0.0], np.interp(edges, GRID, below), [1.0]])
    shares = np.diff(at)
    return -np.mean(np.log(8 * shares)), shares @ np.log(8 * shares)


# --- T17 ------------------------------------------------------------------------------


def importance(num):
    """E log S and E 1/S of sums of independent weights, by their Laplace transforms.

    log S is the integral of (e^-t - e^(-tS)) / t over t > 0, and 1/S that of e^(-tS).
    """
    prior = line([0.3, 0.7], [-1.2, 0.9], [0.3, 0.5])
    after = seen(prior, 1.3, 0.16, 1.1)
    log_z = evidence(prior, 1.3, 0.16, 1.1)

    def weight(x):
        return np.exp(norm.logpdf(1.1, 1.3 * x, 0.4) - log_z)

    log_t = np.linspace(-36.0, 120.0, 6001)
    t, step = np.exp(log_t), log_t[1] - log_t[0]

    def transform(p):
        x = nodes(p)
        mass, w = (x[1] - x[0]) * pdf(p, x), weight(x)
        return np.array([mass @ np.exp(-s * w) for s in t])

    of_prior, of_after = transform(prior), transform(after)

    def log_mean(product):
        return step * np.sum(np.exp(-t) - product) - np.log(num)

    x = nodes(after, prior)  # a single draw has the law of the prior
    mass, w = (x[1] - x[0]) * pdf(after, x), weight(x)
    others = t * of_prior ** (num - 1)
    ratio = num * step * np.array([np.sum(others * np.exp(-t * v)) for v in w])
    square = chi2(after, prior)
    plain = log_mean(of_prior**num)
    kept = log_mean(of_after * of_prior ** (num - 1))
    # A finite average over the other weights adds to both left sides.
    bias = 2e-3 if num > 1 else 1e-5
    forth, back = -mass @ np.log(ratio), mass @ (ratio * np.log(ratio))
    return {
        "n Var(Z^/Z) = chi2": (square, square),
        "KL(post || draw), conditional": (Side(forth, bias), kept),
        "conditional, log(1 + chi2/n)": (kept, np.log(1.0 + square / num)),
        "KL(draw || post)": (Side(back, bias), -plain),
    }


# --- T19, T25 and T26: one Gaussian in space ------------------------------------------

GAUSSIAN = numpy_mixture.Problem(
    numpy_mixture.mixture(
        [1.0],
        [[0.5, -0.7, 0.2]],
        [[[0.8, 0.2, 0.0], [0.2, 0.4, -0.1], [0.0, -0.1, 0.3]]],
    ),
    np.array([[1.0, 0.5, 0.0], [0.0, -0.4, 1.0]]),
    np.diag([0.2, 0.5]),
    np.array([0.9, -0.3]),
)


def affine_steps(rule, eta, steps, first, last):
    """Matrix, offset and variance of every step of DDIM, and the scales."""
    scales = levels(steps, first, last, beta_min=0.01, beta_max=20.0)
    made = []
    for here, there in zip(scales[:-1], scales[1:], strict=True):

        def step(x, here=here, there=there):
            m = rule(GAUSSIAN, x, *here)
            return numpy_mixture.ddim(x, m, eta, *here, *there)

        offset, scale = step(np.zeros(3))
        variance = scale**2
        matrix = np.stack([step(e)[0] - offset for e in np.eye(3)], axis=1)
        made.append((matrix, offset, variance))
    return made, scales


def recursion(made, scales):
    """Mean and covariance before every step, and at the end."""
    laws = [(np.zeros(3), scales[0, 1] ** 2 * np.eye(3))]
    for matrix, offset, variance in made:
        m, P = laws[-1]
        laws.append((matrix @ m + offset, matrix @ P @ matrix.T + variance * np.eye(3)))
    return laws


def of_gaussians(m, S, n, T):
    """KL(N(m, S) || N(n, T))."""
    inverse = np.linalg.inv(T)
    logs = np.linalg.slogdet(T)[1] - np.linalg.slogdet(S)[1]
    return 0.5 * (np.trace(inverse @ S) - len(m) + (n - m) @ inverse @ (n - m) + logs)


def exact_at(scales):
    """Mean and covariance of the posterior at the end."""
    alpha, sigma = scales[-1]
    after = numpy_mixture.noised(numpy_mixture.posterior(GAUSSIAN), alpha, sigma)
    return after.means[0], after.covariances[0]


def sandwich(eta, states=16, num=100000):
    made, scales = affine_steps(numpy_mixture.ddnm_mean, eta, 6, 0.9, 0.1)
    laws = recursion(made, scales)
    (before, P), law = laws[-2], laws[-1]
    (matrix, offset, variance), rng = made[-1], np.random.default_rng(3)
    root = np.linalg.cholesky(P)

    def drawn(*shape):
        return before + rng.normal(size=(*shape, 3)) @ root.T

    def log_kernel(x, z):
        gap = x - z @ matrix.T - offset
        square = np.sum(gap**2, axis=-1) / variance
        return -0.5 * (square + 3.0 * np.log(2.0 * np.pi * variance))

    def estimate(values):
        return Side(values.mean(), stderr=values.std(ddof=1) / np.sqrt(num))

    ancestor, others = drawn(num), drawn(num, states)
    x = ancestor @ matrix.T + offset + np.sqrt(variance) * rng.normal(size=(num, 3))
    rest = log_kernel(x[:, None], others)
    low = logsumexp(rest, axis=1) - np.log(states)
    whole = np.concatenate([log_kernel(x, ancestor)[:, None], rest], axis=1)
    high = logsumexp(whole, axis=1) - np.log(states + 1)
    found = {}
    for name, p in (("posterior", exact_at(scales)), ("itself", law)):
        log_p = multivariate_normal.logpdf(x, *p)
        points = rng.multivariate_normal(*p, num)
        from_p = logsumexp(log_kernel(points[:, None], drawn(num, states)), axis=1)
        from_p = multivariate_normal.logpdf(points, *p) - from_p + np.log(states)
        known, known_from = of_gaussians(*law, *p), of_gaussians(*p, *law)
        zero = 1e-9 if name == "itself" else 0.0
        found |= {
            f"KL(law || {name}), below": (
                estimate(low - log_p),
                Side(known, atol=zero),
            ),
            f"KL(law || {name}), above": (
                Side(known, atol=zero),
                estimate(high - log_p)._replace(free=name == "itself"),
            ),
            f"KL({name} || law), above": (
                Side(known_from, atol=zero),
                estimate(from_p)._replace(free=name == "itself"),
            ),
        }
    return found


def dps_mean(problem, x, alpha, sigma):
    """m + (sigma^2 / alpha) times the guidance."""
    m = numpy_mixture.prior_mean(problem, x, alpha, sigma)
    guidance = numpy_mixture.dps(problem, x, alpha, sigma)
    return numpy_mixture.guidance_to_mean(guidance, m, alpha, sigma)


def flow(steps):
    made, scales = affine_steps(dps_mean, 0.0, steps, 0.9, 0.05)
    (m, P), exact = recursion(made, scales)[-1], exact_at(scales)
    known = of_gaussians(m, P, *exact)
    return {"log-density": (Side(0.0, atol=1e-7), 1e-7), "KL": (known, known)}


PINS = [
    Pin(
        "T16-particle-filters",
        {"num": 1},
        one_particle,
        keys=4,
    ),
    *(
        Pin(
            "T17-importance-sampling",
            {"num": n},
            lambda n=n: importance(n),
            keys=25,
        )
        for n in (1, 3)
    ),
    Pin(
        "T19-density-sandwich",
        {"eta": 0.8},
        lambda: sandwich(0.8),
        keys=25,
    ),
    Pin("T25-flow-density", {"steps": 20}, lambda: flow(20)),
]
