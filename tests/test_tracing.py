"""`gt.sample` inside jit, vmap and grad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt

from .conftest import FLOAT32

pytestmark = pytest.mark.usefixtures("without_shape_checks")

KEY = jax.random.key(0)
PRIOR = gt.GaussianMixture.isotropic([0.25, 0.75], [[0.0, 1.0], [1.0, 2.0]], 0.5)
TIMES = jnp.asarray([1.0, 0.6, 0.3])


def _samples(key=KEY, y=(0.5,), zeta=0.5, sampler=None, times=TIMES):
    approximation = gt.approximations.ZetaDPS(zeta)
    problem = gt.InverseProblem(PRIOR, gt.Linear([[1.0, 0.5]], 0.1), jnp.asarray(y))
    sampler = sampler or gt.Guided(approximation, gt.kernels.DDPM())
    return gt.sample(key, sampler, gt.Target(problem, gt.VP()), times, 4).x


TDS = gt.smc.TDS(gt.approximations.TMPD(), gt.kernels.DDPM("matched"))


@pytest.mark.parametrize(
    "sampler",
    [
        pytest.param(None, id="chains"),
        pytest.param(TDS, id="filter", marks=pytest.mark.slow),
    ],
)
def test_jit_and_vmap_give_the_same_samples(sampler, tolerance):
    keys, ys = jax.random.split(KEY, 2), jnp.asarray([[0.5], [-0.2]])
    each = [_samples(k, y, sampler=sampler) for k, y in zip(keys, ys, strict=True)]
    both = jax.vmap(lambda k, y: _samples(k, y, sampler=sampler))(keys, ys)
    one = jax.jit(lambda k, y: _samples(k, y, sampler=sampler))(keys[0], ys[0])
    near = {"rtol": tolerance.identity, "atol": tolerance.identity}
    np.testing.assert_allclose(both, jnp.stack(each), **near)
    np.testing.assert_allclose(one, each[0], **near)


@pytest.mark.skipif(FLOAT32, reason="differences of single precision")
@pytest.mark.slow
def test_gradient_in_reverse_mode_is_that_of_differences():
    def mean(zeta):
        return jnp.sum(_samples(zeta=zeta)) / 8

    step = 1e-5
    by_difference = (mean(0.5 + step) - mean(0.5 - step)) / (2 * step)
    found = jax.grad(mean)(0.5)
    assert abs(found) > 1e-3
    np.testing.assert_allclose(found, by_difference, rtol=1e-6)


@pytest.mark.slow
def test_a_grid_may_be_traced():
    found = jax.jit(lambda times: _samples(times=times))(TIMES)
    np.testing.assert_allclose(found, _samples(), rtol=1e-5)
