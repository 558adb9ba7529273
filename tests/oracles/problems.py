"""Asymmetric linear problems in NumPy: unequal weights, full covariances, d != m."""

import numpy as np

from .numpy_mixture import Mixture, Problem, mixture

# Scales of the golden point and of the time it steps to.
POINT = np.array([0.3, -0.2, 0.5])
SCALES_T = (0.8, 0.6)
SCALES_S = (0.9, np.sqrt(0.19))


def golden() -> Problem:
    """Three components in d = 3 seen through two measurements."""
    prior = mixture(
        [0.5, 0.3, 0.2],
        [[1, 0, -1], [-1, 0.5, 0], [0, -1.5, 2]],
        [
            [[0.5, 0.1, 0], [0.1, 0.3, 0.05], [0, 0.05, 0.4]],
            [[0.2, 0, 0.05], [0, 0.6, -0.1], [0.05, -0.1, 0.3]],
            [[0.4, -0.1, 0], [-0.1, 0.25, 0], [0, 0, 0.7]],
        ],
    )
    A = np.array([[1, 0.5, 0], [0, 1, -1]])
    R = np.array([[0.2, 0.05], [0.05, 0.3]])
    return Problem(prior, A, R, np.array([0.4, -0.3]))


def generic(dim: int, dim_y: int, components: int, seed: int = 0) -> Problem:
    """A random problem without any symmetry; y is far from the prior's mean."""
    rng = np.random.default_rng([seed, dim, dim_y, components])
    roots = rng.normal(size=(components, dim, dim)) / np.sqrt(dim)
    prior = mixture(
        1.0 + np.arange(components) ** 1.5,
        1.5 * rng.normal(size=(components, dim)),
        roots @ np.swapaxes(roots, 1, 2) + 0.05 * np.eye(dim),
    )
    A = rng.normal(size=(dim_y, dim))
    root = rng.normal(size=(dim_y, dim_y))
    R = 0.1 * root @ root.T + 0.2 * np.eye(dim_y)
    return Problem(prior, A, R, A @ prior.means[0] + 0.5 * rng.normal(size=dim_y))


def one_gaussian(dim: int = 3, dim_y: int = 2, seed: int = 1) -> Problem:
    """The same with a single full-covariance component."""
    return generic(dim, dim_y, 1, seed)


def standard_gaussian(dim: int = 3, dim_y: int = 2, seed: int = 2) -> Problem:
    """Prior N(mu, I) with mu not zero."""
    problem = generic(dim, dim_y, 1, seed)
    prior = Mixture(*problem.prior[:2], np.eye(dim)[None])
    return problem._replace(prior=prior)


LINE = generic(1, 2, 3)
SPACE = generic(3, 2, 3)
TEN = generic(10, 3, 2)
