r"""Tables and numbers for LaTeX, without a picture of them: booktabs, errors in brackets.

`0.174(13)` is 0.174 with the standard error 0.013. A document needs `\usepackage{booktabs}`
and nothing else.
"""

import math
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._checks import require
from ..compare import Comparison, Ranking
from ..estimate import Estimate

_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{mark: "\\" + mark for mark in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}",
    "±": r"\ensuremath{\pm}",
    "²": r"\ensuremath{^2}",
}
_DIGITS = "Zero One Two Three Four Five Six Seven Eight Nine".split()
_DAGGER = r"$^\dagger$"
_ERRORS = ("stderr", "error", "standard error", "±")
"""Endings of a column that has the errors of the one before it."""


def text(words: object) -> str:
    """Words as LaTeX prints them; formulas between dollars stay."""
    parts = re.split(r"(\$[^$]+\$)", str(words))
    return "".join(
        part if index % 2 else "".join(_SPECIAL.get(letter, letter) for letter in part)
        for index, part in enumerate(parts)
    )


def number(value: Any, error: float = 0.0) -> str:
    r"""A number with two digits of its error in brackets, as 0.174(13) or 1.2(3)e-5.

    Args:
        value: a number, or an `Estimate`, whose error is taken.
        error: standard; 0 of what is exact, which has four digits; NaN of what has no
            error, marked by "(?)".
    """
    if isinstance(value, Estimate):
        value, error = float(value.value), float(value.stderr)
    if value is None:
        return "--"
    if isinstance(value, numbers.Integral) and not error:
        return f"${value}$"
    value, error = float(value), float(error)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    if not error > 0 or math.isinf(error):
        unknown = "" if error == 0 else "(?)"
        return _plain(f"{value:.4g}", unknown)
    power = math.floor(math.log10(max(abs(value), error)))
    scale = power if power < -3 or power > 5 else 0
    return _bracketed(value / 10.0**scale, error / 10.0**scale, scale)


def rounded(value: float, tolerance: float) -> str:
    """A number to the first digit of a tolerance, and to six digits at most."""
    if not (math.isfinite(value) and value and 0 < tolerance < abs(value)):
        return number(value) if value else "$0$"
    digits = math.floor(math.log10(abs(value))) - math.floor(math.log10(tolerance)) + 1
    return _plain(f"{value:.{min(6, digits)}g}")


def _bracketed(value: float, error: float, scale: int) -> str:
    """Two digits of the error, under as many of the value."""
    place = 1 - math.floor(math.log10(float(f"{error:.1e}")))
    if place > 0:
        shown = f"{value:.{place}f}"
        digits = round(error * 10.0**place)
    else:
        shown = f"{round(value, place):.0f}"
        digits = round(round(error, place))
    return _plain(shown + (f"e{scale}" if scale else ""), f"({digits})")


def _plain(shown: str, brackets: str = "") -> str:
    """A number in a formula, powers of ten as such."""
    mantissa, _, power = shown.partition("e")
    times = rf" \times 10^{{{int(power)}}}" if power else ""
    return f"${mantissa}{brackets}{times}$"


def table(rows: Sequence[Mapping[str, Any]], title: str = "") -> str:
    """Rows by column as a table of booktabs; what is missing is a dash.

    Args:
        rows: as a study's `tables` gives them. A column whose name is that of the one
            before it and "stderr" or "error" becomes the brackets of that one.
        title: of the caption; without one there is the `tabular` alone.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    errors = _errors(names)
    names = [name for name in names if name not in errors.values()]
    body = [[_cell(row, name, errors.get(name)) for name in names] for row in rows]
    numeric = [all(_is_number(row.get(name)) for row in rows) for name in names]
    return _tabular(list(map(text, names)), [body], numeric, title)


def comparison(found: Comparison | Mapping[str, Comparison], title: str = "") -> str:
    r"""Methods and their values, the floor as the last row.

    Bold is a method that `gt.compare` ranks better than every other one. Where it cannot
    tell the smallest value from another, both have a dagger, "not ranked", and nothing is
    bold.

    Args:
        found: of `gt.compare`; or several by the head of their column, of the same
            methods.
        title: as for `table`.

    Raises:
        InputError: if the methods of several differ.
    """
    found = {"value": found} if isinstance(found, Comparison) else dict(found)
    columns = {
        head: {method.name: method for method in one.methods}
        for head, one in found.items()
    }
    names = list(next(iter(columns.values()), {}))
    require(
        names and all(set(column) == set(names) for column in columns.values()),
        "the comparisons are not of the same methods",
        got="; ".join(f"{head}: {', '.join(c)}" for head, c in columns.items()),
        expected="the same names in each",
        hint="make a table of each",
    )
    marks = {head: _marks(one) for head, one in found.items()}
    body = [
        [text(name)]
        + [
            marks[head].get(name, "{}").format(number(column[name].value))
            for head, column in columns.items()
        ]
        for name in names
    ]
    floors = ["floor", *(_floor(one) for one in found.values())]
    notes = []
    if any(_DAGGER in mark for column in marks.values() for mark in column.values()):
        notes = [
            f"{_DAGGER} not ranked: the smallest, and what cannot be told from it."
        ]
    heads, numeric = ["method", *map(text, found)], [False] + [True] * len(found)
    return _tabular(heads, [body, [floors]], numeric, title, notes)


def _marks(found: Comparison) -> dict[str, str]:
    """Formats of the smallest value, and of those that cannot be told from it."""
    best = found.methods[0].name
    beside = []
    for pair in found.pairs:
        if best in (pair.first, pair.second):
            other = pair.second if pair.first == best else pair.first
            wanted = Ranking.BETTER if pair.first == best else Ranking.WORSE
            beside += [] if pair.ranking is wanted else [other]
    if not beside:
        return {best: r"\textbf{{\boldmath {}}}"}
    return dict.fromkeys([best, *beside], "{}" + _DAGGER)


def _floor(found: Comparison) -> str:
    """Of all methods; from and to, where weights make them differ."""
    floors = sorted((m.floor for m in found.methods), key=lambda e: float(e.value))
    ends = dict.fromkeys([number(floors[0]), number(floors[-1])])
    return "--".join(ends)


def macros(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    r"""Legal and different names of macros, by name of the value.

    "two-modes, DDPM, N = 1000" becomes `\twoModesDDPMNOneZeroZeroZero`: letters only,
    digits in words.

    Args:
        values: of which the names are taken.
        prefix: of every name, such as that of the study.
    """
    found: dict[str, str] = {}
    for name in values:
        words = re.findall(r"[A-Za-z]+|\d", f"{prefix} {name}")
        made = "".join(
            _DIGITS[int(word)] if word.isdigit() else word[:1].upper() + word[1:]
            for word in words
        )
        made = made[:1].lower() + made[1:] or "value"
        taken = made
        while taken in found.values():
            taken += "X"
        found[name] = taken
    return found


def _errors(names: Sequence[str]) -> dict[str, str]:
    """Columns of errors, by the column that they belong to."""
    return {
        before: name
        for before, name in zip(names, names[1:], strict=False)
        if any(name in (f"{before} {end}", f"{before}_{end}", end) for end in _ERRORS)
    }


def _cell(row: Mapping[str, Any], name: str, error: str | None) -> str:
    value = row.get(name)
    if value is None or value == "":
        return "--"
    if not _is_number(value):
        return text(value)
    known = row.get(error) if error else None
    return number(value) if known is None else number(value, known)


def _is_number(value: Any) -> bool:
    fine = value is None or isinstance(value, numbers.Real | Estimate)
    return fine and not isinstance(value, bool)


def _tabular(
    heads: Sequence[str],
    parts: Sequence[Sequence[Sequence[str]]],
    numeric: Sequence[bool],
    title: str,
    notes: Iterable[str] = (),
) -> str:
    columns = "".join("r" if one else "l" for one in numeric)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _line(heads)]
    for part in parts:
        lines += [r"\midrule", *map(_line, part)]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\\[2pt] {{\footnotesize {note}}}" for note in notes]
    if title:
        head = [r"\begin{table}[t]", r"\centering", rf"\caption{{{text(title)}}}"]
        lines = [*head, *lines, r"\end{table}"]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
