"""Judges an answer: the first of a list of tests that has something to say speaks.

Not attempted, raised, nothing returned, wrong kind or shape, not a number; right, if it
survives `jit` and `vmap`; right to single precision only; a known mistake; a mistake read
from the numbers; right in one group of probes only; the first probe that fails.
"""

import functools
import inspect
import traceback
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .exercise import Exercise, Kind, Probe, probes_of, slips_of, truths_of
from .reading import factor_in_words, read
from .transforms import check_transforms
from .values import (
    Value,
    Z,
    agree,
    difference,
    distance,
    shapes,
    show,
    show_argument,
    value_of,
)
from .verdict import Failure, Outcome, Verdict

_SINGLE = 1e-4  # relative, of what may be right in single precision
_KNOWN = 1e-5  # relative, of a known mistake, in single precision too
_NEAR = 0.02  # relative, of a number that is almost right
_PACKAGE = Path(__file__).parents[1]


class _Case(NamedTuple):
    """An exercise with the values of an answer and of the truth at its probes."""

    exercise: Exercise
    probes: list[Probe]
    values: list[Value]
    truths: list[Value]


def judge(name: str, exercise: Exercise, answer: Any) -> Verdict:
    """The verdict on an answer; it raises nothing that the answer raises.

    Args:
        name: of the exercise.
        exercise: the question.
        answer: a function; for a number or a witness also its value.
    """
    try:
        if exercise.kind == Kind.WITNESS:
            return _witness(name, exercise, answer)
        case = _evaluated(exercise, answer)
        wrong = _wrong(case)
        if wrong is None:
            if exercise.kind == Kind.FUNCTION:
                check_transforms(exercise, case.probes[0].args, case.values[0], answer)
            if exercise.kind == Kind.NUMBER and callable(answer):
                answer = answer()
            return Verdict(name, Outcome.RIGHT, "", answer, *_praise(case))
    except Failure as failure:
        if failure.outcome == Outcome.NOT_ATTEMPTED:
            return not_attempted(name, exercise)
        rows = (("hint", failure.hint),)
        return Verdict(
            name, failure.outcome, failure.label, _instead(exercise), "", rows
        )
    label, hint, index = wrong
    rows = _rows(case, index, hint)
    return Verdict(name, Outcome.WRONG, label, _instead(exercise), "", rows)


def not_attempted(name: str, exercise: Exercise) -> Verdict:
    """The verdict on a stub."""
    words = "not attempted. The notebook goes on with the testbed's answer."
    return Verdict(name, Outcome.NOT_ATTEMPTED, "", _instead(exercise), words)


def _instead(exercise) -> Any:
    """The testbed's answer: a function, or the value of a number or a witness."""
    if exercise.kind in (Kind.NUMBER, Kind.WITNESS):
        if not _takes_arguments(exercise.solution):
            return exercise.solution()
    return exercise.solution


def _takes_arguments(function) -> bool:
    try:
        return bool(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return True


# --- values of an answer ----------------------------------------------------------------


def _evaluated(exercise, answer) -> _Case:
    if exercise.kind == Kind.NUMBER and not callable(answer):
        given, answer = answer, lambda: given
    _require_attempt(answer)
    if not callable(answer):
        words = f"{_short(answer)}, where a function is expected: {exercise.asks}"
        raise Failure(Outcome.WRONG, "kind", words)
    probes = probes_of(exercise)
    truths = [value_of(truth) for truth in truths_of(exercise)]
    values, value = [], exercise.values(answer)
    for probe, truth in zip(probes, truths, strict=True):
        found = _called(value, probe.args)
        values.append(_checked(found, truth, exercise))
    return _Case(exercise, probes, values, truths)


def _called(function, *args):
    """The value of a function of the answer, whatever that does."""
    try:
        return function(*args)
    except NotImplementedError as error:
        raise Failure(Outcome.NOT_ATTEMPTED, "", "") from error
    except Exception as error:
        raise Failure(Outcome.RAISED, "raised", _raised(error)) from error


def _require_attempt(answer):
    if answer is ...:
        raise Failure(Outcome.NOT_ATTEMPTED, "", "")
    if answer is None:
        words = "None: is `return` missing, or the name of another thing?"
        raise Failure(Outcome.WRONG, "none", words)


def _checked(found, truth: Value, exercise) -> Value:
    _require_attempt(found)
    if isinstance(found, tuple) and any(one is ... for one in found):
        raise Failure(Outcome.NOT_ATTEMPTED, "", "")
    try:
        value = value_of(found)
    except (TypeError, ValueError) as error:
        raise Failure(Outcome.WRONG, "kind", f"it gives {error}.") from error
    if [p.shape for p in value.parts] != [p.shape for p in truth.parts]:
        words = f"shape {shapes(value)}, expected {shapes(truth)}: {exercise.asks}"
        raise Failure(Outcome.WRONG, "shape", words)
    if not all(np.isfinite(part).all() for part in value.parts):
        words = (
            f"{show(value, exercise.parts)}: a logarithm or root of something "
            "negative, a division by zero, or an overflow?"
        )
        raise Failure(Outcome.WRONG, "nan", words)
    return value


def _raised(error) -> str:
    """The exception, and the line of the answer that it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if f.line and not _is_ours(f.filename)]
    words = f"{type(error).__name__}: {_first_line(error)}"
    if theirs:
        words += f", in `{theirs[-1].line}`"
    if "ellipsis" in str(error).lower():
        words += ". A `...` is left in it."
    return words


def _is_ours(file: str) -> bool:
    """Whether a file belongs to this package or to an installed one."""
    return (
        str(_PACKAGE) in file or "site-packages" in file or file.startswith("<frozen")
    )


def _first_line(error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "without a message"


# --- what is wrong ----------------------------------------------------------------------


def _wrong(case: _Case) -> tuple[str, str, int] | None:
    """Label, hint and the probe to show, or None if the answer is right."""
    exercise, _, values, truths = case
    tolerance = exercise.rtol, exercise.atol
    right = [agree(v, b, *tolerance) for v, b in zip(values, truths, strict=True)]
    if all(right):
        return _undecided(case)
    index = right.index(False)
    gaps = [
        difference(v, b, exercise.atol) for v, b in zip(values, truths, strict=True)
    ]
    slip = _slip(case)
    if max(gaps) <= _SINGLE and slip is None:
        return "precision", _precision(values, max(gaps)), index
    if slip is not None:
        factor = factor_in_words(values, truths)
        hint = exercise.slips[slip][1] + (f" {factor}" if factor else "")
        return slip, hint, index
    if exercise.kind == Kind.NUMBER and max(gaps) <= _NEAR:
        return "near", f"near: off by {100 * max(gaps):.1g} %.", index
    reading = read(exercise, case.probes, values, truths)
    if reading is not None:
        return reading.label, reading.words, index
    return (*_groups(case, right), index)


def _slip(case: _Case) -> str | None:
    """The known mistake that gives the same values."""
    rtol = max(case.exercise.rtol, _KNOWN)
    atol = max(case.exercise.atol, 1e-12)

    def same(value: Value, slip: Value) -> bool:
        if [p.shape for p in value.parts] != [p.shape for p in slip.parts]:
            return False
        return agree(value, slip, rtol, atol)

    for label, made in slips_of(case.exercise).items():
        pairs = zip(case.values, made, strict=True)
        if all(same(value, value_of(slip)) for value, slip in pairs):
            return label
    return None


def _undecided(case: _Case) -> tuple[str, str, int] | None:
    """An estimate that agrees with the truth, and with a known mistake as well."""
    noisy = any(np.any(e > 0) for v in case.values for e in v.errors)
    if not noisy:
        return None
    for label, made in slips_of(case.exercise).items():
        pairs = list(zip(case.values, made, strict=True))
        if all(distance(value, value_of(slip)) <= Z for value, slip in pairs):
            words = f"too few samples: the mistake {label!r} cannot be told from it."
            return "too few samples", words, 0
    return None


def _precision(values, gap) -> str:
    single = any(p.dtype == np.float32 for v in values for p in v.parts)
    if single or jnp.result_type(float) == jnp.float32:
        return "single precision: is jax_enable_x64 set before the first array?"
    return (
        f"right to {gap:.0e} only: a constant with few digits, a difference quotient "
        "in the place of a derivative, or single precision on the way?"
    )


def _groups(case: _Case, right) -> tuple[str, str]:
    by_group: dict[str, list[bool]] = {}
    for probe, ok in zip(case.probes, right, strict=True):
        by_group.setdefault(probe.group, []).append(ok)
    good = [name for name, oks in by_group.items() if all(oks)]
    bad = [name for name, oks in by_group.items() if not any(oks)]
    if good and bad:
        words = f"right for {' and '.join(good)}, wrong for {' and '.join(bad)}."
        return "group", words
    count = right.count(False)
    if len(right) == 1:
        pairs = zip(case.values[0].parts, case.truths[0].parts, strict=True)
        gap = max(float(np.max(np.abs(a - b))) for a, b in pairs)
        return "probe", f"off by {gap:.3g}, and no mistake that is known."
    words = "all" if count == len(right) else f"{count} of {len(right)}"
    return "probe", f"wrong at {words} probes, and no mistake that is known."


# --- what is said -----------------------------------------------------------------------


def _rows(case: _Case, index: int, hint: str) -> tuple[tuple[str, str], ...]:
    names, where = case.exercise.parts, _where(case, index)
    how = getattr(truths_of(case.exercise)[index], "how", "")
    expected = show(case.truths[index], names) + (f" ({how})" if how else "")
    got = show(case.values[index], names) + (f" at {where}" if where else "")
    return ("got", got), ("expected", expected), ("hint", hint)


def _where(case: _Case, index: int) -> str:
    probe = case.probes[index]
    names = list(inspect.signature(case.exercise.solution).parameters)
    pairs = zip(names, probe.args, strict=False)
    words = [f"{name} = {text}" for name, a in pairs if (text := show_argument(a))]
    return ", ".join([*words, *([probe.group] if probe.group else [])])


def _praise(case: _Case) -> tuple[str, tuple[tuple[str, str], ...]]:
    exercise = case.exercise
    if len(case.probes) > 1:
        pairs = zip(case.values, case.truths, strict=True)
        gap = max(difference(v, b, exercise.atol) for v, b in pairs)
        words = f"right at {len(case.probes)} probes "
        words += f"(largest relative difference {gap:.0e})"
    else:
        words = f"right: {show(case.truths[0], exercise.parts)}"
    if exercise.kind == Kind.FUNCTION and exercise.transforms and not exercise.measured:
        words += f", under {' and '.join(exercise.transforms)} too"
    return f"{words}.", _notice(exercise)


def _notice(exercise) -> tuple[tuple[str, str], ...]:
    notice = exercise.notice() if callable(exercise.notice) else exercise.notice
    return (("notice", notice),) if notice else ()


# --- witnesses --------------------------------------------------------------------------


def _witness(name, exercise, answer) -> Verdict:
    """The answer is a case: whether it has the property is computed."""
    _require_attempt(answer)
    if callable(answer) and not _takes_arguments(answer):
        answer = _called(answer)
        _require_attempt(answer)
    if isinstance(answer, tuple) and any(one is ... for one in answer):
        raise Failure(Outcome.NOT_ATTEMPTED, "", "")
    label, words = _called(
        exercise.truth, _asked(answer) if callable(answer) else answer
    )
    if not label:
        return Verdict(name, Outcome.RIGHT, "", answer, words, _notice(exercise))
    rows = [("got", words)]
    if label in exercise.slips:
        rows.append(("hint", exercise.slips[label][1]))
    return Verdict(name, Outcome.WRONG, label, _instead(exercise), "", tuple(rows))


def _asked(answer):
    """The answer, a function, where a stub counts as not attempted."""

    @functools.wraps(answer)
    def asked(*args, **kwargs):
        found = answer(*args, **kwargs)
        if found is ...:
            raise NotImplementedError
        return found

    return asked


def _short(found) -> str:
    words = repr(found)
    return words if len(words) < 60 else type(found).__name__
