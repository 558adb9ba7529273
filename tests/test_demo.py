"""The main job as a study: its cells, its files, its tables, and that it resumes."""

import csv
import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import gmm_testbed as gt
from gmm_testbed import study
from gmm_testbed.cli.app import settings
from gmm_testbed.study import demo

T = gt.problems.T_MIN


@pytest.fixture(scope="module")
def target():
    return gt.problems.get("two-modes")


# Laws.


@pytest.fixture(scope="module")
def samplers():
    kernels = tuple(demo.KERNELS.values())
    tmpd = gt.approximations.TMPD()
    return [
        (gt.Guided(tmpd, gt.kernels.Selected(kernels, i)), gt.Guided(tmpd, kernel))
        for i, kernel in enumerate(kernels)
    ]


def test_the_selected_kernel_is_the_kernel(target, samplers, tolerance):
    x, t, s = jnp.array([0.7]), jnp.asarray(0.4), jnp.asarray(0.3)
    means = set()
    for selected, direct in samplers:
        found = selected.transition(target, x, t, s)
        expected = direct.transition(target, x, t, s)
        np.testing.assert_allclose(found.mean, expected.mean, rtol=tolerance.identity)
        variance, other = (float(law.covariance()[0, 0]) for law in (found, expected))
        assert variance == pytest.approx(other, rel=tolerance.identity)
        means.add((round(float(found.mean[0]), 6), round(variance, 6)))
    assert len(means) == len(samplers)


def test_one_compiled_program_serves_the_four_kernels(target):
    traces = []

    class Counted(gt.approximations.AbstractCorrection):
        facts = gt.approximations.Unguided.facts

        def correction(self, target, x, t):
            traces.append(None)
            return jnp.zeros_like(x)

        def covariance(self, target, x, t):
            return target.prior_covariance(x, t)

    kernels = tuple(demo.KERNELS.values())
    times = gt.time_grid(target.path, 6, t_min=0.1)
    counts = []
    for i in range(len(kernels)):
        sampler = gt.Guided(Counted(), gt.kernels.Selected(kernels, i))
        gt.laws.grid(sampler, target, times)
        counts.append(len(traces))
    assert counts[0] > 0 and counts[-1] == counts[0]


# The study.


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Two problems, of which one sampler folds the line; its study, store and folder."""
    folder = tmp_path_factory.mktemp("demo")
    few = {
        "approximation": ("Exact",),
        "kernel": ("DDPM",),
        "steps": (5, 50),
        "problem": ("one-gaussian", "two-modes"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "QUICK", few)
        chosen = demo.study(quick=True)
    assert chosen.apart == "problem" and not demo.study(quick=True).apart
    chosen = chosen._replace(apart="")  # in this process
    with gt.sweep.Store(folder / "store.sqlite") as store:
        tally = study.run(chosen, store, lambda: None)
        yield chosen, store, tally["demo"], folder


def test_cells_are_exact_laws(ran, target):
    chosen, store, tally, _ = ran
    assert tally.done == 4
    found = store.wide(chosen.experiments["demo"])["kl"]
    gaussian = gt.problems.get("one-gaussian")
    sampler = gt.Guided(gt.approximations.Exact(), gt.kernels.DDPM())
    times = gt.time_grid(gaussian.path, 5, t_min=T)
    exact = gt.laws.affine(sampler, gaussian, times)
    kl = float(exact.kl(gaussian.posterior(jnp.asarray(T))))
    cell = ("Exact", "DDPM", 5, "one-gaussian")
    assert found.at[cell] == pytest.approx(kl, rel=1e-6)
    times = gt.time_grid(target.path, 50, t_min=T)
    law = gt.laws.grid(sampler, target, times)
    kl = float(law.kl(target.posterior(times[-1])))
    assert found.at["Exact", "DDPM", 50, "two-modes"] == pytest.approx(kl, rel=1e-9)


def test_what_is_done_is_not_computed_again(ran):
    chosen, store, _, _ = ran
    again = study.run(chosen, store, lambda: None)["demo"]
    assert again.kept == 4 and again.done == 0
    experiment = chosen.experiments["demo"]
    more = dataclasses.replace(experiment, grid=experiment.grid | {"steps": (5, 6)})
    assert store.status(more)["missing"] == 2


def test_every_value_is_a_line_of_the_file(ran):
    chosen, store, _, folder = ran
    shown = study.show(chosen, store, {}, Console(quiet=True), folder / "out")
    assert shown
    with (folder / "out" / "measures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = "problem,approximation,kernel,steps,measure,t,value,note"
    assert list(rows[0]) == columns.split(",")
    keys = {tuple(row[k] for k in list(row)[:6]) for row in rows}
    assert len(keys) == len(rows)  # tidy: one row a value
    problems = [row["problem"] for row in rows if row["measure"] == "tv"]
    assert problems == ["one-gaussian"] * 2 + ["two-modes"] * 2
    moments = [float(r["t"]) for r in rows if r["measure"] == "spread_ratio(t)"]
    assert min(moments) == 0.01 and max(moments) == 1.0
    drawn = {path.name for path in (folder / "out").glob("*.pdf")}
    # There is nothing beside the truth to draw as heat-maps.
    assert len(drawn) == 2 * 4 and "divergence_two-modes.pdf" in drawn


@pytest.mark.slow
def test_each_problem_has_a_process_of_its_own(ran, tmp_path):
    chosen, store, _, _ = ran
    with gt.sweep.Store(tmp_path / "apart.sqlite") as other:
        tally = study.run(chosen._replace(apart="problem"), other, settings)["demo"]
        found = other.wide(chosen.experiments["demo"])
    assert tally.done == 4
    np.testing.assert_array_equal(found, store.wide(chosen.experiments["demo"]))


def test_a_law_that_cannot_be_had_is_skipped_with_the_reason(monkeypatch):
    monkeypatch.setattr(demo, "KERNELS", {"DDIM": gt.kernels.DDIM(0.0)})
    with pytest.raises(gt.UnsupportedError, match="folds the line: step"):
        demo.laws_and_measures(None, "DPS", "DDIM", 5, "two-modes")


def test_the_plan_counts_its_cells():
    every = 2 * len(demo.FIELDS) * 4 * 8
    assert len(demo.study().experiments["demo"].jobs()) == every
    assert len(demo.study(quick=True).experiments["demo"].jobs()) == 4


def test_every_expected_value_is_claimed():
    names = demo.FIELDS
    expected = {f"{name}: two-modes, DDPM, N = 1000" for name in names}
    assert set(demo.study().expected) == expected
