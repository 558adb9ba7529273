"""Oracles of particles and training sets: Laplace transforms, sums, and own samples."""

import functools

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from .. import line_sampler, numpy_mixture
from .line import (
    chi2,
    denoised_moments,
    entropy,
    evidence,
    line,
    logpdf,
    nodes,
    noised,
    pdf,
    score,
    seen,
)
from .paths import backward, forward, levels
from .pins import Pin, Side

# --- T16 with one particle ------------------------------------------------------------

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
    from .line import cdf
    from .paths import GRID, SPACING

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
                estimate(high - log_p),
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


# --- T20 to T23 -----------------------------------------------------------------------

PRIOR = line([0.35, 0.65], [-1.1, 0.9], [0.25, 0.4])


def far(sigma):
    """Points x (n, 1) and x0 = x + u (n, k), their spacings, and where K^2 / p ends.

    The mean of K over the prior, over p, falls like a normal density of the variance below.
    """
    s2, v = PRIOR.v.max(), sigma**2
    reach = 10.0 * np.sqrt(2.0 * (s2 + 0.5 * v) * (s2 + v) / v) + 5.0
    x = np.linspace(-reach, reach, int(2.0 * reach / 0.06))[:, None]
    u = np.linspace(-9.0, 9.0, 181) * sigma / np.sqrt(2.0)
    return x, x + u, (x[1] - x[0])[0], u[1] - u[0]


def informations(sigma):
    """I, the chi-square information as a double sum, and the variance of K at x."""
    law = noised(PRIOR, 1.0, sigma**2)
    plain = entropy(law) - 0.5 * np.log(2.0 * np.pi * np.e * sigma**2)
    x, x0, h, k = far(sigma)
    log_k = norm.logpdf(x, x0, sigma)
    log_square = logsumexp(2.0 * log_k + logpdf(PRIOR, x0), axis=1) + np.log(k)
    log_p = logpdf(law, x[:, 0])
    square = h * np.sum(np.exp(log_square - log_p)) - 1.0
    spread = np.exp(log_square) - np.exp(2.0 * log_p)
    return plain, square, x[:, 0], spread


def training_prior(points, sigma):
    plain, square, x, spread = informations(sigma)
    lower = max(0.0, plain - np.log(points))
    upper = min(plain, np.log(1.0 + square / points))
    root = np.sqrt(np.maximum(spread, 0.0))
    bound = 0.5 * (x[1] - x[0]) * np.sum(root) / np.sqrt(points)
    less = Side(plain - np.log(points), 1e-9, atol=1e-12)
    # With one point the KL is I on average, from above and from below.
    alone = Side(plain, free=True) if points == 1 else None
    bound = Side(bound, 1e-7)
    found = {
        "(ii) KL less entropy": (less, less),
        "(ii) KL from below": (Side(lower, atol=1e-12), alone),
        "(ii) KL from above": (alone, upper),
        "(iii) total variation": (None, bound),
    }
    if points >= 128:
        limit = np.sqrt(2.0 / np.pi) * bound.value
        found["(iii) central limit (asymptotic)"] = (
            Side(limit, 0.03),
            Side(limit, 1e-7),
        )
    if sigma**2 > 2.0 * 1.2577:
        found["(i) chi-square"] = (square / points, square / points)
    return found


def training_posterior(points, sigma, a=1.2, g2=0.25, y=0.7):
    """Both constants from sums over atoms x0, and weights w = p(y|x0) / p(y)."""
    after = seen(PRIOR, a, g2, y)
    law = noised(after, 1.0, sigma**2)
    x0 = nodes(PRIOR, per=14.0)
    x = nodes(law, PRIOR, per=14.0)
    mass = (x0[1] - x0[0]) * pdf(PRIOR, x0)
    w = norm.pdf(y, a * x0, np.sqrt(g2))
    w = w / (mass @ w)
    kernel, p = norm.pdf(x[:, None], x0, sigma), pdf(law, x)
    rho = mass @ w**2
    first = kernel**2 @ (mass * w**2) - p**2
    second = (kernel - p[:, None]) ** 2 @ (mass * w**2)
    h = x[1] - x[0]
    bound = 0.5 * (h * np.sum(np.sqrt(np.maximum(first, 0.0))) + np.sqrt(rho - 1.0))
    limit = h * np.sum(np.sqrt(second)) / np.sqrt(2.0 * np.pi)
    root = np.sqrt(points)
    found = {"bound": (None, Side(bound / root, 1e-6))}
    if points >= 512:
        limit = limit / root
        found["central limit (asymptotic)"] = (Side(limit, 0.05), Side(limit, 1e-6))
    return found


@functools.cache
def entropy_of_shares(dim, information, points, sets=4000):
    """E H(w) of points of N(0, I) in so many dimensions."""
    rng, values = np.random.default_rng([dim, points]), np.empty(sets)
    sigma = 1.0 / np.sqrt(np.expm1(2.0 * information / dim))
    for i in range(sets):
        atoms = rng.normal(size=(points, dim))
        x = atoms[0] + sigma * rng.normal(size=dim)
        logits = -0.5 * np.sum((atoms - x) ** 2, axis=1) / sigma**2
        logs = logits - logsumexp(logits)
        values[i] = -np.exp(logs) @ logs
    return values.mean(), values.std(ddof=1) / np.sqrt(sets)


def collapse(dim, share):
    def sides(points):
        information = share * np.log(points)
        found = entropy_of_shares(dim, information, points)
        chi2 = np.exp(2.0 * information) - 1.0
        lower = max(0.0, np.log(points) - information)
        most = min(information, np.log(1.0 + chi2 / points))
        return (
            Side(found[0], stderr=found[1]),
            lower,
            np.log(points) - information + most,
        )

    few, lower, upper = sides(64)
    many, other, _ = sides(512)
    excess = [  # of two measurements: there is no constant in it
        Side((e.value - low) / np.log(n), stderr=e.stderr / np.log(n), free=True)
        for e, low, n in ((many, other, 512), (few, lower, 64))
    ]
    return {
        "from below": (Side(lower, atol=1e-12), few),
        "from above": (few, upper),
        "sharper for 512 points (asymptotic)": tuple(excess),
    }


def training_score(sigma):
    """E over x0 of the integral of K^2 |grad log K - s|^2 / p, as a double sum."""

    def constant(sigma):
        law = noised(PRIOR, 1.0, sigma**2)
        x, x0, h, k = far(sigma)
        logs = 2.0 * norm.logpdf(x, x0, sigma) + logpdf(PRIOR, x0) - logpdf(law, x)
        return h * k * np.sum(np.exp(logs) * ((x0 - x) / sigma**2 - score(law, x)) ** 2)

    found = constant(sigma)
    slope = np.log(constant(0.02) / constant(0.01)) / np.log(4.0)
    return {
        "leading constant": (Side(found, 0.05), Side(found, 1e-8)),
        "slope": (Side(slope, 1e-6), -2.0),
    }


# --- T26 and T35 ----------------------------------------------------------------------


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
    *(
        Pin(
            "T20-training-prior",
            {"points": n, "sigma": s},
            lambda n=n, s=s: training_prior(n, s),
        )
        for n, s in ((1, 0.5), (3, 0.3), (128, 1.8))
    ),
    *(
        Pin(
            "T21-training-posterior",
            {"points": n, "sigma": 0.3},
            lambda n=n: training_posterior(n, 0.3),
        )
        for n in (20, 512)
    ),
    Pin("T22-collapse", {"dim": 3, "information": 0.7}, lambda: collapse(3, 0.7)),
    Pin("T23-training-score", {"sigma": 1.2}, lambda: training_score(1.2)),
    Pin("T25-flow-density", {"steps": 20}, lambda: flow(20)),
    *(
        Pin("T26-orders", {"kernel": name, "num_steps": 40}, lambda r=rank: order(r))
        for name, rank in (("DDIM 0.5", 1.0), ("DDPM matched", 2.0))
    ),
    Pin("T35-labels", {"approximation": "DPS", "num_steps": 9}, lambda: labels(9)),
]
