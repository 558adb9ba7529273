"""Errors of the mean and of the covariance of samples."""

import equinox as eqx
import jax.numpy as jnp

from ...estimate import Estimate
from ...mixture import GaussianMixture
from ...samples import takes_sample_sets
from .checks import checked, described


@takes_sample_sets
def mean_error(samples, mixture: GaussianMixture, *, log_weights=None) -> Estimate:
    """Mean of the samples minus that of the mixture, (d,), unbiased.

    Args:
        samples: (n, d).
        mixture: of dimension d.
        log_weights: (n,), need not be normalised; uniform by default.

    Raises:
        InputError: if the samples or weights do not fit.
    """
    points, weights = checked(samples, mixture, log_weights)
    offset = points - mixture.mean()[None]
    return Estimate.mean_of(offset, weights, described(points, log_weights))


@takes_sample_sets
def covariance_error(
    samples, mixture: GaussianMixture, *, log_weights=None
) -> Estimate:
    r"""Covariance of the samples minus that of the mixture, (d, d), unbiased.

    With weights, \(\sum_i w_i (x_i - \bar x)(x_i - \bar x)^T / (1 - \sum_i w_i^2)\). The
    standard error is of first order: that of the mean of the products. The trace over
    `mixture.total_variance()` is the excess spread.

    Args:
        samples: (n, d).
        mixture: of dimension d.
        log_weights: (n,), need not be normalised; uniform by default.

    Raises:
        InputError: if the samples or weights do not fit.
    """
    points, weights = checked(samples, mixture, log_weights)
    value, error = _covariance(points, weights)
    value = value - mixture.covariance()
    return Estimate(value, error, described(points, log_weights))


@eqx.filter_jit
def _covariance(points, weights):
    """Covariance and its standard errors, (d, d), from products of matrices alone."""
    x = points - (weights @ points)[None]
    squares = weights**2
    total = jnp.sum(squares)
    mean = (weights[:, None] * x).T @ x
    first = (squares[:, None] * x).T @ x
    second = (squares[:, None] * x**2).T @ x**2
    variance = second - 2.0 * mean * first + mean**2 * total
    # Two roundings apart, these are sums of squares: w^2 (x_a x_b - C_ab)^2.
    error = jnp.sqrt(jnp.maximum(variance, 0.0) / (1.0 - total))
    return mean / (1.0 - total), error / (1.0 - total)
