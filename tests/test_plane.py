"""Laws in the plane, against closed forms between Gaussians and products of lines."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gmm_testbed import GaussianMixture, InputError
from gmm_testbed.divergences import (
    LineDensity,
    PlaneDensity,
    closed_form,
    covariance,
    fisher,
    kl_from,
    kl_to,
    mass,
    mean,
    resolution_error,
    tv,
    variance,
)

LAW = np.array([[0.3, -0.2]]), np.array([[[1.3, 0.4], [0.4, 0.8]]])
OTHER = np.array([[-0.4, 0.5]]), np.array([[[1.0, -0.3], [-0.3, 1.6]]])
MEANS = np.array([[-2.0, 0.5], [2.0, -0.3]])
COVARIANCES = np.array([LAW[1][0], OTHER[1][0]])
FINEST = np.sqrt(np.linalg.eigvalsh(COVARIANCES).min())


def gaussian(parts):
    return GaussianMixture.full([1.0], *parts)


def two_modes(weights=(0.4, 0.6), shift=0.0):
    return GaussianMixture.full(weights, MEANS + np.array([shift, 0.0]), COVARIANCES)


def on_grid(mixture, nodes_per_deviation=2.0, lost=0.0):
    """The law on a grid with unequal sides and numbers of nodes."""
    count = int(np.ceil(22 * nodes_per_deviation / FINEST))
    x, y = jnp.linspace(-11.0, 11.3, count), jnp.linspace(-10.5, 11.5, count + 3)
    points = jnp.stack(jnp.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    log_density = jax.vmap(mixture.log_prob)(points).reshape(count, count + 3)
    return PlaneDensity(x, y, log_density + jnp.log(1 - lost), lost)


@pytest.mark.slow
def test_moments_are_those_of_the_mixture():
    law, truth = on_grid(two_modes()), two_modes()
    assert np.isclose(mass(law), 1, rtol=1e-9)
    assert np.allclose(mean(law), truth.mean(), rtol=1e-9)
    assert np.allclose(covariance(law), truth.covariance(), rtol=1e-9)
    assert np.isclose(variance(law), truth.total_variance(), rtol=1e-9)


def test_expectation_is_over_points_of_the_plane():
    law, truth = on_grid(two_modes()), two_modes()
    found = law.expectation(lambda x: x[0] * x[1])
    second = truth.covariance()[0, 1] + truth.mean()[0] * truth.mean()[1]
    assert np.isclose(found, second, rtol=1e-9)


@pytest.mark.float32
def test_gaussians_have_their_closed_forms(tolerance):
    law, target = on_grid(gaussian(LAW)), gaussian(OTHER)
    q, p = [tuple(jnp.asarray(a[0]) for a in parts) for parts in (LAW, OTHER)]
    rtol = tolerance.quadrature * 1e-3
    assert np.isclose(kl_to(law, target), closed_form.kl(*q, *p), rtol=rtol)
    assert np.isclose(kl_from(law, target), closed_form.kl(*p, *q), rtol=rtol)
    assert np.isclose(fisher(law, target), closed_form.fisher(*q, *p), rtol=rtol)


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [1.5, 3.0])
def test_tv_of_equal_covariances_is_the_known_formula(nodes):
    shift = np.array([0.7, -1.1])
    target = gaussian((LAW[0] + shift, LAW[1]))
    distance = np.sqrt(shift @ np.linalg.solve(LAW[1][0], shift))
    expected = 2 * stats.norm.cdf(distance / 2) - 1
    assert abs(tv(on_grid(gaussian(LAW), nodes), target) - expected) < 2e-6


def test_tv_of_nested_circles_is_the_known_formula():
    # Where the curve q = p is closed, it touches rows above and below.
    inner, outer = 1.0, 1.5
    law = on_grid(GaussianMixture.isotropic([1.0], [[0.3, -0.2]], inner), 2.0)
    target = GaussianMixture.isotropic([1.0], [[0.3, -0.2]], outer)
    radius = 2 * np.log(outer / inner) / (1 / inner - 1 / outer)  # squared
    expected = np.exp(-radius / 2 / outer) - np.exp(-radius / 2 / inner)
    assert abs(tv(law, target) - expected) < 2e-6


@pytest.mark.slow
def test_divergences_of_products_are_those_of_the_factors():
    """A law that differs along one axis only: the line knows the answer."""
    weights, scale = np.array([0.4, 0.6]), np.array([0.8, 1.1])

    def product(means):
        diagonal = np.stack([scale**2, np.array([1.3, 1.3])], axis=1)
        full = np.stack([means, np.array([0.2, 0.2])], axis=1)
        line = GaussianMixture.isotropic(weights, means[:, None], scale**2)
        return GaussianMixture.diagonal(weights, full, diagonal), line

    law, line = product(np.array([-1.5, 1.7]))
    target, line_target = product(np.array([-1.0, 1.1]))
    x = jnp.linspace(-12.0, 12.0, 121)
    on_line = LineDensity.uniform(-12, 12, jax.vmap(line.log_prob)(x[:, None]))
    for divergence, atol in (
        (kl_to, 1e-8),
        (kl_from, 1e-8),
        (fisher, 1e-7),
        (tv, 1e-6),
    ):
        found = divergence(on_grid(law, 3.0), target)
        assert abs(found - divergence(on_line, line_target)) < atol


def test_kl_has_a_direction():
    law, target = on_grid(two_modes()), two_modes((0.7, 0.3), 0.5)
    assert abs(kl_to(law, target) - kl_from(law, target)) > 0.01


@pytest.mark.slow
def test_the_law_itself_is_at_the_floor():
    law, same = on_grid(two_modes(), 3.0), two_modes()
    assert abs(kl_to(law, same)) < 1e-12
    assert tv(law, same) < 1e-12
    assert fisher(law, same) < 1e-8  # the root of the density is smooth to this


@pytest.mark.slow
def test_escaped_mass_is_counted():
    law, same = on_grid(two_modes(), lost=0.1), two_modes()
    assert np.isclose(mass(law), 0.9, rtol=1e-9)
    assert np.isclose(tv(law, same), 0.1, rtol=1e-6)
    log_outside = law.log_outside(same)
    expected = 0.9 * np.log(0.9) + 0.1 * (np.log(0.1) - log_outside)
    assert np.isclose(kl_to(law, same), expected, rtol=1e-9)


def test_mass_outside_is_bounded_by_the_four_half_planes():
    law = on_grid(gaussian(LAW))
    far = GaussianMixture.full([1.0], [[8.0, 1.0]], LAW[1])
    (mean_x, mean_y), (var_x, var_y) = (8.0, 1.0), np.diag(LAW[1][0])
    sides = [
        stats.norm.sf((11.3 - mean_x) / np.sqrt(var_x)),
        stats.norm.sf((11 + mean_x) / np.sqrt(var_x)),
        stats.norm.sf((11.5 - mean_y) / np.sqrt(var_y)),
        stats.norm.sf((10.5 + mean_y) / np.sqrt(var_y)),
    ]
    assert np.isclose(law.log_outside(far), np.log(sum(sides)), rtol=1e-9)
    assert kl_from(law, far) == jnp.inf


def test_mass_of_the_mixture_outside_counts_in_tv_by_half():
    # A tenth of the mixture is far outside; on the grid it is the law times 0.9.
    means = np.concatenate([LAW[0], [[60.0, 3.0]]])
    split = GaussianMixture.full([0.9, 0.1], means, np.repeat(LAW[1], 2, axis=0))
    assert np.isclose(tv(on_grid(gaussian(LAW)), split), 0.1, rtol=1e-9)


def test_resolution_error_tells_a_mixture_that_is_too_narrow():
    law = on_grid(gaussian(LAW))
    assert resolution_error(law, gaussian(OTHER)) < 1e-12
    assert resolution_error(law, gaussian((OTHER[0], OTHER[1] / 400))) > 1e-2


def test_atoms_are_infinitely_far():
    atoms = GaussianMixture.empirical(np.array([[0.3, 1.0], [1.2, 0.1]]))
    law = on_grid(gaussian(LAW))
    assert kl_to(law, atoms) == kl_from(law, atoms) == jnp.inf
    assert tv(law, atoms) == 1.0


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log_density": np.zeros((12, 9))}, "do not fit"),
        ({"x": np.arange(12.0) ** 2}, "x is not a uniform grid"),
        ({"y": -np.arange(10.0)}, "y is not a uniform grid"),
    ],
)
def test_what_is_no_density_is_refused(change, message):
    arguments = {
        "x": np.arange(12.0),
        "y": np.arange(10.0),
        "log_density": np.zeros((12, 10)),
        "escaped_mass": 0.0,
    }
    with pytest.raises(InputError, match=message):
        PlaneDensity(**{**arguments, **change})
