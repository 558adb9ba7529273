r"""The law of a stochastic sampler on the line, after every step, by quadrature.

The grid moves with the law: its range holds all but 1e-13 of the mass, and its spacing
follows the scale of the kernel, so a few hundred nodes are enough. With many steps, blocks
of them share one grid, and the transitions of a block are evaluated in one call. A grid
that turns out too coarse for the next step is refined by evaluating the last step again:
nothing is interpolated.
"""

from typing import Any, NamedTuple

import numpy as np

from .._checks import fail
from . import jumps, line_steps, resolution
from .line_steps import REACH
from .resolution import COARSEST, TOLERANCE

_SIZES = (
    256,
    384,
    512,
    640,
    768,
    1024,
    1280,
    1536,
    2048,
    3072,
    4096,
    6144,
    8192,
    16384,
)
_FEWEST, _MOST = _SIZES[0], _SIZES[-1]  # nodes of a grid
_BLOCK = 50
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

    def refined(self, count: int) -> "State":
        """The same law on `count` nodes over the same range."""
        if count > _MOST:
            fail(
                "the law cannot be resolved on a grid",
                got=f"a step that needs more than {_MOST} nodes",
                expected="1.2 nodes a standard deviation of every transition",
                hint="the guidance is too stiff for steps this long, or t_min is very "
                "small: take more steps, raise t_min, or use gt.sample",
            )
        upper = self.grid.lower + self.grid.spacing * (self.grid.count - 1)
        grid = spanning(self.grid.lower, upper, count)
        points = grid.nodes(self.density.dtype)
        return State(grid, _evaluate(self.sources, points), self.sources)


class Run(NamedTuple):
    """One run: what it needs and how fine it must be."""

    sampler: Any
    target: Any
    refine: int

    def transitions(self, points, before, after):
        """Means and scales (rows, n) at points (rows, n) for times (rows,)."""
        return line_steps.transitions(self.sampler, self.target, points, before, after)


def propagate(sampler, target, times, initial, refine: int = 1) -> list[State]:
    """The law at each of the N + 1 times.

    Args:
        sampler: `Guided`, with a kernel that adds noise.
        target: a problem with d = 1.
        times: (N + 1,).
        initial: mixture at times[0].
        refine: how many times finer than usual the grids are.

    Raises:
        InputError: if a step needs more than 16384 nodes.
    """
    run = Run(sampler, target, refine)
    steps = len(times) - 1
    block = min(_BLOCK, max(2, steps // 20)) if steps > 32 and sampler.smooth else 1
    times = np.asarray(times)
    states = [_start(initial, refine * _FEWEST, times.dtype)]
    while len(states) <= steps:
        index = len(states) - 1
        rows = min(block, steps - index)
        window = times[index : index + rows + 1]
        found = _block(run, window, states[-1]) if rows > 1 else None
        states += found or [_single(run, window[:2], states[-1])]
    return states


def _start(initial, count, dtype) -> State:
    means = np.asarray(initial.means)[:, 0]
    reach = REACH * np.sqrt(np.asarray(initial.covariances())[:, 0, 0])
    grid = spanning(float((means - reach).min()), float((means + reach).max()), count)
    return State(grid, _evaluate(initial, grid.nodes(dtype)), initial)


def _evaluate(sources, points):
    if isinstance(sources, Sources):
        return np.asarray(line_steps.dense_step(*sources, points))
    return np.exp(np.asarray(line_steps.mixture_log_prob(sources, points[:, None])))


def _single(run: Run, window, state: State) -> State:
    """One step, from every node to every node."""
    while True:
        sources, ratio = _sources(run, window, state)
        view = View.of(sources, ratio)
        allowed = view.allowance() / run.refine
        if allowed >= 1.0:
            break
        state = state.refined(_rounded(state.grid.count / allowed))
    width = view.upper - view.lower
    needed = width * COARSEST * run.refine / view.least_scale
    count = max(_rounded(needed), run.refine * _FEWEST)
    grid = spanning(view.lower, view.upper, count)
    new = State(grid, np.zeros(0, state.density.dtype), sources)
    if count > _MOST:
        return new.refined(count)  # raises
    return new._replace(density=_evaluate(sources, grid.nodes(state.density.dtype)))


def _sources(run: Run, window, state: State) -> tuple[Sources, np.ndarray]:
    """The Gaussians of one step, and how far apart their means are, in scales."""
    grid, dtype = state.grid, state.density.dtype
    nodes, mass = grid.nodes(dtype), state.density * grid.spacing
    extra, weights = [], []
    if not run.sampler.smooth:
        found = jumps.locate(run.target, window[0], nodes, mass > _NEGLIGIBLE)
        if jumps.overlap(found, grid.spacing):
            return _sources(run, window, state.refined(2 * grid.count))
        for jump in found:
            mass = mass * (1.0 - jumps.window(nodes, jump, grid.spacing))
            near, weight = jumps.legendre(jump, grid.spacing)
            extra.append(near.astype(dtype))
            weights.append(weight * _evaluate(state.sources, extra[-1]))
    every = np.concatenate([nodes, *extra])
    mean, scale = run.transitions(every[None], window[:1], window[1:])
    sources = Sources(np.concatenate([mass, *weights]), mean[0], scale[0])
    uniform = resolution.gap_ratio(mean[0, : grid.count], scale[0, : grid.count])
    return sources, np.pad(uniform, (0, every.size - grid.count))


def _block(run: Run, window, state: State) -> list[State] | None:
    """Several steps onto one grid, or None where that grid would not serve them all."""
    dtype, rows = state.density.dtype, len(window) - 1
    points = np.stack([state.grid.nodes(dtype)] * 2)
    ends = window[[0, -2]], window[[1, -1]]
    mean, scale = run.transitions(points, *ends)
    mass = state.density * state.grid.spacing
    first, last = (View.uniform(Sources(mass, mean[k], scale[k])) for k in (0, 1))
    allowed = min(first.allowance(), last.allowance())
    if first.aliasing(run.refine) > TOLERANCE:
        return None
    lower, upper = min(first.lower, last.lower), max(first.upper, last.upper)
    least = min(first.least_scale, last.least_scale)
    spacing = min(least / _USUAL, allowed * state.grid.spacing / 1.1) / run.refine
    margin = 0.05 * (upper - lower)
    count = _rounded((upper - lower + 2 * margin) / spacing)
    if count > _MOST:
        return None
    grid = spanning(lower - margin, upper + margin, count)
    sources = Sources(mass, mean[0], scale[0])
    states = [State(grid, _evaluate(sources, grid.nodes(dtype)), sources)]
    fresh = np.broadcast_to(grid.nodes(dtype)[None], (rows - 1, count))
    mean, scale = run.transitions(fresh, window[1:-1], window[2:])
    pad = ((0, _BLOCK - 1 - mean.shape[0]), (0, 0))
    arguments = (
        states[0].density,
        np.pad(mean, pad, mode="edge"),
        np.pad(scale, pad, mode="edge"),
        np.asarray(grid.lower, dtype),
        np.asarray(grid.spacing, dtype),
        np.asarray(rows - 1),
    )
    for local in (True, False):
        found = np.asarray(line_steps.steps(*arguments, local=local))
        lost = states[0].mass() - found[rows - 2].sum() * grid.spacing
        if lost < _LEAK:
            break
    else:
        return None
    before = np.concatenate([states[0].density[None], found[: rows - 2]]) * grid.spacing
    ratio = resolution.gap_ratio(mean, scale, axis=1)
    narrowest = scale[before > _NEGLIGIBLE].min()
    if resolution.aliasing(before, ratio * run.refine) > TOLERANCE:
        return None
    if grid.spacing * COARSEST * run.refine > narrowest:
        return None
    for row in range(rows - 1):
        states.append(
            State(grid, found[row], Sources(before[row], mean[row], scale[row]))
        )
    return states


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
    def uniform(cls, sources: Sources) -> "View":
        """Of sources on a uniform grid."""
        return cls.of(sources, resolution.gap_ratio(sources.mean, sources.scale))

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
    return next((size for size in _SIZES if size >= wanted), int(wanted) + 1)
