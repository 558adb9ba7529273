"""Assumptions of theorems that a case can be asked, each a plain yes or no."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._types import Times
from ...algorithms import Guided
from ...budget.path import blocks
from ...mixture import GaussianMixture
from ...problem import Target

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


def count(mixture: GaussianMixture) -> int:
    """Number of components of positive weight."""
    return int(np.sum(np.asarray(mixture.log_weights) > -np.inf))


def finite_moments(mixture: GaussianMixture) -> bool:
    """Whether means and covariances are numbers."""
    parts = mixture.means, mixture.covariances()
    return all(bool(np.isfinite(np.asarray(part)).all()) for part in parts)


def noisy(sampler: Guided, target: Target, times: Times) -> bool:
    """Whether every step from the mean of the exact law at the start has noise."""
    x = target.posterior(times[0]).mean()
    least = [_least_scale(sampler, target, x, windows) for windows, _ in blocks(times)]
    return min(map(float, least)) > 0


@eqx.filter_jit
def _least_scale(sampler, target, x, windows):
    def least(window):
        return sampler.transition(target, x, *window).root.least()

    return jnp.min(jax.vmap(least)(windows))


def geometric(levels) -> bool:
    """Whether positive numbers (n,) have a constant ratio."""
    ratios = np.diff(np.log(np.asarray(levels)))
    return bool(np.allclose(ratios, ratios[0], rtol=1e-6))
