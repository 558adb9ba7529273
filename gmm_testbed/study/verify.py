r"""Every theorem of the catalogue over its sweep: both sides, verdicts, what is wrong.

Each cell is a theorem; the numbers are those of `gt.bounds.check(name)`. A theorem that
should hold has to hold in some case and be violated in none; one that is kept as printed,
and is refuted, has to be violated in some case.
"""

import functools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

from .. import bounds, plotting, sweep
from .. import testbeds as problems
from .._checks import InputError, UnsupportedError
from ..bounds import Claim, Verdict
from ..bounds.base import BUILT
from ..estimate import Estimate
from ..paths.grids import time_grid
from ..sweep import Experiment, Store
from ..sweep.provenance import provenance
from .checked import Checked
from .files import Study, expected_beside, head

_LOOSE = 0.95  # left / right, the largest of a sweep
_STEPS = 32  # of the sampler whose times a problem has


def study(names: Sequence[str] = (), problem: str | None = None) -> Study:
    """Theorems as a study: those of these names, or all of the catalogue.

    Args:
        names: of the catalogue, their numbers, or "my_module:name" of bounds of your own.
        problem: a testbed on which they are asked, in place of their sweeps. A theorem
            that is not for it says what it takes, and is "outside".

    Raises:
        InputError: for an unknown name; the message has the nearest one.
    """
    chosen = [bounds.find(name)[0] for name in dict.fromkeys(names)]
    grid = {"theorem": chosen or list(bounds.CATALOGUE)}
    if problem is not None:
        problems.get(problem)
        grid["problem"] = [problem]
    experiment = Experiment(
        both_sides,
        grid,
        name="verify",
        version=provenance().sources,  # a proof of other code is none of this
    )
    inside = SimpleNamespace(
        **{
            function.__name__: functools.partial(function, experiment)
            for function in (claims, figures, tables, files, screen)
        }
    )
    title, text = head(__doc__, "verify")
    file = Path(__file__)
    expected = expected_beside(file)
    return Study(
        "verify", file, title, text, {"verify": experiment}, expected, inside, 2
    )


def both_sides(key, theorem, problem=None):
    """Both sides of every claim of a theorem, as numbers; what else it says, as arrays."""
    bound = bounds.find(theorem)[1]
    metrics, made = {}, []
    for case, claims in _cases(theorem, bound, problem):
        for claim in claims:
            report = bounds.report(theorem, bound, case, claim)
            words = plotting.bounds.case_text(case), report.label
            what = ", ".join(filter(None, words)) or "the only case"
            again = sum(name.startswith(f"{what}: left") for name in metrics)
            what = f"{what} ({again + 1})" if again else what
            metrics |= {f"{what}: left": claim.left, f"{what}: right": claim.right}
            made.append((case, claim))
    sides = [[side.value, side.stderr] for _, c in made for side in (c.left, c.right)]
    arrays = {
        "cases": np.array([json.dumps(case) for case, _ in made]),
        "labels": np.array([claim.label for _, claim in made]),
        "sides": np.asarray(sides, float).reshape(len(made), 2, 2),
        "how": np.array([[claim.left.how, claim.right.how] for _, claim in made]),
        "equal": np.array([claim.equal for _, claim in made]),
        "tolerance": np.array([float(claim.tolerance) for _, claim in made]),
        "error": np.array([float(claim.error) for _, claim in made]),
        "assumptions": np.array([_words(claim) for _, claim in made]),
        "status": np.array([claim.status for _, claim in made]),
        "asked": np.array([json.dumps(claim.asked) for _, claim in made]),
    }
    return sweep.Found(metrics, arrays)


def _cases(theorem, bound, problem):
    """The sweep, or both sides on a testbed at a few times of its path."""
    if problem is None:
        yield from bounds.each_case(bound, bound.cases)
        return
    target = problems.get(problem)
    times = time_grid(target.path, _STEPS, t_min=problems.T_MIN)
    try:
        for asked in bounds.on_target(theorem, bound, target, times):
            claims = bound.sides(jax.random.key(0), **asked.setting)
            yield {"problem": problem} | asked.case, claims
    except (InputError, UnsupportedError) as error:  # what is missing to apply it
        why = str(error).split("\n")
        unknown = Estimate(math.nan, how="not computed")
        missing = Claim(
            why[0], unknown, unknown, assumptions=(False,), asked=("; ".join(why),)
        )
        yield {"problem": problem}, [missing]


def _words(claim: Claim) -> str:
    """Assumptions of a claim as text: what a program found, as true or false."""
    kept = [k if isinstance(k, str) else bool(k) for k in claim.assumptions]
    return json.dumps(kept)


def checked(experiment: Experiment, store: Store) -> list[Checked]:
    """What the store has of the theorems, judged."""
    rows = {row.cell["theorem"]: row for row in store.rows(experiment) if row.digest}
    return [
        _judged(name, store.arrays(row), row.wall_seconds) for name, row in rows.items()
    ]


def _judged(name, arrays, seconds) -> Checked:
    bound = bounds.find(name)[1]
    claims, reports = [], []
    for i, text in enumerate(arrays["cases"]):
        left, right = (
            Estimate(value, error, str(how))
            for (value, error), how in zip(
                arrays["sides"][i], arrays["how"][i], strict=True
            )
        )
        claim = Claim(
            str(arrays["labels"][i]),
            left,
            right,
            bool(arrays["equal"][i]),
            float(arrays["tolerance"][i]),
            tuple(json.loads(str(arrays["assumptions"][i]))),
            str(arrays["status"][i]),
            tuple(json.loads(str(arrays["asked"][i]))),
            float(arrays["error"][i]),
        )
        claims.append(claim)
        reports.append(bounds.report(name, bound, json.loads(str(text)), claim))
    return Checked(name, bound.facts, tuple(claims), tuple(reports), seconds)


def claims(experiment: Experiment, store: Store) -> dict[str, float]:
    """How many theorems are not as they should be."""
    found = checked(experiment, store)
    return {
        "theorems that are not as they should be": float(
            sum(bool(c.problem) for c in found)
        )
    }


def figures(experiment: Experiment, store: Store) -> dict[str, Any]:
    """Both sides of each theorem that has a number to draw them against."""
    drawn = {
        c.name: plotting.bounds.bound(c.name, c.claims, c.reports)
        for c in checked(experiment, store)
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def tables(experiment: Experiment, store: Store) -> dict[str, list[dict[str, Any]]]:
    """One row a theorem."""
    rows = [
        {"theorem": c.name, "finding": c.finding}
        | {str(verdict.value): c.count(verdict) for verdict in Verdict}
        | {"tightest": _tightest(c), "source": c.facts.source}
        for c in checked(experiment, store)
    ]
    return {"All theorems": rows}


def files(experiment: Experiment, store: Store) -> dict[str, list[dict[str, Any]]]:
    """One row a claim."""
    rows = [
        dict(zip(_COLUMNS, _row(c, claim, report), strict=True))
        for c in checked(experiment, store)
        for claim, report in zip(c.claims, c.reports, strict=True)
    ]
    return {"bounds": rows}


def screen(experiment: Experiment, store: Store) -> Iterator[Any]:
    """One table a theorem, one of all, and what holds and what does not in words."""
    found = checked(experiment, store)
    for c in found:
        yield plotting.bounds.table(c.name, c.facts, c.claims, c.reports)
        yield ""
    rows = [
        (c.name, c.finding, {v: c.count(v) for v in Verdict}, _tightest(c), c.seconds)
        for c in found
    ]
    yield plotting.bounds.overview(rows)
    yield ""
    yield from summary(found)


def summary(found: Sequence[Checked]) -> list[str]:
    """What holds, what is refuted and by which case, and what is wrong; in lines."""
    counts = {verdict: sum(c.count(verdict) for c in found) for verdict in Verdict}
    lines = [
        f"{len(found)} theorems, {sum(counts.values())} claims: "
        f"{counts[Verdict.HOLDS]} hold, {counts[Verdict.VIOLATED]} violated, "
        f"{counts[Verdict.UNDECIDED]} undecided, "
        f"{counts[Verdict.OUTSIDE]} outside their assumptions"
        + (f", {counts[Verdict.NAN]} not a number" if counts[Verdict.NAN] else "")
    ]
    kept = [
        checked
        for c in found
        for checked in plotting.bounds.checked_assumptions(c.reports).values()
    ]
    lines.append(
        f"assumptions: {sum(kept)} checked by program, "
        f"{len(kept) - sum(kept)} hold by construction of the cases"
    )
    loose = [(_tightest(c), c.name) for c in found if not c.facts.refuted]
    loose = sorted(pair for pair in loose if pair[0] < _LOOSE)
    if loose:
        lines.append(
            "right sides that could shrink to this share before their sweeps notice "
            "(--attack searches for cases that do): "
            + ", ".join(f"{share:.2g} {name}" for share, name in loose)
        )
    findings = dict.fromkeys(c.finding for c in found if not c.problem)
    for finding in findings:
        names = [c.name for c in found if c.finding == finding]
        lines.append(f"{finding} ({len(names)}): {', '.join(names)}")
    for checked in found:
        if checked.facts.refuted and not checked.problem:
            lines += ["", f"{checked.name}, as printed: {checked.facts.statement}"]
            lines.append(f"  counterexample: {_worst(checked)}")
    for checked in found:
        if checked.problem:
            lines += ["", f"WRONG: {checked.name} is {checked.problem}"]
            if checked.count(Verdict.VIOLATED) + checked.count(Verdict.NAN):
                lines.append(f"  worst case: {_worst(checked)}")
    return lines


def _worst(checked) -> str:
    """The claim that is furthest off, relative to its sides; first one without number."""
    violated = [
        (claim, report)
        for claim, report in zip(checked.claims, checked.reports, strict=True)
        if report.holds in (Verdict.VIOLATED, Verdict.NAN)
    ]
    claim, report = max(violated, key=lambda pair: _excess(pair[1]))
    part = f", {report.label}" if report.label else ""
    relation = "differs from" if claim.equal else ">"
    relation = "beside" if report.holds is Verdict.NAN else relation
    left, right = plotting.bounds.side(report.left), plotting.bounds.side(report.right)
    case = plotting.bounds.case_text(report.case)
    return f"{case}{part}: {left} {relation} {right}"


def _tightest(checked) -> float:
    """Largest ratio of the sides of an inequality that holds, both positive."""
    ratios = [
        report.tightness
        for claim, report in zip(checked.claims, checked.reports, strict=True)
        if report.holds is Verdict.HOLDS and not claim.equal
        if float(report.left.value) > 0 and math.isfinite(report.tightness)
    ]
    return max(ratios, default=math.nan)


def _excess(report) -> float:
    left, right = float(report.left.value), float(report.right.value)
    if not math.isfinite(left) or not math.isfinite(right):
        return math.inf
    return abs(right - left) / max(abs(left), abs(right), 1e-300)


_COLUMNS = (
    "theorem",
    "case",
    "part",
    "left",
    "left_error",
    "left_how",
    "relation",
    "right",
    "right_error",
    "right_how",
    "tolerance",
    "slack",
    "slack_error",
    "tightness",
    "verdict",
    "assumptions_that_fail",
    "assumptions_checked",
    "assumptions_by_construction",
    "status",
    "refuted",
    "source",
)


def _row(checked, claim, report):
    left, right, slack, facts = report.left, report.right, report.slack, checked.facts
    kept = {status: [] for status in (False, True, BUILT)}
    for what, status in report.assumptions:
        kept[status].append(what)
    return (
        checked.name,
        plotting.bounds.case_text(report.case),
        report.label,
        float(left.value),
        float(left.stderr),
        left.how,
        "=" if claim.equal else "<=",
        float(right.value),
        float(right.stderr),
        right.how,
        float(claim.tolerance),
        float(slack.value),
        float(slack.stderr),
        report.tightness if math.isfinite(report.tightness) else "",
        report.holds.value,
        *("; ".join(kept[status]) for status in (False, True, BUILT)),
        claim.status or facts.status,
        facts.refuted,
        facts.source,
    )
