"""Reads what is wrong from the numbers, where no known mistake gives them.

An answer may be the truth times a number, times powers of named scales, or a sum with one
term too few or too large. A reading must hold at all probes.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .exercise import Exercise, Probe
from .values import Value

_CLOSE = 1e-6
_POWERS = tuple(power / 2 for power in range(-4, 5) if power)
_WORDS = {
    2.0: "twice the truth",
    0.5: "half the truth",
    -1.0: "the truth with the other sign",
    4.0: "four times the truth",
    0.25: "a quarter of the truth",
}


class Reading(NamedTuple):
    """What the numbers say: a label and a sentence."""

    label: str
    words: str


def read(
    exercise: Exercise,
    probes: Sequence[Probe],
    values: Sequence[Value],
    truths: Sequence[Value],
) -> Reading | None:
    """What is wrong, or None if the numbers do not say.

    Args:
        exercise: with the scales and terms that it names.
        probes: the probes.
        values: of the answer at the probes.
        truths: the same of the truth.
    """
    wrong = [
        index
        for index in range(len(truths[0].parts))
        if any(
            not _near(v.parts[index], b.parts[index])
            for v, b in zip(values, truths, strict=True)
        )
    ]
    if not wrong:
        return None
    index, names = wrong[0], exercise.parts
    given = [np.asarray(v.parts[index], float) for v in values]
    true = [np.asarray(v.parts[index], float) for v in truths]
    found = _plain(given, true) or _as_product(exercise, probes, given, true)
    if found is None and exercise.terms and len(truths[0].parts) == 1:
        found = _as_sum(exercise, probes, given, true)
    if len(truths[0].parts) == 1:
        return found
    named = [names[i] if i < len(names) else f"entry {i + 1}" for i in wrong]
    words = f"only {' and '.join(named)} {'is' if len(named) == 1 else 'are'} wrong."
    if len(wrong) == len(truths[0].parts):
        words = f"{' and '.join(named)} are wrong."
    if found:
        words += f" For {named[0]}: {found.words}"
    return Reading(found.label if found else "part", words)


def factor_in_words(values: Sequence[Value], truths: Sequence[Value]) -> str:
    """As "Twice the truth at all 4 probes.", "" unless there is one such number."""
    if len(truths[0].parts) > 1 or len(truths) < 2:
        return ""
    ratio = _common([v.parts[0] for v in values], [v.parts[0] for v in truths])
    if ratio is None or np.ptp(ratio) > _CLOSE * abs(ratio[0]):
        return ""
    words = f"{_times(ratio[0])} {_at(len(ratio))}."
    return words[0].upper() + words[1:]


def _plain(given, true) -> Reading | None:
    """Zeros, and one value for all probes."""
    if all(not np.any(a) for a in given) and any(np.any(b) for b in true):
        return Reading("zeros", "it is zero everywhere.")
    same = len(given) > 1 and all(
        a.shape == given[0].shape and _near(a, given[0]) for a in given
    )
    if same and any(b.shape != true[0].shape or not _near(b, true[0]) for b in true):
        return Reading(
            "constant",
            f"it is the same {_at(len(given))}: does it use all of its arguments?",
        )
    return None


def _as_product(exercise, probes, given, true) -> Reading | None:
    ratio = _common(given, true)
    if ratio is None or len(ratio) < 2:
        return None
    if np.ptp(ratio) <= _CLOSE * abs(ratio[0]):
        words = f"yours is {_times(ratio[0])} {_at(len(ratio))}: a constant factor."
        return Reading("factor", words)
    powers = _powers(ratio, _scales(exercise, probes))
    if powers is None:
        return None
    many = sum(abs(power) for power in powers.values())
    ask = "is one factor" if many == 1 else "are factors"
    excess = (
        "too many" if all(p > 0 for p in powers.values()) else "missing or misplaced"
    )
    if many == 1 and excess != "too many":
        excess = "missing"
    which = " and ".join(powers)
    words = f"yours is the truth {_product(powers)} {_at(len(ratio))}: {ask} of {which}"
    return Reading("scale", f"{words} {excess}?")


def _as_sum(exercise, probes, given, true) -> Reading | None:
    """One term dropped, with the other sign, or times something."""
    terms = [
        {name: np.asarray(term) for name, term in exercise.terms(*probe.args).items()}
        for probe in probes
    ]
    if len(probes) < 2:
        return None
    for name in terms[0]:
        of = [each[name] for each in terms]
        ratio = _common(
            [a - b + term for a, b, term in zip(given, true, of, strict=True)], of, True
        )
        if ratio is None:
            continue
        if np.max(np.abs(ratio)) <= _CLOSE:
            return Reading("term", f"the term {name} is missing {_at(len(of))}.")
        if np.ptp(ratio) <= _CLOSE * abs(ratio[0]):
            words = (
                f"the term {name} is {_times(ratio[0]).replace('truth', 'true one')}"
            )
            return Reading("term", f"{words} {_at(len(of))}; the others are right.")
        powers = _powers(ratio, _scales(exercise, probes))
        if powers is not None:
            words = f"the term {name} is the true one {_product(powers)}"
            return Reading("term", f"{words} {_at(len(of))}; the others are right.")
    return None


def _scales(exercise, probes) -> dict[str, np.ndarray]:
    """Logarithms of the scales at the probes."""
    return {
        name: np.log([float(scale(*probe.args)) for probe in probes])
        for name, scale in exercise.scales.items()
    }


def _powers(ratio, scales: Mapping[str, np.ndarray]) -> dict[str, float] | None:
    """The powers of one scale or two that give the ratio, if just one choice does."""
    if np.any(ratio <= 0):
        return None
    wanted, found = np.log(ratio), []
    for count in (1, 2):
        for names in itertools.combinations(scales, count):
            for powers in itertools.product(_POWERS, repeat=count):
                made = sum(p * scales[n] for n, p in zip(names, powers, strict=True))
                if np.max(np.abs(made - wanted)) <= _CLOSE:
                    found.append(dict(zip(names, powers, strict=True)))
        if found:
            break
    return found[0] if len(found) == 1 else None


def _common(given, true, small: bool = False) -> np.ndarray | None:
    """The number that an answer is of the truth at each probe, if its entries agree.

    It is not zero, unless it may be `small`.
    """
    ratios = []
    for a, b in zip(given, true, strict=True):
        a, b = np.ravel(a), np.ravel(b)
        large = np.abs(b) > 1e-9 * np.max(np.abs(b), initial=0.0)
        if not large.any() or np.any(np.abs(a[~large]) > _CLOSE):
            return None
        ratio = a[large] / b[large]
        if np.ptp(ratio) > _CLOSE * (1.0 if small else abs(ratio[0])):
            return None
        ratios.append(ratio[0])
    found = np.asarray(ratios)
    return found if small or np.all(found != 0) else None


def _near(a, b) -> bool:
    return bool(np.max(np.abs(a - b), initial=0.0) <= _CLOSE * np.max(np.abs(b)))


def _times(ratio: float) -> str:
    for known, words in _WORDS.items():
        if abs(ratio / known - 1.0) < _CLOSE:
            return words
    return f"{ratio:.5g} times the truth"


def _product(powers: Mapping[str, float]) -> str:
    words = []
    for name, power in powers.items():
        size = {0.5: f"sqrt({name})", 1.0: name, 1.5: f"{name}^1.5", 2.0: f"{name}^2"}
        words.append(f"{'times' if power > 0 else 'divided by'} {size[abs(power)]}")
    return " and ".join(words)


def _at(count: int) -> str:
    return "at the probe" if count == 1 else f"at all {count} probes"
