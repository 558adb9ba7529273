r"""A law in the plane at one time: a sum of Gaussians, and its values on a grid.

The grid lies in coordinates z with \(x = F z\), in which most transitions are separable.
"""

from typing import NamedTuple

import numpy as np

from ..._checks import fail
from ..line.bands import REACH
from ..line.state import Grid, spanning
from ..resolution import COARSEST
from . import sums as plane_sums
from .sums import Sources

SIZES = (96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144)
FEWEST, MOST = SIZES[0], 1536  # nodes each way; one axis may have more, if fewer along
LONGEST = SIZES[-1]  # the other: they are MOST^2 at most
NEGLIGIBLE = 1e-14  # mass of a source that does not shape a grid
# Nodes that a grid may have, and the mass it may leave outside to stay that small.
ORDINARY = 512
LEAVES = (
    (ORDINARY, 0.0),
    (ORDINARY, 1e-10),
    (MOST, 1e-10),
    (MOST, 1e-6),
    (LONGEST, 1e-6),
)
_FAR = 39.0  # standard deviations: a Gaussian underflows there


class State(NamedTuple):
    """The law at one time.

    Attributes:
        grids: one for each axis.
        density: (n1, n2).
        sources: what it is the sum of.
    """

    grids: tuple[Grid, Grid]
    density: np.ndarray
    sources: Sources

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """The nodes of each axis."""
        return tuple(grid.nodes(self.density.dtype) for grid in self.grids)

    def mass(self) -> np.ndarray:
        """Mass of each node, (n1, n2)."""
        return self.density * (self.grids[0].spacing * self.grids[1].spacing)


def summed(sources: Sources, grids, dtype) -> State:
    """The state of a sum of Gaussians on a grid."""
    return State(grids, on_grid(sources, grids, dtype), sources)


def on_grid(sources: Sources, grids, dtype, *, tails: bool = False) -> np.ndarray:
    """The density at the nodes, (n1, n2).

    Args:
        sources: the Gaussians.
        grids: one for each axis.
        dtype: of the result.
        tails: whether it is right until it underflows, and not only where mass is.
    """
    kept = sources.mass > (0.0 if tails else 1e-22)
    nodes = (grid.nodes(dtype) for grid in grids)
    return plane_sums.density(sources.chosen(kept), *nodes, _FAR if tails else REACH)


def fitting(sources: Sources, refine: int, fewest: int) -> tuple[Grid, Grid]:
    """The grid of a sum of Gaussians, as fine as the narrowest.

    All that has mass is on it, unless it would be too large; then a tail of 1e-10, and
    one of 1e-6 if nothing else helps, is left outside at each end.

    Args:
        sources: the Gaussians.
        refine: how many times finer than usual it is.
        fewest: nodes each way.

    Raises:
        InputError: if it needs more than 1536^2 nodes, or sources are not finite.
    """
    active = sources.chosen(sources.mass > NEGLIGIBLE)
    if not all(np.isfinite(part).all() for part in active):
        fail(
            "a transition is not finite",
            got="NaN or infinite means or scales where the law has mass",
            expected="finite numbers",
            hint="take more steps, or stop at a larger t_min",
        )
    if not active.covariance[:, [0, 2]].min() > 0.0:
        fail(
            "a step has no noise, so the law after it has no density",
            got="transitions of scale 0",
            expected="a positive scale at every step",
            hint="stop at t_min > 0",
        )
    scale, finest = REACH * active.scales(), active.finest().min(axis=0)
    low, high = active.mean - scale, active.mean + scale
    for most, leave in LEAVES:
        lower, above = (
            _beyond(low, active.mass, leave),
            -_beyond(-high, active.mass, leave),
        )
        wanted = COARSEST * refine * (above - lower) / finest
        if fits(wanted, most):
            break
    return fine_enough(lower, above, wanted, (fewest, fewest))


def _beyond(ends, mass, leave: float) -> np.ndarray:
    """For each axis the end (n, 2) below which the sources have at most mass `leave`."""
    found = []
    for column in ends.T:
        order = np.argsort(column)
        place = np.searchsorted(np.cumsum(mass[order]), leave, side="right")
        found.append(column[order[min(place, len(order) - 1)]])
    return np.array(found)


def fits(wanted, most: int) -> bool:
    """Whether a grid of these many nodes along each axis (2,) is allowed."""
    longest, shortest = max(wanted), max(min(wanted), FEWEST)
    return bool(longest <= most and longest * shortest <= MOST**2)


def fine_enough(lower, upper, wanted, fewest) -> tuple[Grid, Grid]:
    """Grids with at least the `wanted` nodes; a few sizes, so that few are compiled.

    Args:
        lower: first node of each axis, as all that follows.
        upper: last node.
        wanted: nodes that are needed.
        fewest: nodes that it has in any case.

    Raises:
        InputError: if they are more than 1536^2 in all.
    """
    if not fits(wanted, LONGEST):
        fail(
            "the law cannot be resolved on a grid",
            got=f"a step that needs {wanted[0]:.0f} x {wanted[1]:.0f} nodes",
            expected=f"at most {MOST} x {MOST} in all, and {LONGEST} along an axis",
            hint="change the number of steps (many: the kernel is narrow; few: guidance "
            "stretches a step), raise t_min, or use gt.sample",
        )
    counts = [
        next(size for size in SIZES if size >= min(max(need, least), LONGEST))
        for need, least in zip(wanted, fewest, strict=True)
    ]
    axes = zip(lower, upper, counts, strict=True)
    return tuple(spanning(float(low), float(high), count) for low, high, count in axes)


def upper(grid: Grid) -> float:
    """The last node."""
    return grid.lower + grid.spacing * (grid.count - 1)
