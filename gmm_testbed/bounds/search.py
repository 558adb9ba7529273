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

from .._checks import InputError, UnsupportedError, choose, require
from .._types import Key
from ..estimate import Estimate
from .base import AbstractBound, Claim, Verdict, judge
from .doubling import twice
from .findings import Attack, Finding
from .spaces import AbstractSpace, Between, Coordinates, OneOf

_STARTS = 0.4  # share of the budget that random starts have
_SEEN = 1e-7  # sides below this are 0 up to rounding, and show nothing
_UNSEEN = 2.0  # their score; a true one is at most 2, for sides of opposite signs
_VARIES = re.compile(r" = -?[0-9]")  # what a label says of the case
_FRESH = 8  # keys that confirm a violation of sampled sides


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

    Raises:
        InputError: without a budget, or for a fixed parameter that is not searched.
    """
    require(
        evaluations >= 1 and seconds > 0.0,
        "an attack needs a budget",
        got=f"evaluations {evaluations}, seconds {seconds}",
        expected="evaluations >= 1 and seconds > 0",
        hint="300 and 60 are the defaults",
    )
    for label in fixed or {}:
        choose(label, spaces(bound), f"parameter of an attack on {name}")
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
    z: np.ndarray | None  # None of a case of the sweep
    setting: dict[str, Any]
    claim: Claim
    place: int  # among the claims of the theorem


class _Search:
    """Cases that were tried, and the tightest of each claim."""

    def __init__(self, bound, key, fixed, evaluations, seconds, watch):
        self.bound, self.key, self.watch = bound, key, watch
        self.spaces = {k: s for k, s in spaces(bound).items() if k not in fixed}
        self.fixed, self.budget, self.seconds = fixed, evaluations, seconds
        self.begun, self.evaluations, self.refused = time.monotonic(), 0, 0
        self.best: dict[str, _Best] = {}
        self.tried: list[tuple[np.ndarray, dict[str, float]]] = []
        self.size = sum(space.size for space in self.spaces.values())

    @property
    def used(self) -> float:
        """Share of the budget."""
        clock = (time.monotonic() - self.begun) / self.seconds
        return max(clock, (self.evaluations + self.refused) / self.budget)

    def starts(self) -> None:
        """The cases of the sweep, the middle of every space, and random cases."""
        for case in self.bound.cases[: int(_STARTS * self.budget)]:
            if self.used < _STARTS:
                self._judged(lambda case=case: self.bound.setting(case), None)
        data = np.asarray(jax.random.key_data(self.key)).ravel()
        draw = np.random.default_rng(data.tolist())
        z = np.zeros(self.size)
        while not self.tried or self.used < _STARTS:
            self.tried.append((z, self.scores(z)))
            z = draw.standard_normal(self.size) * draw.choice([0.7, 1.0, 2.0])

    def polish(self) -> None:
        """Downhill for each inequality from its tightest starts, while there is budget."""
        labels = [k for k, best in self.best.items() if not best.claim.equal]
        for number, label in enumerate(labels):
            left = (1.0 - self.used) / (len(labels) - number)
            until = self.used + left
            if self.best[label].score <= 0.0 and self._is_violated(label):
                continue
            self._downhill(label, until)

    def _is_violated(self, label) -> bool:
        return judge(self.best[label].claim) is Verdict.VIOLATED

    def _downhill(self, label, until) -> None:
        def objective(z):
            if self.used >= until:
                raise _Over
            return self.scores(z).get(label, _UNSEEN)

        begin = sorted(self.tried, key=lambda start: start[1].get(label, _UNSEEN))
        with contextlib.suppress(_Over):
            for z, _ in begin:
                score = _UNSEEN
                while True:  # a simplex that has collapsed is begun anew
                    found = minimize(
                        objective,
                        z,
                        method="Nelder-Mead",
                        options={"adaptive": True, "xatol": 1e-3, "fatol": 1e-6},
                    )
                    if score - found.fun <= 1e-2 * abs(found.fun):
                        break
                    z, score = found.x, found.fun

    def scores(self, z) -> dict[str, float]:
        """Slack over the larger side of each claim, smaller is tighter; keeps the best."""
        return self._judged(lambda: placed(self.bound, z, self.fixed), np.array(z))

    def _judged(self, make, z) -> dict[str, float]:
        try:
            setting = {**make(), **self.fixed}
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
        named = zip(_names(claims), claims, verdicts, strict=True)
        for place, (name, claim, verdict) in enumerate(named):
            if verdict in (Verdict.OUTSIDE, Verdict.NAN):
                continue
            found[name] = score = slack(claim)
            if score == _UNSEEN:
                continue
            if name not in self.best or score < self.best[name].score:
                self.best[name] = _Best(score, z, setting, claim, place)
        return found


class _Over(Exception):
    """The budget is used up."""


def placed(
    bound: AbstractBound, z: Coordinates, fixed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What coordinates (n,) of an attack stand for: parameters of `sides`, by name."""
    fixed, made, place = fixed or {}, {}, 0
    for name, space in spaces(bound).items():
        if name not in fixed:
            made[name] = space.at(np.asarray(z[place : place + space.size]))
            place += space.size
    if not bound.facts.search:
        made = bound.setting(made)
    return {**made, **fixed}


def spaces(bound: AbstractBound) -> dict[str, AbstractSpace]:
    """Where each parameter of a theorem is searched.

    By its facts, or else over the numbers of its labels: within the limits of what is
    computed, and up to ten times beyond the sweep where it has none.
    """
    if bound.facts.search:
        return dict(bound.facts.search)
    limits = {limit.label: limit for limit in bound.facts.limits}
    labels = dict.fromkeys(label for case in bound.cases for label in case)
    return {
        label: _around([c[label] for c in bound.cases if label in c], limits.get(label))
        for label in labels
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
        return -abs(right - left) if claim.equal else _UNSEEN
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
    sampled = float(claim.left.stderr) > 0 or float(claim.right.stderr) > 0
    if not sampled:
        fine = twice(bound, key, best.setting)[best.place]
        change = fine.error
        if verdict is Verdict.VIOLATED:
            claim, verdict = fine, judge(fine)
    elif verdict is Verdict.VIOLATED:
        keys = jax.random.split(jax.random.fold_in(key, 1), _FRESH)
        drawn = [bound.sides(key, **best.setting)[best.place] for key in keys]
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
        best.z,
    )


def _pooled(estimates) -> Estimate:
    """Mean of independent estimates of one number."""
    values = np.array([float(e.value) for e in estimates])
    errors = np.array([float(e.stderr) for e in estimates])
    return Estimate(
        values.mean(), np.sqrt(np.sum(errors**2)) / len(values), estimates[0].how
    )
