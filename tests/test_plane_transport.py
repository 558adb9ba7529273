"""W2 in the plane from both sides: Gaussians, a shift, and products of lines."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gmm_testbed as gt
from gmm_testbed.divergences import closed_form
from gmm_testbed.divergences import grid as quadrature

D = gt.divergences
P = gt.GaussianMixture.full(
    [0.3, 0.7],
    [[0.0, 1.0], [1.5, -0.5]],
    [[[1.0, 0.3], [0.3, 0.5]], [[0.4, -0.1], [-0.1, 0.9]]],
)


@partial(jax.jit, static_argnums=(1, 2))
def gridded(mixture, rows=128, columns=144):
    x, y = jnp.linspace(-7.0, 8.0, rows), jnp.linspace(-8.0, 8.0, columns)
    points = jnp.stack(jnp.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    log_density = quadrature.over_points(mixture.log_prob, points)
    return D.PlaneDensity(x, y, log_density.reshape(rows, columns), jnp.zeros(()))


@pytest.mark.slow
def test_gaussians_have_closed_forms_on_both_sides():
    """Below exact; above the triangular map, whose matrix is that of Cholesky factors."""
    S, T = np.array([[1.2, 0.5], [0.5, 0.8]]), np.array([[0.6, -0.3], [-0.3, 1.1]])
    m, n = np.array([0.4, -0.3]), np.array([1.0, 0.5])
    q, p = (gt.GaussianMixture.full([1.0], [a], [b]) for a, b in ((m, S), (n, T)))
    found = D.w2_between(gridded(q, 42, 54), p)  # three nodes a standard deviation
    exact = closed_form.w2(*map(jnp.asarray, (m, S, n, T)))
    np.testing.assert_allclose(found.lower, exact, rtol=1e-9)
    costs = []
    for order in ([0, 1], [1, 0]):
        factors = [np.linalg.cholesky(c[np.ix_(order, order)]) for c in (S, T)]
        costs.append(((factors[0] - factors[1]) ** 2).sum() + ((m - n) ** 2).sum())
    assert abs(costs[0] - costs[1]) > 1e-3
    np.testing.assert_allclose(found.upper, np.sqrt(min(costs)), rtol=1e-6)
    assert float(found.upper) > 1.01 * float(exact)


@pytest.mark.slow
def test_a_shift_costs_its_length():
    shift = jnp.asarray([0.3, -0.4])
    found = D.w2_between(gridded(P.affine(jnp.eye(2), shift)), P)
    np.testing.assert_allclose(found, [0.5, 0.5], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("per_sd", "rtol"), [(5, 1e-3), (10, 1e-4)])
def test_products_cost_the_sum_of_their_lines(per_sd, rtol):
    """The triangular map of two products is the best one: above exact, below a bound."""
    variances = [0.5, 0.3], [0.3, 0.6]
    p, q = (
        gt.GaussianMixture.diagonal(weights, np.c_[means, [c, c]], np.c_[var, [s, s]])
        for weights, means, var, c, s in (
            ([0.3, 0.7], [0.0, 2.5], variances[0], 0.2, 0.8),
            ([0.6, 0.4], [0.8, 1.9], variances[1], -0.5, 0.3),
        )
    )
    x = np.linspace(-7.0, 9.0, 400_001)
    densities, masses = zip(*(line(mixture, x) for mixture in (q, p)), strict=True)
    moved = np.interp(masses[0], masses[1], x)
    first = np.trapezoid((moved - x) ** 2 * densities[0], x)
    second = 0.7**2 + (np.sqrt(0.8) - np.sqrt(0.3)) ** 2
    spacing = np.sqrt(0.3) / per_sd
    found = D.w2_between(gridded(q, round(15.0 / spacing)), p)
    np.testing.assert_allclose(found.upper, np.sqrt(first + second), rtol=rtol)
    assert 0.8 < float(found.lower / found.upper) < 0.999


def line(mixture, x):
    """Density and distribution function of the first coordinate, by SciPy."""
    laws = stats.norm(mixture.means[:, :1], np.sqrt(mixture.covariances()[:, :1, 0]))
    weights = np.exp(mixture.log_weights)
    return weights @ laws.pdf(x), weights @ laws.cdf(x)
