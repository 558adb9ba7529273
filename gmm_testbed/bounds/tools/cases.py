"""Cases that a caller asks for: their labels are known, and their values of a kind."""

from collections.abc import Sequence

import numpy as np

from ..._checks import choose, require
from ..base import Case, Limit


def complete(
    name: str, sweep: Sequence[Case], given: Case, limits: Sequence[Limit] = ()
) -> Case:
    """The case with what is left out, as the first case of the sweep with its words has it.

    Args:
        name: of the theorem, for messages.
        sweep: its cases.
        given: labels and their values.
        limits: of the values that are computed.

    Returns:
        Words, integers of what is counted, and floating-point numbers.

    Raises:
        InputError: for a label that no case has, a word that is no choice, and a value
            that is not a finite number, or beyond a limit; what is counted is an integer,
            at least 1.
    """
    known: dict[str, list] = {}
    for case in sweep:
        for label, value in case.items():
            known.setdefault(label, []).append(value)
    given = {
        label: _checked(name, label, value, choose(label, known, f"label of {name}"))
        for label, value in given.items()
    }
    for limit in limits:
        if limit.label in given:
            _check_limit(name, limit, given[limit.label])
    words = {label: value for label, value in given.items() if isinstance(value, str)}
    alike = [c for c in sweep if all(c.get(k, v) == v for k, v in words.items())]
    return {**alike[0], **given}


def _checked(name, label, value, known):
    """The value as the sweep has its own: a word, an integer or a floating-point number."""
    if isinstance(known[0], str):
        choose(value, dict.fromkeys(known), f"{label} of {name}")
        return value
    counted = all(isinstance(other, int) for other in known)
    fine = not isinstance(value, str | bool | complex) and np.ndim(value) == 0
    fine = fine and bool(np.isfinite(value))
    if counted:
        fine = fine and value >= 1 and int(value) == value
    require(
        fine,
        f"{label} of {name} cannot have this value",
        got=repr(value),
        expected="an integer, at least 1" if counted else "a finite number",
        hint="the sweep has " + ", ".join(map(str, dict.fromkeys(known))),
    )
    return int(value) if counted else float(value)


def _check_limit(name, limit, value) -> None:
    inside = value in limit.only if limit.only else limit.least <= value <= limit.most
    expected = " or ".join(f"{number:g}" for number in limit.only)
    if not limit.only:
        ends = ("at least", limit.least), ("at most", limit.most)
        expected = ", ".join(f"{w} {end:g}" for w, end in ends if np.isfinite(end))
    require(
        inside,
        f"{name} is not computed for this {limit.label}",
        got=f"{limit.label} {value:g}",
        expected=expected,
        hint="the limit is that of the computation, not of the theorem",
    )
