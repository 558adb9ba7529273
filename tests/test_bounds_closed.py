"""Pieces of the bounds in closed form, against SciPy, NumPy and printed values."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import linprog, minimize_scalar
from scipy.stats import norm

import gmm_testbed as gt
from gmm_testbed.bounds import (
    Verdict,
    dps_density,
    dps_limit,
    entropy_sandwich,
    gronwall,
    log_sobolev,
    prior_baseline,
    replacement,
    split_gibbs,
    stein,
    transport_brackets,
)
from gmm_testbed.bounds.tools import line_pairs

Q = gt.GaussianMixture.isotropic([0.3, 0.7], [[-0.8], [1.1]], [0.3, 0.5])
P = gt.GaussianMixture.isotropic([0.45, 0.55], [[-1.0], [1.5]], [0.4, 0.9])
X = np.linspace(-9.0, 9.0, 200001)


def normal(x, mean, scale):
    return np.exp(-0.5 * ((x - mean) / scale) ** 2) / (scale * np.sqrt(2.0 * np.pi))


def parts(mixture):
    logs, means, variances = mixture.log_weights, mixture.means[:, 0], mixture.base
    return zip(np.exp(logs), np.asarray(means), np.sqrt(variances), strict=True)


def density(mixture, x):
    return sum(w * normal(x, m, s) for w, m, s in parts(mixture))


def slope(mixture, x):
    """Derivative of the logarithm of the density."""
    pulls = (w * normal(x, m, s) * (m - x) / s**2 for w, m, s in parts(mixture))
    return sum(pulls) / density(mixture, x)


def cdf(mixture, x):
    return sum(w * norm.cdf(x, m, s) for w, m, s in parts(mixture))


def integral(values, x=X):
    return (x[1] - x[0]) * np.sum(values)


# --- divergences of two mixtures ------------------------------------------------------


def test_divergences_of_two_mixtures():
    q, p = density(Q, X), density(P, X)
    exact = {
        "kl": integral(q * np.log(q / p)),
        "chi2": integral(q**2 / p) - 1.0,
        "tv": 0.5 * integral(abs(q - p)),
        "fisher": integral(q * (slope(Q, X) - slope(P, X)) ** 2),
    }
    for name, value in exact.items():
        found = getattr(line_pairs, name)(Q, P)
        rtol = 1e-8 if name == "tv" else 1e-10
        np.testing.assert_allclose(found, value, rtol=rtol, err_msg=name)


def test_transport_is_that_of_the_quantiles():
    levels = (np.arange(200000) + 0.5) / 200000
    q, p = (np.interp(levels, cdf(mixture, X), X) for mixture in (Q, P))
    exact = np.mean((q - p) ** 2)
    np.testing.assert_allclose(line_pairs.transport(Q, P), exact, rtol=2e-5)


def test_transport_of_gaussians():
    one = gt.GaussianMixture.isotropic([0.3, 0.7], [[0.4], [0.4]], [0.3, 0.3])
    other = gt.GaussianMixture.isotropic([0.5, 0.5], [[-1.0], [-1.0]], [2.0, 2.0])
    exact = 1.4**2 + (np.sqrt(2.0) - np.sqrt(0.3)) ** 2
    np.testing.assert_allclose(line_pairs.transport(one, other), exact, rtol=1e-10)


# --- DPS ------------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", [0.3, 20.0])
def test_the_flow_of_dps_has_its_moments_by_quadrature(kappa):
    """Dawson's integral written out, on the way and at the end."""
    s2, line = 0.7, dps_limit.Line(kappa)
    w = np.asarray([s2, 3.0])
    mean, _ = gronwall.ode_moments(kappa, s2, w)
    end, _ = dps_limit.ode_moments(line)
    for got, level in zip(mean, w, strict=True):
        p = np.sqrt(0.5 * kappa * s2 / level)
        dawson = quad(lambda u, p=p: np.exp(u**2 - p**2), 0.0, p, epsabs=1e-13)[0]
        np.testing.assert_allclose(got, kappa * dawson / p, rtol=1e-11)
    share = (end - line.mean) / dps_limit.BEYOND
    np.testing.assert_allclose(share, mean[0], rtol=1e-12)


def test_limits_of_dps_solve_their_equations():
    """From w = 1e8, where the law is known to leading order, down to w = s^2."""
    kappa, zeta = 3.0, 0.7
    line, offset = dps_limit.Line(kappa), dps_limit.BEYOND
    s2 = line.variance
    a, pull = zeta * kappa * s2, zeta * kappa * offset

    def sde(log_w, state):
        w = np.exp(log_w)
        rate = 1.0 + a / w
        return [rate * state[0] - pull, 2.0 * rate * state[1] - w]

    def ode(log_w, state):
        rate = 0.5 * (1.0 + a / np.exp(log_w))
        return [rate * state[0] - 0.5 * pull, 2.0 * rate * state[1]]

    def solved(field, start):
        span = np.log(1e8), np.log(s2)
        return solve_ivp(field, span, start, method="DOP853", rtol=1e-11).y[:, -1]

    mean, variance = solved(sde, [pull, 1e8])
    exact = dps_limit.sde_moments(line, zeta)
    np.testing.assert_allclose([mean + 0.4, variance], exact, rtol=1e-6)
    mean, variance = solved(ode, [0.0, 1e8])
    exact = dps_limit.ode_moments(line, zeta)
    np.testing.assert_allclose([mean + 0.4, variance], exact, rtol=3e-4)


def test_peak_and_limit_of_the_divergence_over_y():
    def averaged(kappa):
        line = dps_limit.Line(kappa)
        return dps_limit.kl_over_y(line, *dps_limit.sde_moments(line))

    found = minimize_scalar(lambda k: -averaged(k), bounds=(2.0, 9.0), method="bounded")
    assert found.x == pytest.approx(4.56, abs=5e-3)
    assert 0.2323 < -found.fun < dps_limit.PEAK
    assert averaged(600.0) == pytest.approx((1.0 - np.log(2.0)) / 2.0, abs=2e-3)


def test_divergence_over_y_is_the_average():
    kappa = 2.0
    line = dps_limit.Line(kappa)
    s2 = line.variance
    mean, variance = dps_limit.sde_moments(line)
    share = (mean - line.mean) / dps_limit.BEYOND
    truth, spread = s2 / (1.0 + kappa), np.sqrt(s2 * (1.0 + 1.0 / kappa))
    y = np.linspace(-9.0, 9.0, 1001) * spread
    gap = (share - kappa / (1.0 + kappa)) * y
    kls = np.log(variance / truth) + (truth + gap**2) / variance - 1.0
    exact = 0.5 * integral(normal(y, 0.0, spread) * kls, y)
    found = dps_limit.kl_over_y(line, mean, variance)
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_density_gap_and_first_moment():
    problem = dps_density._problem(1)
    grid = dps_density.gaps_and_moments(*problem.values(), jnp.asarray(0.5))
    x, v, log_gap, moment = (float(part[11, 7]) for part in grid)
    prior = gt.GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
    joint = density(prior, X) * normal(x, X, np.sqrt(v))
    law = joint / integral(joint)
    mean = integral(X * law)
    exact = integral(law * normal(0.7, 1.3 * X, 0.5))
    np.testing.assert_allclose(moment, integral(abs(X - mean) * law), rtol=1e-7)
    gap = abs(exact - normal(0.7, 1.3 * mean, 0.5))
    np.testing.assert_allclose(np.exp(log_gap), gap, rtol=1e-8)


def test_the_printed_bound_fails_below_unit_noise_only(key):
    for noise in (0.1, 0.5, 1.0, 2.0):
        (report,) = gt.bounds.check("T12-dps-density", key, noise=noise)
        assert report.holds is (Verdict.VIOLATED if noise < 1 else Verdict.HOLDS)
        assert report.label.startswith("x_t = ")


# --- functional inequalities ----------------------------------------------------------


def test_blindness_at_printed_values():
    """a = 3, weights 0.5 and 0.9: KL 0.366, FI 0.016."""
    a = jnp.float64(3.0)
    p, q = log_sobolev.two_modes(a, 0.5), log_sobolev.two_modes(a, 0.9)
    assert float(line_pairs.kl(q, p)) == pytest.approx(0.366, abs=5e-4)
    assert float(line_pairs.fisher(q, p)) == pytest.approx(0.016, abs=5e-4)


def test_the_constant_of_one_gaussian_is_attained():
    """a = 0: for q = N(h, 1), KL = h^2 / 2 = FI / 2."""
    p = log_sobolev.two_modes(jnp.float64(0.0), 0.4)
    q = gt.GaussianMixture.isotropic([0.2, 0.8], [[0.7], [0.7]], [1.0, 1.0])
    np.testing.assert_allclose(
        line_pairs.fisher(q, p), 2 * line_pairs.kl(q, p), rtol=1e-9
    )


def test_stein_discrepancy_by_a_plain_double_sum(key):
    reports = gt.bounds.check("T28-stein", key, separation=1.5)
    q, p = (log_sobolev.two_modes(jnp.float64(1.5), w) for w in (0.9, 0.4))
    x = np.linspace(-8.0, 8.0, 401)
    pull = (x[1] - x[0]) * density(q, x) * (slope(q, x) - slope(p, x))
    kernel = np.exp(-0.5 * ((x[:, None] - x) / stein._WIDTH) ** 2)
    found = {r.label: r.left.value for r in reports}
    for label in ("Gaussian kernel", "by parts"):
        np.testing.assert_allclose(found[label], pull @ kernel @ pull, rtol=1e-9)


def test_distances_of_early_stopping(key):
    """At v = 0.1; the map to p_0 by sorted quantiles."""
    reports = {r.label: r for r in gt.bounds.check("T36-early-stopping", key, v=0.1)}
    prior = gt.GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
    wide = gt.GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.26, 0.46])
    levels = (np.arange(200000) + 0.5) / 200000
    z, x0 = (np.interp(levels, cdf(mixture, X), X) for mixture in (wide, prior))
    exact = np.sqrt(np.mean((z - x0) ** 2))
    np.testing.assert_allclose(reports["stopped"].left.value, exact, rtol=1e-4)
    variance = np.var(z + 0.1 * slope(wide, z))
    found = reports["denoised is narrow"].left.value
    np.testing.assert_allclose(found, variance, rtol=1e-4)
    assert reports["order of denoising (asymptotic)"].holds is Verdict.HOLDS


# --- posteriors -----------------------------------------------------------------------


def test_expected_log_likelihood():
    scales = (jnp.asarray(number) for number in (1.3, 0.4, 0.6))
    found = prior_baseline.expected_log_likelihood(P, *scales)
    exact = integral(density(P, X) * np.log(normal(0.6, 1.3 * X, np.sqrt(0.4))))
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_bias_of_split_gibbs(key):
    """The stationary law by a plain integral over z, at a coupling of one."""
    reports = {
        r.label: r for r in gt.bounds.check("T31-split-gibbs", key, coupling=1.0)
    }
    a, g, y = split_gibbs._SLOPE, split_gibbs._NOISE, split_gibbs._Y
    x = np.linspace(-6.0, 6.0, 1201)
    prior = gt.GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
    likelihood = normal(y, a * x, g)
    exact = density(prior, x) * likelihood
    law = density(prior, x) * (normal(x[:, None], x, 1.0) @ likelihood)
    exact, law = exact / integral(exact, x), law / integral(law, x)
    bias = integral(exact * np.log(exact / law), x)
    np.testing.assert_allclose(reports["bias"].left.value, bias, rtol=1e-6)
    assert "order (asymptotic)" not in reports  # of small couplings only


def test_replacement_at_printed_values():
    """Unit variances, correlation 0.8: 0.2554."""
    assert replacement.path_kl(replacement.pair(0.8, 1.0), 1) == pytest.approx(
        0.2554, abs=5e-5
    )


def test_replacement_without_steps():
    """The marginal divergence against the equation of its moments."""
    r, s = 0.6, 1.3

    def field(log_v, state):
        v = np.exp(log_v)
        precision = np.linalg.inv([[1.0, r * s], [r * s, s**2]]) + np.eye(2) / v
        gains = np.linalg.inv(precision)[1] / v
        slope, variance = state
        drift = 1.0 - gains[1]
        return [drift * slope - gains[0], 2.0 * drift * variance - v]

    span = np.log(1e8), np.log(1e-8)
    slope, variance = solve_ivp(
        field, span, [0.0, 1e8], method="LSODA", rtol=1e-10, atol=1e-12
    ).y[:, -1]
    ratio = s**2 * (1 - r**2) / variance
    exact = 0.5 * (ratio - 1 - np.log(ratio) + (r * s - slope) ** 2 / variance)
    found = replacement.marginal_kl(replacement.pair(r, s), 1)
    np.testing.assert_allclose(found, exact, rtol=2e-3)


# --- components -----------------------------------------------------------------------


def test_distances_of_components():
    kls, overlaps = (
        entropy_sandwich.divergences(Q, P),
        entropy_sandwich.bhattacharyya(Q),
    )
    (_, *first), (_, *second) = parts(Q)
    (_, *_), (_, *third) = parts(P)
    f, g, h = (normal(X, *part) for part in (first, second, third))
    np.testing.assert_allclose(kls[0, 1], integral(f * np.log(f / h)), rtol=1e-9)
    exact = -np.log(integral(np.sqrt(f * g)))
    np.testing.assert_allclose(overlaps[0, 1], exact, rtol=1e-9)
    np.testing.assert_allclose(np.diagonal(overlaps), 0.0, atol=1e-15)


def test_transport_of_components_is_a_linear_programme():
    costs = (np.asarray(Q.means) - np.asarray(P.means).T) ** 2
    costs += np.subtract.outer(np.sqrt(Q.base), np.sqrt(P.base)) ** 2
    sums = [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]]
    exact = linprog(costs.ravel(), A_eq=sums, b_eq=[0.3, 0.7, 0.45, 0.55]).fun
    found = transport_brackets.between_components(Q, P)
    np.testing.assert_allclose(found, exact, rtol=1e-9)
