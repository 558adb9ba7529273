"""Expected values of experiments against NumPy: closed forms, and laws on other grids."""

import functools
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from gmm_testbed import study

from .oracles import line_sampler as oracle

FOLDER = Path(__file__).parents[1] / "experiments"
EULER, T = "Euler-Maruyama", 0.01
# Where the residual changes sign the step jumps: a sum over nodes errs by the spacing.
JUMPS = {"ZetaDPS": 1e-3, "DPS update 0.03": 5e-3, "DPS update 0.1": 5e-3}
ALL = "Exact", "DPS", "ZetaDPS", "PiGDM", "TMPD"


@functools.cache
def expectations(name):
    return study.read(FOLDER / f"{name}.py").expected


def expected(name, claim):
    """The value that an experiment is held to."""
    return expectations(name)[claim].value


def truth(problem, t=T):
    return oracle.noised(oracle.posterior(oracle.PROBLEMS[problem]), t)


def ruled_out(problem, x, weights):
    """Mass of weighted points in modes of the prior that have less than a hundredth."""
    line = oracle.PROBLEMS[problem]
    shares = oracle.responsibilities(oracle.noised(line[:3], T), x)
    exact = oracle.density(truth(problem), x) @ shares * (x[1] - x[0])
    return (weights @ shares) @ (exact < 0.01)


@pytest.mark.parametrize(
    ("name", "problem", "claim"),
    [
        ("burns2026_failures", "gap", "Exact, prior, exact"),
        (
            "burns2026_unimodal",
            "one-sided",
            "one-sided: mass in modes ruled out, exact",
        ),
    ],
)
def test_exact_mass_in_modes_that_are_ruled_out(name, problem, claim):
    x = np.linspace(-6.0, 6.0, 24001)
    weights = oracle.density(truth(problem), x) * (x[1] - x[0])
    found = ruled_out(problem, x, weights)
    np.testing.assert_allclose(found, expected(name, claim), rtol=1e-6)


def test_exact_weight_of_a_mode():
    weights, *_ = oracle.posterior(oracle.PROBLEMS["gap"])
    found = expected("burns2026_failures", "Exact, weight, exact")
    np.testing.assert_allclose(weights[1], found, atol=1e-6)


def test_one_posterior_mode_is_one():
    x = np.linspace(-4.0, 4.0, 8001)
    for problem in ("one-sided", "one-gaussian"):
        p = oracle.density(truth(problem), x)
        tops = (p[1:-1] > p[:-2]) & (p[1:-1] > p[2:]) & (p[1:-1] > 1e-3 * p.max())
        claim = f"{problem}: posterior modes"
        assert tops.sum() == expected("burns2026_unimodal", claim)


def test_exact_mass_where_only_the_likelihood_is_high():
    """Outside the region of highest prior density, of mass .999, where p(y|x_t) is high."""
    line = oracle.PROBLEMS["gap"]
    x = np.linspace(-6.0, 6.0, 240001)
    h = x[1] - x[0]
    prior, posterior = (
        oracle.density(m, x) for m in (oracle.noised(line[:3], T), truth("gap"))
    )
    order = np.argsort(prior)
    cut = np.interp(1e-3, h * np.cumsum(prior[order]), prior[order])
    inside = np.abs(x) < 4.0  # where both are far above rounding
    ratio = np.where(inside, posterior / np.maximum(prior, 1e-300), 0.0)
    region = inside & (prior <= cut) & (ratio >= 0.5 * ratio.max())
    found = expected("burns2026_failures", "Exact, likelihood, exact")
    np.testing.assert_allclose(h * posterior[region].sum(), found, rtol=6e-3)


@pytest.mark.parametrize("method", ["Exact", "TMPD", "PiGDM", "DiffPIR", "DPS"])
def test_affine_laws_of_one_gaussian(method):
    line, times = oracle.PROBLEMS["one-gaussian"], np.linspace(1.0, T, 1001)
    _, (mean,), (variance,) = truth("one-gaussian")
    law = oracle.gaussian_steps(method, line, times)
    found = oracle.gaussian_variation(*law, mean, variance)
    claim = f"one-gaussian, {method}: tv"
    np.testing.assert_allclose(found, expected("burns2026_unimodal", claim), atol=1e-8)


@pytest.mark.parametrize("t", [0.01, 0.1, 0.3])
def test_limits_of_references(t):
    """T21 as it stands: an expectation over atoms at every point."""
    line = oracle.PROBLEMS["two-modes"]
    alpha, sigma, *_ = oracle.path(t)
    noise = sigma / alpha
    atoms = np.arange(-5.0, 6.0, min(noise / 4.0, 0.02))
    weights = oracle.density(line[:3], atoms) * (atoms[1] - atoms[0])
    seen = norm.pdf(line.y, atoms, line.R**0.5)
    factor = seen / (weights @ seen)
    x = np.arange(-5.0 - 4 * noise, 6.0 + 4 * noise, min(noise / 4.0, 0.02))
    kernel = norm.pdf(x[:, None], atoms, noise)
    p = kernel @ (weights * factor)
    square = (kernel - p[:, None]) ** 2 @ (weights * factor**2)
    limit = np.sqrt(square).sum() * (x[1] - x[0]) / np.sqrt(2.0 * np.pi)
    name = "burns2026_finite_sample"
    claim = f"posterior, t = {t:g}, N = 1024: E TV"
    np.testing.assert_allclose(limit / 32.0, expected(name, claim), rtol=1e-4)
    needed = expected(name, f"atoms for E TV = 0.05, t = {t:g}")
    np.testing.assert_allclose((limit / 0.05) ** 2, needed, rtol=1e-4)
    if t in (0.01, 0.1):
        claim = f"FSR, t = {t:g}, mean of 300 data sets"
        at = expected("burns2026_heatmaps", claim)
        np.testing.assert_allclose(limit / np.sqrt(512), at, rtol=1e-3)


@pytest.mark.parametrize("method", ["DPS", "PiGDM", "TMPD", "ZetaDPS"])
def test_surrogates(method):
    """The guidance, summed up along x, is the logarithm of a likelihood."""
    line = oracle.PROBLEMS["two-modes"]
    x = np.linspace(-4.0, 4.0, 8001)
    h, apart, times = x[1] - x[0], [], np.linspace(1.0, T, 81)
    for t in times:
        alpha, sigma, *_ = oracle.path(t)
        m, _ = oracle.denoised(line, x, alpha, sigma)
        g = (oracle.guided_mean(method, line, x, alpha, sigma) - m) * alpha / sigma**2
        log = np.concatenate([[0.0], np.cumsum(0.5 * h * (g[1:] + g[:-1]))])
        density = oracle.density(oracle.noised(line[:3], t), x) * np.exp(
            log - log.max()
        )
        density /= h * density.sum()
        inside = (
            0.5 * h * np.abs(density - oracle.density(truth("two-modes", t), x)).sum()
        )
        apart.append(inside)
    worst = int(np.argmax(apart))
    atol = 2e-4 if method in JUMPS else 3e-5  # 801 nodes in the experiment
    name = "burns2026_heatmaps"
    for what, found in (("tv_last", apart[-1]), ("tv_worst", apart[worst])):
        at = expected(name, f"{method} surrogate, {what}")
        np.testing.assert_allclose(found, at, atol=atol)
    at = expected(name, f"{method} surrogate, t_worst")
    np.testing.assert_allclose(times[worst], at, atol=1e-6)


def cases():
    """Study, claim, problem, method, kernel and steps of total variations at t = .01."""
    steps, two = "burns2026_steps", "two-modes"
    for method, kernel, best in (
        ("DPS", "DDPM matched", 20),
        ("DPS", EULER, 20),
        ("DPS update 0.03", "DDPM", 50),
        ("DPS update 0.1", "DDPM", 20),
    ):
        named = f"{two}, {method.replace('update', 'update, zeta =')}, {kernel}"
        yield steps, f"{named}: TV there", two, method, kernel, best
        yield steps, f"{named}: TV, N = 1000", two, method, kernel, 1000
    for method in ("Exact", "DPS", "PiGDM", "TMPD"):
        claim = f"one-sided, {method}, N = 5: TV"
        yield steps, claim, "one-sided", method, "DDPM", 5
    claim = "one-sided, Exact, DDPM matched, N = 5: TV"
    yield steps, claim, "one-sided", "Exact", "DDPM matched", 5
    for method in (*ALL, "Unguided", "DDNM", "DiffPIR"):
        yield "readme_figure", f"{method}: at N = 1000", two, method, "DDPM", 1000
    claim = "Exact, matched variance: at N = 1000"
    yield "readme_figure", claim, two, "Exact", "DDPM matched", 1000
    for method in ALL[1:]:
        name, claim = "burns2026_heatmaps", f"{method} law, tv_last"
        yield name, claim, two, method, EULER, 1000
    for method in (*ALL, "DiffPIR"):
        name, claim = "burns2026_unimodal", f"one-sided, {method}: tv"
        yield name, claim, "one-sided", method, EULER, 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "claim", "problem", "method", "kernel", "steps"),
    [pytest.param(*case, id=case[1]) for case in cases()],
)
def test_total_variations(name, claim, problem, method, kernel, steps):
    x, law = oracle.last_law(method, kernel, oracle.PROBLEMS[problem], steps)
    found = oracle.total_variation(x, law, truth(problem))
    at = expected(name, claim)
    atol = JUMPS.get(method, min(5e-6, 0.01 * at))
    if name == "burns2026_heatmaps":
        atol = max(atol, 2e-4)  # 801 nodes in the experiment
    np.testing.assert_allclose(found, at, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize("method", [*ALL, "DPS update 0.1"])
def test_failures(method):
    """Every measure at t = .01 but that of the likelihood, whose region is cut finely."""
    line, name = oracle.PROBLEMS["gap"], "burns2026_failures"
    kernel = "DDPM" if "update" in method else EULER
    x, law = oracle.last_law(method, kernel, line, 1000)
    weights = law * (x[1] - x[0])
    shares = oracle.responsibilities(truth("gap"), x)
    mean = weights @ x
    found = {
        "tv": oracle.total_variation(x, law, truth("gap")),
        "spread": weights @ (x - mean) ** 2 / oracle.variance(truth("gap")),
        "weight": weights @ shares[:, 1],
        "prior": ruled_out("gap", x, weights),
    }
    for what, value in found.items():
        at = expected(name, f"{method.removesuffix(' 0.1')}, {what}")
        atol = JUMPS.get(method, min(5e-6, 0.01 * at))
        np.testing.assert_allclose(value, at, atol=atol, err_msg=what)


@pytest.mark.slow
@pytest.mark.parametrize("problem", ["two-modes", "gap"])
@pytest.mark.parametrize("method", [*ALL, "DPS update 0.1"])
def test_early_stopping(problem, method):
    """W1 is the area between distribution functions."""
    line = oracle.PROBLEMS[problem]
    kernel = "DDPM" if "update" in method else EULER
    x, law = oracle.last_law(method, kernel, line, 200, t_min=0.001)
    h = x[1] - x[0]
    x = np.arange(x[0] - 4.0, x[-1] + 4.0, h)  # beyond the law too
    law = np.pad(law, (round(4.0 / h), 0))
    law = np.pad(law, (0, max(0, len(x) - len(law))))[: len(x)]
    weights, means, variances = oracle.posterior(line)
    exact = norm.cdf(x[:, None], means, np.sqrt(variances)) @ weights
    middle = h * (np.cumsum(law) - 0.5 * law)
    found = h * np.abs(middle - exact).sum()
    claim = f"{problem}, {method.removesuffix(' 0.1')}: W1, t_min = 0.001"
    atol = JUMPS.get(method, 1e-5)
    np.testing.assert_allclose(
        found, expected("burns2026_early_stopping", claim), atol=atol
    )
