"""The page: an overview, then a section a study. It needs no network and no server."""

import datetime
import importlib.resources
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..plotting import INK
from ..sweep import Row, Status, Store
from ..sweep.files import replacing
from ..sweep.provenance import provenance
from ..sweep.study import Judged, Study
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
        judged: the claims; None if not every cell is there.
        scenes: what has heat-maps, by experiment.
    """

    study: Study
    rows: dict[str, list[Row]]
    counts: dict[str, dict[str, int]]
    judged: list[Judged] | None
    scenes: dict[str, Scene | None]


def write(studies: Sequence[Study], store: Store, output: Path) -> int:
    """Writes the page, as a whole or not at all; gives its size in bytes.

    Args:
        studies: a section each, in this order.
        store: of their cells.
        output: the file.
    """
    content = page(studies, store).encode()
    with replacing(output) as file:
        file.write(content)
    return len(content)


def page(studies: Sequence[Study], store: Store) -> str:
    """The page as text."""
    parts = [_part(study, store) for study in studies]
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
            *(_section(part, store, bits, n) for n, part in enumerate(parts)),
        ),
        element("script", Markup(_file("script.js"))),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _part(study: Study, store: Store) -> Part:
    experiments = study.experiments.items()
    return Part(
        study,
        {name: store.rows(experiment) for name, experiment in experiments},
        study.counts(store),
        study.judged(store) if study.complete(store) else None,
        {
            name: scene(f"{study.name}-{name}-laws", experiment, store)
            for name, experiment in experiments
        },
    )


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


def _section(part: Part, store: Store, bits: int, number: int) -> Markup:
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
        *(_found(part, store) if part.judged is not None else (_incomplete(part),)),
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


def _found(part: Part, store: Store) -> Iterator[Markup]:
    """Claims, figures and tables of a study whose cells are all there."""
    yield tables.claims(part.judged or ())
    for name, drawn in part.study.figures(store).items():
        words = f"Figure {name} of {part.study.name}: {part.study.title}"
        image = element("img", src=data_uri(drawn), alt=words, loading="lazy")
        yield element("figure", image, class_="picture")
    for title, rows in part.study.tables(store).items():
        yield tables.table(rows, title)


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
    if part.judged is None:
        begun = any(part.rows.values())
        return element(
            "span", "not complete" if begun else "not run", class_=_kind(part)
        )
    holding = sum(not one.problem for one in part.judged)
    words = f"{holding} of {len(part.judged)} hold"
    return element("span", words, class_=_kind(part))


def _kind(part: Part) -> str:
    if part.judged is None:
        return "bad" if any(part.rows.values()) else "quiet"
    return "bad" if any(one.problem for one in part.judged) else "good"


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
