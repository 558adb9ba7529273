"""Every theorem of the catalogue over its sweep: both sides, verdicts, and what is wrong.

Two theorems are computed at a time: JAX leaves the interpreter free while it compiles and
computes. The numbers are those of `gt.bounds.check(name)`.
"""

import csv
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from . import bounds, plotting, sweep
from ._checks import choose
from .bounds import BoundReport, Claim, Facts, Verdict
from .bounds.base import BUILT


class Checked(NamedTuple):
    """One theorem over its sweep.

    Attributes:
        name: of the catalogue.
        facts: what is known of it.
        claims: as the theorem made them.
        reports: the same, judged.
        seconds: that it took.
    """

    name: str
    facts: Facts
    claims: tuple[Claim, ...]
    reports: tuple[BoundReport, ...]
    seconds: float

    def count(self, verdict: Verdict) -> int:
        """Number of claims with this verdict."""
        return sum(report.holds is verdict for report in self.reports)

    @property
    def problem(self) -> str:
        """What is not as it should be, or "".

        A theorem that should hold has to hold in some case: what is undecided or outside
        its assumptions everywhere is not checked.
        """
        if self.count(Verdict.NAN):
            return "not a number in some case"
        if not self.facts.refuted and self.count(Verdict.VIOLATED):
            return "violated, and it should hold"
        if self.facts.refuted and not self.count(Verdict.VIOLATED):
            return "never violated, and it should be refuted"
        if not self.facts.refuted and not self.count(Verdict.HOLDS):
            return "never decided, and it should hold"
        return ""

    @property
    def finding(self) -> str:
        """The outcome in a few words."""
        return self.problem or ("refuted as printed" if self.facts.refuted else "holds")


def chosen(names: Sequence[str]) -> list[str]:
    """The names, or all of the catalogue if there are none.

    Raises:
        InputError: for an unknown name; the message has the nearest one.
    """
    for name in names:
        choose(name, bounds.CATALOGUE, "bound")
    return list(dict.fromkeys(names)) or list(bounds.CATALOGUE)


def size(names: Iterable[str]) -> int:
    """Number of cases."""
    return sum(len(bounds.CATALOGUE[name].cases) for name in names)


def run(names: Sequence[str], advance: Callable[[], None]) -> Iterator[Checked]:
    """Every case of the theorems; yields each theorem in its turn.

    Args:
        names: of the catalogue.
        advance: called after each case.
    """
    stopped = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        try:
            yield from pool.map(lambda name: _checked(name, advance, stopped), names)
        finally:
            stopped.set()  # an interrupt waits for two cases, not for all


def compilations() -> list[float]:
    """Seconds of every program compiled since the first call; the list grows."""
    return sweep.compilations()


def write(found: Iterable[Checked], path: Path) -> None:
    """Writes a CSV, one row a claim."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for checked in found:
            for claim, report in zip(checked.claims, checked.reports, strict=True):
                writer.writerow(_row(checked, claim, report))


def draw(checked: Checked, output: Path) -> bool:
    """Writes the figure of a theorem as PNG and PDF, if it has one."""
    drawn = plotting.bounds.bound(checked.name, checked.claims, checked.reports)
    if drawn is not None:
        plotting.save(drawn, output / checked.name)
    return drawn is not None


def tables(found: Sequence[Checked]) -> list:
    """One table a theorem, and one of all."""
    rows = [
        (c.name, c.finding, {v: c.count(v) for v in Verdict}, _tightest(c), c.seconds)
        for c in found
    ]
    details = [
        plotting.bounds.table(c.name, c.facts, c.claims, c.reports) for c in found
    ]
    return [*details, plotting.bounds.overview(rows)]


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


def _checked(name, advance, stopped) -> Checked:
    begun = time.perf_counter()
    bound = bounds.CATALOGUE[name]
    claims, reports = [], []
    for case, made in bounds.each_case(bound, bound.cases):
        claims += made
        reports += [bounds.report(name, bound, case, claim) for claim in made]
        advance()
        if stopped.is_set():
            break
    seconds = time.perf_counter() - begun
    return Checked(name, bound.facts, tuple(claims), tuple(reports), seconds)


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
