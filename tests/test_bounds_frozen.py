"""Freezing a score (T4 and T5): each closed form by sums that do not know it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

import gmm_testbed as gt
from gmm_testbed import approximations
from gmm_testbed.bounds import Verdict
from gmm_testbed.bounds.tools import frozen, frozen_chain, line_paths

T, THETAS = 1.2, (1.0, -1.0)


def posterior():
    return line_paths.two_modes(gt.OU(T)).problem.posterior()


@pytest.mark.parametrize("theta", THETAS)
def test_a_frozen_value_is_a_martingale(theta):
    """E |V_t - V_k - e|^2 by a sum over pairs of points, and the terms of a cell."""
    early, late, error = 0.25, 0.4, 0.3  # the states at `late` are the noisier
    t, t_k = early / T, late / T
    x, path, u = np.linspace(-9.0, 9.0, 1501), gt.OU(T), late - early

    def parts(t):
        law = posterior().noised(path.alpha(t), path.sigma(t))
        points = jnp.asarray(x)[:, None]
        density, score = jax.vmap(law.log_prob)(points), jax.vmap(law.score)(points)
        return np.exp(density), np.asarray(score)[:, 0] + 0.5 * (1.0 - theta) * x

    (density, value), (_, frozen_value) = parts(t), parts(t_k)
    step = (x - np.exp(-u) * x[:, None]) ** 2 / (1.0 - np.exp(-2.0 * u))
    forward = np.exp(-0.5 * step) / np.sqrt(2.0 * np.pi * (1.0 - np.exp(-2.0 * u)))
    square = (value[:, None] - frozen_value - error) ** 2
    direct = np.sum(density[:, None] * forward * square) * (x[1] - x[0]) ** 2

    times = jnp.asarray(path.alpha(t)), jnp.asarray(path.sigma(t))
    first, _ = frozen.moments(posterior(), *times, jnp.asarray(theta))
    times = jnp.asarray(path.alpha(t_k)), jnp.asarray(path.sigma(t_k))
    second, mean = frozen.moments(posterior(), *times, jnp.asarray(theta))
    closed = first - (2.0 * np.exp(-theta * u) - 1.0) * second + error**2
    closed -= 2.0 * np.expm1(-theta * u) * mean * error
    np.testing.assert_allclose(closed, direct, rtol=1e-9)


@pytest.mark.parametrize("theta", THETAS)
def test_a_sum_over_cells_is_the_integral_of_their_squares(theta):
    """E |V_u - V_k - e|^2 in the closed form of the test above, by SciPy over u."""
    path, error, ends = gt.OU(T), 0.3, np.array([0.9, 0.55])

    @jax.jit
    def at(t):
        scales = path.alpha(t), path.sigma(t)
        return frozen.moments(posterior(), *scales, jnp.asarray(theta))

    second, mean = at(ends[0])

    def square(u):
        closed = at(ends[0] - u / T)[0] - (2.0 * np.exp(-theta * u) - 1.0) * second
        return closed - 2.0 * np.expm1(-theta * u) * mean * error + error**2

    whole = integrate.quad(square, 0.0, T * (ends[0] - ends[1]), epsabs=1e-13)[0]
    case = posterior(), path, jnp.asarray(ends), jnp.asarray(theta), jnp.asarray(error)
    np.testing.assert_allclose(frozen._cells(*case), whole, rtol=1e-9)
    without = integrate.quad(lambda u: float(np.expm1(-theta * u) * mean), 0.0, 0.42)[0]
    counts = theta != 1.0  # a score has the mean zero
    assert (abs(without * error) > 1e-3 * whole) == counts


@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.slow
def test_states_on_the_grid_by_the_sampler_itself(theta):
    target = line_paths.two_modes(gt.OU(T))
    times = jnp.linspace(1.0, 0.0, 7)
    prior = gt.denoisers.Prior(target.problem.prior)
    seen = target.seen_through(gt.denoisers.ScoreError(prior, offset=0.3))
    sampler = gt.Guided(approximations.Exact(), frozen.Frozen(theta))
    exact = jnp.sum(line_paths.step_divergences(sampler, seen, times))
    given = target.problem.posterior(), target.path, times
    found, _ = frozen_chain.of_paths(*given, jnp.asarray(theta), jnp.asarray(0.3))
    np.testing.assert_allclose(found, exact, rtol=1e-9)


@pytest.mark.parametrize("factor", [1.15, 1.0 - 1e-4])
@pytest.mark.slow
def test_a_wrong_sum_over_cells_is_caught(monkeypatch, factor):
    right = frozen._cells
    monkeypatch.setattr(frozen, "_cells", lambda *given: factor * right(*given))
    for name in ("T4-relative-score", "T5-frozen-score"):
        reports = gt.bounds.check(name, T=T, error=0.3)
        assert Verdict.VIOLATED in {r.holds for r in reports if r.label == "paths"}
