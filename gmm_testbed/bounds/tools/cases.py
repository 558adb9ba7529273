"""Cases that a caller asks for: their labels are known, and their values of a kind."""

from collections.abc import Sequence

import numpy as np

from ..._checks import choose, require
from ..base import Case


def complete(name: str, sweep: Sequence[Case], given: Case) -> Case:
    """The case with what is left out, as the first case of the sweep with its words has it.

    Args:
        name: of the theorem, for messages.
        sweep: its cases.
        given: labels and their values.

    Raises:
        InputError: for a label that no case has, a word that is no choice, and a value
            that is not a finite number; what is counted is an integer, at least 1.
    """
    known: dict[str, list] = {}
    for case in sweep:
        for label, value in case.items():
            known.setdefault(label, []).append(value)
    for label, value in given.items():
        _check(name, label, value, choose(label, known, f"label of {name}"))
    words = {label: value for label, value in given.items() if isinstance(value, str)}
    alike = [c for c in sweep if all(c.get(k, v) == v for k, v in words.items())]
    return {**alike[0], **given}


def _check(name, label, value, known) -> None:
    if isinstance(known[0], str):
        choose(value, dict.fromkeys(known), f"{label} of {name}")
        return
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
