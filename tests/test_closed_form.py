"""Divergences between two Gaussians, against integrals and other formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.linalg import sqrtm

from gmm_testbed import InputError
from gmm_testbed.divergences import closed_form

MEAN_Q, MEAN_P = np.array([0.3, -1.1]), np.array([1.0, 0.4])
COV_Q = np.array([[1.3, 0.4], [0.4, 0.5]])
COV_P = np.array([[0.6, -0.2], [-0.2, 1.7]])
PLANE = tuple(map(jnp.asarray, (MEAN_Q, COV_Q, MEAN_P, COV_P)))
SWAPPED = PLANE[2:] + PLANE[:2]


def line(mean_q, scale_q, mean_p, scale_p):
    arrays = [mean_q], [[scale_q**2]], [mean_p], [[scale_p**2]]
    return tuple(map(jnp.asarray, arrays))


LINES = [(0.3, 0.7, -0.5, 1.9), (0.3, 1.9, -0.5, 0.7), (2.0, 1.0, 0.0, 1.3)]


def integral(law, function):
    """Integral of function(q, p, x) over the line."""
    mean_q, scale_q, mean_p, scale_p = law
    q, p = stats.norm(mean_q, scale_q), stats.norm(mean_p, scale_p)
    low = min(mean_q - 12 * scale_q, mean_p - 12 * scale_p)
    high = max(mean_q + 12 * scale_q, mean_p + 12 * scale_p)
    value, _ = quad(
        lambda x: function(q, p, x), low, high, epsabs=0, epsrel=1e-11, limit=500
    )
    return value


def test_kl_in_the_plane_is_the_textbook_formula_and_has_a_direction():
    inverse = np.linalg.inv(COV_P)
    shift = MEAN_Q - MEAN_P
    logs = np.linalg.slogdet(COV_P)[1] - np.linalg.slogdet(COV_Q)[1]
    expected = 0.5 * (np.trace(inverse @ COV_Q) - 2 + logs + shift @ inverse @ shift)
    value = closed_form.kl(*PLANE)
    assert np.isclose(value, expected, rtol=1e-12)
    assert not np.isclose(value, closed_form.kl(*SWAPPED), rtol=0.1)


@pytest.mark.parametrize("law", LINES)
def test_kl_on_the_line_is_the_integral(law):
    expected = integral(law, lambda q, p, x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)))
    assert np.isclose(closed_form.kl(*line(*law)), expected, rtol=1e-9)


def test_kl_of_nearly_equal_gaussians_keeps_its_digits():
    # KL(N(0, (1+e)^2) || N(0, 1)) = e + e^2/2 - log(1+e) = e^2 - e^3/3 + e^4/4 - ...
    e = 2.0**-20
    law = line(0.0, 1.0 + e, 0.0, 1.0)
    assert np.isclose(closed_form.kl(*law), e**2 - e**3 / 3, rtol=1e-8)


def test_kl_of_a_matrix_that_is_not_definite_is_nan():
    bad = jnp.asarray([[1.0, 2.0], [2.0, 1.0]])
    assert jnp.isnan(closed_form.kl(PLANE[0], PLANE[1], PLANE[2], bad))
    assert jnp.isnan(closed_form.renyi(PLANE[0], PLANE[1], PLANE[2], bad, 0.5))


@pytest.mark.parametrize("law", LINES)
@pytest.mark.parametrize("order", [0.3, 0.5, 1.1])
def test_renyi_on_the_line_is_the_integral(law, order):
    moment = integral(
        law,
        lambda q, p, x: np.exp(order * q.logpdf(x) + (1 - order) * p.logpdf(x)),
    )
    expected = np.log(moment) / (order - 1)
    assert np.isclose(closed_form.renyi(*line(*law), order), expected, rtol=1e-9)


def test_renyi_in_the_plane_is_the_determinant_formula():
    order = 0.35
    blend = order * COV_P + (1 - order) * COV_Q
    shift = MEAN_Q - MEAN_P
    logs = np.linalg.slogdet(blend)[1] - (1 - order) * np.linalg.slogdet(COV_Q)[1]
    logs -= order * np.linalg.slogdet(COV_P)[1]
    expected = order / 2 * shift @ np.linalg.solve(blend, shift)
    expected -= logs / (2 * (order - 1))
    assert np.isclose(closed_form.renyi(*PLANE, order), expected, rtol=1e-12)


def test_renyi_tends_to_kl_and_is_infinite_where_the_integral_diverges():
    near = closed_form.renyi(*PLANE, 1 - 1e-6)
    assert np.isclose(near, closed_form.kl(*PLANE), rtol=1e-5)
    wide = line(0.0, 2.0, 0.0, 1.0)  # order 2: p^{-1} grows faster than q^2 decays
    assert closed_form.renyi(*wide, 2.0) == jnp.inf
    assert jnp.isfinite(closed_form.renyi(*wide, 1.2))


@pytest.mark.parametrize("order", [0.0, -1.0, 1.0])
def test_renyi_refuses_orders_it_does_not_have(order):
    with pytest.raises(InputError, match="order"):
        closed_form.renyi(*PLANE, order)


@pytest.mark.parametrize("law", LINES)
def test_hellinger_on_the_line_is_the_integral(law):
    overlap = integral(law, lambda q, p, x: np.sqrt(q.pdf(x) * p.pdf(x)))
    value = closed_form.hellinger(*line(*law))
    assert np.isclose(value, np.sqrt(1 - overlap), rtol=1e-9)
    total = closed_form.tv(*line(*law))
    assert value**2 <= total <= np.sqrt(2) * value


@pytest.mark.parametrize("law", LINES)
def test_fisher_on_the_line_is_the_integral(law):
    mean_q, scale_q, mean_p, scale_p = law
    expected = integral(
        law,
        lambda q, p, x: (
            q.pdf(x) * ((x - mean_p) / scale_p**2 - (x - mean_q) / scale_q**2) ** 2
        ),
    )
    assert np.isclose(closed_form.fisher(*line(*law)), expected, rtol=1e-9)


def test_fisher_in_the_plane_is_the_trace_formula_and_has_a_direction():
    inverse_q, inverse_p = np.linalg.inv(COV_Q), np.linalg.inv(COV_P)
    pull = inverse_p @ (MEAN_Q - MEAN_P)
    expected = np.trace(inverse_p @ COV_Q @ inverse_p) - 2 * np.trace(inverse_p)
    expected += np.trace(inverse_q) + pull @ pull
    value = closed_form.fisher(*PLANE)
    assert np.isclose(value, expected, rtol=1e-12)
    assert not np.isclose(value, closed_form.fisher(*SWAPPED), rtol=0.1)


def test_w2_in_the_plane_is_the_trace_formula():
    root = sqrtm(COV_Q)
    cross = sqrtm(root @ COV_P @ root)
    expected = np.sum((MEAN_Q - MEAN_P) ** 2)
    expected += np.trace(COV_Q + COV_P - 2 * np.real(cross))
    assert np.isclose(closed_form.w2_squared(*PLANE), expected, rtol=1e-12)
    assert np.isclose(closed_form.w2(*PLANE), np.sqrt(expected), rtol=1e-12)
    assert np.isclose(closed_form.w2(*SWAPPED), np.sqrt(expected), rtol=1e-12)


def test_w2_of_nearly_equal_covariances_keeps_its_digits():
    # Commuting covariances: the Bures distance is that of the scales.
    e = 1e-9
    scales = jnp.asarray([0.7, 1.9])
    turn = jnp.asarray([[0.6, -0.8], [0.8, 0.6]])

    def covariance(scale):
        return turn @ jnp.diag(scale**2) @ turn.T

    zero = jnp.zeros(2)
    value = closed_form.w2(zero, covariance(scales), zero, covariance(scales + e))
    assert np.isclose(value, np.sqrt(2) * e, rtol=1e-5)


def test_w2_from_a_point_mass_is_the_root_mean_square_distance():
    value = closed_form.w2(PLANE[0], jnp.zeros((2, 2)), PLANE[2], PLANE[3])
    expected = np.sqrt(np.sum((MEAN_Q - MEAN_P) ** 2) + np.trace(COV_P))
    assert np.isclose(value, expected, rtol=1e-12)


@pytest.mark.parametrize("law", [*LINES, (0.0, 1.0, 0.0, 1.0 + 1e-4)])
def test_tv_on_the_line_is_the_integral(law):
    mean_q, scale_q, mean_p, scale_p = law
    # Crossings from numpy's own root finder, so that the integral has no kink inside.
    a, b = scale_q**-2 - scale_p**-2, mean_q / scale_q**2 - mean_p / scale_p**2
    c = mean_q**2 / scale_q**2 - mean_p**2 / scale_p**2
    roots = sorted(np.real(np.roots([a, -2 * b, c + 2 * np.log(scale_q / scale_p)])))
    ends = [-20.0, *roots, 20.0]
    q, p = stats.norm(mean_q, scale_q), stats.norm(mean_p, scale_p)
    expected = 0.5 * sum(
        abs(quad(lambda x: q.pdf(x) - p.pdf(x), *pair, epsabs=1e-13)[0])
        for pair in zip(ends[:-1], ends[1:], strict=True)
    )
    assert np.isclose(closed_form.tv(*line(*law)), expected, rtol=1e-9, atol=1e-12)


def test_tv_of_equal_variances_is_the_known_formula():
    value = closed_form.tv(*line(0.3, 0.7, 1.6, 0.7))
    assert np.isclose(value, 2 * stats.norm.cdf(1.3 / 1.4) - 1, rtol=1e-12)
    assert closed_form.tv(*line(0.3, 0.7, 0.3, 0.7)) == 0.0


def test_tv_is_continuous_where_the_variances_become_equal():
    nearly = closed_form.tv(*line(0.3, 0.7, 1.6, 0.7 + 1e-13))
    assert np.isclose(nearly, closed_form.tv(*line(0.3, 0.7, 1.6, 0.7)), rtol=1e-10)


def test_tv_refuses_the_plane():
    with pytest.raises(InputError, match="dimension 2"):
        closed_form.tv(*PLANE)


@pytest.mark.parametrize("name", ["kl", "fisher", "w2", "hellinger"])
def test_the_formulas_compile(name):
    function = getattr(closed_form, name)
    assert np.isclose(jax.jit(function)(*PLANE), function(*PLANE), rtol=1e-12)
