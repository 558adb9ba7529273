r"""Samples of a sampler, possibly weighted, as every estimator here takes them.

Standard errors are those of independent samples. With weights \(w_i\), normalised, a mean
is self-normalised and its variance \(\sum_i w_i^2 (f_i - \bar f)^2 / (1 - \sum_i w_i^2)\),
as in `Estimate.mean_of`. Particles that were resampled are not independent: use one draw
a run, or runs as repetitions.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._checks import check_kinds, concrete, floating, is_numeric, require
from ..._types import Scalar
from ...estimate import Estimate
from ...mixture import GaussianMixture


def checked(samples, mixture: GaussianMixture, log_weights=None) -> tuple[Array, Array]:
    """Samples (n, d) and normalised weights (n,), uniform by default.

    Raises:
        InputError: if the samples are not (n, d) with n >= 2, if there is not one
            log-weight a sample, or if a log-weight is NaN or plus infinity.
    """
    check_truth("metric(samples, mixture)", mixture, samples=samples)
    samples = floating(samples)
    require(
        samples.ndim == 2 and samples.shape[1] == mixture.dim and samples.shape[0] > 1,
        "the samples do not fit the mixture",
        got=f"samples {samples.shape}, a mixture in dimension {mixture.dim}",
        expected=f"(n, {mixture.dim}) with n at least 2",
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


def variance_of_mean(terms: Float[Array, " n"], weights: Float[Array, " n"]) -> Scalar:
    """Of the weighted mean of terms (n,), as the module says."""
    return Estimate.mean_of(terms, weights).stderr ** 2


def described(samples: Float[Array, "n d"], log_weights=None) -> str:
    """As "1000 samples", for `Estimate.how`."""
    kind = "samples" if log_weights is None else "weighted samples"
    return f"{samples.shape[0]} {kind}"
