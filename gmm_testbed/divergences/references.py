r"""Distances between samples and reference samples, by other libraries: for comparison.

Unlike everything else here these need samples of the truth, and their bias is that of
both. They are evaluated on batches: the estimate is their mean, and its expectation is
that at the size of a batch, which falls as \(m^{-1/d}\).
"""

import importlib

import jax.numpy as jnp
import numpy as np

from .._checks import fail, floating, require
from ..estimate import Estimate


def w2_squared_by_assignment(samples, reference, *, batch_size: int = 500) -> Estimate:
    r"""Squared W2 between two sets of m points each, exact, averaged over batches.

    The best assignment of \(\|x_i - z_j\|^2\), by SciPy, in O(m^3) operations a batch.

    Args:
        samples: (n, d).
        reference: (n, d), samples of the truth.
        batch_size: m; n / m batches (what remains is left out), at least two.

    Raises:
        InputError: if shapes disagree, there is only one batch, or SciPy is missing.
    """
    optimise = _library("scipy.optimize", "test")

    def assigned(left, right):
        cost = _squares(left, right)
        rows, columns = optimise.linear_sum_assignment(cost)
        return cost[rows, columns].mean()

    return _over_batches(assigned, samples, reference, batch_size, "by assignment")


def sinkhorn_divergence(
    samples, reference, *, regularisation: float, batch_size: int = 500
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

    Raises:
        InputError: if shapes disagree, there is only one batch, or POT is missing.
    """
    pot = _library("ot", "ot")

    def regularised(left, right):
        mass = [np.full(len(some), 1.0 / len(some)) for some in (left, right)]
        cost = _squares(left, right)
        plan = pot.sinkhorn(*mass, cost, regularisation, method="sinkhorn_log")
        ratio = np.where(plan > 0, plan, 1.0) * len(left) * len(right)
        return np.sum(plan * cost) + regularisation * np.sum(plan * np.log(ratio))

    def divergence(left, right):
        own = regularised(left, left) + regularised(right, right)
        return regularised(left, right) - 0.5 * own

    return _over_batches(divergence, samples, reference, batch_size, "Sinkhorn")


def _over_batches(distance, samples, reference, batch_size, how):
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
    values = [distance(*pair) for pair in zip(*pairs, strict=True)]
    words = f"{how}, {count} batches of {batch_size}"
    return Estimate.mean_of(jnp.asarray(values, samples.dtype), how=words)


def _squares(left, right):
    return np.sum((left[:, None] - right[None]) ** 2, axis=-1)


def _library(name, extra):
    try:
        return importlib.import_module(name)
    except ImportError:
        fail(
            f"{name} is not installed",
            got="no such module",
            expected="an optional dependency of gmm_testbed",
            hint=f"pip install 'gmm_testbed[{extra}]'",
        )
