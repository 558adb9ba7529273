"""Extreme inputs: finite and right, against closed forms and log-domain NumPy."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp, softmax

import gmm_testbed as gt

from .oracles import numpy_law
from .oracles import numpy_mixture as ref
from .oracles.library import (
    posterior_and_evidence,
    scales,
    to_mixture,
    to_target,
)
from .oracles.problems import LINE, SPACE, one_gaussian

PATH = gt.VP()
FIELDS = {
    "Exact": gt.approximations.Exact(),
    "DPS": gt.approximations.DPS(),
    "PiGDM": gt.approximations.PiGDM("snr"),
    "TMPD": gt.approximations.TMPD(),
}


@eqx.filter_jit
def _values(target, x, t):
    marginal = target.marginal(t)
    return {
        "log_prob": marginal.log_prob(x),
        "score": marginal.score(x),
        "m": target.prior_mean(x, t),
        "m_y": target.posterior_mean(x, t),
        "C_y": target.posterior_covariance(x, t),
        "log_likelihood": target.log_likelihood(x, t),
        "guidance": target.guidance(x, t),
        "correction": target.correction(x, t),
    }


@eqx.filter_jit
def _fields(target, x, t):
    return {
        name: (a.guidance(target, x, t), a.posterior_mean(target, x, t))
        for name, a in FIELDS.items()
    }


def near(value, truth, rtol=1e-9):
    """Equal to `rtol` of the largest entry; NaN and infinity never are."""
    truth = np.asarray(truth)
    assert np.all(np.isfinite(np.asarray(value)))
    assert_allclose(value, truth, rtol=0, atol=rtol * np.abs(truth).max())


# --- modes far apart, tiny weights, points far outside ------------------------------


@pytest.fixture(scope="module")
def far_modes():
    """Two modes a thousand standard deviations apart; y comes from the second."""
    covariances = [[[1.0, 0.3], [0.3, 0.6]], [[0.8, -0.2], [-0.2, 1.2]]]
    prior = ref.mixture([0.3, 0.7], [[-500.0, 1.0], [500.0, 0.0]], covariances)
    problem = ref.Problem(
        prior, np.array([[1.0, 0.2]]), np.array([[0.5]]), np.array([501.0])
    )
    return problem, to_target(problem, PATH)


@pytest.mark.parametrize("place", [-500.0, 0.0, 13.0, 500.0])
@pytest.mark.parametrize("t", [0.02, 0.5, 0.95])
def test_modes_a_thousand_standard_deviations_apart(place, t, far_modes):
    problem, target = far_modes
    alpha, sigma = scales(PATH, jnp.asarray(t))
    x = alpha * np.array([place, 0.7])
    mine = _values(target, jnp.asarray(x), jnp.asarray(t))
    state = (problem, x, alpha, sigma)
    near(mine["m"], ref.prior_mean(*state))
    near(mine["m_y"], ref.posterior_mean(*state))
    near(mine["C_y"], ref.posterior_covariance(*state))
    near(mine["log_likelihood"], ref.log_likelihood(*state))
    near(mine["score"], ref.score(ref.noised(problem.prior, alpha, sigma), x))
    # The correction is a difference of two means of size 500.
    gain = sigma**2 / alpha
    error = np.abs(gain * (mine["guidance"] - ref.exact_guidance(*state))).max()
    assert error < 1e-9 * 500


def test_posterior_of_far_modes_is_the_mode_that_was_seen(far_modes):
    problem, target = far_modes
    posterior, _ = posterior_and_evidence(target.problem)
    alone = ref.mixture([1.0], problem.prior.means[1:], problem.prior.covariances[1:])
    truth = ref.conditioned(alone, *problem[1:])
    near(posterior.mean(), truth.means[0])
    near(posterior.covariance(), truth.covariances[0])
    # Posterior odds against the other mode: the squared distances in noise units.
    odds = [ref.log_evidence(_only(problem.prior, k), *problem[1:]) for k in (0, 1)]
    expected = odds[0] - odds[1] + np.log(0.3 / 0.7)
    assert expected < -1e5
    assert_allclose(posterior.log_weights[0], expected, rtol=1e-10)


def _only(mix, k):
    return ref.mixture([1.0], mix.means[[k]], mix.covariances[[k]])


def test_component_of_weight_1e_300_rules_where_it_is_nearest():
    means, variance = np.array([[0.0, 0.0], [60.0, -5.0]]), 0.7
    mix = gt.GaussianMixture.isotropic(
        jnp.asarray([1.0, 1e-300]), jnp.asarray(means), variance
    )
    x = np.array([58.0, -4.0])
    near(mix.score(jnp.asarray(x)), (means[1] - x) / variance)
    square = ((x - means[1]) ** 2).sum()
    log_prob = -square / 2 / variance - np.log(2 * np.pi * variance) - 300 * np.log(10)
    assert_allclose(mix.log_prob(jnp.asarray(x)), log_prob, rtol=1e-12)
    condition = eqx.filter_jit(mix.conditioned)
    posterior = condition(jnp.eye(2), jnp.asarray(0.1), jnp.asarray([59.0, -5.0]))
    assert_allclose(jnp.exp(posterior.log_weights), [0, 1], atol=1e-12)
    gain = variance / (variance + 0.1)
    truth = means[1] + gain * (np.array([59.0, -5.0]) - means[1])
    near(posterior.mean(), truth)


@pytest.mark.float32
@pytest.mark.parametrize("distance", [1e3, 1e6])
def test_far_outside_the_widest_component_rules(distance, tolerance):
    means, variances = np.array([[1.0, 2.0], [-3.0, 0.5]]), np.array([0.5, 2.0])
    mix = gt.GaussianMixture.isotropic(
        jnp.asarray([0.9, 0.1]), jnp.asarray(means), jnp.asarray(variances)
    )
    x = distance * np.array([0.6, 0.8])
    rtol = tolerance.identity
    near(mix.score(jnp.asarray(x)), (means[1] - x) / 2.0, rtol)
    log_prob = np.log(0.1) - ((x - means[1]) ** 2).sum() / 4 - np.log(4 * np.pi)
    assert_allclose(mix.log_prob(jnp.asarray(x)), log_prob, rtol=rtol)
    assert_allclose(mix.responsibilities(jnp.asarray(x)), [0, 1], atol=rtol)


# --- nearly noise-free measurements -------------------------------------------------

VARIANCES = np.array([2.0, 0.5, 1.0])
CENTRE = np.array([0.5, -1.0, 2.0])
SINGULAR = np.array([1.5, 0.4])  # the third direction is not seen
TINY = 1e-10
TURN = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]


def _tiny_noise():
    """One Gaussian whose principal axes are those of the measurement, turned."""
    prior = ref.mixture(
        [1.0], (TURN @ CENTRE)[None], ((TURN * VARIANCES) @ TURN.T)[None]
    )
    A = np.eye(3)[:2] * SINGULAR[:, None] @ TURN.T
    y = SINGULAR * np.array([1.2, 0.3])
    return to_target(ref.Problem(prior, A, TINY * np.eye(2), y), PATH)


def _along_axes(extra):
    """Posterior precisions along the axes, with `extra` precision from x_t."""
    return 1 / VARIANCES + extra + np.array([*(SINGULAR**2 / TINY), 0.0])


def test_posterior_variance_of_1e_10_keeps_its_relative_accuracy():
    posterior, evidence = posterior_and_evidence(_tiny_noise().problem)
    precision = _along_axes(0.0)
    spectrum = np.sort(np.asarray(posterior.spectrum[0]))
    assert_allclose(spectrum, np.sort(1 / precision), rtol=1e-9)
    seen = np.array([*(SINGULAR**2 / TINY * [1.2, 0.3]), 0.0])
    mean = (CENTRE / VARIANCES + seen) / precision
    near(posterior.mean(), TURN @ mean, 1e-12)
    noise = VARIANCES[:2] * SINGULAR**2 + TINY
    residual = SINGULAR * (np.array([1.2, 0.3]) - CENTRE[:2])
    truth = -0.5 * np.sum(residual**2 / noise + np.log(2 * np.pi * noise))
    assert_allclose(evidence, truth, rtol=1e-10)


@pytest.mark.parametrize("t", [1e-6, 0.02, 0.5, 0.99])
@pytest.mark.slow
def test_noise_variance_of_1e_10_at_every_time(t):
    target = _tiny_noise()
    alpha, sigma = scales(PATH, jnp.asarray(t))
    axes = np.array([0.9, -0.4, 1.3])
    x = alpha * TURN @ axes
    snr = alpha**2 / sigma**2
    precision = _along_axes(snr)
    seen = np.array([*(SINGULAR**2 / TINY * [1.2, 0.3]), 0.0])
    m_y = (CENTRE / VARIANCES + snr * axes + seen) / precision
    m = (CENTRE / VARIANCES + snr * axes) / (1 / VARIANCES + snr)
    mine = _values(target, jnp.asarray(x), jnp.asarray(t))
    near(mine["m_y"], TURN @ m_y, 1e-12)
    near(mine["correction"], TURN @ (m_y - m), 1e-8)
    near(TURN.T @ np.asarray(mine["C_y"]) @ TURN, np.diag(1 / precision), 1e-12)
    fields = _fields(target, jnp.asarray(x), jnp.asarray(t))
    near(fields["TMPD"][1], TURN @ m_y, 1e-9)


# --- both ends of time --------------------------------------------------------------


@pytest.mark.parametrize("t", [1e-6, 1e-3])
def test_guidance_near_the_data_is_that_of_the_likelihood(t):
    """Every likelihood-based field tends to grad log p(y | x0) at x0 = x / alpha."""
    target, alpha, sigma = to_target(SPACE, gt.Rectified()), 1 - t, t
    x = np.array([0.4, -0.3, 0.8])
    pull = np.linalg.solve(SPACE.R, SPACE.y - SPACE.A @ x / alpha)
    limit = SPACE.A.T @ pull / alpha
    for guidance, mean in _fields(target, jnp.asarray(x), jnp.asarray(t)).values():
        near(guidance, limit, 1e-9 + 100 * sigma**2)
        near(mean, x / alpha, 1e-12 + 100 * sigma**2)


def test_correction_near_the_data_keeps_its_relative_accuracy():
    """One Gaussian: C A' (R + A C A')^{-1} (y - A m), tiny beside means of size 1."""
    problem = SPACE._replace(prior=_only(SPACE.prior, 0))
    target = to_target(problem, PATH)
    t = 1e-6
    alpha, sigma, _, _ = ref.vp(t)
    x = np.array([0.4, -0.3, 0.8])
    law = ref.denoised(problem.prior, x, alpha, sigma)
    C, m = law.covariances[0], law.means[0]
    predicted = SPACE.R + SPACE.A @ C @ SPACE.A.T
    truth = C @ SPACE.A.T @ np.linalg.solve(predicted, SPACE.y - SPACE.A @ m)
    assert np.abs(truth).max() < 1e-5
    mine = _values(target, jnp.asarray(x), jnp.asarray(t))
    near(mine["correction"], truth, 1e-9)
    fields = _fields(target, jnp.asarray(x), jnp.asarray(t))
    near(fields["TMPD"][0], alpha / sigma**2 * truth, 1e-9)


@pytest.mark.float32
def test_without_signal_the_posterior_at_time_one_is_the_posterior(tolerance):
    """alpha = 0: x_t says nothing, and Kalman gives the best linear estimate."""
    target, rtol = to_target(SPACE, gt.Rectified()), tolerance.identity
    x, t = jnp.asarray([0.7, -1.1, 0.2]), jnp.asarray(1.0)
    mine, fields = _values(target, x, t), _fields(target, x, t)
    posterior, centre = ref.posterior(SPACE), ref.mean(SPACE.prior)
    near(mine["m"], centre, rtol)
    near(mine["m_y"], ref.mean(posterior), rtol)
    near(mine["C_y"], ref.covariance(posterior), rtol)
    assert_allclose(mine["log_likelihood"], ref.log_evidence(*SPACE), rtol=rtol)
    assert np.all(np.asarray(mine["guidance"]) == 0)
    C, A = ref.covariance(SPACE.prior), SPACE.A
    gain = np.linalg.solve(SPACE.R + A @ C @ A.T, A @ C).T
    near(fields["TMPD"][1], centre + gain @ (SPACE.y - A @ centre), rtol)
    gain = C @ A.T @ np.linalg.inv(SPACE.R + A @ A.T)
    near(fields["PiGDM"][1], centre + gain @ (SPACE.y - A @ centre), rtol)


def test_point_midway_between_two_atoms_near_the_data():
    """The prior cannot tell them apart, the measurement can."""
    atoms = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 30.0]])
    prior = gt.GaussianMixture.empirical(jnp.asarray(atoms))
    measurement = gt.Linear(jnp.asarray([[1.0, 0.3]]), 0.5)
    problem = gt.InverseProblem(prior, measurement, jnp.asarray([0.2]))
    mine = _values(gt.Target(problem, PATH), jnp.zeros(2), jnp.asarray(1e-6))
    odds = np.exp(-0.5 * ((0.2 - 1) ** 2 - (0.2 + 1) ** 2) / 0.5)
    share = odds / (1 + odds)
    near(mine["m_y"], [2 * share - 1, 0.0])
    near(mine["correction"], [2 * share - 1, 0.0])
    assert_allclose(mine["m"], [0, 0], atol=1e-12)


# --- laws in single precision --------------------------------------------------------


def _levels(times, path):
    """Scales at every time of a grid, as floats."""
    return [scales(path, t) for t in np.asarray(times)]


@pytest.mark.float32
@pytest.mark.slow
def test_affine_law_is_the_recursion_of_its_moments(tolerance):
    """One Gaussian in d = 4: x_s = a x_t + c M(x_t) + noise, M affine, in NumPy."""
    problem = one_gaussian(dim=4, dim_y=2)
    target = to_target(problem, PATH)
    times = gt.time_grid(PATH, 8, kind="log_snr", t_min=1e-2)
    sampler = gt.Guided(gt.approximations.TMPD(), gt.kernels.DDPM())
    law = gt.laws.affine(sampler, target, times)
    levels, eye = _levels(times, PATH), np.eye(4)
    mean, covariance = np.zeros(4), levels[0][1] ** 2 * eye
    for (at, st), (as_, ss) in zip(levels[:-1], levels[1:], strict=True):
        _, a, c, _ = ref.bridge(at, st, as_, ss)
        offset, *columns = (
            ref.posterior_mean(problem, x, at, st) for x in (0 * eye[0], *eye)
        )
        F = a * eye + c * (np.array(columns) - offset).T
        mean = F @ mean + c * offset
        noise, _ = ref.ddpm_variances(at, st, as_, ss)
        covariance = F @ covariance @ F.T + noise * eye
    near(law.mean(), mean, tolerance.identity)
    near(law.covariance(), covariance, tolerance.identity)


@pytest.mark.float32
@pytest.mark.slow
def test_law_on_the_line_has_the_moments_of_a_plain_propagation(tolerance):
    """Three components, guided by TMPD: not a mixture after the first step."""
    target = to_target(LINE, PATH)
    times = gt.time_grid(PATH, 4, kind="log_snr", t_min=0.2)
    sampler = gt.Guided(gt.approximations.TMPD(), gt.kernels.DDPM())
    law = gt.laws.grid(sampler, target, times)

    def rule(problem, x, alpha, sigma):
        guidance = ref.tmpd(problem, x, alpha, sigma)
        mean = ref.prior_mean(problem, x, alpha, sigma)
        return ref.guidance_to_mean(guidance, mean, alpha, sigma)

    grid = np.linspace(-9, 9, 601)
    levels, step = _levels(times, PATH), grid[1] - grid[0]
    sigma = levels[0][1]
    start = np.exp(-0.5 * (grid / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    density = numpy_law.ddpm_law(LINE, levels, rule, start, grid)
    assert_allclose(density.sum() * step, 1, rtol=1e-10)  # none has left the grid
    mean = density @ grid * step
    variance = density @ (grid - mean) ** 2 * step
    assert_allclose(law.mean(), [mean], rtol=tolerance.identity)
    assert_allclose(law.covariance(), [[variance]], rtol=tolerance.identity)
    assert abs(float(law.escaped_mass)) < tolerance.identity


# --- many components, many dimensions -----------------------------------------------


@pytest.mark.float32
@pytest.mark.slow
def test_ten_thousand_components(tolerance):
    rng, rtol = np.random.default_rng(3), tolerance.identity
    count = 10_000
    weights = rng.uniform(0.1, 1, size=count)
    weights /= weights.sum()
    means, variances = 3 * rng.normal(size=(count, 2)), rng.uniform(0.01, 0.3, count)
    prior = gt.GaussianMixture.isotropic(*map(jnp.asarray, (weights, means, variances)))
    a, R, y, x, t = np.array([1.0, -0.5]), 0.2, 1.3, np.array([0.8, 0.3]), 0.3
    problem = gt.InverseProblem(prior, gt.Linear(a[None], R), jnp.asarray([y]))
    mine = _values(gt.Target(problem, PATH), jnp.asarray(x), jnp.asarray(t))

    alpha, sigma = scales(PATH, jnp.asarray(t))
    total = alpha**2 * variances + sigma**2
    offset = x - alpha * means
    log_terms = np.log(weights) - (offset**2).sum(axis=1) / 2 / total
    log_terms -= np.log(2 * np.pi * total)
    share, shrunk = softmax(log_terms), sigma**2 * variances / total
    moved = means + (alpha * variances / total)[:, None] * offset
    predicted = shrunk * (a @ a) + R
    misfit = y - moved @ a
    log_y = -0.5 * (misfit**2 / predicted + np.log(2 * np.pi * predicted))
    posterior_share = softmax(log_terms + log_y)
    updated = moved + (shrunk * misfit / predicted)[:, None] * a

    assert_allclose(mine["log_prob"], logsumexp(log_terms), rtol=rtol)
    near(mine["score"], share @ (-offset / total[:, None]), rtol)
    near(mine["m"], share @ moved, rtol)
    near(mine["m_y"], posterior_share @ updated, rtol)
    log_likelihood = logsumexp(log_terms + log_y) - logsumexp(log_terms)
    assert_allclose(mine["log_likelihood"], log_likelihood, rtol=rtol)
    gap = posterior_share @ updated - share @ moved
    near(mine["guidance"], alpha / sigma**2 * gap, rtol)


@pytest.mark.float32
@pytest.mark.slow
def test_a_thousand_dimensions(tolerance):
    rng, rtol = np.random.default_rng(4), tolerance.identity
    dim = 1000
    weights, variances = np.array([0.2, 0.5, 0.3]), np.array([0.5, 1.0, 1.5])
    means, a = rng.normal(size=(3, dim)) / 8, rng.normal(size=dim) / np.sqrt(dim)
    x, y, R, t = means[1] + 0.9 * rng.normal(size=dim), 0.9, 0.3, 0.4
    prior = gt.GaussianMixture.isotropic(*map(jnp.asarray, (weights, means, variances)))
    problem = gt.InverseProblem(prior, gt.Linear(a[None], R), jnp.asarray([y]))
    mine = _values(gt.Target(problem, PATH), jnp.asarray(x), jnp.asarray(t))

    alpha, sigma = scales(PATH, jnp.asarray(t))
    total = alpha**2 * variances + sigma**2
    offset = x - alpha * means
    square = (offset**2).sum(axis=1)
    log_terms = np.log(weights) - square / 2 / total
    log_terms -= dim / 2 * np.log(2 * np.pi * total)
    shrunk = sigma**2 * variances / total
    moved = means + (alpha * variances / total)[:, None] * offset
    predicted, misfit = shrunk * (a @ a) + R, y - moved @ a
    log_y = -0.5 * (misfit**2 / predicted + np.log(2 * np.pi * predicted))
    share = softmax(log_terms + log_y)
    updated = moved + (shrunk * misfit / predicted)[:, None] * a

    assert_allclose(mine["log_prob"], logsumexp(log_terms), rtol=rtol)
    near(mine["m_y"], share @ updated, rtol)
    centred = updated - share @ updated
    within = share @ shrunk * np.eye(dim)
    within -= share @ (shrunk**2 / predicted) * np.outer(a, a)
    near(mine["C_y"], within + (centred.T * share) @ centred, rtol)


@pytest.mark.float32
def test_posterior_of_many_dimensions_keeps_a_low_rank():
    """Conditioning an isotropic mixture on m measurements adds rank m, not d."""
    prior = gt.GaussianMixture.isotropic(
        jnp.asarray([0.4, 0.6]), jnp.ones((2, 1000)) * jnp.asarray([[1.0], [-1]]), 0.5
    )
    A = np.random.default_rng(5).normal(size=(3, 1000)) / 30
    condition = eqx.filter_jit(prior.conditioned)
    posterior = condition(jnp.asarray(A), jnp.asarray(0.1), jnp.ones(3))
    assert posterior.basis.shape == (1, 1000, 3)
    assert_allclose(posterior.base, 0.5)
    # Along a singular direction s of A the variance is 1 / (1 / 0.5 + s^2 / 0.1).
    singular = np.linalg.svd(A, compute_uv=False)
    truth = np.broadcast_to(1 / (2 + singular**2 / 0.1), (2, 3))
    assert_allclose(posterior.spectrum, truth, rtol=5e-4)


def test_full_covariances_of_very_different_size_share_one_mixture():
    """Standard deviations 1e-4 and 1e4, at a point between them."""
    mix = ref.mixture(
        [0.5, 0.5],
        [[0.0, 0.0], [1.0, 2.0]],
        [np.diag([1e-8, 3e-8]), [[1e8, 2e7], [2e7, 3e8]]],
    )
    mine = to_mixture(mix)
    for x in ([1e-4, -2e-4], [0.5, 0.1], [3e4, -1e4]):
        x = np.array(x)
        near(mine.score(jnp.asarray(x)), ref.score(mix, x))
        assert_allclose(mine.log_prob(jnp.asarray(x)), ref.log_prob(mix, x), rtol=1e-9)
