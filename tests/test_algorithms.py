"""Algorithms against closed-form recursions and exact stationary laws."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt
from gmm_testbed.algorithms._template import Template
from gmm_testbed.algorithms.base import conjugate
from gmm_testbed.method import check_needs

from .oracles import numpy_mixture as ref
from .oracles.counted import TRACES, Counted
from .oracles.library import scales, to_problem, to_target
from .oracles.moments import affine_law, assert_moments
from .oracles.problems import generic

algorithms = gt.algorithms
PATH = Counted()
MIXTURE = generic(2, 1, 2)
NUM = 4000
TIMES = np.array([0.7, 0.45, 0.2, 0.0])


def _one_gaussian(covariance):
    """Two equal components: the shapes, and programs, of MIXTURE."""
    means = np.broadcast_to(MIXTURE.prior.means[1], (2, 2))
    covariances = np.broadcast_to(covariance, (2, 2, 2))
    prior = ref.Mixture(MIXTURE.prior.log_weights, means, covariances)
    return MIXTURE._replace(prior=prior)


GAUSSIAN = _one_gaussian(MIXTURE.prior.covariances[0])
UNIT = _one_gaussian(np.eye(2))


def _sample(key, sampler, problem, times=TIMES, **kwargs):
    target, times = to_target(problem, PATH), jnp.asarray(times)
    kwargs = {"initial": target.posterior(times[0])} | kwargs
    return gt.sample(key, sampler, target, times, NUM, **kwargs)


def _moments_at(problem, t):
    law = ref.noised(ref.posterior(problem), *scales(PATH, jnp.asarray(t)))
    return ref.mean(law), ref.covariance(law)


# --- the conjugate step -------------------------------------------------------------


@eqx.filter_jit
def _conjugate(problem, centre, variance):
    """Its mean and covariance."""
    law = conjugate(problem, centre, variance)
    return law.mean, law.covariance()


@pytest.mark.parametrize("variance", [0.0, 0.7])
def test_conjugate_draw_has_the_mean_and_covariance_of_a_kalman_update(variance):
    problem = generic(3, 2, 3)
    A, R, centre = problem.A, problem.R, np.array([0.4, -1.0, 2.0])
    mean, found = _conjugate(
        to_problem(problem), jnp.asarray(centre), jnp.asarray(variance)
    )
    gain = variance * A.T @ np.linalg.inv(variance * A @ A.T + R)
    assert_allclose(mean, centre + gain @ (problem.y - A @ centre), rtol=1e-9)
    covariance = variance * (np.eye(3) - gain @ A)
    assert_allclose(found, covariance, rtol=1e-9, atol=1e-12)


# --- DAPS ---------------------------------------------------------------------------


def _ode_end(problem, x, alpha, sigma):
    """Five Euler steps of the probability-flow ODE in u, down to 0.01."""
    levels = np.linspace((sigma / alpha) ** (1 / 7), 0.01 ** (1 / 7), 6) ** 7
    z = x / alpha
    for u, v in zip(levels[:-1], levels[1:], strict=True):
        z = z + (v - u) * (z - ref.prior_mean(problem, z, 1.0, u)) / u
    return z


def _daps(problem, endpoint, r2):
    """Mean and covariance of a step, for one Gaussian."""

    def transition(x, alpha, sigma, alpha_s, sigma_s):
        spread = np.zeros((2, 2))
        if endpoint == "ode":
            end = _ode_end(problem, x, alpha, sigma)
        else:
            end = ref.prior_mean(problem, x, alpha, sigma)
        if endpoint == "sample":
            spread = ref.prior_covariance(problem, x, alpha, sigma)
        variance = sigma**2 / (alpha**2 + (sigma**2 if r2 == "snr" else 0.0))
        A, eye = problem.A, np.eye(2)
        gain = variance * A.T @ np.linalg.inv(variance * A @ A.T + problem.R)
        keep = eye - gain @ A
        covariance = variance * keep + keep @ spread @ keep.T
        mean = end + gain @ (problem.y - A @ end)
        return alpha_s * mean, alpha_s**2 * covariance + sigma_s**2 * eye

    return transition


@pytest.mark.parametrize(
    "endpoint, r2", [("mean", "snr"), ("ode", "flat"), ("sample", "flat")]
)
@pytest.mark.slow
def test_daps_has_the_law_of_its_recursion(endpoint, r2, key, tolerance):
    out = _sample(key, algorithms.DAPS(endpoint, r2), GAUSSIAN)
    start = _moments_at(GAUSSIAN, TIMES[0])
    law = affine_law(PATH, TIMES, start, _daps(GAUSSIAN, endpoint, r2))
    assert np.abs(law[1] - _moments_at(GAUSSIAN, 0.0)[1]).max() > 0.02  # not exact
    assert_moments(out.x, *law, tolerance.z)
    assert np.isnan(out.log_evidence) and out.info.ess is None


def test_daps_is_exact_for_a_unit_gaussian(key, tolerance):
    out = _sample(key, algorithms.DAPS("mean", "snr"), UNIT)
    assert_moments(out.x, *_moments_at(UNIT, 0.0), tolerance.z)


def test_jump_is_exact_for_a_mixture_in_one_step(key, tolerance):
    for times in ([0.7, 0.0], [0.9, 0.3]):
        out = _sample(key, algorithms.Jump(), MIXTURE, times)
        assert_moments(out.x, *_moments_at(MIXTURE, times[-1]), tolerance.z)


def test_template_runs_as_it_stands(key, tolerance):
    out = _sample(key, Template(0.0), MIXTURE, [0.7, 0.3])
    _, sigma = scales(PATH, jnp.asarray(0.3))
    assert_moments(out.x, np.zeros(2), sigma**2 * np.eye(2), tolerance.z)


# --- split Gibbs --------------------------------------------------------------------

T = 0.15  # rho is 0.5, far from its square


def _stationary(t=T):
    """Exact laws of x0 and of x_t = alpha z at the level of t."""
    alpha, sigma = scales(PATH, jnp.asarray(t))
    rho, eye = sigma / alpha, np.eye(2)
    prior, A, R, y = MIXTURE
    clean = ref.conditioned(prior, A, R + rho**2 * A @ A.T, y)
    noisy = ref.conditioned(ref.noised(prior, 1.0, rho), A, R, y)
    return clean, ref.affine(noisy, alpha * eye, np.zeros(2), np.zeros((2, 2)))


def _to_library(mix):
    covariances = jnp.asarray(mix.covariances)
    return gt.GaussianMixture.full(
        np.exp(mix.log_weights), jnp.asarray(mix.means), covariances
    )


@pytest.mark.parametrize(
    "sweeps, from_prior, t",
    [
        (1, False, T),
        (3, False, T),
        pytest.param(40, True, 0.25, marks=pytest.mark.slow),  # it mixes faster there
    ],
)
def test_split_gibbs_has_its_stationary_laws(sweeps, from_prior, t, key, tolerance):
    """The posterior with noise R + rho^2 A A^T, and the noised prior's posterior."""
    clean, noisy = _stationary(t)
    start = ref.noised(MIXTURE.prior, *scales(PATH, jnp.asarray(t)))
    initial = _to_library(start if from_prior else noisy)
    sampler = algorithms.SplitGibbs(sweeps)
    out = _sample(key, sampler, MIXTURE, [t, 0.0], initial=initial)
    gap = np.abs(ref.covariance(clean) - _moments_at(MIXTURE, 0.0)[1]).max()
    assert gap > 0.02  # not the posterior
    assert_moments(out.x, ref.mean(clean), ref.covariance(clean), tolerance.z)
    out = _sample(key, sampler, MIXTURE, [t, t - 1e-10], initial=initial)
    assert_moments(out.x, ref.mean(noisy), ref.covariance(noisy), tolerance.z)


# --- what they refuse, and compilations ---------------------------------------------


def test_one_compilation_serves_all_grids_and_hyper_parameters(key):
    for sampler, other in (
        (algorithms.SplitGibbs(2), algorithms.SplitGibbs(2)),
        (algorithms.DAPS("mean", "snr"), algorithms.DAPS("mean", "snr")),
        (algorithms.Jump(), algorithms.Jump()),
    ):
        _sample(key, sampler, MIXTURE)
        TRACES.clear()
        out = _sample(key, other, GAUSSIAN, np.linspace(0.9, 0.1, 30))
        assert out.info.num_steps == 29 and out.info.nonfinite == 0
        assert not TRACES


def test_refusals():
    fold = gt.Nonlinear(lambda x: x[:1] ** 2, 0.1, 1)
    prior = gt.GaussianMixture.isotropic([1.0], [[0.5]], 0.3)
    curved = gt.Target(gt.InverseProblem(prior, fold, [1.0]), gt.Rectified())
    times = jnp.asarray([1.0, 0.5])
    for sampler in (algorithms.SplitGibbs(1), algorithms.DAPS(), algorithms.Jump()):
        with pytest.raises(gt.UnsupportedError):
            check_needs(sampler, curved, times)
    straight = gt.Target(
        gt.InverseProblem(prior, gt.Linear([[1.0]], 0.1), [1.0]), gt.Rectified()
    )
    check_needs(algorithms.SplitGibbs(1), straight, times)
    check_needs(algorithms.DAPS("mean", "snr"), straight, times)
    for sampler in (algorithms.SplitGibbs(2), algorithms.DAPS("mean", "flat")):
        with pytest.raises(gt.UnsupportedError, match="divides by alpha"):
            check_needs(sampler, straight, times)
    with pytest.raises(gt.InputError, match="sweeps"):
        algorithms.SplitGibbs(0)
    with pytest.raises(gt.InputError, match="endpoint"):
        algorithms.DAPS("tweedie")
