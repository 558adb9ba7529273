"""The lectures: their form, and that they run as given and with the solutions put in."""

import ast
import inspect
import json
import re
import textwrap
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import gmm_testbed as gt

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def exercise_of(cell) -> str | None:
    tags = [t for t in cell.metadata.get("tags", []) if t.startswith("exercise:")]
    return tags[0].removeprefix("exercise:") if tags else None


def solution_of(cell) -> str | None:
    name = exercise_of(cell)
    if name is None:
        return None
    return textwrap.dedent(inspect.getsource(gt.exercises.CATALOGUE[name].solution))


def parsed(cell) -> ast.Module:
    return ast.parse(re.sub(r"^\s*[%!].*$", "", cell.source, flags=re.MULTILINE))


def names_in(function) -> set[str]:
    """Names that a function looks up, in its inner functions too."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@every
def test_the_form_of_a_lecture(path):
    notebook = read(path)
    nbformat.validate(notebook)
    cells = code(notebook)
    assert notebook.nbformat == 4 and len({cell.id for cell in notebook.cells}) > 1
    assert 12 <= len(cells) <= 18
    assert sum(len(cell.source.splitlines()) for cell in cells) < 120
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    for words in ("NPROC", "jax_enable_x64", "gt.exercises.setup()", "%pip"):
        assert words in cells[0].source
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    assert notebook.cells[0].source.startswith(f"# {path.stem[:2]} ")
    assert "redict" in text and "## Notice" in text


@every
def test_functions_are_short(path):
    for cell in code(read(path)):
        for node in ast.walk(parsed(cell)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 10, node.name


@every
def test_every_exercise_has_a_stub_and_a_check(path):
    cells = code(read(path))
    rows = gt.exercises.LECTURES.get(path.stem[:2], {})
    assert {exercise_of(cell) for cell in cells} - {None} == set(rows)
    whole = "\n".join(cell.source for cell in cells)
    for cell in cells:
        name = exercise_of(cell)
        if name is None:
            continue
        solution = rows[name].solution
        arguments = list(inspect.signature(solution).parameters)
        (stub,) = parsed(cell).body
        if arguments:
            assert stub.name == solution.__name__
            assert [a.arg for a in stub.args.args] == arguments
            assert ast.unparse(stub.body[-1]) == "return ..."
        else:
            assert ast.unparse(stub) == f"{solution.__name__} = ..."
        assert f'gt.exercises.check("{name}", {solution.__name__})' in whole


@every
def test_a_solution_uses_names_that_the_lecture_has(path):
    """So that what `solution` shows runs where it is pasted."""
    cells = code(read(path))
    known = {
        node.asname or node.name
        for cell in cells
        for node in ast.walk(parsed(cell))
        if isinstance(node, ast.alias)
    }
    for name, exercise in gt.exercises.LECTURES.get(path.stem[:2], {}).items():
        solution = inspect.unwrap(exercise.solution)
        used = names_in(solution) & solution.__globals__.keys()
        assert used <= known, name


@pytest.mark.slow
@every
def test_a_lecture_runs(path, capsys, monkeypatch):
    """As given every verdict is "not attempted"; with the solutions all are right.

    Both in one kernel, so that programs are compiled once; the second begins without names.
    """
    root = path.parents[1]
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(root / ".jax_cache"))
    monkeypatch.setenv("PYTHONPATH", str(root))
    cells = code(read(path))
    asked = {exercise_of(cell) for cell in cells} - {None}
    given = [cell.source for cell in cells]
    solved = [solution_of(cell) or cell.source for cell in cells]
    report = "import json, time\n"
    report += "print(json.dumps([gt.exercises.progress().rows, time.process_time()]))"
    run = nbformat.v4.new_notebook()
    for source in [*given, report, "%reset -f", *solved, report]:
        run.cells.append(nbformat.v4.new_code_cell(source))
    begin = time.perf_counter()
    NotebookClient(run, timeout=600, kernel_name="python3").execute()
    passed = time.perf_counter() - begin
    middle, end = (
        json.loads(cell.outputs[0].text) for cell in run.cells if cell.source == report
    )
    with capsys.disabled():
        print(f"\n{path.stem}: {passed:.0f} s, {end[1]:.0f} s of processor", end="")
    for (rows, _), expected in ((middle, "not attempted"), (end, "right")):
        outcomes = {name: outcome for name, _, outcome, *_ in rows}
        assert outcomes == dict.fromkeys(asked, expected)
