r"""Attacks: the tightest case of a theorem, by search within its assumptions.

The slack of an inequality, over its larger side, is minimised over everything that the
facts of the theorem name in `search`: random starts, then the simplex method of Nelder and
Mead (1965) from the best of each claim. Random numbers are held while it searches. What
looks like a violation is one only if it is still there with twice the nodes of every
quadrature and with fresh random numbers, so that the best of many draws is no evidence.
"""

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.optimize import minimize

from .. import _display
from .._checks import InputError, UnsupportedError
from .._types import Key
from ..divergences.expectation import finer
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..problem import Target
from .base import AbstractBound, Claim, Verdict, judge, side
from .spaces import AbstractSpace, Between, OneOf
from .tools.space import Rotated

ATTAINED = 1e-6  # slack over the larger side, below which a bound is attained
_STARTS = 0.4  # share of the budget that random starts have
_SEEN = 1e-7  # sides below this are 0 up to rounding, and show nothing
_VARIES = re.compile(r" = -?[0-9]")  # what a label says of the case
_FRESH = 8  # keys that confirm a violation of sampled sides


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

    @property
    def attained(self) -> bool:
        """Whether the two sides are as good as equal: no smaller constant would do."""
        return self.equal or self.tightness > 1.0 - ATTAINED

    @property
    def slack(self) -> float:
        """Largest factor below 1 that the right side could lose on all that was seen."""
        return self.tightness


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


def attack(
    name: str,
    bound: AbstractBound,
    *,
    evaluations: int = 300,
    seconds: float = 60.0,
    key: Key | None = None,
    fixed: Mapping[str, Any] | None = None,
    watch: Callable[[float], None] = lambda share: None,
) -> Attack:
    """The tightest case of each claim of a theorem.

    Args:
        name: of the theorem.
        bound: the theorem.
        evaluations: cases to compute at most.
        seconds: to search at most; a case that has begun is finished.
        key: of random starts and of what is sampled; `jax.random.key(0)` by default.
        fixed: parameters that the attack must not change, by name.
        watch: told the share of the budget that is used.

    Returns:
        One `Finding` a claim. A claim of the search with the verdict "violated" was
        confirmed by finer quadrature and fresh random numbers.
    """
    key = jax.random.key(0) if key is None else key
    search = _Search(bound, key, fixed or {}, evaluations, seconds, watch)
    search.starts()
    search.polish()
    findings = tuple(
        _confirmed(bound, key, best, search.evaluations)
        for best in search.best.values()
    )
    return Attack(
        name,
        findings,
        search.evaluations,
        search.refused,
        time.monotonic() - search.begun,
    )


class _Best(NamedTuple):
    score: float
    z: np.ndarray
    setting: dict[str, Any]
    claim: Claim


class _Search:
    """Cases that were tried, and the tightest of each claim."""

    def __init__(self, bound, key, fixed, evaluations, seconds, watch):
        self.bound, self.key, self.watch = bound, key, watch
        self.spaces = {k: s for k, s in spaces(bound).items() if k not in fixed}
        self.fixed, self.budget, self.seconds = fixed, evaluations, seconds
        self.begun, self.evaluations, self.refused = time.monotonic(), 0, 0
        self.best: dict[str, _Best] = {}
        self.size = sum(space.size for space in self.spaces.values())

    @property
    def used(self) -> float:
        """Share of the budget."""
        clock = (time.monotonic() - self.begun) / self.seconds
        return max(clock, (self.evaluations + self.refused) / self.budget)

    def starts(self) -> None:
        """Random cases; the first is the middle of every space."""
        data = np.asarray(jax.random.key_data(self.key)).ravel()
        draw = np.random.default_rng(data.tolist())
        self.scores(np.zeros(self.size))
        while self.used < _STARTS:
            self.scores(draw.standard_normal(self.size) * draw.choice([0.7, 1.0, 2.0]))

    def polish(self) -> None:
        """From the tightest case of each inequality downhill, while there is budget."""
        labels = [k for k, best in self.best.items() if not best.claim.equal]
        for number, label in enumerate(labels):
            left = (1.0 - self.used) / (len(labels) - number)
            until = self.used + left
            if self.best[label].score <= ATTAINED and self._is_violated(label):
                continue
            self._downhill(label, until)

    def _is_violated(self, label) -> bool:
        return judge(self.best[label].claim) is Verdict.VIOLATED

    def _downhill(self, label, until) -> None:
        def objective(z):
            if self.used >= until:
                raise _Over
            return self.scores(z).get(label, 2.0)

        with contextlib.suppress(_Over):
            while self.used < until:
                before = self.best[label].score
                minimize(
                    objective,
                    self.best[label].z,
                    method="Nelder-Mead",
                    options={"adaptive": True, "xatol": 1e-6, "fatol": 1e-12},
                )
                if before - self.best[label].score < 1e-3 * abs(before):
                    break

    def scores(self, z) -> dict[str, float]:
        """Slack over the larger side of each claim, smaller is tighter; keeps the best."""
        setting = dict(self.fixed)
        place = 0
        for name, space in self.spaces.items():
            setting[name] = space.at(z[place : place + space.size])
            place += space.size
        try:
            claims = self.bound.sides(self.key, **setting)
        except (InputError, UnsupportedError):
            self.refused += 1
            return {}
        self.watch(min(self.used, 1.0))
        verdicts = [judge(claim) for claim in claims]
        if all(v in (Verdict.OUTSIDE, Verdict.NAN) for v in verdicts):
            self.refused += 1
            return {}
        self.evaluations += 1
        found = {}
        for name, claim, verdict in zip(_names(claims), claims, verdicts, strict=True):
            if verdict in (Verdict.OUTSIDE, Verdict.NAN):
                continue
            found[name] = score = slack(claim)
            if name not in self.best or score < self.best[name].score:
                self.best[name] = _Best(score, np.array(z), setting, claim)
        return found


class _Over(Exception):
    """The budget is used up."""


def spaces(bound: AbstractBound) -> dict[str, AbstractSpace]:
    """Where each parameter of a theorem is searched.

    By its facts, or else over the numbers of its labels: within the limits of what is
    computed, and up to ten times beyond the sweep where it has none.
    """
    if bound.facts.search:
        return dict(bound.facts.search)
    limits = {limit.label: limit for limit in bound.facts.limits}
    return {
        label: _around([case[label] for case in bound.cases], limits.get(label))
        for label in bound.cases[0]
    }


def _around(values, limit) -> AbstractSpace:
    if limit is not None and limit.only:
        return OneOf(tuple(type(values[0])(value) for value in limit.only))
    if not all(isinstance(value, float) for value in values):
        return OneOf(tuple(dict.fromkeys(values)))
    positive = [value for value in values if value > 0.0]
    least, most = min(positive) / 10.0, max(positive) * 10.0
    if limit is not None:
        least, most = max(least, limit.least), min(most, limit.most)
    return Between(least, most)


def slack(claim: Claim) -> float:
    """(right - left) over the larger of them, or minus what an equality is off by."""
    left, right = float(claim.left.value), float(claim.right.value)
    size = max(abs(left), abs(right))
    if size < _SEEN:
        return -abs(right - left) if claim.equal else 2.0
    return -abs(right - left) / size if claim.equal else (right - left) / size


def _names(claims) -> list[str]:
    """Labels without what depends on the case, told apart where they are alike."""
    names = []
    for claim in claims:
        name = _VARIES.split(claim.label)[0]
        names.append(f"{name} ({names.count(name) + 1})" if name in names else name)
    return names


def _confirmed(bound, key, best, evaluations) -> Finding:
    """The tightest case of a claim, computed again where it matters."""
    claim, verdict, change = best.claim, judge(best.claim), 0.0
    index = [slack(c) == best.score for c in _again(bound, key, best.setting)]
    place = index.index(True) if True in index else None
    sampled = float(claim.left.stderr) > 0 or float(claim.right.stderr) > 0
    if place is not None and not sampled:
        with finer(2):
            fine = _again(bound, key, best.setting)[place]
        gaps = [float(c.right.value) - float(c.left.value) for c in (claim, fine)]
        change = abs(gaps[1] - gaps[0])
        if verdict is Verdict.VIOLATED:
            claim = fine._replace(tolerance=fine.tolerance + change)
            verdict = _within(claim, change)
    elif place is not None and verdict is Verdict.VIOLATED:
        keys = jax.random.split(jax.random.fold_in(key, 1), _FRESH)
        drawn = [_again(bound, key, best.setting)[place] for key in keys]
        sides = (_pooled([getattr(c, s) for c in drawn]) for s in ("left", "right"))
        claim = claim._replace(**dict(zip(("left", "right"), sides, strict=True)))
        verdict = judge(claim)
    right = float(claim.right.value)
    return Finding(
        best.claim.label,
        verdict,
        float(claim.left.value) / right if right else float("nan"),
        claim.left,
        claim.right,
        best.setting,
        change,
        claim.equal,
        evaluations,
    )


def _again(bound, key, setting) -> list[Claim]:
    return bound.sides(key, **setting)


def _within(claim, change) -> Verdict:
    """The verdict if the sides may be off by what finer quadrature changed."""
    if claim.equal:
        return judge(claim)
    slack = float(claim.right.value) - float(claim.left.value)
    return judge(claim) if slack < -change else Verdict.UNDECIDED


def _pooled(estimates) -> Estimate:
    """Mean of independent estimates of one number."""
    values = np.array([float(e.value) for e in estimates])
    errors = np.array([float(e.stderr) for e in estimates])
    return Estimate(
        values.mean(), np.sqrt(np.sum(errors**2)) / len(values), estimates[0].how
    )


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
    if np.ndim(value) or isinstance(value, int | float) or hasattr(value, "dtype"):
        return _numbers(value)
    return _display.one_line(value)


def _variances(mixture) -> np.ndarray:
    covariances = np.asarray(mixture.covariances())
    return covariances[:, 0, 0] if mixture.dim == 1 else covariances


def _numbers(values) -> str:
    return " ".join(f"{v:.6g}" for v in np.asarray(values, float).ravel())
