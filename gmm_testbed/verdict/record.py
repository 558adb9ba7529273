"""What a verdict consists of, and how it prints."""

import textwrap
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .. import _display

_WIDTH = 96  # of the text, in characters
_MARKS = {"passed": "yes", "failed": "NO", "noted": "-"}


class Finding(NamedTuple):
    """The answer to one question, in words and in numbers.

    Attributes:
        question: in words.
        answer: in words, with the numbers that it rests on.
        status: "passed", "failed", or "noted" where nothing was claimed.
        numbers: by name.
    """

    question: str
    answer: str
    status: str = "noted"
    numbers: Mapping[str, float] = MappingProxyType({})


class Curve(NamedTuple):
    """A divergence from the exact posterior against the number of steps.

    Attributes:
        problem: its name.
        measure: what is drawn, in words.
        steps: (n,), N.
        values: (n,).
        errors: (n,) standard errors, 0 of a computed law.
        floor: what as many exact samples show; 0 of a computed law.
        calls: (n,) calls of the denoiser, NaN where nothing is known of them.
    """

    problem: str
    measure: str
    steps: np.ndarray
    values: np.ndarray
    errors: np.ndarray
    floor: float
    calls: np.ndarray


class Verdict(NamedTuple):
    """All findings about one sampler; `print` shows them.

    Attributes:
        name: of what was asked.
        form: what it is, in words.
        findings: in the order of the text.
        curves: divergences against N, one a problem.
        seconds: that it took.
    """

    name: str
    form: str
    findings: tuple[Finding, ...]
    curves: tuple[Curve, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether no finding failed."""
        return not self.failures()

    def failures(self) -> list[Finding]:
        """The findings that are not as claimed, or that are mistakes."""
        return [finding for finding in self.findings if finding.status == "failed"]

    def about(self, word: str) -> list[Finding]:
        """The findings whose question or answer contains a word, in any case."""
        word = word.casefold()
        return [
            f for f in self.findings if word in f"{f.question} {f.answer}".casefold()
        ]

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        failed = len(self.failures())
        words = f"{failed} of {len(self.findings)} findings are faults"
        if not failed:
            words = f"no fault in {len(self.findings)} findings"
        return f"{self.name} ({self.form}): {words}; {self.seconds:.0f} s"

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """The summary, and every finding."""
        rows = [(_MARKS[f.status], f.question, f.answer) for f in self.findings]
        found = _display.table(("", "question", "answer"), rows, most=len(rows))
        return _display.Shown(f"Verdict: {self.summary}", (found,))

    @_display.guarded
    def __str__(self) -> str:
        lines = [self.summary]
        for finding in self.findings:
            words = f"{finding.question} {finding.answer}"
            first, *rest = textwrap.wrap(words, _WIDTH - 6)
            lines.append(f"{_MARKS[finding.status]:>4}  {first}")
            lines += [" " * 6 + line for line in rest]
        return "\n".join(lines)


def percent(share: float) -> str:
    """A relative error in words: "3e-15", "0.04 %", "12 %", "4.1 times"."""
    if not np.isfinite(share):
        return "not finite"
    if share < 1e-5:
        return f"{share:.0e}"
    if share < 0.1:
        return f"{100 * share:.2g} %"
    return f"{100 * share:.0f} %" if share < 2 else f"{share:.2g} times its size"
