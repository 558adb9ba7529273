"""Tables of the page, which its script sorts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..study.files import Judged
from ..sweep import Row
from .markup import Markup, element

LEVEL = 0.95


def table(rows: Sequence[Mapping[str, Any]], caption: str) -> Markup:
    """Rows of label and value; what a row lacks is a dash."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    numeric = {name for name in columns if _numeric(row.get(name) for row in rows)}
    heads = [
        element(
            "th",
            element("button", name, type="button"),
            scope="col",
            class_="number" if name in numeric else None,
        )
        for name in columns
    ]
    body = [
        element("tr", *(_cell(row.get(name), name in numeric) for name in columns))
        for row in rows
    ]
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", *body),
        class_="sortable",
    )
    return element(
        "div", whole, class_="wide", tabindex=0, role="region", aria_label=caption
    )


def _cell(value: Any, numeric: bool) -> Markup:
    """A number is shown in four digits, and sorted by all that it has."""
    side = "number" if numeric else None
    if value is None:
        return element("td", "–", class_=side)
    if _is_number(value) and math.isnan(value):  # that a run gave no number is a result
        return element("td", "NaN", class_=side)
    if not _is_number(value):
        return element("td", value, class_=side)
    shown = f"{value:.4g}".replace("-", "−") if isinstance(value, float) else value
    return element("td", shown, class_=side, data_value=repr(value))


def claims(judged: Iterable[Judged]) -> Markup:
    """Claims beside their expectations, with a mark inside the tolerance or outside."""
    rows = [
        {
            "claim": one.claim,
            "value": one.value,
            "expected": one.expected and one.expected.value,
            "tolerance": one.expected and one.expected.tolerance,
            "off by": _gauge(one.deviation),
            "verdict": element(
                "span", one.problem or "holds", class_="bad" if one.problem else "good"
            ),
            "source": one.expected and one.expected.source,
        }
        for one in judged
    ]
    return table(rows, "Claims")


def values(rows: Sequence[Row]) -> Markup | None:
    """Means over seeds with intervals; of a single seed the values as they are."""
    if not (known := [row for row in rows if row.metric is not None]):
        return None
    if len({row.seed for row in rows}) == 1:
        return table(_without_empty([_value(row) for row in known]), "Values")
    import pandas as pd  # takes a while

    from ..sweep.frame import long
    from ..sweep.summary import means

    names = {"left_out": "left out", "nonfinite": "not finite"}
    summary = means(long(rows), LEVEL).drop(columns="experiment").rename(columns=names)
    found = summary.astype(object).to_dict("records")
    for row in found:  # a mean may be NaN; there may be no interval, floor or label
        row |= {n: None for n, x in row.items() if n != "mean" and pd.isna(x)}
    return table(
        _without_empty(found), f"Means over seeds, with intervals of {LEVEL:.0%}"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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


def _gauge(deviation: float) -> Markup | None:
    """A line as wide as the tolerance on both sides, and a mark at the value."""
    if math.isnan(deviation):
        return None
    place = 50.0 + 50.0 * max(-1.0, min(1.0, deviation / 1.5))
    words = f"{deviation:.2g} tolerances"
    mark = element("i", style=f"left: {place:.1f}%")
    return element("span", mark, class_="gauge", role="img", aria_label=words)
