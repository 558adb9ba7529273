"""Findings in words, from numbers."""

from collections.abc import Sequence

import numpy as np

from .._checks import InputError
from ..budget import Budget
from ..conformance import Report
from ..diagnostics import Calibration
from .line import Outcome
from .record import Curve, Finding

FINITE = ("Are its values finite?", "Are the samples finite?")
"""Questions whose failure leaves nothing to measure."""

_MASS = 0.01  # in ruled-out modes, that is worth a word
_WORSE = 1.1  # times the best value, from which more steps are worse
_LEVEL = 0.7  # of the value at fewer steps, above which it levels off


def claims(report: Report) -> list[Finding]:
    """What the facts say, and whether it is so; one finding for each that is not."""
    question = "Are the claims of its facts true?"
    asked = sum(not answer.skipped for answer in report.answers)
    wrong = report.failures()
    if not wrong:
        words = f"yes, all {asked} that were asked."
        return [Finding(question, words, "passed", {"asked": asked})]
    found = []
    for answer in wrong:
        words = f"no: {answer.question} The answer: {answer.claim}; {answer.found}."
        found.append(Finding(question, words, "failed", {"asked": asked}))
    return found


def refused(name: str, error: InputError) -> Finding:
    """What could not be asked, and why."""
    lines = [line.strip() for line in str(error).splitlines()[:2]]
    question = _QUESTIONS.get(name, f"How far is it from the posterior of {name}?")
    return Finding(question, f"not asked: {'; '.join(lines)}.")


_QUESTIONS = {
    "in_space": "How far is it from the posterior of ten?",
    "budget": "Where is the error made?",
    "calibration": "Is it calibrated over fresh observations?",
}


def distance(curve: Curve, outcomes: Sequence[Outcome]) -> Finding:
    """A divergence against the number of steps, and what more of them do."""
    question = f"How far is it from the posterior of {curve.problem}?"
    bad = max((each.nonfinite for each in outcomes), default=0.0)
    values, errors = curve.values, curve.errors
    numbers = {f"N={n:g}": float(v) for n, v in zip(curve.steps, values, strict=True)}
    if bad or not np.isfinite(values).all():
        words = f"{100 * bad:.2g} % of its samples are not finite."
        return Finding(question, words, "failed", numbers | {"nonfinite": bad})
    listed = ", ".join(f"{value:.2g}" for value in values)
    steps = ", ".join(f"{n:g}" for n in curve.steps)
    words = f"{curve.measure} {listed} at N = {steps}"
    if np.isfinite(curve.calls).all():
        calls = ", ".join(f"{n:g}" for n in curve.calls)
        words += f" ({calls} calls of the denoiser)"
    if errors.any():
        words += (
            f", give or take {errors.max():.1g}; exact samples give {curve.floor:.1g}"
        )
    return Finding(question, f"{words}: {_trend(curve)}.", "noted", numbers)


def _trend(curve: Curve) -> str:
    values, error = curve.values, 3 * curve.errors.max()
    last, best = values[-1], values[:-1].min()
    if curve.errors.any() and last < curve.floor + error:
        return "not to be told from exact samples"
    if last > _WORSE * best + error:
        return "it gets worse with more steps"
    if last < 1e-3:
        return "exact to that"
    if last > _LEVEL * values[-2] - error:
        return f"it levels off near {last:.2g}, more steps do not help"
    return "it falls with more steps"


def modes(outcome: Outcome) -> list[Finding]:
    """Spread, weights of the modes and those that y rules out, on `gap`."""
    steps = outcome.times.shape[0] - 1
    question = f"Has it the right modes on gap, N = {steps}?"
    if not np.isfinite(outcome.modes).all():
        return []
    slack = _MASS + 3 * outcome.error
    ruled = {place: mass for place, mass in outcome.ruled_out.items() if mass > slack}
    words = [
        f"gives the mode at {place:.2g}, which y rules out, {mass:.2g}"
        for place, mass in ruled.items()
    ]
    real = zip(outcome.places, outcome.modes, outcome.modes_exact, strict=True)
    kept = [
        f"{mass:.2f} at {place:.2g} (exactly {exact:.2f})"
        for place, mass, exact in real
        if exact >= _MASS
    ]
    words.append(f"weights {', '.join(kept)}")
    numbers = {"ruled out": sum(outcome.ruled_out.values()), "spread": outcome.spread}
    spread = f"variance {outcome.spread:.2f} of the exact one"
    answer = f"{'; '.join(words)}; {spread}."
    return [Finding(question, answer, "noted", numbers)]


def spread(times, values) -> Finding:
    """Where on the way the spread is furthest from the truth, on `two-modes`."""
    ratio = np.sqrt(np.asarray(values["spread_ratio"], float))
    worst = int(np.argmax(np.abs(np.log(ratio))))
    words = f"the posterior's spread is {ratio[worst]:.2g} of the truth at "
    words += f"t = {times[worst]:.2g}, and {ratio[-1]:.2g} at the end."
    numbers = {"worst": float(ratio[worst]), "time": float(times[worst])}
    return Finding("How wide is it on the way, on two-modes?", words, "noted", numbers)


def parts(found: Budget) -> Finding:
    """The parts of the path divergence in nats."""
    names = ("initialisation", "approximation", "discretisation")
    numbers = {name: float(np.sum(getattr(found, name).value)) for name in names}
    listed = ", ".join(f"{name} {value:.2g}" for name, value in numbers.items())
    most = max(numbers, key=numbers.get)
    worst = int(np.argmax(np.abs(np.asarray(found.approximation.value))))
    words = (
        f"mostly in the {most}: {listed} nats of {float(found.total.value):.2g}, on "
    )
    words += (
        f"two-modes in {len(found.times) - 1} steps; the approximation is worst at "
    )
    words += f"t = {float(found.times[worst]):.2g}."
    return Finding("Where is the error made?", words, "noted", numbers)


def calibrated(found: Calibration, surely: float, steps: int) -> Finding:
    """The p-values of the three tests."""
    numbers = {
        "ranks": float(np.min(found.sbc.chi_square_p)),
        "regions": float(found.coverage.chi_square_p),
        "balls": float(found.tarp.chi_square_p),
    }
    listed = ", ".join(f"{name} {value:.2g}" for name, value in numbers.items())
    count = found.pairs.truth.shape[0]
    tail = f"p-values over {count} observations in {steps} steps: {listed}"
    lowest = min(numbers.values())
    words = f"no ({tail})" if lowest < surely else f"nothing speaks against it ({tail})"
    level = float(np.mean(np.asarray(found.coverage.levels)))
    if lowest < surely:
        words += (
            f"; regions hold the truth at level {level:.2f} on average, 0.5 if right"
        )
    question = "Is it calibrated over fresh observations?"
    return Finding(question, f"{words}.", "noted", numbers)
