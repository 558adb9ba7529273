"""Assumptions of theorems that a case can be asked, each a plain yes or no."""

import numpy as np

from ..mixture import GaussianMixture

_SAME = 1e-9  # relative


def equal_covariances(mixture: GaussianMixture) -> bool:
    """Whether all components have one covariance."""
    covariances = np.asarray(mixture.covariances())
    return bool(np.allclose(covariances, covariances[:1], rtol=_SAME, atol=0.0))


def isotropic(mixture: GaussianMixture) -> bool:
    """Whether every covariance is a multiple of the identity."""
    covariances = np.asarray(mixture.covariances())
    scales = np.trace(covariances, axis1=1, axis2=2) / mixture.dim
    round_ones = scales[:, None, None] * np.eye(mixture.dim)
    return bool(np.allclose(covariances, round_ones, rtol=_SAME, atol=0.0))


def has_density(mixture: GaussianMixture) -> bool:
    """Whether every component has a covariance of full rank."""
    return bool(np.all(np.linalg.eigvalsh(np.asarray(mixture.covariances())) > 0))


def geometric(levels) -> bool:
    """Whether positive numbers (n,) have a constant ratio."""
    ratios = np.diff(np.log(np.asarray(levels)))
    return bool(np.allclose(ratios, ratios[0], rtol=1e-6))
