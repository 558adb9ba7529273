"""Tables of the page, which its script sorts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ...estimate import Estimate
from ...sweep import Row
from ..files import Judged

LEVEL = 0.95


class Cell(NamedTuple):
    """What stands in a cell of a table.

    Attributes:
        text: what is read.
        number: the value in full, by which rows are sorted; None if it is no number.
        kind: a class of the style sheet, or "".
        href: where it leads, or None.
        place: of the mark on a gauge, in percent; None if it is no gauge.
    """

    text: str
    number: str | None = None
    kind: str = ""
    href: str | None = None
    place: float | None = None


class Table(NamedTuple):
    """A table of the page.

    Attributes:
        caption: its title.
        columns: their names, in order.
        numeric: names of the columns that hold numbers only.
        rows: the cell of every column.
    """

    caption: str
    columns: list[str]
    numeric: set[str]
    rows: list[dict[str, Cell]]


def table(rows: Sequence[Mapping[str, Any]], caption: str) -> Table:
    """A table from rows of value by column; what a row lacks is a dash.

    Args:
        rows: a value is a number, an `Estimate`, a `Cell`, None, or anything with a text.
        caption: its title.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    numeric = {name for name in columns if _numeric(row.get(name) for row in rows)}
    cells = [{name: _cell(row.get(name)) for name in columns} for row in rows]
    return Table(caption, columns, numeric, cells)


def _cell(value: Any) -> Cell:
    """A number is shown in four digits, and sorted by all that it has."""
    if isinstance(value, Cell):
        return value
    if value is None:
        return Cell("–")
    if isinstance(value, Estimate):
        text = str(value).rsplit(" (", 1)[0].replace("-", "−")
        return Cell(text, repr(float(value.value)))
    if not _is_number(value):
        return Cell(str(value))
    if math.isnan(value):  # that a run gave no number is a result
        return Cell("NaN")
    text = f"{value:.4g}".replace("-", "−") if isinstance(value, float) else str(value)
    return Cell(text, repr(value))


def claims(judged: Iterable[Judged]) -> Table:
    """Claims beside their expectations, with a mark inside the tolerance or outside."""
    rows = [
        {
            "claim": one.claim,
            "value": one.value,
            "expected": one.expected and one.expected.value,
            "tolerance": one.expected and one.expected.tolerance,
            "off by": _gauge(one.deviation),
            "verdict": Cell(
                one.problem or "holds", kind="bad" if one.problem else "good"
            ),
            "source": one.expected and one.expected.source,
        }
        for one in judged
    ]
    return table(rows, "Claims")


def values(rows: Sequence[Row]) -> Table | None:
    """Means over seeds with intervals; of a single seed the values as they are."""
    if not (known := [row for row in rows if row.metric is not None]):
        return None
    if len({row.seed for row in rows}) == 1:
        return table(_without_empty([_value(row) for row in known]), "Values")
    import pandas as pd  # takes a while

    from ...sweep.frame import long
    from ...sweep.summary import means

    names = {"left_out": "left out", "nonfinite": "not finite"}
    summary = means(long(rows), LEVEL).drop(columns="experiment").rename(columns=names)
    found = summary.astype(object).to_dict("records")
    for row in found:  # a mean may be NaN; there may be no interval, floor or label
        row |= {n: None for n, x in row.items() if n != "mean" and pd.isna(x)}
    return table(
        _without_empty(found), f"Means over seeds, with intervals of {LEVEL:.0%}"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Estimate) and not isinstance(value, bool)


def _numeric(values: Iterable[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(map(_is_number, known))


def _without_empty(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the columns that have no value in any row."""
    kept = {name for row in rows for name, value in row.items() if value is not None}
    return [{n: value for n, value in row.items() if n in kept} for row in rows]


def _value(row: Row) -> dict[str, Any]:
    return {
        **row.cell,
        "metric": row.metric,
        "value": row.value,
        "standard error": row.stderr,
        "floor": row.floor,
        "rests on": row.how or None,
    }


def _gauge(deviation: float) -> Cell | None:
    """A line as wide as the tolerance on both sides, and a mark at the value."""
    if math.isnan(deviation):
        return None
    place = 50.0 + 50.0 * max(-1.0, min(1.0, deviation / 1.5))
    return Cell(f"{deviation:.2g} tolerances", repr(deviation), place=place)
