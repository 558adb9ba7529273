"""Tables for a terminal: what there is, and numbers by case and number of steps."""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..estimate import Estimate
from ..measures.measures import MEASURES, base
from .style import KERNELS

LARGE, SMALL = 0.1, 1e-3
ENTRIES = 10  # of a measure with one value a mode or coordinate
LEGEND = f"bold: {LARGE:g} or more; dim: {SMALL:g} or less (in a terminal)"


def console() -> Console:
    """A console on standard output: plain, and not cut, where that is no terminal.

    Square brackets are printed as they are: paths and names may have them.
    """
    found = Console(highlight=False, markup=False)
    if found.is_terminal:
        return found
    return Console(highlight=False, markup=False, width=100, color_system=None)


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
    table = Table(title=Text(title, style="bold"), **(LOOK | {"padding": 0}))
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
        table.add_row(name, KERNELS.get(kernel, kernel), *cells)
        last = approximation
    return table


def measures(
    title: str,
    how: str,
    values: Mapping[str, Estimate],
    floors: Mapping[str, Estimate] = MappingProxyType({}),
) -> Table:
    """One row a measure.

    Args:
        title: stands above.
        how: what the values rest on: the head of their column.
        values: by name, as `measures.scalars` gives them; they are shown in the order of
            `measures.MEASURES`.
        floors: the same of exact samples, mean and spread; a column if any.
    """
    table = Table(title=Text(title, style="bold"), **LOOK)
    table.add_column("measure", no_wrap=True)
    table.add_column(how, justify="right", no_wrap=True)
    if floors:
        table.add_column("floor", justify="right", no_wrap=True)
    table.add_column("what it is", ratio=1)
    order = list(MEASURES)
    shown = [name for name in values if _entry(name) < ENTRIES]
    for name in sorted(shown, key=lambda name: order.index(base(name))):
        cells = [_with_error(values[name])]
        if floors:
            cells.append(_with_error(floors[name]) if name in floors else "")
        table.add_row(Text(name), *cells, MEASURES[base(name)])
    if len(shown) < len(values):
        left = f"{len(values) - len(shown)} entries of long measures: see the CSV"
        table.add_row("...", *[""] * (len(table.columns) - 2), left)
    return table


def _with_error(found: Estimate) -> str:
    return str(found).rsplit(" (", 1)[0]


def listing(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of text; its last column takes the rest of the width."""
    table = Table(title=Text(title, style="bold"), **LOOK)
    for column in columns[:-1]:
        table.add_column(column, no_wrap=True)
    table.add_column(columns[-1], ratio=1)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _entry(name: str) -> int:
    """The first index in a name such as mean_error[3] or covariance_error[9,2]."""
    index = name.partition("[")[2].rstrip("]").partition(",")[0]
    return int(index) if index and "," not in name else 0


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
    text = f"{value:.1e}"
    power = int(text.partition("e")[2])  # after rounding: 0.09999 is 0.10
    return f"{value:.{max(0, 1 - power)}f}" if -2 <= power < 2 else text


LOOK = {
    "box": box.SIMPLE_HEAD,
    "show_edge": False,
    "title_justify": "left",
    "header_style": "",
    "pad_edge": False,
    "padding": (0, 1, 0, 0),
}
"""How every table looks."""
