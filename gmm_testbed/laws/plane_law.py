r"""The law of a sampler with noise in the plane, after every step, by quadrature.

As on the line, the grid moves with the law: its range holds all but 1e-12 of the mass and
it has 1.2 nodes a standard deviation of the kernel, each way.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .._checks import fail, unsupported
from .._types import Times
from ..divergences.plane import PlaneDensity
from ..method import first_law, name_of
from ..mixture import GaussianMixture
from ..problem import Target
from . import plane_steps, resolution
from .bands import REACH
from .base import AbstractLaw, covered
from .line import spanning
from .line_steps import mixture_log_prob
from .resolution import COARSEST

_SIZES = (96, 128, 192, 256, 384, 512, 768, 1024, 1536)  # nodes each way
_FEWEST, _MOST = _SIZES[0], _SIZES[-1]
_NEGLIGIBLE = 1e-14
_NODES_PER_SD = 3.0
_TOLERANCE = 1e-8  # aliasing of one step


class State(NamedTuple):
    """The law at one time: a grid for each axis, density (n1, n2), and its sources."""

    grids: tuple
    density: np.ndarray
    sources: Any

    def nodes(self):
        """The nodes of each axis."""
        return tuple(grid.nodes(self.density.dtype) for grid in self.grids)

    def mass(self) -> np.ndarray:
        """Mass of each node, (n1, n2)."""
        return self.density * (self.grids[0].spacing * self.grids[1].spacing)


class PlaneLaw(AbstractLaw):
    """The law of a sampler with noise in the plane."""

    target: Target
    times: Times
    refine: int
    states: list[State]

    def at(self, index: int, cover: GaussianMixture | None = None) -> PlaneDensity:
        """The law at times[index]; where its density underflows it is zero."""
        state = self.states[index]
        cover = covered(self.target, self.times[index], cover)
        grids = tuple(
            _covering(grid, axis, cover) for axis, grid in enumerate(state.grids)
        )
        density = _evaluate(state.sources, grids, state.density.dtype)
        x, y = (grid.nodes(density.dtype) for grid in grids)
        with np.errstate(divide="ignore"):
            log_density = np.log(density)
        return PlaneDensity(x, y, log_density, 1.0 - state.mass().sum())

    def native(self, index: int) -> PlaneDensity:
        """The law at times[index] on the grid that carried it."""
        state = self.states[index]
        with np.errstate(divide="ignore"):
            log_density = np.log(state.density)
        return PlaneDensity(*state.nodes(), log_density, 1.0 - state.mass().sum())


def plane_law(sampler, target, times, initial, refine: int = 1) -> PlaneLaw:
    """The law of a sampler with noise in the plane.

    Raises:
        UnsupportedError: if the transitions are not isotropic or diagonal.
        InputError: if a step needs more than 1536 nodes each way.
    """
    point = jnp.asarray(initial.mean())
    covariance = np.asarray(first_law(sampler, target, times, point).covariance())
    if covariance[0, 1] != 0.0:
        unsupported(
            "no grid law for this transition in the plane",
            got=f"{name_of(sampler)} with a full covariance",
            expected="an isotropic or diagonal transition: one step is then separable",
            hint='use DDPM("matched_scalar"), or gt.sample',
        )
    states = [_start(initial, refine * _FEWEST, np.dtype(times.dtype))]
    for before, after in zip(times[:-1], times[1:], strict=True):
        states.append(_step(sampler, target, before, after, states[-1], refine))
    return PlaneLaw(target, times, refine, states)


def _start(initial, count, dtype) -> State:
    means = np.asarray(initial.means)
    variances = np.diagonal(np.asarray(initial.covariances()), axis1=1, axis2=2)
    reach = REACH * np.sqrt(variances)
    lower, upper = (means - reach).min(axis=0), (means + reach).max(axis=0)
    finest = np.sqrt(variances.min(axis=0))
    grids = tuple(
        _fine_enough(low, high, COARSEST * (high - low) / sd, count)
        for low, high, sd in zip(lower, upper, finest, strict=True)
    )
    return State(grids, _evaluate(initial, grids, dtype), initial)


def _step(sampler, target, before, after, state: State, refine: int) -> State:
    fewest = refine * _FEWEST
    while True:
        nodes = state.nodes()
        moves = plane_steps.transitions(sampler, target, *nodes, before, after)
        mean, scale = (np.asarray(part) for part in moves)
        mass = state.mass()
        active = mass > _NEGLIGIBLE
        _require_finite(mean[active], scale[active])
        allowed = [_allowance(mass, mean, scale, axis) / refine for axis in (0, 1)]
        if min(allowed) >= 1.0:
            break
        grids = tuple(
            _fine_enough(
                grid.lower, _end(grid), grid.count / min(room, 1.0), grid.count
            )
            for grid, room in zip(state.grids, allowed, strict=True)
        )
        density = _evaluate(state.sources, grids, state.density.dtype)
        state = State(grids, density, state.sources)
    lower = (mean - REACH * scale)[active].min(axis=0)
    upper = (mean + REACH * scale)[active].max(axis=0)
    wanted = COARSEST * refine * (upper - lower) / scale[active].min(axis=0)
    grids = tuple(
        _fine_enough(*axis, fewest) for axis in zip(lower, upper, wanted, strict=True)
    )
    sources = (mass, mean, scale)
    return State(grids, _evaluate(sources, grids, state.density.dtype), sources)


def _evaluate(sources, grids, dtype) -> np.ndarray:
    x, y = (grid.nodes(dtype) for grid in grids)
    if isinstance(sources, tuple):
        return np.asarray(plane_steps.step(*sources, x, y))
    points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    log_density = mixture_log_prob(sources, points)
    return np.exp(np.asarray(log_density)).reshape(len(x), len(y))


def _allowance(mass, mean, scale, axis: int) -> float:
    """The factor by which the spacing along an axis may grow."""
    active = mass > _NEGLIGIBLE
    ratio = np.sqrt((resolution.gap_ratio(mean, scale, axis) ** 2).sum(axis=-1))
    return resolution.allowance(mass[active], ratio[active], _TOLERANCE)


def _fine_enough(lower, upper, wanted: float, fewest: int):
    """A grid with at least `wanted` nodes; a few sizes, so that few are compiled."""
    count = next((size for size in _SIZES if size >= max(wanted, fewest)), None)
    if count is None:
        fail(
            "the law cannot be resolved on a grid",
            got=f"a step that needs {wanted:.0f} nodes each way",
            expected=f"at most {_MOST}",
            hint="change the number of steps (many: the kernel is narrow; few: guidance "
            "stretches a step), raise t_min, or use gt.sample",
        )
    return spanning(float(lower), float(upper), count)


def _covering(grid, axis: int, cover: GaussianMixture | None):
    """The grid, wider if the mixture needs it, and fine enough for both."""
    lower, upper, spacing = grid.lower, _end(grid), grid.spacing
    if cover is not None:
        heavy = np.asarray(cover.log_weights) > -80.0
        means = np.asarray(cover.means)[heavy, axis]
        spread = np.sqrt(np.asarray(cover.covariances())[heavy, axis, axis])
        lower = min(lower, float((means - REACH * spread).min()))
        upper = max(upper, float((means + REACH * spread).max()))
        if (spread > 0).any():
            spacing = min(spacing, float(spread[spread > 0].min()) / _NODES_PER_SD)
    count = int(np.ceil((upper - lower) / spacing)) + 1
    return spanning(lower, upper, min(max(count, _FEWEST), _MOST))


def _end(grid) -> float:
    return grid.lower + grid.spacing * (grid.count - 1)


def _require_finite(mean, scale) -> None:
    if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
        fail(
            "a transition is not finite",
            got="NaN or infinite means or scales where the law has mass",
            expected="finite numbers",
            hint="take more steps, or stop at a larger t_min",
        )
