"""The tabulated path: its curve, its ends, and the tables that it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.interpolate import PchipInterpolator

from gmm_testbed._checks import InputError
from gmm_testbed.paths.analytic import VP
from gmm_testbed.paths.interpolation import inverse, monotone_cubic, slope, value
from gmm_testbed.paths.tabulated import TabulatedPath

TIMES = np.array([0.1, 0.15, 0.3, 0.35, 0.6, 0.8, 0.95])
ALPHAS = np.array([0.99, 0.97, 0.85, 0.8, 0.6, 0.45, 0.2])
SIGMAS = np.array([0.05, 0.1, 0.3, 0.5, 0.9, 1.4, 1.5])


@pytest.fixture
def path():
    return TabulatedPath(TIMES, ALPHAS, SIGMAS)


def test_rows_are_met_exactly(path):
    assert_allclose(path.alpha(TIMES), ALPHAS, rtol=1e-14)
    assert_allclose(path.sigma(TIMES), SIGMAS, rtol=1e-14)


def test_the_logarithms_are_monotone_cubics(path):
    """An independent implementation of the same slopes, here without limited ends."""
    inside = np.linspace(0.1, 0.95, 101)
    log_alpha = PchipInterpolator(TIMES, np.log(ALPHAS))
    log_snr = PchipInterpolator(TIMES, 2 * np.log(ALPHAS / SIGMAS))
    assert_allclose(path.alpha(inside), np.exp(log_alpha(inside)), rtol=1e-12)
    assert_allclose(path.log_snr(inside), log_snr(inside), rtol=1e-12, atol=1e-12)
    assert_allclose(path.drift(inside), log_alpha.derivative()(inside), rtol=1e-10)


def test_tables_converge_at_second_order_at_least():
    """The SDE of the table against the SDE of the path it was made from."""
    truth, inside = VP(), jnp.linspace(0.2, 0.9, 200)
    rows = np.array([20, 40, 80])

    @jax.jit
    def error(times):
        path = TabulatedPath(times, truth.alpha(times), truth.sigma(times))
        wrong = path.diffusion_squared(inside) / truth.diffusion_squared(inside) - 1
        return jnp.sqrt(jnp.mean(wrong**2))

    errors = [float(error(jnp.linspace(1 / n, 1.0, n))) for n in rows]
    order = -np.polyfit(np.log(rows), np.log(errors), 1)[0]
    assert errors[0] > 1e-4  # there is something to converge
    assert order > 1.8


def test_drift_is_continuous_across_rows(path):
    beside = jnp.asarray(TIMES[1:-1])
    assert_allclose(path.drift(beside - 1e-9), path.drift(beside + 1e-9), rtol=1e-6)


def test_outside_the_table_the_tangents_go_on(path):
    below, above = jnp.array([0.0, 0.05]), jnp.array([0.97, 1.0])
    for times, row in ((below, 0), (above, -1)):
        end = float(TIMES[row])
        log_alpha = np.log(ALPHAS[row]) + (times - end) * path.drift(end)
        loss = path.diffusion_squared(end) / SIGMAS[row] ** 2
        log_snr = 2 * np.log(ALPHAS[row] / SIGMAS[row]) - (times - end) * loss
        assert_allclose(path.alpha(times), np.exp(log_alpha), rtol=1e-12)
        assert_allclose(path.log_snr(times), log_snr, rtol=1e-12)
        assert_allclose(path.time_at_log_snr(log_snr), times, atol=1e-12)
    assert path.sigma(0.0) > 0.0  # no row there, so noise is left


def test_two_rows_make_straight_logarithms():
    path = TabulatedPath([0.2, 0.7], [0.9, 0.3], [0.1, 1.2])
    assert_allclose(path.alpha(0.45), np.sqrt(0.9 * 0.3))
    assert_allclose(path.log_snr(0.45), np.log(9.0) + np.log(0.25))
    assert_allclose(path.drift(0.3), np.log(0.3 / 0.9) / 0.5)


def test_ends_stay_strictly_monotone_where_the_three_point_slope_does_not():
    """It is 0.5 and 2.25 on falling curves, then -5.5 beside a secant of -1."""
    curve = monotone_cubic(jnp.array([0.0, 1, 2, 3]), jnp.array([0.0, -1, -5, -5.5]))
    assert_allclose(slope(curve, jnp.array([0.0, -2.0])), [-1 / 3, -1 / 3])
    flat = monotone_cubic(jnp.array([0.0, 1, 2]), jnp.array([0.0, -6, -6.5]))
    assert_allclose(slope(flat, jnp.asarray(2.0)), -0.5 / 3)
    steep = monotone_cubic(jnp.array([0.0, 1, 2]), jnp.array([0.0, -1, 7.0]))
    assert_allclose(slope(steep, jnp.asarray(0.0)), -3.0)


def test_an_extremum_of_alpha_is_kept():
    """Only the signal-to-noise ratio must decrease; alpha may rise."""
    alphas = [1.0, 1.2, 0.9]
    path = TabulatedPath([0.0, 0.4, 1.0], alphas, [0.1, 1.0, 3.0])
    assert_allclose(path.drift(0.4), 0.0, atol=1e-14)
    assert path.drift(0.2) > 0 > path.drift(0.7)
    assert float(jnp.max(path.alpha(jnp.linspace(0, 1, 101)))) <= 1.2 + 1e-12


def test_inverse_differentiates_in_the_table():
    knots, level = jnp.array([0.0, 1.0, 3.0]), jnp.asarray(-1.0)

    def crossing(drop):
        return inverse(monotone_cubic(knots, jnp.array([1.0, 0.0, -1.0]) * drop), level)

    step = 1e-6
    difference = (crossing(2.0 + step) - crossing(2.0 - step)) / (2 * step)
    assert abs(difference) > 0.05
    assert_allclose(jax.grad(crossing)(2.0), difference, rtol=1e-7)
    at = crossing(2.0)
    curve = monotone_cubic(knots, jnp.array([2.0, 0.0, -2.0]))
    assert_allclose(value(curve, at), -1.0, rtol=1e-12)


def refused(times=TIMES, alphas=ALPHAS, sigmas=SIGMAS):
    with pytest.raises(InputError) as error:
        TabulatedPath(times, alphas, sigmas)
    return str(error.value)


def changed(column, row, entry):
    column = column.copy()
    column[row] = entry
    return column


def test_columns_must_match():
    message = refused(alphas=ALPHAS[1:])
    assert "columns of the table do not match" in message
    assert "times (7,), alphas (6,), sigmas (7,)" in message
    assert "columns of the table" in refused(TIMES[None], ALPHAS[None], SIGMAS[None])
    assert "n at least 2" in refused(TIMES[:1], ALPHAS[:1], SIGMAS[:1])


@pytest.mark.parametrize("row, entry", [(0, -0.1), (-1, 1.5), (2, 0.15), (3, np.nan)])
def test_times_must_increase_within_0_and_1(row, entry):
    message = refused(times=changed(TIMES, row, entry))
    assert "times of the table are not increasing within [0, 1]" in message
    assert "divide step numbers by their largest" in message


@pytest.mark.parametrize("entry", [0.0, -1.0, np.nan, np.inf])
def test_scales_must_have_logarithms(entry):
    for columns in (
        {"alphas": changed(ALPHAS, -1, entry)},
        {"sigmas": changed(SIGMAS, 0, entry)},
    ):
        message = refused(**columns)
        assert "a scale of the table has no logarithm" in message
        assert "leave out the rows with sigma = 0" in message


def test_a_row_at_time_0_is_data():
    message = refused(times=changed(TIMES, 0, 0.0))
    assert "does not start from the data" in message
    assert "alpha 0.99 at t = 0" in message


def test_snr_must_decrease():
    message = refused(sigmas=changed(SIGMAS, 4, 0.37))
    assert "signal-to-noise ratio of the table does not decrease" in message
    assert "at t = 0.35, then" in message
    assert "at t = 0.6" in message
    reversed_rows = refused(alphas=ALPHAS[::-1], sigmas=SIGMAS[::-1])
    assert "reverse the rows" in reversed_rows


def test_a_table_may_be_traced():
    build = jax.jit(lambda last: TabulatedPath([0.1, 0.9], [0.9, 0.1], [0.2, last]))
    assert_allclose(build(0.8).sigma(0.9), 0.8, rtol=1e-12)
