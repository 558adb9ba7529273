"""The page: an overview, then a section a study. It needs no network and no server."""

import datetime
import importlib.resources
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..plotting import INK
from ..study.files import Judged, Study, noting
from ..sweep import Row, Status, Store
from ..sweep.files import replacing
from ..sweep.provenance import provenance
from . import tables
from .markup import Markup, element, joined
from .pictures import data_uri
from .prose import inline, prose
from .viewer import Scene, scene, viewer

# With more densities than these, a value of one has 8 bits and not 16: the page then
# stays below some 15 MB with five million of them.
MOST_POINTS_FINE = 3_000_000
# Nothing is fetched, whatever a docstring or a label says.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
    " script-src 'unsafe-inline'"
)


class Part(NamedTuple):
    """A study with what the store has of it.

    Attributes:
        study: the file.
        rows: of each experiment.
        counts: of cells by status, of each experiment.
        complete: whether every cell is there; else nothing is judged nor shown.
        judged: the claims; none if they fail.
        shown: figures and tables.
        errors: traceback by function of the study that failed.
        scenes: what has heat-maps, by experiment.
    """

    study: Study
    rows: dict[str, list[Row]]
    counts: dict[str, dict[str, int]]
    complete: bool
    judged: list[Judged]
    shown: list[Markup]
    errors: dict[str, str]
    scenes: dict[str, Scene | None]


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
    parts = [_part(study, store) for study in studies]
    content = _page(parts).encode()
    with replacing(output) as file:
        file.write(content)
    broken = [
        f"{name}() of {part.study.file} failed: {_last(error)}"
        for part in parts
        for name, error in part.errors.items()
    ]
    return Written(len(content), broken)


def page(studies: Sequence[Study], store: Store) -> str:
    """The page as text."""
    return _page([_part(study, store) for study in studies])


def _page(parts: Sequence[Part]) -> str:
    shown = [one for part in parts for one in part.scenes.values() if one]
    bits = 16 if sum(one.points for one in shown) <= MOST_POINTS_FINE else 8
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", "gmm_testbed: report"),
        element(
            "style", Markup(f":root{{--ink:{','.join(INK)}}}\n{_file('style.css')}")
        ),
    )
    body = element(
        "body",
        element("a", "Skip to the experiments", href="#first", class_="skip"),
        element("nav", _contents(parts), aria_label="Experiments"),
        element(
            "main",
            _header(parts),
            *(_section(part, bits, n) for n, part in enumerate(parts)),
        ),
        element("script", Markup(_file("script.js"))),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _part(study: Study, store: Store) -> Part:
    experiments = study.experiments.items()
    rows = {name: store.rows(experiment) for name, experiment in experiments}
    complete, judged, shown, errors = study.complete(store), [], [], {}
    if complete:
        with noting(errors, "claims"):
            judged = study.judged(store)
        with noting(errors, "figures"):
            for name, drawn in study.figures(store).items():
                words = f"Figure {name} of {study.name}: {study.title}"
                image = element("img", src=data_uri(drawn), alt=words, loading="lazy")
                shown.append(element("figure", image, class_="picture"))
        with noting(errors, "tables"):
            for title, lines in study.tables(store).items():
                shown.append(tables.table(lines, title))
    scenes = {
        name: scene(f"{study.name}-{name}-laws", experiment, store)
        for name, experiment in experiments
    }
    counts = study.counts(store)
    return Part(study, rows, counts, complete, judged, shown, errors, scenes)


def _header(parts: Sequence[Part]) -> Markup:
    this = provenance()
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    facts = [
        f"version {this.package}" if this.package else "",
        f"revision {_short(this.revision)}" if this.revision else "",
        f"written {now}",
    ]
    rows = [
        {
            "experiment": element("a", part.study.name, href=f"#{part.study.name}"),
            "what it shows": part.study.title,
            "claims": _verdict(part),
            "cells": sum(sum(count.values()) for count in part.counts.values()),
            "seconds": round(sum(_seconds(part))),
        }
        for part in parts
    ]
    return element(
        "header",
        element("p", "gmm_testbed", class_="brand"),
        element("h1", "Diffusion posterior samplers against the truth"),
        element("p", ", ".join(fact for fact in facts if fact), class_="quiet"),
        tables.table(rows, "Overview"),
    )


def _contents(parts: Sequence[Part]) -> Markup:
    links = [
        element(
            "li",
            element("a", part.study.name, href=f"#{part.study.name}"),
            class_=_kind(part),
        )
        for part in parts
    ]
    return element("ul", *links)


def _section(part: Part, bits: int, number: int) -> Markup:
    study = part.study
    scenes = [
        joined(
            element("h3", "Laws over time: ", element("code", name)), viewer(s, bits)
        )
        for name, s in part.scenes.items()
        if s is not None
    ]
    return element(
        "section",
        element("span", id="first") if number == 0 else None,
        element("p", element("code", study.name), " ", _verdict(part), class_="name"),
        element("h2", inline(study.title)),
        prose(study.text),
        *(_found(part) if part.complete else (_incomplete(part),)),
        *scenes,
        *(
            element(
                "details", element("summary", "Cells of ", element("code", name)), t
            )
            for name, rows in part.rows.items()
            if (t := tables.values(rows)) is not None
        ),
        element("details", element("summary", "Where it comes from"), _origin(part)),
        id=study.name,
    )


def _found(part: Part) -> Iterator[Markup]:
    """Claims, figures and tables of a study whose cells are all there."""
    for name, error in part.errors.items():
        words = f"{name}() failed: ", element("code", _last(error))
        yield element("p", *words, class_="notice")
        yield element("details", element("summary", "Traceback"), element("pre", error))
    if "claims" not in part.errors:
        yield tables.claims(part.judged)
    yield from part.shown


def _last(error: str) -> str:
    """What was raised, of a traceback."""
    lines = [line for line in error.splitlines() if line and not line[0].isspace()]
    return lines[-1]


def _incomplete(part: Part) -> Markup:
    texts = []
    for name, counts in part.counts.items():
        others = {s: n for s, n in counts.items() if n and s != Status.DONE}
        listed = ", ".join(f"{n} {state}" for state, n in others.items())
        texts += [f"{name}: {listed}"] if listed else []
    return element(
        "p",
        "Not every cell is there, so nothing is drawn and no claim judged. ",
        "; ".join(texts),
        class_="notice",
    )


def _verdict(part: Part) -> Markup:
    """What the claims come to, in words and as a class of the style sheet."""
    if not part.complete:
        begun = any(part.rows.values())
        return element(
            "span", "not complete" if begun else "not run", class_=_kind(part)
        )
    if part.errors:
        return element("span", "failed: " + ", ".join(part.errors), class_=_kind(part))
    holding = sum(not one.problem for one in part.judged)
    words = f"{holding} of {len(part.judged)} hold"
    return element("span", words, class_=_kind(part))


def _kind(part: Part) -> str:
    if not part.complete:
        return "bad" if any(part.rows.values()) else "quiet"
    wrong = part.errors or any(one.problem for one in part.judged)
    return "bad" if wrong else "good"


def _origin(part: Part) -> Markup:
    """What computed the cells, when, and for how long."""
    rows = [row for rows in part.rows.values() for row in rows]
    ended = sorted(row.ended for row in rows)
    total, compiling = _seconds(part), _seconds(part, "compile_seconds")
    facts = {
        "gmm_testbed": _listed(row.package for row in rows),
        "git revision": _listed(_short(row.revision or "") for row in rows),
        "JAX": _listed(row.jax for row in rows),
        "device": _listed(row.device for row in rows),
        "precision": _listed(row.precision for row in rows),
        "computed": " to ".join(dict.fromkeys((ended[0], ended[-1]))) if ended else "–",
        "time of the cells": f"{sum(total):.0f} s, {sum(compiling):.0f} s of them"
        " compiling",
        "file": part.study.file.name,
    }
    return element(
        "dl",
        *(joined(element("dt", k), element("dd", v)) for k, v in facts.items()),
        class_="facts",
    )


def _seconds(part: Part, field: str = "wall_seconds") -> list[float]:
    """Of each cell, which may have several rows."""
    found = {
        (row.experiment, json.dumps(row.cell), row.seed): getattr(row, field) or 0.0
        for rows in part.rows.values()
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
