r"""The main job: every approximation, kernel and number of steps on two testbeds.

Each case is the exact law of a sampler and its measures; nothing is sampled. Cases of one
problem, approximation and kernel run one after the other, as they share compiled
programs, and two such groups run at a time.
"""

from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from . import approximations, kernels, laws, measures, plotting, problems
from ._checks import InputError, fail
from .measures import UNRESOLVED, Row
from .sampling import Guided
from .time_grids import time_grid

PROBLEMS = ("two-modes", "three-atoms")
STEPS = (5, 10, 20, 50, 100, 200, 500, 1000)
KERNELS = {
    "DDPM": kernels.DDPM(),
    "DDPM:variance=matched": kernels.DDPM("matched"),
    "DDIM:eta=0.5": kernels.DDIM(0.5),
    "EulerMaruyama": kernels.EulerMaruyama(),
}
SHOWN_KERNEL, SHOWN_STEPS = "DDPM", 100
_CURVE = 20  # times at which a law is followed


class Plan(NamedTuple):
    """What to run."""

    problems: tuple[str, ...]
    approximations: tuple[str, ...]
    kernels: tuple[str, ...]
    steps: tuple[int, ...]


FULL = Plan(PROBLEMS, tuple(approximations.CATALOGUE), tuple(KERNELS), STEPS)
QUICK = Plan(PROBLEMS[:1], ("Exact", "TMPD"), ("DDPM",), (20, 50))


class Outcome(NamedTuple):
    """Rows of the table, and the laws that figures show, by (problem, approximation)."""

    rows: list[Row]
    shown: dict[tuple[str, str], Any]


def run(plan: Plan, output: Path, console) -> Outcome:
    """Runs the plan with a progress bar and writes the CSV and the figures.

    Args:
        plan: `FULL` or a part of it.
        output: an existing folder that can be written.
        console: of rich, for the progress bar.
    """
    targets = {name: problems.get(name) for name in plan.problems}
    groups = [
        (problem, approximation, kernel)
        for approximation in plan.approximations
        for kernel in plan.kernels
        for problem in plan.problems
    ]
    rows, shown = {}, {}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(2) as pool:
        task = progress.add_task("exact laws", total=len(groups) * len(plan.steps))

        def work(group):
            problem, approximation, kernel = group
            found, law = [], None
            for steps in sorted(plan.steps, reverse=True):
                case, here = _case(targets[problem], *group, steps)
                found += case
                if kernel == SHOWN_KERNEL and steps == _shown_steps(plan):
                    law = here
                progress.advance(task)
            return group, found, law

        for done in as_completed([pool.submit(work, group) for group in groups]):
            group, found, law = done.result()
            rows[group] = found
            if law is not None:
                shown[group[0], group[1]] = law
    ordered = [row for group in sorted(groups, key=_order(plan)) for row in rows[group]]
    measures.write(ordered, output / "measures.csv")
    outcome = Outcome(ordered, shown)
    draw(plan, outcome, targets, output)
    return outcome


def _case(target, problem, approximation, kernel, steps):
    """Rows of one law, and the law; a law that cannot be had is a row with the reason."""
    sampler = Guided(approximations.CATALOGUE[approximation](), KERNELS[kernel])
    times = time_grid(target.path, steps, t_min=problems.T_MIN)
    key = (problem, approximation, kernel, steps)
    try:
        law = laws.grid(sampler, target, times)
    except InputError as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        return [Row(*key, UNRESOLVED, problems.T_MIN, np.nan, reason)], None
    density = measures.thinned(law.at(-1), 1024, target.posterior(times[-1]))
    found = measures.scalars(measures.final(density, target, times[-1]))
    rows = [Row(*key, name, problems.T_MIN, value) for name, value in found.items()]
    for index in np.unique(np.linspace(0, steps, min(_CURVE, steps + 1)).astype(int)):
        posterior = target.posterior(times[index])
        passing = measures.passing(law.native(int(index)), posterior)
        t = float(times[index])
        rows += [Row(*key, f"{name}(t)", t, value) for name, value in passing.items()]
    return rows, law


def tables(plan: Plan, rows: list[Row], measure: str = "tv") -> list:
    """One table a problem: the measure by approximation, kernel and number of steps."""
    found = []
    for problem in plan.problems:
        values: dict = {}
        for row in rows:
            if row.problem == problem and row.measure in (measure, UNRESOLVED):
                place = values.setdefault((row.approximation, row.kernel), {})
                place[row.steps] = row.value
        title = f"{problem}: total variation from the exact posterior at t = 0.01"
        found.append(plotting.tables.by_steps(title, plan.steps, values))
    return found


def unresolved(rows: list[Row]) -> list[str]:
    """One line for each law that could not be computed, with the reason."""
    return [
        f"{row.problem}, {row.approximation}, {row.kernel}, N={row.steps}: {row.note}"
        for row in rows
        if row.measure == UNRESOLVED
    ]


def draw(plan: Plan, outcome: Outcome, targets, output: Path) -> None:
    """Writes the four figures of each problem as PNG and PDF."""
    for problem in plan.problems:
        rows = [row for row in outcome.rows if row.problem == problem]
        _against_steps(plan, problem, rows, output)
        _in_time(
            plan, problem, rows, output, "spread_ratio", "variance / exact variance"
        )
        _in_time(plan, problem, rows, output, "tv", "total variation if stopped at $t$")
        held = {name: law for (of, name), law in outcome.shown.items() if of == problem}
        if held:
            _heatmaps(plan, problem, targets[problem], held, output)


def _against_steps(plan, problem, rows, output) -> None:
    figure = plotting.figure(height=4.6 if len(plan.kernels) > 1 else 2.8)
    across = 2 if len(plan.kernels) > 1 else 1
    down = -(-len(plan.kernels) // across)
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for axes, kernel in zip(panels.ravel(), plan.kernels, strict=False):
        curves = {}
        for name in plan.approximations:
            values = {
                row.steps: row.value
                for row in rows
                if (row.approximation, row.kernel, row.measure) == (name, kernel, "kl")
            }
            curves[name] = np.array([values.get(steps, np.nan) for steps in plan.steps])
        plotting.against_steps(axes, plan.steps, curves)
        axes.set_title(kernel)
        exact = curves.get("Exact", np.zeros(0))
        if len(exact) > 3 and np.isfinite(exact[3]):
            order = -4 if "matched" in kernel else -2
            ends = (plan.steps[3], plan.steps[-1])
            plotting.reference_slope(axes, ends, 0.6 * float(exact[3]), order)
    for axes in panels[:, 0]:
        axes.set_ylabel("KL(law | exact), nats")
    for axes in panels[:-1].ravel():
        axes.set_xlabel("")
    plotting.legend_below(figure, panels[0, 0], 4)
    plotting.save(figure, output / f"divergence_{problem}")


def _in_time(plan, problem, rows, output, measure, label) -> None:
    steps = _shown_steps(plan)
    curves = {}
    for name in plan.approximations:
        points = [
            (row.t, row.value)
            for row in rows
            if (row.approximation, row.kernel, row.steps, row.measure)
            == (name, plan.kernels[0], steps, f"{measure}(t)")
        ]
        if points:
            t, value = np.array(points).T
            curves[name] = (t, value)
    figure = plotting.figure(width=plotting.COLUMN_WIDTH * 1.4, height=3.4)
    axes = figure.subplots()
    plotting.against_time(axes, curves, label)
    axes.set_yscale("log")
    axes.set_title(f"{problem}, {plan.kernels[0]}, N = {steps}")
    plotting.legend_below(figure, axes, 4)
    name = {"tv": "early_stopping", "spread_ratio": "spread"}[measure]
    plotting.save(figure, output / f"{name}_{problem}")


def _heatmaps(plan, problem, target, held, output) -> None:
    x = plotting.span(target)
    times = next(iter(held.values())).times
    exact = plotting.exact_history(target, times, x)
    names = [name for name in plan.approximations if name in held]
    panels = {name: plotting.history(held[name], x) for name in names}
    title = f"{problem}: laws of {plan.kernels[0]} with N = {_shown_steps(plan)} steps"
    plotting.save(
        plotting.heatmaps(exact, panels, title), output / f"heatmaps_{problem}"
    )


def _shown_steps(plan: Plan) -> int:
    return SHOWN_STEPS if SHOWN_STEPS in plan.steps else plan.steps[-1]


def _order(plan: Plan):
    def place(group):
        problem, approximation, kernel = group
        return (
            plan.problems.index(problem),
            plan.approximations.index(approximation),
            plan.kernels.index(kernel),
        )

    return place


def prepared(output: Path) -> Path:
    """The folder, made if need be.

    Raises:
        InputError: if it cannot be written.
    """
    probe = output / ".probe"
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        fail(
            "the output folder cannot be written",
            got=f"{output}: {error.strerror}",
            expected="a folder that can be made or written",
            hint="choose another with --output",
        )
    return output
