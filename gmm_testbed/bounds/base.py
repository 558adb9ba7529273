r"""What a bound is: a statement whose two sides are computed.

A theorem is a class with `facts` and a default sweep. For one case it gives claims: both
sides as `Estimate`s, and the relation between them that is asserted. A verdict is one of
five words, never a bare boolean: an inequality within four standard errors of failing is
undecided, where an assumption does not hold the theorem says nothing, and a side that is
not a number is a fault of ours.
"""

from abc import abstractmethod
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from .. import _display
from .._types import Key
from ..estimate import Estimate
from .spaces import AbstractSpace

Z = 4.0  # standard errors
ROUNDING = 1e-9  # relative, of sides that are exact up to quadrature
FLOOR = 1e-13  # absolute: what sums of terms of order one leave of a side that is 0
RESOLVED = 0.25  # an equality within an error larger than this share is undecided

BUILT = "by construction"
"""Of an assumption that holds because the case is made so, which no program checks."""

STATED = "stated"
"""Status of a bound that a user gives and nothing is known of."""

Case = dict[str, Any]
"""Labels and numbers of one case, as {"kappa": 4.0}."""


class Verdict(StrEnum):
    """What a comparison of two sides shows."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNDECIDED = "undecided"
    OUTSIDE = "outside"  # an assumption does not hold
    NAN = "NaN"  # a side is not a number: neither for nor against the theorem


class Limit(NamedTuple):
    """Values of a label for which a theorem is computed; it may hold for others.

    Attributes:
        label: of the cases.
        least: smallest value.
        most: largest value.
        only: the values, where they are few.
    """

    label: str
    least: float = -np.inf
    most: float = np.inf
    only: tuple[float, ...] = ()


class Facts(NamedTuple):
    """What is known of a theorem.

    Attributes:
        statement: in one line, with its constants.
        assumptions: in words; `Claim.assumptions` says which of them hold in a case.
        source: paper and theorem, or "here" with the argument in the docstring.
        status: "proved", "published", "asymptotic", or "observed" in the cases and not
            proved.
        refuted: True for a statement kept as printed that some case must violate.
        limits: of the labels that are not computed for every number.
        search: for each parameter of `sides` that an attack varies, the values it may
            have; empty where it varies the numbers of the labels.
    """

    statement: str
    assumptions: tuple[str, ...]
    source: str
    status: str
    refuted: bool = False
    limits: tuple[Limit, ...] = ()
    search: Mapping[str, AbstractSpace] = MappingProxyType({})


class Claim(NamedTuple):
    """One relation between two numbers.

    Attributes:
        label: which part of the theorem, "" if there is one only.
        left: the smaller side of an inequality.
        right: the larger side.
        equal: whether equality is claimed.
        tolerance: absolute, of an equality: what quadrature or a finite step count
            leaves, or the width of a fitted slope.
        assumptions: for each of the facts, whether a program found that it holds in this
            case, or `BUILT`; empty where all of them are `BUILT`.
        status: of this part, "" where it is that of the theorem.
        asked: the assumptions in words, where they are not those of the facts.
        error: absolute, of right - left: what doubling the nodes of every quadrature
            changed, where that was computed.
    """

    label: str
    left: Estimate
    right: Estimate
    equal: bool = False
    tolerance: float = 0.0
    assumptions: tuple[bool | str, ...] = ()
    status: str = ""
    asked: tuple[str, ...] = ()
    error: float = 0.0


class BoundReport(NamedTuple):
    """A claim that was judged.

    Attributes:
        name: of the theorem.
        case: its labels and numbers.
        label: the part of the theorem, and its status where that is another.
        left: the smaller side, an `Estimate`.
        right: the larger side.
        slack: right - left.
        tightness: left / right, 1 where the bound is attained.
        holds: the `Verdict`.
        assumptions: pairs of an assumption and True or False, or `BUILT`.
        equal: whether equality is claimed, and not only left <= right.
    """

    name: str
    case: Case
    label: str
    left: Estimate
    right: Estimate
    slack: Estimate
    tightness: float
    holds: Verdict
    assumptions: tuple[tuple[str, bool | str], ...]
    equal: bool = False

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """Both sides and the verdict."""
        words = ", ".join(filter(None, [case_text(self.case), self.label]))
        line = (
            f"{self.name} at {words or 'its case'}: {self.holds}; left {side(self.left)}, "
            f"right {side(self.right)}, slack {side(self.slack)}"
        )
        return Reports([self])._shown()._replace(line=line)


class Reports(list[BoundReport]):
    """Claims that were judged, which show themselves as one table."""

    __repr__, _repr_html_ = _display.text, _display.html

    def _shown(self) -> _display.Shown:
        """How many claims of each verdict, and both sides of every one."""
        heads = "case", "part", "left", "right", "slack", "left / right", "verdict"
        rows = [
            (
                case_text(one.case),
                one.label,
                side(one.left),
                side(one.right),
                side(one.slack),
                f"{one.tightness:.4g}",
                one.holds,
            )
            for one in self
        ]
        counts = [
            f"{sum(one.holds == verdict for one in self)} {verdict}"
            for verdict in Verdict
            if any(one.holds == verdict for one in self)
        ]
        names = ", ".join(dict.fromkeys(one.name for one in self))
        line = f"{names or 'no theorem'}: {', '.join(counts) or 'no claims'}"
        return _display.Shown(line, (_display.table(heads, rows),))


class AbstractBound(eqx.Module):
    """A theorem: its facts, a sweep of cases, and both sides of any problem it is for.

    A case has labels and numbers; `setting` makes of them what the theorem speaks of, and
    `sides` takes that by name. So the parameters of `sides` are what may be given in place
    of what the labels stand for.
    """

    facts: eqx.AbstractClassVar[Facts]
    cases: eqx.AbstractClassVar[tuple[Case, ...]]

    @abstractmethod
    def setting(self, case: Case) -> dict[str, Any]:
        """What the labels of a case stand for: objects and numbers, by name.

        Args:
            case: one of `cases`, or another with the same names.
        """

    @abstractmethod
    def sides(self, key: Key, **setting) -> list[Claim]:
        """Both sides of everything the theorem asserts.

        Args:
            key: for what is sampled.
            **setting: as `setting` makes it, or other objects of the same kinds.
        """

    def parameters(self) -> list[str]:
        """Names of what both sides are computed from, any of which may be given."""
        return list(self.setting(self.cases[0]))

    def claims(self, key: Key, case: Case) -> list[Claim]:
        """Both sides of everything the theorem asserts in one case.

        Args:
            key: for what is sampled.
            case: one of `cases`, or another with the same names.
        """
        return self.sides(key, **self.setting(case))


def computed(
    label: str,
    left,
    right,
    *,
    equal: bool = False,
    tolerance: float = 0.0,
    assumptions: tuple[bool | str, ...] = (),
) -> Claim:
    """A claim between two numbers that are exact up to quadrature; see `Claim`."""
    sides = Estimate(left, how="quadrature"), Estimate(right, how="quadrature")
    return Claim(label, *sides, equal, tolerance, assumptions)


def outside(assumptions: tuple[bool | str, ...]) -> list[Claim]:
    """What is said of a case in which an assumption fails, and nothing is computed."""
    unknown = Estimate(np.nan, how="not computed")
    return [Claim("", unknown, unknown, assumptions=assumptions)]


def judge(claim: Claim) -> Verdict:
    """The verdict on one claim."""
    if not all(claim.assumptions):
        return Verdict.OUTSIDE
    left, right = float(claim.left.value), float(claim.right.value)
    error = Z * float(np.hypot(claim.left.stderr, claim.right.stderr)) + claim.error
    size = max(abs(left), abs(right))
    if np.isnan([left, right, error]).any():
        return Verdict.NAN
    if np.isinf([left, right]).any():  # inf <= 1 is wrong, 1 <= inf says nothing
        wrong = left != right if claim.equal else left > right
        return Verdict.VIOLATED if wrong else Verdict.UNDECIDED
    if np.isinf(error):
        return Verdict.UNDECIDED
    slack, rounding = right - left, ROUNDING * size + FLOOR
    if claim.equal:
        if abs(slack) > error + claim.tolerance + rounding:
            return Verdict.VIOLATED
        return Verdict.HOLDS if error <= RESOLVED * size else Verdict.UNDECIDED
    if slack < -error - rounding:
        return Verdict.VIOLATED
    return Verdict.HOLDS if slack >= error - rounding else Verdict.UNDECIDED


def case_text(case: Case) -> str:
    """A case in one line, such as kappa=4, zeta=0.6."""
    return ", ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in case.items()
    )


def side(estimate: Estimate) -> str:
    """A side: four digits, and the standard error if there is one."""
    value, error = float(estimate.value), float(estimate.stderr)
    return f"{value:.4g} ± {error:.1g}" if error > 0 else f"{value:.4g}"


def report(name: str, bound: AbstractBound, case: Case, claim: Claim) -> BoundReport:
    """The claim with its verdict."""
    right = float(claim.right.value)
    tightness = float(claim.left.value) / right if right else float("nan")
    said = claim.asked or bound.facts.assumptions
    kept = claim.assumptions or (BUILT,) * len(said)
    label = f"{claim.label} ({claim.status})" if claim.status else claim.label
    return BoundReport(
        name,
        case,
        label,
        claim.left,
        claim.right,
        claim.right - claim.left,
        tightness,
        judge(claim),
        tuple(zip(said, kept, strict=True)),
        claim.equal,
    )
