"""Theorems asked of objects outside their sweeps, against NumPy and SciPy."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import norm

import gmm_testbed as gt
from gmm_testbed.bounds import Verdict

from .oracles.bounds import landscapes, line, one_gaussian, space, training

TURN = np.array([[0.6, -0.8], [0.8, 0.6]])  # of the plane
S, PRECISION = np.array([0.9, 0.3]), np.array([2.5, 1.2])
COVARIANCE = TURN @ np.diag(S) @ TURN.T
NOISE = np.array([[0.5, 0.1], [0.1, 0.8]])
OPERATOR = np.linalg.cholesky(NOISE) @ np.diag(np.sqrt(PRECISION)) @ TURN.T
PLANE = gt.GaussianMixture.full([1.0], [[0.4, -1.0]], [COVARIANCE])
TWO = gt.GaussianMixture.isotropic([0.3, 0.7], [[-0.5], [1.8]], [0.3, 0.15])
BOTH = line.line([0.3, 0.7], [-0.5, 1.8], [0.3, 0.15])


def checked(name, **given):
    return {report.label: report for report in gt.bounds.check(name, **given)}


def close(estimate, value, rtol=1e-9, z=4.5):
    error = abs(float(estimate.value) - value)
    assert error <= rtol * abs(value) + z * float(estimate.stderr), (estimate, value)


# --- T7, T8, T11: a Gaussian in the plane ----------------------------------------------


def dps(noisy):
    """DPS without steps in the plane, by the equations of its matrices.

    Returns its slope in y, its covariance, and three integrals of guidance errors.
    """
    B, eye = OPERATOR.T @ np.linalg.inv(NOISE), np.eye(2)
    seen = OPERATOR @ COVARIANCE @ OPERATOR.T + NOISE
    widest = np.max(S / (1.0 + S * PRECISION))
    share = 1.0 if noisy else 0.5

    def rates(log_w, state):
        v = np.exp(log_w) - 0.1
        slope, spread = state[:4].reshape(2, 2), state[4:8].reshape(2, 2)
        inverse = np.linalg.inv(COVARIANCE + v * eye)
        G = COVARIANCE @ inverse
        drift = inverse + G.T @ B @ OPERATOR @ G
        slope_rate = share * (drift @ slope - G.T @ B)
        spread_rate = share * (drift @ spread + spread @ drift.T) - noisy * eye
        C = v * G
        D = G.T @ (B - OPERATOR.T @ np.linalg.inv(OPERATOR @ C @ OPERATOR.T + NOISE))
        left = np.eye(2) - OPERATOR @ G @ slope
        residual = left @ seen @ left.T + OPERATOR @ G @ spread @ G.T @ OPERATOR.T
        error = np.trace(D @ residual @ D.T)
        forgotten = widest / (widest + v)
        costs = error, np.sqrt(forgotten) * error, forgotten**share * np.sqrt(error)
        parts = slope_rate.ravel(), spread_rate.ravel(), [-c for c in costs]
        return (v + 0.1) * np.concatenate(parts)

    far = 1e9
    slope = COVARIANCE @ B if noisy else 0.0 * eye
    first = far * eye if noisy else far * eye + COVARIANCE
    start = np.concatenate([slope.ravel(), first.ravel(), [0.0] * 3])
    span = np.log(far), np.log(0.1)
    end = solve_ivp(rates, span, start, method="LSODA", rtol=1e-8, atol=1e-10).y[:, -1]
    return end[:4].reshape(2, 2), end[4:8].reshape(2, 2), end[8:], seen


def test_contraction_and_gronwall_in_the_plane():
    """By matrices; a common basis of prior and measurement is not used here."""
    given = {"prior": PLANE, "A": jnp.asarray(OPERATOR), "R": jnp.asarray(NOISE)}
    slope, spread, costs, seen = dps(1.0)
    gain = COVARIANCE @ OPERATOR.T @ np.linalg.inv(seen)
    exact = COVARIANCE - gain @ OPERATOR @ COVARIANCE
    gap = (slope - gain) @ seen @ (slope - gain).T
    inverse = np.linalg.inv(exact)
    kl = 0.5 * (np.trace(inverse @ (spread + gap)) - 2.0)
    kl -= 0.5 * np.linalg.slogdet(inverse @ spread)[1]
    found = checked("T7", **given)
    assert "half of the dissipation helps (observed)" not in found
    assert {report.holds for report in found.values()} == {Verdict.HOLDS}
    close(found["theta 1.0"].left, kl, 1e-5)
    close(found["theta 1.0"].right, 0.5 * costs[0], 1e-5)
    close(found["theta 0.5"].right, costs[1], 1e-5)
    found = checked("T8", **given)
    roots = [np.sqrt(np.diagonal(TURN.T @ matrix @ TURN)) for matrix in (spread, exact)]
    w2 = np.trace(gap) + np.sum((roots[0] - roots[1]) ** 2)  # they share a basis
    close(found["SDE"].left, np.sqrt(w2), 1e-5)
    close(found["SDE"].right, costs[2], 1e-5)
    close(found["ODE"].right, 0.5 * dps(0.0)[2][2], 2e-4)


def test_a_coordinate_that_is_not_measured_forgets_slowest():
    """T7: y of one of two coordinates; C_v is of the other, which is wider."""
    prior = gt.GaussianMixture.diagonal([1.0], [[0.0, 0.0]], [[0.7, 5.0]])
    A, R = jnp.asarray([[1.0, 0.0]]), jnp.asarray([[0.7 / 2.3]])
    found = checked("T7", prior=prior, A=A, R=R)
    alone = checked("T7", kappa=2.3)
    for theta in (1.0, 0.5):
        label = f"theta {theta}"
        close(found[label].left, float(alone[label].left.value))

    def inside(v):
        error = one_gaussian.gap_of_guidance(2.3, v, *one_gaussian.dps(2.3, v))
        return (5.0 / (5.0 + v)) ** 0.5 * error

    close(found["theta 0.5"].right, one_gaussian.over_v(inside), 1e-8)


@pytest.mark.slow
def test_limits_of_dps_in_the_plane():
    found = checked(
        "T11", prior=PLANE, A=jnp.asarray(OPERATOR), R=jnp.asarray(NOISE), zeta=1.0
    )
    _, spread, _, _ = dps(1.0)
    assert {report.holds for report in found.values()} == {Verdict.HOLDS}
    variances = [
        float(found[f"SDE, variance, coordinate {j}"].right.value) for j in range(2)
    ]
    np.testing.assert_allclose(
        np.sort(variances), np.linalg.eigvalsh(spread), rtol=1e-5
    )


# --- T21, T22 ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_training_set_seen_otherwise():
    """T21 of another measurement: its constant by sums over atoms."""
    seen = {
        "A": jnp.asarray([[0.8]]),
        "R": jnp.asarray([[0.5]]),
        "y": jnp.asarray([-0.4]),
    }
    (found,) = gt.bounds.check("T21", **seen, points=20, sigma=0.3)
    oracle = training.training_posterior(20, 0.3, a=0.8, g2=0.5, y=-0.4)
    close(found.right, oracle["bound"][1].value, 1e-6)
    assert found.holds is Verdict.HOLDS


@pytest.mark.slow
def test_memorisation_of_a_gaussian_in_the_plane():
    """I and the chi-square information by their formulas, the entropy by draws of NumPy."""
    found = checked("T22", prior=PLANE, information=0.8)
    known = 0.8 * np.log(64.0)
    upper = np.log(64.0) - known + min(known, np.log1p(np.expm1(2.0 * known) / 64.0))
    close(found["from above"].right, upper)
    low, high = 1e-6, 1e6
    for _ in range(100):
        middle = np.sqrt(low * high)
        more = 0.5 * np.sum(np.log1p(S * middle)) > known
        low, high = (low, middle) if more else (middle, high)
    value, error = entropy(np.sqrt(S), 1.0 / np.sqrt(low))
    measured = found["from below"].right
    total = np.hypot(error, float(measured.stderr))
    assert abs(float(measured.value) - value) < 4.5 * total < 0.1


def entropy(scales, sigma, sets=2000):
    """Mean and error of the entropy of the shares of 64 points."""
    rng = np.random.default_rng(3)
    atoms = scales * rng.normal(size=(sets, 64, len(scales)))
    x = atoms[:, :1] + sigma * rng.normal(size=(sets, 1, len(scales)))
    logits = -0.5 * np.sum((atoms - x) ** 2, axis=2) / sigma**2
    logits -= np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    values = -np.sum(np.exp(logits) * logits, axis=1)
    return values.mean(), values.std() / np.sqrt(sets)


@pytest.mark.slow
def test_memorisation_of_two_modes():
    """The level where I is as said, and its chi-square information, by plain sums."""
    found = checked("T22", prior=TWO, information=0.5)
    known, low, high = 0.5 * np.log(64.0), 1e-3, 1e1

    def information(sigma):
        law = line.noised(BOTH, 1.0, sigma**2)
        surprise = line.expect(law, lambda x: -line.logpdf(law, x))
        return surprise - 0.5 * np.log(2.0 * np.pi * np.e * sigma**2)

    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if information(middle) > known else (low, middle)
    x, step = np.linspace(-150.0, 150.0, 400_001, retstep=True)
    square = line.logpdf(line.noised(BOTH, 1.0, 0.5 * low**2), x)  # of E K^2, unscaled
    log_ratio = square - line.logpdf(line.noised(BOTH, 1.0, low**2), x)
    chi2 = step * np.exp(log_ratio).sum() / np.sqrt(4.0 * np.pi * low**2) - 1.0
    upper = np.log(64.0) - known + min(known, np.log1p(chi2 / 64.0))
    close(found["from above"].right, upper, 1e-5)
    assert {report.holds for report in found.values()} == {Verdict.HOLDS}


# --- T24, T29, T31 ----------------------------------------------------------------------


def test_two_modes_in_the_plane_part():
    means, variance, v = np.array([[0.3, -1.0], [1.8, 0.7]]), 0.4, 0.25
    prior = gt.GaussianMixture.isotropic([0.85, 0.15], means, variance)
    found = checked("T24", prior=prior, v=v)
    square = 1.5**2 + 1.7**2
    close(found["level"].left, 0.25 * square - variance, 1e-6)
    axis = np.linspace(-2.0, 4.0, 601)
    x = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    logs = np.log([0.85, 0.15]) - 0.5 * np.sum((x[:, None] - means) ** 2, 2) / 0.65
    share = 1.0 / (1.0 + np.exp(logs[:, 0] - logs[:, 1]))
    gap = means[1] - means[0]
    hessians = (share * (1.0 - share))[:, None, None] * np.outer(gap, gap) / 0.65**2
    most = np.linalg.eigvalsh(hessians - np.eye(2) / 0.65).max()
    close(found["curvature"].left, most, 1e-4)
    close(found["curvature"].right, most, 1e-4)
    assert {report.holds for report in found.values()} == {Verdict.HOLDS}


def test_modes_that_overlap_are_log_concave_at_all_levels():
    prior = gt.GaussianMixture.isotropic([0.4, 0.6], [[0.0], [1.0]], 0.5)
    assert list(checked("T24", prior=prior, v=0.1)) == ["curvature"]
    found = gt.bounds.check("T24", prior=TWO)  # of unlike variances
    assert [report.holds for report in found] == [Verdict.OUTSIDE]


def test_a_detour_by_noise_for_three_modes():
    """T29 on the line: the posterior's mean and the curvature by plain sums."""
    weights, means, a, g2, y, v = [0.2, 0.5, 0.3], [-2.0, 0.4, 1.1], 0.7, 0.5, -0.6, 0.6
    prior = gt.GaussianMixture.isotropic(weights, np.c_[means], 0.3)
    found = checked(
        "T29",
        prior=prior,
        A=jnp.asarray([[a]]),
        R=jnp.asarray([[g2]]),
        y=jnp.asarray([y]),
        v=v,
    )
    p = line.line(weights, means, 0.3)
    exact = line.seen(p, a, g2, y)
    close(found["mean"].left, line.mean(exact))
    close(found["variance"].left, line.variance(exact))
    pull = a**2 / (g2 - v * a**2)
    close(found["curvature"].left, pull + 1.0 / 0.9 - 3.1**2 / (4.0 * 0.9**2))
    x = np.linspace(-5.0, 5.0, 20001)
    steep = line.curvature(line.noised(p, 1.0, v), x).max()
    close(found["curvature"].right, pull - steep, 1e-5)
    assert {report.holds for report in found.values()} == {Verdict.HOLDS}


def test_a_detour_by_noise_in_the_plane():
    """By draws of the boosted posterior: what they should be, by Bayes' rule."""
    means = np.array([[-1.0, 0.2], [0.9, 0.6], [0.3, -0.8]])
    covariance = np.array([[0.5, 0.1], [0.1, 0.3]])
    weights = np.array([0.5, 0.3, 0.2])
    prior = gt.GaussianMixture.full(weights, means, [covariance] * 3)
    A, R, y = np.array([[1.0, -0.6]]), np.array([[0.4]]), np.array([0.7])
    found = checked("T29", prior=prior, A=A, R=R, y=jnp.asarray(y), v=0.2)
    w, m, C = space.conditioned((weights, means, [covariance] * 3), A, R, y)
    close(found["mean"].left, np.sum(w @ m))
    close(found["squares"].left, w @ (np.trace(C, axis1=1, axis2=2) + np.sum(m**2, 1)))
    assert 0.0 < float(found["squares"].left.stderr) < 0.02
    values = np.linalg.eigvalsh(covariance) + 0.2
    certain = 1.0 / values[1] - 0.25 * 3.77 / values[0] ** 2  # y says nothing across
    close(found["curvature"].left, certain)
    assert {report.holds for report in found.values()} == {Verdict.HOLDS}


def test_split_gibbs_of_ones_own_modes():
    """T31 on the line, by the oracle of its sweep for another prior and measurement."""
    found = checked(
        "T31",
        prior=TWO,
        A=jnp.asarray([[0.8]]),
        R=jnp.asarray([[0.09]]),
        y=jnp.asarray([1.0]),
        coupling=0.7,
    )
    exact = line.seen(BOTH, 0.8, 0.09, 1.0)
    law = line.seen(BOTH, 0.8, 0.09 + 0.49 * 0.64, 1.0)
    close(found["bias"].left, line.kl(exact, law))
    close(found["mean after a sweep"].left, line.mean(law))
    close(found["variance after a sweep"].left, line.variance(law))
    rate = (1.0 + 0.49 * 0.64 / 0.09) * (1.0 + 0.49 / 0.5)
    close(found["contraction, one Gaussian"].left, 1.0 / rate)


def test_the_order_of_split_gibbs_in_the_plane():
    """T31: KL(posterior || inflated) of one Gaussian, from its matrices."""

    def divergence(r):
        exact, law = (
            space.conditioned(
                ([1.0], [[0.4, -1.0]], [COVARIANCE]),
                OPERATOR,
                NOISE + c * OPERATOR @ OPERATOR.T,
                np.array([1.0, -0.3]),
            )
            for c in (0.0, r**2)
        )
        (_, (m,), (C,)), (_, (n,), (D,)) = exact, law
        inverse = np.linalg.inv(D)
        square = (m - n) @ inverse @ (m - n) + np.trace(inverse @ C) - 2.0
        return 0.5 * (square - np.linalg.slogdet(inverse @ C)[1])

    given = {"prior": PLANE, "A": jnp.asarray(OPERATOR), "R": jnp.asarray(NOISE)}
    found = checked("T31", **given, y=jnp.asarray([1.0, -0.3]), coupling=0.2)
    assert list(found) == ["order (asymptotic)"]  # too slow for the sampler itself
    order = np.log2(divergence(0.2) / divergence(0.1))
    close(found["order (asymptotic)"].left, order, 1e-7)


# --- T32, T39, T48 ----------------------------------------------------------------------

THREE = np.array([[1.3, 0.5, -0.4], [0.5, 0.9, 0.2], [-0.4, 0.2, 1.1]])


@pytest.mark.parametrize("observed", [1, 2])
def test_replacement_of_some_of_three_coordinates(observed):
    found = checked("T32", covariance=THREE, observed=observed)
    u = slice(observed, None)
    seen, cross = THREE[:observed, :observed], THREE[:observed, u]
    left = THREE[u, u] - cross.T @ np.linalg.solve(seen, cross)
    t, weight = np.polynomial.legendre.leggauss(800)
    v = np.exp(30.0 * t)

    def trace(matrix, part):
        """Of a conditional covariance at every level."""
        noise = np.eye(len(matrix)) / v[:, None, None]
        spreads = np.linalg.inv(np.linalg.inv(matrix) + noise)[:, part, part]
        return np.trace(spreads, axis1=1, axis2=2)

    gaps = trace(THREE, u) - trace(left, slice(None))
    close(found["path"].right, 15.0 * weight @ (gaps / v), 1e-7)
    log_dets = [np.linalg.slogdet(matrix)[1] for matrix in (THREE[u, u], left)]
    close(found["path by information"].right, 0.5 * (log_dets[0] - log_dets[1]))
    marginal = found["marginal by path"].left
    close(marginal, replaced(THREE, observed), 2e-3)
    assert {report.holds for report in found.values()} == {Verdict.HOLDS}


def replaced(covariance, o):
    """KL of the law of u at the end, by the equations of its moments."""
    u, d = slice(o, None), len(covariance) - o

    def rates(log_v, state):
        v = np.exp(log_v)
        gains = (covariance @ np.linalg.inv(covariance + v * np.eye(d + o)))[u]
        drift = np.eye(d) - gains[:, u]
        slope, spread = state[: d * o].reshape(d, o), state[d * o :].reshape(d, d)
        change = drift @ slope - gains[:, :o]
        grown = drift @ spread + spread @ drift.T - v * np.eye(d)
        return np.concatenate([change.ravel(), grown.ravel()])

    start = np.concatenate([np.zeros(d * o), 1e8 * np.eye(d).ravel()])
    span = np.log(1e8), np.log(1e-8)
    end = solve_ivp(rates, span, start, method="LSODA", rtol=1e-6, atol=1e-9).y[:, -1]
    slope, spread = end[: d * o].reshape(d, o), end[d * o :].reshape(d, d)
    seen, cross = covariance[:o, :o], covariance[:o, u]
    gap = np.linalg.solve(seen, cross).T - slope
    exact = covariance[u, u] - cross.T @ np.linalg.solve(seen, cross)
    inverse = np.linalg.inv(spread)
    square = np.trace(inverse @ (exact + gap @ seen @ gap.T)) - d
    return 0.5 * (square - np.linalg.slogdet(inverse @ exact)[1])


@pytest.mark.slow
@pytest.mark.parametrize("own", [0, 1])
def test_guidance_of_unlike_classes_in_space(own):
    """T39 without noise: the flow on the line with the log-odds of the class."""
    means = np.array([[0.3, -1.2, 1.0], [2.1, 1.0, -1.4]])
    prior = gt.GaussianMixture.isotropic([0.3, 0.7], means, 0.4)
    one = gt.GaussianMixture.isotropic([1.0], means[own : own + 1], 0.4)
    given = {"sampler": "ODE", "prior": prior, "conditional": one, "omega": 1.5}
    (found,) = gt.bounds.check("T39-guided-dimension-corrected", **given)
    d = 0.25 * np.sum((means[0] - means[1]) ** 2) / 0.4
    odds = [np.log(0.3 / 0.7), np.log(0.7 / 0.3)][own]
    x = np.linspace(-9.0, 9.0, 4001)

    def variation(d):
        def rates(a, z):
            return 1.5 * (1.0 - np.tanh(a * (z + a) + 0.5 * odds))

        span = 0.0, np.sqrt(d)
        z = solve_ivp(rates, span, x, method="DOP853", rtol=1e-9).y[:, -1]
        gap = norm.cdf(x) - norm.cdf(z)
        return 0.5 * (np.abs(np.diff(gap)).sum() + abs(gap[0]) + abs(gap[-1]))

    close(found.left, variation(d), 3e-4)
    close(found.right, variation(16.0 * d), 3e-4)
    assert found.holds is Verdict.HOLDS


def test_the_gap_of_two_modes_that_are_moved_and_mirrored():
    """T48: N(1.2, .5) and N(-1.6, 1): R = 1.4, l = .5, L = 1."""
    mixture = gt.GaussianMixture.isotropic([0.5, 0.5], [[1.2], [-1.6]], [0.5, 1.0])
    (found,) = gt.bounds.check("T48-poincare", mixture=mixture)
    printed, constant = landscapes.poincare(1.4, 0.5, 1.0)[""]
    close(found.left, printed)
    close(found.right, constant.value, 1e-5)


# --- what is refused --------------------------------------------------------------------

SKEW = {"A": jnp.asarray([[1.0, 0.0]]), "R": jnp.asarray([[0.3]])}
SURE = {"A": jnp.asarray([[1.0, 0.0]]), "R": jnp.asarray([[0.01]])}
ONE = {"A": jnp.ones((1, 1)), "R": jnp.full((1, 1), 0.1)}
NEAR = gt.GaussianMixture.isotropic([0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1.0)
CLASS = gt.GaussianMixture.isotropic([1.0], [[1.0, 0.0]], 1.0)
ROUND = gt.GaussianMixture.isotropic([0.5, 0.5], [[0.0, 1.0], [2.0, 0.0]], 1.0)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("T7", {"prior": TWO}, "computed for one Gaussian"),
        ("T8", {"prior": PLANE, **SKEW}, "no basis diagonalises"),
        ("T11", {"R": jnp.full((1, 1), 1e-3)}, "kappa at most 10"),
        ("T22", {"prior": ROUND}, "one Gaussian and on the line"),
        ("T22", {"prior": PLANE, "information": -1.0}, "at least 0.001"),
        ("T32", {"covariance": THREE, "observed": 3}, "from 1 to d - 1 observed"),
        (
            "T39-guided-dimension",
            {"prior": NEAR, "conditional": CLASS},
            "from 1 to 1000",
        ),
        (
            "T48-poincare",
            {"mixture": gt.GaussianMixture.isotropic([0.5, 0.5], [[0.0], [9.0]], 0.2)},
            "R.2 at most 36 l",
        ),
        (
            "T31",
            {"prior": PLANE, **SURE, "y": jnp.ones(1), "coupling": 0.25},
            "nothing is known of split Gibbs",
        ),
        ("T24", {"prior": 3.0}, "prior of T24-speciation cannot have this value"),
        ("T29", {"v": float("nan")}, "a finite number"),
    ],
)
def test_what_cannot_be_computed_is_refused_in_words(name, given, words):
    with pytest.raises((gt.InputError, gt.UnsupportedError), match=words):
        gt.bounds.check(name, **given)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("T7", {"A": jnp.zeros((1, 1))}),
        ("T11", {"prior": TWO, **ONE}),
        (
            "T24",
            {"prior": gt.GaussianMixture.isotropic([0.5, 0.5], np.ones((2, 1)), 1.0)},
        ),
        ("T29", {"prior": TWO, "v": 0.1}),
        ("T31", {"R": jnp.zeros((1, 1))}),
        ("T32", {"covariance": np.array([[1.0, 1.0], [1.0, 1.0]])}),
        ("T39-guided-dimension-corrected", {"conditional": TWO}),
        ("T48-poincare", {"mixture": TWO}),
    ],
)
def test_an_object_outside_the_assumptions_is_said(name, given):
    assert {r.holds for r in gt.bounds.check(name, **given)} == {Verdict.OUTSIDE}


def test_a_theorem_takes_what_its_setting_makes():
    """Of every case, and by name: so both sides follow from the objects alone."""
    for name, bound in gt.bounds.CATALOGUE.items():
        takes = list(inspect.signature(type(bound).sides).parameters)[2:]
        assert set(bound.parameters()) == set(takes), name
