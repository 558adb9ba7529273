"""What is said of an answer, at the prompt and in a notebook."""

import html
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

_COLOURS = {"right": "#2e8b57", "not attempted": "#8a8a8a"}
_WRONG = "#c0392b"


class Outcome(StrEnum):
    """How an answer was found."""

    RIGHT = "right"
    WRONG = "wrong"
    RAISED = "raised"
    NOT_ATTEMPTED = "not attempted"


class Failure(Exception):
    """An answer that has no value to be compared: an outcome, a label and a hint."""

    def __init__(self, outcome: Outcome, label: str, hint: str):
        self.outcome, self.label, self.hint = outcome, label, hint


@dataclass(frozen=True, repr=False)
class Verdict:
    """What `check` found; true only if the answer is right.

    Attributes:
        name: of the exercise.
        outcome: "right", "wrong", "raised" or "not attempted".
        label: of the mistake: that of a known one, or a word as "shape" or "precision".
        answer: the answer if it is right, and else the testbed's: what comes after it in a
            notebook never depends on it.
        summary: one sentence.
        rows: pairs of a word, as "got", and a text.
    """

    name: str
    outcome: Outcome
    label: str
    answer: Any
    summary: str
    rows: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return self.outcome == Outcome.RIGHT

    def with_row(self, word: str, text: str) -> "Verdict":
        """The same with one more row."""
        return replace(self, rows=(*self.rows, (word, text)))

    def __repr__(self) -> str:
        mark = {"right": "✓", "not attempted": "·"}.get(self.outcome, "✗")
        head = f"{mark} {self.name}" + (f": {self.summary}" if self.summary else "")
        lines = [f"  {word + ':':<10}{text}" for word, text in self.rows]
        return "\n".join([head, *lines])

    def _repr_html_(self) -> str:
        colour = _COLOURS.get(self.outcome, _WRONG)
        mark = {"right": "✓", "not attempted": "·"}.get(self.outcome, "✗")
        head = f"<b style='color:{colour}'>{mark} {self.name}</b>"
        if self.summary:
            head += f": {html.escape(self.summary)}"
        rows = "".join(
            "<tr style='background:none'>"
            f"<td style='text-align:left;vertical-align:top;opacity:.7'>{word}</td>"
            f"<td style='text-align:left;white-space:normal'>{html.escape(text)}</td></tr>"
            for word, text in self.rows
        )
        table = f"<table style='margin:.3em 0 0'>{rows}</table>" if rows else ""
        style = f"border-left:4px solid {colour};padding:.3em .8em;max-width:48em"
        return f"<div style='{style}'>{head}{table}</div>"


@dataclass(frozen=True, repr=False)
class Words:
    """A text that shows itself.

    Attributes:
        text: at the prompt, and as it stands in a notebook.
    """

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        style = "white-space:pre-wrap;text-align:left;max-width:60em"
        return f"<pre style='{style}'>{html.escape(self.text)}</pre>"
