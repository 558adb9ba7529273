"""Oracles of T45 to T48: flows, posterior covariances and landscapes by their formulas."""

import numpy as np
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize
from scipy.sparse import diags
from scipy.sparse.linalg import eigsh
from scipy.spatial.distance import pdist
from scipy.stats import multivariate_normal

from .line import curvature, denoised_moments, expect, line, logpdf, noised, score
from .pins import Pin, Side

PRIOR = line([0.4, 0.6], [-1.0, 1.5], [0.16, 0.36])
FIRST, LAST = np.log(3.0), np.log(0.2)
MEANS = np.array([[-1.0, 0.2], [0.9, 0.6], [0.3, -0.8]])
WEIGHTS = np.array([0.5, 0.3, 0.2])
ATOMS = np.array([*MEANS, [0.1, 0.4]])
SHARES = np.array([0.4, 0.3, 0.2, 0.1])


# --- T45: the law that v carries, forwards from many points ----------------------------


def flow_matching(relative, offset):
    x = np.linspace(-45.0, 45.0, 6001)
    nodes, rule = np.polynomial.legendre.leggauss(20)
    times = (FIRST - LAST) * 0.5 * (nodes + 1.0)  # of the clock, from the first level

    def erring(z, level):
        exact = denoised_moments(PRIOR, z, level**2)[0]
        return exact + relative * (exact - z) + level**2 * offset

    def slopes(clock, state):
        z, log = np.split(state, 2)
        level = np.exp(FIRST - clock)
        inner = curvature(noised(PRIOR, 1.0, level**2), z)  # D' = 1 + level^2 (log p)''
        steep = 1.0 + level**2 * inner
        return np.concatenate(
            [erring(z, level) - z, steep + relative * (steep - 1.0) - 1.0]
        )

    ends = [*times, FIRST - LAST]
    start = noised(PRIOR, 1.0, np.exp(2.0 * FIRST))
    found = solve_ivp(
        slopes,
        (0.0, ends[-1]),
        np.concatenate([x, np.zeros_like(x)]),
        t_eval=ends,
        rtol=1e-8,
        atol=1e-9,
    ).y
    log_start = logpdf(start, x)

    def law(k):
        z, log = np.split(found[:, k], 2)
        return CubicSpline(z, log_start - log)

    work = square = scores = 0.0
    for k, (clock, weight) in enumerate(zip(times, rule, strict=True)):
        level = np.exp(FIRST - clock)
        p, slope = noised(PRIOR, 1.0, level**2), law(k).derivative()
        weight = 0.5 * (FIRST - LAST) * weight

        def gap(z, level=level):
            return denoised_moments(PRIOR, z, level**2)[0] - erring(z, level)

        def apart(z, p=p, slope=slope):
            return score(p, z) - slope(z)

        work += weight * expect(p, lambda z, a=apart, g=gap: a(z) * g(z))
        square += weight * expect(p, lambda z, g=gap: g(z) ** 2)
        scores += weight * expect(p, lambda z, a=apart: a(z) ** 2)
    p, q = noised(PRIOR, 1.0, np.exp(2.0 * LAST)), law(len(times))
    kl = expect(p, lambda z: logpdf(p, z) - q(z))
    sides = kl, work, np.sqrt(square * scores)
    kl, work, bound = (Side(value, 1e-5) for value in sides)
    return {"identity": (kl, work), "bound": (kl, bound)}


# --- T46 and T47: what is not known behind noise ---------------------------------------


def between(z, means, weights, variance):
    """Covariance of the centre given a point at which components have a variance."""
    logits = np.log(weights) - 0.5 * np.sum((z - means) ** 2, axis=1) / variance
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    gaps = means - shares @ means
    return np.einsum("k,ki,kj->ij", shares, gaps, gaps)


def widest(means, weights, variance):
    """The largest eigenvalue of it over points of the plane, by a search."""

    def least(z):
        return -np.linalg.eigvalsh(between(z, means, weights, variance))[-1]

    starts = np.stack(np.meshgrid(*[np.linspace(-2.5, 2.5, 15)] * 2), -1).reshape(-1, 2)
    starts = sorted(starts, key=least)[:3]
    options = {"xatol": 1e-9, "fatol": 1e-12}
    found = [minimize(least, z, method="Nelder-Mead", options=options) for z in starts]
    return -min(one.fun for one in found)


def covariance(size, noise, scale=0.8):
    own, square = size**2, noise**2
    total, diameter = own + square, pdist(MEANS).max()
    inner = own * square / total
    gain = (square / total) ** 2

    def hessian(phi):
        return (scale**2 * phi - (scale * noise) ** 2) / (scale * noise) ** 4

    measured = inner + gain * widest(MEANS, WEIGHTS, total)
    phi = inner + gain * diameter**2 / 4.0
    left = Side(measured, 1e-6)
    found = {
        "covariance": (left, phi),
        "Hessian": (Side(hessian(measured), 1e-6), hessian(phi)),
    }
    rate = 1.0 / own - diameter**2 / (4.0 * own**2)
    return found | {"covariance, log-concave": (left, square / (1.0 + rate * square))}


def lipschitz(variance, share):
    step = share * variance
    ball = minimize(
        lambda c: np.linalg.norm(ATOMS - c, axis=1).max(),
        ATOMS.mean(0),
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12},
    ).fun
    most = widest(ATOMS, SHARES, variance)
    left = 1.0 - step / variance + step / variance**2 * most
    bound = 1.0 + step * (ball**2 / variance**2 - 1.0 / variance)
    return {
        "Lipschitz": (Side(left, 2e-3), Side(bound, 1e-3)),
        "lost in a direction": (Side(share, 0.02), share),
    }


# --- T48: curvature, pull and the spectral gap -----------------------------------------


def landscape(distance):
    means = distance * MEANS
    covariances = np.array(
        [[[0.5, 0.1], [0.1, 0.3]], [[0.2, 0.0], [0.0, 0.9]], [[0.6, -0.2], [-0.2, 0.4]]]
    )
    values = np.linalg.eigvalsh(covariances)
    parts = [multivariate_normal(m, C) for m, C in zip(means, covariances, strict=True)]

    def lack(x):
        shares = WEIGHTS * np.array([part.pdf(x) for part in parts])
        pulls = np.array(
            [np.linalg.solve(C, m - x) for m, C in zip(means, covariances, strict=True)]
        )
        return -(0.5 * x @ x / values.max() + shares / shares.sum() @ pulls @ x)

    options = {"xatol": 1e-6, "fatol": 1e-9}
    most = -min(
        minimize(lack, 1.1 * m, method="Nelder-Mead", options=options).fun
        for m in means
    )
    bound = 0.5 * values.max() * np.sum(means**2, 1).max() / values.min() ** 2
    return {
        "curvature": (Side(1.0 / values.min(), 1e-6), 1.0 / values.min()),
        "pull": (Side(most, 0.02), bound),
    }


def poincare(half, least, most):
    """The gap by a finite element matrix of the Dirichlet form."""
    p = line([0.5, 0.5], [half, -half], [most, least])
    low, high = -half - 9.0 * np.sqrt(least), half + 9.0 * np.sqrt(most)

    def gap(cells):
        x, step = np.linspace(low, high, cells + 1, retstep=True)
        mass, middle = np.exp(logpdf(p, x)), np.exp(logpdf(p, x[:-1] + 0.5 * step))
        pad = np.concatenate([[0.0], middle, [0.0]])
        stiff = diags([pad[:-1] + pad[1:], -middle, -middle], [0, 1, -1]) / step**2
        root = diags(1.0 / np.sqrt(mass))
        form = (root @ stiff @ root).tocsc()
        return np.sort(eigsh(form, 2, sigma=-1e-6, return_eigenvectors=False))[1]

    coarse, fine = gap(3000), gap(6000)
    constant = 1.0 / (fine + (fine - coarse) / 3.0)
    return {"": (0.5 * half**2 * np.exp(0.5 * half**2 / most), Side(constant, 1e-5))}


PINS = [
    Pin(
        "T45-flow-matching",
        {"relative": 0.12, "offset": 0.15},
        lambda: flow_matching(0.12, 0.15),
    ),
    Pin(
        "T46-posterior-covariance",
        {"size": 1.3, "noise": 0.6},
        lambda: covariance(1.3, 0.6),
    ),
    Pin(
        "T47-denoising-lipschitz",
        {"variance": 0.6, "share": 0.7},
        lambda: lipschitz(0.6, 0.7),
    ),
    Pin("T48-landscape", {"distance": 1.4}, lambda: landscape(1.4)),
    Pin(
        "T48-poincare",
        {"half": 1.7, "least": 0.6, "most": 1.2},
        lambda: poincare(1.7, 0.6, 1.2),
    ),
]
