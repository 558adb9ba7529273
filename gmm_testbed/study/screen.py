"""What a study has to say, on the screen and as files."""

import numbers
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import plotting, sweep
from .._checks import require
from ..estimate import Estimate
from ..plotting import Venue
from ..sweep import Store, Tally
from . import papers
from .files import COLUMNS, Judged, Study, noting
from .runs import Apart, unfinished
from .statement import metadata, origins, write_sidecar

MOST_ROWS = 40  # of a table in a terminal


def show(
    study: Study,
    store: Store,
    tallies: Mapping[str, Tally],
    screen: Console,
    output: Path,
    executor: Executor | None = None,
    venue: Venue | None = None,
) -> bool:
    """Prints and writes what a study has to say; whether all is as it should be.

    Tallies, claims, tables that are short, figures.

    A function of the study that fails is shown by its traceback, beside the others.

    Args:
        study: the study.
        store: of its cells.
        tallies: of the run before this, by experiment.
        screen: where it is printed.
        output: folder of the files.
        executor: what `executing` gave; if it is of processes of this study, they save
            the figures, while the rest is done here.
        venue: of a paper, for which figures are drawn and LaTeX is written beside all
            else; None for the screen.
    """
    for experiment, tally in tallies.items():
        screen.print(f"{experiment}: {tally}")
    for line in unfinished(study, store):
        screen.print(line)
    if not study.complete(store):
        screen.print("Not every cell is there: nothing is drawn and no claim judged.")
        screen.print(f"More: gmm-testbed status {study.name} --reasons")
        return False
    screen.print(Text(f"\n{study.title}", style="bold"))
    errors, judged, written, drawn, named = {}, [], {}, {}, {}
    with noting(errors, "figures"):
        drawn = draw(study, store, output, executor, venue)
    with noting(errors, "claims"):
        judged = study.judged(store)
        if judged:
            screen.print(claims(judged))
            for line in verdict(study, judged):
                screen.print(line)
    with noting(errors, "tables"):
        named = tabulate(study.tables(store), output)
        shown = study.screen(store)
        if shown is None:
            shown = (table(*named[name], screen.width) for name in named)
        for part in shown:
            screen.print()
            screen.print(part)
        for name, rows in study.files(store).items():
            sweep.write(rows, output / f"{name}.csv")
            named[name] = name, rows
        written["as CSV", ("csv",)] = list(named)
    made = origins(study, store)  # while others draw
    with noting(errors, "figures"):
        for one in drawn.values():
            one.saved.result()
        written["as PNG and PDF", ("png", "pdf")] = sorted(drawn)
    if venue is not None:
        with noting(errors, "LaTeX"):
            figures = {stem: one.shown for stem, one in drawn.items()}
            given = study, store, output, venue, judged, _short_tables(named), figures
            written["as LaTeX", ("tex",)] = papers.write(*given)
    screen.print()
    files = []
    for (kind, endings), names in written.items():
        if names:
            line = f"Written to {output}, {kind}: {', '.join(names)}"
            screen.print(line)
        files += [output / f"{name}.{end}" for name in names for end in endings]
    _require_there(files)
    if files:
        command = f"gmm-testbed run {study.name}"
        write_sidecar(files, output, made, command)
    store.require_there()
    for name, text in errors.items():
        screen.print(f"{name}() of {study.file} failed:\n{text}")
    return not errors and not any(one.problem for one in judged)


def _require_there(files: Iterable[Path]) -> None:
    gone = [str(file) for file in files if not file.is_file()]
    require(
        not gone,
        "files that were written are gone",
        got=", ".join(gone),
        expected="a folder that nobody removes meanwhile",
        hint="run again: what was computed is in the store",
    )


class Drawn(NamedTuple):
    """A figure that is being written.

    Attributes:
        saved: done when its files are there.
        shown: its title and its width in inches.
    """

    saved: Future
    shown: tuple[str, float]


def draw(
    study: Study,
    store: Store,
    folder: Path,
    executor: Executor | None = None,
    venue: Venue | None = None,
) -> dict[str, Drawn]:
    """Begins to write the figures as PNG and PDF; by the name of the figure.

    Args:
        study: whose.
        store: of its cells.
        folder: of the files.
        executor: see `show`.
        venue: see `show`.
    """
    submit = executor.by_turns if isinstance(executor, Apart) else _at_once
    about, begun = metadata(study, store), {}
    with plotting.paper(venue):
        for name, drawn in study.each_figure(store):
            folder.mkdir(parents=True, exist_ok=True)
            shown = plotting.caption(drawn), float(drawn.get_figwidth())
            given = drawn, folder / name, plotting.DPI, venue, about
            begun[name] = Drawn(submit(plotting.save, *given), shown)
    return begun


def _short_tables(
    named: Mapping[str, tuple[str, Sequence[Mapping[str, Any]]]],
) -> dict[str, tuple[str, Sequence[Mapping[str, Any]]]]:
    """Titles and rows of tables that a page can hold, by stem of a file."""
    return {
        stem: (title, rows)
        for stem, (title, rows) in named.items()
        if title != stem and len(rows) <= MOST_ROWS
    }


def _at_once(function, *given) -> Future:
    done = Future()
    done.set_result(function(*given))
    return done


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
    if isinstance(value, Estimate):
        return str(value).rsplit(" (", 1)[0]
    fraction = _is_number(value) and not isinstance(value, numbers.Integral)
    return f"{value:.4g}" if fraction else str(value)


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, numbers.Real | Estimate)


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
