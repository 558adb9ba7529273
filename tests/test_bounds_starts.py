"""T49 to T53: where they are attained, what fits them, and problems of one's own."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import gmm_testbed as gt
from gmm_testbed.bounds import Verdict, euler_moments, interpolants


def sides(name, key, **setting):
    """Claims by their label."""
    bound = gt.bounds.CATALOGUE[name]
    return {claim.label: claim for claim in bound.sides(key, **setting)}


def normal(mean, variance):
    return gt.GaussianMixture.isotropic([1.0], [mean], variance)


# --- T49: a start of pure noise ---------------------------------------------------------


def test_a_round_gaussian_attains_the_contraction_of_the_flow(key):
    """W2^2 = c/(c+V) (|m|^2 + d (sqrt(c+V) - sqrt V)^2), in three dimensions."""
    found = sides(
        "T49-log-concave-start", key, prior=normal([2.0, -1.0, 0.5], 0.3), v=1.7
    )
    square = 0.3 / 2.0 * (5.25 + 3.0 * (2.0**0.5 - 1.7**0.5) ** 2)
    np.testing.assert_allclose(found["flow"].left.value, square**0.5, rtol=1e-12)
    np.testing.assert_allclose(found["flow"].right.value, square**0.5, rtol=1e-12)


def test_an_atom_far_away_attains_all_four(key):
    """x0 = m: |m| / (1 + V/c)^(1/2) of the flow, and its square over |m| of the SDE."""
    c, v = 1e-6, 0.4
    found = sides("T49-log-concave-start", key, prior=normal([3.0], c), v=v)
    for label, power in (("flow", 0.5), ("SDE", 1.0)):
        wanted = 3.0 / (1.0 + v / c) ** power
        for claim in (found[label], found[f"{label}, by size"]):
            np.testing.assert_allclose(claim.left.value, wanted, rtol=1e-6)
            np.testing.assert_allclose(claim.right.value, wanted, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("v", [0.2, 5.0])
def test_two_equal_components_are_one_gaussian(v, key):
    """The line by quadrature, against the closed form."""
    twice = gt.GaussianMixture.isotropic([0.3, 0.7], [[0.8], [0.8]], 0.5)
    found = sides("T49-log-concave-start", key, prior=twice, v=v)
    exact = sides("T49-log-concave-start", key, prior=normal([0.8], 0.5), v=v)
    for label, claim in exact.items():
        np.testing.assert_allclose(found[label].left.value, claim.left.value, rtol=1e-8)
        np.testing.assert_allclose(
            found[label].right.value, claim.right.value, rtol=1e-8
        )


def test_modes_far_apart_are_outside_and_those_in_space_are_not_computed(key):
    far = gt.GaussianMixture.isotropic([0.5, 0.5], [[-1.0], [1.01]], 1.0)
    (claim,) = sides("T49-log-concave-start", key, prior=far, v=1.0).values()
    assert gt.bounds.judge(claim) is Verdict.OUTSIDE
    plane = gt.GaussianMixture.isotropic([0.5, 0.5], [[-0.1, 0.0], [0.1, 0.0]], 1.0)
    with pytest.raises(gt.UnsupportedError, match="one Gaussian, or d = 1"):
        sides("T49-log-concave-start", key, prior=plane, v=1.0)


# --- T51: back from a reference ---------------------------------------------------------


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_shift_attains_the_reference_start(share, key):
    """|shift|^2 exp(-b^2 C (T + t)), in two dimensions."""
    setting = {"b": 0.9, "horizon": 1.5, "share": share}
    laws = {"prior": normal([1.0, -0.5], 0.6), "reference": normal([0.2, 0.3], 0.6)}
    found = sides("T51-reference-start", key, **laws, **setting)
    wanted = 1.28 * np.exp(-(0.9**2) / 0.6 * 1.5 * (1.0 + share))
    for claim in found.values():
        np.testing.assert_allclose(claim.left.value, wanted, rtol=1e-12)
        np.testing.assert_allclose(claim.right.value, wanted, rtol=1e-12)


def test_a_narrow_gaussian_far_away_nears_the_bound_in_time(key):
    setting = {"b": 0.9, "horizon": 1.5, "share": 1.0, "reference": normal([0.0], 1.0)}
    found = sides("T51-reference-start", key, prior=normal([50.0], 0.2), **setting)
    whole, in_time = (found[label] for label in ("", "in time"))
    assert 0.9999 < in_time.left.value / in_time.right.value <= 1.0
    assert whole.left.value / whole.right.value < 0.2


def test_a_reference_in_another_dimension_is_outside(key):
    setting = {"b": 0.9, "horizon": 1.5, "share": 1.0, "reference": normal([0.0], 1.0)}
    prior = normal([0.0, 1.0], 0.2)
    (claim,) = sides("T51-reference-start", key, prior=prior, **setting).values()
    assert gt.bounds.judge(claim) is Verdict.OUTSIDE


# --- T52: drifts that err ---------------------------------------------------------------


def test_the_share_of_the_noise_in_the_variance_is_the_tightness():
    """A shift that is nearly the worst: 4 f A/(f + A)^2 N / Sigma_1, for a constant A."""
    start, end, epsilon, fade = normal([0.3], 0.5), normal([-0.4], 0.5), 20.0, 37.0
    given = {"latent": 1.0, "drift": 0.3, "score": 0.02, "fade": fade}  # Sigma is 1/2
    found = interpolants.divergences(start, end, epsilon=epsilon, **given)
    rate = epsilon / 0.5
    moved = quad(lambda t: np.exp(-(rate + fade) * (1.0 - t)) * 0.7, 0.0, 1.0)[0]
    energy = quad(lambda t: np.exp(-2.0 * fade * (1.0 - t)) * 0.49, 0.0, 1.0)[0]
    np.testing.assert_allclose(found.ends, 0.5 * moved**2 / 0.5, rtol=1e-9)
    np.testing.assert_allclose(found.paths, energy / (4.0 * epsilon), rtol=1e-9)
    tight = 4.0 * fade * rate / (fade + rate) ** 2
    assert found.ends / found.paths == pytest.approx(tight, rel=1e-9) and tight > 0.998


def test_the_quoted_factors_lose_a_half(key):
    """Equal errors of both parts: KL is nearly twice the quoted bound."""
    laws = {"start": normal([0.3], 0.5), "end": normal([-0.4], 0.5), "latent": 1.0}
    errors = {"drift": 0.4, "score": 0.02, "fade": 40.0, "epsilon": 20.0}
    (quoted,) = sides("T52-interpolants", key, **laws, **errors).values()
    assert gt.bounds.judge(quoted) is Verdict.VIOLATED
    assert quoted.left.value / quoted.right.value == pytest.approx(2.0, rel=1e-3)
    for claim in sides("T52-interpolants-corrected", key, **laws, **errors).values():
        assert 0.999 < claim.left.value / claim.right.value <= 1.0 + 1e-9


# --- T53: moments of Euler's steps ------------------------------------------------------


def test_a_large_error_attains_the_moment_of_one_step(key):
    """E (z - h z/w^2 + c z^3)^2 + h with c^2 E z^6 = h^2 delta^2."""
    square, last, error = 4.0, 0.25, 8.0
    found = sides(
        "T53-euler-moments", key, variance=last, first=3.75, num_steps=1, error=error
    )[""]
    h, rest = square - last, last / square
    cross = 6.0 * rest * h * error / 15.0**0.5 * square**0.5
    moment = rest**2 * square + cross + h**2 * error**2 + h
    np.testing.assert_allclose(found.left.value, h**2 * error**2, rtol=1e-12)
    np.testing.assert_allclose(found.right.value, moment, rtol=1e-12)


def test_however_small_the_error_more_steps_have_larger_moments():
    """A thousandth, and 1e-6: the bound passes any number, and goes on."""
    for error, steps in ((1e-3, 9), (1e-6, 14)):
        logs = []
        for N in (steps, steps + 1):
            squares = np.geomspace(50.5, 0.5, N + 1)
            logs.append(euler_moments.log_bound(squares, -np.diff(squares), error))
        assert logs[0] > 1e3 and logs[1] > 3.0 * logs[0]


# --- T50: DPS beside the posterior ------------------------------------------------------


def test_the_ratio_is_of_one_measurement(key):
    A, R, y = jnp.asarray([[1.0], [0.5]]), 0.3 * jnp.eye(2), jnp.zeros(2)
    given = {"prior": normal([0.0], 1.0), "A": A, "R": R, "y": y}
    with pytest.raises(gt.UnsupportedError, match="one measurement"):
        sides("T50-dps-ratio-corrected", key, **given, first=100.0, last=0.1)


@pytest.mark.slow
def test_the_ratio_of_a_problem_of_ones_own(key):
    """Its mean under the posterior is 1, and Eq. (8) as we read it is far off."""
    prior = gt.GaussianMixture.isotropic([0.7, 0.3], [[-0.5], [1.5]], [0.2, 0.6])
    A, R, y = (jnp.asarray(each) for each in ([[0.8]], [[0.25]], [0.1]))
    problem = {"prior": prior, "A": A, "R": R, "y": y, "first": 200.0, "last": 0.1}
    right = sides("T50-dps-ratio-corrected", key, **problem)
    assert {gt.bounds.judge(claim) for claim in right.values()} == {Verdict.HOLDS}
    for claim in right.values():
        np.testing.assert_allclose(claim.left.value, claim.right.value, rtol=1e-4)
    printed = sides("T50-dps-ratio", key, **problem)
    assert {gt.bounds.judge(claim) for claim in printed.values()} == {Verdict.VIOLATED}
