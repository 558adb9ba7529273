"""Time grids: spacing, exact ends, and every refusal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt
from gmm_testbed._checks import InputError
from gmm_testbed.paths.analytic import OU, VE, VP, CosineVP, Rectified
from gmm_testbed.paths.grids import check_time, check_times, time_grid

KINDS = ["uniform", "quadratic", "log_snr", "karras"]
PATHS = [VP(), CosineVP(), VE(0.02, 30.0), Rectified(), OU(3.0)]


def message_of(call, *args, **kwargs):
    with pytest.raises(InputError) as error:
        call(*args, **kwargs)
    return str(error.value)


@pytest.mark.float32
@pytest.mark.parametrize("path", PATHS, ids=lambda path: type(path).__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_a_grid_decreases_between_exact_ends(path, kind):
    times = time_grid(path, 13, kind, t_max=0.97, t_min=2e-3)
    assert times.shape == (14,)
    assert times[0] == jnp.asarray(0.97)
    assert times[-1] == jnp.asarray(2e-3)
    assert jnp.all(jnp.diff(times) < 0)


def test_defaults_are_uniform_from_1_to_a_thousandth():
    assert_allclose(time_grid(VP(), 3), [1.0, 0.667, 0.334, 0.001], rtol=1e-14)


def test_one_step_has_two_times():
    for kind in KINDS:
        assert_allclose(time_grid(VP(), 1, kind), [1.0, 1e-3], rtol=0)


def test_a_target_has_the_grids_of_its_path_and_one_more():
    """For one Gaussian of variance v, equal steps of log(1 + v alpha^2/sigma^2)."""
    prior = gt.GaussianMixture.isotropic([1.0], [[0.3]], 1.5)
    problem = gt.InverseProblem(prior, gt.Linear([[2.0]], 0.5), [0.7])
    target = gt.Target(problem, VP())
    for kind in KINDS:
        expected = time_grid(VP(), 5, kind, 0.9, 0.01)
        assert_allclose(gt.time_grid(target, 5, kind, 0.9, 0.01), expected, rtol=0)
    times = gt.time_grid(target, 5, "optimal", 0.9, 0.01)
    assert times[0] == 0.9 and times[-1] == 0.01
    variance = 1 / (1 / 1.5 + 4.0 / 0.5)
    spent = jnp.log1p(variance * jnp.exp(VP().log_snr(times)))
    assert_allclose(jnp.diff(spent), jnp.mean(jnp.diff(spent)), rtol=1e-4)
    message = message_of(gt.time_grid, VP(), 5, "optimal")
    assert "optimal_grid(target, N)" in message and "VP" in message
    assert "did you mean 'optimal'?" in message_of(gt.time_grid, target, 5, "optmal")


def test_tan_has_equal_angles():
    """At sigma/alpha from 80 to .002 and c = 1/2: the formula of Sabour et al. by hand."""
    prior = gt.GaussianMixture.isotropic([1.0], [[0.3, -1.0]], 0.25)
    problem = gt.InverseProblem(prior, gt.Linear([[0.0, 0.0]], 1.0), [0.0])
    target = gt.Target(problem, VE(0.002, 80.0))
    times = gt.time_grid(target, 10, "tan", t_min=0.0)
    ends = np.arctan(160.0), np.arctan(0.004)
    by_hand = 0.5 * np.tan(ends[0] + np.arange(11) / 10 * (ends[1] - ends[0]))
    assert_allclose(target.path.sigma(times), by_hand, rtol=1e-12)
    assert times[0] == 1.0 and times[-1] == 0.0
    assert 'time_grid(target, N, "tan")' in message_of(gt.time_grid, VP(), 5, "tan")


def test_quadratic_is_uniform_in_the_root():
    times = time_grid(VP(), 2, "quadratic", t_max=0.81, t_min=0.01)
    assert_allclose(times, [0.81, 0.25, 0.01], rtol=1e-14)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: type(path).__name__)
def test_log_snr_has_equal_steps(path):
    times = time_grid(path, 8, "log_snr", t_max=0.9)
    steps = jnp.diff(path.log_snr(times))
    assert_allclose(steps, np.full(8, steps[0]), rtol=1e-9)
    assert steps[0] > 0


def test_log_snr_is_geometric_in_the_noise_level():
    """Rectified at 4/5, 1/2, 1/5: sigma/alpha is 4, 1, 1/4."""
    times = time_grid(Rectified(), 2, "log_snr", t_max=0.8, t_min=0.2)
    assert_allclose(times, [0.8, 0.5, 0.2], rtol=1e-14)


def test_log_snr_of_more_steps_than_one_program_computes():
    times = time_grid(Rectified(), 1500, "log_snr", t_max=0.8, t_min=0.2)
    levels = np.geomspace(4.0, 0.25, 1501)  # sigma over alpha
    assert_allclose(times, levels / (1 + levels), rtol=1e-9)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: type(path).__name__)
def test_karras_has_equal_steps_in_the_seventh_root(path):
    times = time_grid(path, 8, "karras", t_max=0.9)
    roots = (path.sigma(times) / path.alpha(times)) ** (1 / 7)
    steps = jnp.diff(roots)
    assert_allclose(steps, np.full(8, steps[0]), rtol=1e-9)
    assert steps[0] < 0


def test_karras_at_its_published_end_points():
    """sigma_min 0.002, sigma_max 80: the middle level is the mean root to the 7th."""
    times = time_grid(VE(0.002, 80.0), 2, "karras", t_min=0.0)
    middle = ((80.0 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7
    assert_allclose(VE(0.002, 80.0).sigma(times), [80.0, middle, 0.002], rtol=1e-12)


def test_a_grid_may_be_traced():
    build = jax.jit(
        lambda most, first: time_grid(VP(0.1, most), 4, "log_snr", t_max=first)
    )
    assert_allclose(
        build(9.0, 0.9), time_grid(VP(0.1, 9.0), 4, "log_snr", t_max=0.9), rtol=1e-12
    )


def test_an_unknown_kind_is_named_with_its_neighbour():
    message = message_of(time_grid, VP(), 4, "log-snr")
    assert "unknown kind of time grid" in message
    assert "'log-snr'" in message
    assert "uniform, quadratic, log_snr, karras" in message
    assert "did you mean 'log_snr'?" in message


@pytest.mark.parametrize("num_steps", [0, -3])
def test_a_grid_has_a_step(num_steps):
    message = message_of(time_grid, VP(), num_steps)
    assert f"num_steps {num_steps}" in message
    assert "at least 1" in message


@pytest.mark.parametrize("ends", [{"t_max": 1.2}, {"t_min": -0.1}, {"t_max": np.nan}])
def test_the_ends_are_times(ends):
    message = message_of(time_grid, VP(), 4, **ends)
    assert "a time is outside [0, 1]" in message
    assert f"{next(iter(ends.values())):g}" in message


@pytest.mark.parametrize("t_min", [0.5, 0.7])
def test_the_ends_are_in_order(t_min):
    message = message_of(time_grid, VP(), 4, t_max=0.5, t_min=t_min)
    assert f"t_max 0.5, t_min {t_min}" in message
    assert "swap them" in message


@pytest.mark.parametrize("kind", ["log_snr", "karras"])
@pytest.mark.parametrize("path", [CosineVP(), Rectified()], ids=["cosine", "rectified"])
def test_no_signal_at_t_max_has_no_log_snr(kind, path):
    message = message_of(time_grid, path, 4, kind)
    assert f"{kind!r} grid needs a finite log-SNR at both ends" in message
    assert f"alpha(t_max = 1) = 0 on {type(path).__name__}" in message
    assert "choose t_max < 1" in message


@pytest.mark.parametrize("kind", ["log_snr", "karras"])
def test_no_noise_at_t_min_has_no_log_snr(kind):
    message = message_of(time_grid, VP(), 4, kind, t_min=0.0)
    assert "sigma(t_min = 0) = 0 on VP" in message
    assert "choose t_min > 0" in message


@pytest.mark.parametrize("kind", ["uniform", "quadratic"])
def test_the_other_kinds_reach_both_ends(kind):
    times = time_grid(Rectified(), 4, kind, t_min=0.0)
    assert (times[0], times[-1]) == (1.0, 0.0)


def test_more_steps_than_the_precision_has_are_refused():
    message = message_of(time_grid, VP(), 9, t_max=0.5, t_min=0.5 - 2e-16)
    assert "does not strictly decrease" in message
    assert "more steps than the precision can tell apart" in message


def test_check_times_accepts_grids():
    check_times(jnp.array([1.0, 0.0]))
    check_times(np.array([0.9, 0.4, 0.1]))
    jax.jit(lambda times: check_times(times))(jnp.array([0.1, 0.9]))  # values unknown


@pytest.mark.parametrize("shape", [(), (1,), (3, 2)])
def test_check_times_refuses_shapes(shape):
    message = message_of(check_times, jnp.zeros(shape))
    assert f"shape {shape}" in message
    assert "time_grid(path, num_steps)" in message
    with pytest.raises(InputError):  # a shape is known under jit too
        jax.jit(check_times)(jnp.zeros(shape))


@pytest.mark.parametrize("times", [[1.1, 0.5], [0.5, -0.1], [np.nan, 0.1]])
def test_check_times_refuses_what_leaves_the_interval(times):
    message = message_of(check_times, np.array(times))
    assert "a time grid leaves [0, 1]" in message
    assert f"{min(times):g}" in message


@pytest.mark.parametrize("times", [[0.9, 0.5, 0.5], [0.9, 0.2, 0.3]])
def test_check_times_refuses_what_does_not_decrease(times):
    message = message_of(check_times, np.array(times))
    assert "does not strictly decrease" in message
    assert f"times[1] {times[1]}, then {times[2]}" in message
    assert "times[::-1]" in message


def test_check_time_accepts_the_closed_interval():
    for t in (0, 1, 0.5, jnp.asarray(0.25)):
        check_time(t)
    jax.jit(lambda t: check_time(t))(2.0)  # values unknown


@pytest.mark.parametrize("t", [-0.01, 1.5, np.nan])
def test_check_time_refuses_other_values(t):
    message = message_of(check_time, t)
    assert "a time is outside [0, 1]" in message
    assert f"got:      {t:g}" in message


def test_check_time_refuses_many_times():
    message = message_of(check_time, jnp.zeros(3))
    assert "shape (3,)" in message
    assert "jax.vmap" in message
