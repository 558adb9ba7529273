r"""What a method is: a step, and the law of a step.

A posterior sampler, whatever its paper calls it, gives the law of \(x_s\) given \(x_t\),
and given what it remembers; all that measures a method asks for that law. `Facts` says
what is known of a method, and `gt.conformance` asks whether it is true.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from . import _display
from ._checks import concrete, unsupported
from ._types import Scalar, Times, Vector
from .gaussian import AbstractStepLaw, Gaussian, Implicit, isotropic
from .problem import Linear, Target
from .problem.denoisers import Prior
from .random import Draws, no_draws


class Cost(NamedTuple):
    """Calls per step of one particle: numbers, so that accuracy against cost can be drawn.

    Attributes:
        denoiser: evaluations of E[x0 | x_t].
        jacobian: products with its Jacobian.
        measurement: products with H or its transpose beyond one residual, and solves.
    """

    denoiser: float = 1
    jacobian: float = 0
    measurement: float = 0

    def __str__(self) -> str:
        names = ("D", "J", "A")
        parts = [f"{n:g} {name}" for n, name in zip(self, names, strict=True) if n]
        return " + ".join(parts) or "none"


class ExactWhen(NamedTuple):
    """Where a method is exact; each field is a condition that conformance can make.

    Attributes:
        problem: "any", "one gaussian", "isotropic gaussian" (covariance v I) or "unit
            gaussian" (covariance I), of the prior.
        grid: "any" number of steps, or "fine": in the limit of many.
        start: "standard", or "exact": the exact law at the first time.
        particles: "any" number, or "many": in the limit.
    """

    problem: str = "any"
    grid: str = "any"
    start: str = "standard"
    particles: str = "any"


class Facts(NamedTuple):
    """What is known of an approximation, a kernel or a whole method.

    Attributes:
        summary: one line.
        reference: paper and equation.
        needs: what the problem or grid must have, of `NEEDS`.
        exact_when: conditions, each enough for the field (of an approximation) or the law
            (of a method) to be exact; empty if there is none.
        law: of a step: "gaussian", "mixture", "composed" of several, or "implicit".
        affine: whether a step is affine, with a constant covariance, for a prior of one
            Gaussian and a linear measurement, so that `gt.laws.affine` applies.
        gradient: whether the guidance is the gradient of a function for d >= 2; None for
            what has no guidance of its own.
        smooth: False if the mean of a step jumps where the residual y - f(m) vanishes.
        order: weak order of the law in the step size with a smooth field, 0 if the law has
            no limit, None where there is none to speak of.
        random_field: whether the law of a step depends on random numbers.
        uses_noise: whether R enters.
        output: "sample", "weighted" or "point".
        level: "t" if x is at noise level t, "data" if it is an estimate of x0.
        cost: per step.
    """

    summary: str
    reference: str
    needs: frozenset[str] = frozenset()
    exact_when: tuple[ExactWhen, ...] = ()
    law: str = "gaussian"
    affine: bool = False
    gradient: bool | None = None
    smooth: bool = True
    order: int | None = None
    random_field: bool = False
    uses_noise: bool = True
    output: str = "sample"
    level: str = "t"
    cost: Cost = Cost()


class AbstractDescribed(eqx.Module):
    """Anything with facts: approximations, kernels, methods, filters."""

    facts: eqx.AbstractVar[Facts]

    __repr__ = _display.call


class Step(NamedTuple):
    """One step of one particle.

    Attributes:
        law: of x_s given x_t, the memory, and the draws if `facts.random_field`.
        memory: what the next step needs besides x_s, a tree of arrays.
    """

    law: AbstractStepLaw
    memory: Any = ()


class AbstractMethod(AbstractDescribed):
    """A sampler whose particles do not meet: one chain of steps each."""

    @abstractmethod
    def start(self, target: Target, t: Scalar) -> AbstractStepLaw:
        r"""The law at the first time; `standard_start` is \(N(0, \sigma^2 I)\)."""

    @abstractmethod
    def memory(self, target: Target, x: Vector, t: Scalar) -> Any:
        """What the first step remembers of the start x (d,); () is nothing."""

    @abstractmethod
    def step(
        self,
        target: Target,
        memory: Any,
        x: Vector,
        t: Scalar,
        s: Scalar,
        draws: Draws,
    ) -> Step:
        """The law of x_s given x_t = x, and what to remember.

        Args:
            target: the problem along its path.
            memory: of the step before, or of the start.
            x: (d,).
            t: () time of x.
            s: () the next time, s < t.
            draws: random numbers, for methods whose field has some.
        """


class AbstractMarkov(AbstractMethod):
    """A method without memory, whose steps have explicit laws."""

    @abstractmethod
    def transition(
        self, target: Target, x: Vector, t: Scalar, s: Scalar
    ) -> AbstractStepLaw:
        """The law of x_s given x_t = x (d,), for times s < t."""

    def memory(self, target: Target, x: Vector, t: Scalar) -> Any:
        return ()

    def step(
        self,
        target: Target,
        memory: Any,
        x: Vector,
        t: Scalar,
        s: Scalar,
        draws: Draws,
    ) -> Step:
        return Step(self.transition(target, x, t, s))


class Leg(NamedTuple):
    """A part of a composed step.

    Attributes:
        method: what moves.
        t: () time it leaves.
        s: () time it reaches, above or below t.
    """

    method: AbstractMarkov
    t: Scalar
    s: Scalar


class AbstractComposed(AbstractMethod):
    """A method whose step is several explicit ones, one after the other."""

    @abstractmethod
    def legs(self, t: Scalar, s: Scalar) -> tuple[Leg, ...]:
        """The parts of the step from t to s; their number does not depend on t and s."""

    def memory(self, target: Target, x: Vector, t: Scalar) -> Any:
        return ()

    def step(
        self,
        target: Target,
        memory: Any,
        x: Vector,
        t: Scalar,
        s: Scalar,
        draws: Draws,
    ) -> Step:
        legs = self.legs(t, s)
        if len(legs) == 1:
            return Step(legs[0].method.transition(target, x, *legs[0][1:]))

        def through(draws: Draws) -> Vector:
            moved = x
            for number, leg in enumerate(legs):
                law = leg.method.transition(target, moved, leg.t, leg.s)
                moved = law.draw(draws.part(number))
            return moved

        return Step(Implicit(through))


def standard_start(method: AbstractMethod, target: Target, t: Scalar) -> Gaussian:
    r"""\(N(0, \sigma_t^2 I)\): the start of most methods, `start = standard_start`."""
    sigma = target.path.sigma(t)
    return isotropic(jnp.zeros(target.problem.prior.dim, sigma.dtype), sigma**2)


def name_of(part: AbstractDescribed) -> str:
    """The class and those of its parts: "DPS with DDPM", "TDS(TMPD, DDPM)"."""
    values = [getattr(part, name) for name in part.__dataclass_fields__]
    parts = [name_of(value) for value in values if isinstance(value, AbstractDescribed)]
    kind = type(part).__name__
    if kind == "Guided":
        return " with ".join(parts)
    return f"{kind}({', '.join(parts)})" if parts else kind


def parts_of(part: AbstractDescribed) -> list[AbstractDescribed]:
    """The described parts of a method, or itself if it has none."""
    values = [getattr(part, name) for name in part.__dataclass_fields__]
    inner = [value for value in values if isinstance(value, AbstractDescribed)]
    return [leaf for value in inner for leaf in parts_of(value)] or [part]


# --- what a problem or grid must have -----------------------------------------------


def check_needs(part: AbstractDescribed, target: Target, times: Times) -> None:
    """Refuses a problem or grid that lacks what the facts of a method name.

    Args:
        part: a method, or a part of one.
        target: the problem along its path.
        times: (N + 1,).

    Raises:
        UnsupportedError: with the need that is not met.
    """
    for need in sorted(part.facts.needs):
        NEEDS[need](part, target, times)


def require_linear(part: AbstractDescribed, target: Target) -> Linear:
    """The linear measurement of the target.

    Raises:
        UnsupportedError: if it is not linear.
    """
    measurement = target.problem.measurement
    if isinstance(measurement, Linear):
        return measurement
    unsupported(
        f"{name_of(part)} needs a linear measurement",
        got=type(measurement).__name__,
        expected="Linear(A, R)",
        hint="DPS, ZetaDPS, PiGDM and TMPD linearise a nonlinear measurement, and "
        "gt.smc.TDS weighs by it",
    )


def _require_rate(part, target, times, rate, index, how):
    if _scale(target, rate, times, index) == 0.0:
        t = float(np.asarray(times)[index])
        unsupported(
            f"{name_of(part)} divides by {rate}, which is 0 at times[{index}]",
            got=f"times[{index}] = {t:.6g} with {type(target.path).__name__}",
            expected=f"{rate} > 0 at every time",
            hint=f"take time_grid(path, N, {how}), or use DDIM",
        )


def _scale(target, rate, times, index) -> float | None:
    """alpha or sigma at a time of the grid, not below 0; None where JAX traces it."""
    if not concrete(times):
        return None
    with jax.ensure_compile_time_eval():  # inside jit too
        value = getattr(target.path, rate)(np.asarray(times)[index])
    return max(float(value), 0.0) if concrete(value) else None


def _posterior(part, target, times):
    target.posterior(times[0])  # raises if the posterior is not a mixture


def _density(part, target, times):
    if target.problem.prior.atomic and _scale(target, "sigma", times, -1) == 0.0:
        unsupported(
            "an empirical prior has no density without noise",
            got="a grid that ends at time 0",
            expected="t_min > 0",
            hint="weights are ratios of densities: end the grid at a small time",
        )


def _law_of_x0(part, target, times):
    if target.denoiser is None or isinstance(target.denoiser, Prior):
        return
    unsupported(
        f"{name_of(part)} needs the law of x0 given x_t",
        got=f"a target seen through {type(target.denoiser).__name__}, which gives a point",
        expected="the exact denoiser of a mixture",
        hint="see the target through denoisers.Prior(mixture), or take another method",
    )


NEEDS: dict[str, Callable] = {
    "linear": lambda part, target, times: require_linear(part, target),
    "law of x0": _law_of_x0,
    "signal": lambda *case: _require_rate(*case, "alpha", 0, "t_max=0.999"),
    "noise": lambda *case: _require_rate(*case, "sigma", -1, "t_min=1e-3"),
    "posterior": _posterior,
    "density": _density,
}
"""What `Facts.needs` may name: a linear measurement; a denoiser with a law of x0; alpha > 0
at the first time; sigma > 0 at the last time; a posterior that is a mixture; particles
with a density at the last time.
"""


@eqx.filter_jit
def first_law(
    method: AbstractMethod, target: Target, times: Times, x: Vector
) -> AbstractStepLaw:
    """The law of the first step from x (d,), in one program; it takes no draws."""
    memory = method.memory(target, x, times[0])
    return method.step(target, memory, x, times[0], times[1], no_draws()).law
