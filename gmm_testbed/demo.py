r"""The main job: every approximation, kernel and number of steps on two testbeds.

Each case is the exact law of a sampler and its measures; nothing is sampled. The four
kernels of one problem and approximation share a compiled program (`Selected`), and two
such groups run at a time: JAX leaves the interpreter free while it computes.
"""

import csv
import math
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from . import approximations, kernels, laws, measures, plotting, problems
from ._checks import InputError, floating
from ._types import Matrix, Scalar, Vector
from .approximations import AbstractApproximation, Facts
from .kernels import AbstractKernel, GuidedField, KernelFacts, Transition
from .problem import Target
from .sampling import Guided
from .time_grids import time_grid

KERNELS = {
    "DDPM": kernels.DDPM(),
    "DDPM:variance=matched": kernels.DDPM("matched"),
    "DDIM:eta=0.5": kernels.DDIM(0.5),
    "EulerMaruyama": kernels.EulerMaruyama(),
}
UNRESOLVED = "unresolved"
FIGURES = 4  # of each problem


class Plan(NamedTuple):
    """What to run, and what to show of it in time.

    Attributes:
        problems: names.
        approximations: names.
        kernels: names of `KERNELS`.
        steps: numbers of steps.
        shown_kernel: of the heat-maps.
        shown_steps: of all that is shown against time.
    """

    problems: tuple[str, ...] = ("two-modes", "three-atoms")
    approximations: tuple[str, ...] = tuple(approximations.CATALOGUE)
    kernels: tuple[str, ...] = tuple(KERNELS)
    steps: tuple[int, ...] = (5, 10, 20, 50, 100, 200, 500, 1000)
    shown_kernel: str = "DDPM"
    shown_steps: int = 200

    @property
    def size(self) -> int:
        """Number of cases."""
        samplers = len(self.approximations) * len(self.kernels)
        return len(self.problems) * samplers * len(self.steps)


FULL = Plan()
QUICK = Plan(("two-modes",), ("Exact", "TMPD"), ("DDPM",), (20, 50), "DDPM", 50)


class Row(NamedTuple):
    """One number of one case: a line of the CSV.

    Attributes:
        problem: its name.
        approximation: its name, with options.
        kernel: its name, with options.
        steps: N.
        measure: what was measured; "unresolved" if nothing could be. Those that were
            followed in time end in "(t)".
        t: the time of the law.
        value: the number, NaN for an unresolved case.
        note: why a case is unresolved, or the standard error of an estimate.
    """

    problem: str
    approximation: str
    kernel: str
    steps: int
    measure: str
    t: float
    value: float
    note: str = ""


class Outcome(NamedTuple):
    """What the job gives.

    Attributes:
        rows: in the order of the plan.
        histories: laws in time, by (problem, approximation).
    """

    rows: list[Row]
    histories: dict[tuple[str, str], plotting.History]


def run(plan: Plan, advance: Callable[[], None]) -> Outcome:
    """All cases of the plan, two groups at a time.

    Args:
        plan: `FULL`, or less.
        advance: called after each case.
    """
    truths = {
        name: measures.shared_reference(problems.get(name), problems.T_MIN)
        for name in plan.problems
    }
    groups = [
        (problem, name) for name in plan.approximations for problem in plan.problems
    ]
    stopped = threading.Event()
    found = {}
    with ThreadPoolExecutor(2) as pool:
        waiting = {
            pool.submit(_group, plan, truths[group[0]], group, advance, stopped): group
            for group in groups
        }
        try:
            for done in as_completed(waiting):
                found[waiting[done]] = done.result()
        finally:
            stopped.set()  # an interrupt waits for two cases, not for all
    ordered = [
        (problem, name) for problem in plan.problems for name in plan.approximations
    ]
    histories = {group: found[group][1] for group in ordered if found[group][1]}
    return Outcome([row for group in ordered for row in found[group][0]], histories)


def write(rows: Iterable[Row], path: Path) -> None:
    """Writes a CSV, one row a value."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)


def tables(plan: Plan, rows: list[Row], measure: str = "tv") -> list:
    """One table a problem: a measure by approximation, kernel and number of steps."""
    found = []
    for problem in plan.problems:
        values: dict = {}
        for row in rows:
            if row.problem == problem and row.measure in (measure, UNRESOLVED):
                here = values.setdefault((row.approximation, row.kernel), {})
                here[row.steps] = row.value
        what = plotting.tables.MEANINGS[measure]
        title = f"{problem}: {what} from the exact posterior, t = {problems.T_MIN:g}"
        found.append(plotting.tables.by_steps(title, plan.steps, values))
    return found


def unresolved(rows: list[Row]) -> list[str]:
    """The laws that could not be computed: one line for each reason and sampler."""
    found: dict = {}
    for row in rows:
        if row.measure == UNRESOLVED:
            key = row.problem, row.approximation, row.kernel, row.note
            found.setdefault(key, []).append(str(row.steps))
    return [
        f"{problem}, {approximation} with {kernel}, N = {', '.join(steps)}: {note}"
        for (problem, approximation, kernel, note), steps in found.items()
    ]


def draw(
    plan: Plan, outcome: Outcome, output: Path, advance: Callable[[], None]
) -> None:
    """Writes the figures of each problem as PNG and PDF, `FIGURES` of them."""
    names = plan.approximations, plan.kernels
    for problem in plan.problems:
        rows = [row for row in outcome.rows if row.problem == problem]
        ends, curves = {}, {}
        for row in rows:
            name = row.measure.removesuffix("(t)")
            if name == row.measure:
                ends[row.approximation, row.kernel, row.steps, name] = row.value
            elif row.steps == plan.shown_steps:
                key = row.approximation, row.kernel, name
                curves.setdefault(key, []).append((row.t, row.value))
        drawn = plotting.convergence(problem, plan.steps, *names, ends)
        plotting.save(drawn, output / f"divergence_{problem}")
        advance()
        for name, labels in plotting.IN_TIME.items():
            title = f"{problem}, $N = {plan.shown_steps}$ steps"
            drawn = plotting.in_time(title, labels, *names, curves)
            plotting.save(drawn, output / f"{name}_{problem}")
            advance()
        shown = {
            name: outcome.histories[problem, name]
            for name in plan.approximations
            if (problem, name) in outcome.histories and name != "Exact"
        }
        if shown:
            first = next(iter(shown.values()))
            exact = plotting.exact_history(problems.get(problem), first.times, first.x)
            title = (
                f"{problem}, {plan.shown_kernel} with $N = {plan.shown_steps}$ steps"
            )
            drawn = plotting.heatmaps(exact, shown, title)
            plotting.save(drawn, output / f"heatmaps_{problem}")
        advance()


class Selected(AbstractKernel):
    """One kernel of several on the line, chosen by a number that is data.

    What kernels do at a point differs by a few operations once the field is known there:
    one program for all of them compiles in the time of one.

    Attributes:
        kernels: those to choose from, none of which guides by itself.
        index: () which one.
    """

    kernels: tuple[AbstractKernel, ...]
    index: Int[Array, ""] = eqx.field(converter=jnp.asarray)

    facts: ClassVar[KernelFacts] = KernelFacts(
        summary="one of several kernels, in one compiled program",
        reference="",
        order=1,
        affine=True,
        needs_signal=True,
        guides=False,
    )

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Transition:
        """The transition of the chosen kernel; d = 1."""
        known = _Known(field.posterior_mean(x, t), field.covariance(x, t))
        here = GuidedField(known, field.target)
        moves = [kernel.transition(here, x, t, s) for kernel in self.kernels]
        means = jnp.stack([move.mean for move in moves])
        scales = jnp.stack([move.scale.reshape(()) for move in moves])
        return Transition(means[self.index], scales[self.index])


class _Known(AbstractApproximation):
    """A field at one point, where its moments have been evaluated before."""

    mean: Vector = eqx.field(converter=floating)
    variance: Matrix = eqx.field(converter=floating)

    facts: ClassVar[Facts] = Facts(
        summary="moments at one point",
        reference="",
        exact_for=(),
        is_gradient=False,
        affine_on_gaussian=False,
        needs="",
        cost="none",
    )

    def guidance(self, target: Target, x: Vector, t: Scalar) -> Vector:
        alpha, sigma = target.path.alpha(t), target.path.sigma(t)
        return alpha / sigma**2 * (self.mean - target.prior_mean(x, t))

    def posterior_mean(self, target: Target, x: Vector, t: Scalar) -> Vector:
        return self.mean

    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        return self.variance


def _group(plan, truth, group, advance, stopped):
    """Rows of all kernels and numbers of steps, and the law that is shown in time."""
    rows, history = [], None
    chosen = tuple(KERNELS[name] for name in plan.kernels)
    for index, kernel in enumerate(plan.kernels):
        approximation = approximations.CATALOGUE[group[1]]()
        sampler = Guided(approximation, Selected(chosen, index))
        for steps in plan.steps:
            if stopped.is_set():
                return rows, history
            law, found = _case(truth, sampler, (*group, kernel, steps))
            rows += found
            if law and (kernel, steps) == (plan.shown_kernel, plan.shown_steps):
                history = plotting.history(law, plotting.span(truth.target))
            advance()
    return rows, history


def _case(truth, sampler, key):
    """The law and its rows; for one that cannot be had, None and a row that says why."""
    times = time_grid(truth.target.path, key[-1], t_min=problems.T_MIN)
    try:
        law = laws.grid(sampler, truth.target, times)
    except InputError as error:
        what, got = (line.strip() for line in str(error).splitlines()[:2])
        reason = f"{what}: {got.removeprefix('got:').strip()}"
        return None, [Row(*key, UNRESOLVED, problems.T_MIN, math.nan, reason)]
    found = measures.final(measures.shared_grids(law.at(-1)), truth)
    rows = [Row(*key, name, problems.T_MIN, value) for name, value in found.items()]
    moments, curves = measures.passing(law, truth.target)
    for name, values in curves.items():
        rows += [
            Row(*key, f"{name}(t)", float(t), float(value))
            for t, value in zip(np.asarray(moments), values, strict=True)
        ]
    return law, rows
