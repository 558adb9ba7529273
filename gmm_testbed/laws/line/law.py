r"""Laws on the line: of a sampler with noise, and of a deterministic one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._checks import check_index
from ..._types import Times
from ...densities.line import LineDensity
from ...method import AbstractMethod
from ...mixture import GaussianMixture
from ...problem import Target
from ..base import AbstractLaw, covered
from ..explicit import Stage
from ..flow import line as flow
from . import programs as line_steps
from . import propagate as line
from .bands import REACH

_NODES_PER_SD = 4.0
_SIZES = (1024, 2048, 4096, 8192, 16384)  # few, so that few programs are compiled
_FEWEST = _SIZES[0]


class LineLaw(AbstractLaw):
    """The law of a sampler with noise on the line: a sum of Gaussians at each time."""

    sampler: AbstractMethod
    stages: tuple[Stage, ...]
    target: Target
    times: Times
    initial: GaussianMixture
    refine: int
    states: list[line.State]

    def at(self, index: int, cover: GaussianMixture | None = None) -> LineDensity:
        """The law at times[index]: its log-density is right also in far tails."""
        check_index(index, len(self.states), "time of this law")
        state = self.states[index]
        cover = covered(self.target, jnp.asarray(np.asarray(self.times)[index]), cover)
        lower, upper, finest = _range(state, cover)
        needed = (upper - lower) * _NODES_PER_SD * self.refine / finest
        wanted = max(needed, self.refine * _FEWEST)
        count = next((size for size in _SIZES if size >= wanted), _SIZES[-1])
        points = line.spanning(lower, upper, count).nodes(state.density.dtype)
        if isinstance(state.sources, line.Sources):
            log_density = line_steps.log_density(state.sources, points)
        else:
            log_density = line_steps.mixture_log_prob(state.sources, points[:, None])
        return LineDensity.uniform(lower, upper, log_density, 1.0 - state.mass())

    def native(self, index: int) -> LineDensity:
        """The law at times[index] on the grid that carried it: cheap, no far tails."""
        state = self.states[index]
        dtype = state.density.dtype
        with np.errstate(divide="ignore"):
            log_density = np.log(state.density)
        parts = (  # made by NumPy: nothing to compile for each number of nodes
            state.grid.nodes(dtype),
            np.ones_like(state.density),
            np.asarray(state.grid.spacing, dtype),
            log_density,
            np.asarray(1.0 - state.mass(), dtype),
        )
        return LineDensity(*map(jnp.asarray, parts))

    def profile(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Nodes (n,) and the density there, (n,), at times[index]: what a figure needs."""
        state = self.states[index]
        return state.grid.nodes(state.density.dtype), state.density

    def refined(self) -> "LineLaw":
        """The same law with grids twice as fine: the change certifies this one."""
        twice = 2 * self.refine
        return line_law(
            self.sampler, self.stages, self.target, self.times, self.initial, twice
        )


def line_law(sampler, stages, target, times, initial, refine: int = 1) -> LineLaw:
    """The law of a sampler with noise; see `line.propagate`."""
    states = line.propagate(stages, target, times, initial, refine)
    return LineLaw(sampler, stages, target, times, initial, refine, states)


class FlowLaw(AbstractLaw):
    """The law of a deterministic sampler on the line, by the change of variables.

    Starting points are a smooth function of a number u at equal distances.

    Attributes:
        spacing: () of u.
        log_start: (n,) log-density of u at the beginning.
        positions: (N + 1, n) where the points are.
        jacobians: (N + 1, n), derivatives of the positions by u, positive.
    """

    target: Target
    times: Times
    spacing: jax.Array
    log_start: jax.Array
    positions: jax.Array
    jacobians: jax.Array

    def at(self, index: int, cover: GaussianMixture | None = None) -> LineDensity:
        """The law at times[index], on the images of the starting points.

        It has no more points than those: a mixture `cover` that reaches beyond them is
        beyond the law, whose density there is unknown.
        """
        check_index(index, self.jacobians.shape[0], "time of this law")
        jacobian = self.jacobians[index]
        density = LineDensity(
            self.positions[index],
            jacobian,
            self.spacing,
            self.log_start - jnp.log(jacobian),
            jnp.zeros((), self.log_start.dtype),
        )
        lost = 1.0 - jnp.sum(density.weights())
        return eqx.tree_at(lambda law: law.escaped_mass, density, lost)

    def native(self, index: int) -> LineDensity:
        """The same as `at`."""
        return self.at(index)

    def profile(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Points (n,) and the density there, (n,), at times[index]."""
        start = np.exp(np.asarray(self.log_start))
        positions = np.asarray(self.positions)[index]
        return positions, start / np.asarray(self.jacobians)[index]


def flow_law(sampler, target, times, initial, refine: int = 1) -> FlowLaw:
    """The law of a deterministic sampler; see `flow.transport`."""
    moved = flow.transport(sampler, target, times, initial, refine)
    return FlowLaw(target, times, *moved)


def _range(state, cover):
    """Where the law and the mixture have mass, and their smallest standard deviation."""
    grid = state.grid
    lower, upper = grid.lower, grid.lower + grid.spacing * (grid.count - 1)
    if isinstance(state.sources, line.Sources):
        finest = float(
            np.min(np.asarray(state.sources.scale)[state.sources.mass > 1e-14])
        )
    else:
        finest = float(np.sqrt(np.asarray(state.sources.covariances()).min()))
    if cover is not None:
        means = np.asarray(cover.means)[:, 0]
        spread = np.sqrt(np.asarray(cover.covariances())[:, 0, 0])
        heavy = np.asarray(cover.log_weights) > -80.0
        lower = min(lower, float((means - REACH * spread)[heavy].min()))
        upper = max(upper, float((means + REACH * spread)[heavy].max()))
        positive = spread[heavy & (spread > 0)]
        finest = min([finest, *positive.tolist()])
    return lower, upper, finest
