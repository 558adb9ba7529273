"""A theorem over its sweep, judged: what holds, and what is not as it should be."""

from typing import NamedTuple

from ..bounds import BoundReport, Claim, Facts, Verdict


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
            on_problem = all("problem" in report.case for report in self.reports)
            return "" if on_problem else "never violated, and it should be refuted"
        if self.only_outside:
            return ""
        if not self.facts.refuted and not self.count(Verdict.HOLDS):
            return "never decided, and it should hold"
        return ""

    @property
    def only_outside(self) -> bool:
        """Whether it says nothing of the one problem that it was asked about."""
        on_problem = all("problem" in report.case for report in self.reports)
        return on_problem and self.count(Verdict.OUTSIDE) == len(self.reports)

    @property
    def finding(self) -> str:
        """The outcome in a few words."""
        if self.only_outside:
            return "says nothing here"
        return self.problem or ("refuted as printed" if self.facts.refuted else "holds")
