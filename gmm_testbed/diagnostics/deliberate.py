r"""Failures made on purpose: an exact law, changed in one way that is known.

Each function takes the exact posterior as a mixture and gives another mixture, so that its
divergence from the truth is known too (`log_ratio`), in any dimension. They are built on
the host, once.
"""

import equinox as eqx
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._checks import floating, unsupported
from .._types import Key
from ..divergences.quadrature import over_points
from ..estimate import Estimate
from ..measurements import Linear
from ..mixture import GaussianMixture

_RULED_OUT = 0.01  # posterior weight
_LOST = 1e3  # roundings of the largest singular value


def unseen(measurement: Linear) -> Float[Array, "d k"]:
    """Orthonormal columns that span the directions that A maps to zero.

    Raises:
        UnsupportedError: if there are none.
    """
    A = np.asarray(measurement.A)
    _, singular, right = np.linalg.svd(A)
    least = _LOST * np.finfo(A.dtype).eps * singular.max()
    rank = int(np.sum(singular > least))
    if rank == A.shape[1]:
        unsupported(
            "the data see every direction",
            got=f"A {A.shape} of rank {rank}",
            expected="a rank below the dimension",
            hint="measure fewer coordinates than there are",
        )
    return floating(right[rank:].T)


def one_mode_dropped(law: GaussianMixture) -> GaussianMixture:
    """Without the second heaviest component; the others share its weight in proportion.

    Raises:
        UnsupportedError: if there is one component only.
    """
    weights, order = _weights(law)
    weights[order[1]] = 0.0
    return GaussianMixture.full(weights / weights.sum(), law.means, law.covariances())


def weights_swapped(law: GaussianMixture) -> GaussianMixture:
    """The two heaviest components exchange their weights.

    Raises:
        UnsupportedError: if there is one component only.
    """
    weights, order = _weights(law)
    weights[order[:2]] = weights[order[1::-1]]
    return GaussianMixture.full(weights, law.means, law.covariances())


def spread_scaled(
    law: GaussianMixture, directions: ArrayLike, factor: float
) -> GaussianMixture:
    """Every component stretched about its mean by `factor` along orthonormal directions.

    With `unseen` directions the law of A x is what it was.
    """
    directions = np.asarray(directions)
    stretch = np.eye(law.dim) + (factor - 1.0) * directions @ directions.T
    covariances = stretch @ np.asarray(law.covariances()) @ stretch
    return GaussianMixture.full(np.exp(law.log_weights), law.means, covariances)


def modes_merged(law: GaussianMixture) -> GaussianMixture:
    """One Gaussian with the mean and the covariance of the law.

    Nothing that is made of the first two moments can see it: not the residual of a linear
    measurement, nor a squared error, nor a Fréchet distance.
    """
    weights, means = np.exp(np.asarray(law.log_weights)), np.asarray(law.means)
    mean = weights @ means
    within = np.tensordot(weights, np.asarray(law.covariances()), 1)
    return _single(mean, within + (weights * (means - mean).T) @ (means - mean))


def blend(
    law: GaussianMixture, other: GaussianMixture, share: float
) -> GaussianMixture:
    """A share of `other` in place of so much of the law: (1 - share) p + share q."""
    weights = [
        (1.0 - share) * np.exp(law.log_weights),
        share * np.exp(other.log_weights),
    ]
    return GaussianMixture.full(
        np.concatenate(weights),
        np.concatenate([law.means, other.means]),
        np.concatenate([law.covariances(), other.covariances()]),
    )


def from_the_prior(law: GaussianMixture, prior: GaussianMixture) -> GaussianMixture:
    """The prior's heaviest component among those that the data ruled out.

    Ruled out are those with a posterior weight below 0.01. A hallucination that the prior
    likes and the data do not.

    Args:
        law: the posterior of this prior, components in the same order.
        prior: at the same time.

    Raises:
        UnsupportedError: if no component is ruled out.
    """
    weights = np.exp(np.asarray(law.log_weights))
    out = np.flatnonzero(weights < _RULED_OUT)
    if out.size == 0:
        unsupported(
            "the data ruled out no component of the prior",
            got=f"posterior weights from {weights.min():.3g}",
            expected=f"one below {_RULED_OUT}",
            hint="choose an observation that leaves fewer components",
        )
    k = out[np.argmax(np.asarray(prior.log_weights)[out])]
    return _single(prior.means[k], prior.covariances()[k])


def from_the_data(
    law: GaussianMixture, directions: ArrayLike, deviations: float
) -> GaussianMixture:
    """The law's heaviest component, moved along its widest unseen direction.

    By so many of its standard deviations there. With `unseen` directions the data like
    this hallucination as they like the component, and the prior does not.

    Args:
        law: the posterior.
        directions: (d, k), orthonormal.
        deviations: how far.
    """
    k = int(np.argmax(law.log_weights))
    covariance, directions = np.asarray(law.covariances()[k]), np.asarray(directions)
    variances, axes = np.linalg.eigh(directions.T @ covariance @ directions)
    axis = directions @ axes[:, -1]
    axis = axis * np.sign(axis[np.argmax(np.abs(axis))])  # its sign is the machine's
    shift = deviations * np.sqrt(variances[-1]) * axis
    return _single(np.asarray(law.means[k]) + shift, covariance)


def log_ratio(
    key: Key, law: GaussianMixture, truth: GaussianMixture, num: int = 20_000
) -> Estimate:
    """KL(law || truth) of two mixtures, in nats: the mean of log law - log truth."""
    return Estimate.mean_of(_log_ratios(key, law, truth, num))


@eqx.filter_jit
def _log_ratios(key, law, truth, num: int):
    return over_points(
        lambda x: law.log_prob(x) - truth.log_prob(x), law.sample(key, num)
    )


def _weights(law: GaussianMixture) -> tuple[np.ndarray, np.ndarray]:
    """Weights, and the components from the heaviest."""
    if law.num_components < 2:
        unsupported(
            "there is one component only",
            got="a Gaussian",
            expected="two components or more",
            hint="a Gaussian has no mode to lose",
        )
    weights = np.exp(np.asarray(law.log_weights))
    return weights, np.argsort(-weights)


def _single(mean: ArrayLike, covariance: ArrayLike) -> GaussianMixture:
    mean, covariance = np.asarray(mean)[None], np.asarray(covariance)[None]
    return GaussianMixture.full(np.ones(1), mean, covariance)
