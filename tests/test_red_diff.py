"""RED-diff against Adam by hand and the linear solve of a Gaussian prior."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt
from gmm_testbed.random import Draws

from .oracles import numpy_mixture as ref
from .oracles.library import scales, to_target
from .oracles.problems import generic, one_gaussian

PATH = gt.VP()
METHOD = gt.estimators.REDDiff(rate=0.05, weight=0.7)
GAUSSIAN, MIXTURE = one_gaussian(), generic(3, 2, 2)


@eqx.filter_jit
def _steps(method, target, x, times, words):
    """Points, slopes and noises of two steps."""
    memory, found = method.memory(target, x, times[0]), []
    for j in range(2):
        draws = Draws(words, jnp.asarray(j))
        made = method.step(target, memory, x, times[j], times[j + 1], draws)
        x, memory = made.law.mean, made.memory
        found.append((x, draws.normal(3, x.dtype, "perturbation")))
    return found


def _slope(problem, weight, x, noise, alpha, sigma):
    """As published: misfit, and the error of the predicted noise times lambda."""
    noisy = alpha * x + sigma * noise
    predicted = (noisy - alpha * ref.prior_mean(problem, noisy, alpha, sigma)) / sigma
    misfit = problem.A.T @ np.linalg.solve(problem.R, problem.A @ x - problem.y)
    return misfit + weight * sigma / alpha * (predicted - noise)


def test_steps_are_those_of_adam(tolerance):
    target, times = to_target(MIXTURE, PATH), jnp.asarray([0.7, 0.5, 0.4])
    x, words = np.array([0.3, -0.8, 0.5]), jnp.asarray([3, 7], jnp.uint32)
    found = _steps(METHOD, target, jnp.asarray(x), times, words)
    first, second = np.zeros(3), np.zeros(3)
    for j, (moved, noise) in enumerate(found):
        slope = _slope(MIXTURE, 0.7, x, np.asarray(noise), *scales(PATH, times[j]))
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope**2
        unbiased = first / (1 - 0.9 ** (j + 1)), second / (1 - 0.99 ** (j + 1))
        x = x - 0.05 * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
        assert_allclose(moved, x, rtol=100 * tolerance.identity)


def _solution(weight, t):
    """Where the slope vanishes on average, for one Gaussian at one time."""
    prior, A, R, y = GAUSSIAN
    alpha, sigma = scales(PATH, jnp.asarray(t))
    P, mean = prior.covariances[0], prior.means[0]
    pull = weight * sigma**2 * np.linalg.inv(alpha**2 * P + sigma**2 * np.eye(3))
    seen = A.T @ np.linalg.solve(R, np.column_stack([A, y]))
    return np.linalg.solve(seen[:, :3] + pull, seen[:, 3] + pull @ mean)


@eqx.filter_jit
def _slopes(target, x, t, words):
    def one(words):
        memory = METHOD.memory(target, x, t)
        draws = Draws(words, jnp.asarray(0))
        made = METHOD.step(target, memory, x, t, t, draws)
        return made.memory.mu / 0.1  # Adam's first moment after one step

    return jax.vmap(one)(words)


def test_the_slope_vanishes_at_the_solution_of_the_linear_system(tolerance):
    target, t = to_target(GAUSSIAN, PATH), jnp.asarray(0.6)
    words = jax.random.bits(jax.random.key(1), (4000, 2), jnp.uint32)
    solution = _solution(0.7, 0.6)
    slopes = np.asarray(_slopes(target, jnp.asarray(solution), t, words))
    error = slopes.std(axis=0, ddof=1) / np.sqrt(len(slopes))
    assert np.all(np.abs(slopes.mean(axis=0)) < tolerance.z * error)
    elsewhere = ref.mean(ref.posterior(GAUSSIAN))
    slopes = np.asarray(_slopes(target, jnp.asarray(elsewhere), t, words))
    assert np.any(np.abs(slopes.mean(axis=0)) > 3 * tolerance.z * error)


def test_it_descends_to_the_solution(key):
    """At (nearly) one time, from far away, and not to the posterior mean."""
    target, times = to_target(GAUSSIAN, PATH), jnp.linspace(0.6, 0.599999, 1001)
    away = gt.GaussianMixture.isotropic([1.0], [[3.0, -3.0, 3.0]], [0.1])
    out = gt.sample(
        key, gt.estimators.REDDiff(0.02, 0.7), target, times, 64, initial=away
    )
    solution, exact = _solution(0.7, 0.6), ref.mean(ref.posterior(GAUSSIAN))
    gap = np.linalg.norm(np.asarray(out.x).mean(axis=0) - solution)
    assert gap < 0.1 * np.linalg.norm(solution - exact)


@pytest.mark.slow
def test_it_starts_from_the_pseudo_inverse_and_says_that_it_is_a_point(key):
    target, times = to_target(MIXTURE, PATH), jnp.asarray([0.7, 0.5, 0.4])
    out = gt.sample(key, METHOD, target, times, 3, trajectory=True)
    start = np.linalg.pinv(MIXTURE.A) @ MIXTURE.y
    for path in np.asarray(out.info.trajectory):
        assert_allclose(path[0], start, rtol=1e-9)
    assert len(np.unique(np.asarray(out.x), axis=0)) == 3  # a noise for each
    assert out.info.point and out.info.clean
    drawn = gt.sample(key, gt.algorithms.Jump(), target, times, 3)
    assert not drawn.info.point and not drawn.info.clean


def test_any_measurement(key):
    """From the denoised origin, towards the atom that y is of."""
    prior = gt.GaussianMixture.empirical([[0.5], [-2.0]])
    measurement = gt.Nonlinear(lambda x: x**2, 0.01, 1)
    target = gt.Target(gt.InverseProblem(prior, measurement, [4.0]), PATH)
    times = gt.time_grid(PATH, 300, t_max=0.9, t_min=0.01)
    x = np.asarray(gt.sample(key, METHOD, target, times, 4).x)
    assert_allclose(np.abs(x), 2.0, atol=0.1)


@pytest.mark.slow
def test_points_are_not_judged_as_draws(key):
    target, times = to_target(MIXTURE, PATH), jnp.asarray([0.7, 0.5, 0.4])
    points = gt.sample(key, METHOD, target, times, 50)
    draws = gt.sample(key, gt.algorithms.Jump(), target, times, 50)
    posterior = target.posterior(times[-1])
    with pytest.raises(gt.InputError, match="point"):
        gt.compare({"RED-diff": points, "Jump": draws}, posterior)
    with pytest.raises(gt.UnsupportedError, match="point"):
        problem = target.problem.prior, target.problem.measurement, PATH
        gt.diagnostics.simulate(key, *problem, METHOD, times, 4, 2)
    with pytest.raises(gt.UnsupportedError, match="random"):
        gt.laws.flow_kl(key, METHOD, target, times, 10)


def test_rates_are_positive():
    for name in ("rate", "weight"):
        with pytest.raises(gt.InputError, match=name):
            gt.estimators.REDDiff(**{name: 0.0})
