"""Mixtures in space by NumPy: Bayes' rule, moments and rotations."""

import numpy as np
from scipy.stats import multivariate_normal

from .line import Line


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
