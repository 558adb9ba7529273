"""DPM-Solver++ (2M): its map, its order, and the density of a method with memory."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp
from scipy.stats import norm

import gmm_testbed as gt
from gmm_testbed.random import Draws

from .oracles import numpy_mixture as ref
from .oracles.library import scales, to_mixture, to_target
from .oracles.problems import LINE, generic

PATH = gt.VP()
METHOD = gt.algorithms.DPMSolver(gt.approximations.TMPD())
PLANE = generic(2, 1, 2)
TIMES = np.array([0.9, 0.6, 0.45, 0.25, 0.1])


def _field(problem, x, alpha, sigma):
    """The posterior mean of TMPD."""
    m = ref.prior_mean(problem, x, alpha, sigma)
    return m + sigma**2 / alpha * ref.tmpd(problem, x, alpha, sigma)


def _mapped(problem, x, path=PATH, times=TIMES, field=_field):
    """As published (algorithm 2): the slope of the mean in lambda, after a first DDIM."""
    known = []
    for t, s in zip(times[:-1], times[1:], strict=True):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = (
            scales(path, jnp.asarray(time)) for time in (t, s)
        )
        mean = field(problem, x, alpha_t, sigma_t)
        if len(known) == 0:
            x = alpha_s * mean + sigma_s * (x - alpha_t * mean) / sigma_t
        else:
            before, lambda_before = known[-1]
            lambda_t, lambda_s = np.log(alpha_t / sigma_t), np.log(alpha_s / sigma_s)
            r = (lambda_t - lambda_before) / (lambda_s - lambda_t)
            D = (1 + 1 / (2 * r)) * mean - 1 / (2 * r) * before
            decay = np.exp(lambda_t - lambda_s)
            x = sigma_s / sigma_t * x + alpha_s * (1 - decay) * D
        known.append((mean, np.log(alpha_t / sigma_t)))
    return x


def _jacobian(problem, x, step=1e-4):
    """By central differences of fourth order."""
    columns = []
    for e in np.eye(len(x)):
        near, far = (
            _mapped(problem, x + k * step * e) - _mapped(problem, x - k * step * e)
            for k in (1, 2)
        )
        columns.append((8 * near - far) / (12 * step))
    return np.stack(columns, axis=1)


def test_samples_are_the_map_of_their_starts(key, tolerance):
    target = to_target(PLANE, PATH)
    out = gt.sample(key, METHOD, target, jnp.asarray(TIMES), 3, trajectory=True)
    for path in np.asarray(out.info.trajectory):
        expected = _mapped(PLANE, path[0])
        assert_allclose(path[-1], expected, rtol=1e3 * tolerance.identity)


@pytest.mark.slow
def test_density_is_that_of_the_whole_map(key):
    """In the plane: the start's density over the determinant by finite differences."""
    target = to_target(PLANE, PATH)
    found = gt.laws.flow_samples(key, METHOD, target, jnp.asarray(TIMES), 3)
    sigma = scales(PATH, jnp.asarray(TIMES[0]))[1]
    law = ref.Mixture(np.zeros(1), np.zeros((1, 2)), sigma**2 * np.eye(2)[None])
    starts = np.asarray(to_mixture(law).sample(key, 3))
    for x, log_density, start in zip(*found, starts, strict=True):
        assert_allclose(x, _mapped(PLANE, start), rtol=1e-7)
        _, log_det = np.linalg.slogdet(_jacobian(PLANE, start))
        assert_allclose(log_density, ref.log_prob(law, start) - log_det, rtol=1e-6)


@pytest.fixture(scope="module")
def line():
    return to_target(LINE, PATH)


@pytest.fixture(scope="module")
def law(line):
    return gt.laws.grid(METHOD, line, jnp.asarray(TIMES))


def test_law_on_the_line_is_that_of_the_map(law):
    """Position and derivative at starts of the grid, after the last step."""
    chosen = np.linspace(0, law.positions.shape[1] - 1, 9).astype(int)
    for i in chosen:
        start = np.asarray(law.positions)[0, i : i + 1]
        assert_allclose(law.positions[-1, i], _mapped(LINE, start)[0], rtol=1e-7)
        slope = _jacobian(LINE, start)[0, 0]
        gained = law.jacobians[-1, i] / law.jacobians[0, i]  # both by the same u
        assert_allclose(gained, slope, rtol=1e-6)


@pytest.mark.slow
def test_kl_is_that_of_quadrature(law, line, key, tolerance):
    """By the change of variables on starts in NumPy; by samples of the library."""
    sigma = scales(PATH, jnp.asarray(TIMES[0]))[1]
    starts = np.linspace(-7, 7, 401)[:, None] * sigma
    images = np.stack([_mapped(LINE, start) for start in starts])
    slopes = CubicSpline(starts[:, 0], images[:, 0])(starts[:, 0], 1)
    log_start = -0.5 * (starts[:, 0] / sigma) ** 2 - np.log(sigma * np.sqrt(2 * np.pi))
    exact = ref.noised(ref.posterior(LINE), *scales(PATH, jnp.asarray(TIMES[-1])))
    log_exact = np.array([ref.log_prob(exact, x) for x in images])
    mass = np.exp(log_start) * (starts[1] - starts[0])
    known = np.sum(mass * (log_start - np.log(slopes) - log_exact))
    assert known > 0.01
    posterior = line.posterior(jnp.asarray(TIMES[-1]))
    assert_allclose(law.kl(posterior), known, rtol=1e-3)
    found = gt.laws.flow_kl(key, METHOD, line, jnp.asarray(TIMES), 4000)
    assert abs(found.distance(float(law.kl(posterior)))) < tolerance.z


@eqx.filter_jit
def _endpoints(method, target, times, starts):
    return jax.vmap(lambda x: _endpoint(method, target, times, x[None]))(starts)


def _endpoint(method, target, times, x):
    draws = Draws(jnp.zeros(2, jnp.uint32), jnp.asarray(0))  # it takes none

    def step(carry, window):
        made = method.step(target, carry[1], carry[0], window[0], window[1], draws)
        return (made.law.mean, made.memory), None

    windows = jnp.stack([times[:-1], times[1:]], axis=1)
    carry = x, method.memory(target, x, times[0])
    return jax.lax.scan(step, carry, windows)[0][0][0]


@pytest.mark.slow
def test_it_is_of_second_order_and_ddim_of_first(line):
    """W2 from the posterior on the line: of sorted images of the quantiles."""
    levels = (np.arange(200) + 0.5) / 200
    first, last = (
        _quantiles(
            ref.noised(ref.posterior(LINE), *scales(PATH, jnp.asarray(t))), levels
        )
        for t in (0.9, 0.02)
    )
    exact = gt.approximations.Exact()
    methods = {
        2: gt.algorithms.DPMSolver(exact),
        1: gt.Guided(exact, gt.kernels.DDIM(0.0)),
    }
    for order, method in methods.items():
        errors = []
        for steps in (80, 160, 320):
            times = gt.time_grid(PATH, steps, "log_snr", t_max=0.9, t_min=0.02)
            images = _endpoints(method, line, times, jnp.asarray(first))
            errors.append(np.sqrt(np.mean((np.sort(images) - last) ** 2)))
        slopes = np.log2(np.divide(errors[:-1], errors[1:]))
        assert method.facts.order == order
        assert_allclose(slopes, order, atol=0.1)


def _quantiles(law, levels):
    """Of a mixture on the line, by bisection."""
    scale = np.sqrt(law.covariances[:, 0, 0])
    lower, upper = np.full_like(levels, -30.0), np.full_like(levels, 30.0)
    for _ in range(60):
        middle = 0.5 * (lower + upper)
        z = (middle[:, None] - law.means[:, 0]) / scale
        below = np.exp(logsumexp(law.log_weights + norm.logcdf(z), axis=1)) < levels
        lower, upper = np.where(below, middle, lower), np.where(below, upper, middle)
    return middle


@pytest.mark.slow
def test_infinite_steps_are_of_first_order(key):
    """From no signal to no noise: no number is lost, and the last step denoises."""
    target = to_target(PLANE, gt.Rectified())
    times = np.array([1.0, 0.7, 0.4, 0.2, 0.0])
    out = gt.sample(key, METHOD, target, jnp.asarray(times), 2, trajectory=True)
    path = np.asarray(out.info.trajectory)[0]
    assert np.isfinite(path).all()
    mean = _field(PLANE, path[-2], *scales(gt.Rectified(), jnp.asarray(0.2)))
    assert_allclose(path[-1], mean, rtol=1e-6)
    later = _mapped(PLANE, path[1], gt.Rectified(), times[1:-1])
    assert_allclose(path[-2], later, rtol=1e-6)


@pytest.mark.slow
def test_a_fold_of_the_whole_map_is_refused(key):
    stiff = gt.algorithms.DPMSolver(gt.approximations.DPS())
    target = gt.problems.get("two-modes")
    times = gt.time_grid(target.path, 5, "log_snr", t_min=3e-2, t_max=0.9)
    with pytest.raises(gt.UnsupportedError, match="folds space"):
        gt.laws.flow_kl(key, stiff, target, times, 500)
    with pytest.raises(gt.UnsupportedError, match="folds the line"):
        gt.laws.grid(stiff, target, times)


def test_laws_refuse_what_is_no_flow(key):
    target = gt.problems.get("two-modes")
    times = gt.time_grid(target.path, 4, "log_snr", t_min=3e-2, t_max=0.9)
    for method in (gt.algorithms.SplitGibbs(), gt.algorithms.Jump()):
        with pytest.raises(gt.UnsupportedError, match="composed|mixture"):
            gt.laws.flow_kl(key, method, target, times, 10)
