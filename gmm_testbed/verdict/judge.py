"""`gt.verdict`: whether a sampler is right, and if not, how it is wrong."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import diagnostics, divergences, measures
from .. import testbeds as problems
from .._checks import InputError
from .._types import Key
from ..budget import budget
from ..conformance import conformance
from ..external import External
from ..laws import LineLaw
from ..method import AbstractDescribed
from ..paths.grids import time_grid
from ..sampling import sample
from . import ask_box, ask_method, field, line, phrases
from .box import Watch
from .forms import Subject, recognised
from .given import Given
from .record import Curve, Finding, Verdict

_STEPS = {True: (5, 20), False: (5, 20, 100, 1000)}  # by `quick`
_SLOW_STEPS = {True: (5, 20), False: (5, 20, 100)}  # of samples
_ON_THE_LINE = {
    True: ("gap", "two-modes"),
    False: ("gap", "two-modes", "one-gaussian"),
}
_NUM = 4000  # samples, where there is no law
_IN_SPACE = 1000  # samples in ten dimensions
_PAIRS, _DRAWS, _BINS = 200, 39, 10  # of the calibration
_USUAL = 100  # steps at which failures are looked for
_SURELY = 1e-5  # p-value below which it is not calibrated


def verdict(thing: Any, *, quick: bool = False, key: Key | None = None) -> Verdict:
    """Judges a sampler: what is claimed of it, what it is, how far off, and how it fails.

    Args:
        thing: an approximation (taken with `DDPM`), a method, filter, estimator or
            sampler, or a class of one; or a function: `guidance(target, x, t)` in JAX,
            or `sample(problem, denoiser, num, seed)` in NumPy or PyTorch, as
            `gt.External` takes it.
        quick: fewer problems and steps, no budget, no calibration.
        key: of all samples; `jax.random.key(0)` by default.

    Returns:
        A `Verdict`: `print` shows it, `.passed` says whether no claim and no probe
        failed.

    Raises:
        InputError: if the thing is none of these, or a function cannot be run or returns
            no real numbers of the right shape; the message says what to do.
    """
    begun = time.perf_counter()
    key = jax.random.key(0) if key is None else key
    subject = recognised(thing)
    if isinstance(subject.sampler, External):
        sampler = ask_box.prepared(subject.sampler)
        subject = subject._replace(sampler=sampler)
    found = _of_single_points(subject)
    curves: list[Curve] = []
    if not any(each.question in phrases.FINITE for each in found if _failed(each)):
        more, curves = _of_its_law(subject, quick, key)
        found += more
    seconds = time.perf_counter() - begun
    return Verdict(subject.name, subject.form, tuple(found), tuple(curves), seconds)


def _failed(finding: Finding) -> bool:
    return finding.status == "failed"


def _of_single_points(subject: Subject) -> list[Finding]:
    """Claims, the guidance, and what a program does."""
    found = []
    if subject.described is not None:
        found += phrases.claims(conformance(subject.described))
    if subject.field is not None:
        facts = None if subject.described is None else subject.field.facts
        found += field.findings(subject.field, facts)
    if isinstance(subject.sampler, External):
        found += ask_box.findings(subject.sampler)
    elif subject.field is None and subject.sampler.facts.output == "sample":
        found += ask_method.findings(subject.sampler)
    return found


def _of_its_law(
    subject: Subject, quick: bool, key
) -> tuple[list[Finding], list[Curve]]:
    """Divergences against N, failures, the budget and the calibration."""
    sampler, found, curves = subject.sampler, [], []
    if sampler.facts.output == "point":
        words = "nothing is said of its law: it returns a point estimate."
        return [Finding("How far is its law from the posterior?", words)], []
    smooth = not isinstance(subject.field, Given) or not line.jumps(
        subject.field, problems.get("two-modes")
    )
    for name in _ON_THE_LINE[quick]:
        try:
            outcomes, curve = _on_the_line(sampler, name, quick, key, smooth)
        except InputError as error:
            found.append(phrases.refused(name, error))
            continue
        found.append(phrases.distance(curve, outcomes))
        curves.append(curve)
        usual = [o for o in outcomes if o.times.shape[0] - 1 <= _USUAL][-1]
        if name == "gap":
            found += phrases.modes(usual)
        if name == "two-modes" and isinstance(usual.law, LineLaw):
            found.append(phrases.spread(*measures.in_time(usual.law, usual.target)))
    if not quick:
        for part in (_in_space, _budget, _calibration):
            try:
                made = part(subject, key)
            except InputError as error:
                found.append(phrases.refused(part.__name__.strip("_"), error))
                continue
            found += made[0]
            curves += made[1]
    return found, curves


def _on_the_line(sampler: AbstractDescribed, name: str, quick: bool, key, smooth: bool):
    """Outcomes at every number of steps, and their curve."""
    target, outcomes, calls, steps = problems.get(name), [], [], []
    cost = sampler.facts.cost
    for number in _STEPS[quick]:
        exact = not outcomes or outcomes[-1].law is not None
        if number not in _SLOW_STEPS[quick] and not exact:
            continue
        watched, each = _watched(sampler)
        case = watched, target, number, line.key_of(key, name, number), _NUM
        outcomes.append(line.outcome(*case, smooth=smooth))
        known = number * (cost.denoiser + cost.jacobian)
        calls.append(float(known) if each is None else each.cost)
        steps.append(number)
    law = outcomes[-1].law is not None
    measure = "total variation" if law else "largest distance of distribution functions"
    parts = ([getattr(o, part) for o in outcomes] for part in ("distance", "error"))
    arrays = (np.asarray(part, float) for part in (steps, *parts))
    curve = Curve(name, measure, *arrays, outcomes[-1].floor, np.asarray(calls, float))
    return outcomes, curve


def _watched(sampler: AbstractDescribed) -> tuple[AbstractDescribed, Watch | None]:
    """A program of the host with its calls counted, and the counter."""
    if not isinstance(sampler, External):
        return sampler, None
    watch = Watch(sampler.fn)
    made = External(
        watch, sampler.level, sampler.needs, sampler.reference, sampler.views
    )
    return made, watch


def _in_space(subject: Subject, key) -> tuple[list[Finding], list[Curve]]:
    """Energy distance in ten dimensions, with its error and its floor."""
    target, values, errors, calls = problems.get("ten"), [], [], []
    steps, cost = (20, 100), subject.sampler.facts.cost
    truth = target.posterior(jnp.asarray(problems.T_MIN, float))
    for number in steps:
        times = time_grid(target.path, number, t_min=problems.T_MIN)
        watched, each = _watched(subject.sampler)
        case = line.key_of(key, "ten", number), watched, target, times, _IN_SPACE
        drawn = sample(*case)
        found = divergences.energy_distance(
            drawn.x, truth, log_weights=drawn.log_weights
        )
        values.append(float(found.value))
        errors.append(float(found.stderr))
        known = number * (cost.denoiser + cost.jacobian)
        calls.append(float(known) if each is None else each.cost)
    exact = line.key_of(key, "floor", 0)
    metric = divergences.energy_distance
    floor = divergences.floor(metric, exact, truth, _IN_SPACE, 5)
    level = float(floor.mean.value) + 3 * float(floor.spread)
    arrays = (np.asarray(part, float) for part in (steps, values, errors))
    curve = Curve("ten", "energy distance", *arrays, level, np.asarray(calls, float))
    return [phrases.distance(curve, [])], [curve]


def _budget(subject: Subject, key) -> tuple[list[Finding], list[Curve]]:
    """Where the error is made, on two modes in 100 steps."""
    target = problems.get("two-modes")
    times = time_grid(target.path, _USUAL, t_min=problems.T_MIN)
    found = [phrases.parts(budget(key, subject.sampler, target, times))]
    return found, []


def _calibration(subject: Subject, key) -> tuple[list[Finding], list[Curve]]:
    """Whether its draws and the truth are exchangeable over fresh observations."""
    target = problems.get("two-modes")
    problem = target.problem
    times = time_grid(target.path, 50, t_min=problems.T_MIN)
    case = problem.prior, problem.measurement, target.path, subject.sampler, times
    made = diagnostics.calibrate(
        line.key_of(key, "calibration", 0), *case, _PAIRS, _DRAWS, bins=_BINS
    )
    return [phrases.calibrated(made, _SURELY, len(times) - 1)], []
