"""What a pin is: a theorem, a generic case, and both sides by independent formulas."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import gmm_testbed as gt

RTOL = 1e-9  # of sides without an error
Z = 4.5  # standard errors, of sides with one


class Side(NamedTuple):
    """A number of an oracle.

    Attributes:
        value: the number.
        rtol: relative; of the less accurate of the two computations.
        stderr: of the oracle, where it samples too.
        atol: absolute, of numbers that may be 0.
        free: whether the sampled side is too rough for a tenth to be seen; it is pinned in
            another case.
    """

    value: float
    rtol: float = RTOL
    stderr: float = 0.0
    atol: float = 0.0
    free: bool = False

    def agrees(self, found: gt.Estimate, factor: float = 1.0) -> bool:
        """Whether what the package finds, times a factor, is this number."""
        apart = abs(factor * float(found.value) - self.value)
        error = (float(found.stderr) ** 2 + self.stderr**2) ** 0.5
        return apart <= self.rtol * abs(self.value) + self.atol + Z * error


class Among(NamedTuple):
    """One of several numbers."""

    values: np.ndarray
    stderr: float = 0.0
    free: bool = False

    @property
    def value(self) -> float:
        """The first, for a table."""
        return float(self.values[0])

    def agrees(self, found: gt.Estimate, factor: float = 1.0) -> bool:
        """Whether what the package finds, times a factor, is one of them."""
        return any(Side(value).agrees(found, factor) for value in self.values)


class Pin(NamedTuple):
    """One case of a theorem.

    Attributes:
        name: of the catalogue.
        case: of which both sides are recomputed.
        sides: no arguments; {label: (left, right)}, each a number, a `Side`, or None where
            it is not recomputed. A label may be the beginning of one.
        keys: how many independent runs are averaged, where a side is sampled.
    """

    name: str
    case: dict[str, Any]
    sides: Callable[[], dict[str, tuple]]
    keys: int = 1


def side(value) -> Side | Among | None:
    """A plain number as a `Side`."""
    kept = value is None or isinstance(value, Side | Among)
    return value if kept else Side(float(value))


class Row(NamedTuple):
    """One side of one claim, beside its oracle."""

    name: str
    case: str
    label: str
    which: str
    found: gt.Estimate
    oracle: Side | Among

    @property
    def relative(self) -> float:
        """Relative difference, or absolute where the oracle finds 0."""
        apart = float(self.found.value) - self.oracle.value
        return apart / abs(self.oracle.value) if self.oracle.value else apart

    @property
    def notices(self) -> bool:
        """Whether a factor of 1.1 or 0.9 would be noticed."""
        return not any(self.oracle.agrees(self.found, f) for f in (1.1, 0.9))


def rows(pin: Pin) -> tuple[list[Row], set[str]]:
    """Every side that an oracle recomputes, and the labels that none does.

    The relation of the sides is that of the table of the tightest cases.
    """
    reports = averaged(pin)
    kept = {one.label: one.equal for one in gt.bounds.tightest(pin.name)}
    for label, report in reports.items():
        assert report.equal == kept.get(label, report.equal), f"{label}: = or <=?"
    found, oracles = [], pin.sides()
    missing = set(reports)
    case = ", ".join(f"{k}={v}" for k, v in pin.case.items())
    for label, sides in oracles.items():
        full = label if label in reports else _longer(label, reports)
        missing.discard(full)
        for which, oracle in zip(("left", "right"), map(side, sides), strict=True):
            if oracle is not None:
                value = getattr(reports[full], which)
                found.append(Row(pin.name, case, full, which, value, oracle))
    return found, missing


def averaged(pin: Pin) -> dict[str, gt.bounds.BoundReport]:
    """The reports of a case by label, with means over independent runs."""
    runs = [
        {r.label: r for r in gt.bounds.check(pin.name, key, **pin.case)}
        for key in jax.random.split(jax.random.key(0), pin.keys)
    ]
    if pin.keys == 1:
        return runs[0]

    def mean(label, which):
        sides = [getattr(run[label], which) for run in runs]
        errors = np.array([float(side.stderr) for side in sides])
        value = np.mean([float(side.value) for side in sides])
        return gt.Estimate(value, np.sqrt(np.sum(errors**2)) / len(runs), sides[0].how)

    return {
        label: report._replace(left=mean(label, "left"), right=mean(label, "right"))
        for label, report in runs[0].items()
    }


def _longer(label, reports) -> str:
    """The one label that begins so."""
    (full,) = (name for name in reports if name.startswith(label))
    return full
