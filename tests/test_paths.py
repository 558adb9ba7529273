"""Closed forms of the paths at printed values, near the data, and their errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gmm_testbed._checks import InputError
from gmm_testbed.paths.analytic import OU, VE, VP, CosineVP, Rectified

TINY = 1e-6  # where 1 - alpha^2 by subtraction has lost ten digits


def test_vp_at_half_time(tolerance):
    path = VP(beta_min=0.1, beta_max=20.0)
    log_alpha = -19.9 / 16 - 0.1 / 4
    assert_allclose(path.alpha(0.5), np.exp(log_alpha), rtol=tolerance.identity)
    assert_allclose(path.sigma(0.5) ** 2, 1 - np.exp(2 * log_alpha))
    assert_allclose(path.drift(0.5), -10.05 / 2)
    assert_allclose(path.diffusion_squared(0.5), 10.05)


def test_vp_defaults_are_the_usual_rates():
    assert_allclose(VP().diffusion_squared(jnp.array([0.0, 1.0])), [0.1, 20.0])


def test_cosine_at_a_third(tolerance):
    path, root = CosineVP(), np.sqrt(3.0)
    assert_allclose(path.alpha(1 / 3), root / 2, rtol=tolerance.identity)
    assert_allclose(path.sigma(1 / 3), 0.5, rtol=tolerance.identity)
    assert_allclose(path.drift(1 / 3), -np.pi / 2 / root, rtol=tolerance.identity)
    assert_allclose(path.diffusion_squared(1 / 3), np.pi / root)


def test_ve_at_half_time_is_the_geometric_mean():
    path = VE(sigma_min=0.01, sigma_max=16.0)
    assert_allclose(path.sigma(jnp.array([0.0, 0.5, 1.0])), [0.01, 0.4, 16.0])
    assert path.alpha(0.5) == 1.0
    assert path.drift(0.5) == 0.0
    assert_allclose(path.diffusion_squared(0.5), 2 * 0.16 * np.log(1600.0))


def test_rectified_at_a_quarter():
    path = Rectified()
    assert (path.alpha(0.25), path.sigma(0.25)) == (0.75, 0.25)
    assert_allclose(path.drift(0.25), -4 / 3)
    assert_allclose(path.diffusion_squared(0.25), 2 / 3)
    assert_allclose(path.log_snr(0.25), 2 * np.log(3.0))


def test_ou_runs_dX_minus_X_for_its_duration():
    path = OU(T=3.0)
    assert_allclose(path.alpha(0.5), np.exp(-1.5))
    assert_allclose(path.sigma(0.5) ** 2, 1 - np.exp(-3.0))
    assert_allclose(path.drift(0.5), -3.0)
    assert_allclose(path.diffusion_squared(0.5), 6.0)


@pytest.mark.parametrize("path", [CosineVP(), Rectified()], ids=["cosine", "rectified"])
def test_no_signal_at_time_1_gives_infinite_limits(path):
    assert path.alpha(1.0) == 0.0
    assert path.drift(1.0) == -jnp.inf
    assert path.diffusion_squared(1.0) == jnp.inf
    assert path.log_snr(1.0) == -jnp.inf


def first_terms(total):
    """Of the root of 1 - exp(-total)."""
    return np.sqrt(total) * (1 - total / 4)


@pytest.mark.float32
@pytest.mark.parametrize(
    "path, sigma",
    [
        (VP(0.1, 20.0), first_terms(0.1 * TINY + 9.95 * TINY**2)),
        (CosineVP(), np.pi / 2 * TINY),
        (OU(2.0), first_terms(4 * TINY)),
        (Rectified(), TINY),
    ],
    ids=["VP", "CosineVP", "OU", "Rectified"],
)
def test_noise_is_accurate_close_to_the_data(path, sigma):
    """Against the series in t, whose next term is below 1e-12 relative."""
    accuracy = max(1e-12, 4 * jnp.finfo(jnp.result_type(float)).eps)
    assert_allclose(path.sigma(TINY), sigma, rtol=accuracy)
    back = path.time_at_log_snr(path.log_snr(TINY))
    assert_allclose(back, TINY, rtol=100 * accuracy)


@pytest.mark.parametrize(
    "path", [VP(), VP(0.0, 20.0), CosineVP(), Rectified(), OU(2.0)], ids=repr
)
def test_infinite_log_snr_is_time_0(path):
    assert path.time_at_log_snr(jnp.inf) == 0.0


def test_a_snr_never_reached_gives_a_time_after_1_or_the_end():
    assert VP().time_at_log_snr(VP().log_snr(1.0) - 1.0) > 1.0
    assert VE(0.1, 2.0).time_at_log_snr(-2 * np.log(2.0) - 0.1) > 1.0
    assert VE(0.1, 2.0).time_at_log_snr(-2 * np.log(0.1) + 0.1) < 0.0
    assert Rectified().time_at_log_snr(-200.0) == 1.0


def test_another_parameter_does_not_compile_again():
    """Python numbers become arrays; as they are, each would be a new program."""
    traces = []

    @eqx.filter_jit
    def noise(path, t):
        traces.append(None)
        return path.sigma(t)

    half = jnp.asarray(0.5)
    values = [noise(VP(0.1, most), half) for most in (2.0, 5.0, 9.0)]
    assert len(traces) == 1
    assert values[0] < values[1] < values[2]


def test_paths_map_and_differentiate_over_their_parameters():
    most = jnp.array([2.0, 7.0])
    alphas = jax.vmap(lambda beta: VP(0.1, beta).alpha(0.5))(most)
    assert_allclose(alphas, np.exp(-(np.array([2.0, 7.0]) - 0.1) / 16 - 0.025))
    slope = jax.grad(lambda beta: jnp.log(VP(0.1, beta).alpha(0.5)))(3.0)
    assert_allclose(slope, -1 / 16)


@pytest.mark.parametrize("beta_min, beta_max", [(-0.1, 1), (2, 1), (0, 0), (1, np.inf)])
def test_vp_refuses_rates_out_of_order(beta_min, beta_max):
    with pytest.raises(InputError, match="rates of a VP path") as error:
        VP(beta_min, beta_max)
    assert f"beta_min {beta_min:g}, beta_max {beta_max:g}" in str(error.value)
    assert "0 <= beta_min <= beta_max" in str(error.value)
    assert "beta_min=0.1" in str(error.value)


@pytest.mark.parametrize("sigmas", [(0.0, 1), (-1, 1), (1, 1), (2, 1), (np.nan, 1)])
def test_ve_refuses_scales_out_of_order(sigmas):
    with pytest.raises(InputError, match="noise scales of a VE path") as error:
        VE(*sigmas)
    assert f"sigma_min {sigmas[0]:g}, sigma_max {sigmas[1]:g}" in str(error.value)
    assert "scales, not variances" in str(error.value)


@pytest.mark.parametrize("T", [0.0, -1.0, np.inf, np.nan])
def test_ou_refuses_a_duration_that_is_not_positive(T):
    with pytest.raises(InputError, match="duration of an OU path") as error:
        OU(T)
    assert f"T {T:g}" in str(error.value)
    assert "exp(-T)" in str(error.value)


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize(
    "name, build",
    [
        ("beta_max", lambda many: VP(0.1, many)),
        ("sigma_min", lambda many: VE(many, 5.0)),
        ("T", OU),
    ],
)
def test_parameters_are_scalars(name, build):
    with pytest.raises(InputError, match=f"{name} is not a scalar") as error:
        build(jnp.array([1.0, 2.0]))
    assert "shape (2,)" in str(error.value)
    assert "jax.vmap" in str(error.value)


def test_values_are_not_checked_while_traced():
    sigma = jax.jit(lambda low: VE(low, 1.0).sigma(1.0))(5.0)
    assert_allclose(sigma, 1.0)
