r"""Gaussian steps of a law on the line: one at a time, or several onto one grid."""

from typing import NamedTuple

import numpy as np

from ..._checks import fail
from .. import resolution
from ..explicit import require_count
from ..resolution import COARSEST, TOLERANCE
from . import bands, jumps, panels
from . import programs as line_steps
from .programs import TILE_WIDTH
from .state import (
    MOST,
    NEGLIGIBLE,
    Grid,
    Sources,
    State,
    View,
    evaluate,
    fitting,
    rounded,
    spanning,
)

_MODEST = 1024  # nodes of a grid for a block; fewer steps may need fewer nodes
_USUAL = 1.3
_LEAK = 1e-11  # mass a block may lose before its steps are done one by one


class Run(NamedTuple):
    """One run.

    Attributes:
        program: `line_steps.fixed` of a stage and its target.
        jumping: `jumps.jumping` of a target whose residual makes the field jump, or None.
        refine: how many times finer than usual the grids are.
    """

    program: line_steps.Fixed
    jumping: line_steps.Fixed | None
    refine: int

    def transitions(self, points, before, after):
        """Means and scales (rows, n) at points (rows, n) for times (rows,)."""
        log_weight, mean, scale = self.parts(points, before, after)
        require_count(log_weight.shape[-1], 1)
        return mean[..., 0], scale[..., 0]

    def parts(self, points, before, after):
        """Log-weights, means and scales (rows, n, K) of the Gaussians of each step."""
        parts = line_steps.parts(self.program, points, before, after)
        silent = (parts[2] == 0).any(axis=(1, 2))
        if silent.any():
            fail(
                "a step has no noise, so the law after it has no density",
                got=f"transitions of scale 0 to t = {after[silent][0]:g}",
                expected="a positive scale at every step",
                hint="DDPM and DDIM end without noise at sigma = 0: stop at t_min > 0",
            )
        return parts


def advance(run: Run, window, state: State) -> State:
    """One step, from every node to every node."""
    rule = _rule(run, window[:1], state)
    sources = None
    if rule is not None:
        sources, ratio = _sources(run, rule, window[:1], window[1:], state)[0]
        if resolution.aliasing(sources.mass, ratio * run.refine) > TOLERANCE:
            sources = None
    if sources is None:
        sources = _from_panels(run, window, state)
    grid = fitting(sources, run.refine)
    nodes = grid.nodes(state.density.dtype)
    return State(grid, evaluate(sources, nodes, grid.count), sources)


def _from_panels(run: Run, window, state: State) -> Sources:
    """The Gaussians of one step whose means run apart."""
    nodes, active = state.grid.nodes(state.density.dtype), state.active()

    def transitions(points):
        padded = line_steps.filled(points, TILE_WIDTH)
        moved = run.transitions(padded[None], window[:1], window[1:])
        return [part[0, : points.size] for part in moved]

    zeros = jumps.locate(run.jumping, window[:1], nodes[None], active)[0]
    found = panels.adapted(transitions, nodes, active, zeros, run.refine)
    mass = found.weight * evaluate(state.sources, found.points)
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
            extra = evaluate(state.sources, rule.points[row, count:])
            density = np.concatenate([density, extra])
        found.append((Sources(weight * density, mean[row], scale[row]), ratio[row]))
    return found


def _ratio(mean, scale, count):
    """`resolution.gap_ratio` of the uniform nodes; zero for the others."""
    ratio = np.zeros_like(mean)
    uniform = slice(None), slice(count)
    ratio[uniform] = resolution.gap_ratio(mean[uniform], scale[uniform], axis=1)
    return ratio


def advance_block(run: Run, window, state: State) -> list[State] | None:
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
    count = rounded((upper - lower + 2 * margin) / spacing)
    if count > min(max(_MODEST, 2 * state.grid.count), MOST):
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
    start = evaluate(sources, rule.points[0], count)
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
    if grid.spacing * COARSEST * run.refine > scale[before > NEGLIGIBLE].min():
        return None
    every = [sources, *map(Sources, before, mean, scale)]
    return [State(grid, found[k, :count], every[k]) for k in range(rows + 1)]
