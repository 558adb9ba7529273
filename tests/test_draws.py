"""Draws by cumulative weights in single precision: a weight of zero is never drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.mixture import components
from gmm_testbed.random import from_mixture
from gmm_testbed.smc.resampling import SCHEMES


def weights_with_zeros(count):
    """Half of them zero, the first and the last too."""
    rng = np.random.default_rng(count)
    weights = rng.random(count).astype(np.float32)
    weights[rng.random(count) < 0.5] = 0.0
    weights[[0, -1]] = 0.0
    return weights / weights.sum()


@pytest.mark.parametrize("name", SCHEMES)
def test_dead_particles_have_no_offspring(name):
    """65,536 particles: the plain cumulative sums rise at dead ones, and fall."""
    weights = weights_with_zeros(65_536)
    rng = np.random.default_rng(2)
    for uniforms in (
        rng.random(weights.size).astype(np.float32),
        np.full(weights.size, np.float32(1.0) - np.float32(2.0**-24)),
        np.zeros(weights.size, np.float32),
    ):
        chosen = SCHEMES[name](jnp.asarray(uniforms), jnp.log(jnp.asarray(weights)))
        assert np.all(weights[np.asarray(chosen)] > 0)


@pytest.mark.parametrize("count", [600, 5000])
def test_levels_at_every_step_of_the_sums_find_a_component_with_weight(count):
    weights = jnp.asarray(weights_with_zeros(count))
    plain = jnp.cumsum(weights)
    levels = jnp.concatenate([plain, jnp.nextafter(plain, jnp.float32(0)), plain[:1]])
    levels = levels / plain[-1]
    sums = components.cumulative(weights)
    assert np.all(np.diff(sums) >= 0)
    rises = np.diff(np.asarray(sums), prepend=np.float32(0)) > 0
    assert not np.any(rises & (np.asarray(weights) == 0))
    below = components.below_total(levels, sums[-1])
    found = jnp.searchsorted(sums, below, side="right")
    assert np.all(weights[found] > 0)
    some = jax.vmap(lambda level: components.chosen(weights, level))(levels[::10])
    np.testing.assert_array_equal(some, found[::10])


def test_first_and_last_component_of_weight_zero():
    mixture = gt.GaussianMixture.isotropic(
        np.array([0.0, 0.25, 0.0, 0.75, 0.0], np.float32),
        np.arange(5, dtype=np.float32)[:, None],
        np.float32(1e-12),
    )
    dtype = mixture.means.dtype  # double in a double session
    levels = jnp.asarray([0.0, 0.2, 0.3, 1.0 - 2.0**-24, 1.0], dtype)
    noise = jnp.zeros(1, dtype)
    drawn = jax.vmap(lambda level: from_mixture(mixture, level, noise))(levels)
    np.testing.assert_array_equal(drawn[:, 0], [1.0, 1.0, 3.0, 3.0, 3.0])


def test_components_are_drawn_as_often_as_their_weights():
    rng = np.random.default_rng(5)
    weights = np.array([0.0, 0.2, 0.5, 0.0, 0.3])
    levels = rng.random(20_000)
    counts = np.zeros(5)
    sums = components.cumulative(jnp.asarray(weights))
    found = jnp.searchsorted(
        sums, components.below_total(jnp.asarray(levels), sums[-1]), side="right"
    )
    np.add.at(counts, np.asarray(found), 1.0)
    error = np.sqrt(weights * (1.0 - weights) * levels.size)
    np.testing.assert_array_less(
        np.abs(counts - weights * levels.size), 4.5 * error + 1e-9
    )
