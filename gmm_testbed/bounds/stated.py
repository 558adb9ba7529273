"""A bound of a user's own: a function that gives both sides."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx

from .. import testbeds as problems
from .._checks import require
from ..estimate import Estimate
from ..paths.grids import time_grid
from .base import AbstractBound, Case, Claim, Facts

_STEPS = 32


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
    facts: Facts = eqx.field(static=True)
    cases: tuple[Case, ...] = eqx.field(static=True)

    def __init__(self, function):
        said = (inspect.getdoc(function) or "").strip().split("\n")[0]
        name = getattr(function, "__name__", type(function).__name__)
        defaults = {
            label: parameter.default
            for label, parameter in inspect.signature(function).parameters.items()
            if parameter.default is not inspect.Parameter.empty
        }
        self.function = function
        self.facts = Facts(said or name, (), f"{name}, given", "stated")
        self.cases = (defaults,)

    def setting(self, case):
        target = problems.get("two-modes")
        usual = {
            "target": target,
            "problem": target.problem,
            "prior": target.problem.prior,
            "posterior": target.problem.posterior(),
            "times": time_grid(target.path, _STEPS, t_min=problems.T_MIN),
        }
        names = self.parameters()
        missing = [n for n in names if n not in usual and n not in case]
        require(
            not missing,
            "a bound has a parameter that nothing gives",
            got=", ".join(missing),
            expected="a default, or one of " + ", ".join(usual),
            hint="write `def my_bound(target, times, level=0.1)`",
        )
        return {n: case[n] if n in case else usual[n] for n in names}

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

    def parameters(self) -> list[str]:
        """What the function is computed from."""
        return [n for n in inspect.signature(self.function).parameters if n != "key"]


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
