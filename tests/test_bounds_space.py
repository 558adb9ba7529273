"""Pieces of the bounds in space: sums over coordinates against matrices and samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import foldnorm

import gmm_testbed as gt
from gmm_testbed.bounds import Verdict, component_brackets
from gmm_testbed.bounds.tools import radial, space
from gmm_testbed.bounds.tools import split_gibbs_space as split
from gmm_testbed.divergences import closed_form

NUM = 40000


def close(estimate, exact, tolerance):
    assert abs(estimate.value - exact) < tolerance.z * estimate.stderr


def test_covariances_are_full_and_unequal():
    covariances = np.asarray(space.two_modes(3).whole().covariances())
    assert (abs(covariances) > 5e-3).all()
    assert (abs(covariances[0] - covariances[1]) > 1e-3).all()


def test_noise_leaves_a_mixture_rotated():
    law, alpha, sigma = space.two_modes(3), jnp.asarray(0.6), jnp.asarray(0.8)
    before, after = law.whole(), law.noised(alpha, sigma).whole()
    covariances = 0.36 * before.covariances() + 0.64 * jnp.eye(3)[None]
    np.testing.assert_allclose(after.means, 0.6 * before.means, rtol=1e-12)
    np.testing.assert_allclose(after.covariances(), covariances, rtol=1e-12)


@pytest.mark.slow
def test_divergences_from_a_normal_by_samples(key, tolerance):
    p = space.two_modes(3)
    whole, normal = p.whole(), gt.GaussianMixture.isotropic([1.0], [[0.0] * 3], 1.0)
    x = whole.sample(key, NUM)
    logs = jax.vmap(lambda x: whole.log_prob(x) - normal.log_prob(x))(x)
    squares = jax.vmap(lambda x: jnp.sum((whole.score(x) + x) ** 2))(x)
    close(gt.Estimate.mean_of(logs), p.kl_to_normal(), tolerance)
    close(gt.Estimate.mean_of(squares), p.fisher_to_normal(), tolerance)


@pytest.mark.slow
def test_mmse_and_information_by_samples(key, tolerance):
    p, snr = space.two_modes(3), jnp.asarray(2.0)
    mmse, information = component_brackets._measured(p, snr)
    one, sigma = jnp.ones(()), 1.0 / jnp.sqrt(snr)
    noisy = p.whole().noised(one, sigma)
    z = noisy.sample(key, NUM)
    errors = jax.vmap(lambda z: p.whole().denoised(z, one, sigma).total_variance())(z)
    close(gt.Estimate.mean_of(errors), mmse, tolerance)
    logs = -jax.vmap(noisy.log_prob)(z) - 1.5 * np.log(2.0 * np.pi * np.e / snr)
    close(gt.Estimate.mean_of(logs), information, tolerance)


def test_transport_of_gaussians_is_that_of_their_matrices():
    def one(mean, variance, means, variances):
        means_of_line = [[mean], [mean]]
        line = gt.GaussianMixture.isotropic([0.3, 0.7], means_of_line, [variance] * 2)
        return space.beside(line, 3, means, variances)

    q, p = one(0.4, 0.3, (0.2, 1.0), (0.5, 0.1)), one(-1.0, 2.0, (0.7, 0.3), (0.2, 1.6))
    laws = [(law.whole().mean(), law.whole().covariance()) for law in (q, p)]
    exact = closed_form.w2_squared(*laws[0], *laws[1])
    np.testing.assert_allclose(space.transport(q, p), exact, rtol=1e-9)


def test_a_dimension_that_is_not_computed_is_a_message():
    with pytest.raises(gt.InputError, match="not computed for this dim"):
        gt.bounds.check("T6-initialisation", dim=2)


# --- mean distances -------------------------------------------------------------------


def test_mean_distance_on_the_line_is_folded():
    mixture = gt.GaussianMixture.isotropic([0.3, 0.7], [[-0.8], [1.1]], [0.3, 0.5])
    parts = ((0.3, -0.8, 0.3), (0.7, 1.1, 0.5))
    exact = sum(
        w * foldnorm.mean(abs(m - 0.2) / np.sqrt(v), scale=np.sqrt(v))
        for w, m, v in parts
    )
    found = radial.mean_distance(mixture, jnp.asarray([0.2]))
    np.testing.assert_allclose(found, exact, rtol=1e-11)


@pytest.mark.slow
def test_mean_distance_in_space_by_samples(key, tolerance):
    prior, *_ = space.observed()
    centre = jnp.asarray([0.4, -0.2, 0.3])
    x = prior.sample(key, NUM)
    sampled = gt.Estimate.mean_of(jnp.linalg.norm(x - centre[None], axis=1))
    close(sampled, radial.mean_distance(prior, centre), tolerance)


@pytest.mark.slow
def test_energy_distance_of_two_mixtures(key, tolerance):
    posed = split.Posed(*space.observed(0.4))
    q, p = split.posterior(posed, 1.0), split.posterior(posed, 0.0)
    sampled = gt.divergences.energy_distance(q.sample(key, 10000), p)
    close(sampled, radial.energy(q, p), tolerance)
    assert radial.energy(q, p) > 100 * abs(radial.energy(q, q))


# --- theorems -------------------------------------------------------------------------


@pytest.mark.slow
def test_too_few_sweeps_are_not_the_stationary_law(key, monkeypatch):
    monkeypatch.setattr(split, "_SWEEPS", 1)
    found = {r.label: r.holds for r in gt.bounds.check("T31-split-gibbs", key, **CASE)}
    assert found["sampler and its law"] is Verdict.VIOLATED
    assert found["bias"] is Verdict.HOLDS


CASE = {"coupling": 0.5, "dim": 3}


@pytest.mark.slow
def test_the_sampler_is_at_its_law(key, tolerance):
    found = {r.label: r for r in gt.bounds.check("T31-split-gibbs", key, **CASE)}
    close(found["sampler and its law"].left, 0.0, tolerance)
    assert {r.holds for r in found.values()} == {Verdict.HOLDS}


@pytest.mark.slow
def test_orders_come_near_their_limits():
    """What the parts that are asymptotic leave falls with v and with r^2."""
    for name, label, case, few in (
        ("T36-early-stopping", "order of half denoising", "v", (0.1, 0.01)),
        ("T31-split-gibbs", "order", "coupling", (0.1, 0.02)),
    ):
        gaps = []
        for value in few:
            reports = gt.bounds.check(name, **{case: value, "dim": 3})
            (order,) = (r for r in reports if r.label == f"{label} (asymptotic)")
            gaps.append(abs(float(order.slack.value)))
        assert gaps[1] < 0.15 * gaps[0]
