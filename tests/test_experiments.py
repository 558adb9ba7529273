"""Files of experiments: that they are whole, and that a small cell of each can be had."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import gmm_testbed as gt
from gmm_testbed import study

from .oracles import line_sampler as oracle

FOLDER = Path(__file__).parents[1] / "experiments"
QUICK = (  # a minute of one core each, or less
    "autoguidance_tree",
    "burns2026_early_stopping",
    "burns2026_failures",
    "burns2026_heatmaps",
    "burns2026_steps",
    "burns2026_unimodal",
    "error_budget",
    "guidance_gaussian",
    "guidance_high_dimension",
    "guidance_two_modes",
    "readme_figure",
)


@pytest.mark.parametrize("name", study.found(FOLDER))
def test_a_file_says_what_it_shows_and_what_is_expected(name):
    read = study.read(FOLDER / f"{name}.py")
    assert read.title.endswith(".") and len(read.text) > 100
    assert read.expected, f"write {read.expectations.name}"


def test_experiments_can_be_told_apart_in_the_store_they_share():
    files = study.found(FOLDER).values()
    names = [name for file in files for name in study.read(file).experiments]
    assert len(names) == len(set(names)), sorted(names)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_whole_file_gives_what_is_expected(name, tmp_path):
    read = study.read(FOLDER / f"{name}.py")
    with gt.sweep.Store(tmp_path / "s.sqlite") as store:
        for experiment in read.experiments.values():
            gt.sweep.run(experiment, store, show=False)
        assert read.complete(store)
        judged = read.judged(store)
        assert read.figures(store)
    assert len(judged) == len(read.expected) > 10
    assert not [one for one in judged if one.problem]


def test_a_budget_bounds_what_is_measured(key):
    budgets = study.read(FOLDER / "error_budget.py").experiments["budgets"]
    found = budgets(key, method="Exact", steps=4)
    values = found.metrics
    assert values["approximation"] == 0.0 < values["measured"]
    assert values["measured"] < float(values["total"].value)
    law, exact, x = (found.arrays[name] for name in ("law", "exact", "x"))
    for density in (law, exact):
        assert density.shape == (5, 161)
        np.testing.assert_allclose(np.trapezoid(density, x), 1.0, atol=2e-3)


def test_a_cell_of_the_figure_of_the_readme(key):
    by_steps = study.read(FOLDER / "readme_figure.py").experiments["by_steps"]
    found = by_steps(key, method="Exact, matched variance", steps=10)
    line = oracle.PROBLEMS["two-modes"]
    x, law = oracle.last_law("Exact", "DDPM matched", line, 10)
    truth = oracle.noised(oracle.posterior(line), gt.problems.T_MIN)
    assert abs(found["tv"] - oracle.total_variation(x, law, truth)) < 1e-7


def test_coverage_is_judged(key):
    """Intervals that hold with probability .68 and .68^2, and a bias of half an error."""
    inside = study.read(FOLDER / "estimator_calibration.py").inside
    z = np.random.default_rng(2).normal(size=(4000, 2))
    parts = z, np.ones_like(z), z - 1.0, z + 1.0
    both = inside.judged(*parts, np.zeros(2), True)
    assert abs(both["covered"] - 0.6827**2) < 4.5 * 0.5 / np.sqrt(4000)
    assert abs(both["z of the bias"]) < 4.5
    parts = [part[:, 0] for part in parts]
    biased = inside.judged(*parts, -0.5, False)
    assert abs(biased["covered"] - 0.6827) < 4.5 * 0.47 / np.sqrt(4000)
    assert abs(biased["bias / error"] - 0.5) < 4.5 / np.sqrt(4000)
    assert "z of the bias" not in biased and "truth" not in inside.judged(
        *parts, None, False
    )
    cell = inside.of_laws(key, estimator="w2_squared_by_assignment", repetitions=3)
    assert 0.0 <= cell["covered"] <= 1.0
    error = 0.037 / np.sqrt(3)  # of three values; their mean by 20,000 other batches
    assert abs(cell["mean"] - 0.924) < 4.5 * error


def test_tests_that_see_a_mode_are_counted():
    inside = study.read(FOLDER / "calibration_modes.py").inside
    small = {"calibrated": (0.3, 0.2, 0.9, 0.8), "ignores y": (0.4, 0.6, 0.0, 1e-9)}
    wide = pd.DataFrame(
        [small.get(mode, (0, 0, 0, 0.1)) for mode in inside.MODES],
        pd.MultiIndex.from_product([inside.MODES, [9]], names=["mode", "pairs"]),
        [f"p, {test}" for test in inside.TESTS],
    )
    found = inside.claims(SimpleNamespace(wide=lambda experiment: wide))
    counts = {name.partition(":")[0]: n for name, n in found.items() if "below" in name}
    assert counts == dict.fromkeys(inside.MODES, 3) | {"calibrated": 0, "ignores y": 2}
    assert found["calibrated: smallest p"] == 0.2
    assert found["ignores y: smallest p of the ranks"] == 0.4
