r"""The law of a stochastic sampler on the line, after every step, by quadrature.

The grid moves with the law: its range holds all but 1e-13 of the mass, and its spacing
follows the scale of the kernel, so a few hundred nodes are enough. With many steps, blocks
of them share one grid, and the transitions of a block are evaluated in one call. Where a
grid is too coarse for the next step, the last step is evaluated again at the nodes of
finer panels: nothing is interpolated.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from .._checks import fail
from . import bands, jumps, line_steps, panels, resolution
from .bands import REACH
from .line_steps import TILE_WIDTH
from .resolution import COARSEST, TOLERANCE

_SIZES = (
    256,
    384,
    512,
    768,
    1024,
    1536,
    2048,
    3072,
    4096,
    6144,
    8192,
    16384,
    32768,
    65536,
    131072,
)
_FEWEST, _MOST = _SIZES[0], _SIZES[-1]  # nodes of a grid
_BLOCK = 50
_MODEST = 1024  # nodes of a grid for a block; fewer steps may need fewer nodes
_NEGLIGIBLE = 1e-14  # mass of a node that no longer shapes the grid
_USUAL = 1.3
_LEAK = 1e-11  # mass a block may lose before its steps are done one by one


class Grid(NamedTuple):
    """`count` nodes from `lower`, `spacing` apart."""

    lower: float
    spacing: float
    count: int

    def nodes(self, dtype) -> np.ndarray:
        """The nodes, (count,)."""
        return (self.lower + self.spacing * np.arange(self.count)).astype(dtype)


class Sources(NamedTuple):
    """The Gaussians whose sum is the law after a step: arrays (n,)."""

    mass: Any
    mean: Any
    scale: Any


class State(NamedTuple):
    """The law at one time.

    Attributes:
        grid: where it is known.
        density: (n,) there.
        sources: what it is the sum of; the initial mixture before the first step.
    """

    grid: Grid
    density: Any
    sources: Any

    def mass(self) -> float:
        """Mass on the grid."""
        return float(self.density.sum()) * self.grid.spacing

    def active(self):
        """(n,), which nodes carry mass."""
        return self.density * self.grid.spacing > _NEGLIGIBLE


class Run(NamedTuple):
    """One run.

    Attributes:
        program: `line_steps.fixed` of the sampler and its target.
        jumping: `jumps.jumping` of a target whose residual makes the field jump, or None.
        refine: how many times finer than usual the grids are.
    """

    program: line_steps.Fixed
    jumping: line_steps.Fixed | None
    refine: int

    def transitions(self, points, before, after):
        """Means and scales (rows, n) at points (rows, n) for times (rows,)."""
        mean, scale = line_steps.transitions(self.program, points, before, after)
        silent = (scale == 0).any(axis=1)
        if silent.any():
            fail(
                "a step has no noise, so the law after it has no density",
                got=f"transitions of scale 0 to t = {after[silent][0]:g}",
                expected="a positive scale at every step",
                hint="DDPM and DDIM end without noise at sigma = 0: stop at t_min > 0",
            )
        return mean, scale


def propagate(sampler, target, times, initial, refine: int = 1) -> list[State]:
    """The law at each of the N + 1 times.

    Args:
        sampler: `Guided`, with a kernel that adds noise.
        target: a problem with d = 1.
        times: (N + 1,).
        initial: mixture at times[0].
        refine: how many times finer than usual the grids are.

    Raises:
        InputError: if a step needs a grid of more than 131072 nodes, or more than 4096
            panels, or has no noise.
    """
    jumping = None if sampler.facts.smooth else jumps.jumping(target)
    run = Run(line_steps.fixed(sampler, target), jumping, refine)
    steps = len(times) - 1
    block = min(_BLOCK, max(2, steps // 20)) if steps > 32 else 1
    times = np.asarray(times)
    states = [_start(initial, refine * _FEWEST, times.dtype)]
    rows = block
    while len(states) <= steps:
        index = len(states) - 1
        rows, found = min(rows, steps - index), None
        while rows > 1 and found is None:
            found = _block(run, times[index : index + rows + 1], states[-1])
            rows = 2 * rows if found else rows // 4
        found = found or [_single(run, times[index : index + 2], states[-1])]
        states += found
        rows = min(max(rows, 2), block)
    return states


def _start(initial, count, dtype) -> State:
    means = np.asarray(initial.means)[:, 0]
    reach = REACH * np.sqrt(np.asarray(initial.covariances())[:, 0, 0])
    grid = spanning(float((means - reach).min()), float((means + reach).max()), count)
    return State(grid, _evaluate(initial, grid.nodes(dtype)), initial)


def _evaluate(sources, points, uniform: int = 0):
    if isinstance(sources, Sources):
        return bands.density(sources, points, uniform)
    return np.exp(np.asarray(line_steps.mixture_log_prob(sources, points[:, None])))


def _single(run: Run, window, state: State) -> State:
    """One step, from every node to every node."""
    rule = _rule(run, window[:1], state)
    sources = None
    if rule is not None:
        sources, ratio = _sources(run, rule, window[:1], window[1:], state)[0]
        if resolution.aliasing(sources.mass, ratio * run.refine) > TOLERANCE:
            sources = None
    if sources is None:
        sources = _from_panels(run, window, state)
    view = View.of(sources, np.zeros_like(sources.mass))
    width = view.upper - view.lower
    needed = width * COARSEST * run.refine / view.least_scale
    count = max(_rounded(needed), run.refine * _FEWEST)
    if count > _MOST:
        fail(
            "the law cannot be resolved on a grid",
            got=f"a step that needs {count} nodes",
            expected=f"{COARSEST} nodes a standard deviation of every transition, "
            f"{_MOST} at most",
            hint="the guidance is too stiff for steps this long, or t_min is very "
            "small: take more steps, raise t_min, or use gt.sample",
        )
    grid = spanning(view.lower, view.upper, count)
    nodes = grid.nodes(state.density.dtype)
    return State(grid, _evaluate(sources, nodes, count), sources)


def _from_panels(run: Run, window, state: State) -> Sources:
    """The Gaussians of one step whose means run apart."""
    nodes, active = state.grid.nodes(state.density.dtype), state.active()

    def transitions(points):
        padded = line_steps.filled(points, TILE_WIDTH)
        moved = run.transitions(padded[None], window[:1], window[1:])
        return [part[0, : points.size] for part in moved]

    zeros = jumps.locate(run.jumping, window[:1], nodes[None], active)[0]
    found = panels.adapted(transitions, nodes, active, zeros, run.refine)
    mass = found.weight * _evaluate(state.sources, found.points)
    return Sources(mass, found.mean, found.scale)


def _rule(run: Run, times, state: State) -> jumps.Rule | None:
    """How to integrate over what the state's grid carries, at each of the times."""
    nodes = state.grid.nodes(state.density.dtype)
    return jumps.rule(run.jumping, times, nodes, state.grid.spacing, state.active())


def _sources(run: Run, rule, before, after, state: State) -> list:
    """Of a step from each of the times: Gaussians, and their means' distance in scales."""
    count = state.grid.count
    mean, scale = run.transitions(rule.points, before, after)
    ratio = _ratio(mean, scale, count)
    found = []
    for row, weight in enumerate(rule.weight):
        density = state.density
        if rule.points.shape[1] > count:
            extra = _evaluate(state.sources, rule.points[row, count:])
            density = np.concatenate([density, extra])
        found.append((Sources(weight * density, mean[row], scale[row]), ratio[row]))
    return found


def _ratio(mean, scale, count):
    """`resolution.gap_ratio` of the uniform nodes; zero for the others."""
    uniform = resolution.gap_ratio(mean[:, :count], scale[:, :count], axis=1)
    return np.pad(uniform, ((0, 0), (0, mean.shape[1] - count)))


def _block(run: Run, window, state: State) -> list[State] | None:
    """Several steps onto one grid, or None where that grid would not serve them all."""
    ends = window[[0, -2]], window[[1, -1]]
    rule = _rule(run, ends[0], state)
    if rule is None:
        return None
    found = _sources(run, rule, *ends, state)
    first, last = (View.of(*pair) for pair in found)
    allowed = min(first.allowance(), last.allowance())
    if first.aliasing(run.refine) > TOLERANCE:
        return None
    lower, upper = min(first.lower, last.lower), max(first.upper, last.upper)
    least = min(first.least_scale, last.least_scale)
    spacing = min(least / _USUAL, allowed * state.grid.spacing / 1.1) / run.refine
    margin = 0.05 * (upper - lower)
    count = _rounded((upper - lower + 2 * margin) / spacing)
    if count > min(max(_MODEST, 2 * state.grid.count), _MOST):
        return None
    grid = spanning(lower - margin, upper + margin, count)
    return _onto(run, window[1:], grid, found[0][0], state.density.dtype)


def _onto(run: Run, window, grid: Grid, sources: Sources, dtype) -> list[State] | None:
    """The sum of the sources on the grid, and a step from each of the times but one."""
    rows, count = len(window) - 1, grid.count
    rule = jumps.rule(run.jumping, window[:-1], grid.nodes(dtype), grid.spacing)
    if rule is None:
        return None
    mean, scale = run.transitions(rule.points, window[:-1], window[1:])
    start = _evaluate(sources, rule.points[0], count)
    if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
        return None
    found = bands.steps(start, rule.weight, mean, scale, rule.points, count)
    found = np.concatenate([start[None], found])
    mass = found[:, :count].sum(axis=1) * grid.spacing
    if mass[0] - mass[-1] > _LEAK:
        return None
    before = rule.weight * found[:-1]
    if resolution.aliasing(before, _ratio(mean, scale, count) * run.refine) > TOLERANCE:
        return None
    if grid.spacing * COARSEST * run.refine > scale[before > _NEGLIGIBLE].min():
        return None
    every = [sources, *map(Sources, before, mean, scale)]
    return [State(grid, found[k, :count], every[k]) for k in range(rows + 1)]


class View(NamedTuple):
    """What the nodes that carry mass do in a step."""

    lower: float
    upper: float
    least_scale: float
    mass: np.ndarray
    ratio: np.ndarray  # distance of neighbouring means, in scales

    def aliasing(self, refine: int) -> float:
        """Error of the sum over sources; `refine` asks for more than it needs."""
        return resolution.aliasing(self.mass, self.ratio * refine)

    def allowance(self) -> float:
        """The factor by which the spacing of the sources may grow."""
        return resolution.allowance(self.mass, self.ratio)

    @classmethod
    def of(cls, sources: Sources, ratio) -> "View":
        """Of sources whose means are `ratio` (n,) scales apart.

        Raises:
            InputError: if means or scales are not finite where the law has mass.
        """
        active = sources.mass > _NEGLIGIBLE
        mass, mean, scale = (part[active] for part in sources)
        if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
            fail(
                "a transition is not finite",
                got="NaN or infinite means or scales where the law has mass",
                expected="finite numbers",
                hint="take more steps, or stop at a larger t_min",
            )
        return cls(
            float((mean - REACH * scale).min()),
            float((mean + REACH * scale).max()),
            float(scale.min()),
            mass,
            ratio[active],
        )


def spanning(lower: float, upper: float, count: int) -> Grid:
    """`count` nodes from `lower` to `upper`."""
    return Grid(lower, (upper - lower) / (count - 1), count)


def _rounded(wanted: float) -> int:
    """The number of nodes: few values, so that few programs are compiled."""
    return next((size for size in _SIZES if size >= wanted), math.ceil(wanted))
