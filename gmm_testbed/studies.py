"""Studies on the command line: runs their cells, draws, and says what came out."""

import contextlib
import itertools
import numbers
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import plotting, problems, sweep
from ._checks import choose, require
from .sweep import Row, Status, Store, Tally
from .sweep.study import COLUMNS, Judged, Study, noting

STORE = Path("results/experiments.sqlite")
MOST_ROWS = 40  # of a table in a terminal
_UNFINISHED = (Status.FAILED, Status.TIMED_OUT)


def find(names: Sequence[str]) -> list[Study]:
    """The studies of these names; every one of ./experiments if there are none."""
    chosen = names or list(sweep.study.found())
    require(
        chosen,
        "there are no experiments here",
        got=f"no file with claims in {sweep.study.FOLDER.resolve()}",
        expected=f"a folder {str(sweep.study.FOLDER)!r} with files of experiments",
        hint="go to the folder that has it, or give the path of a file",
    )
    files = dict.fromkeys(sweep.study.locate(name) for name in chosen)
    return [sweep.study.read(file) for file in files]


def is_one(name: str) -> bool:
    """Whether it names an experiment, and not a problem; fails if neither or both."""
    if name.endswith(".py"):
        return True
    known = sweep.study.found()
    require(
        name not in problems.CATALOGUE or name not in known,
        "the name is that of a problem and of an experiment",
        got=name,
        expected="a name with one meaning",
        hint=f"give the file, {known.get(name)}, or rename it",
    )
    choose(name, {**problems.CATALOGUE, **known}, "problem or experiment")
    return name in known


def existing(path: Path) -> Store:
    """A store that is there: what only looks makes none."""
    require(
        path.is_file(),
        "there is no store",
        got=str(path),
        expected="the file that `gmm-testbed run` wrote",
        hint="run an experiment first, or choose the store with --store",
    )
    return Store(path)


def run(
    study: Study,
    store: Store,
    prepare: Callable[[], Any],
    workers: int | None = None,
    scheduler: str | None = None,
    force: bool = False,
    timeout: float | None = None,
) -> dict[str, Tally]:
    """Computes the cells that are missing.

    Args:
        study: whose.
        store: where to.
        prepare: makes JAX's settings in a new process.
        workers: processes to start; none, and no scheduler, for this process.
        scheduler: address of one of Dask's.
        force: also cells that are done.
        timeout: seconds that a cell may take.
    """
    with _executor(workers, scheduler) as executor:
        return {
            name: sweep.run(
                experiment,
                store,
                executor=executor,
                force=force,
                timeout=timeout,
                prepare=prepare,
            )
            for name, experiment in study.experiments.items()
        }


@contextlib.contextmanager
def _executor(workers, scheduler) -> Iterator[Executor | None]:
    if workers is None and scheduler is None:
        yield None
        return
    with sweep.cluster(workers, scheduler) as executor:
        yield executor


def show(
    study: Study,
    store: Store,
    tallies: Mapping[str, Tally],
    screen: Console,
    output: Path,
) -> bool:
    """Prints and writes what a study has to say; whether all is as it should be.

    Tallies, claims, tables that are short, figures.

    A function of the study that fails is shown by its traceback, beside the others.
    """
    for experiment, tally in tallies.items():
        screen.print(f"{experiment}: {tally}", markup=False)
    for line in unfinished(study, store):
        screen.print(line, markup=False)
    if not study.complete(store):
        screen.print("Not every cell is there: nothing is drawn and no claim judged.")
        screen.print(f"More: gmm-testbed status {study.name} --reasons", markup=False)
        return False
    screen.print(Text(f"\n{study.title}", style="bold"))
    errors, judged, written = {}, [], {}
    with noting(errors, "claims"):
        judged = study.judged(store)
        screen.print(claims(judged))
        for line in verdict(study, judged):
            screen.print(line, markup=False)
    with noting(errors, "tables"):
        named = tabulate(study.tables(store), output)
        for title, rows in named.values():
            screen.print()
            screen.print(table(title, rows, screen.width))
        written["as CSV"] = list(named)
    with noting(errors, "figures"):
        written["as PNG and PDF"] = draw(study, store, output)
    screen.print()
    for kind, names in written.items():
        if names:
            line = f"Written to {output}, {kind}: {', '.join(names)}"
            screen.print(line, markup=False)
    for name, text in errors.items():
        screen.print(f"{name}() of {study.file} failed:\n{text}", markup=False)
    return not errors and not any(one.problem for one in judged)


def draw(study: Study, store: Store, folder: Path) -> list[str]:
    """Writes the figures as PNG and PDF; gives their names."""
    figures = study.figures(store)
    for name, drawn in figures.items():
        folder.mkdir(parents=True, exist_ok=True)
        plotting.save(drawn, folder / name)
    return sorted(figures)


def tabulate(
    tables: Mapping[str, Sequence[Mapping[str, Any]]], folder: Path
) -> dict[str, tuple[str, Sequence[Mapping[str, Any]]]]:
    """Writes each table as CSV; gives its title and rows by the stem of its file."""
    named = {}
    for title, rows in tables.items():
        stem = re.sub(r"\W+", "_", title.lower()).strip("_")
        require(
            stem and stem not in named,
            "the title of a table does not name a file of its own",
            got=f"{title!r}, which gives {stem + '.csv'!r}",
            expected="titles that differ in letters or digits",
            hint="say in the title what is particular to the table",
        )
        named[stem] = title, rows
    for stem, (_, rows) in named.items():
        sweep.write(rows, folder / f"{stem}.csv")
    return named


def table(title: str, rows: Sequence[Mapping[str, Any]], width: int) -> Table | Text:
    """A table for the terminal; a line of words where it would be too long or wide."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [_short_value(row.get(name)) for row in rows] for name in names}
    heads = {name: _folded(name, max(map(len, columns[name]))) for name in names}
    total = -2 + sum(  # two spaces stand between columns
        2 + max(map(len, [*heads[name].splitlines(), *columns[name]])) for name in names
    )
    if len(rows) > MOST_ROWS or total > width:
        size = f"{len(rows)} rows of {len(names)} columns, in the CSV"
        return Text.assemble((title, "bold"), f": {size}")
    found = Table(title=Text(title, style="bold"), **plotting.tables.LOOK)
    for name in names:
        numeric = all(_is_number(row.get(name)) for row in rows if name in row)
        justify = "right" if numeric else "left"
        found.add_column(Text(heads[name]), justify=justify, no_wrap=True)
    for line in zip(*columns.values(), strict=True):
        found.add_row(*map(Text, line))
    return found


def _short_value(value: Any) -> str:
    if value is None:
        return "-"
    fraction = _is_number(value) and not isinstance(value, numbers.Integral)
    return f"{value:.4g}" if fraction else str(value)


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, numbers.Real)


def _folded(name: str, width: int) -> str:
    """The head of a column, in lines no longer than its longest word or entry."""
    return "\n".join(
        textwrap.wrap(name, max(width, *map(len, name.split())), break_on_hyphens=False)
    )


def claims(judged: Sequence[Judged]) -> Table:
    """A row a claim: value, expectation, tolerance and verdict."""
    table = Table(**plotting.tables.LOOK)
    table.add_column("claim", ratio=1)
    for name in ("value", "expected", "tolerance", "verdict"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in judged:
        value = "-" if one.value is None else f"{one.value:.6g}"
        numbers = ("-", "-")
        if one.expected is not None:
            numbers = f"{one.expected.value:.6g}", f"{one.expected.tolerance:.2g}"
        verdict = Text(one.problem or "holds", style="bold" if one.problem else "")
        table.add_row(Text(one.claim), value, *numbers, verdict)
    return table


def verdict(study: Study, judged: Sequence[Judged]) -> list[str]:
    """What the claims come to, and what to do where they and the file do not fit."""
    wrong = [one for one in judged if one.problem]
    lines = [f"{len(judged) - len(wrong)} of {len(judged)} claims hold"]
    kinds = {one.problem for one in wrong}
    if "no expectation" in kinds:
        lines += [
            f"add the claims without expectation to {study.expectations}",
            f"  (columns {','.join(COLUMNS)})",
        ]
    if "not claimed" in kinds:
        lines += [f"claim what is not claimed, or strike it from {study.expectations}"]
    return lines


def status(studies: Sequence[Study], store: Store) -> Table:
    """A row an experiment: how many of its cells ended how."""
    states = [*map(str, Status), "missing"]
    table = Table(title=Text("Cells", style="bold"), **plotting.tables.LOOK)
    for name in ("file", "experiment"):
        table.add_column(name, no_wrap=True)
    for state in states:
        table.add_column(state, justify="right", no_wrap=True)
    table.add_column("", ratio=1)
    for study in studies:
        name = study.name
        for experiment, counts in study.counts(store).items():
            numbers = [str(counts[state] or "-") for state in states]
            table.add_row(Text(name), Text(experiment), *numbers)
            name = ""
    return table


def export(studies: Sequence[Study], store: Store, path: Path) -> int:
    """Writes every value as a table, and gives the number of its rows."""
    frame = store.frame(*(e for s in studies for e in s.experiments.values()))
    sweep.write(frame, path)
    return len(frame)


def stale(studies: Sequence[Study], store: Store) -> str:
    """What to know of cells that other files of the package gave; "" if there are none."""
    counts = {
        study.name: sum(map(store.stale, study.experiments.values()))
        for study in studies
    }
    listed = ", ".join(f"{n} of {name}" for name, n in counts.items() if n)
    if not listed:
        return ""
    return (
        f"cells that gmm_testbed computed before its code changed: {listed};"
        " `run NAME --force` computes them again"
    )


def unfinished(study: Study, store: Store, whole: bool = False) -> list[str]:
    """Why cells failed or were late, one paragraph a reason.

    Args:
        study: the file.
        store: where its cells are.
        whole: the traceback, and also the reasons of cells that were skipped.
    """
    states = (*_UNFINISHED, Status.SKIPPED) if whole else _UNFINISHED
    rows = [
        row
        for experiment in study.experiments.values()
        for row in store.rows(experiment)
        if row.status in states
    ]
    rows.sort(key=lambda row: (row.experiment, row.status, _short(row)))
    lines = []
    for (name, state, short), same in itertools.groupby(
        rows, key=lambda row: (row.experiment, row.status, _short(row))
    ):
        same = list(same)
        cell = ", ".join(f"{label}={x}" for label, x in same[0].cell.items())
        lines += [
            f"{name}: {len(same)} {state}: {short}",
            f"  such as: {cell or 'the only cell'}, seed {same[0].seed}",
        ]
        if whole and same[0].reason != short:
            lines += [f"  {line}" for line in same[0].reason.splitlines()]
    return lines


def _short(row: Row) -> str:
    """The first line of a reason, or of the error under a traceback."""
    lines = row.reason.strip().splitlines() or [""]
    if not lines[0].startswith("Traceback"):
        return lines[0]
    outside = [line for line in lines if line and not line[0].isspace()]
    return outside[-1]
