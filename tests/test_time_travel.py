"""Time travel against quadrature in NumPy, one leg after another."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

import gmm_testbed as gt

from .oracles import numpy_mixture as ref
from .oracles.library import scales, to_target
from .oracles.moments import assert_moments
from .oracles.problems import generic

PATH = gt.VP()
LINE = generic(1, 1, 2)
TIMES = np.array([0.8, 0.5, 0.25, 0.1])
BASE = gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM("small"))
NODES = np.linspace(-9, 9, 481)


def _down(alpha_t, sigma_t, alpha_s, sigma_s):
    """Means (n,) and standard deviation of DDPM with DPS at the nodes."""
    step = alpha_t, sigma_t, alpha_s, sigma_s
    means = []
    for x in NODES[:, None]:
        m = ref.prior_mean(LINE, x, alpha_t, sigma_t)
        guided = m + sigma_t**2 / alpha_t * ref.dps(LINE, x, alpha_t, sigma_t)
        means.append(ref.ddpm_mean(x, guided, *step)[0])
    return np.array(means), np.sqrt(ref.ddpm_variances(*step)[0])


def _up(alpha_t, sigma_t, alpha_s, sigma_s):
    """The forward kernel from s to t: x_t is a multiple of x_s and new noise."""
    ratio = alpha_t / alpha_s
    return ratio * NODES, np.sqrt(sigma_t**2 - (ratio * sigma_s) ** 2)


@functools.cache
def _steps(t, s):
    step = (*scales(PATH, jnp.asarray(t)), *scales(PATH, jnp.asarray(s)))
    return _down(*step), _up(*step)


def _law(repeats):
    """Density (n,) at the last time, from the standard start."""
    spacing = NODES[1] - NODES[0]
    density = norm.pdf(NODES, 0.0, scales(PATH, jnp.asarray(TIMES[0]))[1])
    for t, s in zip(TIMES[:-1], TIMES[1:], strict=True):
        down, up = _steps(t, s)
        for mean, scale in [down, *(repeats - 1) * [up, down]]:
            kernel = norm.pdf(NODES[:, None], mean[None], scale)
            density = spacing * kernel @ density
    assert abs(spacing * density.sum() - 1) < 1e-6
    return density * spacing


@pytest.mark.slow
def test_samples_have_the_law_of_the_legs(key, tolerance):
    """Kolmogorov's statistic, and moments that a single pass does not have."""
    mass, single, num = _law(3), _law(1), 8000
    method = gt.algorithms.TimeTravel(BASE, 3)
    out = gt.sample(key, method, to_target(LINE, PATH), jnp.asarray(TIMES), num)
    x = np.asarray(out.x)

    def statistic(mass):
        levels = np.interp(np.sort(x[:, 0]), NODES, np.cumsum(mass) - 0.5 * mass)
        return np.sqrt(num) * np.abs(levels - (np.arange(num) + 0.5) / num).max()

    assert statistic(mass) < 2.2 < statistic(single)  # exceeded once in 10,000
    mean = mass @ NODES
    variance = mass @ (NODES - mean) ** 2
    assert_moments(x, np.array([mean]), np.array([[variance]]), tolerance.z)


@pytest.mark.slow
def test_the_law_by_quadrature_takes_the_legs_in_turn():
    """`laws.grid` against the same legs on a plain grid in NumPy."""
    method = gt.algorithms.TimeTravel(BASE, 3)
    law = gt.laws.grid(method, to_target(LINE, PATH), jnp.asarray(TIMES))
    mass = _law(3)
    mean = mass @ NODES
    assert_allclose(law.mean(), [mean], rtol=1e-6)
    assert_allclose(law.covariance(), [[mass @ (NODES - mean) ** 2]], rtol=1e-6)


@pytest.mark.slow
def test_one_repeat_is_the_method(key):
    target, times = to_target(LINE, PATH), jnp.asarray(TIMES)
    once = gt.algorithms.TimeTravel(BASE, 1)
    assert once.facts == BASE.facts
    for method in (once, BASE):
        out = gt.sample(key, method, target, times, 5)
        assert_allclose(out.x, gt.sample(key, BASE, target, times, 5).x, rtol=1e-12)


@pytest.mark.slow
def test_exact_steps_stay_exact(key, tolerance):
    """Noise takes the posterior at s to that at t: from the exact law, no error."""
    problem = generic(2, 1, 2)
    target, times = to_target(problem, PATH), jnp.asarray(TIMES[:2])
    method = gt.algorithms.TimeTravel(gt.algorithms.Jump(), 3)
    assert method.facts.exact_when == gt.algorithms.Jump().facts.exact_when
    start = target.posterior(times[0])
    out = gt.sample(key, method, target, times, 8000, initial=start)
    law = ref.noised(ref.posterior(problem), *scales(PATH, times[-1]))
    assert_moments(out.x, ref.mean(law), ref.covariance(law), tolerance.z)


def test_legs_and_facts():
    method = gt.algorithms.TimeTravel(BASE, 3)
    t, s = jnp.asarray(0.6), jnp.asarray(0.4)
    ends = [(float(leg.t), float(leg.s)) for leg in method.legs(t, s)]
    down, up = (float(t), float(s)), (float(s), float(t))
    assert ends == [down, up, down, up, down]
    assert method.facts.cost == tuple(3 * each for each in BASE.facts.cost)
    assert method.facts.law == "composed" and not method.facts.affine


def test_the_way_up_from_the_data_and_to_pure_noise(tolerance):
    """Variance without cancellation; no signal is left at the end of a rectified flow."""
    path, x = gt.Rectified(), jnp.asarray([0.7, -0.3])
    target = to_target(generic(2, 1, 2), path)
    up = gt.algorithms.TimeTravel(BASE, 2).legs(jnp.asarray(1.0), jnp.asarray(0.0))[1]
    law = jax.jit(lambda leg: leg.method.transition(target, x, leg.t, leg.s))(up)
    assert_allclose(law.mean, np.zeros(2))
    assert_allclose(law.covariance(), np.eye(2), rtol=tolerance.identity)
    near = up._replace(t=jnp.asarray(0.5), s=jnp.asarray(0.5 + 1e-9))
    law = jax.jit(lambda leg: leg.method.transition(target, x, leg.t, leg.s))(near)
    expected = (0.5 + 1e-9) ** 2 - 0.25 * (1 - 2e-9) ** 2  # to first order 2e-9
    assert_allclose(law.covariance()[0, 0], expected, rtol=1e-6)


def test_repeats_are_counted(without_shape_checks):
    for repeats in (0, 1.5):
        with pytest.raises(gt.InputError, match="repeats"):
            gt.algorithms.TimeTravel(BASE, repeats)


def test_a_method_with_memory_is_refused(without_shape_checks):
    with pytest.raises(gt.InputError, match="without memory"):
        gt.algorithms.TimeTravel(gt.algorithms.DPMSolver())
