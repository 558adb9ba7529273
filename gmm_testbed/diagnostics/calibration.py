r"""Calibration over many observations: ranks, credible regions, and balls about a point.

Each test turns a pair (x0, y) with draws into a level that is uniform on [0, 1] for exact
draws, and asks whether the levels of all pairs are uniform:

- `sbc`: the rank of each coordinate (Talts et al. 2018, arXiv:1804.06788, theorem 1). Too
  narrow draws pile up at both ends, too wide ones in the middle, a bias on one side.
- `coverage`: the credibility at which the region of highest density reaches the truth
  (Hermans et al. 2022, arXiv:2110.06581, definition 2.1). Its empirical law is the expected
  coverage: below the diagonal the draws are overconfident. The regions are level sets of
  the *exact* posterior density, which is known here, while the sampler's is not; it also
  makes this the rank of a statistic that depends on y.
- `tarp`: the share of draws closer to a reference point than the truth (Lemos et al. 2023,
  arXiv:2302.03026, algorithm 2).

A sampler that ignores y and draws from the prior passes `sbc`, and `tarp` with references
that do not depend on y: those check the data-averaged law. `coverage`, and `tarp` with the
references of `Pairs`, see y.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import require
from .._types import Key, Times
from ..method import AbstractDescribed
from ..mixture import GaussianMixture
from ..paths import AbstractPath
from ..problem import Linear
from .pairs import Pairs, simulate
from .uniformity import Uniformity, ranked, uniformity


class Calibration(NamedTuple):
    """The three tests on the same pairs.

    Attributes:
        sbc: ranks of the coordinates; every entry has a leading axis (d,).
        coverage: levels of regions of highest posterior density.
        tarp: levels of balls about the references.
        pairs: what was simulated.
    """

    sbc: Uniformity
    coverage: Uniformity
    tarp: Uniformity
    pairs: Pairs


def calibrate(
    key: Key,
    prior: GaussianMixture,
    measurement: Linear,
    path: AbstractPath,
    sampler: AbstractDescribed,
    times: Times,
    num_pairs: int = 1000,
    num_draws: int = 99,
    *,
    bins: int = 20,
    particles: int = 64,
) -> Calibration:
    """Simulates pairs and runs the three tests on them.

    Args:
        key: random key.
        prior: the mixture of x0.
        measurement: linear; y is drawn afresh for every x0.
        path: of the diffusion.
        sampler: any that `gt.sample` runs, or `PosteriorDraws()` for exact draws.
        times: (N + 1,), decreasing; the laws are compared at the last one.
        num_pairs: n; p-values are of n independent levels.
        num_draws: L, for each pair.
        bins: of the chi-square tests.
        particles: of every run of a particle filter, which gives one draw.

    Raises:
        InputError: as `simulate` and `uniformity`.
    """
    key_pairs, key_sbc, key_coverage, key_tarp = jax.random.split(key, 4)
    arguments = prior, measurement, path, sampler, times, num_pairs, num_draws
    pairs = simulate(key_pairs, *arguments, particles=particles)
    return Calibration(
        sbc(key_sbc, pairs, bins=bins),
        coverage(key_coverage, pairs, bins=bins),
        tarp(key_tarp, pairs, bins=bins),
        pairs,
    )


def sbc(key: Key, pairs: Pairs, *, bins: int = 20) -> Uniformity:
    """Simulation-based calibration: ranks of every coordinate among its draws.

    Args:
        key: spreads a rank over its cell.
        pairs: from `simulate`.
        bins: of the chi-square test.

    Returns:
        A `Uniformity` whose entries have a leading axis (d,): d tests, not one.
    """
    key_by_coordinate = jax.random.split(key, pairs.truth.shape[1])
    draws = jnp.moveaxis(pairs.draws, 2, 0)
    return tested(key_by_coordinate, pairs.truth.T, draws, bins)


def coverage(key: Key, pairs: Pairs, *, bins: int = 20) -> Uniformity:
    """Expected coverage of regions of highest posterior density.

    The level of a pair is the share of draws of higher density than the truth.

    Args:
        key: spreads a rank over its cell.
        pairs: from `simulate`.
        bins: of the chi-square test.
    """
    return tested(key, -pairs.log_density_truth, -pairs.log_density, bins)


def tarp(
    key: Key,
    pairs: Pairs,
    references: Float[Array, "n d"] | None = None,
    *,
    bins: int = 20,
) -> Uniformity:
    """Coverage of balls about random points.

    The level of a pair is the share of draws closer to its reference than the truth.

    Args:
        key: spreads a rank over its cell.
        pairs: from `simulate`.
        references: (n, d), which may depend on y and not on the truth; those of `pairs`
            by default.
        bins: of the chi-square test.

    Raises:
        InputError: if the references do not fit the pairs.
    """
    references = pairs.references if references is None else references
    require(
        references.shape == pairs.truth.shape,
        "the references do not fit the pairs",
        got=references.shape,
        expected=f"{pairs.truth.shape}, one point a pair",
        hint="broadcast one point to all pairs with jnp.broadcast_to",
    )
    truth = _distance(pairs.truth - references)
    return tested(key, truth, _distance(pairs.draws - references[:, None]), bins)


def tested(keys, truth, draws, bins: int) -> Uniformity:
    """Tests of the levels of truths (..., n) among draws (..., n, L), a key each."""
    levels = _levels
    for _ in keys.shape:
        levels = jax.vmap(levels)
    return uniformity(levels(keys, truth, draws), bins)


@eqx.filter_jit
def _levels(key, truth, draws):
    uniform = jax.random.uniform(key, truth.shape, truth.dtype)
    return jax.vmap(ranked)(uniform, truth, draws)


def _distance(offset):
    return jnp.sqrt(jnp.sum(offset**2, axis=-1))
