"""Oracles of statements about one or two laws: no sampler, no path."""

import numpy as np
from scipy.linalg import sqrtm
from scipy.optimize import linprog, minimize_scalar
from scipy.special import xlogy
from scipy.stats import multivariate_normal, norm

from .line import (
    GAMMA,
    Line,
    chi2,
    curvature,
    denoised_moments,
    entropy,
    evidence,
    expect,
    fisher,
    kl,
    line,
    mean,
    nodes,
    noised,
    pdf,
    score,
    seen,
    tv,
    variance,
    w2_squared,
)
from .pins import Among, Pin, Side

TWO = line([0.4, 0.6], [-1.0, 1.5], [0.16, 0.36])
BESIDE = np.array([0.7, -0.3]), np.array([0.25, 0.6])  # means and variances


def gaussian_kl(m, v, other_m=0.0, other_v=1.0):
    """KL between Gaussians on the line."""
    return 0.5 * (
        v / other_v - 1.0 - np.log(v / other_v) + (m - other_m) ** 2 / other_v
    )


# --- T6 -------------------------------------------------------------------------------


def initialisation(alpha, dim):
    prior = line([0.3, 0.7], [-1.2, 0.9], [0.3, 0.5])
    m, v = np.array([0.7, -0.3])[: dim - 1], np.array([0.25, 1.6])[: dim - 1]
    sigma2 = 1.0 - alpha**2
    left = kl(noised(prior, alpha, sigma2), GAMMA)
    left += gaussian_kl(alpha * m, alpha**2 * v + sigma2).sum()
    start = kl(prior, GAMMA) + gaussian_kl(m, v).sum()
    second = variance(prior) + mean(prior) ** 2 + np.sum(v + m**2)
    convex = 0.5 * (alpha**2 * (second - dim) - dim * np.log(sigma2))
    moved = w2_squared(prior, GAMMA) + np.sum(m**2 + (np.sqrt(v) - 1.0) ** 2)
    return {
        "(i) entropy decay": (left, alpha**2 * start),
        "(ii) convexity": (left, convex),
        "(iii) transport": (left, alpha**2 * moved / (2.0 * sigma2)),
    }


# --- T12 ------------------------------------------------------------------------------


def density_bound(noise, constant):
    """The worst of 324 points, y = 1.3 x + N(0, noise^2) = 0.7."""
    worst, over, found = -np.inf, 0, None
    for v in np.exp(np.linspace(np.log(0.01), np.log(30.0), 18)):
        for x in np.linspace(-4.0, 4.0, 18):
            law = seen(TWO, 1.0, v, x)
            m = mean(law)
            gap = abs(
                np.exp(evidence(law, 1.3, noise**2, 0.7))
                - norm.pdf(0.7, 1.3 * m, noise)
            )
            s = np.sqrt(law.v)
            z = (m - law.m) / s
            moment = law.w @ (s * (2.0 * norm.pdf(z) + z * (2.0 * norm.cdf(z) - 1.0)))
            bound = constant * 1.3 * moment
            over += gap > bound
            if np.log(gap) - np.log(bound) > worst:
                worst, found = np.log(gap) - np.log(bound), (gap, bound)
    return {"x_t = ": found}


def printed(noise):
    return density_bound(
        noise, np.exp(-0.5 / noise**2) / np.sqrt(2.0 * np.pi * noise**2)
    )


def corrected(noise):
    """The largest slope of a normal density, by search."""
    steep = minimize_scalar(
        lambda x: -x / noise**2 * norm.pdf(x, 0.0, noise),
        bounds=(0.0, 5.0 * noise),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return density_bound(noise, -steep.fun)


def corrected_in_space(noise):
    """Two measurements; m_1 by its own integral over the distribution of the distance."""
    prior, A, R, y = observed()
    R = noise**2 * np.eye(2)
    steep = np.exp(-0.5) / (noise * 2.0 * np.pi * noise**2)
    found, worst = None, -np.inf
    for v in np.exp(np.linspace(np.log(0.01), np.log(30.0), 18)):
        for x in np.linspace(-4.0, 4.0, 18):
            w, m, C = conditioned(
                prior, np.eye(3), v * np.eye(3), np.array([x, 0.0, 0.0])
            )
            centre = w @ m
            parts = [
                multivariate_normal.pdf(y, A @ mk, A @ Ck @ A.T + R)
                for mk, Ck in zip(m, C, strict=True)
            ]
            gap = abs(w @ parts - multivariate_normal.pdf(y, A @ centre, R))
            moment = sum(
                wk * mean_norm(mk - centre, Ck)
                for wk, mk, Ck in zip(w, m, C, strict=True)
            )
            bound = steep * np.linalg.svd(A, compute_uv=False)[0] * moment
            if np.log(gap) - np.log(bound) > worst:
                worst, found = np.log(gap) - np.log(bound), (gap, bound)
    return {"x_t = ": found}


LEGENDRE = np.polynomial.legendre.leggauss(400)


def mean_norm(c, S):
    """E|N(c, S)|: pi^(-1/2) int (1 - M(t^2)) / t^2 dt over t > 0."""
    values, basis = np.linalg.eigh(S)
    along = (basis.T @ c) ** 2
    z, weight = 0.5 * (LEGENDRE[0] + 1.0), 0.5 * LEGENDRE[1]
    t = z / (1.0 - z)
    grown = 1.0 + 2.0 * t[:, None] ** 2 * values
    log_m = -0.5 * np.log(grown).sum(1) - t**2 * (along / grown).sum(1)
    return weight @ (-np.expm1(log_m) / t**2 / (1.0 - z) ** 2) / np.sqrt(np.pi)


# --- T24, T27, T28 --------------------------------------------------------------------


def speciation(weight):
    """The largest curvature by a search, and the level where it is 0 by another."""
    p = line([weight, 1.0 - weight], [-1.1, 1.5], 0.3)

    def largest(v):
        q = noised(p, 1.0, v)
        x = np.linspace(-3.0, 4.0, 701)
        best = x[np.argmax(curvature(q, x))]
        found = minimize_scalar(
            lambda x: -float(curvature(q, np.array(x))),
            bounds=(best - 0.02, best + 0.02),
            method="bounded",
            options={"xatol": 1e-10},
        )
        return -found.fun

    low, high = 0.5, 3.0
    for _ in range(45):
        level = 0.5 * (low + high)
        low, high = (low, level) if largest(level) < 0 else (level, high)
    return {
        "level": (Side(level, 1e-4), Side(level, 1e-7)),
        "curvature": (Side(largest(0.1), 1e-4), Side(largest(0.1), 1e-9)),
    }


def pair(a, weight):
    return line([weight, 1.0 - weight], [-a, a], 1.0)


def blindness(a, u=0.4, w=0.9):
    """a^2 (w - u)^2 e^(-a^2 / 2) / (2 u (1 - u) sqrt(w (1 - w)))."""
    return (
        a**2
        * (w - u) ** 2
        * np.exp(-(a**2) / 2.0)
        / (2.0 * u * (1.0 - u) * np.sqrt(w * (1.0 - w)))
    )


def log_sobolev(a):
    p, q = pair(a, 0.4), pair(a, 0.9)
    d, f, w2 = kl(q, p), fisher(q, p), w2_squared(q, p)
    c, k = np.exp(a**2), 1.0 - a**2
    return {
        "KL by Fisher": (d, 0.5 * c * f),
        "Talagrand": (w2, 2.0 * c * d),
        "W2 by Fisher": (np.sqrt(w2), c * np.sqrt(f)),
        "HWI": (d, np.sqrt(w2 * f) - 0.5 * k * w2),
        "Fisher is blind": (f, blindness(a)),
    }


def stein(a, width=0.8):
    p, q = pair(a, 0.4), pair(a, 0.9)
    x = nodes(p)
    pull = (x[1] - x[0]) * pdf(q, x) * (score(q, x) - score(p, x))
    r2 = ((x[:, None] - x) / width) ** 2
    gaussian = pull @ np.exp(-0.5 * r2) @ pull
    f = fisher(q, p)
    return {
        "Gaussian kernel": (gaussian, f),
        "inverse multiquadric": (pull @ (1.0 + r2) ** -0.5 @ pull, f),
        "blind as Fisher": (gaussian, blindness(a)),
        "by parts": (gaussian, gaussian),
        "total variation sees it": (
            Side(tv(q, p), 1e-7),
            0.5 * (2.0 * norm.cdf(a) - 1.0),
        ),
    }


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


# --- C18 to C24 -----------------------------------------------------------------------


def observed(scale=1.0):
    """Weights, means and covariances in space; A, R and y."""
    prior = (
        np.array([0.4, 0.6]),
        np.array([[-1.0, 0.3, 0.2], [1.5, -0.4, 0.5]]),
        np.array(
            [
                [[0.3, 0.1, -0.05], [0.1, 0.2, 0.04], [-0.05, 0.04, 0.5]],
                [[0.5, -0.15, 0.1], [-0.15, 0.4, 0.0], [0.1, 0.0, 0.25]],
            ]
        ),
    )
    A = np.array([[1.0, 0.4, -0.3], [-0.2, 0.7, 1.1]])
    R = scale**2 * np.array([[1.0, 0.3], [0.3, 0.6]])
    return prior, A, R, np.array([0.6, 0.1])


def conditioned(prior, A, R, y):
    """Bayes' rule through precisions."""
    weights, means, covariances = [], [], []
    inverse = np.linalg.inv(R)
    for w, m, C in zip(*prior, strict=True):
        weights.append(w * multivariate_normal.pdf(y, A @ m, A @ C @ A.T + R))
        precision = np.linalg.inv(C)
        covariances.append(np.linalg.inv(precision + A.T @ inverse @ A))
        means.append(covariances[-1] @ (precision @ m + A.T @ inverse @ y))
    weights = np.array(weights)
    return weights / weights.sum(), np.array(means), np.array(covariances)


def log_evidence(prior, A, R, y):
    terms = [
        w * multivariate_normal.pdf(y, A @ m, A @ C @ A.T + R)
        for w, m, C in zip(*prior, strict=True)
    ]
    return np.log(np.sum(terms))


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


ROTATION = np.linalg.qr([[1.0, -0.4, 0.3], [0.5, 1.2, -0.8], [-0.7, 0.2, 0.9]])[0]


def whole(first: Line, means, variances):
    """Means and covariances of the rotated mixture."""
    dim = 1 + len(means)
    B = ROTATION if dim == 3 else np.eye(1)
    centres = np.array([B @ [m, *means] for m in first.m])
    return centres, np.array([B @ np.diag([v, *variances]) @ B.T for v in first.v])


def moments(mixture):
    """Mean and total covariance."""
    w, m, C = mixture
    centre = w @ m
    spread = np.einsum("k,ki,kj->ij", w, m - centre, m - centre)
    return centre, np.tensordot(w, C, 1) + spread


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
    *(
        Pin(
            "T6-initialisation",
            {"alpha": 0.45, "dim": dim},
            lambda d=dim: initialisation(0.45, d),
        )
        for dim in (1, 3)
    ),
    Pin("T12-dps-density", {"noise": 0.8}, lambda: printed(0.8)),
    Pin("T12-dps-density-corrected", {"noise": 0.4, "dim": 1}, lambda: corrected(0.4)),
    Pin(
        "T12-dps-density-corrected",
        {"noise": 0.7, "dim": 3},
        lambda: corrected_in_space(0.7),
    ),
    Pin("T24-speciation", {"weight": 0.3}, lambda: speciation(0.3)),
    Pin("T27-log-sobolev", {"separation": 1.3}, lambda: log_sobolev(1.3)),
    Pin("T28-stein", {"separation": 1.3}, lambda: stein(1.3)),
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
