"""Mixtures on the line by NumPy: uniform sums that are accurate to about 1e-13."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax
from scipy.stats import norm

REACH = 11.0  # standard deviations


class Line(NamedTuple):
    """sum_k w_k N(m_k, v_k); each (K,)."""

    w: np.ndarray
    m: np.ndarray
    v: np.ndarray


def line(w, m, v) -> Line:
    """A mixture from lists; one variance may stand for all."""
    w, m = np.asarray(w, float), np.asarray(m, float)
    return Line(w / w.sum(), m, np.broadcast_to(np.asarray(v, float), m.shape))


GAMMA = line([1.0], [0.0], [1.0])


def logs(p: Line, x):
    """log w_k + log N(x; m_k, v_k), (..., K)."""
    return np.log(p.w) + norm.logpdf(np.asarray(x)[..., None], p.m, np.sqrt(p.v))


def logpdf(p: Line, x):
    """Logarithm of the density."""
    return logsumexp(logs(p, x), axis=-1)


def pdf(p: Line, x):
    """The density."""
    return np.exp(logpdf(p, x))


def cdf(p: Line, x):
    """The distribution function."""
    return norm.cdf(np.asarray(x)[..., None], p.m, np.sqrt(p.v)) @ p.w


def score(p: Line, x):
    """Derivative of log p."""
    x = np.asarray(x)[..., None]
    return np.sum(softmax(logs(p, x[..., 0]), axis=-1) * (p.m - x) / p.v, axis=-1)


def curvature(p: Line, x):
    """Second derivative of log p: -sum r / v + Var_r of the pulls."""
    x = np.asarray(x)
    shares, pulls = softmax(logs(p, x), axis=-1), (p.m - x[..., None]) / p.v
    mean = np.sum(shares * pulls, axis=-1)
    spread = np.sum(shares * (pulls - mean[..., None]) ** 2, axis=-1)
    return spread - np.sum(shares / p.v, axis=-1)


def mean(p: Line) -> float:
    """E X."""
    return float(p.w @ p.m)


def variance(p: Line) -> float:
    """Var X."""
    return float(p.w @ (p.v + (p.m - mean(p)) ** 2))


def noised(p: Line, alpha, variance) -> Line:
    """Law of alpha X + N(0, variance)."""
    return Line(p.w, alpha * p.m, alpha**2 * p.v + variance)


def seen(p: Line, a, g2, y) -> Line:
    """Law of X given a X + N(0, g2) = y."""
    spread = a**2 * p.v + g2
    weights = softmax(np.log(p.w) + norm.logpdf(y, a * p.m, np.sqrt(spread)))
    gain = a * p.v / spread
    return Line(weights, p.m + gain * (y - a * p.m), p.v * g2 / spread)


def evidence(p: Line, a, g2, y) -> float:
    """log p(y), y = a X + N(0, g2)."""
    return float(logpdf(noised(p, a, g2), y))


def denoised(p: Line, z, v):
    """Shares, means and variances (..., K) of X given X + N(0, v) = z."""
    z = np.asarray(z)
    shares = softmax(logs(noised(p, 1.0, v), z), axis=-1)
    gain = p.v / (p.v + v)
    return shares, p.m + gain * (z[..., None] - p.m), gain * v


def denoised_moments(p: Line, z, v):
    """E and Var of X given X + N(0, v) = z."""
    shares, means, variances = denoised(p, z, v)
    first = np.sum(shares * means, axis=-1)
    spread = variances + (means - first[..., None]) ** 2
    return first, np.sum(shares * spread, axis=-1)


def nodes(*laws: Line, per=12.0, reach=REACH):
    """Uniform nodes that cover every law, `per` to the narrowest standard deviation."""
    ends = [
        (np.min(p.m - reach * np.sqrt(p.v)), np.max(p.m + reach * np.sqrt(p.v)))
        for p in laws
    ]
    lower, upper = min(e[0] for e in ends), max(e[1] for e in ends)
    narrow = min(float(np.sqrt(p.v.min())) for p in laws)
    count = int(np.ceil((upper - lower) / narrow * per)) + 1
    return np.linspace(lower, upper, count)


def expect(p: Line, function, x=None):
    """E f(X) by a uniform sum."""
    x = nodes(p) if x is None else x
    return float((x[1] - x[0]) * np.sum(pdf(p, x) * function(x)))


def kl(q: Line, p: Line) -> float:
    """KL(q || p)."""
    return expect(q, lambda x: logpdf(q, x) - logpdf(p, x))


def fisher(q: Line, p: Line) -> float:
    """E_q |(log q/p)'|^2."""
    return expect(q, lambda x: (score(q, x) - score(p, x)) ** 2)


def chi2(q: Line, p: Line) -> float:
    """E_p (q/p - 1)^2."""
    x = nodes(q, p, reach=14.0)
    return float((x[1] - x[0]) * np.sum((pdf(q, x) - pdf(p, x)) ** 2 / pdf(p, x)))


def tv(q: Line, p: Line) -> float:
    """Half the integral of |q - p|, from the points where the densities cross."""
    x = nodes(q, p, per=40.0) + 1e-5  # no crossing at a node
    gap = pdf(q, x) - pdf(p, x)
    (at,) = np.nonzero(gap[1:] * gap[:-1] < 0)
    cross = [
        brentq(lambda x: float(pdf(q, x) - pdf(p, x)), x[i], x[i + 1], xtol=1e-14)
        for i in at
    ]
    below = np.concatenate([[0.0], cdf(q, np.array(cross)) - cdf(p, np.array(cross))])
    return float(0.5 * np.sum(np.abs(np.diff(np.append(below, 0.0)))))


def entropy(p: Line) -> float:
    """Differential entropy."""
    return -expect(p, lambda x: logpdf(p, x))


def quantile(p: Line, log_below, above):
    """Points (n,) with these masses below (as logarithms) or above, by bisection."""
    small = log_below < np.log(0.5)
    low = np.full(log_below.shape, np.min(p.m - 14 * np.sqrt(p.v)))
    high = np.full(log_below.shape, np.max(p.m + 14 * np.sqrt(p.v)))
    for _ in range(62):
        middle = 0.5 * (low + high)
        under = logsumexp(
            np.log(p.w) + norm.logcdf(middle[:, None], p.m, np.sqrt(p.v)), axis=1
        )
        over = logsumexp(
            np.log(p.w) + norm.logsf(middle[:, None], p.m, np.sqrt(p.v)), axis=1
        )
        passed = np.where(small, under >= log_below, over <= above)
        low, high = np.where(passed, low, middle), np.where(passed, middle, high)
    return 0.5 * (low + high)


def coupled(q: Line, p: Line, x):
    """The monotone map from q to p at x (n,)."""
    under = logsumexp(np.log(q.w) + norm.logcdf(x[:, None], q.m, np.sqrt(q.v)), axis=1)
    over = logsumexp(np.log(q.w) + norm.logsf(x[:, None], q.m, np.sqrt(q.v)), axis=1)
    return quantile(p, under, over)


def w2_squared(q: Line, p: Line, per=150.0, image=lambda x: x) -> float:
    """Squared W2 of p and the image of q under an increasing map."""
    x = nodes(q, per=per, reach=9.5)
    gap = image(x) - coupled(q, p, x)
    return float((x[1] - x[0]) * np.sum(pdf(q, x) * gap**2))


TWO = line([0.4, 0.6], [-1.0, 1.5], [0.16, 0.36])
BESIDE = np.array([0.7, -0.3]), np.array([0.25, 0.6])  # means and variances


def gaussian_kl(m, v, other_m=0.0, other_v=1.0):
    """KL between Gaussians on the line."""
    return 0.5 * (
        v / other_v - 1.0 - np.log(v / other_v) + (m - other_m) ** 2 / other_v
    )
