r"""Failures made on purpose: an exact law, changed in one way that is known.

Each function takes the exact posterior as a mixture and gives another mixture, so that its
divergence from the truth is known too (`log_ratio`), in any dimension. Given to
`PosteriorDraws(source=...)` it fails for every observation afresh: all but `unseen`, which
needs the numbers of A, can be traced.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._checks import concrete, floating, require, unsupported
from .._types import Key
from ..densities.base import over_points
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..problem import Linear

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
    weights = weights.at[order[1]].set(0.0)
    weights = weights / jnp.sum(weights)
    return GaussianMixture.full(weights, law.means, law.covariances())


def weights_swapped(law: GaussianMixture) -> GaussianMixture:
    """The two heaviest components exchange their weights.

    Raises:
        UnsupportedError: if there is one component only.
    """
    weights, order = _weights(law)
    weights = weights.at[order[:2]].set(weights[order[1::-1]])
    return GaussianMixture.full(weights, law.means, law.covariances())


def spread_scaled(
    law: GaussianMixture, directions: ArrayLike, factor: float
) -> GaussianMixture:
    """Every component stretched about its mean by `factor` along orthonormal directions.

    With `unseen` directions the law of A x is what it was.
    """
    directions, dtype = _directions(directions, law.dim), law.means.dtype
    along = directions @ directions.T
    stretch = (jnp.eye(law.dim, dtype=dtype) + (factor - 1.0) * along)[None]
    covariances = stretch @ law.covariances() @ stretch
    return GaussianMixture.full(jnp.exp(law.log_weights), law.means, covariances)


def modes_merged(law: GaussianMixture) -> GaussianMixture:
    """One Gaussian with the mean and the covariance of the law.

    Nothing that is made of the first two moments can see it: not the residual of a linear
    measurement, nor a squared error, nor a Fréchet distance.
    """
    return _single(law.mean(), law.covariance())


def blend(
    law: GaussianMixture, other: GaussianMixture, share: float
) -> GaussianMixture:
    """A share of `other` in place of so much of the law: (1 - share) p + share q."""
    weights = [
        (1.0 - share) * jnp.exp(law.log_weights),
        share * jnp.exp(other.log_weights),
    ]
    return GaussianMixture.full(
        jnp.concatenate(weights),
        jnp.concatenate([law.means, other.means]),
        jnp.concatenate([law.covariances(), other.covariances()]),
    )


def from_the_prior(law: GaussianMixture, prior: GaussianMixture) -> GaussianMixture:
    """The prior's heaviest component among those that the data ruled out.

    Ruled out are those with a posterior weight below 0.01. A hallucination that the prior
    likes and the data do not. Traced, where none is ruled out it is the component of least
    posterior weight.

    Args:
        law: the posterior of this prior, components in the same order.
        prior: at the same time.

    Raises:
        UnsupportedError: if no component is ruled out, and this is known now.
    """
    weights = jnp.exp(law.log_weights)
    out = weights < _RULED_OUT
    if concrete(out) and not out.any():
        unsupported(
            "the data ruled out no component of the prior",
            got=f"posterior weights from {float(weights.min()):.3g}",
            expected=f"one below {_RULED_OUT}",
            hint="choose an observation that leaves fewer components",
        )
    heaviest = jnp.argmax(jnp.where(out, prior.log_weights, -jnp.inf))
    k = jnp.where(jnp.any(out), heaviest, jnp.argmin(weights))
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
    k = jnp.argmax(law.log_weights)
    covariance, directions = law.covariances()[k], _directions(directions, law.dim)
    variances, axes = jnp.linalg.eigh(directions.T @ covariance @ directions)
    axis = directions @ axes[:, -1]
    axis = axis * jnp.sign(axis[jnp.argmax(jnp.abs(axis))])  # its sign is the machine's
    shift = deviations * jnp.sqrt(variances[-1]) * axis
    return _single(law.means[k] + shift, covariance)


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


def _weights(law: GaussianMixture) -> tuple[Array, Array]:
    """Weights, and the components from the heaviest."""
    if law.num_components < 2:
        unsupported(
            "there is one component only",
            got="a Gaussian",
            expected="two components or more",
            hint="a Gaussian has no mode to lose",
        )
    weights = jnp.exp(law.log_weights)
    return weights, jnp.argsort(-weights)


def _directions(directions: ArrayLike, dim: int) -> Array:
    """Columns (d, k) as an array, once they fit."""
    directions = floating(directions)
    require(
        directions.ndim == 2 and directions.shape[0] == dim >= directions.shape[1] > 0,
        "the directions have the wrong shape",
        got=directions.shape,
        expected=f"({dim}, k), one direction a column",
        hint="write a single direction as a column: direction[:, None]",
    )
    return directions


def _single(mean: ArrayLike, covariance: ArrayLike) -> GaussianMixture:
    mean, covariance = floating(mean)[None], floating(covariance)[None]
    return GaussianMixture.full(jnp.ones(1, mean.dtype), mean, covariance)
