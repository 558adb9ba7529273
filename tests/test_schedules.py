"""Experiments on schedules of one Gaussian: expected values against NumPy."""

from pathlib import Path

import numpy as np
import pytest

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
