"""What an attack on a theorem found, and how it is said."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import _display
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..problem import Target
from .base import Verdict, side
from .spaces import Coordinates
from .tools.space import Rotated


class Finding(NamedTuple):
    """The tightest case of one claim.

    Attributes:
        label: the part of the theorem.
        verdict: of the tightest case, after confirmation.
        tightness: left / right there, the largest that was found.
        left: `Estimate`.
        right: `Estimate`.
        setting: what gives it, by name: `bound.sides(key, **setting)` computes it again.
        quadrature: absolute change of the slack when all nodes are doubled; 0 where both
            sides are sampled or in closed form.
        equal: whether equality is claimed.
        evaluations: cases in which this claim was computed.
        coordinates: (n,) of the case; `search.placed(bound, coordinates)` is its setting.
            None if it is a case of the sweep.
    """

    label: str
    verdict: Verdict
    tightness: float
    left: Estimate
    right: Estimate
    setting: dict[str, Any]
    quadrature: float
    equal: bool
    evaluations: int
    coordinates: Coordinates | None


class Attack(NamedTuple):
    """What an attack on a theorem found.

    Attributes:
        name: of the theorem.
        findings: one a claim.
        evaluations: cases that were computed.
        refused: cases that could not be computed, or lie outside the assumptions.
        seconds: that it took.
    """

    name: str
    findings: tuple[Finding, ...]
    evaluations: int
    refused: int
    seconds: float

    __repr__, _repr_html_ = _display.text, _display.html

    @property
    def violated(self) -> tuple[Finding, ...]:
        """Claims with a confirmed violation."""
        return tuple(f for f in self.findings if f.verdict is Verdict.VIOLATED)

    def _shown(self) -> _display.Shown:
        heads = "part", "left", "right", "left / right", "verdict", "where"
        rows = [
            (
                f.label,
                side(f.left),
                side(f.right),
                "=" if f.equal else f"{f.tightness:.6g}",
                f.verdict,
                in_words(f.setting),
            )
            for f in self.findings
        ]
        found = f"{len(self.violated)} violated" if self.violated else "none violated"
        line = (
            f"{self.name}: {found} in {self.evaluations} cases"
            + (f" ({self.refused} more are outside)" if self.refused else "")
            + f", {self.seconds:.0f} s"
        )
        return _display.Shown(line, (_display.table(heads, rows),))


def in_words(setting: Mapping[str, Any]) -> str:
    """What gives the tightest case, in one line."""
    return "; ".join(f"{name} {_value(value)}" for name, value in setting.items())


def _value(value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Rotated):
        return _value(value.line)
    if isinstance(value, GaussianMixture):
        weights, means = np.exp(value.log_weights), np.asarray(value.means)
        parts = "weights", weights, "means", means, "variances", _variances(value)
        return " ".join(p if isinstance(p, str) else _numbers(p) for p in parts)
    if isinstance(value, Target):
        problem = value.problem
        noise = _numbers(np.asarray(problem.measurement.R))
        return f"{_value(problem.prior)} noise {noise} y {_numbers(problem.y)}"
    if np.ndim(value) or isinstance(value, int | float | np.generic):
        return _numbers(value)
    return _display.one_line(value)


def _variances(mixture) -> np.ndarray:
    covariances = np.asarray(mixture.covariances())
    return covariances[:, 0, 0] if mixture.dim == 1 else covariances


def _numbers(values) -> str:
    return " ".join(f"{v:.6g}" for v in np.asarray(values, float).ravel())
