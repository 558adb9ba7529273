"""Files of experiments on the command line, and the page that shows them."""

import base64
import itertools
import json
import math
import os
import re

import jax
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import gmm_testbed as gt
from gmm_testbed import study
from gmm_testbed.cli import app
from gmm_testbed.study.report import page, tables
from gmm_testbed.study.report.pictures import quantised
from gmm_testbed.study.report.prose import inline, prose
from gmm_testbed.study.report.viewer import View, scene
from gmm_testbed.study.screen import table, tabulate
from gmm_testbed.sweep import provenance
from gmm_testbed.sweep import store as store_module

FILE = '''
"""A law that </script> comes nearer.

It says `off`, and <b>no more</b>, as in arXiv:2605.30330:

- near, and
- far.
"""
import numpy as np
import gmm_testbed as gt

T, X = np.linspace(1.0, 0.01, 12), np.linspace(-4.0, 4.0, 41)

def bell(off):
    width = 0.2 + T[:, None]
    return np.exp(-0.5 * ((X - 1 - off) / width) ** 2) / width / np.sqrt(2 * np.pi)

@gt.experiment(grid={"method": ["DPS", "<i>Exact"], "steps": [5, 50, 10]})
def laws(key, method, steps):
    off = 5 / steps if method == "DPS" else 0.0
    arrays = {"t": T, "x": X, "law": bell(off), "exact": bell(0.0)}
    return gt.sweep.Found({"off": gt.Estimate(off, 0.25, "4 samples")}, arrays)

@gt.experiment(grid={"n": [1, 2, 3]}, seeds=2)
def odd(key, n):
    if n == 2:
        raise gt.UnsupportedError("n is even")
    return {"n": gt.sweep.Measured(float(n), 0.5)}

def claims(store):
    offs = {r.cell["steps"]: r.value for r in store.rows(laws) if r.cell["method"] == "DPS"}
    return {"off at 10 steps": offs[10], "sum": sum(offs.values())}

def figures(store):
    drawn = gt.plotting.figure(3.0, 2.0)
    drawn.subplots().plot([1, 2])
    return {"line": drawn}

def tables(store):
    return {"By hand": [{"name": "b", "size": 10.0}, {"name": "a", "size": 9.5}]}
'''
EXPECTED = "claim,expected,tolerance,source\noff at 10 steps,0.5,1e-9,by hand\n"


PLAIN = '''
"""Numbers without a floor."""
import gmm_testbed as gt

@gt.experiment(grid={"n": [1, 2]})
def plain(key, n):
    return {"n": float(n)}

def claims(store):
    return {"rows": float(len(store.rows(plain)))}
'''


@pytest.fixture(scope="module")
def invoke():
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(a) for a in arguments])


def write(folder, name="tiny", text=FILE, expected=EXPECTED):
    (folder / "experiments" / "expected").mkdir(parents=True, exist_ok=True)
    (folder / "experiments" / f"{name}.py").write_text(text)
    if expected is not None:
        (folder / "experiments" / "expected" / f"{name}.csv").write_text(expected)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with an experiment that has been run, and what the run printed."""
    folder = tmp_path_factory.mktemp("home")
    write(folder, expected=EXPECTED + "gone,1,0.5,nowhere\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        first = CliRunner().invoke(app, ["run", "tiny"])
    return folder, first


@pytest.fixture
def at_home(home, monkeypatch):
    monkeypatch.chdir(home[0])
    return home


# What a file claims, beside what is expected of it.


@pytest.mark.parametrize(
    ("value", "expected", "deviation", "problem"),
    [
        (1.25, (1.0, 0.5), 0.5, ""),
        (0.25, (1.0, 0.5), -1.5, "outside"),
        (1.525, (1.0, 0.5), 1.05, "outside"),
        (1.475, (1.0, 0.5), 0.95, ""),
        (math.nan, (1.0, 0.5), math.nan, "outside"),
        (1.0, (1.0, 0.0), 0.0, ""),
        (1.5, (1.0, 0.0), math.inf, "outside"),
        (math.inf, (math.inf, 0.0), 0.0, ""),
        (1.0, None, math.nan, "no expectation"),
        (None, (1.0, 0.5), math.nan, "not claimed"),
    ],
)
def test_a_claim_is_judged_in_tolerances(value, expected, deviation, problem):
    given = study.Expected(*expected, "a theorem") if expected else None
    one = study.Judged("claim", value, given)
    assert one.problem == problem
    assert one.deviation == pytest.approx(deviation, nan_ok=True)


def test_run_shows_what_does_not_fit_and_then_what_holds(at_home, invoke):
    folder, first = at_home
    assert first.exit_code == 1
    lines = {
        line.partition("  ")[0]: line.split() for line in first.stdout.splitlines()
    }
    assert lines["off at 10 steps"][-4:] == ["0.5", "0.5", "1e-09", "holds"]
    assert lines["sum"][-3:] == ["-", "no", "expectation"] and "1.6" in lines["sum"]
    assert lines["gone"][1:] == ["-", "1", "0.5", "not", "claimed"]
    assert "1 of 3 claims hold" in first.stdout and "6 done" in first.stdout
    assert (folder / "results" / "tiny" / "line.pdf").stat().st_size > 2000
    assert lines["By hand"] == ["By", "hand"]
    assert lines["b"] == ["b", "10"] and lines["a"] == ["a", "9.5"]
    assert "as CSV: by_hand" in first.stdout
    written = (folder / "results" / "tiny" / "by_hand.csv").read_text()
    assert written == "name,size\nb,10.0\na,9.5\n"
    write(folder, expected=EXPECTED + "sum,1.5,0.2,by hand\n")
    again = invoke("run", "experiments/tiny.py", "--output", "elsewhere")
    assert again.exit_code == 0, again.output
    assert "6 kept" in again.stdout and "2 of 2 claims hold" in again.stdout
    assert (folder / "elsewhere" / "line.png").exists()


def test_tables_are_printed_if_they_are_short_and_written_whatever_they_are(tmp_path):
    rows = [{"method": "DPS", "mean of all": np.float32(0.123456), "n": 12}]
    rows += [{"method": "Exact", "n": None, "of what": "samples"}]
    screen = Console(width=60, color_system=None)
    with screen.capture() as shown:
        screen.print(table("All", rows, 60))
        screen.print(table("Wide", [rows[0] | {"a": "b" * 41}], 60))
        screen.print(table("Long", 41 * rows[:1], 60))
    assert [line.split() for line in shown.get().splitlines() if "─" not in line] == [
        ["All"],
        ["mean"],
        ["method", "of", "all", "n", "of", "what"],
        ["DPS", "0.1235", "12", "-"],
        ["Exact", "-", "-", "samples"],
        "Wide: 1 rows of 4 columns, in the CSV".split(),
        "Long: 41 rows of 3 columns, in the CSV".split(),
    ]
    shown = {"Z of W2, d = 8": rows, "É: other": []}
    named = tabulate(shown, tmp_path)
    assert list(named) == ["z_of_w2_d_8", "é_other"]
    text = (tmp_path / "z_of_w2_d_8.csv").read_text()
    assert text.splitlines() == [
        "method,mean of all,n,of what", "DPS,0.123456,12,", "Exact,,,samples"
    ]  # fmt: skip
    shown["z (of W2); d = 8"] = []
    with pytest.raises(gt.InputError, match="'z_of_w2_d_8.csv'"):
        tabulate(shown, tmp_path)


def test_status_exports_every_value(at_home, invoke):
    for name in "rows.csv", "rows.parquet":
        if name.endswith("parquet"):
            pytest.importorskip("pyarrow")
        result = invoke("status", "tiny", "--export", f"out/{name}")
        assert result.exit_code == 0, result.output
        assert f"Written to out/{name}: 12 rows" in result.stdout
    lines = (at_home[0] / "out" / "rows.csv").read_text().splitlines()
    assert lines[0] == (
        "experiment,method,steps,n,seed,metric,value,stderr,floor,how,dtype,status,reason,"
        "precision,version,wall_seconds,compile_seconds,device,jax,package,revision,"
        "sources,ended,digest"
    )  # also those without any value
    assert len(lines) == 13
    empty = invoke("status", "tiny", "--export", "out/none.csv", "--store", "none")
    assert empty.exit_code == 2
    refused = invoke("status", "tiny", "--export", "rows.txt")
    assert refused.exit_code == 2 and "ends in .csv or .parquet" in refused.stderr


def test_an_export_has_columns_without_a_value(tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    expected = EXPECTED.splitlines()[0] + "\nrows,2,0.5,by hand\n"
    write(tmp_path, "plain", PLAIN, expected)
    assert invoke("run", "plain").exit_code == 0
    assert invoke("status", "plain", "--export", "rows.csv").exit_code == 0
    names, *rows = (tmp_path / "rows.csv").read_text().splitlines()
    floors = {row.split(",")[names.split(",").index("floor")] for row in rows}
    assert floors == {""}


def test_status_counts_and_gives_reasons(at_home, invoke):
    result = invoke("status", "--reasons")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["tiny", "laws", "6", "-", "-", "-", "-"] in rows
    assert ["odd", "4", "2", "-", "-", "-"] in rows
    assert "odd: 2 skipped: n is even" in result.stdout
    assert "n=2, seed 0" in result.stdout


def test_cells_of_other_sources_are_told(at_home, monkeypatch, invoke):
    """A change of the package does not change the version of a file that imports it."""
    now = provenance.provenance()
    words = "cells that gmm_testbed computed before its code changed: 12 of tiny;"
    changes = {"sources": "0"}, {"revision": "0"}, {"package": "0"}
    for command, changed in itertools.product(("run", "status"), changes):
        other = now._replace(**changed)
        monkeypatch.setattr(store_module, "provenance", lambda other=other: other)
        told = [
            line
            for line in invoke(command, "tiny").stderr.splitlines()
            if line.startswith("warning")
        ]
        assert len(told) == ("sources" in changed)  # a commit alone changes no number
        assert all(words in line and "--force" in line for line in told)
    monkeypatch.setattr(store_module, "provenance", provenance.provenance)
    assert "warning" not in invoke("status").stderr
    with gt.sweep.Store("results/experiments.sqlite") as store:
        store._file.execute("UPDATE cells SET sources = 'old' WHERE seed = 1")
    assert "3 of tiny;" in invoke("status").stderr
    assert "warning" not in invoke("run", "tiny", "--force").stderr
    assert "warning" not in invoke("status").stderr


def test_sources_are_the_python_files(tmp_path):
    """An edit that is not committed counts, in whatever folder; other files do not."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "inner" / "b.py").write_text("y = 1\n")
    before = provenance.sources(tmp_path)
    (tmp_path / "inner" / "notes.md").write_text("not code")
    assert provenance.sources(tmp_path) == before
    (tmp_path / "inner" / "b.py").write_text("y = 2\n")
    edited = provenance.sources(tmp_path)
    (tmp_path / "inner" / "b.py").rename(tmp_path / "b.py")
    assert len({before, edited, provenance.sources(tmp_path)}) == 3
    now = provenance.provenance.__wrapped__()  # the files may change during the tests
    assert now.sources == provenance.sources(provenance.PACKAGE)


PRECISE = '''
"""Numbers that need double precision."""
import os
import time
import jax
import gmm_testbed as gt

@gt.experiment(grid={"n": [1, 2, 3]})
def precise(key, n):
    time.sleep(0.3 * (n == 3))
    small = 1.0 + 1e-12 * jax.random.normal(key) - 1.0
    return {"small": small, "process": float(os.getpid())}

def claims(store):
    return {}
'''


@pytest.mark.slow
def test_an_experiment_on_a_cluster(tmp_path, monkeypatch, invoke):
    """A scheduler is joined, workers are started; the numbers are those of this process."""
    distributed = pytest.importorskip("distributed")
    write(tmp_path, "precise", PRECISE, expected=None)
    monkeypatch.chdir(tmp_path)

    def numbers():
        with gt.sweep.Store("results/experiments.sqlite") as store:
            rows = store.rows("precise", "float64")
        found = {name: {} for name in ("small", "process")}
        for row in rows:  # in the order in which cells ended
            found[row.metric][row.cell["n"]] = row.value
        return found["small"], set(found["process"].values())

    assert invoke("run", "precise").exit_code == 0
    here, (this,) = numbers()
    assert this == os.getpid() and 0 < abs(here[1]) < 1e-11  # none in single precision
    options = {
        "n_workers": 1,
        "threads_per_worker": 1,
        "dashboard_address": None,
        "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"},
    }
    with distributed.LocalCluster(**options) as joined:
        given = "run", "precise", "--scheduler", joined.scheduler_address
        assert "3 kept" in invoke(*given).stdout
        result = invoke(*given, "--force")
        assert result.exit_code == 0, result.output
        assert "3 done" in result.stdout
        there, (other,) = numbers()
        assert there == here and other != this
        assert re.search(r"3/3 \d:\d\d:\d\d left 0:00:00", result.stderr)
        late = invoke(*given, "--force", "--timeout", "0.2")
        assert late.exit_code == 1 and "timed out: not ended after 0." in late.stdout
    result = invoke("run", "precise", "--force", "--workers", "1")
    assert result.exit_code == 0, result.output
    assert numbers()[0] == here and numbers()[1].isdisjoint({this, other})


@pytest.mark.parametrize("given", [None, "3"], ids=["nothing said", "three asked for"])
def test_processes_of_a_study_have_one_thread_of_numpy(given, monkeypatch):
    """Unless the environment says otherwise; that of the driver stays as it is."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)
    with study.executing(study.get("demo")) as executor:
        found = executor.by_turns(os.getenv, "OPENBLAS_NUM_THREADS").result()
    assert found == (given or "1")
    assert os.environ.get("OPENBLAS_NUM_THREADS") == given


def test_a_failed_cell_is_named_and_nothing_is_judged(tmp_path, monkeypatch, invoke):
    broken = FILE.replace("if n == 2:", "if n == 3:\n        1 / 0\n    if n == 2:")
    write(tmp_path, text=broken)
    monkeypatch.chdir(tmp_path)
    result = invoke("run", "tiny", "--store", "own.sqlite")
    assert result.exit_code == 1
    assert "odd: 2 failed: ZeroDivisionError" in result.stdout
    assert "no claim judged" in result.stdout and "hold" not in result.stdout
    result = invoke("status", "tiny", "--store", "own.sqlite", "--reasons")
    assert "Traceback" in result.stdout and "1 / 0" in result.stdout
    result = invoke("report", "--store", "own.sqlite", "--output", "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "odd: 2 skipped, 2 failed" in page and "not complete" in page


def test_a_function_that_fails_stops_nothing_else(tmp_path, monkeypatch, invoke):
    """It is named, in the run and on the page, with all that the others gave."""
    breaks = "1 / 0  # <b>"
    write(tmp_path, "a", FILE.replace('return {"off at', breaks + '; {"off at'))
    text = FILE.replace("def laws", "def other").replace("rows(laws", "rows(other")
    text = text.replace("def odd", "def even").replace('return {"By', breaks + ';{"By')
    write(tmp_path, "b", text.replace("n is even", "n is 2"))
    monkeypatch.chdir(tmp_path)
    for name, function in ("a", "claims"), ("b", "tables"):
        result = invoke("run", name)
        assert result.exit_code == 1 and result.exception.code == 1
        assert f"{function}() of experiments/{name}.py failed" in result.stdout
        assert "ZeroDivisionError" in result.stdout and "1 / 0" in result.stdout
        assert (tmp_path / "results" / name / "line.png").exists()
    assert "1 of 2 claims hold" in result.stdout
    result = invoke("report")
    assert result.exit_code == 1 and "Written to" in result.stdout
    for name, function in ("a", "claims"), ("b", "tables"):
        line = f"{function}() of experiments/{name}.py failed: ZeroDivisionError"
        assert line in result.stderr
    shown = (tmp_path / "results" / "report.html").read_text()
    assert "failed: claims<" in shown and "failed: tables<" in shown
    assert shown.count("1 / 0  # &lt;b&gt;") == 2 and "1 / 0  # <b>" not in shown
    assert shown.count("data:image/svg+xml;base64,") == 2
    assert shown.count(">By hand</caption>") == shown.count(">Claims</caption>") == 1


def test_a_function_that_ends_the_program_is_a_failure(tmp_path, monkeypatch, invoke):
    """Not a success without a claim judged."""
    ends = "import sys; sys.exit(0)"
    write(tmp_path, "a", FILE.replace('return {"off at', ends + '; {"off at'))
    monkeypatch.chdir(tmp_path)
    result = invoke("run", "a")
    assert result.exit_code == 1 and "SystemExit: 0" in result.stdout
    assert "claims() of experiments/a.py failed" in result.stdout
    result = invoke("report")
    assert result.exit_code == 1 and "SystemExit: 0" in result.stderr


def test_a_file_that_cannot_be_run_is_shown(tmp_path, monkeypatch, invoke):
    """In every command, beside the others, and the exit code says so."""
    write(tmp_path, "fine", FILE)
    write(tmp_path, "quits", "import sys\nsys.exit(0)\ndef claims(store):\n    pass\n")
    write(tmp_path, "wrong", "def claims(:\n    pass\n")
    (tmp_path / "experiments" / "binary.py").write_bytes(b"\xff\xfe claims")
    monkeypatch.chdir(tmp_path)
    gt.sweep.Store("results/experiments.sqlite").close()
    listed = invoke("list")
    assert listed.exit_code == 0 and "cannot be read: SyntaxError" in listed.stdout
    status = invoke("status")
    assert status.exit_code == 1 and status.stdout.count("cannot be run") == 3
    assert "SyntaxError: invalid syntax" in status.stderr
    assert "SystemExit: 0" in status.stderr and "laws" in status.stdout
    report = invoke("report")
    assert report.exit_code == 1 and "experiments/wrong.py failed" in report.stderr
    page = (tmp_path / "results" / "report.html").read_text()
    assert page.count("The file cannot be run.") == 3 and "SystemExit: 0" in page
    for name, words in ("quits", "ends the program"), ("wrong", "cannot be run"):
        result = invoke("run", name)
        assert result.exit_code == 1 and words in result.stderr, result.output


def test_damaged_arrays_do_not_take_the_page_down(tmp_path, monkeypatch, invoke):
    write(tmp_path, "a", FILE)
    other = FILE.replace("def laws", "def other").replace("rows(laws", "rows(other")
    write(tmp_path, "b", other.replace("def odd", "def even").replace("5 /", "6 /"))
    monkeypatch.chdir(tmp_path)
    assert all("6 done" in invoke("run", name).stdout for name in "ab")
    with gt.sweep.Store("results/experiments.sqlite") as store:
        row = store.rows("other")[0]
        store._arrays._place(row.digest).write_bytes(b"PK")
    counted = [line.split() for line in invoke("status").stdout.splitlines()]
    assert ["a", "laws", "6", "-", "-", "-", "-"] in counted
    assert ["b", "other", "5", "-", "-", "-", "1"] in counted
    result = invoke("report")
    assert result.exit_code == 1 and "laws over time of other" in result.stderr
    assert "By hand" in (tmp_path / "results" / "report.html").read_text()
    assert "5 kept, 1 done" in invoke("run", "b").stdout


@pytest.mark.parametrize("gone", ["results", "results/experiments.sqlite"])
def test_a_folder_that_is_removed_during_a_run_is_no_success(
    tmp_path, monkeypatch, invoke, gone
):
    removes = f"import shutil; shutil.rmtree('{gone}', True)\n"
    removes += f"    import os; os.path.exists('{gone}') and os.remove('{gone}')\n    "
    write(tmp_path, text=FILE.replace("    if n == 2:", f"    {removes}if n == 2:"))
    monkeypatch.chdir(tmp_path)
    result = invoke("run", "tiny")
    assert result.exit_code == 2 and "the store is gone" in result.stderr
    assert "hold" not in result.stdout


def test_what_was_written_and_is_gone_is_said(tmp_path, monkeypatch, invoke):
    text = FILE.replace("def tables(store):", "def tables(store):\n    import shutil\n"
                        "    shutil.rmtree('out')")  # fmt: skip
    write(tmp_path, text=text)
    monkeypatch.chdir(tmp_path)
    result = invoke("run", "tiny", "--output", "out")
    assert result.exit_code == 2 and "line.pdf" in result.stderr


def test_a_cell_that_changes_folders_moves_no_results(tmp_path, monkeypatch, invoke):
    moves = "import os; os.chdir('/')\n    if n == 2:"
    write(tmp_path, text=FILE.replace("if n == 2:", moves))
    monkeypatch.chdir(tmp_path)
    result = invoke("run", "tiny")
    assert "6 done" in result.stdout, result.output
    assert (tmp_path / "results" / "tiny" / "line.png").exists()


def test_square_brackets_are_printed_as_they_are(tmp_path, monkeypatch, invoke):
    text = FILE.replace("A law that", "A [/b] law [x] that")
    text = text.replace("seeds=2)", "seeds=2, name='odd[/i]')")
    write(tmp_path, text=text)
    monkeypatch.chdir(tmp_path)
    folder = "a[/red]b[1]"
    given = "--store", f"{folder}/s.sqlite"
    result = invoke("run", "tiny", *given, "--output", f"{folder}/out")
    assert "A [/b] law [x] that" in result.stdout and "odd[/i]: 4 done" in result.stdout
    assert f"Written to {folder}/out" in result.stdout
    shown = invoke("status", *given, "--export", f"{folder}/e.csv")
    assert "odd[/i]" in shown.stdout and f"{folder}/e.csv" in shown.stdout
    assert invoke("report", *given, "--output", f"{folder}/p.html").exit_code == 0
    assert "A [/b] law [x] that" in invoke("run", "--help").stdout


def test_list_has_the_experiments_of_the_folder(at_home, invoke):
    assert "A law that </script> comes nearer." in invoke("list").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "tinny"), ("unknown problem or experiment", "did you mean 'tiny'?")),
        (("run", "ten"), ("of a problem and of an experiment", "ten.py")),
        (("run", "tiny", "--steps", "3"), ("No such option", "--steps")),
        (("run", "plain.py"), ("no such file of experiments", "plain.py")),
        (("run", "experiments/silent.py"), ("claims nothing",)),
        (("run", "bad"), ("cannot be read", "['a', 'many', '1', 'x'], in line 2")),
        (("run", "tiny", "--store", "experiments"), ("cannot be opened", "hint")),
        (("report", "--output", "experiments"), ("this is a folder", "hint")),
        (("status", "--export", "experiments"), ("this is a folder", "hint")),
        (("run", "tiny", "--output", "experiments/ten.py"), ("cannot be written",)),
        (("run", "tiny", "--scheduler", "nonsense"), ("does not answer", "nonsense")),
        (("run", "tiny", "--scheduler", "foo://bar:1"), ("does not answer", "scheme")),
        (("status", "tny"), ("unknown experiment", "did you mean 'tiny'?")),
        (
            ("status", "tiny", "--store", "none.sqlite"),
            ("there is no store", "none.sqlite"),
        ),
    ],
)
def test_a_wrong_request_is_a_message(at_home, invoke, arguments, words):
    folder, _ = at_home
    made = {
        "bad": (FILE, "claim,expected,tolerance,source\na,many,1,x\n"),
        "ten": (FILE, None),
        "silent": (FILE.replace("def claims", "def others"), None),
    }
    for name, given in made.items():
        write(folder, name, *given)
    result = invoke(*arguments)
    for name in made:
        (folder / "experiments" / f"{name}.py").unlink()
    assert result.exit_code == 2, result.output
    assert all(word in result.stderr for word in words), result.stderr


def test_where_there_are_no_experiments_it_is_said(tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    result = invoke("report")
    assert result.exit_code == 2 and "there is no store" in result.stderr
    gt.sweep.Store("empty.sqlite").close()
    result = invoke("report", "--store", "empty.sqlite")
    assert result.exit_code == 2 and "no experiments here" in result.stderr


# The page.


def test_what_is_no_markup_is_escaped():
    empty = {"parts": [], "overview": tables.table([], ""), "written": ""}
    parts = page._template().make_module(empty)
    link = str(parts.cell(tables.Cell('<"&', href='"')))
    assert link == '<a href="&#34;">&lt;&#34;&amp;</a>'
    scene = View("a", "<b>", {'<"': ["<i>"]}, 2, {"</script>": "<!--"})
    written = str(parts.viewer(scene))
    text = re.search('<script type="application/json" id="a-data">(.*)</s', written)
    assert json.loads(text.group(1)) == {"</script>": "<!--"}
    outside = written.replace(text.group(1), "")
    assert "</script>" not in text.group(1) and "<!" not in written
    assert not re.search("<[bi]>", outside) and '<option value="&lt;i&gt;">' in outside
    assert 'data-label="&lt;&#34;"' in outside and "nan" not in outside
    with pytest.raises(ValueError, match="not JSON compliant"):
        parts.viewer(scene._replace(content={"a": math.nan}))


def test_docstrings_become_paragraphs_lists_and_links():
    found = prose("One `a<b`\nline:\n\n    code  here\n\n- x\n  y\n- arXiv:2605.30330")
    assert found == (
        "<p>One <code>a&lt;b</code>\nline:</p>\n<pre><code>code  here\n</code></pre>\n"
        "<ul>\n<li>x\ny</li>\n<li>"
        '<a href="https://arxiv.org/abs/2605.30330">arXiv:2605.30330</a></li>\n</ul>\n'
    )
    assert inline("**a** `arXiv:2605.30330`") == (
        "<strong>a</strong> <code>arXiv:2605.30330</code>"
    )


def test_formulas_stay_as_they_are_written():
    found = prose(
        "With \\(a_t*b*\n<c\\) and\n\n\\[ x_1 = *y*\n- z . \\]\n\nso \\(open."
    )
    assert found == (
        '<p>With <code class="formula">a_t*b* &lt;c</code> and</p>\n'
        '<pre class="formula"><code>x_1 = *y*\n- z .</code></pre>\n<p>so (open.</p>\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "[a](javascript:alert(1))",
        "[a](<javascript:alert(1)>)",
        "<javascript:alert(1)>",
        "![a](https://example.org/a.png)",
        "![a](data:image/svg+xml;base64,AAAA)",
        '[a](https://example.org/"onclick="alert(1))',
        "\\(</code><script>alert(1)</script>\\)",
        "\\[ </code><script>alert(1)</script> \\]",
        "    </code><script>alert(1)</script>",
    ],
)
def test_nothing_in_a_docstring_runs_or_is_fetched(text):
    for found in prose(text), inline(text):
        tags = re.findall('<([a-z]+)((?: [a-z]+="[^"<>]*")*)>', found)
        assert {name for name, _ in tags} <= {"p", "a", "pre", "code"}
        assert found.count("<") == len(tags) + found.count("</")
        assert not re.search('(src|on[a-z]+)="|href="(?!https://example)', found)


@pytest.mark.parametrize(("bits", "kind"), [(8, "u1"), (16, "<u2")])
def test_densities_are_kept_to_their_bits(bits, kind):
    density = np.asarray([[0.0, 1e-3, 0.7], [2.5, math.nan, math.inf]], np.float32)
    found = quantised(density, bits)
    codes = np.frombuffer(base64.b64decode(found["data"]), kind).reshape(2, 3)
    most = 2**bits - 2
    again = found["top"] * (codes / most) ** 2
    assert found["top"] == 2.5 and codes[1].tolist() == [most] + 2 * [most + 1]
    root = np.sqrt(density[np.isfinite(density)])
    off = np.abs(np.sqrt(again[np.isfinite(density)]) - root)
    assert off.max() <= 0.5001 * math.sqrt(2.5) / most and off.max() > 0.0


def test_the_page_has_everything_once_and_needs_no_network(at_home):
    read = study.read(study.locate("tiny"))
    with gt.sweep.Store("results/experiments.sqlite") as store:
        text = page.page([read], store)
        shown = scene("laws", read.experiments["laws"], store)
    assert shown.points == 4 * 12 * 41  # three of DPS; one of the rest and the exact
    outside = re.sub("<script.*?</script>|<style.*?</style>", "", text, flags=re.DOTALL)
    assert "<b>" not in outside and "<i>Exact" not in text
    assert "A law that &lt;/script&gt; comes nearer." in outside
    assert not re.search('(src|href)="(?!data:|#|https://arxiv)', outside)
    assert "url(" not in text and "fetch(" not in text and "import" not in text
    heads = re.findall('<button type="button">(.*?)</button>', outside)
    assert {"seeds", "left out", "not finite"} < set(heads)
    assert "n is even" not in text and text.count("data:image/svg+xml;base64,") == 1


def test_the_page_counts_what_is_not_finite_or_failed(tmp_path):
    def uneven(key, n):
        if n == 2 and jax.random.bits(key) % 2:
            raise ZeroDivisionError
        return {"value": math.nan if n == 1 else 2.5, "other": 1.0}

    made = gt.Experiment(uneven, {"n": [1, 2, 3]}, seeds=4)
    with gt.sweep.Store(tmp_path / "s.sqlite") as store:
        tally = gt.sweep.run(made, store, show=False)
        found = tables.values(store.rows(made))
    rows = [[cell.text for cell in row.values()] for row in found.rows]
    by = {(n, metric): rest for n, metric, *rest in rows}
    assert 0 < tally.failed < 4
    assert by["1", "value"] == ["NaN", "–", "–", "4", "0", "4"]
    assert by["1", "other"] == ["1", "1", "1", "4", "0", "0"]
    counts = [str(4 - tally.failed), str(tally.failed), "0"]
    assert by["2", "value"][0] == "2.5" and by["2", "value"][3:] == counts
    assert by["3", "value"] == ["2.5", "2.5", "2.5", "4", "0", "0"]


def test_the_page_says_what_computed_it(at_home):
    read = study.read(study.locate("tiny"))
    with gt.sweep.Store("results/experiments.sqlite") as store:
        store._file.execute(
            "UPDATE cells SET package = '7.8.9', jax = '0.6.99', device = 'tpu v9',"
            " revision = ?",
            ["ab" * 20 + "-dirty"],
        )
        text = page.page([read], store)
    facts = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", text))
    names = "gmm_testbed", "git revision", "JAX", "device", "precision", "file"
    assert [facts[name] for name in names] == [
        "7.8.9", "ababababab-dirty", "0.6.99", "tpu v9", "float64", "tiny.py"
    ]  # fmt: skip
    assert re.fullmatch("2[-0-9]+T[0-9:+]+( to 2[-0-9]+T[0-9:+]+)?", facts["computed"])
    this = provenance.provenance()  # of what wrote the page
    assert (this.package and f"version {this.package}") in text
    assert (this.revision and f"revision {this.revision[:10]}") in text


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    output = tmp_path / "out" / "page.html"

    def full(descriptor):
        raise OSError("no space left")

    with gt.sweep.Store(tmp_path / "s.sqlite") as store:
        size = page.write([], store, output).size
        before = output.read_bytes()
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space left"):
            page.write([], store, output)
    assert output.read_bytes() == before and len(before) == size > 1000
    assert list(output.parent.iterdir()) == [output]


def test_the_page_in_a_browser(browser, at_home, invoke):
    folder, _ = at_home
    result = invoke("report", "tiny", "--output", "out/report.html")
    assert result.exit_code == 0, result.output
    browser.get((folder / "out" / "report.html").as_uri())

    def one(selector):
        return browser.find_element("css selector", selector)

    def seen():
        names = ("exact", "law", "slice")
        code = (
            "return document.querySelector('.' + arguments[0] + ' canvas').toDataURL()"
        )
        return {name: browser.execute_script(code, name) for name in names}

    def texts():
        names = (".at-steps", ".at-time", ".law figcaption", ".slice figcaption")
        return [one(name).text for name in names]

    def changed(before):
        after = seen()
        return {name for name in after if after[name] != before[name]}

    before = seen()
    assert len(set(before.values())) == 3
    # Off by 0.5 of a width 0.2 + 0.28: the total variation of two normals.
    assert texts()[:3] == ["10", "0.28", "law, DPS, N = 10"]
    apart = math.erf(0.5 / 0.48 / math.sqrt(8))
    assert texts()[3] == f"t = 0.28, total variation {apart:#.2g}"
    one(".by-steps").send_keys("\ue014")  # the right arrow
    assert changed(before) == {"law", "slice"}
    assert texts()[0] == "50" and texts()[2] == "law, DPS, N = 50"
    assert one(".by-steps").get_attribute("aria-valuetext") == "N = 50"
    assert one(".metrics").text.split("\n") == ["off", "0.1 ± 0.2"]
    before = seen()
    one(".by-time").send_keys("\ue010")  # End
    assert changed(before) == {"exact", "law", "slice"} and texts()[1] == "0.01"
    one("select").send_keys("<i>Exact")
    assert texts()[3].endswith("total variation 0.0")

    table = next(
        found
        for found in browser.find_elements("css selector", "table.sortable")
        if "By hand" in found.text
    )
    head = table.find_elements("css selector", "th")[1]
    orders = []
    for _ in range(2):
        head.find_element("css selector", "button").click()
        cells = table.find_elements("css selector", "td:first-child")
        orders.append((head.get_attribute("aria-sort"), [c.text for c in cells]))
    assert orders == [("ascending", ["a", "b"]), ("descending", ["b", "a"])]
    assert browser.get_log("browser") == []
