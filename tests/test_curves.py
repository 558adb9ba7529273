"""Fourier formulas and local polynomials, on functions whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gmm_testbed.densities import curves, spectral
from gmm_testbed.densities.line_cdf import cdf_at_nodes

CENTRE, SCALE = 30.3, 3.0  # three nodes a standard deviation
NODES = np.arange(64.0)
LAW = stats.norm(CENTRE, SCALE)


def gaussian_slope(u):
    return -(u - CENTRE) / SCALE**2 * LAW.pdf(u)


def test_running_integral_of_a_gaussian_is_its_distribution_function():
    integral = spectral.running_integral(jnp.asarray(LAW.pdf(NODES)))
    assert np.allclose(integral, LAW.cdf(NODES), rtol=0, atol=1e-14)


def test_derivative_and_values_between_the_nodes_are_spectral():
    density, fine = jnp.asarray(LAW.pdf(NODES)), np.arange(0, 63.01, 0.25)
    derivative = spectral.derivative(density, 4)
    assert np.allclose(derivative, gaussian_slope(fine), rtol=0, atol=1e-14)
    assert np.allclose(
        spectral.upsampled(density, 4), LAW.pdf(fine), rtol=0, atol=1e-14
    )
    nodes = spectral.derivative(density)
    assert np.allclose(nodes, gaussian_slope(NODES), rtol=0, atol=1e-14)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_values_in_between_keep_those_at_the_nodes_of_what_is_not_smooth(factor):
    """White noise has as much at the highest frequency as at any other."""
    values = np.random.default_rng(3).normal(size=12)
    found = spectral.upsampled(values, factor)[::factor]
    np.testing.assert_allclose(found, values, rtol=0, atol=1e-14)


def test_curve_has_the_values_and_slopes_of_its_nodes():
    values = jnp.asarray(np.sin(NODES / 4))
    slopes = jnp.asarray(np.cos(NODES / 4) / 4)
    found = curves.on_parts(curves.curve(values, slopes), 1)
    inner = slice(
        4, -4
    )  # nearer the ends the nodes are on one side, and rounding grows
    assert np.allclose(found[0][inner], values[inner], rtol=0, atol=1e-14)
    assert np.allclose(found[1][inner], slopes[inner], rtol=0, atol=1e-13)
    assert np.allclose(found[0], values, rtol=0, atol=1e-11)
    assert np.allclose(found[1], slopes, rtol=0, atol=1e-10)


@pytest.mark.slow
def test_curve_is_exact_for_polynomials_of_degree_15():
    polynomial = np.polynomial.Polynomial(np.linspace(-0.7, 1.1, 16))
    nodes = np.linspace(-1, 1, 12)
    step = nodes[1] - nodes[0]
    curve = curves.curve(
        jnp.asarray(polynomial(nodes)), jnp.asarray(step * polynomial.deriv()(nodes))
    )
    u = np.linspace(0, 11, 111)
    values, slopes = curves.on_parts(curve, 10)
    one_by_one = jax.vmap(lambda u: curves.value(curve, u))(jnp.asarray(u))
    assert np.allclose(values, one_by_one, rtol=0, atol=1e-11)
    at = -1 + u * step
    assert np.allclose(values, polynomial(at), rtol=0, atol=1e-10)
    assert np.allclose(slopes, step * polynomial.deriv()(at), rtol=0, atol=1e-9)


def test_curve_between_nodes_of_a_distribution_function():
    curve = curves.curve(jnp.asarray(LAW.cdf(NODES)), jnp.asarray(LAW.pdf(NODES)))
    u = np.linspace(0, 63, 1009)
    values, slopes = curves.on_parts(curve, 16)
    assert np.max(np.abs(values - LAW.cdf(u))) < 1e-12
    assert np.max(np.abs(slopes - LAW.pdf(u))) < 1e-11


def test_inverse_of_a_curve_is_its_inverse_and_stops_at_the_ends():
    curve = curves.curve(jnp.asarray(LAW.cdf(NODES)), jnp.asarray(LAW.pdf(NODES)))
    levels = jnp.asarray([1e-3, 0.3, 0.9])
    found = jax.vmap(lambda level: curves.inverse(curve, level))(levels)
    assert np.allclose(found, LAW.ppf(levels), rtol=1e-10)
    assert curves.inverse(curve, jnp.asarray(-1.0)) < 1e-12
    assert abs(curves.inverse(curve, jnp.asarray(2.0)) - 63) < 1e-12


@pytest.mark.parametrize("shift", [0.0, 0.13, 0.5, 0.77])
def test_variation_splits_cells_at_the_extrema(shift):
    def error(cells):
        """Of cos over 4 1/2 periods, less what the shift cuts off and adds."""
        angle = 9 * np.pi * (np.linspace(0, 1, cells + 1) + shift / cells)
        values, slopes = np.cos(angle), -9 * np.pi * np.sin(angle) / cells
        expected = 18 - (1 - np.cos(angle[0])) + (1 - np.cos(angle[-1] - 9 * np.pi))
        parts = curves.variation(jnp.asarray(values), jnp.asarray(slopes))
        assert parts.shape == (cells,)
        return abs(np.sum(parts) - expected)

    coarse, fine = error(150), error(300)
    assert coarse < 18 * 3e-6
    assert fine < 18 * 2e-7
    if shift:  # with no extremum at a node the order shows
        assert 3.5 < np.log2(coarse / fine) < 4.5


def test_accumulated_is_of_fourth_order():
    def error(count):
        x = np.linspace(0.0, 2.0, count + 1) ** 1.3  # unequal steps
        found = curves.accumulated(
            jnp.asarray(x), jnp.asarray(np.exp(x)), jnp.asarray(np.exp(x))
        )
        return np.max(np.abs(found - (np.exp(x) - np.exp(x[0]))))

    slope = np.log2(error(20) / error(40))
    assert 3.6 < slope < 4.4


@pytest.mark.parametrize("mean", [30.3, 30.5])
def test_coarse_law_keeps_its_tails(mean):
    """1.5 nodes a deviation: the Fourier formula leaves a ripple of 1e-7 everywhere.

    Nothing of it is in the highest frequency if the mean is the middle of a cell.
    """
    law = stats.norm(mean, 1.5)
    found = np.asarray(cdf_at_nodes(jnp.asarray(law.logpdf(NODES))))
    assert np.max(np.abs(found - law.cdf(NODES))) < 1e-6
    left, right = NODES < mean - 6, NODES > mean + 6
    left &= law.cdf(NODES) > 1e-300
    tail = found[left][2:] / law.cdf(NODES)[left][2:]
    assert np.allclose(tail, 1, rtol=1e-6)
    assert np.max(np.abs(found[right] - law.cdf(NODES)[right])) < 3e-8


def test_an_empty_part_of_the_grid_has_no_mass():
    logs = np.where(np.abs(NODES - CENTRE) < 15, LAW.logpdf(NODES), -np.inf)
    found = np.asarray(cdf_at_nodes(jnp.asarray(logs)))
    assert np.all(np.isfinite(found))
    assert np.max(np.abs(found - LAW.cdf(NODES))) < 1e-5
