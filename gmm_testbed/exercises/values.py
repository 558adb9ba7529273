"""Values of answers: what they consist of, how far apart two are, how they are printed."""

from typing import Any, NamedTuple

import numpy as np

from ..estimate import Estimate

Z = 4.5  # standard errors within which an estimate agrees with the truth


class Value(NamedTuple):
    """Parts of a value, an array each, with standard errors, 0 where it is exact."""

    parts: list[np.ndarray]
    errors: list[np.ndarray]


def value_of(found: Any) -> Value:
    """The parts of an array, a tuple of arrays, or an `Estimate`.

    Raises:
        TypeError: if it is something else; the message says what.
    """
    if isinstance(found, Estimate):
        return Value([np.asarray(found.value)], [np.asarray(found.stderr)])
    if isinstance(found, tuple):
        several = [value_of(one) for one in found]
        parts = [part for one in several for part in one.parts]
        return Value(parts, [error for one in several for error in one.errors])
    if isinstance(found, list | dict | set):
        kind = type(found).__name__
        raise TypeError(f"a {kind}, where an array is expected: jnp.array([...])")
    array = np.asarray(found)
    if array.dtype == bool or not np.issubdtype(array.dtype, np.number):
        raise TypeError(f"{found!r}, which is not a number")
    if np.iscomplexobj(array):
        raise TypeError("a complex number")
    return Value([array], [np.zeros(array.shape)])


def difference(value: Value, truth: Value, atol: float = 0.0) -> float:
    """Largest difference, less `atol`, relative to the size of each part of the truth."""
    gaps = [0.0]
    for a, b in zip(value.parts, truth.parts, strict=True):
        gap = max(float(np.max(np.abs(a - b), initial=0.0)) - atol, 0.0)
        size = float(np.max(np.abs(b), initial=0.0))
        gaps.append(gap / size if size > 0 else gap)
    return max(gaps)


def distance(value: Value, truth: Value) -> float:
    """Largest difference in standard errors; infinite where exact parts differ."""
    gaps = [0.0]
    sides = zip(value.parts, value.errors, truth.parts, truth.errors, strict=True)
    for a, error_a, b, error_b in sides:
        gap, error = np.abs(a - b), np.hypot(error_a, error_b)
        with np.errstate(divide="ignore", invalid="ignore"):
            gaps.append(float(np.max(np.where(gap == 0, 0.0, gap / error))))
    return max(gaps)


def agree(value: Value, truth: Value, rtol: float, atol: float = 0.0) -> bool:
    """Whether two values are equal up to rounding, or up to their standard errors."""
    if difference(value, truth, atol) <= rtol:
        return True
    noisy = any(np.any(e > 0) for e in (*value.errors, *truth.errors))
    return noisy and distance(value, truth) <= Z


def shapes(value: Value) -> str:
    """Shapes in words: "(2,)", or "(2,), ()" for a tuple."""
    return ", ".join(str(part.shape) for part in value.parts)


def show(value: Value, names: tuple[str, ...] = ()) -> str:
    """A value in one line, entries with six digits, and standard errors where there are."""
    words = []
    for index, (part, error) in enumerate(zip(*value, strict=True)):
        text = _array(part)
        if np.any(error > 0):
            text += f" ± {_array(error, 2)}"
        words.append(f"{names[index]} {text}" if index < len(names) else text)
    return ", ".join(words)


def show_argument(argument: Any) -> str:
    """An argument of a probe if it is a few numbers, else ""."""
    try:
        (part,) = value_of(argument).parts
    except (TypeError, ValueError):
        return ""
    return _array(part, 4) if part.size <= 4 else ""


def _array(array: np.ndarray, digits: int = 6) -> str:
    if array.ndim == 0:
        return f"{float(array):.{digits}g}"
    if array.size > 9:
        return f"an array {array.shape}"
    return "[" + ", ".join(_array(np.asarray(row), digits) for row in array) + "]"
