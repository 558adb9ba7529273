"""Oracles of T20 to T23: finite training sets."""

import functools

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

from .line import entropy, line, logpdf, nodes, noised, pdf, score, seen
from .pins import Pin, Side

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


PINS = [
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
]
