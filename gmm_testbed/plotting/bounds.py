"""Theorems: tables of both sides, and both sides against a number that varies."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator
from rich.table import Table
from rich.text import Text

from ..bounds import Attack, BoundReport, Claim, Facts, Verdict
from ..bounds.base import BUILT, Z
from ..bounds.base import case_text as case_text
from ..bounds.base import side as side
from .style import COLUMN_WIDTH, FULL_WIDTH, figure, styled
from .tables import LOOK, short

LEFT, RIGHT = "#00798c", "#000000"
VIOLATED = "#d1495b"
LINES = (LEFT, "#c46210", "#6a4c93", "#5c8001")
"""Colours of both sides, where several numbers vary."""
_COLUMNS = 3  # panels beside one another
_WIDE = 20.0  # ratio of largest to smallest from which an axis is logarithmic
_ROUNDING = 1e-15  # ratio of smallest to largest that is a zero
_LEGEND = (
    "left side",
    "right side, the larger",
    "right side, equal",
    "violated",
    "outside the assumptions",
)
_STYLES = {Verdict.HOLDS: "", Verdict.VIOLATED: "bold", Verdict.OUTSIDE: "dim"}


# --- tables ---------------------------------------------------------------------------


def table(
    name: str, facts: Facts, claims: Sequence[Claim], reports: Sequence[BoundReport]
) -> Table:
    """One row a claim: both sides, right - left, left / right, and the verdict.

    The ratio is left out where a side is negative.

    Args:
        name: of the theorem.
        facts: its statement, status and source stand above, and its assumptions with
            whether a program checks them.
        claims: as the theorem made them.
        reports: the same, judged.
    """
    status = "printed, refuted" if facts.refuted else facts.status
    title = Text.assemble(
        (f"{name} ({status})", "bold"),
        f"\n{facts.statement}\n",
        _assumed(reports),
        (facts.source, "dim"),
    )
    found = Table(title=title, **LOOK)
    found.add_column("case", overflow="fold")
    if any(report.label for report in reports):
        found.add_column("part", ratio=1)
    for head in ("left", "", "right", "slack", "ratio"):
        justify = "center" if not head else "right"
        found.add_column(head, justify=justify, no_wrap=True)
    found.add_column("verdict", no_wrap=True)
    last = None
    for claim, report in zip(claims, reports, strict=True):
        case = case_text(report.case)
        positive = float(report.left.value) >= 0 < float(report.right.value)
        cells = [Text(case if case != last else "")]
        if any(other.label for other in reports):
            cells.append(Text(report.label))
        cells += [
            Text(side(report.left)),
            Text("=" if claim.equal else "<="),
            Text(side(report.right)),
            Text(short(float(report.slack.value))),
            Text(_ratio(report.tightness if positive else math.nan)),
            Text(report.holds.value, style=_STYLES.get(report.holds, "italic")),
        ]
        found.add_row(*cells)
        last = case
    return found


def overview(
    rows: Sequence[tuple[str, str, dict[Verdict, int], float, float]],
) -> Table:
    """One row a theorem.

    Args:
        rows: name, finding, number of claims by verdict, largest ratio of the sides of
            an inequality that holds (NaN if there is none), and seconds.
    """
    found = Table(title=Text("All theorems", style="bold"), **LOOK)
    found.add_column("theorem", no_wrap=True)
    for verdict in Verdict:
        found.add_column(verdict.value, justify="right", no_wrap=True)
    found.add_column("tightest", justify="right", no_wrap=True)
    found.add_column("s", justify="right", no_wrap=True)
    found.add_column("finding")
    for name, finding, counts, tightest, seconds in rows:
        numbers = [str(counts[verdict] or "-") for verdict in Verdict]
        found.add_row(name, *numbers, _ratio(tightest), f"{seconds:.1f}", finding)
    return found


def attack_table(found: Attack) -> Table:
    """The tightest case of each claim, and what gives it."""
    shown = found._shown()
    table = Table(title=Text(shown.line, style="bold"), **LOOK)
    (only,) = shown.tables
    for head in only.columns:
        table.add_column(head, overflow="fold")
    for row in only.rows:
        table.add_row(*map(Text, row))
    return table


def _assumed(reports: Sequence[BoundReport]) -> str:
    """Every assumption, and whether it is checked by program or by construction."""
    words = "; ".join(
        f"{what} ({'checked by program' if checked else BUILT})"
        for what, checked in checked_assumptions(reports).items()
    )
    return f"assumes: {words}\n" if words else ""


def checked_assumptions(reports: Sequence[BoundReport]) -> dict[str, bool]:
    """Whether a program checks each assumption of a theorem, in some claim."""
    found: dict[str, bool] = {}
    for report in reports:
        for what, kept in report.assumptions:
            found[what] = found.get(what, False) or kept != BUILT
    return found


# --- figures --------------------------------------------------------------------------


@styled
def bound(
    name: str, claims: Sequence[Claim], reports: Sequence[BoundReport]
) -> Figure | None:
    """Both sides against the number with most values, a panel for each part.

    There is a line for every value of the other numbers that vary. Cases without the
    number are left out.

    Args:
        name: of the theorem; stands above.
        claims: as the theorem made them.
        reports: the same, judged.

    Returns:
        A figure, or None if no label of the cases is a number with several values.
    """
    varying = _varying([report.case for report in reports])
    if not varying:
        return None
    label, *others = varying
    pairs = [
        pair for pair in zip(claims, reports, strict=True) if label in pair[1].case
    ]
    parts = _parts(pairs)
    lines = list(dict.fromkeys(_line(others, report) for _, report in pairs))
    several = len(lines) > 1
    colours = dict(zip(lines, itertools.cycle(LINES)))
    columns = min(_COLUMNS, len(parts))
    rows = math.ceil(len(parts) / columns)
    width = COLUMN_WIDTH if columns == 1 else FULL_WIDTH
    drawn = figure(width, 0.6 + 1.75 * rows)
    panels = list(drawn.subplots(rows, columns, squeeze=False).ravel())
    for axes in panels[len(parts) :]:
        axes.remove()
    shown: dict = {}
    for index, (part, pairs) in enumerate(parts.items()):
        axes = panels[index]
        for line in lines:
            of_line = [pair for pair in pairs if _line(others, pair[1]) == line]
            if of_line:
                right = colours[line] if several else RIGHT
                _draw(axes, label, of_line, colours[line], right)
        _scale(axes, label, [report for _, report in pairs])
        axes.set_title(_wrapped(part, columns))
        if index + columns >= len(parts):
            axes.set_xlabel(label.replace("_", " "))
        handles, names = axes.get_legend_handles_labels()
        shown = dict(zip(names, handles, strict=True)) | shown
    order = [name for name in _LEGEND if name in shown]
    for line in lines if several else ():
        shown[line] = Patch(color=colours[line])
        order.append(line)
    drawn.legend(
        [shown[name] for name in order],
        order,
        loc="outside lower center",
        ncols=2 if columns == 1 else min(len(order), 4),
    )
    drawn.suptitle(name, x=0.01, ha="left", fontsize=8.5, fontweight="bold")
    return drawn


def _line(others: list[str], report) -> str:
    """The other numbers that vary, as in sigma=0.3."""
    return case_text({key: report.case[key] for key in others if key in report.case})


def _parts(given) -> dict[str, list]:
    """Claims and reports by part and text labels; of one part if none comes twice."""
    parts: dict = {}
    for claim, report in given:
        texts = {k: v for k, v in report.case.items() if not _is_number(v)}
        part = ", ".join(filter(None, (report.label, case_text(texts))))
        parts.setdefault(part, []).append((claim, report))
    if len(parts) > 1 and all(len(pairs) == 1 for pairs in parts.values()):
        return {"": [pair for pairs in parts.values() for pair in pairs]}
    return parts


def _draw(axes: Axes, label: str, pairs, left: str, right: str) -> None:
    """Both sides of one line, in two colours."""
    pairs = sorted(pairs, key=lambda pair: pair[1].case[label])
    reports = [report for _, report in pairs]
    equal = any(claim.equal for claim, _ in pairs)
    x = np.array([float(report.case[label]) for report in reports])
    sides = [[getattr(r, name) for r in reports] for name in ("left", "right")]
    values = [np.array([float(e.value) for e in some]) for some in sides]
    errors = [Z * np.array([float(e.stderr) for e in some]) for some in sides]
    drawn = "_" if len(x) == 1 else "--" if equal else "-"  # one point has no line
    looks = (
        {"color": left, "fmt": "o", "label": _LEGEND[0]},
        {"color": right, "fmt": drawn, "ms": 9, "label": _LEGEND[1 + equal]},
    )
    for value, error, look in zip(values, errors, looks, strict=True):
        shown = error if (error > 0).any() else None
        axes.errorbar(x, value, shown, capsize=2, elinewidth=0.8, **look)
    for verdict, colour, text in (
        (Verdict.VIOLATED, VIOLATED, _LEGEND[3]),
        (Verdict.OUTSIDE, "0.6", _LEGEND[4]),
    ):
        where = np.array([report.holds is verdict for report in reports])
        if where.any():
            look = {"facecolors": "none", "edgecolors": colour, "label": text}
            axes.scatter(x[where], values[0][where], s=60, linewidths=1.1, **look)


def _scale(axes: Axes, label: str, reports) -> None:
    """Logarithmic axes where values are positive and far apart; ticks at the cases."""
    x = np.array([float(report.case[label]) for report in reports])
    values = np.array([float(e.value) for r in reports for e in (r.left, r.right)])
    finite = values[np.isfinite(values)]
    least, most = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if least > _ROUNDING * most and most > _WIDE * least:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, numticks=5))
        axes.yaxis.set_minor_formatter(NullFormatter())
    if x.min() > 0 and x.max() >= _WIDE / 2 * x.min():
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sorted(set(x))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(True, axis="y")


def _varying(cases: Sequence[dict]) -> list[str]:
    """Labels whose values are numbers and differ, the one with most values first."""
    values: dict = {}
    for case in cases:
        for name, value in case.items():
            if _is_number(value):
                values.setdefault(name, set()).add(value)
    varying = [name for name, found in values.items() if len(found) > 1]
    return sorted(varying, key=lambda name: -len(values[name]))


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ratio(value: float) -> str:
    return short(value) if math.isfinite(value) else "-"


def _wrapped(text: str, columns: int) -> str:
    """A title in lines that fit one of so many panels."""
    width, lines = 100 // columns - 3, [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
