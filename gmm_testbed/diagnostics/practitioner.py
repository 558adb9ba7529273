r"""What is looked at where the truth is not known: the metrics of published tables.

Each is exactly what its docstring says, in the space of x itself (no features of a
network). None is a divergence from the posterior: `separation` tells which failures each
of them can see at all.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Real

from .. import _weights
from .._checks import check_shape, floating, require, scalar
from .._samples import takes_sample_sets
from .._types import Scalar
from ..divergences import closed_form
from ..divergences.samples.checks import checked, sample_mean, weighted
from ..divergences.samples.moments import total_variance
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..problem import InverseProblem


@takes_sample_sets
def psnr(
    samples, truth, peak: Real[ArrayLike, ""] = 2.0, *, log_weights=None
) -> Estimate:
    r"""Mean over samples of \(10 \log_{10}(\text{peak}^2 d / \|x - x^*\|^2)\), in dB.

    Args:
        samples: (n, d), or a `SampleSet`, whose weights count.
        truth: \(x^*\), (d,), what was measured.
        peak: (), the range of a coordinate; 2 for pixels from -1 to 1.
        log_weights: (n,), need not be normalised; uniform by default.

    Raises:
        InputError: if the samples are not (n, d) with n at least 2, or the truth or the
            weights do not fit them.
    """
    points, truth, weights = _of_truth(samples, truth, log_weights)
    squares = jnp.mean((points - truth[None]) ** 2, axis=1)
    return _mean(_decibel(squares, peak), weights, log_weights)


@takes_sample_sets
def psnr_of_mean(
    samples, truth, peak: Real[ArrayLike, ""] = 2.0, *, log_weights=None
) -> Estimate:
    r"""PSNR of the mean of the samples, as of an estimator, in dB.

    The standard error is of first order in that of the mean. Arguments and errors as
    `psnr`.
    """
    points, truth, weights = _of_truth(samples, truth, log_weights)
    gap = weights @ (points - truth[None])
    square = jnp.mean(gap**2)
    slopes = 2.0 * ((points - truth[None]) @ gap) / gap.shape[0]
    error = _mean(slopes, weights, log_weights)
    found = Estimate(square, error.stderr, error.how, freedom=error.freedom)
    return found.map(lambda s: _decibel(s, peak))


@takes_sample_sets
def residual_chi2(samples, problem: InverseProblem, *, log_weights=None) -> Estimate:
    r"""Mean over samples of \(\|y - f(x)\|^2_{R^{-1}} / m\).

    One for the truth, on average; for the exact posterior it is often below one.

    Args:
        samples: (n, d), or a `SampleSet`, whose weights count.
        problem: with m measurements.
        log_weights: (n,), need not be normalised; uniform by default.

    Raises:
        InputError: as `psnr`.
    """

    def one(x):
        whitened = problem.measurement.whitener @ (
            problem.y - problem.measurement.apply(x)
        )
        return jnp.mean(whitened**2)

    points, weights = weighted(samples, problem.prior.dim, log_weights)
    return _mean(jax.vmap(one)(points), weights, log_weights)


@takes_sample_sets
def log_density(samples, mixture: GaussianMixture, *, log_weights=None) -> Estimate:
    """Mean over samples of log p(x), p usually the prior: how plausible samples are.

    Args:
        samples: (n, d), or a `SampleSet`, whose weights count.
        mixture: p, with a density.
        log_weights: (n,), need not be normalised; uniform by default.

    Raises:
        InputError: as `psnr`; or if the mixture is a set of atoms.
    """
    points, weights = checked(samples, mixture, log_weights)
    return _mean(jax.vmap(mixture.log_prob)(points), weights, log_weights)


@takes_sample_sets
def coordinate_variance(samples, *, log_weights=None) -> Estimate:
    r"""Variance of the samples, averaged over the d coordinates.

    The usual measure of diversity, with denominator n - 1; of weighted samples
    \(\sum_i w_i (x_i - \bar x)^2 / (1 - \sum_i w_i^2)\). The standard error is that of the
    mean over samples of \(\|x - \bar x\|^2 / d\). Arguments and errors as `psnr`.
    """
    points, weights = weighted(samples, _dim(samples), log_weights)
    return total_variance(points, weights, log_weights) / float(points.shape[1])


@takes_sample_sets
def frechet(samples, mixture: GaussianMixture, *, log_weights=None) -> Scalar:
    r"""Squared Fréchet distance of the first two moments, as FID is, of x itself.

    \[ \|\bar x - \mu\|^2
       + \operatorname{tr}(S + \Sigma - 2 (S^{1/2} \Sigma S^{1/2})^{1/2}) , \]

    \(\bar x, S\) mean and covariance of the samples (denominator n - 1; of weighted ones
    as in `coordinate_variance`), and
    \(\mu, \Sigma\) those of the mixture, which stands for a reference set without end.
    Exact samples give more than zero, the more so the fewer they are. It factors
    matrices: once a result, not inside a loop.
    Source: Heusel et al., NeurIPS 2017, arXiv:1706.08500.

    Args:
        samples: (n, d), or a `SampleSet`, whose weights count.
        mixture: of dimension d: the prior, or the posterior.
        log_weights: (n,), need not be normalised; uniform by default.

    Raises:
        InputError: as `psnr`.
    """
    points, weights = checked(samples, mixture, log_weights)
    mean, _ = _weights.mean_and_variance(points, weights)
    centred, total = points - mean[None], weights @ _weights.parts(weights).rest
    covariance = (weights[:, None] * centred).T @ centred / total
    truth = mixture.mean(), mixture.covariance()
    return closed_form.w2_squared(mean, covariance, *truth)


def separation(values, exact) -> Estimate:
    r"""How far a metric sets samples apart from exact ones, in units of its own noise.

    \[ z = (\bar v - \bar e) / s_e , \]

    for values v of sets of samples and values e of sets of exact samples of the same size,
    \(s_e\) the standard deviation of a single e. Where |z| is below about four, one set
    of samples cannot be told from an exact one by this metric. The standard error is

    \[ \left( \frac{s_v^2}{s_e^2\,n_v} + \frac{1}{n_e} + \frac{z^2}{2(n_e-1)}
       \right)^{1/2}, \]

    of first order, the last term as for normal values; a single v counts with
    \(s_v = s_e\).

    Args:
        values: (n_v,), one a set.
        exact: (n_e,), n_e at least 3.

    Raises:
        InputError: if there are too few values.
    """
    values, exact = jnp.atleast_1d(floating(values)), floating(exact)
    require(
        values.ndim == exact.ndim == 1 and values.size > 0 and exact.size > 2,
        "too few values to tell noise from failure",
        got=f"values {values.shape}, exact {exact.shape}",
        expected="(n_v,) with n_v at least 1, and (n_e,) with n_e at least 3",
        hint="one value a set of samples; 20 exact sets give z to a sixth of itself",
    )
    noise = jnp.std(exact, ddof=1)
    z = (jnp.mean(values) - jnp.mean(exact)) / noise
    own = jnp.std(values, ddof=1) if values.size > 1 else noise
    variance = (own / noise) ** 2 / values.size + 1.0 / exact.size
    variance = variance + z**2 / (2.0 * (exact.size - 1))
    how = f"{values.size} sets, {exact.size} exact sets"
    return Estimate(z, jnp.sqrt(variance), how)


def _of_truth(samples, truth, log_weights) -> tuple[Array, Array, Array]:
    """Samples (n, d), the truth (d,) and normalised weights (n,), once they fit."""
    dim = _dim(samples)
    points, weights = weighted(samples, dim, log_weights)
    truth = floating(truth).astype(points.dtype)
    hint = "one image is one vector: flatten it, and the samples to (n, d)"
    check_shape(truth, (dim,), "truth", hint)
    return points, truth, weights


def _dim(samples) -> int:
    """d of samples (n, d); 0 of what has no columns, which fits no samples."""
    shape = floating(samples).shape
    return shape[1] if len(shape) == 2 else 0


def _mean(terms, weights, log_weights) -> Estimate:
    """Over samples, with the error of a mean."""
    return sample_mean(terms, weights, log_weights)


def _decibel(square, peak):
    peak = scalar(peak, "peak")
    return 10.0 / jnp.log(10.0) * (2.0 * jnp.log(peak) - jnp.log(square))
