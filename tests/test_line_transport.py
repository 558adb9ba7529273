"""Wasserstein distances of laws on the line, against quantiles and closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr

from gmm_testbed import GaussianMixture, InputError
from gmm_testbed.divergences import LineDensity, closed_form, w1, w2, w2_squared

coarse = functools.partial(pytest.param, marks=pytest.mark.slow)  # of nodes

LAW = np.array([0.3, 0.5, 0.2]), np.array([-2.0, 1.0, 3.5]), np.array([1.0, 1.3, 0.8])
OTHER = np.array([0.4, 0.6]), np.array([-1.0, 2.2]), np.array([1.2, 0.9])
APART = np.array([0.35, 0.65]), np.array([-6.0, 5.0]), np.array([0.9, 1.1])
GAUSSIAN = np.array([1.0]), np.array([0.3]), np.array([0.9])
LOWER, UPPER = -15.0, 15.0
ATOMS = np.array([-1.3, 2.2, 0.4]), np.array([0.25, 0.3, 0.45])


def mixture(parts):
    weights, means, scales = parts
    return GaussianMixture.isotropic(weights, means[:, None], scales**2)


def over_components(function, parts, x):
    """Weighted sum over components of a function of (x, mean, scale), x of any shape."""
    weights, means, scales = parts
    return function(np.asarray(x)[..., None], means, scales) @ weights


def cdf(parts, x):
    return over_components(lambda x, m, s: ndtr((x - m) / s), parts, x)


def crossing(increasing, shape, reach=60.0):
    """Where increasing functions of one variable become positive, by bisection."""
    low, high = np.full(shape, -reach), np.full(shape, reach)
    for _ in range(60):
        middle = (low + high) / 2
        above = increasing(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return low


def quantile(parts, level):
    level = np.asarray(level)
    return crossing(lambda x: cdf(parts, x) - level, level.shape)


def on_grid(parts, nodes_per_deviation, lost=0.0):
    law, finest = mixture(parts), 0.8
    count = int(np.ceil((UPPER - LOWER) * nodes_per_deviation / finest)) + 1
    x = jnp.linspace(LOWER, UPPER, count)
    log_density = jax.vmap(law.log_prob)(x[:, None]) + jnp.log(1 - lost)
    return LineDensity.uniform(LOWER, UPPER, log_density, lost)


def between_crossings(function, crossings):
    """Integral of |function|, whose sign changes only at `crossings`."""
    ends = [LOWER - 3, *sorted(crossings), UPPER + 3]
    return sum(
        abs(quad(function, a, b, epsabs=1e-13, epsrel=1e-12, limit=400)[0])
        for a, b in zip(ends[:-1], ends[1:], strict=True)
    )


def first_distance(q, p):
    def gap(x):
        return cdf(q, x) - cdf(p, x)

    x = np.linspace(-9, 9, 2001)
    gaps = gap(x)
    places = np.flatnonzero((gaps[:-1] * gaps[1:] < 0) & (np.abs(gaps[:-1]) > 1e-12))
    crossings = [brentq(gap, x[i], x[i + 1], xtol=1e-13) for i in places]
    return between_crossings(gap, crossings)


def second_distance_squared(q, p):
    """Along the coupling, in the sum of the two places: neither then moves too fast."""
    sums = np.linspace(-24, 24, 1601)
    x = crossing(lambda y: cdf(q, y) - cdf(p, sums - y), sums.shape)
    z = sums - x
    f = over_components(stats.norm.pdf, q, x)
    g = over_components(stats.norm.pdf, p, z)
    rate = f * g / np.where(f + g > 0, f + g, 1.0)
    return np.sum((x - z) ** 2 * rate) * (sums[1] - sums[0])


@pytest.mark.float32
@pytest.mark.parametrize("nodes", [coarse(1.5), 3])
@pytest.mark.slow
def test_w2_between_gaussians_is_the_closed_form(nodes, tolerance):
    target = np.array([1.0]), np.array([-0.4]), np.array([1.4])
    expected = np.sqrt(0.7**2 + 0.5**2)
    rtol = max(tolerance.quadrature, 2e-6 if nodes < 3 else 1e-9)
    assert np.isclose(
        w2(on_grid(GAUSSIAN, nodes), mixture(target)), expected, rtol=rtol
    )
    squared = w2_squared(on_grid(GAUSSIAN, nodes), mixture(target))
    assert np.isclose(squared, expected**2, rtol=2 * rtol)


def test_w2_agrees_with_the_matrix_formula():
    target = np.array([1.0]), np.array([-0.4]), np.array([1.4])
    matrices = [
        (jnp.asarray(m), jnp.asarray(np.diag(s**2))) for _, m, s in (GAUSSIAN, target)
    ]
    expected = closed_form.w2(*matrices[0], *matrices[1])
    assert np.isclose(w2(on_grid(GAUSSIAN, 3), mixture(target)), expected, rtol=1e-9)


@pytest.mark.float32
@pytest.mark.slow
def test_w1_of_a_shift_is_the_shift(tolerance):
    shifted = LAW[0], LAW[1] + 0.7, LAW[2]
    law = on_grid(LAW, 3)
    assert np.isclose(w1(law, mixture(shifted)), 0.7, rtol=tolerance.quadrature)
    assert np.isclose(w2(law, mixture(shifted)), 0.7, rtol=tolerance.quadrature)


@pytest.mark.parametrize(("nodes", "atol"), [coarse(1.5, 1e-6), (3, 1e-8)])
@pytest.mark.parametrize(
    ("law", "target"), [(LAW, OTHER), (OTHER, LAW), (GAUSSIAN, APART)]
)
@pytest.mark.slow
def test_w1_is_the_integral(law, target, nodes, atol):
    found = w1(on_grid(law, nodes), mixture(target))
    assert abs(found - first_distance(law, target)) < atol


@pytest.mark.parametrize(
    ("law", "target"), [(LAW, OTHER), (OTHER, LAW), (GAUSSIAN, APART)]
)
@pytest.mark.slow
def test_w2_is_the_distance_of_the_quantiles(law, target):
    expected = np.sqrt(second_distance_squared(law, target))
    for nodes, atol in ((1.5, 1e-6), (3, 1e-8)):
        assert abs(w2(on_grid(law, nodes), mixture(target)) - expected) < atol


def test_the_oracle_of_w2_is_the_integral_over_levels():
    # The definition: the mean over levels of the squared distance of the quantiles.
    levels = (np.arange(20000) + 0.5) / 20000
    squares = (quantile(LAW, levels) - quantile(OTHER, levels)) ** 2
    expected = second_distance_squared(LAW, OTHER)
    assert np.isclose(np.mean(squares), expected, rtol=1e-4)


def test_the_law_itself_is_at_the_floor():
    law, same = on_grid(LAW, 3), mixture(LAW)
    assert w1(law, same) < 1e-9
    assert w2(law, same) < 1e-9


def test_small_distances_are_resolved():
    # A shift of 1e-6: a squared distance of 1e-12 is no rounding.
    shifted = LAW[0], LAW[1] + 1e-6, LAW[2]
    assert np.isclose(w2(on_grid(LAW, 3), mixture(shifted)), 1e-6, rtol=1e-5)


@pytest.mark.slow
def test_a_mixture_narrower_than_the_grid_is_still_coupled_well():
    narrow = mixture((ATOMS[1], ATOMS[0], np.full(3, 0.02)))
    coarse, fine = on_grid(GAUSSIAN, 3), on_grid(GAUSSIAN, 12)
    assert abs(w2(coarse, narrow) - w2(fine, narrow)) < 1e-6
    assert abs(w1(coarse, narrow) - w1(fine, narrow)) < 1e-4


# --- atoms --------------------------------------------------------------------------


@pytest.mark.slow
def test_w2_from_one_atom_is_the_root_mean_square():
    atom = GaussianMixture.empirical(np.array([[1.1]]))
    law = mixture(LAW)
    expected = np.sqrt(law.total_variance() + (law.mean()[0] - 1.1) ** 2)
    assert np.isclose(w2(on_grid(LAW, 3), atom), expected, rtol=1e-9)
    total = first_distance(LAW, (np.ones(1), np.array([1.1]), np.array([1e-9])))
    assert np.isclose(w1(on_grid(LAW, 3), atom), total, rtol=1e-7)


@pytest.mark.parametrize(("nodes", "atol"), [coarse(1.5, 2e-6), (3, 1e-9)])
def test_w2_from_atoms_is_exact_atom_by_atom(nodes, atol):
    places, weights = ATOMS
    atoms = GaussianMixture.empirical(places[:, None], weights)
    order = np.argsort(places)
    levels = np.cumsum(weights[order])[:-1]
    cuts = [-12.0, *(quantile(LAW, level) for level in levels), 12.0]

    def cost(place, low, high):
        def integrand(x):
            return (x - place) ** 2 * (LAW[0] @ stats.norm.pdf(x, *LAW[1:]))

        return quad(integrand, low, high, epsabs=1e-14, epsrel=1e-12)[0]

    expected = sum(
        cost(place, low, high)
        for place, low, high in zip(places[order], cuts[:-1], cuts[1:], strict=True)
    )
    assert abs(w2(on_grid(LAW, nodes), atoms) - np.sqrt(expected)) < atol


@pytest.mark.parametrize(("nodes", "atol"), [coarse(1.5, 2e-6), (3, 1e-9)])
def test_w1_from_atoms_is_the_integral(nodes, atol):
    places, weights = ATOMS
    atoms = GaussianMixture.empirical(places[:, None], weights)

    def gap(x):
        return cdf(LAW, x) - weights[places <= x].sum()

    levels = np.cumsum(weights[np.argsort(places)])[:-1]
    kinks = [*places, *(quantile(LAW, level) for level in levels)]
    expected = between_crossings(gap, kinks)
    assert abs(w1(on_grid(LAW, nodes), atoms) - expected) < atol


def test_an_atom_outside_the_grid_is_reached():
    atoms = GaussianMixture.empirical(np.array([[40.0], [-25.0]]))
    law = mixture(LAW)
    # The upper half of the law goes to 40 and the lower half to -25.
    half = quantile(LAW, 0.5)
    upper = sum(
        w * (m * stats.norm.sf(half, m, s) + s**2 * stats.norm.pdf(half, m, s))
        for w, m, s in zip(*LAW, strict=True)
    )
    lower = law.mean()[0] - upper
    expected = (20.0 - upper) + (lower + 12.5)
    assert np.isclose(w1(on_grid(LAW, 3), atoms), expected, rtol=1e-9)


def test_atoms_beside_densities_are_refused():
    mixed = GaussianMixture.full([0.5, 0.5], [[0.0], [1.0]], [[[0.0]], [[1.0]]])
    for distance in (w1, w2):
        with pytest.raises(InputError, match="1 components of zero variance"):
            distance(on_grid(LAW, 1.5), mixed)


# --- escaped mass -------------------------------------------------------------------


def ends_and_law(lost):
    """The stand-in of a law that lost mass: atoms at the ends of the grid."""

    def level(x):
        return (
            lost / 2 * (x >= LOWER) + lost / 2 * (x >= UPPER) + (1 - lost) * cdf(LAW, x)
        )

    return level


def test_w1_of_an_escaped_law_has_its_mass_at_the_ends():
    lost, target = 0.08, OTHER
    level = ends_and_law(lost)

    def gap(x):
        return level(x) - cdf(target, x)

    x = np.linspace(LOWER, UPPER, 4001)[1:-1]
    gaps = np.array([gap(y) for y in x])
    places = np.flatnonzero(gaps[:-1] * gaps[1:] < 0)
    crossings = [brentq(gap, x[i], x[i + 1], xtol=1e-13) for i in places]
    expected = between_crossings(gap, [LOWER, UPPER, *crossings])
    found = w1(on_grid(LAW, 3, lost=lost), mixture(target))
    assert np.isclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("atomic", [False, True])
def test_w2_of_an_escaped_law_has_its_mass_at_the_ends(atomic):
    lost = 0.08
    levels = (np.arange(20000) + 0.5) / 20000
    place = quantile(LAW, np.clip((levels - lost / 2) / (1 - lost), 1e-9, 1 - 1e-9))
    place = np.where(levels < lost / 2, LOWER, place)
    place = np.where(levels > 1 - lost / 2, UPPER, place)
    if atomic:
        target = GaussianMixture.empirical(ATOMS[0][:, None], ATOMS[1])
        order = np.argsort(ATOMS[0])
        steps = np.cumsum(ATOMS[1][order])
        partner = ATOMS[0][order][np.searchsorted(steps, levels)]
    else:
        target, partner = mixture(OTHER), quantile(OTHER, levels)
    found = w2_squared(on_grid(LAW, 3, lost=lost), target)
    assert np.isclose(found, np.mean((place - partner) ** 2), rtol=1e-4)


def test_the_mixture_outside_the_grid_is_reached():
    # An eighth of the mixture lies beyond the grid.
    weights, means, scales = np.array([0.875, 0.125]), np.array([0.3, 25.0]), [0.9, 1.1]
    target = weights, means, np.array(scales)
    law = on_grid(GAUSSIAN, 3)
    assert abs(w1(law, mixture(target)) - first_distance_wide(GAUSSIAN, target)) < 1e-8


def first_distance_wide(q, p):
    """Where the mixture is to the right of the law everywhere: difference of means."""
    return p[0] @ p[1] - q[0] @ q[1]


@pytest.mark.slow
def test_distances_compile():
    law, target = on_grid(LAW, 1.5), mixture(OTHER)
    for distance in (w1, w2):
        assert np.isclose(
            jax.jit(distance)(law, target), distance(law, target), rtol=1e-9
        )
