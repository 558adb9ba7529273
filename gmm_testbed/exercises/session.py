"""What was tried in this session: verdicts, hints that were given, answers lent."""

import html
import importlib.metadata
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..sweep.provenance import provenance
from .verdict import Outcome, Verdict


class Attempts(NamedTuple):
    """Of one exercise: verdicts in order, and how many hints were given."""

    verdicts: list[Verdict]
    hints: list[int]


_ATTEMPTS: dict[str, Attempts] = {}
_LENT: dict[str, Any] = {}


def of(name: str) -> Attempts:
    """The attempts at an exercise in this session."""
    return _ATTEMPTS.setdefault(name, Attempts([], []))


def forget() -> None:
    """Forgets every attempt."""
    _ATTEMPTS.clear()
    _LENT.clear()


def record(verdict: Verdict) -> Verdict:
    """Keeps a verdict, and the testbed's answer if it lends one; gives it back."""
    of(verdict.name).verdicts.append(verdict)
    if not verdict:
        _LENT[verdict.name] = verdict.answer
    return verdict


def is_lent(name: str, answer: Any) -> bool:
    """Whether the answer is the very one that an earlier verdict has lent."""
    return name in _LENT and answer is _LENT[name]


class Progress:
    """A table of exercises: how each stands, after how many tries and hints."""

    def __init__(self, titles: dict[str, str]):
        self.rows = [(name, title, *_standing(name)) for name, title in titles.items()]

    @property
    def right(self) -> int:
        """How many are right."""
        return sum(row[2] == Outcome.RIGHT for row in self.rows)

    def __repr__(self) -> str:
        if not self.rows:
            return "no exercise was checked in this session"
        width = max(len(row[0]) for row in self.rows)
        lines = [
            f"  {_mark(outcome)} {name:<{width}}  {outcome:<14}{_counts(tries, hints)}"
            for name, _, outcome, tries, hints in self.rows
        ]
        return "\n".join([f"{self.right} of {len(self.rows)} right", *lines])

    def _repr_html_(self) -> str:
        left = "style='text-align:left'"
        rows = "".join(
            f"<tr><td {left}>{_mark(outcome)} {name}</td><td {left}>"
            f"{html.escape(title)}</td><td {left}>{outcome}</td>"
            f"<td {left}>{_counts(tries, hints)}</td></tr>"
            for name, title, outcome, tries, hints in self.rows
        )
        return f"<b>{self.right} of {len(self.rows)} right</b><table>{rows}</table>"


def _standing(name) -> tuple[str, int, int]:
    """The best outcome so far, the number of tries and of hints."""
    verdicts, hints = of(name)
    tried = [v for v in verdicts if v.outcome != Outcome.NOT_ATTEMPTED]
    if any(tried):
        outcome = Outcome.RIGHT
    else:
        outcome = tried[-1].outcome if tried else Outcome.NOT_ATTEMPTED
    return str(outcome), len(tried), len(hints)


def _mark(outcome) -> str:
    return {"right": "✓", "not attempted": "·"}.get(outcome, "✗")


def _counts(tries, hints) -> str:
    words = []
    for count, what in ((tries, "try" if tries == 1 else "tries"), (hints, "hint")):
        plural = "s" if what == "hint" and count > 1 else ""
        words += [f"{count} {what}{plural}"] if count else []
    return ", ".join(words)


def setup() -> None:
    """Prints versions, revision, device and precision, and says if double is not set."""
    made = provenance()
    package = made.package or importlib.metadata.version("gmm_testbed")
    revision = f" ({made.revision})" if made.revision else ""
    double = jnp.result_type(float) == jnp.float64
    precision = "double" if double else "single"
    print(
        f"gmm_testbed {package}{revision}, jax {jax.__version__}, {made.device}, "
        f"{precision} precision"
    )
    if not double:
        print(
            'set jax.config.update("jax_enable_x64", True) before anything else and '
            "restart: answers are checked to eight digits"
        )
