"""KL and total variation of two mixtures, against SciPy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import gmm_testbed as gt
from gmm_testbed.laws.plane import state as plane_state

gm, divergences = gt.GaussianMixture, gt.divergences
mixture_kl, mixture_tv = divergences.mixture_kl, divergences.mixture_tv
P = gm.isotropic([0.3, 0.7], [[-1.0], [1.5]], jnp.asarray([0.25, 1.0]))
Q = gm.isotropic([0.5, 0.5], [[-2.0], [1.0]], jnp.asarray([1.0, 4.0]))


def _log_density(weights, means, scales):
    def at(x):
        terms = [
            np.log(w) + stats.norm.logpdf(x, m, s)
            for w, m, s in zip(weights, means, scales, strict=True)
        ]
        return np.logaddexp(*terms)

    return at


LOG_P = _log_density([0.3, 0.7], [-1.0, 1.5], [0.5, 1.0])
LOG_Q = _log_density([0.5, 0.5], [-2.0, 1.0], [1.0, 2.0])


def _by_scipy(integrand):
    """The integral over the line of integrand(log p, log q)."""
    at = lambda x: integrand(LOG_P(x), LOG_Q(x))  # noqa: E731
    edges = [-20.0, -8, -4, -2, -1, 0, 1, 2, 3, 4, 6, 10, 25]
    pairs = zip(edges[:-1], edges[1:], strict=True)
    return sum(integrate.quad(at, *pair, epsabs=1e-12, limit=400)[0] for pair in pairs)


def _beyond(law, dim):
    """The law times standard normal coordinates."""
    count = law.num_components
    means = np.concatenate([law.means, np.zeros((count, dim - 1))], axis=1)
    variances = np.concatenate([law.base[:, None], np.ones((count, dim - 1))], axis=1)
    return gm.diagonal(np.exp(law.log_weights), means, variances)


KL = _by_scipy(lambda p, q: np.exp(p) * (p - q))
TV = _by_scipy(lambda p, q: 0.5 * abs(np.exp(p) - np.exp(q)))


def test_on_the_line_they_are_those_of_scipy(tolerance):
    relative = max(tolerance.identity, 1e-10)
    for found, expected in ((mixture_kl(P, Q), KL), (mixture_tv(P, Q), TV)):
        np.testing.assert_allclose(found.value, expected, rtol=relative)
        assert (float(found.stderr), found.how) == (0.0, "quadrature")


def test_of_components_a_hundred_thousand_times_narrower(tolerance):
    """Apart, they are those of the weights, to the mass of a narrow component."""
    narrow = gm.isotropic([0.5, 0.5], [[-1.0], [3.0]], jnp.asarray([1e-10, 1e-10]))
    wide = gm.isotropic([1.0], [[0.0]], 1.0)
    exact = -0.5 * np.log(2 * np.pi * np.e * 1e-10) - np.log(2.0)  # minus the entropy
    exact += 0.5 * np.log(2 * np.pi) + 0.25 * (1.0 + 9.0)  # the cross-entropy
    found = mixture_kl(narrow, wide).value
    np.testing.assert_allclose(found, exact, rtol=max(tolerance.identity, 1e-9))
    assert abs(float(mixture_tv(narrow, wide).value) - 1.0) < 1e-3


def test_the_plane_is_covered_out_to_the_last_component(tolerance):
    """Components 13 deviations apart along the diagonal: that of the weights."""
    means, near = [[-4.0, -4.0], [5.0, 5.0]], max(tolerance.identity, 1e-6)
    p, q = (gm.isotropic([w, 1.0 - w], means, jnp.ones(2)) for w in (0.3, 0.6))
    np.testing.assert_allclose(mixture_tv(p, q).value, 0.3, rtol=near)


@pytest.mark.slow
def test_in_the_plane_by_quadrature_and_beyond_by_samples(tolerance):
    plane, space = ([_beyond(law, dim) for law in (P, Q)] for dim in (2, 3))
    near = max(tolerance.identity, 1e-6)
    np.testing.assert_allclose(mixture_kl(*plane).value, KL, rtol=near)
    np.testing.assert_allclose(mixture_tv(*plane).value, TV, rtol=near)
    for measure, exact in ((mixture_kl, KL), (mixture_tv, TV)):
        found = measure(*space, jax.random.key(3), 4000)
        assert found.stderr > 0
        assert abs(float(found.distance(exact))) < tolerance.z
    with pytest.raises(gt.UnsupportedError, match="pass key="):
        mixture_kl(*space)


def test_of_two_gaussians_in_closed_form(tolerance):
    one, two = (
        gm.isotropic([1.0], [[0.0, 0.0]], 1.0),
        gm.isotropic([1.0], [[1.0, 0]], 4.0),
    )
    found = mixture_kl(one, two)
    exact = np.log(4.0) + (2.0 + 1.0) / 8 - 1.0
    np.testing.assert_allclose(found.value, exact, rtol=tolerance.identity)
    assert found.how == "closed form"


def test_of_atoms_by_their_weights():
    left, right = gm.empirical([[0.0], [1.0]]), gm.empirical([[2.0], [0.0], [1.0]])
    np.testing.assert_allclose(mixture_kl(left, right).value, np.log(1.5), rtol=1e-6)
    np.testing.assert_allclose(mixture_tv(left, right).value, 1 / 3, rtol=1e-6)
    assert mixture_kl(right, left).value == np.inf
    assert mixture_kl(left, P).value == mixture_kl(P, left).value == np.inf
    assert mixture_tv(left, P).value == 1.0


@pytest.mark.slow
def test_escaped_mass_is_an_interval(tolerance):
    """A standard normal of which one hundredth has left, against one at 1, by hand."""
    x = jnp.linspace(-9.0, 10.0, 129)
    log_density = jnp.log(0.99) - 0.5 * x**2 - 0.5 * jnp.log(2 * jnp.pi)
    density = divergences.LineDensity.uniform(-9.0, 10.0, log_density, 0.01)
    shifted = gm.isotropic([1.0], [[1.0]], 1.0)
    lower, upper = divergences.tv_between(density, shifted)
    cross = 0.5 + np.log(0.99)  # where 0.99 phi(x) meets phi(x - 1)
    excess = 0.99 * stats.norm.cdf(cross) - stats.norm.cdf(cross - 1.0)
    inside = excess + 0.005  # half the integral of |0.99 phi(x) - phi(x - 1)|
    near = max(tolerance.quadrature, 1e-6)
    assert abs(float(lower) - (inside - 0.005)) < near
    assert abs(float(upper) - (inside + 0.005)) < near
    lower, upper = divergences.kl_between(density, shifted)
    exact = 0.99 * (np.log(0.99) + 0.5) + 0.01 * np.log(0.01)
    assert abs(float(lower) - exact) < near
    assert upper == np.inf


def test_a_grid_may_be_long_along_one_axis():
    found = plane_state.fine_enough([0.0, 0.0], [1.0, 2.0], [1827.0, 200.0], [96, 96])
    assert [grid.count for grid in found] == [2048, 256]
    with pytest.raises(gt.InputError, match="1827 x 1400 nodes"):
        plane_state.fine_enough([0.0, 0.0], [1.0, 2.0], [1827.0, 1400.0], [96, 96])
