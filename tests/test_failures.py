"""Failure measures on laws whose failures are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gmm_testbed as gt
from gmm_testbed import GaussianMixture, InputError
from gmm_testbed.diagnostics import (
    early_stopping,
    failures,
    hallucinated_likelihood_mass,
    hallucinated_prior_mass,
    mode_weight_error,
    mode_weights,
    spread_ratio,
)
from gmm_testbed.divergences import LineDensity, PlaneDensity, kl_to, tv, w2

WEIGHTS = np.array([0.2, 0.5, 0.3])
MEANS = np.array([[-8.0], [0.0], [6.0]])
VARIANCES = np.array([0.5, 1.0, 0.7])
PRIOR = GaussianMixture.isotropic(WEIGHTS, MEANS, VARIANCES)


def line(mixture, lower=-16.0, upper=16.0, count=257, lost=0.0):
    x = jnp.linspace(lower, upper, count)
    log_density = jax.vmap(mixture.log_prob)(x[:, None]) + jnp.log(1 - lost)
    return LineDensity.uniform(lower, upper, log_density, lost)


def plane(mixture):
    x, y = jnp.linspace(-9.0, 9.0, 91), jnp.linspace(-7.0, 8.0, 81)
    points = jnp.stack(jnp.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    log_density = jax.vmap(mixture.log_prob)(points).reshape(91, 81)
    return PlaneDensity(x, y, log_density, 0.0)


def target(y=4.0, noise=1.0):
    problem = gt.InverseProblem(PRIOR, gt.Linear([[1.0]], noise), [y])
    return gt.Target(problem, gt.VP())


# --- spread and mode weights ----------------------------------------------------------


@pytest.mark.slow
def test_spread_ratio_is_the_ratio_of_traces():
    law = GaussianMixture.isotropic([1.0], [[2.0]], 0.25)
    truth = GaussianMixture.isotropic([1.0], [[-1.0]], 0.8)
    assert np.isclose(spread_ratio(line(law), truth), 0.25 / 0.8, rtol=1e-9)
    wide = GaussianMixture.diagonal([1.0], [[0.3, 0.1]], [[1.0, 0.5]])
    narrow = GaussianMixture.diagonal([1.0], [[0.0, 0.0]], [[0.7, 0.9]])
    assert np.isclose(spread_ratio(plane(wide), narrow), 1.5 / 1.6, rtol=1e-9)


@pytest.mark.slow
def test_mode_weights_of_the_mixture_itself_are_its_weights_though_modes_overlap():
    mixed = GaussianMixture.isotropic([0.3, 0.7], [[-0.4], [0.9]], [1.0, 0.6])
    assert np.allclose(mode_weights(line(mixed), mixed), [0.3, 0.7], rtol=1e-9)
    assert mode_weight_error(line(mixed), mixed) < 1e-12
    flat = GaussianMixture.isotropic([0.3, 0.7], [[-0.4, 1.0], [0.9, 0.2]], [1.0, 0.6])
    assert np.allclose(mode_weights(plane(flat), flat), [0.3, 0.7], rtol=1e-9)


def test_mode_weight_error_is_the_weight_that_moved():
    # The modes are 6 deviations apart: other weights are seen as they are.
    moved = GaussianMixture.isotropic([0.35, 0.4, 0.25], MEANS, VARIANCES)
    assert np.allclose(mode_weights(line(moved), PRIOR), [0.35, 0.4, 0.25], atol=2e-3)
    assert np.isclose(mode_weight_error(line(moved), PRIOR), 0.15, atol=2e-3)


def test_escaped_mass_belongs_to_no_mode():
    law = line(PRIOR, lost=0.1)
    assert np.allclose(mode_weights(law, PRIOR), 0.9 * WEIGHTS, rtol=1e-9)
    assert np.isclose(mode_weight_error(law, PRIOR), 0.1, rtol=1e-9)


# --- hallucination --------------------------------------------------------------------


def test_a_law_that_ignores_the_data_hallucinates_the_modes_they_rule_out():
    problem, t = target(), jnp.asarray(0.05)
    weights = np.exp(problem.exact_posterior.log_weights)
    assert weights[0] < 1e-6 < 0.01 < weights[1]  # y = 4 rules out the mode at -8 only
    found = hallucinated_prior_mass(line(problem.marginal(t)), problem, t)
    assert np.isclose(found.law, 0.2, atol=1e-4)
    assert found.exact < 1e-6
    assert found.law.shape == found.exact.shape == ()


def test_the_exact_posterior_hallucinates_no_mode():
    problem, t = target(), jnp.asarray(0.05)
    found = hallucinated_prior_mass(line(problem.posterior(t)), problem, t)
    assert np.isclose(found.law, found.exact, rtol=1e-9)


def test_the_threshold_says_which_modes_are_ruled_out():
    problem, t = target(), jnp.asarray(0.05)
    law = line(problem.marginal(t))
    none = hallucinated_prior_mass(law, problem, t, threshold=1e-30)
    assert none.law == none.exact == 0
    both = hallucinated_prior_mass(law, problem, t, threshold=0.5)
    posterior = np.exp(problem.exact_posterior.log_weights)
    assert np.isclose(both.law, 0.7, atol=1e-2)
    assert np.isclose(both.exact, posterior[0] + posterior[1], atol=1e-2)


def single(y=6.0):
    """One Gaussian prior N(0, 1) and an observation far out in its tail."""
    prior = GaussianMixture.isotropic([1.0], [[0.0]], 1.0)
    problem = gt.InverseProblem(prior, gt.Linear([[1.0]], 0.3), [y])
    return gt.Target(problem, gt.VP())


def region(problem, t, y=6.0, outside=1e-3, level=0.5):
    """Ends of {|x| > c} and {p(y|x_t) > level max}, for the prior N(0, 1), by hand."""
    alpha, sigma = float(problem.path.alpha(t)), float(problem.path.sigma(t))
    spread = np.sqrt(alpha**2 + sigma**2)
    cut = spread * stats.norm.isf(outside / 2)
    gain = alpha / spread**2  # E[x0 | x_t] = gain x_t
    variance = sigma**2 / spread**2 + 0.3
    half = np.sqrt(2 * variance * np.log(1 / level))
    return max(cut, (y - half) / gain), (y + half) / gain


@pytest.mark.parametrize("options", [{}, {"outside": 0.02, "level": 0.2}])
def test_a_law_at_the_observation_hallucinates_it(options):
    problem, t = single(), jnp.asarray(0.2)
    low, high = region(problem, t, **options)
    law = GaussianMixture.isotropic([1.0], [[6.3]], 1.1**2)
    found = hallucinated_likelihood_mass(line(law), problem, t, **options)
    expected = stats.norm.cdf(high, 6.3, 1.1) - stats.norm.cdf(low, 6.3, 1.1)
    assert 0.3 < expected < 0.95
    assert np.isclose(found.law, expected, atol=1e-3)
    posterior = problem.posterior(t)
    mean, scale = posterior.mean()[0], np.sqrt(posterior.covariance()[0, 0])
    exact = stats.norm.cdf(high, mean, scale) - stats.norm.cdf(low, mean, scale)
    assert np.isclose(found.exact, exact, atol=1e-3)


def test_nothing_is_hallucinated_where_the_prior_has_its_mass():
    problem, t = single(y=0.3), jnp.asarray(0.05)
    found = hallucinated_likelihood_mass(line(problem.posterior(t)), problem, t)
    assert found.law < 1e-9
    assert found.exact < 1e-9


@pytest.mark.slow
def test_in_the_plane_the_region_is_that_of_the_observed_axis():
    prior = GaussianMixture.isotropic([1.0], [[0.0, 0.0]], 1.0)
    problem = gt.Target(
        gt.InverseProblem(prior, gt.Linear([[1.0, 0.0]], 0.3), [6.0]), gt.VP()
    )
    t = jnp.asarray(0.2)
    _, high = region(problem, t)
    low, _ = region(problem, t, level=0.5)
    law = GaussianMixture.isotropic([1.0], [[6.0, 0.5]], 0.8**2)
    found = hallucinated_likelihood_mass(plane(law), problem, t)
    # Beyond 5 or so the prior has nothing whatever the other coordinate is.
    expected = stats.norm.cdf(high, 6, 0.8) - stats.norm.cdf(low, 6, 0.8)
    assert np.isclose(found.law, expected, atol=5e-3)


# --- early stopping -------------------------------------------------------------------


def test_early_stopping_of_the_exact_marginals():
    """Exact at its own time; from the posterior the known distance of two Gaussians."""
    problem = single(y=1.2)
    times = jnp.asarray([0.3, 0.1, 0.02])
    laws = [line(problem.posterior(t)) for t in times]
    found = early_stopping(laws, problem, times, w2)
    assert np.max(found.to_marginal) < 1e-8
    final = problem.problem.posterior()
    ends = final.mean()[0], np.sqrt(final.covariance()[0, 0])
    for i, t in enumerate(times):
        mean = problem.path.alpha(t) * ends[0]
        scale = np.sqrt(
            (problem.path.alpha(t) * ends[1]) ** 2 + problem.path.sigma(t) ** 2
        )
        expected = np.hypot(mean - ends[0], scale - ends[1])
        assert np.isclose(found.to_posterior[i], expected, rtol=1e-6)
    assert found.to_posterior[0] > found.to_posterior[1] > found.to_posterior[2] > 0.001
    assert np.allclose(found.times, times)


@pytest.mark.slow
def test_early_stopping_takes_any_divergence():
    problem, times = single(y=1.2), jnp.asarray([0.3, 0.1])
    laws = [line(problem.marginal(t)) for t in times]
    for divergence in (kl_to, tv):
        found = early_stopping(laws, problem, times, divergence)
        direct = divergence(laws[1], problem.posterior(times[1]))
        assert np.isclose(found.to_marginal[1], direct, rtol=1e-9)
        assert found.to_marginal.shape == found.to_posterior.shape == (2,)


def test_early_stopping_refuses_a_law_too_few():
    problem = single()
    with pytest.raises(InputError, match="1 laws and 2 times"):
        early_stopping([line(PRIOR)], problem, jnp.asarray([0.3, 0.1]), w2)


def test_a_cut_leaves_the_mass_that_it_is_asked_to():
    """e^-x has a tenth beyond log 10; nodes are the middles of cells of .05."""
    x = 0.025 + 0.05 * jnp.arange(400.0)
    cut = failures._density_cut(-x, jnp.full(400, 0.05), 0.1)
    # Half a node less or more moves it by .025.
    assert float(-cut) == pytest.approx(np.log(10.0), abs=2e-3)
