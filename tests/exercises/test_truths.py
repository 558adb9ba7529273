"""Truths of exercises that are formulas themselves, against other parts of the testbed."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import gmm_testbed as gt
from gmm_testbed.exercises.lecture_10.own_method import Own, capstone, tv_after

CATALOGUE = gt.exercises.CATALOGUE


def _moved(sampler, target, t, s, x):
    return sampler.transition(target, x, t, s).mean


@pytest.mark.slow
def test_density_after_a_step_is_that_of_the_law_of_a_sampler():
    """The truth of the exercise at starting points of `gt.laws.grid`, one DDIM step."""
    target, times = gt.problems.get("two-modes"), jnp.array([0.5, 0.35])
    sampler = gt.Guided(gt.approximations.TMPD(), gt.kernels.DDIM(0.0))
    start = target.posterior(times[0])
    law = gt.laws.grid(sampler, target, times, initial=start)
    step = Partial(_moved, sampler, target, *times)
    truth = CATALOGUE["log-density-after-a-step"].truth
    count = law.positions.shape[1]
    for index in (count // 3, count // 2, 2 * count // 3):
        found = truth(start, step, law.positions[0][index][None])
        expected = law.at(-1).log_density[index]
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.slow
def test_collapse_level_of_equal_variances_is_a_formula():
    """d/2 log(1 + snr v) = log N."""
    truth = CATALOGUE["collapse-level"].truth
    found = truth(jnp.full(3, 0.7), jnp.asarray(40.0))
    np.testing.assert_allclose(found, (40.0 ** (2 / 3) - 1) / 0.7, rtol=1e-9)


@pytest.mark.slow
def test_v_star_leaves_a_singular_covariance():
    A = np.array([[0.7, -1.2, 0.4], [0.25, 0.6, -0.9]])
    R = np.array([[0.3, 0.08], [0.08, 0.22]])
    v = float(CATALOGUE["v-star"].truth(A, R))
    least = np.linalg.eigvalsh(R - v * A @ A.T)[0]
    np.testing.assert_allclose(least, 0.0, atol=1e-12)


@pytest.mark.slow
def test_a_method_of_ones_own_is_not_the_best():
    """With many steps it is between DPS and the exact mean."""
    methods = gt.approximations.Exact(), Own(capstone), gt.approximations.DPS()
    exact, own, dps = (tv_after(method, steps=200) for method in methods)
    assert exact < own < dps
