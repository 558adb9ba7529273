r"""The law of a sampler with noise in the plane, after every step, by quadrature.

As on the line, the grid moves with the law: its range holds all but 1e-12 of the mass
(1e-6 where no grid would hold it all; it counts as escaped) and it has 1.2 nodes a
standard deviation of the kernel, each way. The grids lie along the axes of the first
step's covariance; a step that has these axes everywhere is separable.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..._checks import InputError, check_index
from ..._types import Times
from ...densities.plane import PlaneDensity
from ...mixture import GaussianMixture
from ...problem import Linear, Target
from ..base import AbstractLaw, covered
from ..line.bands import REACH
from ..line.state import spanning
from ..resolution import COARSEST
from . import programs as plane_steps
from . import state as plane_state
from .state import FEWEST, MOST, State, upper
from .sums import sources

_NODES_PER_SD = 3.0
_AXES = 1e-12  # a correlation or difference of variances below this is none


class PlaneLaw(AbstractLaw):
    """The law of a sampler with noise in the plane.

    Attributes:
        target: the problem along its path.
        times: (N + 1,).
        refine: how many times finer than usual the grids are.
        frame: (2, 2), a rotation: the states are in coordinates z with x = frame @ z.
        states: at every time.
    """

    target: Target
    times: Times
    refine: int
    frame: np.ndarray
    states: list[State]

    def at(self, index: int, cover: GaussianMixture | None = None) -> PlaneDensity:
        """The law at times[index]; where its density underflows it is zero."""
        check_index(index, len(self.states), "time of this law")
        state = self.states[index]
        cover = covered(self.target, self.times[index], cover)
        found, grids = state.sources, state.grids
        if not self._along_axes():
            found = found.turned(self.frame)
            grids = plane_state.fitting(found, self.refine, self.refine * FEWEST)
        grids = tuple(_covering(grid, axis, cover) for axis, grid in enumerate(grids))
        dtype = state.density.dtype
        density = plane_state.on_grid(found, grids, dtype, tails=True)
        return _density(grids, density, 1.0 - state.mass().sum())

    def native(self, index: int) -> PlaneDensity:
        """The law at times[index] on the grid that carried it, if that is along the axes.

        Else on another one that holds it, without far tails.
        """
        state = self.states[index]
        escaped = 1.0 - state.mass().sum()
        if self._along_axes():
            return _density(state.grids, state.density, escaped)
        found = state.sources.turned(self.frame)
        grids = plane_state.fitting(found, self.refine, self.refine * FEWEST)
        density = plane_state.on_grid(found, grids, state.density.dtype)
        return _density(grids, density, escaped)

    def _along_axes(self) -> bool:
        return bool((self.frame == np.eye(2)).all())


def _density(grids, density: np.ndarray, escaped) -> PlaneDensity:
    with np.errstate(divide="ignore"):
        log_density = np.log(density)
    return PlaneDensity(
        *(grid.nodes(density.dtype) for grid in grids), log_density, escaped
    )


def plane_law(stages, target, times, initial, refine: int = 1) -> PlaneLaw:
    """The law of a sampler with noise in the plane.

    Args:
        stages: of a step, `explicit.stages`, each with noise.
        target: a problem with d = 2.
        times: (N + 1,).
        initial: mixture at times[0], with a density.
        refine: how many times finer than usual the grids are.

    Raises:
        InputError: if a step needs more than 1536^2 nodes.
    """
    *others, last = _frames(stages, target, times, initial)
    given = stages, target, times, initial, refine
    for frame in others:
        try:
            return _in_frame(frame, *given)
        except InputError:  # too fine a grid; the guidance is stiff along one axis only
            continue
    return _in_frame(last, *given)


def _in_frame(frame, stages, target, times, initial, refine: int) -> PlaneLaw:
    """The law from grids along the columns of a rotation (2, 2)."""
    dtype = np.dtype(times.dtype)
    frame = frame.astype(dtype)
    runs = [plane_steps.run(stage, target, times, frame, refine) for stage in stages]
    fewest = refine * FEWEST
    states = [_start(initial, frame, fewest, dtype)]
    windows = np.asarray(times)
    for window in zip(windows[:-1], windows[1:], strict=True):
        state = states[-1]
        for run in runs:
            state = plane_steps.advance(run, window, state, fewest)
        states.append(state)
    return PlaneLaw(target, times, refine, frame, states)


def _start(initial: GaussianMixture, frame, fewest: int, dtype) -> State:
    whole = np.exp(np.asarray(initial.log_weights)), np.asarray(initial.means)
    found = sources(*whole, np.asarray(initial.covariances()))
    if (frame != np.eye(2)).any():
        found = found.turned(frame.T)
    reach = REACH * found.scales()
    low, high = (found.mean - reach).min(axis=0), (found.mean + reach).max(axis=0)
    wanted = COARSEST * (high - low) / found.finest().min(axis=0)
    grids = plane_state.fine_enough(low, high, wanted, (fewest, fewest))
    return plane_state.summed(found, grids, dtype)


def _frames(stages, target, times, initial) -> list[np.ndarray]:
    """Rotations (2, 2) to try: the axes of the narrowest covariance of the first step.

    If all are isotropic, the axes of x, then those of a linear measurement.
    """
    found = _covariances(stages, target, initial.mean(), times[0], times[1])
    ratios = []
    for covariance in np.asarray(found):
        values, axes = np.linalg.eigh(covariance)
        ratios.append((values[1] / values[0], covariance, axes))
    ratio, covariance, axes = max(ratios, key=lambda found: found[0])
    if ratio > 1.0 + _AXES:
        slanted = abs(covariance[0, 1]) > _AXES * np.trace(covariance)
        return [_rotation(axes) if slanted else np.eye(2)]
    measurement = target.problem.measurement
    if not isinstance(measurement, Linear):
        return [np.eye(2)]
    rows = np.linalg.svd(np.asarray(measurement.A))[2]
    return [np.eye(2), _rotation(rows.T)]


def _rotation(axes: np.ndarray) -> np.ndarray:
    """Orthonormal columns (2, 2), in an order that is no reflection."""
    return axes if np.linalg.det(axes) > 0 else axes[:, ::-1]


@eqx.filter_jit
def _covariances(stages, target, x, t, s):
    """Covariances (stages, 2, 2) of the likeliest Gaussian of each stage in turn."""
    found = []
    for stage in stages:
        parts = stage.parts(target, x, t, s)
        place = jnp.argmax(parts.log_weight)
        x = parts.mean[place]
        found.append(parts.covariance[place])
    return jnp.stack(found)


def _covering(grid, axis: int, cover: GaussianMixture | None):
    """The grid, wider if the mixture needs it, and fine enough for both."""
    low, high, spacing = grid.lower, upper(grid), grid.spacing
    if cover is not None:
        heavy = np.asarray(cover.log_weights) > -80.0
        means = np.asarray(cover.means)[heavy, axis]
        spread = np.sqrt(np.asarray(cover.covariances())[heavy, axis, axis])
        low = min(low, float((means - REACH * spread).min()))
        high = max(high, float((means + REACH * spread).max()))
        if (spread > 0).any():
            spacing = min(spacing, float(spread[spread > 0].min()) / _NODES_PER_SD)
    count = int(np.ceil((high - low) / spacing)) + 1
    return spanning(low, high, min(max(count, FEWEST), MOST))
