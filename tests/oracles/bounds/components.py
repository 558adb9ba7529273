"""Oracles of C20 to C24: functionals of mixtures by their components."""

import numpy as np
from scipy.linalg import sqrtm
from scipy.optimize import linprog
from scipy.special import xlogy

from .line import (
    BESIDE,
    GAMMA,
    TWO,
    chi2,
    denoised_moments,
    entropy,
    expect,
    fisher,
    gaussian_kl,
    kl,
    line,
    nodes,
    noised,
    pdf,
    tv,
    variance,
    w2_squared,
)
from .pins import Pin, Side
from .space import moments, whole


def entropies(a):
    p = line([0.3, 0.7], [-a, a], [0.5, 1.2])
    q = line([0.45, 0.55], [-a + 0.3, a + 0.3], [0.7, 0.9])
    within = p.w @ (0.5 * np.log(2.0 * np.pi * np.e * p.v))
    single = [line([1.0], [m], [v]) for m, v in zip(p.m, p.v, strict=True)]
    x = nodes(p)
    overlap = np.array(
        [
            [(x[1] - x[0]) * np.sum(np.sqrt(pdf(f, x) * pdf(g, x))) for g in single]
            for f in single
        ]
    )
    apart = np.array([[kl(f, g) for g in single] for f in single])
    others = [line([1.0], [m], [v]) for m, v in zip(q.m, q.v, strict=True)]
    paired = np.sum(xlogy(p.w, p.w / q.w)) + p.w @ [
        kl(f, g) for f, g in zip(single, others, strict=True)
    ]
    h = entropy(p)
    return {
        "lower": (within - p.w @ np.log(overlap @ p.w), h),
        "upper": (h, within - p.w @ np.log(np.exp(-apart) @ p.w)),
        "KL by pairs": (kl(p, q), paired),
    }


def brackets(snr, dim):
    """Covariances of the whole as they are before the rotation, which changes nothing."""
    m, v = (part[: dim - 1] for part in BESIDE)
    rotated = [np.diag([s, *v]) for s in TWO.v]
    total = np.diag([variance(TWO), *v])
    eye = np.eye(dim)

    def mmse_of(C):
        return np.trace(np.linalg.inv(np.linalg.inv(C) + snr * eye))

    def information_of(C):
        return 0.5 * np.linalg.slogdet(eye + snr * C)[1]

    wide = noised(TWO, 1.0, 1.0 / snr)
    mmse = expect(wide, lambda z: denoised_moments(TWO, z, 1.0 / snr)[1])
    mmse += np.sum(v / (1.0 + snr * v))
    information = entropy(wide) - 0.5 * np.log(2.0 * np.pi * np.e / snr)
    information += 0.5 * np.sum(np.log1p(snr * v))
    each = TWO.w @ [information_of(C) for C in rotated]
    most = min(information_of(total), each - TWO.w @ np.log(TWO.w))
    alpha, noise = np.sqrt(snr / (1.0 + snr)), 1.0 / (1.0 + snr)
    law, m, v = noised(TWO, alpha, noise), alpha * m, alpha**2 * v + noise
    beside = {
        "KL": gaussian_kl(m, v).sum(),
        "Fisher": np.sum(m**2 + v - 2.0 + 1.0 / v),
        "W2": np.sum(m**2 + (np.sqrt(v) - 1.0) ** 2),
    }
    single = [line([1.0], [a], [b]) for a, b in zip(law.m, law.v, strict=True)]
    pairs = {
        name: (
            of(law, GAMMA) + beside[name],
            law.w @ [of(f, GAMMA) for f in single] + beside[name],
        )
        for name, of in (("KL", kl), ("Fisher", fisher), ("W2", w2_squared))
    }
    return {
        "mmse, from below": (TWO.w @ [mmse_of(C) for C in rotated], mmse),
        "mmse, from above": (mmse, mmse_of(total)),
        "information, from below": (each, information),
        "information, from above": (information, most),
        **pairs,
    }


def lipschitz(sigma):
    """Hessians of three modes by the definition, from central differences of the score."""
    means = np.array([[-1.2, 0.4], [0.9, 0.8], [0.3, -1.1]])
    turn = np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
    alpha = np.sqrt(1.0 - sigma**2)
    C = turn @ np.diag(alpha**2 * np.array([0.15, 0.4]) + sigma**2) @ turn.T
    inverse = np.linalg.inv(C)
    grid = np.linspace(-3.0, 3.0, 61)
    x = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    gap = alpha * means[None] - x[:, None]
    logits = np.log([0.5, 0.3, 0.2]) - 0.5 * np.einsum(
        "nki,ij,nkj->nk", gap, inverse, gap
    )
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    pulls = gap @ inverse
    centred = pulls - np.sum(shares[..., None] * pulls, axis=1, keepdims=True)
    hessian = np.einsum("nk,nki,nkj->nij", shares, centred, centred) - inverse
    values = np.linalg.eigvalsh(hessian)
    c = np.linalg.eigvalsh(C)
    diameter = max(np.linalg.norm(a - b) for a in means for b in means)
    bound = -1.0 / c[1] + (alpha * diameter / (2.0 * c[0])) ** 2
    return {
        "from above": (values.max(), bound),
        "from below": (-values.min(), 1.0 / c[0]),
    }


def brackets_of_transport(shift, dim):
    """In space from matrices: Gelbrich by matrix roots, components by a programme."""
    q = line([0.55, 0.45], TWO.m + shift, [0.5, 0.1])
    beside = np.array([0.4, -0.3])[: dim - 1], np.array([0.1, 1.6])[: dim - 1]
    other = tuple(part[: dim - 1] for part in BESIDE)
    exact = w2_squared(q, TWO) + np.sum(
        (beside[0] - other[0]) ** 2 + (np.sqrt(beside[1]) - np.sqrt(other[1])) ** 2
    )
    one = (TWO.w, *whole(TWO, *other))
    two = (q.w, *whole(q, *beside))
    found = {
        "Gelbrich": (Side(gelbrich(*moments(two), *moments(one)), 1e-7), exact),
        "components": (exact, by_programme(two, one)),
    }
    if dim == 1:
        return found
    M = np.array([[1.3, 0.3, -0.2], [0.3, 0.7, 0.1], [-0.2, 0.1, 0.9]])
    m, C = moments(one)
    moved = (M - np.eye(3)) @ m + shift
    cost = moved @ moved + np.trace((M - np.eye(3)) @ C @ (M - np.eye(3)))
    return found | {
        "Gelbrich, linear map": (cost, cost),
        "components, linear map": (cost, cost),
    }


def gelbrich(m, S, n, T):
    """Squared W2 of two Gaussians."""
    root = sqrtm(S)
    return np.sum((m - n) ** 2) + np.trace(S + T - 2.0 * sqrtm(root @ T @ root).real)


def by_programme(q, p):
    """The least cost of moving components to components."""
    costs = [
        gelbrich(m, S, n, T)
        for m, S in zip(*q[1:], strict=True)
        for n, T in zip(*p[1:], strict=True)
    ]
    sums = [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]]
    return linprog(costs, A_eq=sums, b_eq=[*q[0], *p[0]]).fun


def inequalities(shift):
    q = line([0.55, 0.45], TWO.m + shift, [0.13, 0.3])
    t, d, back = tv(q, TWO), kl(q, TWO), kl(TWO, q)
    return {
        "Pinsker": (Side(t, 1e-7), np.sqrt(d / 2.0)),
        "Bretagnolle-Huber": (Side(t, 1e-7), np.sqrt(1.0 - np.exp(-d))),
        "Jeffreys": (Side(2.0 * t * np.log((1.0 + t) / (1.0 - t)), 1e-6), d + back),
        "KL by chi^2": (d, np.log1p(chi2(q, TWO))),
    }


PINS = [
    Pin("C20-entropy", {"separation": 0.8}, lambda: entropies(0.8)),
    *(
        Pin("C21-components", {"snr": 0.7, "dim": dim}, lambda d=dim: brackets(0.7, d))
        for dim in (1, 3)
    ),
    Pin("C22-score-lipschitz", {"sigma": 0.5}, lambda: lipschitz(0.5)),
    *(
        Pin(
            "C23-transport",
            {"shift": 0.6, "dim": dim},
            lambda d=dim: brackets_of_transport(0.6, d),
        )
        for dim in (1, 3)
    ),
    Pin("C24-divergences", {"shift": 0.5}, lambda: inequalities(0.5)),
]
