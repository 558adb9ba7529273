"""What every path must satisfy. A new path adds one row to PATHS."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gmm_testbed.paths.analytic import OU, VE, VP, CosineVP, Rectified
from gmm_testbed.paths.tabulated import TabulatedPath

pytestmark = pytest.mark.float32


def table():
    """Neither variance preserving nor equally spaced; noise is left at t = 0."""
    times = np.array([0.0, 0.05, 0.15, 0.2, 0.35, 0.5, 0.6, 0.85, 1.0])
    return TabulatedPath(times, np.cos(1.4 * times), 0.02 + times**1.5)


PATHS = {
    "VP": VP(beta_min=0.2, beta_max=11.0),
    "VP with no rate at 0": VP(beta_min=0.0, beta_max=11.0),
    "VP with a constant rate": VP(beta_min=3.0, beta_max=3.0),
    "CosineVP": CosineVP(),
    "VE": VE(sigma_min=0.02, sigma_max=30.0),
    "Rectified": Rectified(),
    "OU": OU(T=2.5),
    "TabulatedPath": table(),
}
METHODS = ["alpha", "sigma", "log_snr", "drift", "diffusion_squared"]
INTERIOR = np.linspace(0.03, 0.96, 23)


@pytest.fixture(params=PATHS)
def path(request):
    return PATHS[request.param]


@pytest.fixture
def times():
    return jnp.asarray(INTERIOR)


def test_time_0_is_data(path):
    assert path.alpha(0.0) == 1.0
    assert 0.0 <= path.sigma(0.0) < 0.1 * path.sigma(1.0)


def test_snr_strictly_decreases_from_end_to_end(path):
    log_snr = path.log_snr(jnp.linspace(0.0, 1.0, 301))
    assert jnp.all(jnp.diff(log_snr) < 0)


def test_log_snr_is_that_of_the_scales(path, times, tolerance):
    ratio = path.alpha(times) ** 2 / path.sigma(times) ** 2
    assert_allclose(jnp.exp(path.log_snr(times)), ratio, rtol=tolerance.identity)


def test_drift_is_the_logarithmic_derivative_of_alpha(path, times, tolerance):
    slope = jax.vmap(jax.grad(lambda t: jnp.log(path.alpha(t))))(times)
    assert_allclose(path.drift(times), slope, rtol=tolerance.identity)


def test_diffusion_is_that_of_the_scales(path, times, tolerance):
    sigma, drift = path.sigma(times), path.drift(times)
    growth = 2.0 * sigma * jax.vmap(jax.grad(path.sigma))(times)
    squared = growth - 2.0 * drift * sigma**2
    assert_allclose(path.diffusion_squared(times), squared, rtol=tolerance.identity)


def test_diffusion_is_the_rate_at_which_snr_is_lost(path, times, tolerance):
    rate = -(path.sigma(times) ** 2) * jax.vmap(jax.grad(path.log_snr))(times)
    assert_allclose(path.diffusion_squared(times), rate, rtol=tolerance.identity)


def test_the_sde_has_the_forward_kernel(path, tolerance):
    """Its moments from s to t, by Runge-Kutta, through an intermediate time."""
    s, middle, t = 0.2, 0.35, 0.85

    def rates(moments, at):
        scale, variance = moments
        drift = path.drift(at)
        return jnp.stack(
            [drift * scale, 2 * drift * variance + path.diffusion_squared(at)]
        )

    def moments_at(end, start, moments, steps=400):
        h = (end - start) / steps

        def step(i, m):
            at = start + h * i
            k1 = rates(m, at)
            k2 = rates(m + 0.5 * h * k1, at + 0.5 * h)
            k3 = rates(m + 0.5 * h * k2, at + 0.5 * h)
            k4 = rates(m + h * k3, at + h)
            return m + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

        return jax.lax.fori_loop(0, steps, step, moments)

    scale, variance = moments_at(t, middle, moments_at(middle, s, jnp.array([1.0, 0])))
    ratio = path.alpha(t) / path.alpha(s)
    kernel = path.sigma(t) ** 2 - ratio**2 * path.sigma(s) ** 2
    assert_allclose(scale, ratio, rtol=tolerance.quadrature)
    assert_allclose(variance, kernel, rtol=tolerance.quadrature)


def test_time_at_log_snr_inverts_log_snr(path, times, tolerance):
    log_snr = path.log_snr(times)
    back = path.time_at_log_snr(log_snr)
    assert_allclose(back, times, rtol=tolerance.identity)
    assert_allclose(
        path.log_snr(back), log_snr, rtol=tolerance.identity, atol=tolerance.identity
    )


def test_the_inverse_has_the_inverse_derivative(path, times, tolerance):
    forward = jax.vmap(jax.grad(path.log_snr))(times)
    back = jax.vmap(jax.grad(path.time_at_log_snr))(path.log_snr(times))
    assert_allclose(back * forward, jnp.ones_like(times), rtol=tolerance.identity)


@pytest.mark.parametrize("name", [*METHODS, "time_at_log_snr"])
def test_methods_are_elementwise(path, name, tolerance):
    method = getattr(path, name)
    block = jnp.array([[0.2, 0.4, 0.9], [0.1, 0.5, 0.7]])
    expected = np.array([[float(method(t)) for t in row] for row in block])
    assert method(0.3).shape == ()
    compiled, mapped = eqx.filter_jit(method), jax.vmap(jax.vmap(method))
    for values in (method(block), compiled(block), mapped(block)):
        assert values.shape == block.shape
        assert values.dtype == block.dtype
        assert_allclose(values, expected, rtol=tolerance.identity)


@pytest.mark.parametrize("name", METHODS)
def test_a_whole_number_is_a_time(path, name):
    whole, real = getattr(path, name)(1), getattr(path, name)(1.0)
    assert whole.dtype == real.dtype
    assert whole == real


@pytest.mark.parametrize("name", ["VP", "Rectified"])
def test_simulated_sde_has_the_moments_of_the_path(name, key, tolerance):
    """From a skewed law: mean alpha E x0, variance alpha^2 Var x0 + sigma^2."""
    path, end, steps, particles = PATHS[name], 0.7, 200, 4000
    key_start, key_noise = jax.random.split(key)
    start = 0.4 + 0.7 * jax.random.exponential(key_start, (particles,))
    h = end / steps

    def step(i, x):
        middle = h * (i + 0.5)
        half = jnp.exp(0.5 * h * path.drift(middle))
        noise = jax.random.normal(jax.random.fold_in(key_noise, i), x.shape)
        kick = jnp.sqrt(h * path.diffusion_squared(middle)) * noise
        return half * (half * x + kick)

    x = np.asarray(jax.lax.fori_loop(0, steps, step, start), np.float64)
    alpha, sigma = float(path.alpha(end)), float(path.sigma(end))
    mean, variance = alpha * 1.1, alpha**2 * 0.49 + sigma**2
    squares = (x - mean) ** 2
    root = np.sqrt(particles)
    assert abs(x.mean() - mean) < tolerance.z * x.std() / root
    assert abs(squares.mean() - variance) < tolerance.z * squares.std() / root
