"""Laws on the line: moments, KL, TV and Fisher against the integrals of SciPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq

from gmm_testbed import GaussianMixture, InputError
from gmm_testbed.divergences import (
    LineDensity,
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

coarse = functools.partial(pytest.param, marks=pytest.mark.slow)  # of nodes

LAW = np.array([0.3, 0.5, 0.2]), np.array([-2.0, 1.0, 3.5]), np.array([1.0, 1.3, 0.8])
OTHER = np.array([0.4, 0.6]), np.array([-1.0, 2.2]), np.array([1.2, 0.9])
GAUSSIAN = np.array([1.0]), np.array([0.3]), np.array([0.9])
LOWER, UPPER = -14.0, 15.0
BREAKS = [-4, -2, -0.5, 1, 2.5, 3.5, 5]


def mixture(parts):
    weights, means, scales = parts
    return GaussianMixture.isotropic(weights, means[:, None], scales**2)


def logpdf(parts, x):
    weights, means, scales = parts
    return np.logaddexp.reduce(np.log(weights) + stats.norm.logpdf(x, means, scales))


def pdf(parts, x):
    return np.exp(logpdf(parts, x))


def cdf(parts, x):
    weights, means, scales = parts
    return weights @ stats.norm.cdf(x, means, scales)


def score(parts, x):
    weights, means, scales = parts
    shares = weights * stats.norm.pdf(x, means, scales)
    return shares @ ((means - x) / scales**2) / shares.sum()


def on_grid(parts, nodes_per_deviation, lower=LOWER, upper=UPPER, lost=0.0):
    """The law on a uniform grid; `lost` is the mass that left it."""
    law, finest = mixture(parts), 0.8
    count = int(np.ceil((upper - lower) * nodes_per_deviation / finest)) + 1
    x = jnp.linspace(lower, upper, count)
    log_density = jax.vmap(law.log_prob)(x[:, None]) + jnp.log(1 - lost)
    return LineDensity.uniform(lower, upper, log_density, lost)


def stretched(parts, nodes):
    """The law on a grid that is finest near 1."""
    u = np.linspace(-1, 1, nodes)
    position = 1 + 15 * np.sinh(2 * u) / np.sinh(2)
    jacobian = 30 * np.cosh(2 * u) / np.sinh(2)
    log_density = [logpdf(parts, x) for x in position]
    return LineDensity(position, jacobian, u[1] - u[0], log_density, 0.0)


def integral(function, *points):
    return quad(
        function,
        LOWER,
        UPPER,
        points=[*BREAKS, *points],
        epsabs=1e-13,
        epsrel=1e-12,
        limit=400,
    )[0]


def relative_entropy(q, p):
    return integral(lambda x: pdf(q, x) * (logpdf(q, x) - logpdf(p, x)))


def total_variation(q, p):
    """From the crossings of the densities, so that no integral has a kink."""
    x = np.linspace(LOWER, UPPER, 4001)
    sign = np.sign([pdf(q, y) - pdf(p, y) for y in x])
    roots = [
        brentq(lambda y: pdf(q, y) - pdf(p, y), x[i], x[i + 1], xtol=1e-13)
        for i in np.flatnonzero(sign[:-1] * sign[1:] < 0)
    ]
    gaps = [cdf(q, y) - cdf(p, y) for y in [-np.inf, *roots, np.inf]]
    return 0.5 * np.sum(np.abs(np.diff(gaps)))


# --- what it is ---------------------------------------------------------------------


@pytest.mark.parametrize("law", [on_grid(LAW, 1.5), stretched(LAW, 91)])
def test_moments_are_those_of_the_mixture(law):
    truth = mixture(LAW)
    assert np.isclose(mass(law), 1, rtol=1e-9)
    assert np.allclose(mean(law), truth.mean(), rtol=1e-9)
    assert np.allclose(covariance(law), truth.covariance(), rtol=1e-9)
    assert np.isclose(variance(law), truth.total_variance(), rtol=1e-9)


def test_moments_are_given_the_grid_and_the_mass_is_not_renormalised():
    law = on_grid(LAW, 3, lost=0.2)
    assert np.isclose(mass(law), 0.8, rtol=1e-9)
    assert np.allclose(mean(law), mixture(LAW).mean(), rtol=1e-9)
    assert np.isclose(variance(law), mixture(LAW).total_variance(), rtol=1e-9)
    assert np.isclose(law.expectation(lambda x: jnp.ones(())), 0.8, rtol=1e-9)


def test_expectation_takes_trees_and_the_mixture_has_the_same_sum():
    law, other = on_grid(LAW, 3), mixture(OTHER)

    def moments(x):
        return {"first": x, "square": x[0] ** 2}

    found = law.expectation(moments)
    truth = mixture(LAW)
    square = truth.covariance()[0, 0] + truth.mean()[0] ** 2
    assert np.allclose(found["first"], truth.mean(), rtol=1e-9)
    assert np.isclose(found["square"], square, rtol=1e-9)
    under = law.expectation_under(other, moments)
    assert np.allclose(under["first"], other.mean(), rtol=1e-9)


def test_resolution_error_tells_a_mixture_that_is_too_narrow_for_the_grid():
    law = on_grid(LAW, 1.5)
    assert resolution_error(law, mixture(OTHER)) < 1e-12
    narrow = OTHER[0], OTHER[1], np.array([1.2, 0.05])
    assert resolution_error(law, mixture(narrow)) > 1e-2


# --- divergences --------------------------------------------------------------------


@pytest.mark.float32
@pytest.mark.parametrize("nodes", [coarse(1.5), 3])
@pytest.mark.slow
def test_gaussians_have_their_closed_forms(nodes, tolerance):
    law = on_grid(GAUSSIAN, nodes)
    target = np.array([1.0]), np.array([-0.4]), np.array([1.4])
    parameters = [(np.array(m), np.diag(s**2)) for _, m, s in (GAUSSIAN, target)]
    q, p = [tuple(map(jnp.asarray, pair)) for pair in parameters]
    rtol = max(tolerance.quadrature, 2e-6 if nodes < 3 else 0)
    assert np.isclose(kl_to(law, mixture(target)), closed_form.kl(*q, *p), rtol=rtol)
    assert np.isclose(kl_from(law, mixture(target)), closed_form.kl(*p, *q), rtol=rtol)
    assert np.isclose(tv(law, mixture(target)), closed_form.tv(*q, *p), rtol=rtol)
    found = fisher(law, mixture(target))
    assert np.isclose(found, closed_form.fisher(*q, *p), rtol=rtol)


@pytest.mark.parametrize(("nodes", "atol"), [coarse(1.5, 2e-6), (3, 1e-8), (5, 1e-10)])
def test_kl_both_ways_is_the_integral(nodes, atol):
    law, target = on_grid(LAW, nodes), mixture(OTHER)
    forward, backward = relative_entropy(LAW, OTHER), relative_entropy(OTHER, LAW)
    assert abs(forward - backward) > 0.01
    assert abs(kl_to(law, target) - forward) < atol
    assert abs(kl_from(law, target) - backward) < atol


@pytest.mark.parametrize(("nodes", "atol"), [coarse(1.5, 1e-6), (3, 1e-8)])
@pytest.mark.parametrize(("law", "target"), [(LAW, OTHER), (OTHER, LAW)])
def test_tv_is_the_integral(law, target, nodes, atol):
    found = tv(on_grid(law, nodes), mixture(target))
    assert abs(found - total_variation(law, target)) < atol


@pytest.mark.parametrize(("nodes", "atol"), [coarse(1.5, 1e-4), (3, 1e-8), (5, 1e-10)])
def test_fisher_is_the_integral(nodes, atol):
    def integrand(x):
        return pdf(LAW, x) * (score(LAW, x) - score(OTHER, x)) ** 2

    found = fisher(on_grid(LAW, nodes), mixture(OTHER))
    assert abs(found - integral(integrand)) < atol


@pytest.mark.slow
def test_a_stretched_grid_gives_the_same():
    law, target = stretched(LAW, 161), mixture(OTHER)
    plain = on_grid(LAW, 5)
    for divergence in (kl_to, kl_from, tv, fisher):
        assert np.isclose(divergence(law, target), divergence(plain, target), rtol=1e-7)


def test_the_law_itself_is_at_the_floor():
    law, same = on_grid(LAW, 3), mixture(LAW)
    assert abs(kl_to(law, same)) < 1e-14
    assert abs(kl_from(law, same)) < 1e-14
    assert tv(law, same) < 1e-12
    assert fisher(law, same) < 1e-12


def test_tv_of_a_mode_that_falls_between_the_nodes_is_close_and_below_one():
    narrow = np.array([0.4, 0.6]), np.array([-1.0, 2.2]), np.array([1e-3, 2e-3])
    found = tv(on_grid(LAW, 3), mixture(narrow))
    assert 0.99 < found <= 1
    assert abs(found - total_variation(LAW, narrow)) < 5e-3


# --- tails, and what is outside -----------------------------------------------------


def test_kl_from_counts_tails_of_log_density_minus_2000():
    x = jnp.linspace(-10.0, 75.0, 341)
    law = LineDensity.uniform(-10, 75, jax.vmap(mixture(GAUSSIAN).log_prob)(x[:, None]))
    far = np.array([1.0]), np.array([62.0]), np.array([0.9])
    expected = 0.5 * (62 - 0.3) ** 2 / 0.9**2  # equal variances
    assert np.isclose(kl_from(law, mixture(far)), expected, rtol=1e-9)
    assert np.isclose(kl_to(law, mixture(far)), expected, rtol=1e-9)


def test_kl_from_is_infinite_where_the_mixture_has_mass_outside():
    def law(reach):
        return on_grid(GAUSSIAN, 4, lower=0.3 - reach, upper=0.3 + reach)

    same = mixture(GAUSSIAN)  # P(|z| > 7) = 2.6e-12, P(|z| > 7.2) = 6e-13
    assert kl_from(law(7.0 * 0.9), same) == jnp.inf
    assert abs(kl_from(law(7.2 * 0.9), same)) < 1e-11


def test_kl_where_the_law_has_no_density():
    law = on_grid(LAW, 3)
    empty = jnp.where(law.position > 2.0, -jnp.inf, law.log_density)
    law = LineDensity(law.position, law.jacobian, law.spacing, empty, 0.0)
    assert kl_from(law, mixture(OTHER)) == jnp.inf
    assert jnp.isfinite(kl_to(law, mixture(OTHER)))


def test_escaped_mass_counts_in_tv_by_half():
    law, same = on_grid(LAW, 3, lost=0.1), mixture(LAW)
    assert np.isclose(tv(law, same), 0.1, rtol=1e-9)
    unknown = LineDensity(
        law.position, law.jacobian, law.spacing, law.log_density, jnp.asarray(0.0)
    )
    assert np.isclose(tv(unknown, same), 0.05, rtol=1e-9)


def test_mass_of_the_mixture_outside_counts_in_tv_by_half():
    law = on_grid(GAUSSIAN, 3)
    target = (
        np.array([0.8, 0.2]),
        np.array([0.3, 30.0]),
        np.array([0.9, 1.0]),
    )  # the grid ends at 15
    assert np.isclose(tv(law, mixture(target)), 0.2, rtol=1e-9)


def test_escaped_mass_adds_its_own_divergence_to_kl():
    # The law is the mixture on the grid times 0.9; outside, 0.1 against P(outside).
    law = on_grid(GAUSSIAN, 4, lower=0.3 - 7.2, upper=0.3 + 7.2, lost=0.1)
    log_outside = np.log(2) + stats.norm.logsf(8.0)
    expected = 0.9 * np.log(0.9) + 0.1 * (np.log(0.1) - log_outside)
    assert np.isclose(kl_to(law, mixture(GAUSSIAN)), expected, rtol=1e-9)


def test_rounding_of_the_escaped_mass_counts_as_none():
    law = on_grid(LAW, 3)
    for rounding in (3e-15, -3e-15):
        near = LineDensity(
            law.position, law.jacobian, law.spacing, law.log_density, rounding
        )
        assert kl_to(near, mixture(OTHER)) == kl_to(law, mixture(OTHER))
        assert tv(near, mixture(OTHER)) == tv(law, mixture(OTHER))


def test_atoms_are_infinitely_far():
    atoms = GaussianMixture.empirical(np.array([[0.3], [1.2]]))
    law = on_grid(LAW, 1.5)
    assert kl_to(law, atoms) == jnp.inf
    assert kl_from(law, atoms) == jnp.inf
    assert tv(law, atoms) == 1.0
    with pytest.raises(InputError, match="no density"):
        fisher(law, atoms)


# --- use ----------------------------------------------------------------------------


@pytest.mark.slow
def test_every_divergence_compiles_and_maps_over_laws():
    law, target = on_grid(LAW, 1.5), mixture(OTHER)
    shifts = jnp.asarray([0.0, 0.4])

    def shifted(shift):
        return LineDensity(
            law.position + shift, law.jacobian, law.spacing, law.log_density, 0.0
        )

    for divergence in (kl_to, kl_from, tv, fisher):
        many = jax.jit(jax.vmap(lambda s, f=divergence: f(shifted(s), target)))(shifts)
        one = divergence(shifted(shifts[1]), target)
        assert np.isclose(many[1], one, rtol=1e-9)
        assert not np.isclose(many[0], one, rtol=1e-3)


def test_a_second_law_of_the_same_size_compiles_nothing():
    traces = []

    @jax.jit
    def counted(law, target):
        traces.append(None)
        return tv(law, target)

    first = counted(on_grid(LAW, 1.5), mixture(OTHER))
    second = counted(on_grid(OTHER, 1.5), mixture(OTHER))
    assert first > 0.01 > second
    assert len(traces) == 1


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log_density": np.zeros(9)}, "do not fit"),
        ({"position": np.zeros(12)}, "no grid"),
        ({"jacobian": -np.ones(12)}, "no grid"),
        ({"spacing": 0.0}, "no grid"),
    ],
)
def test_what_is_no_density_is_refused(change, message):
    arguments = {
        "position": np.arange(12.0),
        "jacobian": np.ones(12),
        "spacing": 1.0,
        "log_density": np.zeros(12),
        "escaped_mass": 0.0,
    }
    with pytest.raises(InputError, match=message):
        LineDensity(**{**arguments, **change})


@pytest.mark.usefixtures("without_shape_checks")
def test_a_grid_of_seven_nodes_is_refused():
    with pytest.raises(InputError, match="at least 8"):
        LineDensity.uniform(0.0, 1.0, np.zeros(7))
