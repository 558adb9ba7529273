"""Where a theorem is attained, nothing smaller than its right side would do."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import gmm_testbed as gt
from gmm_testbed.bounds import (
    component_brackets,
    dps_density,
    entropy_sandwich,
    flow_curvature,
    initialisation,
    mixture_landscape,
    plain_start,
    replacement,
)
from gmm_testbed.bounds.tools import line_pairs, space

ALPHA = 0.35


def gaussian(mean, variance):
    """N(mean, variance), as two components."""
    means = [[mean], [mean]]
    return gt.GaussianMixture.isotropic([0.3, 0.7], means, [variance, variance])


def sides(mean, variance, dim=1):
    """KL(p_T || N(0, I)) and its three bounds (T6) for a Gaussian on the first axis."""
    prior = space.beside(gaussian(mean, variance), dim, (0.0, 0.0), (1.0, 1.0))
    alpha = jnp.asarray(ALPHA)
    return initialisation._sides(prior, alpha, jnp.sqrt(1.0 - alpha**2))


@pytest.mark.parametrize("dim", [1, 3])
def test_a_shifted_normal_decays_no_faster(dim):
    """N(m, 1): the entropy is alpha^2 m^2 / 2; transport leaves a factor 1 - alpha^2."""
    left, (decay, _, transport) = sides(1.7, 1.0, dim)
    np.testing.assert_allclose(left, ALPHA**2 * 1.7**2 / 2.0, rtol=1e-9)
    np.testing.assert_allclose(left, decay, rtol=1e-9)
    np.testing.assert_allclose(left, (1.0 - ALPHA**2) * transport, rtol=1e-9)


def test_an_atom_attains_convexity():
    """x0 = m: p_T is N(alpha m, 1 - alpha^2), and the bound by convexity its KL."""
    left, (_, convexity, _) = sides(1.7, 1e-12)
    exact = 0.5 * (ALPHA**2 * (1.7**2 - 1.0) - np.log(1.0 - ALPHA**2))
    np.testing.assert_allclose([left, convexity], exact, rtol=1e-9)


def test_a_shift_attains_transport_inequalities():
    """T27 for q = N(h, 1) and p = N(0, 1), C = 1: KL = FI / 2, W2^2 = 2 KL, and HWI."""
    q, p = gaussian(0.8, 1.0), gaussian(0.0, 1.0)
    kl, fisher = line_pairs.kl(q, p), line_pairs.fisher(q, p)
    square = line_pairs.transport(q, p)
    found = [kl, 0.5 * fisher, 0.5 * square, np.sqrt(square * fisher) - 0.5 * square]
    np.testing.assert_allclose(found, 0.32, rtol=1e-9)


def test_an_atom_is_moved_by_all_of_the_noise():
    """T36: W2(p_v, p_0) = sqrt(v)."""
    v = 0.3
    moved = line_pairs.transport(gaussian(0.4, 1e-12 + v), gaussian(0.4, 1e-12))
    np.testing.assert_allclose(np.sqrt(moved), np.sqrt(v), rtol=1e-5)


def test_replacement_loses_all_information_of_a_wide_unknown():
    """T32: the path divergence tends to I(o; u) as the scale of u grows."""
    information = -0.5 * np.log(1.0 - 0.8**2)
    shares = [
        replacement.path_kl(replacement.pair(0.8, s), 1) / information
        for s in (1.0, 3.0, 100.0)
    ]
    np.testing.assert_allclose(shares[0], 0.5, rtol=1e-9)
    assert shares[0] < shares[1] < shares[2] < 1.0 and shares[2] > 0.999


def test_two_atoms_come_near_the_corrected_density_bound():
    """T12: atoms 1.585 s either side of y leave 0.45126 of m_1 / (s sqrt(2 pi s^2)).

    So no constant below 0.45126 would do.
    """
    s, slope, seen = 0.3, 1.3, 0.7
    apart = 1.585 * s / slope
    prior = gt.GaussianMixture.empirical(
        [[seen / slope - apart], [seen / slope + apart]]
    )
    A, y = jnp.asarray([[slope]]), jnp.asarray([seen])
    x, _, log_gaps, moments = (
        np.asarray(part)
        for part in dps_density.gaps_and_moments(prior, A, y, jnp.asarray(s))
    )
    unit = slope * moments / (s * np.sqrt(2.0 * np.pi * s**2))
    shares = np.exp(log_gaps) / unit
    # At the largest noise level and x_t nearest to the middle the atoms are as likely.
    assert 0.448 < shares[-1, np.argmin(abs(x[-1] - seen / slope))] < 0.451262
    assert shares[moments > 1e-6].max() < 0.451262  # the others are a single atom


@pytest.mark.parametrize("turns", [[0.0, np.pi], np.linspace(0.0, np.pi, 361)])
def test_no_law_leaves_more_than_two_atoms(turns):
    """T12: after a linear function is taken off, chords of exp(-|u|^2/2) are below b.

    From v, a distance r along a turn: on the line, and in the planes that are all of space.
    """
    cosine, r = np.cos(turns)[None], np.linspace(1e-3, 8.0, 2001)[:, None]
    suprema = []
    for v in np.linspace(0.0, 4.0, 41):
        square = v**2 + 2.0 * v * r * cosine + r**2
        chords = (np.exp(-0.5 * square) - np.exp(-0.5 * v**2)) / r
        best = minimize_scalar(
            lambda along, chords=chords: np.abs(chords - along * cosine).max(),
            bounds=(-1.0, 1.0),
            method="bounded",
            options={"xatol": 1e-9},
        )
        suprema.append(best.fun)
    assert suprema[0] == pytest.approx(dps_density.SHARP, rel=1e-6)
    assert np.all(np.diff(suprema) < 0.0)


def test_information_of_far_and_of_equal_components_is_bracketed_tightly():
    """C20: both bounds are H_c + H(w) for components far apart."""
    for label, left, right, *_ in entropy_sandwich._claims(
        *space.together(*entropy_sandwich._pair(jnp.asarray(40.0)))
    )[:2]:
        np.testing.assert_allclose(left.value, right.value, rtol=1e-9, err_msg=label)


def test_one_gaussian_attains_the_brackets_of_components():
    """C21: mmse and information lie between equal numbers."""
    prior = space.beside(gaussian(0.6, 0.5), 3, (0.7, -0.3), (0.25, 0.6))
    total = jnp.asarray(np.linalg.eigvalsh(prior.whole().covariance()))
    claims = component_brackets._claims(prior, total, jnp.asarray(1.7))
    found = {claim.label: claim for claim in claims}
    for label in ("mmse, from below", "mmse, from above", "KL", "Fisher", "W2"):
        claim = found[label]
        np.testing.assert_allclose(claim.left.value, claim.right.value, rtol=1e-9)
    for label in ("information, from below", "information, from above"):
        claim = found[label]
        np.testing.assert_allclose(claim.left.value, claim.right.value, rtol=1e-9)


@pytest.mark.slow
def test_one_training_point_has_all_the_information(key, tolerance):
    """T20: E KL = I, from below and from above."""
    reports = gt.bounds.check("T20-training-prior", key, points=1, sigma=0.7)
    found = {r.label: r for r in reports}
    below, above = found["(ii) KL from below"], found["(ii) KL from above"]
    np.testing.assert_allclose(below.left.value, above.right.value, rtol=1e-9)
    assert abs(above.slack.value) < tolerance.z * above.slack.stderr


@pytest.mark.slow
def test_one_particle_has_the_divergence_of_its_proposal(key, tolerance):
    """T17 with one draw: both bounds by log Z are the divergences from the prior."""
    reports = gt.bounds.check("T17-importance-sampling", key, num=1)
    found = {r.label: r for r in reports}
    for label in ("KL(post || draw), conditional", "KL(draw || post)"):
        slack = found[label].slack
        assert abs(slack.value) < tolerance.z * slack.stderr
        assert found[label].left.stderr < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, label, least",
    [
        ("T1-path-identity", "output", 0.999),
        ("T2-reverse-paths", "output", 0.995),
        ("T18-jeffreys", "", 0.999),
    ],
)
def test_one_step_forgets_its_start(name, label, least, key, tolerance):
    """From almost pure noise in one step, the divergence of paths is that of the output."""
    (report,) = (r for r in gt.bounds.check(name, key, steps=1) if r.label == label)
    left, right = float(report.left.value), float(report.right.value)
    error = tolerance.z * float(report.right.stderr)
    assert least * right - error < left < right + error


def two(weights, means, variance):
    """Two components, or atoms."""
    if variance == 0.0:
        return gt.GaussianMixture.empirical(jnp.asarray(means), jnp.asarray(weights))
    return gt.GaussianMixture.isotropic(weights, means, variance)


@pytest.mark.parametrize("variance", [0.0, 0.2])
def test_two_means_attain_the_posterior_covariance(variance, key):
    """T46: where both are as likely, whatever the weights."""
    prior = two([0.85, 0.15], [[-0.7, 0.4], [0.8, 0.1]], variance)
    bound = gt.bounds.CATALOGUE["T46-posterior-covariance"]
    covariance, hessian, _ = bound.sides(key, prior=prior, noise=0.6, scale=0.7)
    square, total = 0.36, 0.36 + variance
    wanted = variance * square / total + (square / total) ** 2 * (1.5**2 + 0.3**2) / 4
    np.testing.assert_allclose(covariance.left.value, wanted, rtol=1e-9)
    np.testing.assert_allclose(covariance.right.value, wanted, rtol=1e-9)
    np.testing.assert_allclose(hessian.left.value, hessian.right.value, rtol=1e-8)


def test_antipodal_atoms_attain_the_lipschitz_constant(key):
    """T47: R = 1.3, and the map expands as long as t < R^2."""
    atoms = two([0.3, 0.7], [[0.5, 1.2], [-0.5, -1.2]], 0.0)
    bound = gt.bounds.CATALOGUE["T47-denoising-lipschitz"]
    for variance, step in ((0.9, 0.5), (2.5, 2.5)):
        found, _ = bound.sides(key, atoms=atoms, variance=variance, step=step)
        wanted = 1.0 + step * (1.69 / variance**2 - 1.0 / variance)
        np.testing.assert_allclose(found.left.value, wanted, rtol=1e-9)
        np.testing.assert_allclose(found.right.value, wanted, rtol=1e-9)
        assert (wanted < 1.0) == (variance > 1.69)


def test_one_gaussian_attains_curvature_and_pull(key):
    """T48, on the line: 1/l everywhere, and the pull at the mean."""
    mixture = gt.GaussianMixture.isotropic([1.0], [[1.4]], 0.6)
    bound = gt.bounds.CATALOGUE["T48-landscape"]
    for claim in bound.sides(key, mixture=mixture):
        np.testing.assert_allclose(claim.left.value, claim.right.value, rtol=1e-9)


def test_the_spectral_gap_of_a_gaussian_is_one_over_its_variance():
    gaussian = gt.GaussianMixture.isotropic([1.0], [[0.3]], 0.7)
    found = mixture_landscape.poincare(gaussian)
    np.testing.assert_allclose(found, 0.7, rtol=1e-7)


def test_an_atom_is_as_far_from_pure_noise_as_from_the_origin():
    """T41: W2(N(0, s^2), N(m, s^2)) = |m|."""
    atom = space.beside(gaussian(0.7, 1e-12), 1, (), ())
    for s in (0.3, 4.0):
        found = plain_start.from_noise(atom, jnp.asarray(s))
        np.testing.assert_allclose(found, 0.7, rtol=1e-9)


@pytest.mark.parametrize(
    "law, s, most",
    [
        ("one Gaussian", 2.0**-0.5, 2.0 / 27.0**0.5),
        ("two atoms", 1.0, 1.022),
        ("nine atoms", 1.0, 1.363),
    ],
)
def test_no_law_was_found_that_bends_the_flow_much(law, s, most):
    """T40 allows 16: s times the acceleration in the clock s, on the line."""
    found = flow_curvature.bend(
        flow_curvature.law_of(law, 1), jnp.asarray(s), jnp.asarray(1.0)
    )
    np.testing.assert_allclose(found, most, atol=5e-4)
