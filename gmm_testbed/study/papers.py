"""A study as files that a paper includes: tables, claims and figures for LaTeX."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..plotting import latex
from ..plotting.venues import Venue
from ..sweep import Store
from ..sweep.files import replacing
from .files import Judged, Study
from .statement import metadata


def write(
    study: Study,
    store: Store,
    folder: Path,
    venue: Venue,
    judged: Sequence[Judged],
    tables: Mapping[str, tuple[str, Sequence[Mapping[str, Any]]]],
    figures: Mapping[str, tuple[str, float]],
) -> list[str]:
    r"""Writes NAME_claims.tex, NAME_figures.tex, and each table beside its CSV.

    Args:
        study: whose.
        store: of its cells.
        folder: of the files.
        venue: that the figures were drawn for.
        judged: its claims, each of which becomes a macro.
        tables: titles and rows by stem of a file; only those that are shown.
        figures: title and width in inches, by stem of a file.

    Returns:
        The stems of the files.
    """
    head = f"% {metadata(study, store)['Subject']}\n"
    written = {}
    if judged:
        written[f"{study.name}_claims"] = claims(study, judged)
    for stem, (title, rows) in tables.items():
        if rows:
            written[stem] = latex.table(rows, title)
    if figures:
        written[f"{study.name}_figures"] = "\n".join(
            _figure(study, venue, stem, *figure) for stem, figure in figures.items()
        )
    for stem, text in written.items():
        with replacing(folder / f"{stem}.tex") as file:
            file.write((head + text).encode())
    return list(written)


def claims(study: Study, judged: Sequence[Judged]) -> str:
    r"""Lines of `\newcommand`, one a claim, with what was expected as a comment."""
    known = {one.claim: one for one in judged if one.value is not None}
    names = latex.macros(known, study.name)
    lines = []
    for claim, name in names.items():
        one = known[claim]
        tolerance = 0.0 if one.expected is None else one.expected.tolerance
        shown = latex.rounded(one.value, tolerance)
        if one.stderr is not None:
            shown = latex.number(one.value, one.stderr)
        lines.append(f"% {claim}: {_expectation(one)}")
        lines.append(rf"\newcommand{{\{name}}}{{{_anywhere(shown)}}}")
    return "\n".join(lines) + "\n"


def _anywhere(shown: str) -> str:
    """A number for text and formulas alike."""
    return rf"\ensuremath{{{shown.strip('$')}}}" if shown.startswith("$") else shown


def _expectation(one: Judged) -> str:
    if one.expected is None:
        return f"{one.value:.6g}, without an expectation"
    expected = f"{one.expected.value:.6g} within {one.expected.tolerance:.2g}"
    return f"{one.value:.6g}, expected {expected} ({one.problem or 'holds'})"


def _figure(study: Study, venue: Venue, stem: str, title: str, width: float) -> str:
    """A figure as LaTeX has it, at its own size."""
    star = "*" if venue.column is not None and width > venue.column else ""
    whole = study.title.rstrip(".")
    caption = latex.text(f"{whole}: {title}." if title else f"{whole}.")
    label = f"fig:{study.name}-{stem}".replace("_", "-")
    return "\n".join(
        [
            rf"\begin{{figure{star}}}[t]",
            r"\centering",
            rf"\includegraphics{{{stem}.pdf}}% {width:g} in",
            rf"\caption{{{caption}}}",
            rf"\label{{{label}}}",
            rf"\end{{figure{star}}}",
            "",
        ]
    )
