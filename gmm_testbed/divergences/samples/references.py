r"""Distances between samples and reference samples, by other libraries: for comparison.

Unlike everything else here these need samples of the truth, and their bias is that of
both. They are evaluated on batches: the estimate is their mean, and its expectation is
that at the size of a batch, which falls as \(m^{-1/d}\). The error is of the spread of
the batches: with twenty of them, intervals of 95 % hold 91 % (measured).
"""

import importlib

import jax.numpy as jnp
import numpy as np

from ..._checks import check_real, fail, floating, require, unsupported
from ..._samples import takes_sample_sets
from ...estimate import Estimate


@takes_sample_sets
def w2_squared_by_assignment(
    samples, reference, *, batch_size: int = 500, log_weights=None
) -> Estimate:
    r"""Squared W2 between two sets of m points each, exact, averaged over batches.

    The best assignment of \(\|x_i - z_j\|^2\), by SciPy, in O(m^3) operations a batch.

    Args:
        samples: (n, d).
        reference: (n, d), samples of the truth.
        batch_size: m; n / m batches (what remains is left out), at least two.
        log_weights: (n,), which must be equal.

    Raises:
        InputError: if shapes disagree, or there is only one batch.
        UnsupportedError: if the weights differ.
    """
    masses = _masses(log_weights, np.shape(samples)[0] if np.ndim(samples) else 0)
    if masses.size and np.ptp(masses) != 0:
        unsupported(
            "an assignment pairs points of equal weight",
            got="log-weights that differ",
            expected="equal weights, or none",
            hint="use sinkhorn_divergence, or sliced_wasserstein without a reference",
        )
    from scipy.optimize import linear_sum_assignment  # slow to import

    def assigned(left, right, mass):
        cost = _squares(left, right)
        rows, columns = linear_sum_assignment(cost)
        return cost[rows, columns].mean()

    return _over_batches(assigned, samples, reference, batch_size, "by assignment")


@takes_sample_sets
def sinkhorn_divergence(
    samples,
    reference,
    *,
    regularisation: float,
    batch_size: int = 500,
    log_weights=None,
) -> Estimate:
    r"""Sinkhorn divergence of the cost \(\|x - z\|^2\), by POT, averaged over batches.

    \(S(q, p) = T(q, p) - \frac12 T(q, q) - \frac12 T(p, p)\), with T the minimum of
    cost plus `regularisation` times the relative entropy to independence: squared W2
    where it is small, an energy distance of the squared length where it is large.
    Source: Feydy et al., AISTATS 2019.

    Args:
        samples: (n, d).
        reference: (n, d), samples of the truth.
        regularisation: positive, a squared length.
        batch_size: points a batch.
        log_weights: (n,) of the samples, need not be normalised; uniform by default.
            They are normalised within each batch, which counts by its share of them.

    Raises:
        InputError: if shapes disagree, there is only one batch, a batch has no weight,
            or POT is missing.
    """
    pot = _pot()

    def regularised(left, right):
        (x, a), (z, b) = left, right
        cost = _squares(x, z)
        plan = pot.sinkhorn(a, b, cost, regularisation, method="sinkhorn_log")
        ratio = np.where(plan > 0, plan / np.outer(a, b), 1.0)
        return np.sum(plan * cost) + regularisation * np.sum(plan * np.log(ratio))

    def divergence(x, z, mass):
        left = x[mass > 0], mass[mass > 0]
        right = z, np.full(len(z), 1.0 / len(z))
        own = regularised(left, left) + regularised(right, right)
        return regularised(left, right) - 0.5 * own

    words = "Sinkhorn"
    return _over_batches(divergence, samples, reference, batch_size, words, log_weights)


def _over_batches(distance, samples, reference, batch_size, how, log_weights=None):
    """Mean of distance(x, z, mass) over batches, which weigh as much as their samples."""
    samples, reference = floating(samples), floating(reference)
    count = samples.shape[0] // batch_size if samples.ndim == 2 else 0
    require(
        samples.shape == reference.shape and count >= 2,
        "the samples do not make batches",
        got=f"samples {samples.shape}, reference {reference.shape}, "
        f"batch_size={batch_size}",
        expected="two arrays (n, d) with n at least twice the size of a batch",
        hint="draw as many reference samples: mixture.sample(key, n)",
    )
    shape = (count, batch_size, samples.shape[1])
    pairs = [
        np.asarray(a[: count * batch_size]).reshape(shape) for a in (samples, reference)
    ]
    masses = _masses(log_weights, samples.shape[0])[: count * batch_size]
    masses = masses.reshape(shape[:2])
    shares = masses.sum(axis=1)
    require(
        np.all(shares > 0),
        "a batch has no weight",
        got=f"{np.sum(~(shares > 0))} of {count} batches with weights of zero or NaN",
        expected="some weight in every batch",
        hint="take larger batches",
    )
    values = [
        distance(*pair, mass / share) if np.isfinite(pair).all() else np.nan
        for *pair, mass, share in zip(*pairs, masses, shares, strict=True)
    ]
    values = jnp.asarray(values, samples.dtype)
    shares = jnp.asarray(shares / shares.sum(), samples.dtype)
    return Estimate.mean_of(values, shares, f"{how}, {count} batches of {batch_size}")


def _masses(log_weights, count):
    """Weights (n,), the largest of them 1."""
    if log_weights is None:
        return np.ones(count)
    check_real(log_weights, "an array of log-weights")
    log_weights = np.asarray(log_weights, np.float64)
    require(
        log_weights.shape == (count,) and np.isfinite(log_weights.max()),
        "the log-weights do not fit the samples",
        got=f"log_weights {log_weights.shape}, the largest {log_weights.max()}",
        expected=f"({count},), finite or minus infinity",
        hint="one a sample; they need not be normalised",
    )
    return np.exp(log_weights - log_weights.max())


def _squares(left, right):
    return np.sum((left[:, None] - right[None]) ** 2, axis=-1)


def _pot():
    try:
        return importlib.import_module("ot")
    except ImportError:
        fail(
            "POT is not installed",
            got="no module named ot",
            expected="an optional dependency of gmm_testbed",
            hint="pip install 'gmm_testbed[ot]'",
        )
