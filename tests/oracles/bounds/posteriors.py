"""Oracles of T29, T31, T32, T36 and C18: posteriors and what noise does to them."""

import numpy as np
from scipy.stats import multivariate_normal, norm

from .line import (
    BESIDE,
    TWO,
    chi2,
    curvature,
    denoised_moments,
    evidence,
    expect,
    kl,
    line,
    mean,
    nodes,
    noised,
    pdf,
    seen,
    variance,
    w2_squared,
)
from .pins import Among, Pin, Side
from .space import conditioned, log_evidence, observed

# --- T29, T31, T32, T36 ---------------------------------------------------------------


def tilted(share):
    prior = line([0.4, 0.6], [-1.0, 1.5], 0.2)
    v = share * (0.9 / 1.3) ** 2
    exact = seen(prior, 1.3, 0.81, 0.3)
    left_over = 0.81 - v * 1.69
    boosted = seen(noised(prior, 1.0, v), 1.3, left_over, 0.3)
    z = nodes(boosted)
    weight = (z[1] - z[0]) * pdf(boosted, z)
    first, spread = denoised_moments(prior, z, v)
    c, pull = 0.2 + v, 1.69 / left_over
    steep = np.max(curvature(noised(prior, 1.0, v), np.linspace(-4.0, 4.0, 2001)))
    m = weight @ first
    # The package shows one of these: which of them differs most is a matter of rounding.
    among = Among(pdf(exact, np.linspace(-1.5, 2.0, 7)))
    return {
        "mean": (m, mean(exact)),
        "variance": (weight @ (spread + first**2) - m**2, variance(exact)),
        "density": (among, among),
        "curvature": (pull + 1.0 / c - 2.5**2 / (4.0 * c**2), pull - steep),
    }


def split_gibbs(coupling):
    a, g2, y = 1.3, 0.16, 0.6
    exact, law = seen(TWO, a, g2, y), seen(TWO, a, g2 + (coupling * a) ** 2, y)
    bias = kl(exact, law)
    rate = 1.0 / ((1.0 + coupling**2 * a**2 / g2) * (1.0 + coupling**2 / 0.5))
    return {
        "mean after a sweep": (mean(law), mean(law)),
        "variance after a sweep": (variance(law), variance(law)),
        "bias": (bias, bias),
        "contraction, one Gaussian": (rate, rate),
    }


def split_order(coupling):
    """The order, from the divergences by quadrature."""
    a, g2, y = 1.3, 0.16, 0.6
    exact = seen(TWO, a, g2, y)
    once, half = (
        kl(exact, seen(TWO, a, g2 + (c * a) ** 2, y)) for c in (coupling, coupling / 2)
    )
    order = Side(np.log2(once / half), 1e-6)
    return split_gibbs(coupling) | {"order (asymptotic)": (order, 4.0)}


def replacement(r, s=1.4):
    """The integral over v = 1 / snr of both conditional variances, from matrices."""
    S = np.array([[1.0, r * s], [r * s, s**2]])
    t, weight = np.polynomial.legendre.leggauss(600)
    log_v = 30.0 * t
    v = np.exp(log_v)
    both = [np.linalg.inv(np.linalg.inv(S) + np.eye(2) / x)[1, 1] for x in v]
    alone = 1.0 / (1.0 / (s**2 * (1.0 - r**2)) + 1.0 / v)
    path = 0.5 * 30.0 * weight @ ((both - alone) / v)  # d snr = -d log v / v
    path = Side(path, 1e-7)
    first = s**2 / (s**2 * (1.0 - r**2))
    return {
        "path": (Side(path.value, 1e-6), path),
        "path by information": (path, 0.5 * np.log(first)),
        "marginal by path": (None, path),
    }


def early_stopping(v, dim):
    def image(share):
        """Of z: towards the denoised mean by a share of the way."""
        return lambda z: z + share * (denoised_moments(TWO, z, v)[0] - z)

    wide = noised(TWO, 1.0, v)
    s2 = BESIDE[1][: dim - 1]
    s = np.sqrt(s2)
    w = np.sqrt(s2 + v)
    apart = w2_squared(wide, TWO) + np.sum((w - s) ** 2)
    spread = expect(wide, lambda z: denoised_moments(TWO, z, v)[0] ** 2)
    spread += np.sum(s2**2 / (s2 + v)) - mean(TWO) ** 2
    total = variance(TWO) + np.sum(s2)
    found = {
        "stopped": (Side(np.sqrt(apart), 1e-8), np.sqrt(dim * v)),
        "denoised is narrow": (spread, total),
    }
    if v < 0.16:
        gaps = {"denoising": 1.0, "half denoising": 2.0}
        for (name, order), share in zip(gaps.items(), (1.0, 0.5), strict=True):
            costs = []
            for level in (v, v / 2):
                q = noised(TWO, 1.0, level)

                def move(z, level=level, share=share):
                    return z + share * (denoised_moments(TWO, z, level)[0] - z)

                beside = np.sqrt(s2 + level)
                beside += share * (s2 / beside - beside) - s
                costs.append(w2_squared(q, TWO, image=move) + np.sum(beside**2))
            slope = Side(0.5 * np.log2(costs[0] / costs[1]), 1e-4)
            found[f"order of {name} (asymptotic)"] = (slope, order)
    if dim == 1:
        s, w = np.sqrt(0.6), np.sqrt(0.6 + v)
        costs = (
            ("stopped", w - s),
            ("denoised", s - 0.6 / w),
            ("half denoised", (0.6 + v / 2) / w - s),
        )
        for name, cost in costs:
            found[f"Gaussian, {name}"] = (Side(cost, 1e-5), cost)
    return found


def prior_baseline(noise):
    posterior = seen(TWO, 1.3, noise**2, 0.6)
    found, ratio = kl(posterior, TWO), np.log1p(chi2(posterior, TWO))
    most = norm.logpdf(0.6, 0.6, noise) - evidence(TWO, 1.3, noise**2, 0.6)
    return {
        "closed form": (found, found),
        "log(1 + chi^2), closed form": (ratio, ratio),
        "KL by chi^2": (found, ratio),
        "chi^2 by rejection": (ratio, most),
    }


def prior_baseline_in_space(noise):
    """E log p(y|x) by the moments of y - A x, and the square of p(y|x) by completion."""
    prior, A, R, y = observed(noise)
    w, m, C = conditioned(prior, A, R, y)
    peak, at_y = multivariate_normal.logpdf(y, y, R), log_evidence(prior, A, R, y)
    expected = peak - 0.5 * sum(
        wk * np.trace(np.linalg.solve(R, np.outer(r := y - A @ mk, r) + A @ Ck @ A.T))
        for wk, mk, Ck in zip(w, m, C, strict=True)
    )
    found = expected - at_y
    square = log_evidence(prior, A, R / 2.0, y) - np.log(4.0 * np.pi)
    ratio = square - 0.5 * np.linalg.slogdet(R)[1] - 2.0 * at_y
    return {
        "closed form": (found, Side(found, 0.0)),
        "log(1 + chi^2), closed form": (ratio, Side(ratio, 0.0)),
        "KL by chi^2": (found, ratio),
        "chi^2 by rejection": (ratio, peak - at_y),
    }


PINS = [
    Pin("T29-tilted-transport", {"share": 0.6}, lambda: tilted(0.6)),
    Pin("T31-split-gibbs", {"coupling": 0.4, "dim": 1}, lambda: split_gibbs(0.4)),
    Pin("T31-split-gibbs", {"coupling": 0.15, "dim": 1}, lambda: split_order(0.15)),
    Pin("T32-replacement", {"correlation": 0.7}, lambda: replacement(0.7)),
    *(
        Pin(
            "T36-early-stopping",
            {"v": v, "dim": dim},
            lambda v=v, d=dim: early_stopping(v, d),
        )
        for v, dim in ((0.4, 1), (0.05, 3))
    ),
    Pin("C18-prior-baseline", {"noise": 0.5, "dim": 1}, lambda: prior_baseline(0.5)),
    Pin(
        "C18-prior-baseline",
        {"noise": 0.5, "dim": 3},
        lambda: prior_baseline_in_space(0.5),
    ),
]
