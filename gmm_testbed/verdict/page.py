"""A verdict as a folder: a page, its text, its figure and a table."""

import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from .. import plotting
from ..study import report
from ..study.report.pictures import data_uri
from ..sweep.files import replacing
from .record import Verdict

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ verdict.name }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;
 style-src 'unsafe-inline'"><style>{{ style }}</style></head><body><main>
<h1>{{ verdict.name }}</h1><p>{{ verdict.summary }}.</p>
{% for each in figures %}<figure class="picture"><img src="{{ each.image }}"
alt="{{ each.title }}"><figcaption>{{ each.caption }}</figcaption></figure>{% endfor %}
<div class="wide"><table><thead><tr><th></th><th>question</th><th>answer</th></tr></thead>
<tbody>{% for each in verdict.findings %}<tr><td><span class="{{ kinds[each.status] }}">
{{ each.status }}</span></td><td>{{ each.question }}</td><td>{{ each.answer }}</td></tr>
{% endfor %}</tbody></table></div></main></body></html>
"""
_KINDS = {"passed": "good", "failed": "bad", "noted": "quiet"}
_CAPTION = """Divergence from the exact posterior against the number of steps N;
dashed, what as many exact samples show."""


class Picture(NamedTuple):
    """A figure of a page.

    Attributes:
        drawn: the figure.
        name: of its files.
        title: in a few words, for who does not see it.
        caption: below it.
    """

    drawn: Figure
    name: str
    title: str
    caption: str

    @property
    def image(self) -> str:
        """The figure as a data URI."""
        return data_uri(self.drawn)


def figure(verdict: Verdict) -> Figure:
    """Divergences against N, a panel for each problem, with the floor of exact samples."""
    drawn = plotting.figure()
    axes = drawn.subplots(1, len(verdict.curves), squeeze=False)
    for axis, curve in zip(np.ravel(axes), verdict.curves, strict=True):
        plotting.against_steps(
            axis, list(map(int, curve.steps)), {verdict.name: curve.values}
        )
        if curve.floor > 0:
            axis.axhline(curve.floor, color="0.35", linestyle="--", linewidth=0.9)
        ends = np.append(curve.values, curve.floor)
        ends = np.log10(ends[np.isfinite(ends) & (ends > 0)])
        if ends.size:  # whole decades, of which each has a label
            axis.set_ylim(10 ** np.floor(ends.min()), 10 ** np.ceil(ends.max() + 0.01))
        axis.set_title(curve.problem)
        axis.set_ylabel(curve.measure)
    return drawn


def write(verdict: Verdict, folder: Path) -> list[str]:
    """Writes verdict.html, verdict.txt and, if there are curves, a figure and a table.

    Args:
        verdict: that is written.
        folder: is made.

    Returns:
        The names of the files.
    """
    pictures, rows = [], {}
    if verdict.curves:
        title = "Divergences against N"
        pictures = [Picture(figure(verdict), "divergence", title, _CAPTION)]
        rows = {"divergence.csv": _rows(verdict)}
    return write_page(verdict, pictures, rows, folder)


def write_page(
    verdict: Verdict,
    pictures: Sequence[Picture],
    tables: Mapping[str, str],
    folder: Path,
) -> list[str]:
    """Writes a page of findings with pictures; the names of its files.

    Args:
        verdict: the findings.
        pictures: above them, each a file of its own too.
        tables: the texts of CSV files by name.
        folder: is made.
    """
    import jinja2  # only who writes a page waits for it
    from markupsafe import Markup

    style = importlib.resources.files(report) / "style.css"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(_PAGE).render(
        verdict=verdict,
        figures=pictures,
        kinds=_KINDS,
        style=Markup(style.read_text(encoding="utf-8")),
    )
    texts = {"verdict.html": page, "verdict.txt": f"{verdict}\n"} | tables
    names = list(texts)
    for name, content in texts.items():
        with replacing(folder / name) as file:
            file.write(content.encode())
    for each in pictures:
        saved = plotting.save(each.drawn, folder / each.name)
        names += [path.name for path in saved]
    return names


def _rows(verdict: Verdict) -> str:
    lines = ["problem,measure,steps,value,stderr,floor,calls"]
    for curve in verdict.curves:
        columns = curve.steps, curve.values, curve.errors, curve.calls
        for steps, value, error, calls in zip(*columns, strict=True):
            numbers = f"{steps:g},{value:.9g},{error:.9g},{curve.floor:.9g},{calls:g}"
            lines.append(f"{curve.problem},{curve.measure},{numbers}")
    return "\n".join(lines) + "\n"
