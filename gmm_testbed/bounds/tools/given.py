"""What a caller gives to a theorem: labels of a case, or problems of their own."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..._checks import choose, require
from ..._types import Times
from ...mixture import GaussianMixture
from ...problem import Linear, Target
from ..base import AbstractBound, Case
from .cases import complete
from .space import Rotated, round_form

_OF_TARGET = {
    "prior": lambda target: target.problem.prior,
    "mixture": lambda target: target.problem.prior,
    "p": lambda target: target.problem.prior,
    "q": lambda target: target.problem.posterior(),
    "posterior": lambda target: target.problem.posterior(),
    "path": lambda target: target.path,
    "problem": lambda target: target.problem,
    "measurement": lambda target: target.problem.measurement,
    "A": lambda target: _linear(target).A,
    "R": lambda target: _linear(target).R,
    "y": lambda target: target.problem.y - _linear(target).b,
}
_OF_TIME = {
    "v": lambda path, t: path.sigma(t) ** 2 / path.alpha(t) ** 2,
    "sigma": lambda path, t: path.sigma(t) / path.alpha(t),
    "alpha": lambda path, t: path.alpha(t),
    "snr": lambda path, t: path.alpha(t) ** 2 / path.sigma(t) ** 2,
    "t": lambda path, t: t,
}


_LEVELS = 4  # times of a theorem that speaks of one


class Asked(NamedTuple):
    """One case that is asked for.

    Attributes:
        case: labels for people: numbers, and what an object is in a few words.
        setting: parameters of `sides`.
    """

    case: Case
    setting: dict[str, Any]


def parameters(bound: AbstractBound) -> list[str]:
    """Names of what both sides of a theorem are computed from."""
    return bound.parameters()


def settings(name: str, bound: AbstractBound, given: Mapping[str, Any]) -> list[Asked]:
    """The cases that are asked for: one, or one a time where a theorem has one level.

    Args:
        name: of the theorem, for messages.
        bound: the theorem.
        given: labels and numbers of its sweep, parameters of its `sides`, or a `target`
            and `times` from which these follow.

    Raises:
        InputError: for a name that the theorem does not know, saying what it takes; for
            a label that cannot have its value.
    """
    takes = parameters(bound)
    known = {label for case in bound.cases for label in case}
    objects = {
        k: v
        for k, v in given.items()
        if k in takes and not (_is_label(v) and k in known)
    }
    rest = {k: v for k, v in given.items() if k not in objects}
    target, times = rest.get("target"), rest.get("times")
    derived = {}
    if target is not None and "target" not in takes:
        _require_target(name, target)
        derived = {k: f(target) for k, f in _OF_TARGET.items() if k in takes}
        _require_any(name, derived, "target", takes)
        rest.pop("target")
    levels = [{}]
    if times is not None and "times" not in takes:
        whole = given.get("target")
        require(
            whole is not None,
            "times of which path",
            got=f"times for {name}, and no target",
            expected="a target, whose path has them",
            hint="give target=, or the level itself: "
            + ", ".join(set(takes) & set(_OF_TIME)),
        )
        path = whole.path
        found = [k for k in _OF_TIME if k in takes]
        _require_any(name, found, "times", takes)
        levels = [
            {k: float(_OF_TIME[k](path, jnp.asarray(t))) for k in found}
            for t in np.atleast_1d(np.asarray(times, float))
        ]
        rest.pop("times")
    for label in rest:
        if label not in known:
            _refuse(name, label, takes, known)
    case = complete(name, bound.cases, rest, bound.facts.limits)
    own = {k: _plain(v) for k, v in (derived | objects).items()}
    asked = []
    for level in levels:
        setting = dict(bound.setting(case))
        unknown = set(own) - set(setting)
        require(
            not unknown,
            f"{name} does not take this in such a case",
            got=", ".join(sorted(unknown)),
            expected=", ".join(setting),
            hint="give the labels of a case that has it",
        )
        for label, value in objects.items():
            _require_kind(name, label, value, setting[label])
        shown = {"target": target} if derived else {}
        words = {k: _in_words(v) for k, v in (shown | objects).items()}
        kept = {k: v for k, v in case.items() if k in rest or k in setting}
        kept = {k: v for k, v in kept.items() if k not in own}
        asked.append(Asked(kept | level | words, setting | own | level))
    return asked


def on_target(
    name: str, bound: AbstractBound, target: Target, times: Times
) -> list[Asked]:
    """A theorem on a problem, at a few of its times where it speaks of one level.

    Args:
        name: of the theorem, for messages.
        bound: the theorem.
        target: the problem along a path.
        times: a grid of a sampler.

    Raises:
        InputError: if nothing of the theorem can be taken from a target.
    """
    takes = parameters(bound)
    given = {"target": target}
    if "times" in takes:
        given["times"] = times
    elif set(takes) & set(_OF_TIME):
        given["times"] = times[:: max(1, (len(times) - 1) // _LEVELS)]
    return settings(name, bound, given)


def _is_label(value) -> bool:
    """Whether a value is a word or a number, which labels have."""
    if isinstance(value, np.ndarray | jax.Array):
        return value.ndim == 0
    return isinstance(value, str | int | float | np.generic)


def _require_kind(name, label, value, usual) -> None:
    """Refuses a word or a number for an object; numbers are finite."""
    number = _is_label(value) and not isinstance(value, str)
    require(
        not _is_label(value) or (_is_label(usual) and number and np.isfinite(value)),
        f"{label} of {name} cannot have this value",
        got=repr(value),
        expected="a finite number" if _is_label(usual) else _in_words(usual),
        hint="give what its sides are computed from, or the labels of its sweep",
    )


def _plain(value):
    """A mixture on the line in the form that sums on the line ask for; else as it is."""
    on_the_line = isinstance(value, GaussianMixture) and value.dim == 1
    return round_form(value) if on_the_line else value


def _in_words(value) -> str | int | float:
    """An object in a few words; a number as it is."""
    if _is_label(value):
        return value
    if isinstance(value, Target):
        value = value.problem.prior
    if isinstance(value, Rotated):
        value = value.whole()
    if isinstance(value, GaussianMixture):
        count = value.num_components
        return f"{count} component{'s' if count > 1 else ''}, d = {value.dim}"
    if np.ndim(value):
        return f"{np.size(value)} values"
    return type(value).__name__


def _linear(target: Target) -> Linear:
    measurement = target.problem.measurement
    require(
        isinstance(measurement, Linear),
        "this theorem is for linear measurements",
        got=type(measurement).__name__,
        expected="a gt.Linear",
        hint="linearise it at a point, or choose another problem",
    )
    return measurement


def _require_target(name, target) -> None:
    require(
        isinstance(target, Target),
        f"{name} cannot use this target",
        got=type(target).__name__,
        expected="a gt.Target",
        hint="gt.Target(problem, path)",
    )


def _require_any(name, found, what, takes) -> None:
    require(
        found,
        f"{name} is not computed from {what}",
        got=what,
        expected=", ".join(takes),
        hint="give these, or the labels of its sweep",
    )


def _refuse(name, label, takes, known) -> None:
    names = dict.fromkeys([*sorted(known), *takes])
    if "target" not in takes and set(takes) & set(_OF_TARGET):
        names["target"] = None
    choose(label, names, f"label or parameter of {name}")
