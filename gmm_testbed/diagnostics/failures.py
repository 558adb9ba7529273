r"""How a law fails: measures that know the truth.

Each takes a law on a grid (`LineDensity`, `PlaneDensity`) at one time t, and what is
exact at the same t. Mass that escaped from the grid belongs to no mode and no region.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from .._checks import floating, require, scalar, vector
from .._types import Scalar, Times
from ..densities.base import over_points
from ..divergences import AbstractDensity, variance
from ..divergences.grid import escaped
from ..mixture import GaussianMixture
from ..problem import Target

THRESHOLD = 0.01  # exact mass of a mode of the prior below which it is ruled out
OUTSIDE = 1e-3  # mass of the prior where it has nothing
LEVEL = 0.5  # of the largest likelihood: where it is high


class RegionMass(NamedTuple):
    """Mass of one region.

    Attributes:
        law: (), under the sampler's law.
        exact: (), under the exact posterior marginal, on the same grid.
    """

    law: Scalar
    exact: Scalar


class EarlyStopping(NamedTuple):
    """Two divergences of the law at every time.

    Attributes:
        times: (n,).
        to_marginal: (n,), from the exact posterior marginal of the same time.
        to_posterior: (n,), from the posterior itself.
    """

    times: Times
    to_marginal: Float[Array, " n"]
    to_posterior: Float[Array, " n"]


def spread_ratio(density: AbstractDensity, truth: GaussianMixture) -> Scalar:
    """Trace of the law's covariance over that of `truth`; on the line, of variances.

    Below one the law is too narrow, above one too wide.
    """
    return variance(density) / truth.total_variance()


@eqx.filter_jit
def mode_weights(density: AbstractDensity, mixture: GaussianMixture) -> Array:
    """E[P(component k | X)] under the law, (K,); the mixture itself has its weights.

    Soft counts: smooth in the law, and exact where components overlap. Their sum is the
    mass on the grid.

    Raises:
        InputError: for a mixture of atoms, which has no responsibilities.
    """
    return density.expectation(mixture.responsibilities)


def mode_weight_error(density: AbstractDensity, mixture: GaussianMixture) -> Scalar:
    """Total variation between `mode_weights` and the weights, in [0, 1].

    The escaped mass counts as a mode that should not be there.
    """
    gaps = jnp.abs(mode_weights(density, mixture) - jnp.exp(mixture.log_weights))
    return 0.5 * (jnp.sum(gaps) + escaped(density))


def hallucinated_prior_mass(
    density: AbstractDensity,
    target: Target,
    t: Real[ArrayLike, ""],
    threshold: Real[ArrayLike, ""] = THRESHOLD,
) -> RegionMass:
    r"""Mass in modes of the prior that the observation has ruled out.

    Modes are told apart by the responsibilities \(r_k\) of the noised prior. A mode is
    ruled out if its exact mass \(E_{p_t(\cdot|y)} r_k\) is below `threshold`; the
    masses of all such modes are added.

    Args:
        density: the law at time t.
        target: with an exact posterior.
        t: (), with sigma_t > 0 if the prior is a set of atoms.
        threshold: (), a mass.

    Raises:
        UnsupportedError: if the posterior is not a mixture.
    """
    threshold = scalar(threshold, "threshold")
    prior, posterior = target.marginal(t), target.posterior(t)
    law = mode_weights(density, prior)
    exact = density.expectation_under(posterior, prior.responsibilities)
    ruled_out = exact < threshold
    return RegionMass(
        jnp.sum(jnp.where(ruled_out, law, 0.0)),
        jnp.sum(jnp.where(ruled_out, exact, 0.0)),
    )


def hallucinated_likelihood_mass(
    density: AbstractDensity,
    target: Target,
    t: Real[ArrayLike, ""],
    outside: Real[ArrayLike, ""] = OUTSIDE,
    level: Real[ArrayLike, ""] = LEVEL,
) -> RegionMass:
    r"""Mass where the likelihood is high but the prior has nothing.

    The region is the set of x with

    - \(p_t(x) \le c\), outside the highest-density region of the noised prior: c is
      such that \(p_t\) has mass `outside` on \(\{p_t \le c\}\); and
    - \(p(y|x_t = x) \ge\) `level` \(\cdot \max p(y|x_t)\), the maximum over the grid.

    Cells that the border cuts count by the part inside, to first order in their size.

    Args:
        density: the law at time t; its grid should reach where the likelihood is high.
        target: with an exact posterior.
        t: (), with sigma_t > 0.
        outside: (), a mass.
        level: (), a fraction.

    Raises:
        UnsupportedError: if the posterior is not a mixture.
    """
    t = floating(t)
    laws = target.marginal(t), target.posterior(t)
    shares = scalar(outside, "outside"), scalar(level, "level")
    return _likely_region(density, target, t, *laws, *shares)


@eqx.filter_jit
def _likely_region(density, target, t, prior, posterior, outside, level):
    fine = density.amplitude()
    log_prior = over_points(prior.log_prob, fine.points)
    log_likelihood = over_points(lambda x: target.log_likelihood(x, t), fine.points)
    cut = _density_cut(log_prior, fine.volumes, outside)
    high = jnp.max(log_likelihood) + jnp.log(level)
    away = _share(cut - log_prior, over_points(prior.score, fine.points), fine.volumes)
    likely = _share(
        log_likelihood - high,
        over_points(lambda x: target.guidance(x, t), fine.points),
        fine.volumes,
    )
    region = fine.volumes * away * likely
    return RegionMass(
        jnp.sum(region * fine.root**2),
        jnp.sum(region * jnp.exp(over_points(posterior.log_prob, fine.points))),
    )


def early_stopping(
    densities: Sequence[AbstractDensity],
    target: Target,
    times: Times,
    divergence: Callable[[AbstractDensity, GaussianMixture], Scalar],
) -> EarlyStopping:
    """What stopping at each time would cost: two divergences as functions of time.

    Args:
        densities: laws of x_t at `times`, as they are (not divided by alpha).
        target: with an exact posterior.
        times: (n,).
        divergence: of a law from a mixture, such as `divergences.w2`.

    Raises:
        InputError: if there is not one law a time.
        UnsupportedError: if the posterior is not a mixture.
    """
    times = vector(times, "times")
    require(
        len(densities) == times.shape[0],
        "laws and times do not fit",
        got=f"{len(densities)} laws and {times.shape[0]} times",
        expected="one law a time",
        hint="leave out the initial law and its time together",
    )
    posterior = target.problem.posterior()
    pairs = list(zip(densities, times, strict=True))
    return EarlyStopping(
        times,
        jnp.stack([divergence(law, target.posterior(t)) for law, t in pairs]),
        jnp.stack([divergence(law, posterior) for law in densities]),
    )


def _density_cut(log_density, volumes, outside):
    """log c such that the mass of {density <= c} is `outside`."""
    order = jnp.argsort(log_density)
    masses = (volumes * jnp.exp(log_density))[order]
    # The nodes up to and half of this one: a node stands for its whole cell.
    below = jnp.cumsum(masses) - 0.5 * masses
    return jnp.interp(outside, below, log_density[order])


def _share(level, gradient, volumes):
    """Part of each cell where a function is positive, linear over the cell."""
    size = volumes ** (1.0 / gradient.shape[1])
    change = size * jnp.sum(jnp.abs(gradient), axis=1)
    flat = change == 0
    return jnp.where(
        flat,
        (level > 0).astype(level.dtype),
        jnp.clip(0.5 + level / jnp.where(flat, 1.0, change), 0.0, 1.0),
    )
