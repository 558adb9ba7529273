"""The table of faults keeps up with the package and the tests; a fault is found or not."""

import ast
import functools
import subprocess
import sys

import pytest

from .mutants import run
from .mutants.table import PACKAGE, ROOT, Fault, read

FAULTS = read()


@functools.cache
def names_of(path):
    """Names of the tests of a file, and those that are marked slow as a whole."""
    found, slow = set(), set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            found.add(node.name)
            if "pytest.mark.slow" in map(ast.unparse, node.decorator_list):
                slow.add(node.name)
    return found, slow


def test_every_fault_can_be_planted_and_has_tests_that_are_there():
    """The right text is there once, and the wrong one is a program."""
    wrong = {}
    for fault in FAULTS:
        path = ROOT / PACKAGE / fault.file
        name = f"{fault.file}: {fault.means}"
        try:
            ast.parse(fault.planted(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, SyntaxError) as error:
            wrong[name] = error
        for test in fault.tests:
            file, _, rest = test.partition("::")
            known, slow = names_of(ROOT / "tests" / file)
            chosen = rest.partition("[")[0]
            if chosen and chosen not in known:
                wrong[name] = f"there is no {test}"
            elif chosen in slow and not fault.slow:
                wrong[name] = f"{test} is slow: say slow = true"
    assert not wrong


def test_faults_are_many_different_and_everywhere():
    assert len(FAULTS) > 200 and len(set(FAULTS)) == len(FAULTS)
    places = {fault.file.split("/")[0].removesuffix(".py") for fault in FAULTS}
    without = {"cli", "testbeds", "torch"}
    rooms = {path.name for path in (ROOT / PACKAGE).iterdir() if path.is_dir()}
    assert rooms - {"__pycache__"} - without <= places
    assert all(fault.tests for fault in FAULTS)


@pytest.mark.parametrize("before", ["nowhere", "a", "x = 1"])
def test_a_fault_that_cannot_be_planted_is_refused(before):
    fault = Fault("one.py", "none", before, "x = 1", ("test_one.py",))
    with pytest.raises(ValueError, match="times"):
        fault.planted("a = 1\nx = 1\nb = a\n")


@pytest.mark.slow
def test_what_is_tested_is_caught_and_what_is_not_survives(tmp_path, monkeypatch):
    """In a tree of its own: of two faults one is noticed, and the files are as before."""
    tree = tmp_path / "tree"
    files = {
        "gmm_testbed/__init__.py": "def twice(x):\n    return 2 * x\n\n\nUNUSED = 3\n",
        "tests/test_one.py": "from gmm_testbed import twice\n\n\n"
        "def test_twice():\n    assert twice(3) == 6\n",
        "pyproject.toml": '[tool.pytest.ini_options]\nmarkers = ["slow: long"]\n',
        ".gitignore": ".jax_cache/\n",
    }
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    faults = [
        Fault("__init__.py", "thrice", "2 * x", "3 * x", ("test_one.py",)),
        Fault("__init__.py", "unseen", "UNUSED = 3", "UNUSED = 4", ("test_one.py",)),
        Fault("__init__.py", "no test", "UNUSED = 3", "UNUSED = 4", ("test_two.py",)),
    ]
    rows = [tuple(fault) for fault in faults]
    script = (
        "import pathlib, sys\n"
        "from tests.mutants import run, table\n"
        f"faults = [table.Fault(*row) for row in {rows!r}]\n"
        f"run.ROOT = pathlib.Path({str(tree)!r})\n"
        "run.read = lambda: faults\n"
        "sys.argv = ['run', '--all', '--trusting']\n"
        "sys.exit(run.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 of 3 faults are caught" in done.stdout
    assert "survived: __init__.py: unseen" in done.stdout
    assert "unknown: __init__.py: no test" in done.stdout
    assert "by test_one.py::test_twice" in done.stdout
    for name, text in files.items():
        assert (tree / name).read_text(encoding="utf-8") == text


def test_a_sample_is_the_same_for_the_same_seed():
    def chosen(*arguments):
        return run.chosen(run.given(["--sample", "5", *arguments]))

    assert chosen("--seed", "1") == chosen("--seed", "1") != chosen("--seed", "2")
    assert len(chosen()) == 5 and len(run.chosen(run.given(["--all"]))) == len(FAULTS)
    assert {f.file for f in chosen("--only", "kernels/")} <= {
        f.file for f in FAULTS if f.file.startswith("kernels/")
    }
