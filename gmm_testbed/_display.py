"""How results show themselves: one line at the prompt, a table in a notebook.

A class of results says in `_shown` what its line and its tables are, and takes `one_line`
as its `__repr__` and `html` as its `_repr_html_`. Neither ever raises: inside `jit`, or
where a tree holds something else than numbers, the fields are shown by their shapes.
"""

import dataclasses
import functools
import html as markup
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ._checks import concrete

MOST_ROWS = 12  # of a table; the rest is counted
_MOST_NUMBERS = 4  # of an array, in a line


class Table(NamedTuple):
    """A table of text.

    Attributes:
        columns: heads.
        rows: as many cells each.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Shown(NamedTuple):
    """What a result says of itself.

    Attributes:
        line: in plain words, with numbers.
        tables: what a notebook shows below it, or a function that gives it, where that
            has to be computed.
    """

    line: str
    tables: tuple[Table, ...] | Callable[[], tuple[Table, ...]] = ()


def one_line(result: Any) -> str:
    """The line of a result with `_shown`, or its fields by their shapes: a `__repr__`."""
    found = _shown(result)
    return skeleton(result) if found is None else found.line


def html(result: Any) -> str:
    """The line and the tables as HTML, everything escaped: a `_repr_html_`."""
    line, tables = one_line(result), _tables(result)
    return f"<p>{markup.escape(line)}</p>{''.join(map(_html, tables))}"


def text(result: Any) -> str:
    """The line and the tables as plain text: a `__repr__` of several results."""
    tables = [aligned([part.columns, *part.rows]) for part in _tables(result)]
    return "\n".join([one_line(result), *(line for lines in tables for line in lines)])


def guarded(words: Callable[[Any], str]) -> Callable[[Any], str]:
    """A `__str__` that gives fields by their shapes where the words cannot be had."""

    @functools.wraps(words)
    def inside(result):
        try:
            return words(result)
        except (
            Exception
        ):  # a text that raises hides the error that it was to be part of
            return skeleton(result)

    return inside


@guarded
def call(module: Any) -> str:
    """Name and parameters, as DDIM(eta=0.5): the `__repr__` of a method or a path."""
    given = [(f.name, getattr(module, f.name)) for f in dataclasses.fields(module)]
    return f"{type(module).__name__}({', '.join(_argument(*pair) for pair in given)})"


def skeleton(result: Any) -> str:
    """Name and fields, arrays by precision and shape: Estimate(value=float64[3], ...)."""
    fields = getattr(result, "_fields", None)
    if fields is None and dataclasses.is_dataclass(result):
        fields = [field.name for field in dataclasses.fields(result)]
    if fields is None:
        return f"{type(result).__name__}(...)"
    parts = (f"{name}={_kind(getattr(result, name, None))}" for name in fields)
    return f"{type(result).__name__}({', '.join(parts)})"


def with_error(value: Any, stderr: Any) -> str:
    """A value to the second digit of its error; six digits if it is exact."""
    value, stderr = float(value), float(stderr)
    if not stderr > 0 or stderr == float("inf"):
        return f"{value:.6g}"
    digits = max(2, 2 + _exponent(value) - _exponent(stderr))
    return f"{value:.{min(digits, 12)}g} ± {stderr:.2g}"


def numbers(values: Any, digits: int = 4) -> str:
    """A number, or the first few of an array (n,) in brackets."""
    flat = np.ravel(values)
    if flat.size == 1:
        return f"{float(flat[0]):.{digits}g}"
    parts = [f"{float(value):.{digits}g}" for value in flat[:_MOST_NUMBERS]]
    if flat.size > _MOST_NUMBERS:
        parts.append(f"... {flat.size} in all")
    return f"({', '.join(parts)})"


def counted(count: int, one: str, many: str = "") -> str:
    """As "1 step" or "3 steps"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], most: int = MOST_ROWS
) -> Table:
    """A table of the first rows; one more counts those that are left out.

    Args:
        columns: heads.
        rows: as many cells each, which become text.
        most: rows that are shown.
    """
    rows = [tuple(map(str, row)) for row in rows]
    left = len(rows) - most
    if left > 0:
        blank = ("",) * (len(columns) - 1)
        rows = [*rows[:most], (f"... {left} more", *blank)]
    return Table(tuple(columns), tuple(rows))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text in columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _shown(result: Any) -> Shown | None:
    """What a result says of itself; None where it is not made of known numbers."""
    try:
        known = concrete(*jax.tree.leaves(result))
        return result._shown() if known else None
    except Exception:  # as in `guarded`
        return None


def _tables(result: Any) -> tuple[Table, ...]:
    """The tables, computed if need be; none where they cannot be had."""
    found = _shown(result)
    try:
        made = () if found is None else found.tables
        return made() if callable(made) else made
    except Exception:  # as in `guarded`
        return ()


def _html(found: Table) -> str:
    heads = "".join(f"<th>{markup.escape(name)}</th>" for name in found.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{markup.escape(cell)}</td>' for cell in row)}</tr>"
        for row in found.rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _argument(name: str, value: Any) -> str:
    shape = getattr(value, "shape", None)
    if shape == () and concrete(value):
        return f"{name}={float(value):g}"
    return f"{name}={_kind(value) if shape is not None else repr(value)}"


def _kind(value: Any) -> str:
    """An array by precision and shape, text as it is, else the name of the type."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return f"{value.dtype}[{','.join(map(str, shape))}]"
    if value is None or isinstance(value, str | int | float):
        return repr(value)
    return f"{type(value).__name__}(...)"


def _exponent(value: float) -> int:
    return int(f"{value:e}".split("e")[1]) if value == value else 0
