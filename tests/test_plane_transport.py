"""W2 in the plane from both sides: Gaussians, a shift, and samples matched one by one."""

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt
from gmm_testbed.divergences import closed_form, quadrature

D = gt.divergences
P = gt.GaussianMixture.full(
    [0.3, 0.7],
    [[0.0, 1.0], [1.5, -0.5]],
    [[[1.0, 0.3], [0.3, 0.5]], [[0.4, -0.1], [-0.1, 0.9]]],
)


@jax.jit
def gridded(mixture):
    x, y = jnp.linspace(-7.0, 8.0, 128), jnp.linspace(-8.0, 8.0, 144)
    points = jnp.stack(jnp.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    log_density = quadrature.over_points(mixture.log_prob, points)
    return D.PlaneDensity(x, y, log_density.reshape(128, 144), jnp.zeros(()))


def test_gaussians_have_closed_forms_on_both_sides():
    """Below exact; above the triangular map, whose matrix is that of Cholesky factors."""
    S, T = np.array([[1.2, 0.5], [0.5, 0.8]]), np.array([[0.6, -0.3], [-0.3, 1.1]])
    m, n = np.array([0.4, -0.3]), np.array([1.0, 0.5])
    q, p = (gt.GaussianMixture.full([1.0], [a], [b]) for a, b in ((m, S), (n, T)))
    found = D.w2_between(gridded(q), p)
    exact = closed_form.w2(*map(jnp.asarray, (m, S, n, T)))
    np.testing.assert_allclose(found.lower, exact, rtol=1e-9)
    costs = []
    for order in ([0, 1], [1, 0]):
        factors = [np.linalg.cholesky(c[np.ix_(order, order)]) for c in (S, T)]
        costs.append(((factors[0] - factors[1]) ** 2).sum() + ((m - n) ** 2).sum())
    assert abs(costs[0] - costs[1]) > 1e-3
    np.testing.assert_allclose(found.upper, np.sqrt(min(costs)), rtol=1e-8)
    assert float(found.upper) > 1.01 * float(exact)


def test_a_shift_costs_its_length():
    shift = jnp.asarray([0.3, -0.4])
    found = D.w2_between(gridded(P.affine(jnp.eye(2), shift)), P)
    np.testing.assert_allclose(found, [0.5, 0.5], rtol=1e-6)


def test_mixtures_lie_between_their_bounds(key):
    """W2 by assignment of 1500 samples, which is too large by its own floor."""
    moved = gt.GaussianMixture.full(
        [0.6, 0.4], P.means + jnp.asarray([[0.8, 0.0], [0.0, -0.6]]), P.covariances()
    )
    found = D.w2_between(gridded(moved), P)
    keys = jax.random.split(key, 2)
    x, z = moved.sample(keys[0], 4500), P.sample(keys[1], 4500)
    squared = D.w2_squared_by_assignment(x, z, batch_size=1500)
    assert 0.3 < float(found.lower) < float(found.upper) < 1.6 * float(found.lower)
    assert float(found.lower) ** 2 < float(squared.value) + 4.5 * float(squared.stderr)
    floor = D.w2_squared_by_assignment(P.sample(key, 4500), z, batch_size=1500)
    slack = 4.5 * float(squared.stderr) + 2 * float(found.upper * jnp.sqrt(floor.value))
    assert float(squared.value) < float(found.upper) ** 2 + slack + float(floor.value)
