"""Errors of the mean and of the covariance of samples."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _weights
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
    return Estimate.mean_of(offset, weights, described(weights, log_weights))


@takes_sample_sets
def covariance_error(
    samples, mixture: GaussianMixture, *, log_weights=None
) -> Estimate:
    r"""Covariance of the samples minus that of the mixture, (d, d), unbiased.

    With weights, \(\sum_i w_i (x_i - \bar x)(x_i - \bar x)^T / (1 - \sum_i w_i^2)\). The
    standard error is of first order: that of the mean of the products, with the degrees of
    freedom of squares of normal values, whose kurtosis is 15: a seventh of those of a mean.
    The trace over `mixture.total_variance()` is the excess spread.

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
    how, freedom = described(weights, log_weights), _weights.freedom_of_squares(weights)
    return Estimate(value, error, how, freedom=freedom)


@eqx.filter_jit
def _covariance(points, weights):
    """Covariance and its standard errors, (d, d), a row at a time."""
    total = weights @ _weights.parts(weights).rest
    origin = points[jnp.argmax(weights)]
    x = points - jnp.where(jnp.isfinite(origin), origin, 0.0)[None]
    x = x - (weights @ x)[None]

    def row(column):
        return _weights.mean_and_variance(x * column[:, None], weights)

    mean, variance = jax.lax.map(row, x.T)
    return mean / total, jnp.sqrt(variance) / total
