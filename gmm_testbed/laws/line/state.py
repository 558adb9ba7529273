"""A law on the line at one time: a sum of Gaussians, and its values on a grid."""

import math
from typing import Any, NamedTuple

import numpy as np

from ..._checks import fail
from ...densities.line_parts import Parts
from .. import resolution
from ..resolution import COARSEST
from . import bands
from .bands import REACH

SIZES = (
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
FEWEST, MOST = SIZES[0], SIZES[-1]  # nodes of a grid
NEGLIGIBLE = 1e-14  # mass of a node that no longer shapes the grid


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
        return self.density * self.grid.spacing > NEGLIGIBLE


def evaluate(sources, points, uniform: int = 0) -> np.ndarray:
    """The density (k,) at points (k,), the first `uniform` of them in equal steps."""
    if isinstance(sources, Sources):
        return bands.density(sources, points, uniform)
    log_density = Parts.of(sources).log_density(points)  # compiles nothing
    return np.exp(log_density).astype(points.dtype)


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
    def of(cls, sources: Sources, ratio, negligible: float = NEGLIGIBLE) -> "View":
        """Of sources whose means are `ratio` (n,) scales apart.

        Args:
            sources: of the law after a step.
            ratio: (n,).
            negligible: mass of a source that does not count.

        Raises:
            InputError: if means or scales are not finite where the law has mass.
        """
        active = sources.mass > negligible
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


def fitting(sources: Sources, refine: int, negligible: float = NEGLIGIBLE) -> Grid:
    """The grid of a sum of Gaussians: all that has mass, as fine as the narrowest.

    Args:
        sources: the Gaussians.
        refine: how many times finer than usual it is.
        negligible: mass of a source that does not count.

    Raises:
        InputError: if it needs more than 131072 nodes.
    """
    view = View.of(sources, np.zeros_like(sources.mass), negligible)
    width = view.upper - view.lower
    count = max(rounded(width * COARSEST * refine / view.least_scale), refine * FEWEST)
    check_count(count)
    return spanning(view.lower, view.upper, count)


def check_count(count: int) -> None:
    """Refuses a grid of more than 131072 nodes."""
    if count > MOST:
        fail(
            "the law cannot be resolved on a grid",
            got=f"a step that needs {count} nodes",
            expected=f"{COARSEST} nodes a standard deviation of every transition, "
            f"{MOST} at most",
            hint="the guidance is too stiff for steps this long, or t_min is very "
            "small: take more steps, raise t_min, or use gt.sample",
        )


def spanning(lower: float, upper: float, count: int) -> Grid:
    """`count` nodes from `lower` to `upper`."""
    return Grid(lower, (upper - lower) / (count - 1), count)


def rounded(wanted: float) -> int:
    """The number of nodes: few values, so that few programs are compiled."""
    return next((size for size in SIZES if size >= wanted), math.ceil(wanted))
