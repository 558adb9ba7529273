"""DDRM against its formulas in full singular vectors, by NumPy and SciPy."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import sqrtm
from scipy.stats import multivariate_normal

import gmm_testbed as gt

from .oracles import numpy_mixture as ref
from .oracles.library import scales, to_target
from .oracles.moments import affine_law, assert_moments
from .oracles.problems import generic, one_gaussian

PATH = gt.VP()
ETA = 0.6
X = np.array([0.4, -0.7, 0.2])


def _wide():
    """Singular values on both sides of 1 / u: 4.7, 0.36, and one direction unseen."""
    problem = generic(3, 2, 2)
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    A = np.diag([2.0, 0.15]) @ rotation[:2]
    return problem._replace(A=A, R=0.18 * np.eye(2) + 0.02)


WIDE = _wide()
SINGULAR = WIDE._replace(A=np.outer([1.0, -0.5], [0.3, 1.0, -2.0]))
TALL = generic(3, 5, 2)
BLIND = WIDE._replace(A=np.zeros((2, 3)))
CASES = {"wide": WIDE, "singular": SINGULAR, "tall": TALL, "blind": BLIND}


def _spectral(problem):
    """All d right vectors, singular values (d,) and ybar (d,), by a symmetric whitener."""
    whitener = np.linalg.inv(sqrtm(problem.R))
    U, s, Vt = np.linalg.svd(whitener @ problem.A)
    values, ybar, observed = np.zeros(3), np.zeros(3), U.T @ whitener @ problem.y
    for i in np.flatnonzero(s > 1e-12):
        values[i], ybar[i] = s[i], observed[i] / s[i]
    return Vt, values, ybar


def _step(problem, eta, eta_b, x, alpha_t, sigma_t, alpha_s, sigma_s):
    """Mean and covariance, coordinate by coordinate in z = x / alpha as published."""
    Vt, singular, ybar = _spectral(problem)
    m = ref.prior_mean(problem, x, alpha_t, sigma_t)
    eps = (x - alpha_t * m) / sigma_t
    u = sigma_s / alpha_s
    mean, variance = np.zeros(3), np.zeros(3)
    for i, (v, s) in enumerate(zip(Vt, singular, strict=True)):
        keep = np.sqrt(1 - eta**2)
        if s == 0:
            mean[i], variance[i] = v @ m + keep * u * (v @ eps), (eta * u) ** 2
        elif u < 1 / s:
            pull = (ybar[i] - v @ m) / (1 / s)
            mean[i], variance[i] = v @ m + keep * u * pull, (eta * u) ** 2
        else:
            mean[i] = (1 - eta_b) * (v @ m) + eta_b * ybar[i]
            variance[i] = u**2 - (eta_b / s) ** 2
    return alpha_s * Vt.T @ mean, alpha_s**2 * Vt.T @ np.diag(variance) @ Vt


def _start(problem, alpha, sigma):
    Vt, singular, ybar = _spectral(problem)
    known = singular * sigma / alpha > 1
    variance = np.full(3, (sigma / alpha) ** 2)
    variance[known] -= 1 / singular[known] ** 2
    mean = alpha * Vt.T @ np.where(known, ybar, 0.0)
    return mean, alpha**2 * Vt.T @ np.diag(variance) @ Vt


@eqx.filter_jit
def _laws(method, target, x, t, s, point):
    """Of the step and of the start: mean, covariance and log-density at a point."""
    laws = method.transition(target, x, t, s), method.start(target, t)
    return [(law.mean, law.covariance(), law.log_prob(point)) for law in laws]


def _times(t, s):
    return jnp.asarray(t), jnp.asarray(s)


@pytest.mark.parametrize("name", CASES)
def test_step_and_start_are_those_of_the_formulas(name, tolerance):
    problem, eta_b, point = CASES[name], 0.7, np.array([0.1, 0.5, -0.9])
    target = to_target(problem, PATH)
    method = gt.algorithms.DDRM(ETA, eta_b)
    t, s = _times(0.5, 0.35)
    found = _laws(method, target, jnp.asarray(X), t, s, jnp.asarray(point))
    step = (*scales(PATH, t), *scales(PATH, s))
    expected = _step(problem, ETA, eta_b, X, *step), _start(problem, *step[:2])
    rtol = 100 * tolerance.identity
    for (mean, covariance, log_prob), law in zip(found, expected, strict=True):
        assert_allclose(mean, law[0], rtol=rtol, atol=rtol)
        assert_allclose(covariance, law[1], rtol=rtol, atol=rtol)
        assert_allclose(log_prob, multivariate_normal(*law).logpdf(point), rtol=rtol)


def test_every_branch_is_asked():
    t, s = _times(0.5, 0.35)
    level = np.divide(*scales(PATH, s)[::-1])
    above = {name: _spectral(case)[1] * level for name, case in CASES.items()}
    assert (above["wide"] > 1).any() and (above["wide"] < 1).any()
    assert (above["wide"] == 0).sum() == 1 and (above["singular"] == 0).sum() == 2
    assert (above["blind"] == 0).all() and (above["tall"] > 0).all()


def test_without_a_measurement_it_is_the_prior_with_fresh_noise(tolerance):
    t, s = _times(0.5, 0.35)
    (mean, covariance, _), _ = _laws(
        gt.algorithms.DDRM(ETA), to_target(BLIND, PATH), jnp.asarray(X), t, s, X
    )
    (alpha_t, sigma_t), (alpha_s, sigma_s) = scales(PATH, t), scales(PATH, s)
    m = ref.prior_mean(BLIND, X, alpha_t, sigma_t)
    noise = (X - alpha_t * m) / sigma_t
    expected = alpha_s * m + np.sqrt(1 - ETA**2) * sigma_s * noise
    assert_allclose(mean, expected, rtol=tolerance.identity)
    variance = (ETA * sigma_s) ** 2 * np.eye(3)
    assert_allclose(covariance, variance, atol=tolerance.identity)


def test_with_full_trust_it_is_ddnm_plus(tolerance):
    r"""\(\lambda_i\) = 1 above the noise of y, else its ratio; P5 of the DDNM paper."""
    t, s = _times(0.5, 0.35)
    (mean, _, _), _ = _laws(
        gt.algorithms.DDRM(ETA), to_target(WIDE, PATH), jnp.asarray(X), t, s, X
    )
    (alpha_t, sigma_t), (alpha_s, sigma_s) = scales(PATH, t), scales(PATH, s)
    Vt, singular, ybar = _spectral(WIDE)
    m = ref.prior_mean(WIDE, X, alpha_t, sigma_t)
    noise = Vt @ (X - alpha_t * m) / sigma_t
    ratio = singular * sigma_s * np.sqrt(1 - ETA**2) / alpha_s
    trust = np.where(sigma_s * singular >= alpha_s, 1.0, ratio)
    inside = Vt @ m + trust * (ybar - Vt @ m)
    kept = np.where(singular == 0, sigma_s * np.sqrt(1 - ETA**2) * noise, 0.0)
    expected = Vt.T @ (alpha_s * inside + kept)
    assert_allclose(mean, expected, rtol=100 * tolerance.identity)


@pytest.mark.slow
def test_samples_have_the_moments_of_the_recursion(key, tolerance):
    """From its own start, for one Gaussian."""
    problem = one_gaussian()
    times = np.array([0.9, 0.6, 0.35, 0.15, 0.05])
    method, target = gt.algorithms.DDRM(ETA, 0.7), to_target(problem, PATH)

    def transition(x, *step):
        return _step(problem, ETA, 0.7, x, *step)

    start = _start(problem, *scales(PATH, jnp.asarray(times[0])))
    mean, covariance = affine_law(PATH, times, start, transition)
    law = gt.laws.affine(method, target, jnp.asarray(times))
    assert_allclose(law.mean(), mean, rtol=1e3 * tolerance.identity)
    assert_allclose(law.covariance(), covariance, atol=1e3 * tolerance.identity)
    out = gt.sample(key, method, target, jnp.asarray(times), 4000)
    assert_moments(out.x, mean, covariance, tolerance.z)


def test_a_start_without_signal_is_standard(tolerance):
    """Where alpha is 0 the observation says nothing of x."""
    law = gt.algorithms.DDRM().start(to_target(WIDE, gt.Rectified()), jnp.asarray(1.0))
    assert_allclose(law.mean, np.zeros(3))
    assert_allclose(law.covariance(), np.eye(3), atol=tolerance.identity)


@pytest.mark.parametrize("name", ["eta", "eta_b"])
def test_shares_are_shares(name):
    with pytest.raises(gt.InputError, match=name):
        gt.algorithms.DDRM(**{name: 1.2})


def test_a_nonlinear_measurement_is_refused(key):
    prior = gt.GaussianMixture.empirical(jnp.asarray([[0.3], [-1.0]]))
    problem = gt.InverseProblem(prior, gt.Nonlinear(jnp.sin, 0.1, 1), [0.2])
    target = gt.Target(problem, PATH)
    with pytest.raises(gt.UnsupportedError, match="linear"):
        gt.sample(key, gt.algorithms.DDRM(), target, jnp.asarray([0.9, 0.1]), 4)
