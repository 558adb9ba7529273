"""The command line: what it prints, writes and refuses."""

import csv
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

import gmm_testbed as gt
from gmm_testbed import approximations, kernels
from gmm_testbed import testbeds as problems
from gmm_testbed.cli import app, problem
from gmm_testbed.cli.app import cache_folder


@pytest.fixture
def invoke():
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(a) for a in arguments])


def test_list_names_everything(invoke):
    result = invoke("list")
    assert result.exit_code == 0 and "partial(" not in result.stdout
    assert result.stdout.count("One digit to be restored") == 3
    catalogues = (
        problems.CATALOGUE,
        approximations.CATALOGUE,
        kernels.CATALOGUE,
        gt.algorithms.CATALOGUE,
        gt.smc.CATALOGUE,
        gt.bounds.CATALOGUE,
    )
    assert all(name in result.stdout for each in catalogues for name in each)


@pytest.mark.parametrize(
    "name", [n for n in problems.CATALOGUE if not n.startswith("digits-")]
)  # those are in test_digits.py: they are slow to build
def test_listed_sizes_are_those_of_the_problems(name):
    prior = problems.get(name).problem.prior
    assert problems.SIZES[name] == (prior.dim, prior.num_components)


@pytest.mark.parametrize(
    "arguments,words",
    [
        (
            ("run", "two-mode"),
            ("unknown problem or experiment", "did you mean 'two-modes'?"),
        ),
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
            ("DDNM with DDPM needs a linear measurement", "got:      Nonlinear"),
        ),
        (("run", "two-modes", "--t-min", "2"), ("got", "expected", "hint")),
        (("run", "two-modes", "--steps", str(10**12)), ("more memory", "--steps")),
        (("run", "ten", "--samples", str(10**12)), ("more memory", "--samples")),
        (("run", "demos"), ("did you mean 'demo'?",)),
    ],
)
def test_a_wrong_request_is_a_message_and_exit_code_2(invoke, arguments, words):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words)
    assert "Traceback" not in result.output and "hint" in result.stderr


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1])
def test_a_seed_that_is_too_large_is_refused(invoke, seed):
    result = invoke("run", "ten", "--seed", seed)
    assert result.exit_code == 2 and "'--seed'" in result.stderr


def test_every_problem_is_described_in_words(invoke):
    words = {name: problems.describe(name) for name in problems.CATALOGUE}
    assert len(set(words.values())) == len(words)
    for text in words.values():
        assert len(text.split()) > 4 and text.endswith(".") and "(func" not in text


@pytest.mark.parametrize(
    "arguments, option",
    [
        (("run", "two-modes", "--force"), "--force"),
        (("run", "two-modes", "--workers", "2"), "--workers"),
        (("run", "demo", "--approximation", "DPS"), "--approximation"),
    ],
)
def test_a_problem_and_an_experiment_have_their_own_options(invoke, arguments, option):
    result = invoke(*arguments)
    assert result.exit_code == 2 and "No such option" in result.stderr
    shown = invoke("run", arguments[1], "--help")
    assert shown.exit_code == 0 and option not in shown.stdout


@pytest.mark.parametrize("command", [("demo",), ("run", "two-modes")])
def test_a_folder_that_cannot_be_written_is_refused_first(invoke, tmp_path, command):
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = invoke(*command, "--output", blocked / "results")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr and "hint" in result.stderr


@pytest.mark.parametrize(
    "platform, variables, folder",
    [
        ("linux", {"XDG_CACHE_HOME": "caches"}, "caches/gmm_testbed/compiled"),
        ("linux", {"HOME": "home"}, "home/.cache/gmm_testbed/compiled"),
        ("darwin", {"HOME": "home"}, "home/Library/Caches/gmm_testbed/compiled"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/gmm_testbed/compiled"),
    ],
)
def test_programs_are_kept_in_a_cache_of_the_user(
    monkeypatch, platform, variables, folder
):
    monkeypatch.setattr(sys, "platform", platform)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder().as_posix() == folder


def test_a_cache_that_is_set_already_is_kept(invoke):
    before = jax.config.jax_compilation_cache_dir
    assert invoke("list").exit_code == 0
    assert before and jax.config.jax_compilation_cache_dir == before


@pytest.mark.slow
def test_run_draws_samples_where_there_is_no_law(invoke, tmp_path):
    options = ("--approximation", "TMPD", "--steps", 10, "--samples", 5000)
    result = invoke("run", "ten", *options, "--output", tmp_path / "new" / "folder")
    assert result.exit_code == 0, result.output
    assert "5000 samples" in result.stdout and "no exact law" in result.stdout
    assert "floor: mean ± spread of 10 sets of 5000 exact" in result.stdout
    assert "0 of 5000 samples are not finite" in result.stdout
    with (tmp_path / "new" / "folder" / "measures.csv").open(newline="") as file:
        rows = {row["measure"]: row for row in csv.DictReader(file)}
    line = next(r for r in result.stdout.splitlines() if r.startswith("mean_error[9]"))
    value, error = rows["mean_error[9]"]["value"], rows["mean_error[9]"]["stderr"]
    assert f"± {float(error):.2g}" in line and line.count("±") == 2
    assert float(line.split()[1]) == pytest.approx(float(value), abs=float(error))
    for name in ("sliced_w2", "mmd_squared"):
        value, floor = float(rows[name]["value"]), rows[f"{name}_floor"]
        assert value > float(floor["value"]) + 10 * float(floor["stderr"])
    assert 0.1 < float(rows["spread_ratio"]["value"]) < 1.5
    weights = [float(rows[f"mode_weight[{k}]"]["value"]) for k in range(4)]
    assert sum(weights) == pytest.approx(1.0) and min(weights) < 0.05


def pair(estimate):
    """Value and standard error."""
    return float(estimate.value), float(estimate.stderr)


@pytest.mark.slow
def test_one_gaussian_in_space_is_measured_in_closed_form():
    prior = gt.GaussianMixture.full(
        [1.0],
        [[0.5, -0.2, 1.0]],
        [[[0.6, 0.2, 0.0], [0.2, 0.5, 0.1], [0.0, 0.1, 0.3]]],
    )
    measurement = gt.Linear([[1.0, 0.5, 0.0], [0.0, 0.3, 1.0]], [0.04, 0.09])
    posed = gt.InverseProblem(prior, measurement, jnp.array([0.8, 0.1]))
    target = gt.Target(posed, gt.VP(beta_min=0.01, beta_max=20.0))
    times = gt.time_grid(target.path, 10, t_min=0.01)
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM("matched"))
    found = problem.measured(sampler, target, times, 20_000, seed=3)
    assert found.how == "exact law, in closed form" and not found.remarks
    assert all(e.stderr == 0 for e in found.values.values())
    update = gt.Published(gt.approximations.ZetaDPS(0.0))
    exact = problem.measured(
        gt.Guided(gt.approximations.Unguided(), gt.kernels.DDPM()), target, times, 1, 0
    )
    drawn = problem.measured(update, target, times, 20_000, seed=3)
    assert "not Gaussian" in drawn.remarks[0] and drawn.law is None
    for name in ("mean_error[1]", "variance_error[2]", "spread_ratio"):
        value, error = pair(drawn.values[name])
        assert abs(value - exact.values[name].value) < 4.5 * error
        assert abs(value) > 10 * error or name != "mean_error[1]"


@pytest.mark.slow
def test_samples_agree_with_the_law_of_a_problem_that_reduces():
    """In d = 3: exact numbers, and the same ones of samples with errors and floors."""
    line, offset = np.array([[0.6, 0.0, -0.8]]), np.array([0.4, 2.0, 0.3])
    means = np.array([[-1.5], [1.2]]) * line + offset
    prior = gt.GaussianMixture.isotropic([0.4, 0.6], means, 0.3)
    posed = gt.InverseProblem(prior, gt.Linear(line, 0.4), [0.2])
    target = gt.Target(posed, gt.VP(0.01, 20.0))
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM())
    times = gt.time_grid(target.path, 8, t_min=0.05)
    exact = problem.measured(sampler, target, times, 1, seed=0)
    assert exact.how == "exact law, by reduction" and exact.law.num_beyond == 2
    posterior = target.posterior(times[-1])
    for name in ("kl", "kl_from", "w2"):
        assert exact.values[name].value == getattr(exact.law, name)(posterior) > 0
    assert 0 < exact.values["tv_lower"].value < exact.values["tv_upper"].value < 1
    drawn = problem.by_samples(sampler, target, times, 4000, seed=3)
    both = exact.values.keys() & drawn.floors.keys()
    assert {n.partition("[")[0] for n in both} == {
        "mean_error", "spread_ratio", "mode_weight"
    }  # fmt: skip
    for name in both:
        value, error = pair(drawn.values[name])
        assert abs(value - exact.values[name].value) < 4.5 * error
    assert drawn.floors.keys() == {n for n, e in drawn.values.items() if e.stderr > 0}
    sliced, (level, spread) = drawn.values["sliced_w2"], pair(drawn.floors["sliced_w2"])
    most = exact.values["w2"].value / np.sqrt(3)
    assert level + 10 * spread < sliced.value < most
    level, spread = pair(drawn.floors["spread_ratio"])
    assert abs(level - 1) < 4.5 * spread and 0 < spread < 0.1


@pytest.mark.slow
def test_samples_depend_on_the_seed_only(invoke):
    options = ("run", "ten", "--approximation", "DDNM", "--steps", 5, "--samples", 100)
    first, again, other = (
        invoke(*options, "--seed", seed).stdout for seed in (1, 1, 2)
    )
    assert first == again != other
    sliced = next(line for line in first.splitlines() if line.startswith("sliced_w2"))
    assert sliced.count("±") == 2  # the value, and its floor


@pytest.mark.slow
def test_options_reach_the_sampler(invoke):
    options = ("run", "ten", "--steps", 5, "--samples", 100, "--approximation")
    weak, strong = (
        invoke(*options, f"ZetaDPS:zeta={zeta}").stdout for zeta in ("0.01", "1")
    )
    assert (
        "ZetaDPS(zeta=0.01)" in weak
        and weak.splitlines()[3:] != strong.splitlines()[3:]
    )


@pytest.mark.slow
def test_run_prints_the_measures_of_an_exact_law(invoke, tmp_path):
    options = ("--approximation", "Exact", "--kernel", "DDPM:variance=matched")
    result = invoke(
        "run", "one-gaussian", *options, "--steps", 20, "--output", tmp_path
    )
    assert result.exit_code == 0, result.output
    assert "exact law, by quadrature" in result.stdout and "±" not in result.stdout
    with (tmp_path / "measures.csv").open(newline="") as file:
        value = {r["measure"]: float(r["value"]) for r in csv.DictReader(file)}
    # Exact moments at each step: what is left is the start, N(0, sigma^2).
    target = problems.get("one-gaussian")
    start = target.posterior(jnp.asarray(1.0))
    gap = float(start.mean()[0]) ** 2 / 2
    assert 0.0 <= value["kl"] < gap and abs(value["mean_error"]) < 1e-5
    assert value["w1_to_data"] > 1e-4 and (tmp_path / "law.png").stat().st_size > 5000


@pytest.mark.slow
def test_quick_demo_writes_tables_rows_and_figures(invoke, tmp_path):
    store = tmp_path / "store.sqlite"
    result = invoke("demo", "--quick", "--output", tmp_path, "--store", store)
    assert result.exit_code == 0, result.output
    assert "N=20" in result.stdout and "TMPD" in result.stdout
    with (tmp_path / "measures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    tv = {
        (row["approximation"], int(row["steps"])): float(row["value"])
        for row in rows
        if row["measure"] == "tv"
    }
    assert set(tv) == {(a, n) for a in ("Exact", "TMPD") for n in (20, 50)}
    assert tv["Exact", 50] < tv["Exact", 20] and tv["Exact", 50] < tv["TMPD", 50]
    keys = {tuple(row[k] for k in list(row)[:6]) for row in rows}
    assert len(keys) == len(rows)  # tidy: one row a value
    moments = [float(r["t"]) for r in rows if r["measure"] == "spread_ratio(t)"]
    assert 60 < len(moments) <= 80 and min(moments) == 0.01 and max(moments) == 1.0
    shown = "divergence", "spread", "early_stopping", "hallucination", "heatmaps"
    for name in shown:
        for ending in ("png", "pdf"):
            file = tmp_path / f"{name}_two-modes.{ending}"
            assert file.stat().st_size > 5000
            assert file.name.partition(".")[0] in result.stdout
