"""Oracles of T1, T2, T3 and T18: samplers on the line, by nested sums over a step."""

import functools

import numpy as np
from scipy.special import logsumexp, softmax
from scipy.stats import norm

from .line import (
    TWO,
    denoised_moments,
    entropy,
    expect,
    kl,
    line,
    logpdf,
    logs,
    nodes,
    noised,
    pdf,
    seen,
)
from .pins import Pin, Side

Y, R = 0.4, 0.5  # y = x0 + N(0, R)
POSTERIOR = seen(TWO, 1.0, R, Y)
LAW = 1e-6  # relative, of a law of the package on its own grid


def log_snr(t, beta_min=0.1, beta_max=20.0):
    """Of a variance-preserving path."""
    log_alpha = -0.25 * t**2 * (beta_max - beta_min) - 0.5 * t * beta_min
    return 2.0 * log_alpha - np.log(-np.expm1(2.0 * log_alpha))


def levels(steps, first, last, **path):
    """(alpha, sigma) (steps + 1, 2) of equal steps in the log-SNR."""
    snr = np.exp(np.linspace(log_snr(first, **path), log_snr(last, **path), steps + 1))
    return np.stack([np.sqrt(snr / (1.0 + snr)), np.sqrt(1.0 / (1.0 + snr))], axis=1)


# --- steps ----------------------------------------------------------------------------


def reverse(law, x, here, there):
    """Shares, means (n, K) and variances (K,) of x_s given x_t = x, by Bayes' rule."""
    (alpha, sigma), (alpha_s, sigma_s) = here, there
    a = alpha / alpha_s
    b = sigma**2 - a**2 * sigma_s**2
    later, now = alpha_s**2 * law.v + sigma_s**2, alpha**2 * law.v + sigma**2
    shares = softmax(logs(noised(law, alpha, sigma**2), x), axis=1)
    means = alpha_s * law.m + a * later / now * (x[:, None] - alpha * law.m)
    return shares, means, b * later / now


def log_reverse(law, x, z, here, there):
    """log p(x_s = z | x_t = x), z (n, k)."""
    shares, means, variances = reverse(law, x, here, there)
    parts = norm.logpdf(z[..., None], means[:, None], np.sqrt(variances))
    with np.errstate(divide="ignore"):
        return logsumexp(np.log(shares)[:, None] + parts, axis=2)


def ancestral(mean_of, eta=1.0):
    """A step from E[x0 | x_t, y]: N(mean, variance) of DDIM with eta > 0."""

    def step(x, here, there):
        (alpha, sigma), (alpha_s, sigma_s) = here, there
        rho = alpha * sigma_s / (alpha_s * sigma)
        variance = eta**2 * sigma_s**2 * (1.0 - rho**2)
        M = mean_of(x, alpha, sigma)
        kept = np.sqrt(sigma_s**2 - variance) / sigma
        return alpha_s * M + kept * (x - alpha * M), variance + 0.0 * x

    return step


def pigdm(x, alpha, sigma):
    """m + C (y - m) / (R + sigma^2 / (sigma^2 + alpha^2))."""
    v = (sigma / alpha) ** 2
    m, C = denoised_moments(TWO, x / alpha, v)
    return m + C / v * v * (Y - m) / (R + sigma**2 / (sigma**2 + alpha**2))


def exactly(x, alpha, sigma):
    return denoised_moments(POSTERIOR, x / alpha, (sigma / alpha) ** 2)[0]


def forward_kl(law, step, here, there, count=500):
    """E KL(exact step || step) under the exact law."""
    now = noised(law, here[0], here[1] ** 2)
    x = nodes(now)
    shares, means, variances = reverse(law, x, here, there)
    made, spread = step(x, here, there)
    reach = 10.0 * np.sqrt(variances.max())
    unit = np.linspace(0.0, 1.0, count)
    low, high = means.min(1) - reach, means.max(1) + reach
    z = low[:, None] + (high - low)[:, None] * unit
    exact = log_reverse(law, x, z, here, there)
    log_made = norm.logpdf(z, made[:, None], np.sqrt(spread)[:, None])
    inner = np.sum(np.exp(exact) * (exact - log_made), axis=1) * (z[:, 1] - z[:, 0])
    return (x[1] - x[0]) * pdf(now, x) @ inner


def forward(law, step, scales, start):
    """KL(exact paths || paths), from a Gaussian N(0, start)."""
    alpha, sigma = scales[0]
    first = kl(noised(law, alpha, sigma**2), line([1.0], [0.0], [start]))
    pairs = zip(scales[:-1], scales[1:], strict=True)
    return first + sum(forward_kl(law, step, *pair) for pair in pairs)


GRID = np.linspace(-9.0, 9.0, 2401)
SPACING = GRID[1] - GRID[0]


def propagated(step, scales, density, log_ratio=None):
    """The law at the end on `GRID`, and E of a log-ratio of (x, z) summed over steps."""
    total = 0.0
    for here, there in zip(scales[:-1], scales[1:], strict=True):
        mean, variance = step(GRID, here, there)
        if log_ratio is not None:
            scale = np.sqrt(variance)[:, None]
            z = mean[:, None] + scale * np.linspace(-9.0, 9.0, 161)
            weight = norm.pdf(z, mean[:, None], scale) * (z[:, 1:2] - z[:, :1])
            inner = np.sum(weight * log_ratio(z, mean[:, None], scale, here, there), 1)
            alive = density > 1e-25
            total += SPACING * density[alive] @ inner[alive]
        kernel = norm.pdf(GRID[:, None], mean, np.sqrt(variance))
        density = SPACING * kernel @ density
    return density, total


def backward(law, step, scales, start):
    """KL(paths || exact paths), and the law of the output on `GRID`."""

    def log_ratio(z, mean, scale, here, there):
        exact = log_reverse(law, GRID, z, here, there)
        return norm.logpdf(z, mean, scale) - exact

    alpha, sigma = scales[0]
    begin = line([1.0], [0.0], [start])
    first = kl(begin, noised(law, alpha, sigma**2))
    density, rest = propagated(step, scales, pdf(begin, GRID), log_ratio)
    return first + rest, density


def output_kls(density, law):
    """KL(law || density) and KL(density || law) on `GRID`."""
    p, alive = pdf(law, GRID), density > 0
    logs = np.log(density[alive]) - logpdf(law, GRID)[alive]
    return -SPACING * p[alive] @ logs, SPACING * density[alive] @ logs


@functools.cache
def both_ways(steps, eta):
    """Path divergences both ways, and both of the output, of PiGDM on two modes."""
    scales = levels(steps, 1.0, 0.02)
    step = ancestral(pigdm, eta)
    start = scales[0, 1] ** 2
    back, density = backward(POSTERIOR, step, scales, start)
    law = noised(POSTERIOR, scales[-1, 0], scales[-1, 1] ** 2)
    return forward(POSTERIOR, step, scales, start), back, *output_kls(density, law)


def path_identity(steps, eta):
    total, _, output, _ = both_ways(steps, eta)
    found = {
        "the parts add up": (total, total),
        "output": (Side(output, LAW), total),
    }
    if eta == 1.0:
        scales, error = levels(steps, 1.0, 0.02), 0.0
        snr = (scales[:, 0] / scales[:, 1]) ** 2
        for (alpha, sigma), rise in zip(scales, np.diff(snr), strict=False):
            law = noised(POSTERIOR, alpha, sigma**2)

            def square(x, alpha=alpha, sigma=sigma):
                return (pigdm(x, alpha, sigma) - exactly(x, alpha, sigma)) ** 2

            error += 0.5 * rise * expect(law, square)
        found["approximation"] = (error, error)
    return found


def reverse_paths(steps):
    _, back, _, output = both_ways(steps, 1.0)
    return {"output": (Side(output, LAW), back), "density ratio": (None, None)}


def jeffreys(steps):
    path, back, output, other = both_ways(steps, 1.0)
    return {"": (Side(output + other, LAW), path + back)}


# --- T3 -------------------------------------------------------------------------------


def mmse(v):
    """E Var[x0 | x0 + N(0, v), y]."""
    return expect(
        noised(POSTERIOR, 1.0, v), lambda z: denoised_moments(POSTERIOR, z, v)[1]
    )


def information(v):
    """I(x0; x0 + N(0, v)) given y."""
    return entropy(noised(POSTERIOR, 1.0, v)) - 0.5 * np.log(2.0 * np.pi * np.e * v)


def cost_of(snr):
    """The discretisation term on a grid of the SNR."""
    errors = np.array([mmse(1.0 / s) for s in snr])
    known = np.array([information(1.0 / s) for s in snr])
    return 0.5 * np.diff(snr) @ errors[:-1] - (known[-1] - known[0]), errors, known


def information_bound(steps):
    ends = log_snr(1.0), log_snr(0.01)
    snr = np.exp(np.linspace(*ends, steps + 1))
    cost, errors, known = cost_of(snr)
    sums = 0.5 * np.diff(snr) @ (errors[:-1] - errors[1:])
    gain = known[-1] - known[0] + 0.5 * snr[0] * errors[0]
    # mmse falls at the rate E Var[x0 | z, y]^2
    fine = np.linspace(*ends, 1201)

    def slope(s):
        square = lambda z: denoised_moments(POSTERIOR, z, 1.0 / s)[1] ** 2  # noqa: E731
        return expect(noised(POSTERIOR, 1.0, 1.0 / s), square)

    roots = np.exp(fine) * np.sqrt([slope(s) for s in np.exp(fine)])
    spent = np.concatenate([[0.0], np.cumsum(0.5 * (roots[1:] + roots[:-1]))])
    spent *= fine[1] - fine[0]
    best = np.interp(np.linspace(0.0, spent[-1], steps + 1), spent, fine)
    least = cost_of(np.exp(best))[0]
    kappa = np.exp((ends[1] - ends[0]) / steps) - 1.0
    return {
        "decreasing error": (Side(cost, 1e-8), Side(sums, 1e-8)),
        "information": (Side(sums, 1e-8), kappa * gain),
        "optimal grid": (Side(least, 1e-3), Side(cost, 1e-8)),
        "leading order": (
            Side(least, 1e-3),
            Side(spent[-1] ** 2 / (4.0 * steps), 1e-5),
        ),
    }


PINS = [
    Pin("T1-path-identity", {"steps": 10, "eta": 1.0}, lambda: path_identity(10, 1.0)),
    Pin("T1-path-identity", {"steps": 10, "eta": 0.6}, lambda: path_identity(10, 0.6)),
    Pin(
        "T2-reverse-paths",
        {"steps": 10},
        lambda: reverse_paths(10),
        keys=10,
    ),
    Pin("T3-information", {"steps": 20}, lambda: information_bound(20)),
    Pin(
        "T18-jeffreys",
        {"steps": 10},
        lambda: jeffreys(10),
        keys=10,
    ),
]
