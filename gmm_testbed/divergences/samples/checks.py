r"""Samples of a sampler, possibly weighted, as every estimator here takes them.

Standard errors are those of independent samples, and of weights as in
`Estimate.mean_of`. Particles that were resampled are not independent: use one draw a run,
or runs as repetitions.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import _weights, estimate
from ..._arguments import check_kinds, is_numeric
from ..._checks import concrete, floating, require, warn
from ..._types import Scalar
from ...mixture import GaussianMixture

_FEW = 5  # effective samples, up to which every use of weights is warned of
_EVEN = 0.9  # of all weights: the effective number of those that are almost equal


def checked(samples, mixture: GaussianMixture, log_weights=None) -> tuple[Array, Array]:
    """`weighted` for samples in the dimension of a mixture."""
    check_truth("metric(samples, mixture)", mixture, samples=samples)
    return weighted(samples, mixture.dim, log_weights)


def weighted(samples, dim: int, log_weights=None) -> tuple[Array, Array]:
    """Samples (n, d) and normalised weights (n,), uniform by default.

    Args:
        samples: (n, d).
        dim: d.
        log_weights: (n,), need not be normalised.

    Raises:
        InputError: if the samples are not (n, d) with n >= 2, if there is not one
            log-weight a sample, or if a log-weight is NaN or plus infinity.

    Warns:
        UserWarning: if the weights have so heavy a tail, or so few of them count, that
            neither a mean nor its error can be relied on.
    """
    samples = floating(samples)
    require(
        samples.ndim == 2 and samples.shape[1] == dim and samples.shape[0] > 1,
        "the samples do not fit",
        got=f"samples {samples.shape} in dimension {dim}",
        expected=f"(n, {dim}) with n at least 2",
        hint="in one dimension write the samples as a column: samples[:, None]",
    )
    count = samples.shape[0]
    if log_weights is None:
        return samples, jnp.full(count, 1.0 / count, samples.dtype)
    log_weights = floating(log_weights).astype(samples.dtype)
    require(
        log_weights.shape == (count,),
        "the log-weights do not fit the samples",
        got=f"log_weights {log_weights.shape} with {count} samples",
        expected=f"({count},)",
        hint="one a sample; they need not be normalised",
    )
    if concrete(log_weights):
        largest = np.asarray(log_weights).max()
        require(
            np.isfinite(largest),
            "the log-weights are no logarithms of weights",
            got=f"largest {largest}",
            expected="finite, or minus infinity for a weight of zero",
            hint="if all are minus infinity, every particle died",
        )
        warn_of_heavy(np.asarray(log_weights, np.float64))
    return samples, jax.nn.softmax(log_weights)


def check_truth(call: str, mixture, **samples) -> None:
    """Refuses what is no mixture in the place of the truth, and what are no samples.

    Args:
        call: how the function is written.
        mixture: the truth.
        samples: samples=..., the samples (n, d).

    Raises:
        ArgumentError: that says how samples of the truth become a mixture.
    """
    words = "the truth, a gt.GaussianMixture; samples of it (n, d) become one by"
    words = f"{words} gt.GaussianMixture.empirical(samples)"
    given = {name: (x, is_numeric, "samples (n, d)") for name, x in samples.items()}
    check_kinds(call, mixture=(mixture, GaussianMixture, words), **given)


def warn_of_heavy(log_weights: np.ndarray) -> None:
    """Warns of log-weights (n,) whose largest few decide what is estimated.

    Not of those that are almost equal: a tail of what differs in them decides nothing.
    """
    count = log_weights.shape[0]
    weights = np.exp(log_weights - log_weights.max())
    effective = weights.sum() ** 2 / (weights**2).sum()
    shape, most = _weights.pareto_shape(log_weights), _weights.largest_shape(count)
    if effective > _FEW and (effective > _EVEN * count or not shape > most):
        return
    tail = f"{shape:.2g}" if np.isfinite(shape) else "unknown, the tail is too short"
    warn(
        "these weights are too uneven for a mean, or its error, to be relied on",
        got=f"{count} weights, {effective:.3g} effective, Pareto shape {tail}",
        expected=f"more than {_FEW} effective, and a shape of at most {most:.2g}",
        hint="take more samples, or a sampler that is closer to its target; intervals "
        "know of the weights that were seen, and not of larger ones",
    )


def variance_of_mean(terms: Float[Array, " n"], weights: Float[Array, " n"]) -> Scalar:
    """Of the weighted mean of terms (n,); NaN where no two differ: none is known."""
    variance = _weights.mean_and_variance(terms, weights)[1]
    return jnp.where(variance == 0, jnp.nan, variance)


def sample_mean(terms, weights: Float[Array, " n"], log_weights=None):
    """Estimate of the mean of terms (n, ...) of samples; no error where no two differ.

    Args:
        terms: (n, ...), a function of every sample.
        weights: (n,) normalised.
        log_weights: as the user gave them; for the words of the estimate.
    """
    value, variance = _weights.mean_and_variance(terms, weights)
    error = jnp.sqrt(jnp.where(variance == 0, jnp.nan, variance))
    how, freedom = described(weights, log_weights), _weights.freedom(weights)
    return estimate.Estimate(value, error, how, freedom=freedom)


def share_error(
    shares: Float[Array, "n *shape"], weights: Float[Array, " n"]
) -> Float[Array, "*shape"]:
    """Standard error of the weighted mean of shares (n, ...) between 0 and 1.

    Where fewer than one effective sample is on one side, it is at least Wilson's half-width
    for none: what no sample has shown is not excluded.
    """
    mean, variance = _weights.mean_and_variance(shares, weights)
    squares = jnp.sum(weights**2)
    least = jnp.where(
        _weights.enough(squares), 0.5 * squares / (1.0 + squares), jnp.nan
    )
    unseen = jnp.minimum(mean, 1.0 - mean) < squares
    error = jnp.sqrt(variance)
    return jnp.where(
        unseen, jnp.maximum(jnp.where(error > 0, error, 0.0), least), error
    )


def described(
    weights: Float[Array, " n"], log_weights=None, few: int = _weights.MEAN
) -> str:
    """As "1000 samples", for `Estimate.how`; of `few` or fewer there is no error."""
    known = None if log_weights is None else weights
    return estimate.described(weights.shape[0], known, few)
