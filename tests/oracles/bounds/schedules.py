"""Oracles of T42 to T44: samplers of one Gaussian, by recursions of variances."""

import numpy as np
from scipy.integrate import quad
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize
from scipy.stats import norm

from .line import expect, line, logpdf, noised, score
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


# --- T44: the noise schedule ------------------------------------------------------------


def schedule(beta_min, beta_max, N, error):
    """With matrices, and rates that are integrated numerically."""
    d = 4
    S = np.array([[1 / np.sqrt(abs(i - j) + 1) for j in range(d)] for i in range(d)])
    mu, eye = np.ones(d), np.eye(d)

    def beta(t):
        return beta_min + t * (beta_max - beta_min)

    def kl(m, C, m2, C2):
        inverse = np.linalg.inv(C2)
        log_det = np.linalg.slogdet(C2)[1] - np.linalg.slogdet(C)[1]
        return 0.5 * (
            np.trace(inverse @ C) - d + log_det + (m2 - m) @ inverse @ (m2 - m)
        )

    B = quad(beta, 0, 1)[0]
    m, C = np.zeros(d), eye
    for k in range(N):
        t, s = 1 - k / N, 1 - (k + 1) / N
        a = np.exp(-0.5 * quad(beta, 0, t)[0])
        inverse = np.linalg.inv(a**2 * S + (1 - a**2) * eye)
        passed = quad(beta, s, t)[0]
        # dx = -x/2 + r(x_t) + noise, over a clock of length `passed`
        decay, whole = np.exp(-passed / 2), 2 * (1 - np.exp(-passed / 2))
        F = decay * eye + whole * (eye - inverse)
        m = F @ m + whole * (inverse @ (a * mu) + error)
        C = F @ C @ F.T + (1 - np.exp(-passed)) * eye
    fisher = np.trace(S) + mu @ mu - 2 * d + np.trace(np.linalg.inv(S))
    h = beta(1.0) / N
    first = np.exp(-B) * kl(mu, S, np.zeros(d), eye)
    right = first + d * error**2 * B + 2 * h * max(h / 4, 1) * fisher
    a = np.exp(-B / 2)
    start = kl(a * mu, a**2 * S + (1 - a**2) * eye, np.zeros(d), eye)
    return {"": (kl(mu, S, m, C), right), "of the start": (start, first)}


def schedule_of_modes(beta_min, beta_max, N, error):
    """Two modes on the line: the density of every step by a matrix of kernels."""
    p = line([0.4, 0.6], [-1.0, 1.5], [0.16, 0.36])

    def alpha(t):
        return np.exp(
            -0.5 * quad(lambda u: beta_min + u * (beta_max - beta_min), 0, t)[0]
        )

    times = np.linspace(1.0, 0.0, N + 1)
    x = np.linspace(-9.0, 9.0, 1601)
    density = norm.pdf(x)
    for t, s in zip(times[:-1], times[1:], strict=True):
        ratio, law = alpha(t) / alpha(s), noised(p, alpha(t), 1.0 - alpha(t) ** 2)
        ahead = ratio * x + 2.0 * (1.0 - ratio) * (score(law, x) + x + error)
        kernel = norm.pdf(x[:, None], ahead, np.sqrt(1.0 - ratio**2))
        density = kernel @ density * (x[1] - x[0])
    log_q = CubicSpline(x, np.log(density))

    def from_normal(p):
        return expect(p, lambda x: logpdf(p, x) - norm.logpdf(x))

    B, h = -2.0 * np.log(alpha(1.0)), beta_max / N
    fisher = expect(p, lambda x: (score(p, x) + x) ** 2)
    first = np.exp(-B) * from_normal(p)
    bound = first + error**2 * B + 2.0 * h * max(h / 4.0, 1.0) * fisher
    start = from_normal(noised(p, alpha(1.0), 1.0 - alpha(1.0) ** 2))
    left = expect(p, lambda x: logpdf(p, x) - log_q(x))
    return {
        "": (Side(left, 1e-6), Side(bound, 1e-8)),
        "of the start": (Side(start, 1e-8), Side(first, 1e-8)),
    }


PINS = [
    Pin(
        "T44-schedule",
        {
            "law": "two modes",
            "beta_min": 0.3,
            "beta_max": 9.0,
            "num_steps": 15,
            "error": 0.2,
        },
        lambda: schedule_of_modes(0.3, 9.0, 15, 0.2),
    ),
    Pin(
        "T44-schedule",
        {"beta_min": 0.3, "beta_max": 9.0, "num_steps": 30, "error": 0.2},
        lambda: schedule(0.3, 9.0, 30, 0.2),
    ),
    Pin(
        "T44-schedule",
        {"beta_min": 0.3, "beta_max": 1.5, "num_steps": 40, "error": 0.9},
        lambda: schedule(0.3, 1.5, 40, 0.9),
    ),
    Pin(
        "T44-schedule",
        {"beta_min": 0.1, "beta_max": 0.4, "num_steps": 500, "error": 0.0},
        lambda: schedule(0.1, 0.4, 500, 0.0),
    ),
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
