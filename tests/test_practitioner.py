"""Metrics of practice at values that are known: by hand, by NumPy, in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg

import gmm_testbed as gt
from gmm_testbed import diagnostics as seen
from gmm_testbed.sampling.sample_set import SampleInfo

from .oracles import numpy_mixture as oracle
from .oracles.library import to_problem
from .oracles.problems import SPACE

COUNT, DIM = 40, 3
TRUTH = np.array([0.4, -0.2, 0.9])


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(3)
    return jnp.asarray(TRUTH + [0.3, -0.1, 0.2] + rng.standard_normal((COUNT, DIM)))


@pytest.fixture(scope="module")
def problem():
    return to_problem(SPACE)


def close(estimate, terms):
    """Whether it is the mean of these terms, with its standard error."""
    assert np.isclose(estimate.value, np.mean(terms), rtol=1e-10)
    error = np.std(terms, ddof=1) / np.sqrt(len(terms))
    assert np.isclose(estimate.stderr, error, rtol=1e-10)


def test_psnr_is_twenty_decibel_at_a_tenth_of_the_peak():
    off = np.full((2, 5), 0.3)
    off[1] = -0.3
    assert np.isclose(seen.psnr(off, np.zeros(5), 3.0).value, 20.0, rtol=1e-12)
    assert np.isclose(seen.psnr_of_mean(off + 0.2, np.zeros(5)).value, 20.0)


def test_psnr_of_samples_is_not_that_of_their_mean(samples):
    x = np.asarray(samples)
    terms = 10 * np.log10(4.0 / np.mean((x - TRUTH) ** 2, axis=1))
    close(seen.psnr(samples, TRUTH), terms)
    found = seen.psnr_of_mean(samples, TRUTH)

    def direct(x):
        return 10 * np.log10(4.0 / np.mean((x.mean(axis=0) - TRUTH) ** 2))

    assert np.isclose(found.value, direct(x), rtol=1e-10)
    step = 1e-5  # of the mean towards each sample, both ways
    towards = [direct(x + step * (point - x.mean(axis=0))) for point in x]
    away = [direct(x - step * (point - x.mean(axis=0))) for point in x]
    slopes = np.subtract(towards, away) / (2 * step)
    error = np.std(slopes, ddof=1) / np.sqrt(COUNT)
    assert np.isclose(found.stderr, error, rtol=1e-6)
    assert found.value > terms.mean() + 3.0


def test_residuals_and_densities_are_means_over_samples(samples, problem):
    x = np.asarray(samples)
    residual = np.asarray(problem.y) - x @ SPACE.A.T
    inverse = np.linalg.inv(SPACE.R)
    close(
        seen.residual_chi2(samples, problem),
        np.einsum("ni,ij,nj->n", residual, inverse, residual) / len(SPACE.y),
    )
    logs = [oracle.log_prob(SPACE.prior, point) for point in x]
    close(seen.log_density(samples, problem.prior), logs)


def test_the_residual_of_the_exact_posterior_is_not_one(problem, tolerance):
    posterior = oracle.posterior(SPACE)
    covariance = oracle.covariance(posterior)
    gap = SPACE.y - SPACE.A @ oracle.mean(posterior)
    spread = SPACE.A @ covariance @ SPACE.A.T + np.outer(gap, gap)
    exact = np.trace(np.linalg.solve(SPACE.R, spread)) / len(SPACE.y)
    rng = np.random.default_rng(9)
    log_weights, means, covariances = posterior
    draws = [
        rng.multivariate_normal(m, c, size)
        for m, c, size in zip(
            means, covariances, rng.multinomial(2000, np.exp(log_weights)), strict=True
        )
    ]
    found = seen.residual_chi2(np.concatenate(draws), problem)
    assert abs(found.distance(exact)) < tolerance.z
    assert abs(exact - 1.0) > 0.1


def test_variance_is_over_samples_and_averaged_over_coordinates(samples):
    found = seen.coordinate_variance(samples)
    x = np.asarray(samples)
    assert np.isclose(found.value, x.var(axis=0, ddof=1).mean(), rtol=1e-10)
    squares = np.mean((x - x.mean(axis=0)) ** 2, axis=1) * COUNT / (COUNT - 1)
    close(found, squares)


def test_frechet_distance_is_that_of_fid_codes(samples, problem):
    """Which take the root of a product, by SciPy, where ours is a norm."""
    prior = oracle.mean(SPACE.prior), oracle.covariance(SPACE.prior)
    x = np.asarray(samples)
    own = np.cov(x.T)
    expected = np.sum((x.mean(axis=0) - prior[0]) ** 2)
    expected += np.trace(own + prior[1] - 2 * linalg.sqrtm(own @ prior[1]).real)
    found = jax.jit(seen.frechet)(samples, problem.prior)
    assert np.isclose(found, expected, rtol=1e-9)


def test_separation_at_a_known_distance():
    exact = np.array([1.0, 2.0, 3.0, 4.0])  # mean 2.5, deviation sqrt(5/3)
    deviation = np.sqrt(5.0 / 3.0)
    found = seen.separation([7.5, 8.5], exact)
    z = 5.5 / deviation
    assert np.isclose(found.value, z, rtol=1e-12)
    variance = 0.5 / deviation**2 / 2 + 1 / 4 + z**2 / 6
    assert np.isclose(found.stderr, np.sqrt(variance), rtol=1e-12)
    alone = seen.separation(-3.0, exact)
    assert np.isclose(alone.value, -5.5 / deviation, rtol=1e-12)
    assert np.isclose(alone.stderr, np.sqrt(1 + 1 / 4 + z**2 / 6), rtol=1e-12)


def test_the_error_of_a_separation_is_its_spread():
    rng = np.random.default_rng(7)
    exact = rng.standard_normal((20_000, 60))
    values = 4.0 + 2.0 * rng.standard_normal((20_000, 5))
    z = (values.mean(axis=1) - exact.mean(axis=1)) / exact.std(axis=1, ddof=1)
    one = jax.vmap(lambda v, e: seen.separation(v, e).stderr)
    said = np.asarray(one(jnp.asarray(values), jnp.asarray(exact)))
    # Both to half a percent, and the formula to 1 / 60: it is of first order.
    assert np.isclose(np.sqrt(np.mean(said**2)), z.std(), rtol=0.02)


def test_what_is_no_set_of_samples_is_refused():
    with pytest.raises(gt.InputError, match="column"):
        seen.psnr(np.zeros(5), np.zeros(5))
    with pytest.raises(gt.InputError, match="too few"):
        seen.separation([1.0], [1.0, 2.0])


# --- weighted samples -----------------------------------------------------------------


@pytest.fixture(scope="module")
def weighted(samples):
    log_weights = 0.3 * np.random.default_rng(8).normal(size=COUNT)
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(samples), log_weights, weights / weights.sum()


def test_weights_count_in_every_metric(weighted, problem):
    """Against NumPy, term by term."""
    x, log_weights, w = weighted
    given = {"log_weights": log_weights}
    mean = w @ x
    covariance = (w[:, None] * (x - mean)).T @ (x - mean) / (1.0 - np.sum(w**2))
    squares = np.mean((x - TRUTH) ** 2, axis=1)
    residual = np.asarray(problem.y) - x @ SPACE.A.T
    inverse = np.linalg.inv(SPACE.R)
    chi2 = np.einsum("ni,ij,nj->n", residual, inverse, residual) / len(SPACE.y)
    logs = [oracle.log_prob(SPACE.prior, point) for point in x]
    posterior = problem.posterior()
    exact = np.asarray(posterior.mean()), np.asarray(posterior.covariance())
    cross = linalg.sqrtm(linalg.sqrtm(covariance) @ exact[1] @ linalg.sqrtm(covariance))
    distance = np.sum((mean - exact[0]) ** 2)
    distance += np.trace(covariance + exact[1] - 2.0 * cross.real)
    pairs = [
        (seen.psnr(x, TRUTH, **given), w @ (10 * np.log10(4.0 / squares))),
        (
            seen.psnr_of_mean(x, TRUTH, **given),
            10 * np.log10(4.0 / np.mean((mean - TRUTH) ** 2)),
        ),
        (seen.residual_chi2(x, problem, **given), w @ chi2),
        (seen.log_density(x, problem.prior, **given), w @ np.array(logs)),
        (seen.coordinate_variance(x, **given), np.trace(covariance) / DIM),
    ]
    for found, value in pairs:
        assert np.isclose(found.value, value, rtol=1e-10)
        assert found.stderr > 0
    found = seen.frechet(x, posterior, **given)
    assert np.isclose(found, distance, rtol=1e-9)


def test_a_set_of_samples_is_its_samples_and_weights(weighted, problem):
    x, log_weights, w = weighted
    info = SampleInfo(0, 1, None)
    logs = jnp.log(jnp.asarray(w))
    drawn = gt.SampleSet(jnp.asarray(x), logs, jnp.asarray(0.0), info)
    posterior = problem.posterior()
    for function, *rest in (
        (seen.psnr, TRUTH),
        (seen.psnr_of_mean, TRUTH),
        (seen.residual_chi2, problem),
        (seen.log_density, problem.prior),
        (seen.coordinate_variance,),
        (gt.divergences.mean_error, posterior),
        (gt.divergences.mmd_squared, posterior),
    ):
        found = function(drawn, *rest)
        other = function(x, *rest, log_weights=log_weights)
        np.testing.assert_allclose(found.value, other.value, rtol=1e-9)
        np.testing.assert_allclose(found.stderr, other.stderr, rtol=1e-9)
    assert np.isclose(
        seen.frechet(drawn, posterior),
        seen.frechet(x, posterior, log_weights=log_weights),
    )
    with pytest.raises(gt.InputError, match="weights of its own"):
        seen.psnr(drawn, TRUTH, log_weights=log_weights)


def test_a_particle_that_has_all_the_weight_is_all_that_counts():
    x = np.array([[0.0, 0.0], [0.3, 0.1], [0.1, -0.2], [0.2, 0.2]])
    truth, log_weights = np.array([1.0, 1.3]), np.array([0.0, -80.0, -80.0, -80.0])
    with pytest.warns(UserWarning, match="too uneven"):
        found = seen.psnr(x, truth, log_weights=log_weights)
    assert np.isclose(found.value, 10 * np.log10(4.0 / 1.345), rtol=1e-12)
    assert np.isnan(found.stderr)


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize(
    "truth", [np.zeros((1, 3)), np.zeros(()), np.zeros((4, 3)), np.zeros((3, 1))]
)
def test_a_truth_that_would_broadcast_is_refused(truth):
    for metric in (seen.psnr, seen.psnr_of_mean):
        with pytest.raises(gt.InputError, match="truth has the wrong shape"):
            metric(np.ones((4, 3)), truth)
