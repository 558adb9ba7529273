"""Figures of other papers: their formulas against others, and small cells."""

from types import SimpleNamespace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import norm

import gmm_testbed as gt
from gmm_testbed import study

from .test_experiments import FOLDER


def inside(name):
    return study.read(FOLDER / f"{name}.py").inside


# --- speciation and collapse ---------------------------------------------------------


def test_phi_is_that_of_the_two_densities():
    """(1/2) int (G+^2 + G-^2)/(G+ + G-), as the paper has it, and the published table."""
    file = inside("speciation_collapse")
    found = file.published("speciation").set_index(["d", "t"])["exact_phi"]
    d, t = 1024, 3.5
    alpha = np.exp(-t)

    def integrand(x):
        both = norm.pdf(x, [np.sqrt(d) * alpha, -np.sqrt(d) * alpha], 1.0)
        return 0.5 * (both @ both) / both.sum()

    wanted = quad(integrand, -12.0, 12.0, points=[0.0])[0]
    assert_allclose(file.same_class(d, t), wanted, rtol=1e-9)
    assert_allclose(file.curve(d, t), wanted, rtol=1e-9)
    for place in ((256, 2.5), (4096, 4.0)):
        assert_allclose(file.same_class(*place), found[place], atol=1e-6)
    assert_allclose(file.same_class(d, 0.5 * np.log(d)), 0.7752, atol=5e-5)


def test_entropies_without_vectors_are_those_with(key, monkeypatch):
    """Thirty atoms in six dimensions, drawn as vectors."""
    file = inside("speciation_collapse")
    monkeypatch.setitem(file.entropies.__globals__, "POINTS", 30)
    d, t, num = 6, 0.6, 2000
    found, information = file.entropies(key, d, t, num)
    rng, (alpha, sigma) = np.random.default_rng(3), file.scales(t)
    sign = rng.choice([-1.0, 1.0], (num, 30, 1))
    atoms = alpha * (sign + rng.normal(size=(num, 30, d)))
    x = atoms[:, :1] + sigma * rng.normal(size=(num, 1, d))
    logits = -0.5 * np.sum((x - atoms) ** 2, axis=2) / sigma**2
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    wanted = -np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=1)
    error = np.hypot(found.std(), wanted.std()) / np.sqrt(num)
    assert abs(found.mean() - wanted.mean()) < 4.5 * error
    exact = 0.5 * d * np.log1p((alpha / sigma) ** 2) + file.told_of_the_class(d, t)
    error = information.std() / np.sqrt(num)
    assert abs(information.mean() - exact) < 4.5 * error


def test_what_a_point_tells_of_its_class():
    file = inside("speciation_collapse")
    d, t = 64, 2.0
    mean = np.sqrt(d) * np.exp(-t)

    def integrand(x):
        both = 0.5 * norm.pdf(x, [mean, -mean], 1.0)
        share = both / both.sum()
        return -both.sum() * (share @ np.log(share))

    told = np.log(2.0) - quad(integrand, -9.0, 9.0, points=[0.0])[0]
    assert_allclose(file.told_of_the_class(d, t), told, rtol=1e-7)


# --- noise schedules in high dimension -----------------------------------------------


def test_a_law_of_dilated_steps_is_that_of_numpy(key):
    """Euler steps of the velocity of c (1 - tau) z + tau a, in its own variables."""
    file, d, steps, k, s = inside("high_dimension_schedules"), 10_000, 50, 3.0, 0.5
    t, share = np.linspace(0.0, 1.0, steps + 1), k / np.sqrt(d)
    tau = np.where(t < 0.5, 2 * share * t, share + (1 - share) * (2 * t - 1))

    def carried(z):
        x = z
        for now, then in zip(tau[:-1], tau[1:], strict=True):
            variance = now**2 * s**2 + (1.0 - now) ** 2
            logit = np.log(4.0) + 2.0 * x * now * np.sqrt(d) / variance
            ends = np.sqrt(d) * np.tanh(0.5 * logit)
            mean = ends + now * s**2 / variance * (x - now * ends)
            noise = (1.0 - now) / variance * (x - now * ends)
            x = x + (then - now) * (mean - noise)
        return x

    cell = file.schedule_laws(key, noise="VP", schedule="dilated", d=d, steps=steps)
    begin = norm.isf(float(cell["weight"].value))
    assert carried(begin - 1e-6) < 0.0 < carried(begin + 1e-6)
    u = (np.arange(200_000) + 0.5) / 200_000 * norm.sf(begin)
    ends = carried(norm.isf(u))
    assert_allclose(cell["along"].value, ends.std() / s, atol=3e-4)
    assert_allclose(cell["mean"].value, ends.mean() / np.sqrt(d), rtol=1e-5)
    spread = 1.0
    for now, then in zip(tau[:-1], tau[1:], strict=True):
        variance = now**2 * s**2 + (1.0 - now) ** 2
        spread *= 1.0 + (then - now) * (now * s**2 - (1.0 - now)) / variance
    assert_allclose(cell["across"].value, spread / s, rtol=1e-9)


# --- flow matching -------------------------------------------------------------------


def test_sides_for_gaussian_flows_are_the_published_exact_ones(key):
    """By adaptive quadrature, and the values kept beside the published ones."""
    file = inside("flow_matching_kl")
    cell = file.gaussian_flows(key, schedule="a2", kind="constant")
    beta = 0.15

    def variance(t):
        a = quad(lambda u: 0.3 * np.sin(2.0 * np.pi * u) + 0.2, 0.0, t)[0]
        return np.exp(2.0 * a)

    square = quad(lambda t: 2.0 * beta**2 * variance(t), 0.0, 1.0)[0]
    scores = quad(
        lambda t: 2.0 / variance(t) * (1.0 - np.exp(-2.0 * beta * t)) ** 2, 0.0, 1.0
    )[0]
    kl = np.exp(-2.0 * beta) - 1.0 + 2.0 * beta
    found = [
        float(cell[f"{name}, 0.15"].value) for name in ("epsilon", "S", "KL", "bound")
    ]
    wanted = [np.sqrt(square), scores, kl, np.sqrt(square * scores)]
    assert_allclose(found, wanted, rtol=1e-9)
    kept = file.published().set_index(["schedule", "delta", "beta"])
    row = kept.loc[("a2", "constant", beta)][["eps_exact", "S_exact", "KL_exact"]]
    assert_allclose(found[:3], row.astype(float), rtol=2e-5)
    rng = np.random.default_rng(5)
    square = rng.chisquare(2, (2000, 2000)) * 0.5 * (1.0 - np.exp(-2.0 * beta))
    noise = float(cell["error of KL, 0.15"].value) * np.sqrt(file.POINTS / 2000)
    assert_allclose(square.mean(axis=1).std(), noise, rtol=4.5 / np.sqrt(4000))


# --- where DPS puts its mass ---------------------------------------------------------


def test_a_step_of_dps_is_that_of_its_formula():
    """One step of it, and the posterior's weights, by their formulas."""
    file = inside("dps_mass")
    target = file.target()
    weights = norm.pdf(file.SEEN, file.MEANS[:, 1], np.sqrt(1.25))
    exact = np.exp(np.asarray(target.exact_posterior.log_weights))
    assert_allclose(exact, weights / weights.sum(), rtol=1e-9)
    t, s = 0.5, 0.4
    a, b, c, d = (
        float(of(jnp.asarray(time)))
        for time in (t, s)
        for of in (target.path.alpha, target.path.sigma)
    )
    x, variance = np.array([0.7, -0.9]), a**2 + b**2
    logits = -0.5 * np.sum((x - a * file.MEANS) ** 2, axis=1) / variance
    shares = np.exp(logits) / np.exp(logits).sum()
    centres = file.MEANS + a / variance * (x - a * file.MEANS)
    mean = shares @ centres
    spread = (shares[:, None] * (centres - mean)).T @ (centres - mean)
    spread += b**2 / variance * np.eye(2)
    guided = mean + spread[:, 1] * (file.SEEN - mean[1]) / 0.25
    fresh = 1.0 - (a * d / (c * b)) ** 2
    wanted = a * d**2 / (c * b**2) * x + c * fresh * guided
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM())
    given = target, *map(jnp.asarray, (x, t, s))
    found = eqx.filter_jit(sampler.transition)(*given)
    assert_allclose(found.mean, wanted, rtol=1e-9)
    assert_allclose(found.covariance(), d**2 * fresh * np.eye(2), rtol=1e-9)


def test_a_density_is_interpolated_onto_the_box():
    file = inside("dps_mass")
    x, y = np.linspace(-10.0, 10.0, 81), np.linspace(-7.0, 3.0, 61)
    values = 2.0 + 0.05 * x[:, None] + 0.1 * y
    density = SimpleNamespace(x=x, y=y, log_density=np.log(values))
    wanted = 2.0 + 0.05 * file.BOX[0][:, None] + 0.1 * file.BOX[1]
    assert_allclose(file.onto(density), wanted, rtol=1e-9)
