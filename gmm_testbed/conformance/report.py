"""Answers to questions, and the table that they make."""

import inspect
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .. import _display

_WIDTH = 96  # of the table, in characters


class Answer(NamedTuple):
    """What a question found.

    Attributes:
        question: in words.
        claim: what the facts say.
        found: what was measured.
        ok: whether they agree; True for a question that does not apply.
        skipped: why a question does not apply; empty if it does.
    """

    question: str
    claim: str
    found: str
    ok: bool
    skipped: str = ""

    @property
    def verdict(self) -> str:
        """The word yes, NO, or a dash for a question that does not apply."""
        return "-" if self.skipped else "yes" if self.ok else "NO"


class Reply(NamedTuple):
    """What a question returns; `skipped` is the reason why it does not apply."""

    claim: str = ""
    found: str = ""
    ok: bool = True
    skipped: str = ""


class Report(NamedTuple):
    """The answers of one method.

    Attributes:
        name: of the method.
        answers: one for each question.
    """

    name: str
    answers: tuple[Answer, ...]

    @property
    def ok(self) -> bool:
        """Whether no question failed."""
        return not self.failures()

    def failures(self) -> list[Answer]:
        """The answers that do not agree with the facts."""
        return [answer for answer in self.answers if not answer.ok]

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """The counts, and every answer."""
        rows = [
            (one.verdict, one.question, one.skipped or f"{one.claim}; {one.found}")
            for one in self.answers
        ]
        found = _display.table(("", "question", "answer"), rows, most=len(rows))
        return _display.Shown(self.summary, (found,))

    @property
    def summary(self) -> str:
        """The counts in one line."""
        asked = [answer for answer in self.answers if not answer.skipped]
        failed = len(self.failures())
        return (
            f"{self.name}: {_display.counted(len(asked), 'question')}, {failed} failed"
        )

    @_display.guarded
    def __str__(self) -> str:
        head = self.summary
        wide = max((len(answer.question) for answer in self.answers), default=0)
        lines = [head]
        for answer in self.answers:
            words = answer.skipped or f"{answer.claim}; {answer.found}"
            room = max(_WIDTH - wide - 7, 24)
            first, *rest = textwrap.wrap(words, room) or [""]
            lines.append(f"{answer.verdict:>3}  {answer.question:<{wide}}  {first}")
            lines += [" " * (wide + 7) + line for line in rest]
        return "\n".join(lines)


def skip(reason: str) -> Reply:
    """The verdict of a question that does not apply."""
    return Reply(skipped=reason)


def both_ways(claimed: bool, found: bool, what: str, evidence: str) -> Reply:
    """Agreement of a claim and what is found, each true or false.

    Args:
        claimed: what the facts say.
        found: what was measured.
        what: the property in words, such as "affine".
        evidence: the numbers.
    """
    words = what if claimed else f"not {what}"
    seen = what if found else f"not {what}"
    return Reply(f"says {words}", f"found {seen} ({evidence})", claimed == found)


def ask(question: Callable[[Any], Reply], subject: Any) -> Answer:
    """The answer to a question; an exception inside is an answer that is not ok."""
    words = (inspect.getdoc(question) or question.__name__).splitlines()[0]
    try:
        verdict = question(subject)
    except Exception as error:  # whatever the method does, it is an answer
        first = (str(error).strip() or "no message").splitlines()
        text = f"{type(error).__name__}: {' '.join(first)}"[:400]
        return Answer(words, "answers", text, False)
    return Answer(words, *verdict)


def report(name: str, questions: Iterable[Callable], subject: Any) -> Report:
    """The answers of a subject to all questions."""
    return Report(name, tuple(ask(question, subject) for question in questions))
