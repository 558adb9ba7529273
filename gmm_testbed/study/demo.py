r"""Every approximation, kernel and number of steps on two testbeds.

Each cell is the exact law of a sampler, and every measure of it: nothing is sampled. At the
end as numbers; on the way, at about twenty times, as arrays; and the laws over time of one
kernel and number of steps, as heat-maps. A law that no grid resolves is skipped, with the
reason.
"""

import functools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import approximations, kernels, laws, plotting, sweep
from .. import testbeds as problems
from .._checks import InputError, UnsupportedError
from ..algorithms import Guided
from ..measures import measures
from ..paths.grids import time_grid
from ..problem import Target
from ..sampling import initial_law
from ..sweep import Experiment, Status, Store
from ..sweep.provenance import provenance
from .files import Study, expected_beside, head

KERNELS = {
    "DDPM": kernels.DDPM(),
    "DDPM:variance=matched": kernels.DDPM("matched"),
    "DDIM:eta=0.5": kernels.DDIM(0.5),
    "EulerMaruyama": kernels.EulerMaruyama(),
}
FIELDS = ("Exact", "Unguided", "DPS", "ZetaDPS", "PiGDM", "TMPD", "DDNM", "DiffPIR")
# The problem last: the processes of both then have cells from the beginning.
FULL = {
    "approximation": FIELDS,
    "kernel": tuple(KERNELS),
    "steps": (5, 10, 20, 50, 100, 200, 500, 1000),
    "problem": ("two-modes", "three-atoms"),
}
QUICK = {
    "approximation": ("Exact", "TMPD"),
    "kernel": ("DDPM",),
    "steps": (20, 50),
    "problem": ("two-modes",),
}
SHOWN_KERNEL, SHOWN_STEPS = "DDPM", (200, 50)  # in time: the first that is in the grid
UNRESOLVED = "unresolved"
_T = problems.T_MIN
_COLUMNS = 161  # of a heat-map that is kept


def study(quick: bool = False) -> Study:
    """The demo as a study: of all cells, or of a few that take seconds."""
    experiment = Experiment(
        laws_and_measures,
        QUICK if quick else FULL,
        name="demo",
        version=provenance().sources,  # whatever changes may change a number
    )
    inside = SimpleNamespace(
        **{
            function.__name__: functools.partial(function, experiment)
            for function in (claims, figures, tables, files, screen)
        }
    )
    expected = {} if quick else expected_beside(Path(__file__))
    title, text = head(__doc__, "demo")
    apart = "problem" if len(experiment.grid["problem"]) > 1 else ""
    file, experiments = Path(__file__), {"demo": experiment}
    return Study("demo", file, title, text, experiments, expected, inside, apart=apart)


def laws_and_measures(key, approximation, kernel, steps, problem):
    """The law of one sampler: its measures at the end, and on the way."""
    target, initial = _problem(problem)
    # One program for the four kernels: what they do at a point is a few operations.
    index = tuple(KERNELS).index(kernel)
    chosen = kernels.Selected(tuple(KERNELS.values()), index)
    sampler = Guided(approximations.CATALOGUE[approximation](), chosen)
    times = _times(problem, steps)
    try:
        law = laws.grid(sampler, target, times, initial=initial)
    except InputError as error:
        what, got = (line.strip() for line in str(error).splitlines()[:2])
        reason = f"{what}: {got.removeprefix('got:').strip()}"
        raise UnsupportedError(reason) from error
    metrics = measures.scalars(measures.of(law, target, _T))
    moments, curves = measures.in_time(law, target)
    arrays = {"times": moments} | curves
    if kernel == SHOWN_KERNEL and steps in SHOWN_STEPS:
        span = plotting.span(target)
        x = np.linspace(span[0], span[-1], _COLUMNS)
        shown = plotting.history(law, x)
        exact = plotting.exact_history(target, shown.times, x)
        arrays |= {"t": shown.times, "x": x}
        arrays |= {"law": shown.density.astype(np.float32)}
        arrays |= {"exact": exact.density.astype(np.float32)}
    return sweep.Found(metrics, arrays)


def claims(experiment: Experiment, store: Store) -> dict[str, float]:
    """Total variation at the end of the most steps of DDPM on two-modes, of each."""
    if experiment.grid["steps"] != FULL["steps"]:
        return {}
    found = store.wide(experiment)["tv"]
    return {
        f"{name}: two-modes, DDPM, N = 1000": found.at[name, "DDPM", 1000, "two-modes"]
        for name in experiment.grid["approximation"]
    }


def figures(experiment: Experiment, store: Store) -> Iterator[tuple[str, Any]]:
    """Of each problem: divergences, measures in time, and laws over time."""
    grid, steps = experiment.grid, _shown_steps(experiment)
    names = grid["approximation"], grid["kernel"]
    values = store.wide(experiment)
    every = store.wide(experiment, "digest")["tv"]
    for problem in grid["problem"]:
        ends = {
            (*cell, measure): value
            for measure in plotting.DIVERGENCES
            for cell, value in _of(values[measure], problem).items()
        }
        name = f"divergence_{problem}"
        yield name, plotting.convergence(problem, grid["steps"], *names, ends)
        cells = _of(every, problem).items()
        arrays = {cell[:2]: store.arrays(d) for cell, d in cells if cell[2] == steps}
        for name, labels in plotting.IN_TIME.items():
            curves = {
                (*cell, measure): list(zip(found["times"], found[measure], strict=True))
                for cell, found in arrays.items()
                for measure in labels
                if found
            }
            title = f"{problem}, $N = {steps}$ steps"
            name = f"{name}_{problem}"
            yield name, plotting.in_time(title, labels, *names, curves)
        shown = {
            name: plotting.History(found["t"], found["x"], found["law"])
            for (name, kernel), found in arrays.items()
            if kernel == SHOWN_KERNEL and found and name != "Exact"
        }
        if shown:
            found = next(a for (_, k), a in arrays.items() if k == SHOWN_KERNEL and a)
            exact = plotting.History(found["t"], found["x"], found["exact"])
            title = f"{problem}, {SHOWN_KERNEL} with $N = {steps}$ steps"
            yield f"heatmaps_{problem}", plotting.heatmaps(exact, shown, title)


def tables(experiment: Experiment, store: Store) -> dict[str, list[dict[str, Any]]]:
    """Of each problem, total variation by approximation, kernel and number of steps."""
    found = store.wide(experiment)["tv"]
    return {
        f"Total variation on {problem}": [
            {"approximation": approximation, "kernel": kernel}
            | {f"N={n}": by_steps.get(n, math.nan) for n in experiment.grid["steps"]}
            for (approximation, kernel), by_steps in _by_steps(found, problem).items()
        ]
        for problem in experiment.grid["problem"]
    }


def files(experiment: Experiment, store: Store) -> dict[str, list[dict[str, Any]]]:
    """Every value: at the end, and on the way under names that end in (t)."""
    rows = []
    by_cell: dict = {}
    for row in store.rows(experiment):
        by_cell.setdefault(tuple(row.cell.values()), []).append(row)
    order = experiment.grid["problem"]
    for same in sorted(
        by_cell.values(), key=lambda s: order.index(s[0].cell["problem"])
    ):
        cell, arrays = same[0].cell, store.arrays(same[0])
        labels = {n: cell[n] for n in ("problem", "approximation", "kernel", "steps")}

        def add(measure, t, value, note="", labels=labels):
            end = {"measure": measure, "t": float(t), "value": float(value)}
            rows.append(labels | end | {"note": note})

        for row in same:
            if row.metric is None:
                add(UNRESOLVED, _T, math.nan, row.reason)
            else:
                add(row.metric, _T, row.value)
        for name in _in_time(arrays):
            for t, value in zip(arrays["times"], arrays[name], strict=True):
                add(f"{name}(t)", t, value)
    return {"measures": rows}


def screen(experiment: Experiment, store: Store) -> Iterator[Any]:
    """The tables, and which laws are missing and why."""
    found = store.wide(experiment)["tv"]
    for problem in experiment.grid["problem"]:
        rows = _by_steps(found, problem)
        steps = experiment.grid["steps"]
        yield plotting.tables.by_steps(_title(problem), steps, rows)
    yield plotting.tables.LEGEND
    missing: dict = {}
    for row in store.rows(experiment):
        if row.status == Status.SKIPPED:
            cell = row.cell
            key = cell["problem"], cell["approximation"], cell["kernel"], row.reason
            missing.setdefault(key, []).append(str(cell["steps"]))
    if missing:
        yield "- no law on a grid:"
    for (problem, approximation, kernel, reason), steps in missing.items():
        where = f"{problem}, {approximation} with {kernel}, N = {', '.join(steps)}"
        yield f"  {where}: {reason}"


def _title(problem: str) -> str:
    what = measures.MEASURES["tv"]
    return f"{problem}: {what} from the exact posterior, t = {_T:g}"


def _shown_steps(experiment: Experiment) -> int:
    return next(n for n in SHOWN_STEPS if n in experiment.grid["steps"])


def _of(series, problem: str):
    """The part of a series over all labels that one problem has."""
    return series.xs(problem, level="problem")


def _by_steps(series, problem: str) -> Mapping[tuple[str, str], dict[int, float]]:
    """Values by approximation and kernel, and then by number of steps."""
    found: dict = {}
    for (approximation, kernel, steps), value in _of(series, problem).items():
        found.setdefault((approximation, kernel), {})[steps] = value
    return found


def _in_time(arrays) -> list[str]:
    """Names of the measures on the way."""
    return [n for n in arrays if n not in ("times", "t", "x", "law", "exact")]


@functools.cache
def _problem(name: str) -> tuple[Target, Any]:
    """A problem, and the law that its chains start from."""
    target = problems.get(name)
    exact = Guided(approximations.Exact(), kernels.DDPM())
    return target, initial_law(exact, target, jnp.ones(()))


@functools.cache
def _times(problem: str, steps: int):
    return time_grid(_problem(problem)[0].path, steps, t_min=_T)
