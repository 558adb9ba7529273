"""A bound of a user's own: a function that gives both sides."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx

from .. import testbeds as problems
from .._checks import require
from ..estimate import Estimate
from ..paths.grids import time_grid
from .base import STATED, AbstractBound, Case, Claim, Facts
from .spaces import AbstractSpace, Between, Fixed, Mixtures, Problems, Targets

_STEPS = 32
_WIDE = 30.0  # ratio of a number of an attack to its default
_SPACES: dict[str, AbstractSpace] = {
    "target": Targets(),
    "problem": Problems(),
    "prior": Mixtures(),
    "posterior": Mixtures(),
}


class Stated(AbstractBound):
    """A function of a problem that gives the left side, the right side, and assumptions.

    Its parameters are what it is computed from: `target`, `prior`, `times` and others as
    theorems have them, and numbers with a default. What a caller does not give is that of
    the testbed two-modes.

    Attributes:
        function: to (left, right) or (left, right, assumptions): numbers or `Estimate`s,
            and words with True or False.
    """

    function: Callable = eqx.field(static=True)
    facts: Facts
    cases: tuple[Case, ...]

    def __init__(self, function):
        said = (inspect.getdoc(function) or "").strip().split("\n")[0]
        name = getattr(function, "__name__", type(function).__name__)
        takes = inspect.signature(function).parameters
        defaults = {
            label: parameter.default
            for label, parameter in takes.items()
            if parameter.default is not inspect.Parameter.empty
        }
        self.function, self.cases = function, (defaults,)
        search = {
            label: _space(label, value, label in defaults)
            for label, value in self.setting(defaults).items()
        }
        self.facts = Facts(said or name, (), f"{name}, given", STATED, search=search)

    def setting(self, case):
        target = problems.get("two-modes")
        usual = {
            "target": target,
            "problem": target.problem,
            "prior": target.problem.prior,
            "posterior": target.problem.posterior(),
            "times": time_grid(target.path, _STEPS, t_min=problems.T_MIN),
        }
        given = usual | case
        names = [n for n in inspect.signature(self.function).parameters if n != "key"]
        missing = [name for name in names if name not in given]
        require(
            not missing,
            "a bound has a parameter that nothing gives",
            got=", ".join(missing),
            expected="a default, or one of " + ", ".join(usual),
            hint="write `def my_bound(target, times, level=0.1)`",
        )
        return {name: given[name] for name in names}

    def sides(self, key, **setting):
        """Both sides of the function's statement."""
        given = dict(setting)
        if "key" in inspect.signature(self.function).parameters:
            given["key"] = key
        found = self.function(**given)
        require(
            isinstance(found, tuple) and len(found) in (2, 3),
            "a bound gives no two sides",
            got=type(found).__name__,
            expected="(left, right) or (left, right, {assumption: True or False})",
            hint="return numbers, or gt.Estimate where they are sampled",
        )
        left, right = (
            side if isinstance(side, Estimate) else Estimate(side, how="given")
            for side in found[:2]
        )
        kept = found[2] if len(found) == 3 else {}
        asked = tuple(map(bool, kept.values()))
        return [Claim("", left, right, assumptions=asked, asked=tuple(kept))]


def _space(name: str, value: Any, chosen: bool) -> AbstractSpace:
    """Where an attack looks for a parameter: objects unless the function chose its own.

    Args:
        name: of the parameter.
        value: what it usually is.
        chosen: whether that is a default of the function.
    """
    if isinstance(value, float) and value > 0.0:
        return Between(value / _WIDE, value * _WIDE)
    return Fixed(value) if chosen else _SPACES.get(name, Fixed(value))


def as_bound(given: Any) -> AbstractBound:
    """A bound, of a class, an object or a function.

    Raises:
        InputError: for something else.
    """
    if isinstance(given, AbstractBound):
        return given
    if inspect.isclass(given) and issubclass(given, AbstractBound):
        return given()
    require(
        callable(given),
        "this is no bound",
        got=type(given).__name__,
        expected="a function that gives both sides, or a class as those of gt.bounds",
        hint="see gmm_testbed/bounds/two_ways.py",
    )
    return Stated(given)
