"""The path divergence and its parts, against direct quadrature and joint Gaussians."""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, optimize

import gmm_testbed as gt
from gmm_testbed.method import standard_start

OFFSET, RELATIVE, ETA = 0.3, -0.2, 0.7
Y, SLOPE, NOISE = 0.4, 1.3, 0.25  # y = 1.3 x + N(0, 0.25)
WEIGHTS, MEANS, VARIANCES = [0.35, 0.65], [-1.0, 1.4], [0.2, 0.45]
WRONG = [0.6, 0.4]


def _line(weights=WEIGHTS):
    prior = gt.GaussianMixture.isotropic(weights, np.array(MEANS)[:, None], VARIANCES)
    problem = gt.InverseProblem(prior, gt.Linear([[SLOPE]], NOISE), [Y])
    return gt.Target(problem, gt.VP())


@pytest.fixture(scope="module")
def line():
    return _line()


@pytest.fixture(scope="module")
def times():
    return gt.time_grid(gt.VP(), 9, "log_snr", t_max=0.9, t_min=0.02)


# --- an independent budget in NumPy ---------------------------------------------------


def _log_normal(x, mean, variance):
    return -0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance)


def _log_sum(terms):
    top = terms.max(axis=-1, keepdims=True)
    return (top + np.log(np.exp(terms - top).sum(axis=-1, keepdims=True)))[..., 0]


def _normalised(z):
    """Weights of the normal expectation at equally spaced points."""
    weight = np.exp(-0.5 * z**2)
    return weight / weight.sum()


def _posterior():
    w, m, v = (np.array(part) for part in (WEIGHTS, MEANS, VARIANCES))
    spread = SLOPE**2 * v + NOISE
    log_w = np.log(w) + _log_normal(Y, SLOPE * m, spread)
    gain = SLOPE * v / spread
    return log_w - _log_sum(log_w), m + gain * (Y - SLOPE * m), v * NOISE / spread


def _moments(x, log_w, m, v, alpha, sigma):
    """Mean and variance of X given alpha X + sigma eps = x, at points (n,)."""
    total = alpha**2 * v + sigma**2
    log_r = log_w + _log_normal(x[:, None], alpha * m, total)
    r = np.exp(log_r - _log_sum(log_r)[:, None])
    means = m + alpha * v / total * (x[:, None] - alpha * m)
    mean = (r * means).sum(axis=1)
    second = (r * (sigma**2 * v / total + means**2)).sum(axis=1)
    return mean, second - mean**2


def _fields(x, alpha, sigma):
    """DPS through a denoiser with two errors, DPS through the exact one, and the truth.

    The score is that of another prior, times 1 + RELATIVE, plus OFFSET; the covariance that
    the method sees is sigma^2 / alpha times the slope of the denoiser that this gives.
    """
    both = []
    for weights in (WRONG, WEIGHTS):
        prior = np.log(weights), np.array(MEANS), np.array(VARIANCES)
        m, C = _moments(x, *prior, alpha, sigma)
        if weights is WRONG:
            score = (alpha * m - x) / sigma**2
            m = m + sigma**2 / alpha * (RELATIVE * score + OFFSET)
            C = (1 + RELATIVE) * C - RELATIVE * sigma**2 / alpha**2
        both.append(m + C * SLOPE / NOISE * (Y - SLOPE * m))
    return *both, _moments(x, *_posterior(), alpha, sigma)[0]


def _ddim(x, clean, scales):
    (alpha, sigma), (alpha_s, sigma_s) = scales
    fresh = ETA**2 * (1 - (alpha * sigma_s / (alpha_s * sigma)) ** 2)
    kept = sigma_s * np.sqrt(1 - fresh) * (x - alpha * clean) / sigma
    return alpha_s * clean + kept, sigma_s**2 * fresh


def _perturbed_step(x, scales):
    """Log-weights (n, 1), means (n, 1) and variances of DDIM with the perturbed DPS."""
    mean, variance = _ddim(x, _fields(x, *scales[0])[0], scales)
    return np.zeros((1, 1)), mean[:, None], variance


def _direct(times, step=_perturbed_step):
    """E KL(p(x_s | x_t, y) || sampler's step) by two nested sums, for every step."""
    path, (log_w, m, v) = gt.VP(), _posterior()
    z = np.linspace(-9, 9, 181)
    weight = _normalised(z)
    found = []
    for t, s in zip(times[:-1], times[1:], strict=True):
        scales = [(float(path.alpha(u)), float(path.sigma(u))) for u in (t, s)]
        (alpha, sigma), (alpha_s, sigma_s) = scales
        at_t, at_s = alpha**2 * v + sigma**2, alpha_s**2 * v + sigma_s**2
        x = (alpha * m[:, None] + np.sqrt(at_t)[:, None] * z).ravel()
        mass = (np.exp(log_w)[:, None] * weight).ravel()
        a = alpha / alpha_s
        b = sigma**2 - a**2 * sigma_s**2
        log_r = log_w + _log_normal(x[:, None], alpha * m, at_t)
        log_r -= _log_sum(log_r)[:, None]
        means = alpha_s * m + a * at_s / at_t * (x[:, None] - alpha * m)
        variances = b * at_s / at_t
        nodes = means[..., None] + np.sqrt(variances)[:, None] * z  # (x, k, z)
        inner = np.exp(log_r)[..., None] * weight
        log_p = _log_sum(
            log_r[:, None, None]
            + _log_normal(nodes[..., None], means[:, None, None], variances)
        )
        log_v, mean, variance = step(x, scales)
        log_q = _log_sum(
            log_v[:, None, None]
            + _log_normal(nodes[..., None], mean[:, None, None], variance)
        )
        found.append(mass @ (inner * (log_p - log_q)).sum(axis=(1, 2)))
    return np.array(found)


# --- methods without a kernel ---------------------------------------------------------


def _jump(x, scales):
    """x0 from p(x0 | x_t, y), noised afresh: a Gaussian for each component."""
    (alpha, sigma), (alpha_s, sigma_s) = scales
    log_w, m, v = _posterior()
    total = alpha**2 * v + sigma**2
    log_r = log_w + _log_normal(x[:, None], alpha * m, total)
    log_r -= _log_sum(log_r)[:, None]
    means = m + alpha * v / total * (x[:, None] - alpha * m)
    return log_r, alpha_s * means, alpha_s**2 * sigma**2 * v / total + sigma_s**2


def _daps(x, scales):
    """N(E[x0 | x_t], r^2) given y, noised afresh."""
    (alpha, sigma), (alpha_s, sigma_s) = scales
    prior = np.log(WEIGHTS), np.array(MEANS), np.array(VARIANCES)
    m = _moments(x, *prior, alpha, sigma)[0]
    r2 = sigma**2 / (sigma**2 + alpha**2)
    variance = 1.0 / (1.0 / r2 + SLOPE**2 / NOISE)
    mean = variance * (m / r2 + SLOPE * Y / NOISE)
    spread = alpha_s**2 * variance + sigma_s**2
    return np.zeros((1, 1)), alpha_s * mean[:, None], spread


@pytest.mark.parametrize(
    "sampler, step",
    [(gt.algorithms.Jump(), _jump), (gt.algorithms.DAPS("mean", "snr"), _daps)],
)
def test_methods_without_a_kernel_by_direct_sums(line, times, key, sampler, step):
    found = gt.budget(key, sampler, line, times)
    assert found.total.how == "quadrature"
    assert_allclose(_steps(found), _direct(np.asarray(times), step), rtol=1e-8)
    assert np.all(np.asarray(found.score.value) == 0)
    mixture = sampler.facts.law == "mixture"
    assert np.all((np.asarray(found.discretisation.value) == 0) == mixture)


@pytest.mark.slow
def test_a_mixture_step_in_the_plane_adds_up_the_coordinates(line, times, key):
    """One coordinate is the line problem, the other one Gaussian without information."""
    means = np.stack([MEANS, [0.5, 0.5]], axis=1)
    variances = np.stack([VARIANCES, [1.7, 1.7]], axis=1)
    prior = gt.GaussianMixture.diagonal(WEIGHTS, means, variances)
    measurement = gt.Linear([[SLOPE, 0.0]], NOISE)
    plane = gt.Target(gt.InverseProblem(prior, measurement, [Y]), gt.VP())
    sampler = gt.algorithms.Jump()
    found = gt.budget(key, sampler, plane, times, 3000)
    other = gt.GaussianMixture.isotropic([1.0], [[0.5]], 1.7)
    blind = gt.InverseProblem(other, gt.Linear([[0.0]], NOISE), [Y])
    rest = gt.budget(key, sampler, gt.Target(blind, gt.VP()), times)
    exact = _direct(np.asarray(times), _jump) + np.asarray(rest.approximation.value)
    value, stderr = np.asarray(found.approximation.value), found.approximation.stderr
    assert np.all(np.abs(value - exact) < 4.5 * np.asarray(stderr))
    assert np.all(np.asarray(stderr) < 0.3 * exact)
    total = found.total.value - found.initialisation.value
    assert_allclose(total, value.sum(), rtol=1e-9)


@pytest.mark.slow
def test_the_exact_reverse_step_costs_nothing(line, times, key):
    found = gt.budget(key, Reverse(), line, times)
    assert np.abs(_steps(found)).max() < 1e-12


class Reverse(gt.AbstractMarkov):
    """The exact reverse step given y."""

    facts: ClassVar = gt.algorithms.Jump.facts

    start = standard_start

    def transition(self, target, x, t, s):
        return gt.Mixture(gt.reverse_kernel(target, x, t, s))


@pytest.mark.slow
def test_the_ratio_of_mixture_paths_has_mean_one(line, times, key):
    """E exp(log dP/dQ) = 1 under Q, and its log has the mean -KL(Q || P) < 0."""
    start = line.marginal(times[0])
    sampler = gt.algorithms.Jump()
    ratio = gt.path_log_ratio(key, sampler, line, times, 4000, initial=start)
    weights = np.exp(-np.asarray(ratio))
    stderr = weights.std() / np.sqrt(len(weights))
    assert abs(weights.mean() - 1.0) < 4.5 * stderr and stderr < 0.1
    assert float(jnp.mean(ratio)) > 0.01


@pytest.mark.parametrize(
    "sampler, reason",
    [
        (gt.algorithms.SplitGibbs(), "several legs"),
        (gt.algorithms.DAPS("sample"), "Implicit"),
    ],
)
def test_several_legs_and_implicit_steps_are_refused(line, times, key, sampler, reason):
    with pytest.raises(gt.UnsupportedError, match=reason):
        gt.budget(key, sampler, line, times)
    with pytest.raises(gt.UnsupportedError, match=reason):
        gt.path_log_ratio(key, sampler, line, times, 10)


def _perturbed(target):
    wrong = gt.denoisers.Prior(_line(WRONG).problem.prior)
    return target.seen_through(gt.denoisers.ScoreError(wrong, OFFSET, RELATIVE))


@pytest.fixture(scope="module")
def perturbed(line, times):
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDIM(ETA))
    return gt.budget(jax.random.key(0), sampler, _perturbed(line), times)


def _steps(found):
    parts = found.approximation, found.score, found.cross, found.discretisation
    return np.sum([np.asarray(part.value) for part in parts], axis=0)


def test_the_steps_sum_to_the_path_divergence(perturbed, times):
    assert_allclose(_steps(perturbed), _direct(np.asarray(times)), rtol=1e-8)
    assert perturbed.total.how == "quadrature" and perturbed.total.stderr == 0


def test_the_initial_term_is_a_divergence(perturbed, times):
    log_w, m, v = _posterior()
    alpha, sigma = (float(f(times[0])) for f in (gt.VP().alpha, gt.VP().sigma))

    def integrand(x):
        log_p = _log_sum(log_w + _log_normal(x, alpha * m, alpha**2 * v + sigma**2))
        return np.exp(log_p) * (log_p - _log_normal(x, 0.0, sigma**2))

    exact = integrate.quad(integrand, -12, 12, epsabs=1e-13, limit=200)[0]
    assert_allclose(perturbed.initialisation.value, exact, rtol=1e-8)
    total = exact + _steps(perturbed).sum()
    assert_allclose(perturbed.total.value, total, rtol=1e-9)


def test_the_parts_are_the_squares_of_the_errors(perturbed, times):
    """Score and approximation terms of the fourth step, and that the rest is left."""
    path, (log_w, m, v) = gt.VP(), _posterior()
    t, s = times[3], times[4]
    scales = [(float(path.alpha(u)), float(path.sigma(u))) for u in (t, s)]
    z = np.linspace(-9, 9, 401)
    alpha, sigma = scales[0]
    x = alpha * m[:, None] + np.sqrt(alpha**2 * v + sigma**2)[:, None] * z
    mass = (np.exp(log_w)[:, None] * _normalised(z)).ravel()
    moved = [_ddim(x.ravel(), f, scales)[0] for f in _fields(x.ravel(), alpha, sigma)]
    variance = _ddim(x.ravel(), 0.0, scales)[1]
    for part, error in (("score", 0), ("approximation", 1)):
        square = mass @ (moved[error] - moved[error + 1]) ** 2 / (2 * variance)
        assert_allclose(getattr(perturbed, part).value[3], square, rtol=1e-9)
    assert abs(float(perturbed.cross.value[3])) > 1e-3


class Widened(gt.kernels.AbstractKernel):
    """DDPM with its small variance times a factor."""

    factor: jax.Array

    facts: ClassVar = gt.kernels.DDPM().facts

    def transition(self, field, x, t, s):
        made = gt.kernels.DDPM().transition(field, x, t, s)
        return gt.gaussian.isotropic(made.mean, self.factor * made.root.base)


def test_the_best_variance_of_a_step(line, times, key):
    r"""1 + dsnr (mmse + E|M - m|^2) times the small one: cost log(best) / 2 - dI."""
    window = times[3:5]
    alpha, sigma = (float(f(window[0])) for f in (gt.VP().alpha, gt.VP().sigma))
    log_w, m, v = _posterior()
    z = np.linspace(-9, 9, 401)
    x = alpha * m[:, None] + np.sqrt(alpha**2 * v + sigma**2)[:, None] * z
    mass = (np.exp(log_w)[:, None] * _normalised(z)).ravel()
    _, dps, exact = _fields(x.ravel(), alpha, sigma)
    error = _moments(x.ravel(), log_w, m, v, alpha, sigma)[1] + (dps - exact) ** 2
    snr = np.exp(np.asarray(line.path.log_snr(window)))
    best = 1 + np.diff(snr)[0] * (mass @ error)
    assert best > 1.5

    def cost(factor):
        kernel = Widened(jnp.asarray(factor))
        sampler = gt.Guided(gt.approximations.DPS(), kernel)
        found = gt.budget(key, sampler, line, window)
        return float(found.total.value - found.initialisation.value)

    found = optimize.minimize_scalar(cost, bounds=(0.3, 9.0), options={"xatol": 1e-5})
    assert_allclose(found.x, best, rtol=1e-4)
    gained = np.diff(
        gt.information.mutual_information(line.problem.posterior(), snr).value
    )
    assert_allclose(found.fun, 0.5 * np.log(best) - gained[0], rtol=1e-8)
    lost = cost(0.6 * best) - found.fun
    assert_allclose(lost, 0.5 * (np.log(0.6) + 1 / 0.6 - 1), rtol=1e-7)


# --- one Gaussian, any dimension ------------------------------------------------------


def _gaussian():
    rng = np.random.default_rng(4)
    root = rng.standard_normal((3, 3))
    covariance = root @ root.T + 0.2 * np.eye(3)
    prior = gt.GaussianMixture.full([1.0], [[0.3, -0.8, 0.5]], covariance[None])
    A, R = rng.standard_normal((2, 3)), np.array([[0.3, 0.1], [0.1, 0.4]])
    return gt.Target(gt.InverseProblem(prior, gt.Linear(A, R), [0.4, -0.9]), gt.VP())


@pytest.fixture(scope="module")
def gaussian():
    return _gaussian()


GAUSS_TIMES = jnp.array([0.8, 0.5, 0.3, 0.1])


def _joint_exact(target):
    """Mean and covariance of (x_{t_0}, ..., x_{t_N}) given y, the forward chain."""
    posterior = target.problem.posterior()
    m, S = np.asarray(posterior.mean()), np.asarray(posterior.covariance())
    alpha = np.asarray(target.path.alpha(GAUSS_TIMES))
    sigma = np.asarray(target.path.sigma(GAUSS_TIMES))
    blocks = np.zeros((4, 3, 4, 3))
    for i in range(4):
        for j in range(4):
            late, early = max(i, j), min(i, j)  # later index: nearer to the data
            noise = alpha[early] / alpha[late] * sigma[late] ** 2
            blocks[i, :, j] = alpha[i] * alpha[j] * S + noise * np.eye(3)
    return np.concatenate([a * m for a in alpha]), blocks.reshape(12, 12)


def _joint_sampler(sampler, target):
    """The same of the sampler's chain, from the affine maps of its steps."""
    mean, covariance = np.zeros(3), np.eye(3) * float(target.path.sigma(0.8)) ** 2
    points = jnp.concatenate([jnp.zeros((1, 3)), jnp.eye(3)])
    steps = jax.jit(jax.vmap(partial(sampler.transition, target), (0, None, None)))
    for t, s in zip(GAUSS_TIMES[:-1], GAUSS_TIMES[1:], strict=True):
        made = steps(points, t, s)
        moved = np.asarray(made.mean)
        shift, F = moved[0], (moved[1:] - moved[0]).T
        last = covariance[:, -3:] @ F.T
        noise = np.asarray(jax.vmap(lambda law: law.covariance())(made)[0])
        corner = F @ covariance[-3:, -3:] @ F.T + noise
        covariance = np.block([[covariance, last], [last.T, corner]])
        mean = np.concatenate([mean, F @ mean[-3:] + shift])
    return mean, covariance


def _gaussian_kl(m, S, n, T):
    inverse = np.linalg.inv(T)
    ratio = np.linalg.slogdet(T)[1] - np.linalg.slogdet(S)[1]
    return 0.5 * (np.trace(inverse @ S) - len(m) + ratio + (n - m) @ inverse @ (n - m))


@pytest.mark.slow
def test_one_gaussian_is_the_divergence_of_the_joint_laws(gaussian, key):
    sampler = gt.Guided(gt.approximations.PiGDM(), gt.kernels.DDPM("matched"))
    found = gt.budget(key, sampler, gaussian, GAUSS_TIMES)
    exact, made = _joint_exact(gaussian), _joint_sampler(sampler, gaussian)
    assert found.total.how == "closed form"
    assert_allclose(found.total.value, _gaussian_kl(*exact, *made), rtol=1e-9)


# --- samples --------------------------------------------------------------------------


@pytest.mark.slow
def test_samples_agree_with_a_problem_that_falls_apart(line, times, key):
    """In a rotated plane: the line problem, and one Gaussian that is not observed."""
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    means = np.stack([MEANS, [0.5, 0.5]], axis=1) @ turn.T
    covariances = [turn @ np.diag([v, 1.7]) @ turn.T for v in VARIANCES]
    prior = gt.GaussianMixture.full(WEIGHTS, means, np.array(covariances))
    measurement = gt.Linear(SLOPE * turn[:, :1].T, NOISE)
    plane = gt.Target(gt.InverseProblem(prior, measurement, [Y]), gt.VP())
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM())
    found = gt.budget(key, sampler, plane, times, 1500)
    snr = np.exp(np.asarray(line.path.log_snr(times)))
    log_w, m, v = _posterior()
    z = np.linspace(-9, 9, 401)
    mass = (np.exp(log_w)[:, None] * _normalised(z)).ravel()
    squares = []
    for t in np.asarray(times)[:-1]:
        alpha, sigma = float(gt.VP().alpha(t)), float(gt.VP().sigma(t))
        x = alpha * m[:, None] + np.sqrt(alpha**2 * v + sigma**2)[:, None] * z
        _, dps, exact = _fields(x.ravel(), alpha, sigma)
        squares.append(mass @ (dps - exact) ** 2)
    approximation = 0.5 * np.diff(snr) * squares
    posterior = line.problem.posterior()
    seen = gt.information.mmse(posterior, snr[:4]) + 1.7 / (1 + 1.7 * snr[:4])
    error = np.asarray(seen.value)
    gains = np.diff(gt.information.mutual_information(posterior, snr[:4]).value)
    gains = gains + 0.5 * np.diff(np.log1p(1.7 * snr[:4]))
    discretisation = 0.5 * np.diff(snr[:4]) * error[:3] - gains
    for part, exact in (
        (found.approximation, approximation),
        (found.discretisation, discretisation),
    ):
        value, stderr = (np.asarray(a)[: len(exact)] for a in (part.value, part.stderr))
        assert np.all(np.abs(value - exact) < 4.5 * stderr)
        assert np.all(stderr < 0.15 * value), "shared samples keep the noise small"
    mean = float(found.approximation.value.sum() + found.discretisation.value.sum())
    whole = found.initialisation.value + mean
    assert_allclose(found.total.value, whole, rtol=1e-9)
    assert 0 < float(found.total.stderr) < 0.1 * float(found.total.value)


# --- information and the optimal grid -------------------------------------------------


def test_information_is_the_integral_of_the_least_error(line, key):
    posterior = line.problem.posterior()
    snr = np.array([0.0, 0.3, 7.0, 90.0])
    nodes, weights = np.polynomial.legendre.leggauss(40)
    ends = np.log1p(snr)
    levels = ends[:-1, None] + 0.5 * np.diff(ends)[:, None] * (nodes + 1)
    error = gt.information.mmse(posterior, np.expm1(levels)).value
    integral = 0.25 * np.diff(ends) * ((np.asarray(error) * np.exp(levels)) @ weights)
    information = np.asarray(gt.information.mutual_information(posterior, snr).value)
    assert abs(information[0]) < 1e-13
    assert_allclose(np.diff(information), integral, rtol=1e-9)


def test_slope_of_the_least_error(line):
    posterior = line.problem.posterior()
    step = 1e-4
    beside = np.asarray(
        gt.information.mmse(posterior, np.array([5 - step, 5 + step])).value
    )
    slope = float(gt.information.mmse_slope(posterior, 5.0).value)
    assert_allclose(slope, np.diff(beside)[0] / (2 * step), rtol=1e-7)
    assert slope < -1e-3


def test_information_of_one_gaussian(gaussian):
    posterior = gaussian.problem.posterior()
    values = np.linalg.eigvalsh(np.asarray(posterior.covariance()))
    found = gt.information.mmse(posterior, 2.0)
    assert_allclose(found.value, np.sum(values / (1 + 2 * values)), rtol=1e-12)
    assert found.how == "closed form"
    known = 0.5 * np.sum(np.log1p(2 * values))
    found = gt.information.mutual_information(posterior, 2.0).value
    assert_allclose(found, known, rtol=1e-12)


def test_information_of_a_mixture_by_samples(key):
    """Two coordinates apart: the sum of two problems on the line."""
    means = np.array([[-1.0, 0.2], [1.4, 0.2]])
    plane = gt.GaussianMixture.diagonal(
        WEIGHTS, means, np.array([[0.2, 0.6], [0.45, 0.6]])
    )
    first = gt.GaussianMixture.isotropic(WEIGHTS, means[:, :1], VARIANCES)
    exact = gt.information.mmse(first, 3.0) + 0.6 / (1 + 3 * 0.6)
    found = gt.information.mmse(plane, 3.0, key, 1000)
    assert abs(found.distance(exact)) < 4.5 and float(found.stderr) < 0.05
    with pytest.raises(gt.UnsupportedError, match="needs samples"):
        gt.information.mmse(plane, 3.0)


VARIANCE = 2.5


@pytest.fixture(scope="module")
def unseen():
    """One Gaussian, as two equal components: the shapes of the other problem."""
    prior = gt.GaussianMixture.isotropic(WEIGHTS, [[0.0], [0.0]], 2 * VARIANCE)
    problem = gt.InverseProblem(prior, gt.Linear([[1.0]], 2 * VARIANCE), [0.0])
    return gt.Target(problem, gt.VP())


@pytest.mark.parametrize(
    "kind, value",
    [("optimal", 0.0603), ("log_snr", 0.1042)],
    ids=["best", "geometric"],
)
def test_discretisation_of_one_gaussian_on_two_grids(unseen, key, kind, value):
    """Variance v times SNR from 1e-3 to 1e3 in 200 steps; leading order 0.0596."""
    ends = [
        float(unseen.path.time_at_log_snr(np.log(snr / VARIANCE)))
        for snr in (1e-3, 1e3)
    ]
    if kind == "optimal":
        times = gt.optimal_grid(unseen, 200, *ends)
    else:
        times = gt.time_grid(unseen.path, 200, kind, *ends)
    snr = VARIANCE * np.exp(np.asarray(unseen.path.log_snr(times)))
    exact = 0.5 * np.sum(np.diff(snr) / (1 + snr[:-1]) - np.diff(np.log1p(snr)))
    sampler = gt.Guided(gt.approximations.Exact(), gt.kernels.DDPM())
    found = gt.budget(key, sampler, unseen, times)
    assert_allclose(jnp.sum(found.discretisation.value), exact, rtol=1e-8)
    assert abs(exact - value) < 5e-5
    if kind == "optimal":
        length = np.log(1001 / 1.001)  # in log(1 + v snr)
        assert_allclose(np.diff(np.log1p(snr)), length / 200, rtol=1e-4)
        lead = gt.leading_order(unseen, *ends)
        assert_allclose(lead.value, length**2 / 4, rtol=1e-4)


def test_the_optimal_grid_of_a_mixture_is_better_than_others(line, key):
    sampler = gt.Guided(gt.approximations.Exact(), gt.kernels.DDPM())
    grids = [
        gt.time_grid(line.path, 32, kind, t_min=0.01) for kind in ("log_snr", "karras")
    ]
    grids.append(gt.time_grid(line, 32, "optimal", t_min=0.01))
    assert_allclose(grids[2], gt.optimal_grid(line, 32, t_min=0.01), rtol=0)
    costs = [
        float(jnp.sum(gt.budget(key, sampler, line, grid).discretisation.value))
        for grid in grids
    ]
    assert costs[2] < 0.95 * min(costs[:2])
    assert grids[2].shape == (33,) and grids[2][-1] == 0.01


# --- refusals -------------------------------------------------------------------------


def test_paths_without_noise_are_refused(line, times, key):
    dps, seen = gt.approximations.DPS(), _perturbed(line)
    for kernel, end in ((gt.kernels.DDIM(0.0), 0.01), (gt.kernels.DDIM(ETA), 0.0)):
        grid = times.at[-1].set(end)
        with pytest.raises(gt.UnsupportedError, match="singular"):
            gt.budget(key, gt.Guided(dps, kernel), seen, grid)


def test_a_posterior_that_is_no_mixture_is_refused(key):
    prior = gt.GaussianMixture.isotropic([1.0], [[0.0]], 1.0)
    problem = gt.InverseProblem(prior, gt.Nonlinear(jnp.sin, 0.1, 1), [0.5])
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM())
    with pytest.raises(gt.UnsupportedError, match="not a mixture"):
        gt.budget(key, sampler, gt.Target(problem, gt.VP()), jnp.array([0.9, 0.5]))


def _network(x, alpha, sigma):
    return jnp.tanh(x / alpha) / (1.0 + sigma)


def test_methods_see_any_denoiser_and_the_truth_stays(line):
    """Mean and guidance belong together; the covariance is the denoiser's slope."""
    x, t = jnp.asarray([0.7]), jnp.asarray(0.4)
    alpha, sigma = line.path.alpha(t), line.path.sigma(t)
    dps, exact = gt.approximations.DPS(), gt.approximations.Exact()
    prior = gt.denoisers.Prior(line.problem.prior)
    for denoiser in (
        gt.denoisers.ScoreError(prior, [OFFSET], RELATIVE),
        gt.denoisers.Prior(_line(WRONG).problem.prior),
        gt.denoisers.Network(_network),
    ):
        seen = line.seen_through(denoiser)
        denoised = seen.denoise(x, t)
        moved = sigma**2 / alpha * dps.guidance(seen, x, t)
        mean = dps.posterior_mean(seen, x, t)
        assert_allclose(mean - denoised.mean, moved, rtol=1e-9)
        assert abs(float((mean - dps.posterior_mean(line, x, t))[0])) > 1e-2
        step = jnp.asarray([1e-5])
        shift = seen.denoise(x + step, t).mean - seen.denoise(x - step, t).mean
        slope = sigma**2 / alpha * shift / 2e-5
        assert_allclose(denoised.times_covariance(jnp.ones(1)), slope, rtol=1e-6)
        for same in ("prior_mean", "posterior_mean", "log_likelihood", "guidance"):
            values = (getattr(target, same)(x, t) for target in (seen, line))
            assert next(values) == next(values)
        corrected = denoised.mean + line.correction(x, t)
        assert_allclose(exact.posterior_mean(seen, x, t), corrected, rtol=1e-12)
        assert seen.seen_exactly.denoise(x, t).mean == line.prior_mean(x, t)
    erring = gt.denoisers.ScoreError(prior, [OFFSET], RELATIVE)
    score = (alpha * erring(x, alpha, sigma).mean - x) / sigma**2
    exact = (1.0 + RELATIVE) * line.marginal(t).score(x) + OFFSET
    assert_allclose(score, exact, rtol=1e-9)


# --- figure ---------------------------------------------------------------------------


def test_the_bars_reach_what_has_been_spent(line, times, perturbed):
    axes = gt.plotting.figure().subplots()
    log_snr = line.path.log_snr(times)
    gt.plotting.budget_bars(axes, perturbed, log_snr, [0.01])
    tops = np.zeros(len(times) - 1)
    for bars in axes.containers:
        tops = np.maximum(tops, [bar.get_y() + bar.get_height() for bar in bars])
    squares = _steps(perturbed) - np.asarray(perturbed.cross.value)
    spent = float(perturbed.initialisation.value) + np.cumsum(squares)
    assert_allclose(tops, spent, rtol=1e-9)
    assert_allclose(axes.lines[0].get_ydata(), float(perturbed.total.value), rtol=1e-9)
    assert len(axes.get_legend_handles_labels()[1]) == 6
    figure = gt.plotting.budgets("", log_snr, {"Mine": perturbed}, {})
    assert figure.axes[0].get_title(loc="left") == "Mine"
