"""Distribution function, quantiles and partial moments of mixtures on the line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from gmm_testbed import GaussianMixture, InputError
from gmm_testbed.densities.line_mixture import (
    mixture_integrated_cdf,
    mixture_integrated_survival,
    mixture_log_outside,
    mixture_square_above,
    mixture_square_below,
)
from gmm_testbed.divergences import (
    mixture_cdf,
    mixture_quantile,
    mixture_survival,
)

WEIGHTS = np.array([0.3, 0.5, 0.2])
MEANS = np.array([-2.0, 1.0, 3.5])
SCALES = np.array([1.0, 1.3, 0.4])
MIXTURE = GaussianMixture.isotropic(WEIGHTS, MEANS[:, None], SCALES**2)
ATOMS = GaussianMixture.empirical(MEANS[:, None], WEIGHTS)
PLACES = [-7.0, -2.3, 0.4, 3.6, 9.0]


def cdf(x):
    return WEIGHTS @ stats.norm.cdf(x, MEANS, SCALES)


def survival(x):
    return WEIGHTS @ stats.norm.sf(x, MEANS, SCALES)


def pdf(x):
    return WEIGHTS @ stats.norm.pdf(x, MEANS, SCALES)


@pytest.mark.parametrize("x", PLACES)
def test_cdf_and_survival_keep_their_tails(x):
    assert np.isclose(mixture_cdf(MIXTURE, jnp.asarray(x)), cdf(x), rtol=1e-10)
    found = mixture_survival(MIXTURE, jnp.asarray(x))
    assert np.isclose(found, survival(x), rtol=1e-10)


def test_log_outside_is_finite_where_the_mass_is_not_a_number_of_this_machine():
    near = mixture_log_outside(MIXTURE, jnp.asarray(-4.0), jnp.asarray(4.1))
    assert np.isclose(near, np.log(cdf(-4.0) + survival(4.1)), rtol=1e-10)
    far = mixture_log_outside(MIXTURE, jnp.asarray(-80.0), jnp.asarray(90.0))
    above = np.log(WEIGHTS) + stats.norm.logsf(90, MEANS, SCALES)
    below = np.log(WEIGHTS) + stats.norm.logcdf(-80, MEANS, SCALES)
    expected = np.logaddexp.reduce(np.concatenate([above, below]))
    assert np.isclose(far, expected, rtol=1e-9)
    assert far < -1900


@pytest.mark.parametrize("level", [1e-12, 0.01, 0.3, 0.55, 0.9, 1 - 1e-6])
def test_quantile_inverts_the_cdf(level):
    x = mixture_quantile(MIXTURE, jnp.asarray(level))
    below, above = cdf(float(x)), survival(float(x))
    assert np.isclose(below, level, rtol=1e-9)
    assert np.isclose(above, 1 - level, rtol=1e-9)


def test_quantile_at_the_ends():
    assert mixture_quantile(MIXTURE, jnp.asarray(0.0)) == -jnp.inf
    assert mixture_quantile(MIXTURE, jnp.asarray(1.0)) == jnp.inf
    assert np.isclose(mixture_quantile(ATOMS, jnp.asarray(0.0)), -2.0)
    assert np.isclose(mixture_quantile(ATOMS, jnp.asarray(1.0)), 3.5)


@pytest.mark.slow
def test_atoms_make_steps_and_the_quantile_picks_them():
    at = jnp.asarray([-2.1, -2.0, 0.9, 1.0, 3.4, 3.5])
    found = jax.vmap(lambda x: mixture_cdf(ATOMS, x))(at)
    assert np.allclose(found, [0, 0.3, 0.3, 0.8, 0.8, 1.0], rtol=1e-12)
    levels = jnp.asarray([0.1, 0.29, 0.31, 0.79, 0.81])
    picked = jax.vmap(lambda level: mixture_quantile(ATOMS, level))(levels)
    assert np.allclose(picked, [-2, -2, 1, 1, 3.5], rtol=1e-12)


@pytest.mark.parametrize("x", PLACES)
def test_integrated_functions_are_the_integrals(x):
    left = quad(cdf, -20, x, epsabs=1e-13, points=[y for y in (-2, 1) if y < x])[0]
    found = mixture_integrated_cdf(MIXTURE, jnp.asarray(x))
    assert np.isclose(found, left, rtol=1e-8, atol=1e-12)
    points = [y for y in (-2, 1, 3.5) if y > x]
    right = quad(survival, x, 20, epsabs=1e-13, points=points)[0]
    found = mixture_integrated_survival(MIXTURE, jnp.asarray(x))
    assert np.isclose(found, right, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("level", [1e-4, 0.2, 0.65])
def test_square_of_the_lowest_and_of_the_highest_mass(level):
    centre = -3.1
    top = float(mixture_quantile(MIXTURE, jnp.asarray(level)))
    bottom = float(mixture_quantile(MIXTURE, jnp.asarray(1 - level)))

    def integrand(x):
        return (x - centre) ** 2 * pdf(x)

    below = quad(integrand, -12, top, epsabs=1e-14, epsrel=1e-11)[0]
    above = quad(integrand, bottom, 15, epsabs=1e-14, epsrel=1e-11)[0]
    arguments = MIXTURE, jnp.asarray(centre), jnp.asarray(level)
    assert np.isclose(mixture_square_below(*arguments), below, rtol=1e-8)
    assert np.isclose(mixture_square_above(*arguments), above, rtol=1e-8)


def test_square_takes_a_part_of_an_atom():
    arguments = ATOMS, jnp.asarray(0.5), jnp.asarray(0.45)
    below = 0.3 * 2.5**2 + 0.15 * 0.5**2
    above = 0.2 * 3.0**2 + 0.25 * 0.5**2
    assert np.isclose(mixture_square_below(*arguments), below, rtol=1e-12)
    assert np.isclose(mixture_square_above(*arguments), above, rtol=1e-12)


def test_a_mixture_in_the_plane_is_refused():
    plane = GaussianMixture.isotropic([1.0], [[0.0, 1.0]], 1.0)
    with pytest.raises(InputError, match="dimension 2"):
        mixture_cdf(plane, jnp.asarray(0.0))
