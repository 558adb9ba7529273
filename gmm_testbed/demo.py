r"""The main job: every approximation, kernel and number of steps on two testbeds.

Each case is the exact law of a sampler and its measures; nothing is sampled. The four
kernels of one problem and approximation share a compiled program (`kernels.Selected`),
and each problem has a process of its own.
"""

import csv
import math
import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from . import approximations, kernels, laws, measures, plotting, problems
from ._checks import InputError
from .algorithms import Guided
from .method import standard_start
from .time_grids import time_grid

KERNELS = {
    "DDPM": kernels.DDPM(),
    "DDPM:variance=matched": kernels.DDPM("matched"),
    "DDIM:eta=0.5": kernels.DDIM(0.5),
    "EulerMaruyama": kernels.EulerMaruyama(),
}
UNRESOLVED = "unresolved"
LAWS, FIGURES = "laws", "figures"  # what progress is made of
FIGURES_EACH = 2 + len(plotting.IN_TIME)  # of a problem


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


def run(
    plan: Plan,
    output: Path,
    advance: Callable[[str], None],
    prepare: Callable[[], None],
) -> list[Row]:
    """All cases of the plan and their figures, every problem in a process of its own.

    Args:
        plan: `FULL`, or less.
        output: folder of the figures.
        advance: called with "laws" after each case, with "figures" after each figure.
        prepare: called first in a new process, which has none of JAX's settings.

    Returns:
        Rows in the order of the plan.
    """
    if len(plan.problems) == 1:  # nothing to share out
        return _problem(plan, plan.problems[0], output, advance)
    context = multiprocessing.get_context("spawn")  # JAX does not survive a fork
    progress = context.SimpleQueue()
    pool = ProcessPoolExecutor(
        len(plan.problems), context, initializer=_begin, initargs=(progress, prepare)
    )
    try:
        jobs = [pool.submit(_job, plan, name, output) for name in plan.problems]
        waiting = set(jobs)
        while waiting:
            waiting = wait(waiting, timeout=0.1, return_when=FIRST_EXCEPTION).not_done
            while not progress.empty():
                advance(progress.get())
            if any(job.done() and job.exception() for job in jobs):
                break
        return [row for job in jobs for row in job.result()]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


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


_progress: Any = None  # of a process of its own


def _begin(progress, prepare):
    global _progress
    _progress = progress
    prepare()


def _job(plan, problem, output):
    return _problem(plan, problem, output, _progress.put)


def _problem(plan, problem, output, advance) -> list[Row]:
    """Rows and figures of one problem."""
    truth = measures.shared_reference(problems.get(problem), problems.T_MIN)
    target = truth.target
    grids = {n: time_grid(target.path, n, t_min=problems.T_MIN) for n in plan.steps}
    initial = standard_start(None, target, jnp.ones(())).mixture()
    chosen = tuple(KERNELS[name] for name in plan.kernels)
    rows, histories = [], {}
    for name in plan.approximations:
        for index, kernel in enumerate(plan.kernels):
            approximation = approximations.CATALOGUE[name]()
            sampler = Guided(approximation, kernels.Selected(chosen, index))
            for steps in plan.steps:
                case = (problem, name, kernel, steps)
                law, found = _case(truth, sampler, grids[steps], initial, case)
                rows += found
                if law and (kernel, steps) == (plan.shown_kernel, plan.shown_steps):
                    histories[name] = plotting.history(law, plotting.span(target))
                advance(LAWS)
    _draw(plan, target, rows, histories, output, lambda: advance(FIGURES))
    return rows


def _draw(plan, target, rows, histories, output, advance):
    """Writes the figures of a problem as PNG and PDF, `FIGURES_EACH` of them."""
    problem, names = rows[0].problem, (plan.approximations, plan.kernels)
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
    shown = {name: found for name, found in histories.items() if name != "Exact"}
    if shown:
        first = next(iter(shown.values()))
        exact = plotting.exact_history(target, first.times, first.x)
        title = f"{problem}, {plan.shown_kernel} with $N = {plan.shown_steps}$ steps"
        drawn = plotting.heatmaps(exact, shown, title)
        plotting.save(drawn, output / f"heatmaps_{problem}")
    advance()


def _case(truth, sampler, times, initial, key):
    """The law and its rows; for one that cannot be had, None and a row that says why."""
    try:
        law = laws.grid(sampler, truth.target, times, initial=initial)
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
