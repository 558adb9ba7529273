"""Experiments on schedules of one Gaussian: expected values against NumPy."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad

from gmm_testbed import study

FOLDER = Path(__file__).parents[1] / "experiments"


def expected(name):
    return study.read(FOLDER / f"{name}.py").expected


# --- align_your_steps -------------------------------------------------------------------


def grids(c, n):
    """Noise levels (n + 1,) by name, from the formulas of the papers."""
    share = np.arange(n + 1) / n
    angles = np.arctan(80.0 / c) + share * (np.arctan(0.002 / c) - np.arctan(80.0 / c))
    roots = 80.0 ** (1 / 7) + share * (0.002 ** (1 / 7) - 80.0 ** (1 / 7))
    ends = np.log1p(c**2 / np.array([80.0, 0.002]) ** 2)
    levels = np.expm1(ends[0] + share * (ends[1] - ends[0])) / c**2
    return {
        "tan": c * np.tan(angles),
        "EDM": roots**7,
        "log-SNR": 80.0 * (0.002 / 80.0) ** share,
        "paths": levels**-0.5,
    }


def kl(exact, made):
    return 0.5 * (exact / made - 1 - np.log(exact / made))


def divergences(c, levels):
    """KL of the law of Euler steps, of ancestral paths, and of their law."""
    euler = ancestral = c**2 + levels[0] ** 2
    paths = 0.0
    for u, v in zip(levels[:-1], levels[1:], strict=True):
        shrink = c**2 / (c**2 + u**2)  # E[x0 | x] over x
        euler = ((c**2 + u * v) / (c**2 + u**2)) ** 2 * euler
        keep, share = (v / u) ** 2, 1 - (v / u) ** 2
        noise = v**2 * share
        exact = noise + share**2 * c**2 * u**2 / (c**2 + u**2)
        paths += kl(exact, noise)
        ancestral = (keep + share * shrink) ** 2 * ancestral + noise
    truth = c**2 + levels[-1] ** 2
    return kl(truth, euler), paths, kl(truth, ancestral)


def test_align_your_steps_is_the_recursion_of_variances():
    claims = expected("align_your_steps")
    for c in (0.1, 0.5, 1.0):
        for grid, levels in grids(c, 10).items():
            names = "KL", "path KL", "ancestral KL"
            for name, value in zip(names, divergences(c, levels), strict=True):
                claim = claims[f"c {c:g}, {grid}, n 10: {name}"].value
                assert value == pytest.approx(claim, rel=5.1e-6), (c, grid, name)


# --- condition_number -------------------------------------------------------------------


def w2(values, variances):
    return np.sqrt(np.sum((np.sqrt(values) - np.sqrt(variances)) ** 2))


@pytest.fixture(scope="module")
def conditioned():
    return study.read(FOLDER / "condition_number.py").inside


def test_condition_number_of_the_heat_flow(conditioned):
    """The expected W2 at 100 scores, and the integrals at 20000, by the recursion."""
    values = 1e6 ** (-np.arange(1000) / 999.0)
    claims = expected("condition_number")
    for tuning, N, rtol in (
        ("Theorem 3", 100, 6e-6),
        ("Proposition 4", 100, 6e-6),
        ("Theorem 3", 20000, 1e-3),
    ):
        start, end = conditioned.B.ends(values, N, tuning)
        levels = start * (end / start) ** (np.arange(N + 1) / N)
        made = np.full(1000, start)
        for tau, later in zip(levels[:-1], levels[1:], strict=True):
            made = (1 - (tau - later) / (values + tau)) ** 2 * made + tau - later
        if N == 100:
            truth = claims[f"{tuning}, N {N}: W2"].value
        else:
            truth = conditioned.heat_flow(values, N, start, end)
        assert w2(values, made) == pytest.approx(truth, rel=rtol)


def test_condition_number_of_langevin(conditioned):
    """By the recursion; steps with 1 - step / lambda below 0 count too."""
    values, N = np.array([1.0, 0.3, 0.02, 0.008]), 400
    for step in (0.0075, 0.013):
        made = np.zeros(4)
        for _ in range(N):
            made = (1 - step / values) ** 2 * made + 2 * step
        found = conditioned.B.langevin(values, N, step)
        assert found == pytest.approx(w2(values, made), rel=1e-9)


def test_langevin_keeps_its_digits(conditioned):
    """At N = 1e12 half of the step over four roots of lambda, where powers cancel."""
    values, step = np.array([1.0, 1e-3]), 1.4e-11
    by_hand = np.sqrt(np.sum((0.25 * step / np.sqrt(values)) ** 2))
    assert conditioned.B.langevin(values, 1e12, step) == pytest.approx(
        by_hand, rel=1e-8
    )


# --- schedule_bounds --------------------------------------------------------------------


def covariance(target):
    if target == "isotropic":
        return 0.5 * np.eye(10)
    if target == "blocks":
        return np.diag([1, 0.01, 1, 1, 1] * 2)
    return np.array([[(abs(i - j) + 1) ** -0.5 for j in range(10)] for i in range(10)])


def rate(a, t):
    return 0.1 + 19.9 * (np.expm1(a * t) / np.expm1(a) if a else t)


def gaussian_kl(m, C, m2, C2):
    inverse = np.linalg.inv(C2)
    log_det = np.linalg.slogdet(C2)[1] - np.linalg.slogdet(C)[1]
    return 0.5 * (np.trace(inverse @ C) - 10 + log_det + (m2 - m) @ inverse @ (m2 - m))


def scheduled(target, a, scheme, N=100):
    """KL of the data from the output, by matrices and integrals of the rate."""
    S, mu, eye = covariance(target), np.ones(10), np.eye(10)
    edges = np.arange(N + 1) / N
    spent = [quad(lambda t: rate(a, t), *pair)[0] for pair in pairwise(edges)]
    total = np.concatenate([[0.0], np.cumsum(spent)])
    m, C = np.zeros(10), eye
    for k in range(N, 0, -1):
        alpha, b = np.exp(-0.5 * total[k]), spent[k - 1]
        inverse = np.linalg.inv(alpha**2 * S + (1 - alpha**2) * eye)
        if scheme == "KL":  # x (r + w) - w inverse (x - alpha mu), r = e^(-b/2)
            keep, weight = 2 - np.exp(-b / 2), 2 - 2 * np.exp(-b / 2)
            fresh = -np.expm1(-b)
        elif scheme == "KL, EI":
            keep, weight, fresh = np.exp(b / 2), 2 * np.expm1(b / 2), np.expm1(b)
        else:
            h = rate(a, edges[k]) / N
            keep, weight, fresh = 1 + h / 2, h, h
        F = keep * eye - weight * inverse
        m = F @ m + weight * alpha * inverse @ mu
        C = F @ C @ F.T + fresh * eye
    return gaussian_kl(mu, S, m, C)


def bound_of(target, a):
    S, mu = covariance(target), np.ones(10)
    fisher = np.trace(S) + mu @ mu - 20 + np.trace(np.linalg.inv(S))
    total = quad(lambda t: rate(a, t), 0, 1)[0]
    first = np.exp(-total) * gaussian_kl(mu, S, np.zeros(10), np.eye(10))
    return first + 2 * 0.2 * fisher  # h beta(1) = .2


@pytest.mark.parametrize("target", ["isotropic", "blocks", "correlated"])
def test_schedule_bounds_are_those_of_matrices(target):
    claims = expected("schedule_bounds")
    for a in (-10.0, 10.0):
        for scheme in ("KL", "KL, EI", "KL, EM"):
            claim = claims[f"{target}, a {a:g}: {scheme}"].value
            assert scheduled(target, a, scheme) == pytest.approx(claim, rel=2e-6)
        claim = claims[f"{target}, a {a:g}: bound"].value
        assert bound_of(target, a) == pytest.approx(claim, rel=2e-6)
