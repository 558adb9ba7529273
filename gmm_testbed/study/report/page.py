"""The page: an overview, then a section a study. It needs no network and no server."""

import datetime
import functools
import importlib.resources
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...plotting import INK
from ...sweep import Row, Status, Store
from ...sweep.files import replacing
from ...sweep.provenance import provenance
from ..files import Study, noting
from . import tables
from .pictures import data_uri
from .prose import inline, prose
from .viewer import View, scene, viewer

# With more densities than these, a value of one has 8 bits and not 16: the page then
# stays below some 15 MB with five million of them.
MOST_POINTS_FINE = 3_000_000
# Nothing is fetched, whatever a docstring or a label says.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
    " script-src 'unsafe-inline'"
)
RUN = "the run"  # what has failed of a file without experiments


class Part(NamedTuple):
    """A study with what the store has of it, as its section shows it.

    Attributes:
        name: of the study.
        file: its path.
        title: of its figure or table, in Markdown.
        text: the rest of its docstring, in Markdown.
        complete: whether every cell is there; else nothing is judged nor drawn.
        missing: what is not there, in words.
        verdict: what the claims come to, in words and as a class of the style sheet.
        errors: traceback by what failed, such as "claims()".
        claims: beside their expectations; None if there are none to show.
        figures: source of the image by words for it.
        tables: those of the study.
        views: laws over time, by experiment that has any.
        values: of the cells, by experiment that has any.
        origin: what computed the cells.
        cells: how many there are to compute.
        seconds: that they took.
    """

    name: str
    file: Path
    title: str
    text: str
    complete: bool
    missing: str
    verdict: tables.Cell
    errors: dict[str, str]
    claims: tables.Table | None
    figures: dict[str, str]
    tables: list[tables.Table]
    views: dict[str, View]
    values: dict[str, tables.Table]
    origin: dict[str, str]
    cells: int
    seconds: float


class Written(NamedTuple):
    """What became of a page.

    Attributes:
        size: in bytes.
        broken: what failed, a line each: it is on the page, in place of what it was to
            give.
    """

    size: int
    broken: list[str]


def write(studies: Sequence[Study], store: Store, output: Path) -> Written:
    """Writes the page, as a whole or not at all.

    Args:
        studies: a section each, in this order.
        store: of their cells.
        output: the file.
    """
    parts = _parts(studies, store)
    content = _page(parts).encode()
    with replacing(output) as file:
        file.write(content)
    broken = [
        f"{name} of {part.file} failed: {_last(error)}"
        for part in parts
        for name, error in part.errors.items()
    ]
    return Written(len(content), broken)


def page(studies: Sequence[Study], store: Store) -> str:
    """The page as text."""
    return _page(_parts(studies, store))


@functools.cache
def _template():
    """The template, in which whatever is not marked safe is escaped."""
    import jinja2  # here and below: only who writes a page waits for it
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_file),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "separators": (",", ":"),
        "allow_nan": False,
    }
    environment.filters |= {
        "prose": lambda text: Markup(prose(text)),
        "inline": lambda text: Markup(inline(text)),
        "last_line": _last,
    }
    environment.globals |= {
        "policy": POLICY,
        "ink": ",".join(INK),
        "style": Markup(_file("style.css")),
        "script": Markup(_file("script.js")),
    }
    return environment.get_template("page.html")


def _page(parts: Sequence[Part]) -> str:
    overview = [
        {
            "experiment": tables.Cell(part.name, href=f"#{part.name}"),
            "what it shows": part.title,
            "claims": part.verdict,
            "cells": part.cells,
            "seconds": round(part.seconds),
        }
        for part in parts
    ]
    overview = tables.table(overview, "Overview")
    return _template().render(parts=parts, overview=overview, written=_written())


def _parts(studies: Sequence[Study], store: Store) -> list[Part]:
    """What there is of every study, densities with as many bits as the page can hold."""
    scenes, errors = [], [{} for _ in studies]
    for study, failed in zip(studies, errors, strict=True):
        scenes.append({})
        for name, experiment in study.experiments.items():
            with noting(failed, f"laws over time of {name}"):
                identity = f"{study.name}-{name}-laws"
                scenes[-1][name] = scene(identity, experiment, store)
    points = sum(one.points for found in scenes for one in found.values() if one)
    bits = 16 if points <= MOST_POINTS_FINE else 8
    found = []
    for study, shown, failed in zip(studies, scenes, errors, strict=True):
        views = {name: viewer(one, bits) for name, one in shown.items() if one}
        found.append(_part(study, store, views, failed))
    return found


def _part(
    study: Study, store: Store, views: dict[str, View], errors: dict[str, str]
) -> Part:
    rows = {name: store.rows(e) for name, e in study.experiments.items()}
    complete, counts = study.complete(store), study.counts(store)
    judged, drawn, written = [], {}, {}
    if study.error:
        errors[RUN] = study.error
    if complete:
        with noting(errors, "claims()"):
            judged = study.judged(store)
        with noting(errors, "figures()"):
            for name, figure in study.figures(store).items():
                words = f"Figure {name} of {study.name}: {study.title}"
                drawn[words] = data_uri(figure)
        with noting(errors, "tables()"):
            for title, lines in study.tables(store).items():
                written[title] = tables.table(lines, title)
    computed = [row for some in rows.values() for row in some]
    values = {name: tables.values(some) for name, some in rows.items()}
    return Part(
        name=study.name,
        file=study.file,
        title=study.title,
        text=study.text,
        complete=complete,
        missing=_missing(counts) if counts else "The file cannot be run.",
        verdict=_verdict(complete, bool(computed), judged, errors),
        errors=errors,
        claims=tables.claims(judged) if complete and "claims()" not in errors else None,
        figures=drawn,
        tables=list(written.values()),
        views=views,
        values={name: some for name, some in values.items() if some is not None},
        origin=_origin(study, computed),
        cells=sum(sum(count.values()) for count in counts.values()),
        seconds=sum(_seconds(computed)),
    )


def _written() -> str:
    """What wrote the page, and when."""
    this = provenance()
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    facts = [
        f"version {this.package}" if this.package else "",
        f"revision {_short(this.revision)}" if this.revision else "",
        f"written {now}",
    ]
    return ", ".join(fact for fact in facts if fact)


def _last(error: str) -> str:
    """What was raised, of a traceback."""
    lines = [line for line in error.splitlines() if line and not line[0].isspace()]
    return lines[-1]


def _missing(counts: dict[str, dict[str, int]]) -> str:
    """How many cells of each experiment ended otherwise than with a value."""
    texts = []
    for name, states in counts.items():
        others = {s: n for s, n in states.items() if n and s != Status.DONE}
        listed = ", ".join(f"{n} {state}" for state, n in others.items())
        texts += [f"{name}: {listed}"] if listed else []
    return "; ".join(texts)


def _verdict(complete: bool, begun: bool, judged, errors) -> tables.Cell:
    """What the claims come to, in words and as a class of the style sheet."""
    if errors:
        names = ", ".join(name.removesuffix("()") for name in errors)
        return tables.Cell(f"failed: {names}", kind="bad")
    if not complete:
        kind = "bad" if begun else "quiet"
        return tables.Cell("not complete" if begun else "not run", kind=kind)
    holding = sum(not one.problem for one in judged)
    kind = "good" if holding == len(judged) else "bad"
    return tables.Cell(f"{holding} of {len(judged)} hold", kind=kind)


def _origin(study: Study, rows: Sequence[Row]) -> dict[str, str]:
    """What computed the cells, when, and for how long."""
    ended = sorted(row.ended for row in rows)
    total, compiling = _seconds(rows), _seconds(rows, "compile_seconds")
    return {
        "gmm_testbed": _listed(row.package for row in rows),
        "git revision": _listed(_short(row.revision or "") for row in rows),
        "JAX": _listed(row.jax for row in rows),
        "device": _listed(row.device for row in rows),
        "precision": _listed(row.precision for row in rows),
        "computed": " to ".join(dict.fromkeys((ended[0], ended[-1]))) if ended else "–",
        "time of the cells": f"{sum(total):.0f} s, {sum(compiling):.0f} s of them"
        " compiling",
        "file": study.file.name,
    }


def _seconds(rows: Sequence[Row], field: str = "wall_seconds") -> list[float]:
    """Of each cell, which may have several rows."""
    found = {
        (row.experiment, json.dumps(row.cell), row.seed): getattr(row, field) or 0.0
        for row in rows
    }
    return list(found.values())


def _listed(names: Iterable[str | None]) -> str:
    return ", ".join(dict.fromkeys(name for name in names if name)) or "–"


def _short(revision: str) -> str:
    """The first digits, and whether files differed."""
    head, dash, rest = revision.partition("-")
    return head[:10] + dash + rest


def _file(name: str) -> str:
    folder = importlib.resources.files(__package__)
    return (folder / name).read_text(encoding="utf-8")
