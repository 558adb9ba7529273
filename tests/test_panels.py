"""Gauss-Legendre panels against closed forms of a Gaussian law."""

import numpy as np
import pytest
from scipy.stats import norm

import gmm_testbed as gt
from gmm_testbed.laws.line import panels

NODES = np.arange(-8.7, 9.1, 1 / 1.2)
EVERYWHERE = np.ones(NODES.size, bool)


def density(found, points):
    mass = found.weight * norm.pdf(found.points)
    return norm.pdf(points[:, None], found.mean, found.scale) @ mass


@pytest.mark.parametrize("rate", [0.7, 50.0])
def test_an_integrand_that_is_a_product_of_two_gaussians_is_integrated_to_1e_12(rate):
    def transitions(x):
        return rate * x + 0.3, np.full_like(x, 0.9)

    found = panels.adapted(transitions, NODES, EVERYWHERE, [], 1)
    points = np.linspace(-2.0, 3.0, 11) * rate
    exact = norm.pdf(points, 0.3, np.hypot(rate, 0.9))
    assert np.abs(density(found, points) - exact).max() < 1e-12


def test_panels_end_where_the_field_jumps():
    jump, leap, scale = 0.37, 3.0, 0.5

    def transitions(x):
        return x + np.where(x > jump, leap, 0.0), np.full_like(x, scale)

    found = panels.adapted(transitions, NODES, EVERYWHERE, [jump], 1)
    points, total = np.linspace(-4.0, 6.0, 23), np.hypot(1.0, scale)
    side = scale / total  # standard deviation of x given where it went
    below = norm.pdf(points, 0, total) * norm.cdf((jump - points / total**2) / side)
    far = points - leap
    above = norm.pdf(far, 0, total) * norm.sf((jump - far / total**2) / side)
    assert np.abs(density(found, points) - below - above).max() < 1e-12


def test_means_that_run_too_far_are_refused():
    def transitions(x):
        return 1e6 * x, np.ones_like(x)

    with pytest.raises(gt.InputError, match="more than 65536 nodes"):
        panels.adapted(transitions, NODES, EVERYWHERE, [], 1)
