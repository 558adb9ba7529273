"""Moments of samples against a law, and the law of an affine Gaussian recursion."""

import jax.numpy as jnp
import numpy as np

from .library import scales


def assert_moments(samples, mean, covariance, z):
    """First and second moments within z standard errors, in every entry."""
    centred = np.asarray(samples) - mean
    products = centred[:, :, None] * centred[:, None, :] - covariance
    for values in (centred, products.reshape(len(centred), -1)):
        error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        assert np.all(np.abs(values.mean(axis=0)) < z * error)


def affine(rule, dim: int):
    """Matrix and offset of an affine map of R^dim."""
    offset = rule(np.zeros(dim))
    return np.stack([rule(e) - offset for e in np.eye(dim)], axis=1), offset


def affine_law(path, times, start, transition):
    """Mean and covariance after every step of an affine Gaussian transition.

    Args:
        path: gives the scales.
        times: (N + 1,).
        start: mean and covariance at times[0].
        transition: from (x, alpha_t, sigma_t, alpha_s, sigma_s) to mean and covariance.
    """
    mean, covariance = start
    dim = len(mean)
    for t, s in zip(times[:-1], times[1:], strict=True):
        step = (*scales(path, jnp.asarray(t)), *scales(path, jnp.asarray(s)))
        gain, offset = affine(lambda x, step=step: transition(x, *step)[0], dim)
        mean = gain @ mean + offset
        covariance = gain @ covariance @ gain.T + transition(np.zeros(dim), *step)[1]
    return mean, covariance
