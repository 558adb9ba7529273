"""Exercises that check themselves: what the lectures in `notebooks/` ask.

`check(name, answer)` compares an answer with the testbed, which computes the truth when
it is asked, and says in words what is wrong; `hint`, `solution` and `progress` do what
they say. One file a lecture; its rows are in `CATALOGUE`.
"""

import inspect
import textwrap
from typing import Any

from .._checks import choose
from . import (
    lecture_01,
    lecture_02,
    lecture_03,
    lecture_04,
    lecture_05,
    lecture_06,
    lecture_07,
    lecture_08,
    lecture_09,
    lecture_10,
)
from . import session as session_of
from .exercise import Exercise as Exercise
from .exercise import Kind as Kind
from .exercise import Probe as Probe
from .judge import judge, not_attempted
from .lecture_02.suspects import SUSPECTS as SUSPECTS
from .session import Progress as Progress
from .session import setup as setup
from .verdict import Outcome as Outcome
from .verdict import Verdict as Verdict
from .verdict import Words as Words

LECTURES: dict[str, dict[str, Exercise]] = {
    "01": lecture_01.EXERCISES,
    "02": lecture_02.EXERCISES,
    "03": lecture_03.EXERCISES,
    "04": lecture_04.EXERCISES,
    "05": lecture_05.EXERCISES,
    "06": lecture_06.EXERCISES,
    "07": lecture_07.EXERCISES,
    "08": lecture_08.EXERCISES,
    "09": lecture_09.EXERCISES,
    "10": lecture_10.EXERCISES,
}
"""Exercises by lecture."""

CATALOGUE: dict[str, Exercise] = {
    name: exercise for rows in LECTURES.values() for name, exercise in rows.items()
}
"""All of them by name."""


def check(name: str, answer: Any) -> Verdict:
    """The verdict on an answer, which shows itself; whatever the answer does, none raises.

    Args:
        name: of the exercise.
        answer: a function, or the value where a number or a case is asked for; `...` where
            there is none yet.

    Returns:
        A `Verdict`: true only if the answer is right. Its `answer` is yours if it is
        right, and the testbed's if it is not, so that later cells work in either case.

    Raises:
        InputError: for an unknown name; the message has the nearest one.
    """
    exercise = choose(name, CATALOGUE, "exercise")
    if session_of.is_lent(name, answer):
        return session_of.record(not_attempted(name, exercise))
    verdict = judge(name, exercise, answer)
    if verdict.outcome in (Outcome.WRONG, Outcome.RAISED) and exercise.hints:
        following = min(len(session_of.of(name).hints) + 1, len(exercise.hints))
        more = f'gt.exercises.hint("{name}")   {following} of {len(exercise.hints)}'
        verdict = verdict.with_row("more", more)
    return session_of.record(verdict)


def hint(name: str) -> Words:
    """The next hint of an exercise; after the last one, where the solution is.

    Raises:
        InputError: for an unknown name.
    """
    exercise, given = choose(name, CATALOGUE, "exercise"), session_of.of(name).hints
    count = len(exercise.hints)
    if len(given) >= count:
        return Words(f'that was all: gt.exercises.solution("{name}") has the rest')
    given.append(len(given) + 1)
    return Words(f"{len(given)} of {count}: {exercise.hints[len(given) - 1]}")


def solution(name: str) -> Words:
    """The source of the answer; its docstring has the argument.

    Raises:
        InputError: for an unknown name.
    """
    exercise = choose(name, CATALOGUE, "exercise")
    return Words(textwrap.dedent(inspect.getsource(exercise.solution)).rstrip())


def progress(lecture: str | None = None) -> Progress:
    """How the exercises stand that were checked in this session, or those of a lecture.

    Args:
        lecture: its number, as "01".

    Raises:
        InputError: for an unknown lecture.
    """
    if lecture is not None:
        rows = choose(lecture, LECTURES, "lecture")
    else:
        rows = {
            name: exercise
            for name, exercise in CATALOGUE.items()
            if session_of.of(name).verdicts
        }
    return Progress({name: exercise.title for name, exercise in rows.items()})
