"""Laws of samplers on the line by NumPy: scalar formulas, one uniform grid, sums.

Nothing is shared with the package, nor with its grids: the law after a step is the sum of
the Gaussians of all nodes, cut at nine standard deviations.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax
from scipy.stats import norm

from .numpy_mixture import bridge, vp

REACH = 8.0  # standard deviations of a kernel
PER_SD, COARSEST, FINEST = 2.5, 0.02, 5e-4  # spacing: nodes a kernel, and its limits
FAINT = 1e-17  # masses that are left out


class Line(NamedTuple):
    """A mixture on the line and the observation y = A x0 + b + N(0, R)."""

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    A: float
    b: float
    R: float
    y: float


FOUR = (
    np.array([0.35, 0.3, 0.2, 0.15]),
    np.array([-2.4, -0.7, 0.9, 2.6]),
    np.array([0.05, 0.03, 0.06, 0.04]),
)
TWO = np.array([0.4, 0.6]), np.array([-1.0, 1.5]), np.array([0.16, 0.36])
PROBLEMS = {
    "two-modes": Line(*TWO, 1.0, 0.0, 0.3**2, 0.5),
    "one-gaussian": Line(*np.array([[1.0], [0.5], [0.6]]), 1.2, -0.1, 0.25**2, 0.8),
    "one-sided": Line(*FOUR, 1.0, 0.0, 0.35**2, 0.95),
    "gap": Line(*FOUR, 1.0, 0.0, 0.35**2, 0.1),
}


def path(t):
    """alpha, sigma, drift and squared diffusion of every problem."""
    return vp(t, 0.01, 20.0)


def posterior(line):
    """Weights, means and variances of p(x0 | y)."""
    w, mu, v, A, b, R, y = line
    spread = A**2 * v + R
    weights = w * norm.pdf(y, A * mu + b, np.sqrt(spread))
    gain = A * v / spread
    return weights / weights.sum(), mu + gain * (y - A * mu - b), v * R / spread


def noised(mixture, t):
    """The mixture at time t."""
    alpha, sigma, *_ = path(t)
    weights, means, variances = mixture
    return weights, alpha * means, alpha**2 * variances + sigma**2


def density(mixture, x):
    """At x (n,)."""
    weights, means, variances = mixture
    return norm.pdf(x[:, None], means, np.sqrt(variances)) @ weights


def mass(mixture, lower, upper):
    """Between two points."""
    weights, means, variances = mixture
    ends = norm.cdf(np.array([[lower], [upper]]), means, np.sqrt(variances))
    return weights @ (ends[1] - ends[0])


def responsibilities(mixture, x):
    """(n, K)."""
    weights, means, variances = mixture
    logs = norm.logpdf(x[:, None], means, np.sqrt(variances))
    return softmax(np.log(weights) + logs, axis=1)


def variance(mixture):
    """Of a mixture."""
    weights, means, variances = mixture
    centre = weights @ means
    return weights @ (variances + (means - centre) ** 2)


def denoised(line, x, alpha, sigma, exact=False):
    """E and Cov[x0 | x_t], given y too if `exact`; (n,) each."""
    w, mu, v, A, b, R, y = line
    spread = alpha**2 * v + sigma**2
    means = mu + alpha * v / spread * (x[:, None] - alpha * mu)
    variances = v * sigma**2 / spread
    logs = np.log(w) + norm.logpdf(x[:, None], alpha * mu, np.sqrt(spread))
    if exact:
        seen = A**2 * variances + R
        logs = logs + norm.logpdf(y, A * means + b, np.sqrt(seen))
        means = means + A * variances / seen * (y - b - A * means)
        variances = variances * R / seen
    shares = softmax(logs, axis=1)
    mean = np.sum(shares * means, axis=1)
    return mean, np.sum(shares * (variances + (means - mean[:, None]) ** 2), axis=1)


def guided_mean(method, line, x, alpha, sigma):
    """M(x) of a method, (n,), with the options that are its defaults."""
    *_, A, b, R, y = line
    m, C = denoised(line, x, alpha, sigma, exact=method == "Exact")
    residual = y - b - A * m
    flat = (sigma / alpha) ** 2
    gain = {
        "Exact": 0.0,
        "Unguided": 0.0,
        "DPS": C * A / R,
        "ZetaDPS": 0.6 * C * A / np.abs(residual),
        "PiGDM": C * A / (R + A**2 * sigma**2 / (sigma**2 + alpha**2)),
        "TMPD": C * A / (R + A**2 * C),
        "DDNM": 1.0 / A,
        "DiffPIR": flat * A / (R + A**2 * flat),
    }[method]
    return m + gain * residual


def transition(method, kernel, line, x, t, s):
    """Means (n,) and standard deviations (n,) of a step."""
    alpha, sigma, drift, square = path(t)
    alpha_s, sigma_s, *_ = path(s)
    rho, a, c, _ = bridge(alpha, sigma, alpha_s, sigma_s)
    small = sigma_s**2 * (1.0 - rho**2) * np.ones_like(x)
    if method.startswith("DPS update"):
        m, C = denoised(line, x, alpha, sigma)
        pull = line.A * np.sign(line.y - line.b - line.A * m)
        zeta = float(method.split()[-1])
        step = 2.0 * zeta * alpha / sigma**2 * C * pull
        return a * x + c * m + step, np.sqrt(small)
    M = guided_mean(method, line, x, alpha, sigma)
    if kernel == "Euler-Maruyama":
        score = (alpha * M - x) / sigma**2
        mean = x - (t - s) * (drift * x - square * score)
        return mean, np.sqrt(square * (t - s)) * np.ones_like(x)
    if kernel == "DDPM matched":
        _, C = denoised(line, x, alpha, sigma, exact=method == "Exact")
        return a * x + c * M, np.sqrt(small + c**2 * C)
    return a * x + c * M, np.sqrt(small)


def laws(method, kernel, line, times):
    """(t, x, law at x) at every time, from N(0, sigma^2) to the last, which is finer."""
    x = nodes(-REACH, REACH, COARSEST)
    law = norm.pdf(x, 0.0, path(times[0])[1])
    yield times[0], x, law
    for i, (t, s) in enumerate(zip(times[:-1], times[1:], strict=True)):
        weight = (x[1] - x[0]) * law
        alive = weight > FAINT
        mean, scale = transition(method, kernel, line, x[alive], t, s)
        if i == len(times) - 2:
            spacing = FINEST
        else:  # the next step is an integral over x: its Gaussian has to be resolved
            _, following = transition(method, kernel, line, x[:1], s, times[i + 2])
            spacing = min(COARSEST, following[0] / PER_SD, scale.min() / PER_SD)
        reach = REACH * scale
        x = nodes((mean - reach).min(), (mean + reach).max(), spacing)
        law = added(mean, scale, weight[alive], x)
        yield s, x, law


def nodes(lower, upper, spacing):
    """Multiples of the spacing."""
    return spacing * np.arange(np.floor(lower / spacing), np.ceil(upper / spacing) + 1)


def added(mean, scale, weight, x):
    """The sum of the weighted Gaussians at x (n,), which is uniform."""
    spacing = x[1] - x[0]
    half = int(np.ceil(REACH * scale.max() / spacing))
    first = np.rint((mean - x[0]) / spacing).astype(int)
    index = first[:, None] + np.arange(-half, half + 1)
    inside = (index >= 0) & (index < len(x))
    index = np.clip(index, 0, len(x) - 1)
    offset = (x[0] + spacing * index - mean[:, None]) / scale[:, None]
    height = np.exp(-0.5 * offset**2) * (weight / scale)[:, None] / np.sqrt(2 * np.pi)
    return np.bincount(index.ravel(), (height * inside).ravel(), len(x))


def last_law(method, kernel, line, steps, t_min=0.01):
    """x and the law at the end of a uniform grid of times."""
    *_, (_, x, law) = laws(method, kernel, line, np.linspace(1.0, t_min, steps + 1))
    return x, law


def total_variation(x, law, mixture):
    """Of a law at x and a mixture."""
    truth = density(mixture, x)
    spacing = x[1] - x[0]
    outside = 1.0 - spacing * truth.sum()
    return 0.5 * (spacing * np.abs(law - truth).sum() + outside)


def gaussian_steps(method, line, times):
    """Mean and variance after Euler-Maruyama steps for a prior of one component.

    The step is affine: its two coefficients are read off at two points.
    """
    mean, spread = 0.0, 1.0
    for t, s in zip(times[:-1], times[1:], strict=True):
        at, scale = transition(
            method, "Euler-Maruyama", line, np.array([0.0, 1.0]), t, s
        )
        slope = at[1] - at[0]
        mean, spread = at[0] + slope * mean, slope**2 * spread + scale[0] ** 2
    return mean, spread


def gaussian_variation(mean, variance, other_mean, other_variance):
    """Total variation of two Gaussians, by the points where their densities cross."""
    curvature = 1.0 / variance - 1.0 / other_variance
    slope = -2.0 * (mean / variance - other_mean / other_variance)
    level = mean**2 / variance - other_mean**2 / other_variance
    level += np.log(variance / other_variance)
    lower, upper = np.sort(np.roots([curvature, slope, level]).real)
    one, other = (
        norm.cdf(upper, m, v**0.5) - norm.cdf(lower, m, v**0.5)
        for m, v in ((mean, variance), (other_mean, other_variance))
    )
    return abs(one - other)
