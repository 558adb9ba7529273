"""The unrolled generator: the same words as JAX's own, and normal numbers from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gmm_testbed as gt
from gmm_testbed.random import Draws, key_words, normals, standard_normal, threefry


def test_words_are_those_of_the_generator_of_jax(key):
    words = key_words(key)
    counter = jnp.arange(6, dtype=jnp.uint32)
    ours = jnp.stack(threefry(words[0], words[1], counter[:3], counter[3:]))
    # jax.extend exposes the block that jax.random uses: counts are split in two halves.
    theirs = jax.extend.random.threefry_2x32(words, counter)
    np.testing.assert_array_equal(ours.reshape(-1), theirs)


@pytest.mark.float32
def test_numbers_are_standard_normal(key):
    dtype = jnp.zeros(()).dtype
    words = key_words(key)
    draw = jax.jit(jax.vmap(lambda step: standard_normal(words, step, 4, dtype)))
    z = np.asarray(draw(jnp.arange(50_000)), np.float64)
    assert z.dtype == np.float64 and z.shape == (50_000, 4)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    stderr = 1 / np.sqrt(len(z))
    assert np.abs(np.corrcoef(z.T) - np.eye(4)).max() < 4.5 * stderr
    lagged = (z[1:] * z[:-1]).mean(axis=0)
    assert np.abs(lagged).max() < 4.5 * stderr
    fourth = (z**4).mean() - 3.0
    assert abs(fourth) < 4.5 * np.sqrt(96 / z.size)


@pytest.mark.float32
@pytest.mark.slow
def test_streams_and_parts_are_independent_of_each_other(key):
    dtype = jnp.zeros(()).dtype

    def numbers(step):
        draws = Draws(key_words(key), step)
        parts = [draws, draws.part(0), draws.part(1)]
        return jnp.stack(
            [d.uniform(dtype, i) for d in parts for i in ("noise", "component", "end")]
            + [d.normal(1, dtype, i)[0] for d in parts for i in ("component", "end")]
        )

    u = np.array(jax.jit(jax.vmap(numbers))(jnp.arange(20_000)), np.float64)
    u[:, 9:] = stats.norm.cdf(u[:, 9:])
    assert np.all((u > 0) & (u < 1))
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    correlation = np.corrcoef(stats.norm.ppf(u).T) - np.eye(15)
    same = [(1, 9), (2, 10), (4, 11), (5, 12), (7, 13), (8, 14)]  # of the same bits
    for i, j in same:
        assert correlation[i, j] > 0.99
        correlation[i, j] = correlation[j, i] = 0.0
    assert np.abs(correlation).max() < 4.5 / np.sqrt(len(u))


def test_two_mixtures_of_one_step_are_drawn_independently(key):
    """Each stream has a component of its own: four pairs of modes, by their weights."""
    modes = gt.GaussianMixture.isotropic([0.3, 0.7], [[-9.0], [9.0]], 1.0)

    def pair(step):
        draws = Draws(key_words(key), step)
        return jnp.stack([draws.of(modes)[0], draws.of(modes, "other")[0]])

    x = np.asarray(jax.jit(jax.vmap(pair))(jnp.arange(20_000)))
    assert np.abs(np.abs(x) - 9.0).max() < 6.0
    for left in (False, True):
        for right in (False, True):
            share = np.mean(((x > 0) == [left, right]).all(axis=1))
            exact = np.prod(np.where([left, right], 0.7, 0.3))
            assert abs(share - exact) < 4.5 * np.sqrt(exact * (1 - exact) / len(x))
    noise = x - 9.0 * np.sign(x)
    assert abs(np.mean(noise[:, 0] * noise[:, 1])) < 4.5 / np.sqrt(len(x))


def test_extreme_words_give_finite_numbers():
    for dtype in (jnp.float32, jnp.float64):
        tiny = standard_normal(jnp.zeros(2, jnp.uint32), 0, 3, jnp.dtype(dtype))
        assert tiny.dtype == dtype and bool(jnp.isfinite(tiny).all())


def test_parts_of_two_steps_have_numbers_of_their_own(key):
    words = key_words(key)
    found = [
        float(Draws(words, jnp.asarray(step)).part(number).normal(1, jnp.float32)[0])
        for step in (0, 1)
        for number in (0, 1)
    ]
    assert len(set(found)) == 4


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize(("num", "dim"), [(3, 1), (3, 5), (63, 4), (64, 4), (100, 1)])
def test_numbers_of_many_particles_are_those_of_each(num, dim, dtype):
    """Short rows, long rows and one row are made in different loops."""
    words = jax.random.bits(jax.random.key(0), (num, 2), dtype=jnp.uint32)
    step = jnp.asarray(7)
    found = jax.jit(normals, static_argnums=(2, 3))(words, step, dim, dtype)
    each = jnp.stack([standard_normal(own, step, dim, dtype) for own in words])
    assert found.dtype == dtype
    np.testing.assert_allclose(found, each.T, rtol=16 * jnp.finfo(dtype).eps)
