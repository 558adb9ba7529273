"""The command line: what it prints, writes and refuses."""

import csv

import pytest
from typer.testing import CliRunner

from gmm_testbed import approximations, kernels, problems
from gmm_testbed.cli import app


@pytest.fixture
def invoke():
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(a) for a in arguments])


def test_list_names_everything(invoke):
    result = invoke("list")
    assert result.exit_code == 0
    for catalogue in (problems.CATALOGUE, approximations.CATALOGUE, kernels.CATALOGUE):
        assert all(name in result.stdout for name in catalogue)


@pytest.mark.parametrize(
    "arguments,words",
    [
        (("run", "two-mode"), ("unknown problem", "did you mean 'two-modes'?")),
        (
            ("run", "two-modes", "--approximation", "TMDP"),
            ("unknown approximation", "did you mean 'TMPD'?"),
        ),
        (
            ("run", "two-modes", "--kernel", "DDIMM"),
            ("unknown kernel", "did you mean 'DDIM'?"),
        ),
        (
            ("run", "two-modes", "--approximation", "ZetaDPS:zta=1"),
            ("unknown option of ZetaDPS", "did you mean 'zeta'?"),
        ),
        (
            ("run", "two-modes", "--kernel", "DDIM:eta=much"),
            ("takes a number", "'much'"),
        ),
        (
            ("run", "square", "--approximation", "DDNM"),
            ("DDNM needs a linear measurement", "got:      Nonlinear"),
        ),
        (("run", "two-modes", "--t-min", "2"), ("got", "expected", "hint")),
    ],
)
def test_a_wrong_request_is_a_message_and_exit_code_2(invoke, arguments, words):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words)
    assert "Traceback" not in result.output and "hint" in result.stderr


@pytest.mark.parametrize("command", [("demo",), ("run", "two-modes")])
def test_a_folder_that_cannot_be_written_is_refused_first(invoke, tmp_path, command):
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = invoke(*command, "--output", blocked / "results")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr and "hint" in result.stderr


def test_run_by_closed_form_in_samples_and_to_a_table(invoke, tmp_path):
    result = invoke(
        "run", "ten", "--approximation", "TMPD", "--steps", 10, "--output", tmp_path
    )
    assert result.exit_code == 0, result.output
    assert "samples, with standard errors" in result.stdout and "+-" in result.stdout
    with (tmp_path / "measures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"mean_error[9]", "spread_ratio"} <= {row["measure"] for row in rows}
    ratio = next(float(r["value"]) for r in rows if r["measure"] == "spread_ratio")
    assert 0.1 < ratio < 1.5


@pytest.mark.slow
def test_quick_demo_writes_table_and_figures(invoke, tmp_path):
    result = invoke("demo", "--quick", "--output", tmp_path)
    assert result.exit_code == 0, result.output
    assert "N=20" in result.stdout and "TMPD" in result.stdout
    with (tmp_path / "measures.csv").open() as file:
        rows = list(csv.DictReader(file))
    value = {
        (row["approximation"], int(row["steps"])): float(row["value"])
        for row in rows
        if row["measure"] == "tv"
    }
    assert set(value) == {(a, n) for a in ("Exact", "TMPD") for n in (20, 50)}
    assert all(0.0 < number < 1.0 for number in value.values())
    assert value["Exact", 50] < 0.6 * value["Exact", 20]
    for name in ("divergence", "spread", "early_stopping", "heatmaps"):
        for ending in ("png", "pdf"):
            assert (tmp_path / f"{name}_two-modes.{ending}").stat().st_size > 5000
