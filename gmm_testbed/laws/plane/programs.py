r"""One stage of a step in the plane, from the nodes of a grid to a grid.

For a single Gaussian the means at neighbouring nodes say how fine the nodes must be, as on
the line. For a mixture the sums over every second row and every second column say it: see
`line_mixture`.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np

from .. import resolution
from ..explicit import Stage, require_count
from ..line.bands import REACH
from ..line.programs import Fixed, arguments, fixed
from . import state as plane_state
from .state import NEGLIGIBLE, State
from .sums import Sources, sources

_TOLERANCE = 1e-8  # aliasing of one step
_HALVES = 1e-4  # total variation between a sum and its half; squared, the tolerance
_UNSEEN = 1e-30  # mass of a source of a mixture that is left out
_AT_ONCE = 2048  # points of a call
_GROWTH = 1.3  # of a grid that is too coarse


class Run(NamedTuple):
    """A stage, ready to be asked at many points.

    Attributes:
        program: `line_steps.fixed` of the stage, the target and the frame.
        count: K, Gaussians of a transition.
        refine: how many times finer than usual the grids are.
    """

    program: Fixed
    count: int
    refine: int

    def parts(self, points: np.ndarray, before, after) -> tuple:
        """Log-weights (n, K), means (n, K, 2) and covariances (n, K, 2, 2) at (n, 2)."""
        found = []
        for start in range(0, len(points), _AT_ONCE):
            some = points[start : start + _AT_ONCE]
            padded = np.pad(some, ((0, _AT_ONCE - len(some)), (0, 0)), mode="edge")
            made = _moves(*self.program, padded, before, after)
            require_count(made[0].shape[-1], self.count)
            found.append([np.asarray(part)[: len(some)] for part in made])
        return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def run(stage: Stage, target, times, frame: np.ndarray, refine: int) -> Run:
    """A stage in the coordinates z of x = frame @ z."""
    return Run(fixed(stage, target, frame), stage.count(target, times), refine)


@functools.partial(jax.jit, static_argnums=1)
def _moves(known, rest, points, t, s):
    stage, target, frame = arguments(known, rest)

    def one(z):
        parts = stage.parts(target, frame @ z, t, s)
        turned = jax.vmap(lambda covariance: frame.T @ covariance @ frame)
        return parts.log_weight, parts.mean @ frame, turned(parts.covariance)

    return jax.vmap(one)(points)


def advance(run: Run, window, state: State, fewest: int) -> State:
    """The law after the stage.

    Args:
        run: the stage.
        window: the times (2,) of the whole step.
        state: the law before it.
        fewest: nodes of a grid, each way.
    """
    step = _gaussian if run.count == 1 else _mixture
    while True:
        found, finer = step(run, window, state, fewest)
        if found is not None:
            return found
        state = plane_state.summed(state.sources, finer, state.density.dtype)


def _gaussian(run: Run, window, state: State, fewest: int):
    """The state after the stage, or None and the grids that it needs to start from."""
    made = run.parts(_points(state.nodes()), *window)
    mean, covariance = (part[:, 0] for part in made[1:])
    found = sources(state.mass().ravel(), mean, covariance)
    grids = plane_state.fitting(found, run.refine, fewest)
    landing = (found.mass > NEGLIGIBLE) & _lands(found, grids)
    ratios = [_ratio(found, state.density.shape, axis) for axis in (0, 1)]
    kept, finer = _resolved(state, found.mass, landing, ratios, run.refine)
    if finer is not None:
        return None, finer
    if kept is not landing:
        found = found.chosen(kept)
        grids = plane_state.fitting(found, run.refine, fewest)
    found = found.chosen(found.mass > 0.0)
    return plane_state.summed(found, grids, state.density.dtype), None


def _resolved(state: State, mass, landing, ratios, refine: int):
    """Which nodes take part, and the grids that they need if these are too coarse.

    All that land do, unless the grid would be too large for it: then the stiffest, of a
    negligible mass, are left out, and the grid ends where the others do.
    """
    worst = np.where(landing, np.maximum(*ratios), 0.0)
    order = np.argsort(-worst, kind="stable")
    spent = np.cumsum(np.where(landing, mass, 0.0)[order])
    for most, leave in plane_state.LEAVES:
        kept = landing
        if leave:
            kept = landing.copy()
            kept[order[: np.searchsorted(spent, leave, side="right")]] = False
        rooms = [
            resolution.allowance(mass[kept], ratio[kept], _TOLERANCE) / refine
            for ratio in ratios
        ]
        ends = [(0, grid.count - 1) for grid in state.grids]
        if leave:
            ends = _holding(
                np.where(kept, mass, 0.0).reshape(state.density.shape), leave
            )
        wanted = [
            (last - first + 1) / min(room, 1.0)
            for (first, last), room in zip(ends, rooms, strict=True)
        ]
        if plane_state.fits(wanted, most):
            break
    if min(rooms) >= 1.0:
        return kept, None
    lower, above = (
        [
            grid.lower + grid.spacing * end[side]
            for grid, end in zip(state.grids, ends, strict=True)
        ]
        for side in (0, 1)
    )
    fewest = [min(grid.count, plane_state.ORDINARY) for grid in state.grids]
    return kept, plane_state.fine_enough(lower, above, wanted, fewest)


def _holding(mass: np.ndarray, leave: float) -> list[tuple[int, int]]:
    """For each axis the first and last node that leave at most that mass outside."""
    ends = []
    for axis in (0, 1):
        below = np.cumsum(mass.sum(axis=1 - axis))
        last = np.searchsorted(below, below[-1] - leave)
        ends.append((int(np.searchsorted(below, leave, side="right")), int(last)))
    return ends


def _lands(found: Sources, grids) -> np.ndarray:
    """Which sources (n,) reach the grid."""
    reach = REACH * found.scales()
    lower = np.array([grid.lower for grid in grids])
    upper = np.array([plane_state.upper(grid) for grid in grids])
    with np.errstate(invalid="ignore"):
        near = (found.mean + reach >= lower) & (found.mean - reach <= upper)
    return near.all(axis=1)


def _ratio(found: Sources, shape, axis: int) -> np.ndarray:
    """Distance of each mean to its neighbours along an axis, in scales, (n,)."""
    mean = found.mean.reshape(*shape, 2)
    first, both, second = (part.reshape(shape) for part in found.covariance.T)
    gap = np.diff(mean, axis=axis)
    before, after = [(0, 0)] * 3, [(0, 0)] * 3
    before[axis], after[axis] = (1, 0), (0, 1)
    with np.errstate(all="ignore"):
        squares = [
            (second * gap[..., 0] ** 2 + first * gap[..., 1] ** 2)
            - 2.0 * both * gap[..., 0] * gap[..., 1]
            for gap in (np.pad(gap, before), np.pad(gap, after))
        ]
        ratio = np.sqrt(np.maximum(*squares) / (first * second - both**2))
    return ratio.ravel()


def _mixture(run: Run, window, state: State, fewest: int):
    """As `_gaussian`, from the four sums over even and odd rows and columns."""
    quarters = _quarters(run, window, state)
    whole = Sources(*(np.concatenate(parts) for parts in zip(*quarters, strict=True)))
    whole = whole._replace(mass=0.25 * whole.mass)
    grids = plane_state.fitting(whole, run.refine, fewest)
    dtype = state.density.dtype
    sums = [plane_state.on_grid(quarter, grids, dtype) for quarter in quarters]
    cell = grids[0].spacing * grids[1].spacing
    rows = 0.125 * np.abs(sums[0] + sums[1] - sums[2] - sums[3]).sum() * cell
    columns = 0.125 * np.abs(sums[0] + sums[2] - sums[1] - sums[3]).sum() * cell
    rough = [float(error) * run.refine > _HALVES for error in (rows, columns)]
    if any(rough):
        counts = [grid.count for grid in state.grids]
        growth = np.where(rough, _GROWTH, 1.0)
        lower = [grid.lower for grid in state.grids]
        above = [plane_state.upper(grid) for grid in state.grids]
        return None, plane_state.fine_enough(lower, above, counts * growth, counts)
    return State(grids, 0.25 * sum(sums), whole), None


def _quarters(run: Run, window, state: State) -> list[Sources]:
    """Sources at even and odd rows, and there at even and odd columns; mass 1 each."""
    points = _points(state.nodes())
    mass = state.mass()
    row, column = (index.ravel() for index in np.indices(mass.shape))
    mass, quarter = 4.0 * mass.ravel(), 2 * (row % 2) + column % 2
    return [
        _few_sources(run, window, points[which], mass[which])
        for which in (
            np.flatnonzero((quarter == k) & (mass > _UNSEEN)) for k in range(4)
        )
    ]


def _few_sources(run: Run, window, points, mass) -> Sources:
    """Points times components, but one for a component that is the same at all points."""
    found = []
    for start in range(0, len(points), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        log_weight, mean, covariance = run.parts(points[some], *window)
        share = mass[some, None] * np.exp(log_weight)
        still = (np.ptp(mean, axis=0) == 0.0).all(axis=-1)
        still &= (np.ptp(covariance, axis=0) == 0.0).all(axis=(-1, -2))
        found.append(
            sources(share[:, still].sum(axis=0), mean[0, still], covariance[0, still])
        )
        each = share[:, ~still].ravel()
        kept = each > _UNSEEN
        mean, covariance = mean[:, ~still], covariance[:, ~still]
        moving = mean.reshape(-1, 2)[kept], covariance.reshape(-1, 2, 2)[kept]
        found.append(sources(each[kept], *moving))
    whole = Sources(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
    return whole


def _points(nodes) -> np.ndarray:
    """All nodes of a grid, (n1 n2, 2)."""
    return np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1).reshape(-1, 2)
