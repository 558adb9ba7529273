"""Errors of the mean and of the covariance of samples."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import _weights
from ..._samples import takes_sample_sets
from ...estimate import Estimate
from ...mixture import GaussianMixture
from .checks import checked, described, sample_mean


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
    return sample_mean(offset, weights, log_weights)


@takes_sample_sets
def covariance_error(
    samples, mixture: GaussianMixture, *, log_weights=None
) -> Estimate:
    r"""Covariance of the samples minus that of the mixture, (d, d), unbiased.

    With weights, \(\sum_i w_i (x_i - \bar x)(x_i - \bar x)^T / (1 - \sum_i w_i^2)\). The
    standard error is of first order: that of the mean of the products, with the degrees of
    freedom of squares of normal values, whose kurtosis is 15: a seventh of those of a mean.
    Of three effective samples or fewer there is none. The trace over
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
    return _of_squares(value - mixture.covariance(), error, weights, log_weights)


def total_variance(
    points: Float[Array, "n d"], weights: Float[Array, " n"], log_weights=None
) -> Estimate:
    """Trace of the covariance of samples, unbiased, with an error as `covariance_error`.

    Args:
        points: (n, d).
        weights: (n,) normalised.
        log_weights: as the user gave them; for the words of the estimate.
    """
    mean, _ = _weights.mean_and_variance(points, weights)
    terms = jnp.sum((points - mean[None]) ** 2, axis=1)
    value, variance = _weights.mean_and_variance(terms, weights)
    whole = weights @ _weights.parts(weights).rest
    return _of_squares(value / whole, jnp.sqrt(variance) / whole, weights, log_weights)


def _of_squares(value, error, weights, log_weights) -> Estimate:
    known = _weights.enough(jnp.sum(weights**2), _weights.PAIRS) & (error > 0)
    error, freedom = (
        jnp.where(known, error, jnp.nan),
        _weights.freedom_of_squares(weights),
    )
    how = described(weights, log_weights, _weights.PAIRS)
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
