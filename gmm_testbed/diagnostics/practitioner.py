r"""What is looked at where the truth is not known: the metrics of published tables.

Each is exactly what its docstring says, in the space of x itself (no features of a
network). None is a divergence from the posterior: `separation` tells which failures each
of them can see at all.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from .._checks import floating, require
from .._types import Scalar
from ..divergences import closed_form
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..problem import InverseProblem


def psnr(samples, truth, peak: Real[ArrayLike, ""] = 2.0) -> Estimate:
    r"""Mean over samples of \(10 \log_{10}(\text{peak}^2 d / \|x - x^*\|^2)\), in dB.

    Args:
        samples: (n, d).
        truth: \(x^*\), (d,), what was measured.
        peak: (), the range of a coordinate; 2 for pixels from -1 to 1.

    Raises:
        InputError: if the samples are not (n, d) with n at least 2.
    """
    return Estimate.mean_of(_decibel(_square_errors(samples, truth), peak))


def psnr_of_mean(samples, truth, peak: Real[ArrayLike, ""] = 2.0) -> Estimate:
    r"""PSNR of the mean of the samples, as of an estimator, in dB.

    The standard error is of first order in that of the mean. Arguments and errors as
    `psnr`.
    """
    points = _checked(samples)
    gap = jnp.mean(points, axis=0) - floating(truth)
    square = jnp.mean(gap**2)
    slopes = 2.0 * ((points - floating(truth)[None]) @ gap) / gap.shape[0]
    error = Estimate.mean_of(slopes)
    found = Estimate(square, error.stderr, error.how, freedom=error.freedom)
    return found.map(lambda s: _decibel(s, peak))


def residual_chi2(samples, problem: InverseProblem) -> Estimate:
    r"""Mean over samples of \(\|y - f(x)\|^2_{R^{-1}} / m\).

    One for the truth, on average; for the exact posterior it is often below one.

    Args:
        samples: (n, d).
        problem: with m measurements.

    Raises:
        InputError: as `psnr`.
    """

    def one(x):
        whitened = problem.measurement.whitener @ (
            problem.y - problem.measurement.apply(x)
        )
        return jnp.mean(whitened**2)

    return Estimate.mean_of(jax.vmap(one)(_checked(samples)))


def log_density(samples, mixture: GaussianMixture) -> Estimate:
    """Mean over samples of log p(x), p usually the prior: how plausible samples are.

    Args:
        samples: (n, d).
        mixture: p, with a density.

    Raises:
        InputError: as `psnr`; or if the mixture is a set of atoms.
    """
    return Estimate.mean_of(jax.vmap(mixture.log_prob)(_checked(samples)))


def coordinate_variance(samples) -> Estimate:
    r"""Variance of the samples (denominator n - 1), averaged over the d coordinates.

    The usual measure of diversity. The standard error is that of the mean over samples of
    \(\|x - \bar x\|^2 / d\). Arguments and errors as `psnr`.
    """
    points = _checked(samples)
    count = points.shape[0]
    centred = points - jnp.mean(points, axis=0)[None]
    return Estimate.mean_of(jnp.mean(centred**2, axis=1) * (count / (count - 1)))


def frechet(samples, mixture: GaussianMixture) -> Scalar:
    r"""Squared Fréchet distance of the first two moments, as FID is, of x itself.

    \[ \|\bar x - \mu\|^2
       + \operatorname{tr}(S + \Sigma - 2 (S^{1/2} \Sigma S^{1/2})^{1/2}) , \]

    \(\bar x, S\) mean and covariance (denominator n - 1) of the samples, and
    \(\mu, \Sigma\) those of the mixture, which stands for a reference set without end.
    Exact samples give more than zero, the more so the fewer they are. It factors
    matrices: once a result, not inside a loop.
    Source: Heusel et al., NeurIPS 2017, arXiv:1706.08500.

    Args:
        samples: (n, d).
        mixture: of dimension d: the prior, or the posterior.

    Raises:
        InputError: as `psnr`.
    """
    points = _checked(samples)
    mean = jnp.mean(points, axis=0)
    centred = points - mean[None]
    covariance = centred.T @ centred / (points.shape[0] - 1)
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


def _square_errors(samples, truth) -> Float[Array, " n"]:
    return jnp.mean((_checked(samples) - floating(truth)[None]) ** 2, axis=1)


def _decibel(square, peak):
    return 10.0 / jnp.log(10.0) * (2.0 * jnp.log(floating(peak)) - jnp.log(square))


def _checked(samples) -> Float[Array, "n d"]:
    samples = floating(samples)
    require(
        samples.ndim == 2 and samples.shape[0] > 1,
        "these are not samples",
        got=f"samples {samples.shape}",
        expected="(n, d) with n at least 2",
        hint="in one dimension write the samples as a column: samples[:, None]",
    )
    return samples
