"""The experiments on arXiv:2605.30330: their formulas against others, and small cells."""

from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import gmm_testbed as gt
from gmm_testbed import study

FOLDER = Path(__file__).parents[1] / "experiments"


def inside(name):
    return study.read(FOLDER / f"burns2026_{name}.py").inside


def posterior_of(problem):
    """Weights of the atoms, by NumPy."""
    atoms, measurement = problem.prior.means, problem.measurement
    seen = np.asarray(jax.vmap(measurement.apply)(atoms) - problem.y[None])
    logs = -0.5 * np.sum(seen @ np.linalg.inv(np.asarray(measurement.R)) * seen, axis=1)
    weights = np.exp(logs - logs.max())
    return np.asarray(atoms), weights / weights.sum()


def test_the_surrogate_has_the_approximate_likelihood(tolerance):
    t = 0.1
    target = gt.problems.get("one-gaussian")
    x = jnp.linspace(-5.0, 5.0, 401)
    alpha, sigma = (
        float(f(jnp.asarray(t))) for f in (target.path.alpha, target.path.sigma)
    )
    A, R, b = 1.2, 0.25**2, -0.1
    variance = 0.6 * alpha**2 + sigma**2
    mean = 0.5 + 0.6 * alpha / variance * (np.asarray(x) - 0.5 * alpha)
    residual = 0.8 - A * mean - b
    r2 = sigma**2 / (sigma**2 + alpha**2)
    joint = norm.logpdf(np.asarray(x), 0.5 * alpha, np.sqrt(variance))
    x_and_t = x, jnp.asarray(t)
    approximation = gt.approximations.PiGDM()
    found = gt.diagnostics.surrogate_log_density(approximation, target, *x_and_t)
    wanted = np.exp(joint - 0.5 * residual**2 / (R + r2 * A**2))
    wanted /= wanted.sum() * (x[1] - x[0])
    np.testing.assert_allclose(np.exp(found), wanted, atol=100 * tolerance.identity)
    assert np.abs(wanted - np.exp(joint)).max() > 0.1  # it is not the prior


def test_surrogates_are_for_the_line():
    target = gt.problems.get("ring-radius")
    with pytest.raises(gt.InputError, match="d = 2"):
        gt.diagnostics.surrogate_log_density(
            gt.approximations.DPS(),
            target,
            jnp.linspace(-1.0, 1.0, 9),
            jnp.asarray(0.1),
        )


def test_rates_by_quadrature_are_those_in_closed_form(tolerance):
    file, target, t = inside("finite_sample"), gt.problems.get("two-modes"), 0.1
    exact, grid = file.constants("posterior", t), file.grid_at("posterior", t)
    noise = file.ratio(target.path, t)
    density, limit = file.rate(target.problem.prior, target.problem, noise, grid)
    np.testing.assert_allclose(density, exact.density, rtol=tolerance.quadrature)
    np.testing.assert_allclose(limit, exact.limit, rtol=tolerance.quadrature)
    assert exact.limit < exact.bound
    np.testing.assert_allclose(limit, 0.5953, atol=1e-3)  # 0.05 with 142 atoms


@pytest.mark.parametrize("marginal", ["posterior", "prior"])
@pytest.mark.slow
def test_distance_of_a_reference_is_that_of_numpy(marginal, key):
    file, t, count = inside("finite_sample"), 0.3, 5
    target = gt.problems.get("two-modes")
    prior = target.problem.prior
    exact, grid = file.constants(marginal, t), file.grid_at(marginal, t)
    keys = jax.random.split(key, 2)
    known = prior, target, jnp.asarray(t)
    found = file.distances(keys, *known, grid, exact.density, count, marginal)
    x, noise = np.asarray(grid.points), float(file.ratio(target.path, t))
    for tv, one in zip(found, keys, strict=True):
        atoms = np.asarray(prior.sample(one, count))[:, 0]
        weights = (
            norm.pdf(0.5, atoms, 0.3) if marginal == "posterior" else np.ones(count)
        )
        kernels = norm.pdf(x[:, None], atoms[None], noise)
        density = kernels @ weights / weights.sum()
        wanted = 0.5 * grid.spacing * np.abs(density - exact.density).sum()
        np.testing.assert_allclose(tv, wanted, rtol=1e-6)


def test_limit_of_the_prior_side_is_that_of_numpy(tolerance):
    """The variance of one kernel at every point, over atoms."""
    file, t = inside("finite_sample"), 0.1
    exact, grid = file.constants("prior", t), file.grid_at("prior", t)
    x, atoms = np.asarray(grid.points), np.linspace(-5.0, 6.0, 4001)
    weights = 0.4 * norm.pdf(atoms, -1.0, 0.4) + 0.6 * norm.pdf(atoms, 1.5, 0.6)
    weights *= atoms[1] - atoms[0]
    noise = float(file.ratio(gt.problems.get("two-modes").path, t))
    kernels = norm.pdf(x[:, None], atoms[None], noise)
    spread = np.sqrt(kernels**2 @ weights - (kernels @ weights) ** 2)
    bound = 0.5 * spread.sum() * float(grid.spacing)
    np.testing.assert_allclose(exact.bound, bound, rtol=tolerance.quadrature)
    limit = np.sqrt(2.0 / np.pi) * bound
    np.testing.assert_allclose(exact.limit, limit, rtol=tolerance.quadrature)


def test_gap_leaves_two_modes():
    problem = gt.problems.get("gap").problem
    means = np.asarray(problem.prior.means)[:, 0]
    variances = np.asarray(problem.prior.covariances())[:, 0, 0]
    joint = np.exp(np.asarray(problem.prior.log_weights))
    joint *= norm.pdf(0.1, means, np.sqrt(variances + 0.35**2))
    found = np.exp(np.asarray(problem.posterior().log_weights))
    np.testing.assert_allclose(found, joint / joint.sum(), rtol=1e-4)
    np.testing.assert_allclose(found[1:3], [0.5375, 0.4625], atol=1e-4)


@pytest.mark.parametrize("name", ["ring-radius", "roll-angle"])
def test_masses_of_half_spaces_are_those_of_the_atoms(name, monkeypatch):
    file = inside("nonlinear")
    target = gt.problems.get(name)
    atoms, weights = posterior_of(target.problem)
    posterior = np.exp(np.asarray(target.exact_posterior.log_weights))
    np.testing.assert_allclose(posterior, weights, rtol=1e-4, atol=1e-12)
    monkeypatch.setattr(
        gt,
        "sample",
        lambda *given: SimpleNamespace(
            x=jnp.asarray(atoms), info=SimpleNamespace(nonfinite=0)
        ),
    )
    metrics = file.samples(jax.random.key(0), problem=name, method="Exact").metrics
    t = jnp.asarray(file.T_MIN)
    alpha, sigma = float(target.path.alpha(t)), float(target.path.sigma(t))
    for half, (direction, level) in file.HALVES[name].items():
        along = atoms @ np.asarray(direction)
        wanted = weights @ norm.cdf((alpha * along - level) / sigma)
        np.testing.assert_allclose(metrics[f"{half}, exact"], wanted, rtol=1e-4)
        np.testing.assert_allclose(
            metrics[half].value, np.mean(along > level), rtol=1e-6
        )


@pytest.mark.parametrize("name", ["square", "absolute", "ring-radius", "roll-angle"])
def test_expected_masses_are_those_of_the_atoms(name):
    read = study.read(FOLDER / "burns2026_nonlinear.py")
    target = gt.problems.get(name)
    atoms, weights = posterior_of(target.problem)
    last = 0.01 if name == "square" else read.inside.T_MIN
    t = jnp.asarray(last)
    alpha, sigma = float(target.path.alpha(t)), float(target.path.sigma(t))
    halves = {"right mode": ((1.0,), 0.0)}
    for half, (direction, level) in read.inside.HALVES.get(name, halves).items():
        along = alpha * atoms @ np.asarray(direction)
        wanted = weights @ norm.cdf((along - level) / sigma)
        found = read.expected[f"{name}: {half}, exact"].value
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_failures_of_the_prior_are_known():
    """Of a sampler that ignores the observation."""
    file, target = inside("failures"), gt.problems.get("gap")
    t, x = jnp.asarray(0.01), jnp.linspace(-4.5, 4.5, 1024)
    prior = target.marginal(t)
    logs = jax.vmap(lambda point: prior.log_prob(point[None]))(x)
    density = gt.divergences.LineDensity.uniform(-4.5, 4.5, logs)
    law = SimpleNamespace(times=[t], at=lambda index, cover: density)
    found = file.measured(law, target, 0)
    alpha, sigma = float(target.path.alpha(t)), float(target.path.sigma(t))
    weights, means = np.array([0.35, 0.3, 0.2, 0.15]), np.array([-2.4, -0.7, 0.9, 2.6])
    spread = weights @ (np.array([0.05, 0.03, 0.06, 0.04]) + means**2)
    spread = alpha**2 * (spread - (weights @ means) ** 2) + sigma**2
    exact = float(target.posterior(t).total_variance())
    np.testing.assert_allclose(found["spread"], spread / exact, rtol=1e-4)
    np.testing.assert_allclose(found["weight, exact"], 0.5375, atol=1e-4)
    np.testing.assert_allclose(found["weight"], 0.3, atol=1e-3)
    np.testing.assert_allclose(found["prior"], 0.5, atol=1e-3)
    assert found["prior, exact"] < 1e-6
    # The prior has 1e-3 outside its modes, and part of that where y is likely.
    assert 1e-4 < found["likelihood"] < 1e-3


def test_early_stopping_is_read_and_drawn():
    file = inside("early_stopping")
    w1 = {"Exact": [8, 7, 6, 5, 4, 3, 2, 1], "DPS update": [4, 3, 2, 3, 3, 4, 4, 4]}
    rows = [
        {"problem": problem, "method": method, "t_min": t_min}
        | {"w1": value / 10, "w1, marginal": 0.3, "bound": 0.45}
        for problem in file.PROBLEMS
        for method in file.SAMPLERS
        for t_min, value in zip(file.LAST, w1.get(method, w1["Exact"]), strict=True)
    ]
    frame, labels = pd.DataFrame(rows), ["problem", "method", "t_min"]
    for label in labels:  # in declared order, as a store gives them
        frame[label] = pd.Categorical(frame[label], frame[label].unique())
    frame = frame.set_index(labels)
    store = SimpleNamespace(wide=lambda experiment: frame)
    found = file.claims(store)
    assert found["gap, DPS update: best t_min"] == 0.1
    assert found["gap, DPS update: gain of stopping there"] == 2.0
    assert found["gap, Exact: best t_min"] == 0.001
    assert found["gap, Exact: W1, t_min = 0.01, over the last"] == pytest.approx(3.0)
    assert found["Exact: cells with W1 above the bound of T36"] == 2 * 4
    assert found["cells that violate T36"] == 2 * 5  # .8 is further from .3 than .45
    assert list(file.figures(store)) == ["early_stopping"]


def test_cases_are_counted():
    file = inside("steps")
    values = {"Exact": 0.3, "TMPD": 0.2, "DPS": 0.2995, "PiGDM": 0.4}
    guided = pd.DataFrame(
        {"problem": p, "method": m, "kernel": k, "steps": n, "tv": values[m]}
        for p in file.PROBLEMS
        for m in file.METHODS
        for k in file.KERNELS
        for n in file.STEPS
    ).set_index(["problem", "method", "kernel", "steps"])
    other = pd.DataFrame(
        {"zeta": zeta, "steps": n, "tv": 0.1 * (1 + abs(i - 2))}
        for zeta in file.ZETAS
        for i, n in enumerate(file.STEPS)
    ).set_index(["zeta", "steps"])
    store = SimpleNamespace(wide=lambda e: guided if e is file.guided else other)
    found = file.claims(store)
    assert found["cases that beat exact guidance, DDPM"] == 2 * len(file.STEPS)  # TMPD
    assert found["two-modes, DPS update, zeta = 0.1, DDPM: best N"] == 20
    assert list(file.figures(store)) == ["steps"]


def test_modes_are_counted():
    x = np.linspace(-4.0, 4.0, 801)
    two = norm.pdf(x, -1.0, 0.3) + 0.1 * norm.pdf(x, 1.0, 0.3)
    assert inside("unimodal").modes(two) == 2.0
    assert inside("unimodal").modes(norm.pdf(x)) == 1.0
