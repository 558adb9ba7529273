"""Posteriors against importance sampling, quadrature and direct sums; measurements."""

import re
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import norm

import gmm_testbed as gt

from .oracles import numpy_mixture as ref
from .oracles.library import (
    posterior_and_evidence,
    scales,
    to_mixture,
    to_problem,
)
from .oracles.problems import LINE, SPACE

PATH = gt.VP()


@eqx.filter_jit
def _reference(target, x, t):
    return {
        "log_likelihood": target.log_likelihood(x, t),
        "gradient": jax.grad(target.log_likelihood)(x, t),
        "guidance": target.guidance(x, t),
        "posterior_mean": target.posterior_mean(x, t),
        "posterior_covariance": target.posterior_covariance(x, t),
        "reference_error": target.reference_error(x, t),
    }


# --- linear measurements ------------------------------------------------------------


@pytest.mark.float32
def test_posterior_moments_agree_with_importance_sampling(tolerance):
    """Self-normalised, with prior samples and weights computed in NumPy."""
    rng = np.random.default_rng(11)
    weights, means, covariances = np.exp(SPACE.prior.log_weights), *SPACE.prior[1:]
    labels = rng.choice(len(weights), size=50_000, p=weights)
    roots = np.linalg.cholesky(covariances)[labels]
    noise = rng.normal(size=(len(labels), 3))
    samples = means[labels] + np.einsum("nij,nj->ni", roots, noise)
    residual = SPACE.y - samples @ SPACE.A.T
    square = np.einsum("ni,ij,nj->n", residual, np.linalg.inv(SPACE.R), residual)
    density = np.exp(-0.5 * square) / np.sqrt(np.linalg.det(2 * np.pi * SPACE.R))

    posterior, log_evidence = posterior_and_evidence(to_problem(SPACE))
    centred = samples - np.asarray(posterior.mean(), np.float64)
    products = (centred[:, :, None] * centred[:, None, :]).reshape(-1, 9)
    expected = np.asarray(posterior.covariance(), np.float64).reshape(9)
    effective = density.sum() ** 2 / (density**2).sum()
    assert effective > 1000
    for values in (centred, products - expected):
        # Delta method: the weighted mean is zero, so its error is that of w * value.
        error = np.sqrt(((density[:, None] * values) ** 2).sum(axis=0)) / density.sum()
        estimate = density @ values / density.sum()
        assert np.all(np.abs(estimate) < tolerance.z * error)

    evidence = np.exp(float(log_evidence))
    error = density.std(ddof=1) / np.sqrt(len(density))
    assert abs(density.mean() - evidence) < tolerance.z * error


def test_posterior_on_the_line_agrees_with_quadrature():
    posterior, log_evidence = posterior_and_evidence(to_problem(LINE))

    def joint(z, power=0):
        z = np.array([z])
        log_joint = ref.log_prob(LINE.prior, z)
        log_joint += ref.log_normal(LINE.y, LINE.A @ z, LINE.R)
        return z[0] ** power * np.exp(log_joint)

    def integral(power):
        options = {"limit": 400, "epsabs": 1e-13, "epsrel": 1e-12}
        return quad(joint, -15, 15, (power,), **options)[0]

    total, first, second = (integral(power) for power in range(3))
    assert_allclose(log_evidence, np.log(total), rtol=1e-8)
    assert_allclose(posterior.mean(), [first / total], rtol=1e-8)
    variance = second / total - (first / total) ** 2
    assert_allclose(posterior.covariance(), [[variance]], rtol=1e-8)
    points = np.array([-1.3, 0.2, 1.1])
    log_prob = eqx.filter_jit(eqx.filter_vmap(posterior.log_prob))
    density = jnp.exp(log_prob(jnp.asarray(points[:, None])))
    assert_allclose(density, [joint(z) / total for z in points], rtol=1e-8)


@eqx.filter_jit
def _with_offset(prior, A, R, b, y):
    return gt.Target(gt.InverseProblem(prior, gt.Linear(A, R, b), y), PATH)


def test_offset_of_a_linear_measurement_shifts_the_observation():
    prior, A, R, y = to_mixture(SPACE.prior), *SPACE[1:]
    b = np.array([0.7, -1.2])
    shifted, plain = (
        _with_offset(prior, *map(jnp.asarray, (A, R, offset, y + offset)))
        for offset in (b, 0 * b)
    )
    truth = ref.posterior(SPACE)
    for target in (shifted, plain):
        posterior, evidence = posterior_and_evidence(target.problem)
        assert_allclose(posterior.means, truth.means, rtol=1e-9)
        assert_allclose(evidence, ref.log_evidence(*SPACE), rtol=1e-9)
    x, t = jnp.asarray([0.3, -0.4, 0.8]), jnp.asarray(0.4)
    one, other = (_reference(target, x, t) for target in (shifted, plain))
    for name in ("guidance", "log_likelihood", "posterior_mean"):
        assert_allclose(one[name], other[name], rtol=1e-10)


# --- empirical priors ---------------------------------------------------------------

ATOMS = np.random.default_rng(8).normal(size=(40, 3))
ATOM_WEIGHTS = np.arange(1.0, 41.0) / np.arange(1.0, 41.0).sum()
NOISE = np.array([[0.3, 0.1], [0.1, 0.5]])
SEEN = np.array([0.7, 0.4])


def _range_and_product(x):
    return jnp.stack([jnp.sqrt(1.0 + x[0] ** 2 + x[1] ** 2), x[1] * x[2]])


def _atomic_problem():
    """The last three atoms repeat the first three, so their weights add up."""
    atoms = np.concatenate([ATOMS, ATOMS[:3]])
    weights = np.concatenate([ATOM_WEIGHTS, [0.0, 0.0, 0.0]])
    weights[:3] /= 4
    weights[-3:] = 3 * weights[:3]
    prior = gt.GaussianMixture.empirical(jnp.asarray(atoms), jnp.asarray(weights))
    measurement = gt.Nonlinear(_range_and_product, jnp.asarray(NOISE), 2)
    return gt.InverseProblem(prior, measurement, jnp.asarray(SEEN))


def _atom_log_factors():
    a, b, c = ATOMS.T
    images = np.stack([np.sqrt(1 + a**2 + b**2), b * c], axis=1)
    return np.array([ref.log_normal(SEEN, image, NOISE) for image in images])


def test_posterior_of_atoms_reweights_them_by_the_likelihood():
    posterior, evidence = posterior_and_evidence(_atomic_problem())
    joint = ATOM_WEIGHTS * np.exp(_atom_log_factors())
    assert posterior.num_components == 40
    assert_allclose(posterior.means, ATOMS, rtol=1e-12)
    weights = np.exp(np.asarray(posterior.log_weights))
    assert_allclose(weights, joint / joint.sum(), rtol=1e-10)
    assert_allclose(evidence, np.log(joint.sum()), rtol=1e-10)


@pytest.mark.slow
def test_target_of_atoms_is_a_direct_sum_over_them():
    target, x, t = gt.Target(_atomic_problem(), PATH), np.array([0.3, -0.2, 0.9]), 0.3
    alpha, sigma = scales(PATH, jnp.asarray(t))
    log_prior = np.log(ATOM_WEIGHTS)
    log_prior -= ((x - alpha * ATOMS) ** 2).sum(axis=1) / (2 * sigma**2)
    log_post = log_prior + _atom_log_factors()
    prior, post = (np.exp(log - log.max()) for log in (log_prior, log_post))
    prior, post = prior / prior.sum(), post / post.sum()
    m, m_y = prior @ ATOMS, post @ ATOMS
    C_y = (ATOMS - m_y).T @ (post[:, None] * (ATOMS - m_y))

    state = jnp.asarray(x), jnp.asarray(t)
    mine = _reference(target, *state)
    likelihood = np.log(prior @ np.exp(_atom_log_factors()))
    assert_allclose(target.prior_mean(*state), m, rtol=1e-9)
    assert_allclose(mine["posterior_mean"], m_y, rtol=1e-9)
    assert_allclose(mine["posterior_covariance"], C_y, rtol=1e-9)
    assert_allclose(mine["log_likelihood"], likelihood, rtol=1e-9)
    guidance = alpha / sigma**2 * (m_y - m)
    assert_allclose(mine["guidance"], guidance, rtol=1e-9)
    assert_allclose(mine["gradient"], guidance, rtol=1e-9)
    assert mine["reference_error"] == 0
    marginal = target.posterior(state[1])
    log_prob = np.log(np.sum(np.exp(log_post))) - 3 * np.log(sigma * np.sqrt(2 * np.pi))
    log_prob -= float(posterior_and_evidence(target.problem)[1])
    assert_allclose(marginal.log_prob(state[0]), log_prob, rtol=1e-9)


def test_one_atom_leaves_nothing_to_infer():
    prior = gt.GaussianMixture.empirical(jnp.asarray([[1.0, 2.0, 0.5]]))
    measurement = gt.Nonlinear(_range_and_product, jnp.asarray(NOISE), 2)
    target = gt.Target(gt.InverseProblem(prior, measurement, jnp.asarray(SEEN)), PATH)
    guidance = target.guidance(jnp.asarray([0.3, 0.1, -0.2]), jnp.asarray(0.5))
    assert np.all(np.asarray(guidance) == 0)


# --- nonlinear measurement of a prior with densities --------------------------------


def _bent(x):
    return jnp.stack([x[0] + 0.3 * x[0] ** 2, jnp.sin(2.0 * x[0])])


def _norm(x):
    return jnp.sqrt(1.0 + jnp.sum(x**2, keepdims=True))


def _bent_line(R, nodes=None):
    """Two curved measurements of a point on the line."""
    measurement = gt.Nonlinear(_bent, jnp.asarray(R), 2)
    prior, y = to_mixture(LINE.prior), jnp.asarray([0.5, 0.3])
    return gt.Target(gt.InverseProblem(prior, measurement, y), PATH, nodes=nodes)


def _line_moments(x, R, alpha, sigma):
    """log p(y | x_t), mean and variance of x0 given x_t and y, by SciPy."""
    law = ref.denoised(LINE.prior, np.array([x]), alpha, sigma)

    def integrand(z, power, centre):
        image = np.array([z + 0.3 * z**2, np.sin(2 * z)])
        log_joint = ref.log_prob(law, np.array([z]))
        log_joint += ref.log_normal(np.array([0.5, 0.3]), image, np.diag(R))
        return (z - centre) ** power * np.exp(log_joint)

    def integral(power, centre=0.0):
        options = {"limit": 400, "epsabs": 1e-13, "points": law.means[:, 0]}
        return quad(integrand, -8, 8, (power, centre), **options)[0]

    total = integral(0)
    mean = integral(1) / total
    return np.log(total), mean, integral(2, mean) / total


@pytest.mark.slow
def test_quadrature_reference_on_the_line_agrees_with_scipy(tolerance):
    R, x, t = [1.0, 0.8], 0.4, jnp.asarray(0.2)
    alpha, sigma = scales(PATH, t)
    log_likelihood, mean, variance = _line_moments(x, R, alpha, sigma)
    mine = _reference(_bent_line(R, 64), jnp.asarray([x]), t)
    rtol = tolerance.quadrature
    assert_allclose(mine["log_likelihood"], log_likelihood, rtol)
    assert_allclose(mine["posterior_mean"], [mean], rtol)
    assert_allclose(mine["posterior_covariance"], [[variance]], rtol)
    prior_mean = ref.mean(ref.denoised(LINE.prior, np.array([x]), alpha, sigma))
    guidance = alpha / sigma**2 * (mean - prior_mean)
    assert_allclose(mine["guidance"], guidance, rtol)
    assert_allclose(mine["gradient"], guidance, rtol)
    assert mine["reference_error"] < 1e-6


def _rule_moments(x, R, alpha, sigma, nodes, reach):
    """Mean and variance of x0 given x_t and y by the trapezoidal rule, in NumPy."""
    law = ref.denoised(LINE.prior, np.array([x]), alpha, sigma)
    z = np.linspace(-reach, reach, nodes)
    scales = np.sqrt(law.covariances[:, 0])
    points = (law.means + scales * z).ravel()
    heights = np.exp(-0.5 * z**2) / np.exp(-0.5 * z**2).sum()
    weights = np.outer(np.exp(law.log_weights), heights).ravel()
    for point, y, variance in zip(
        (points + 0.3 * points**2, np.sin(2 * points)), (0.5, 0.3), R, strict=True
    ):
        weights = weights * norm.pdf(y, point, np.sqrt(variance))
    mean = weights @ points / weights.sum()
    return mean, weights @ (points - mean) ** 2 / weights.sum()


@pytest.mark.slow
def test_reported_error_of_the_reference_is_its_true_error():
    """A measurement narrower than the nodes are apart: a large error, and known.

    It is the change from 32 nodes to 64, to the error that these leave.
    """
    R, x, t = [0.3, 0.2], 0.4, jnp.asarray(0.35)
    at = x, R, *scales(PATH, t)
    with pytest.warns(UserWarning, match="32 nodes a dimension") as told:
        target = _bent_line(R, 32)
    prior = 0.0, R, 1.0, 1e9  # without a signal: an x_t that says nothing
    (mean, _), (finer, variance) = (
        _rule_moments(*prior, *rule) for rule in ((32, 10.0), (64, 12.5))
    )
    moved = re.search(r"by (\S+) standard deviations", str(told[0].message))[1]
    assert_allclose(float(moved), abs(finer - mean) / np.sqrt(variance), rtol=0.06)
    mine = _reference(target, jnp.asarray([x]), t)
    coarse, fine = _rule_moments(*at, 32, 10.0)[0], _rule_moments(*at, 64, 12.5)[0]
    assert_allclose(mine["posterior_mean"], [coarse], rtol=1e-9)
    assert_allclose(mine["reference_error"], abs(fine - coarse), rtol=1e-9)
    exact = _line_moments(*at)[1]
    error, left = abs(coarse - exact), abs(fine - exact)
    assert left < 0.1 * error and error > 1e-3


@pytest.mark.parametrize("x, t", [(0.4, 1.0), (-1.0, 0.35)])
@pytest.mark.slow
def test_narrow_measurements_are_resolved_by_the_nodes_there_are(x, t, tolerance):
    R, t = [0.1, 0.1], jnp.asarray(t)
    _, mean, variance = _line_moments(x, R, *scales(PATH, t))
    mine = _reference(_bent_line(R), jnp.asarray([x]), t)
    rtol = tolerance.quadrature
    assert_allclose(mine["posterior_mean"], [mean], rtol)
    assert_allclose(mine["posterior_covariance"], [[variance]], rtol)
    assert mine["reference_error"] < 1e-9


@pytest.mark.slow
def test_nodes_are_those_of_the_trapezoidal_rule():
    """103 of them, as far apart at the centre as 256 of Gauss and Hermite."""
    likelihood = _bent_line([1.0, 0.8], 103).likelihood
    points = np.linspace(-10.0, 10.0, 103)
    assert_allclose(likelihood.nodes[:, 0], points, rtol=1e-12, atol=1e-12)
    logs = norm.logpdf(points)
    logs -= np.log(np.exp(logs).sum())
    assert_allclose(likelihood.log_node_weights, logs, rtol=1e-12)
    theirs = np.polynomial.hermite_e.hermegauss(256)[0]
    assert_allclose(np.diff(theirs).min(), points[1] - points[0], rtol=2e-3)


@pytest.mark.slow
def test_a_posterior_too_narrow_for_the_nodes_is_told_and_cured_by_more():
    R = [0.01, 0.01]
    with pytest.warns(UserWarning, match="nodes=") as told:
        _bent_line(R)
    assert "256 nodes a dimension" in str(told[0].message)
    assert told[0].filename == __file__  # where the target was made
    x, t = jnp.asarray([0.4]), jnp.asarray(1.0)
    _, mean, _ = _line_moments(0.4, R, *scales(PATH, t))
    found = _bent_line(R, 1024).posterior_mean(x, t)
    assert_allclose(found, [mean], 1e-8)


@pytest.mark.slow
def test_modes_in_balance_do_not_hide_that_they_are_not_resolved():
    """The mean of x^2 = 1 is zero for any symmetric nodes: the evidence tells."""
    prior = gt.GaussianMixture.isotropic([1.0], [[0.0]], 1.0)
    problem = gt.InverseProblem(prior, gt.Nonlinear(jnp.square, 1e-4, 1), [1.0])
    with pytest.warns(UserWarning, match="log p"):
        gt.Target(problem, PATH)


@pytest.mark.slow
def test_far_in_the_tail_of_the_prior_the_nodes_end_and_that_is_told():
    prior = gt.GaussianMixture.isotropic([1.0], [[0.0]], 1.0)
    seen = gt.Nonlinear(lambda x: x + 0.0, 1e-3, 1)
    near, far = (gt.InverseProblem(prior, seen, [y]) for y in (7.0, 15.0))
    known = gt.InverseProblem(prior, gt.Linear([[1.0]], 1e-3), [7.0]).posterior()
    found = gt.Target(near, PATH, nodes=2048).likelihood.posterior_moments(prior)
    assert_allclose(found[0], known.mean(), 1e-9)
    with pytest.warns(UserWarning, match="nodes"):
        gt.Target(far, PATH, nodes=2048)


@pytest.mark.slow
def test_quadrature_reference_in_the_plane_agrees_with_a_fine_grid(tolerance):
    """The trapezoidal rule on a plane with all the mass is spectrally accurate."""
    covariances = [[[0.5, 0.2], [0.2, 0.3]], [[0.3, -0.1], [-0.1, 0.6]]]
    prior = ref.mixture([0.35, 0.65], [[0.5, -0.2], [-0.6, 0.9]], covariances)
    measurement = gt.Nonlinear(_norm, jnp.asarray(0.1), 1)
    target = gt.Target(
        gt.InverseProblem(to_mixture(prior), measurement, jnp.asarray([1.5])), PATH
    )
    x, t = np.array([0.2, 0.6]), jnp.asarray(0.4)
    law = ref.denoised(prior, x, *scales(PATH, t))

    axis = np.linspace(-6, 6, 601)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.zeros(len(points))
    for log_weight, mean, covariance in zip(*law, strict=True):
        offset = points - mean
        square = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(covariance), offset)
        scale = 2 * np.pi * np.sqrt(np.linalg.det(covariance))
        density += np.exp(log_weight - 0.5 * square) / scale
    misfit = 1.5 - np.sqrt(1 + (points**2).sum(axis=1))
    joint = density * np.exp(-0.5 * misfit**2 / 0.1) / np.sqrt(2 * np.pi * 0.1)
    total = joint.sum() * (axis[1] - axis[0]) ** 2
    mean = joint @ points / joint.sum()
    covariance = (joint[:, None] * (points - mean)).T @ (points - mean) / joint.sum()

    mine = _reference(target, jnp.asarray(x), t)
    assert_allclose(mine["log_likelihood"], np.log(total), tolerance.quadrature)
    assert_allclose(mine["posterior_mean"], mean, tolerance.quadrature)
    assert_allclose(mine["posterior_covariance"], covariance, 10 * tolerance.quadrature)
    assert_allclose(mine["gradient"], mine["guidance"], 10 * tolerance.quadrature)


# --- what has no reference ----------------------------------------------------------


@pytest.mark.slow
def test_posterior_of_a_nonlinear_measurement_is_refused_with_the_references():
    target = _bent_line([0.3, 0.2])
    for ask in (
        target.problem.posterior,
        target.problem.log_evidence,
        lambda: target.posterior(jnp.asarray(0.5)),
    ):
        with pytest.raises(gt.UnsupportedError, match="not a mixture") as caught:
            ask()
        assert "empirical" in str(caught.value)
        assert "quadrature" in str(caught.value)


def test_no_target_beyond_the_plane_for_a_nonlinear_measurement():
    measurement = gt.Nonlinear(_norm, jnp.asarray(0.1), 1)
    problem = gt.InverseProblem(
        to_mixture(SPACE.prior), measurement, jnp.asarray([1.5])
    )
    with pytest.raises(gt.UnsupportedError, match="dimension 3") as caught:
        gt.Target(problem, PATH)
    assert "empirical" in str(caught.value)


# --- measurements -------------------------------------------------------------------


def test_inpainting_picks_coordinates():
    measurement = gt.inpainting([3, 1], 4, 0.5)
    x = jnp.asarray([1.0, 2.0, 4.0, 8.0])
    assert_allclose(measurement.apply(x), [8, 2])
    assert_allclose(measurement.R, 0.5 * np.eye(2))
    assert measurement.dim_y == 2


def test_downsampling_averages_blocks():
    measurement = gt.downsampling(2, 6, 0.1)
    x = jnp.asarray([1.0, 3.0, 5.0, 6.0, -1.0, 2.0])
    assert_allclose(measurement.apply(x), [2, 5.5, 0.5])


def test_blur_is_a_centred_circular_convolution():
    kernel = np.array([0.5, 0.3, 0.2])
    measurement = gt.blur(kernel, 5, 0.1)
    x = np.array([1.0, -2.0, 4.0, 0.5, 3.0])
    truth = [sum(kernel[1 + j] * x[(i - j) % 5] for j in (-1, 0, 1)) for i in range(5)]
    assert_allclose(measurement.apply(jnp.asarray(x)), truth, rtol=1e-12)


def test_random_projection_has_entries_of_variance_one_over_d(key, tolerance):
    A = np.asarray(gt.random_projection(key, 40, 100, 0.1).A)
    assert A.shape == (40, 100)
    for values, truth in ((A, 0.0), (A**2, 0.01)):
        error = values.std(ddof=1) / np.sqrt(values.size)
        assert abs(values.mean() - truth) < tolerance.z * error


@pytest.mark.parametrize("R", [0.3, [0.3, 0.7], [[0.3, 0.1], [0.1, 0.7]]])
def test_noise_is_a_variance_variances_or_a_covariance(R):
    full = np.asarray(R) if np.ndim(R) == 2 else np.diag(np.broadcast_to(R, 2))
    measurement = gt.Linear(SPACE.A, np.asarray(R))
    assert_allclose(measurement.R, full, rtol=1e-12)
    x = np.array([0.2, -0.3, 1.0])
    truth = ref.log_normal(SPACE.y, SPACE.A @ x, full)
    value = measurement.log_prob(jnp.asarray(SPACE.y), jnp.asarray(x))
    assert_allclose(value, truth, rtol=1e-10)


@pytest.mark.parametrize("kind", ["linear", "nonlinear"])
def test_derivatives_of_a_measurement(kind):
    if kind == "linear":
        measurement = gt.Linear(SPACE.A, SPACE.R, np.array([0.3, 0.1]))
        H = SPACE.A
    else:
        measurement = gt.Nonlinear(_range_and_product, jnp.asarray(SPACE.R), 2)
        norm = np.sqrt(1 + 0.2**2 + 0.3**2)
        H = np.array([[0.2 / norm, -0.3 / norm, 0], [0, 1.0, -0.3]])
    x, v = jnp.asarray([0.2, -0.3, 1.0]), jnp.asarray([0.4, -1.5])
    y = jnp.asarray(SPACE.y)
    residual = SPACE.y - np.asarray(measurement.apply(x))
    assert_allclose(measurement.jacobian(x), H, rtol=1e-12, atol=1e-15)
    assert_allclose(measurement.pullback(x, v), H.T @ np.asarray(v), rtol=1e-12)
    truth = H.T @ np.linalg.solve(SPACE.R, residual)
    assert_allclose(measurement.misfit_gradient(y, x), truth, rtol=1e-10)
    assert_allclose(jax.grad(measurement.log_prob, 1)(y, x), truth, rtol=1e-10)


def test_observations_have_the_mean_and_covariance_of_the_measurement(key, tolerance):
    measurement = gt.Linear(SPACE.A, SPACE.R, np.array([0.3, 0.1]))
    x = jnp.asarray([0.2, -0.3, 1.0])
    draws = jax.vmap(lambda key: measurement.sample(key, x))(
        jax.random.split(key, 5000)
    )
    centred = np.asarray(draws) - (SPACE.A @ np.asarray(x) + [0.3, 0.1])
    products = (centred[:, :, None] * centred[:, None, :] - SPACE.R).reshape(-1, 4)
    for values in (centred, products):
        error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        assert np.all(np.abs(values.mean(axis=0)) < tolerance.z * error)


def test_no_guidance_follows_from_a_mean_without_noise():
    """At sigma = 0 the formula is 0 / 0; the limit at t = 1e-6 is I8."""
    target = gt.problems.get("two-modes")
    x = jnp.asarray([0.3])
    for guide in (target.guidance, partial(gt.approximations.DPS().guidance, target)):
        with pytest.raises(gt.InputError, match="without noise"):
            guide(x, jnp.asarray(0.0))
    measurement, y = target.problem.measurement, target.problem.y
    limit = measurement.A.T @ (y - measurement.A @ x) / measurement.R[0, 0]
    np.testing.assert_allclose(target.guidance(x, jnp.asarray(1e-6)), limit, rtol=1e-5)
