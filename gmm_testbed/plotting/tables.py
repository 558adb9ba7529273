"""Tables for a terminal: what there is, and numbers by case and number of steps."""

import math
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

LARGE, SMALL = 0.1, 1e-3
"""From here values stand out in bold, and up to there they are dimmed."""


def console() -> Console:
    """A console on standard output: plain, and not cut, where that is no terminal."""
    found = Console(highlight=False)
    if found.is_terminal:
        return found
    return Console(highlight=False, width=100, color_system=None)


def by_steps(
    title: str,
    steps: Sequence[int],
    values: Mapping[tuple[str, str], Mapping[int, float]],
) -> Table:
    """One row an approximation and kernel, one column a number of steps.

    Args:
        title: stands above.
        steps: the columns.
        values: by (approximation, kernel) and then by number of steps; what is missing
            is shown as a dash.
    """
    table = Table(title=title, **_LOOK)
    table.add_column("approximation", no_wrap=True)
    table.add_column("kernel", no_wrap=True)
    for count in steps:
        table.add_column(f"N={count}", justify="right", no_wrap=True)
    last = None
    for (approximation, kernel), row in values.items():
        if last not in (None, approximation):
            table.add_section()
        name = approximation if approximation != last else ""
        cells = [number(row.get(count, math.nan)) for count in steps]
        table.add_row(name, kernel, *cells)
        last = approximation
    return table


def listing(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of text; its last column takes the rest of the width."""
    table = Table(title=title, **_LOOK)
    for column in columns[:-1]:
        table.add_column(column, no_wrap=True)
    table.add_column(columns[-1], ratio=1)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def number(value: float) -> Text:
    """Two digits; bold where large, dim where small, a dash for NaN."""
    if math.isnan(value):
        return Text("-", style="dim")
    style = "bold" if value >= LARGE else "dim" if value <= SMALL else ""
    return Text(short(value), style=style)


def short(value: float) -> str:
    """Two digits in at most seven characters, such as 0.48, 12, 3.1e-05."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 0.01 <= abs(value) < 100:
        digits = max(0, 1 - math.floor(math.log10(abs(value))))
        return f"{value:.{digits}f}"
    return f"{value:.1e}"


_LOOK = {
    "box": box.SIMPLE_HEAD,
    "title_justify": "left",
    "title_style": "bold",
    "header_style": "",
    "pad_edge": False,
    "padding": (0, 1, 0, 0),
}
