r"""Where the means of a step run apart: Gauss-Legendre panels, as short as they must be.

Between two atoms of the prior a step tears the line: neighbouring nodes of a uniform grid
are sent many standard deviations \(S\) apart. The panels there are halved until the means
of each move by no more than a few \(S\), and end where the field jumps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..._checks import fail

_ORDER = 16
_UNIT, _WEIGHT = (part / 2 for part in np.polynomial.legendre.leggauss(_ORDER))
_CELLS = 6  # of the uniform grid in the longest panel: 5 of its standard deviations
_REACH = 4.0  # standard deviations that the means of a panel may span
_MOST = 4096  # panels


class Panels(NamedTuple):
    """A quadrature rule that follows the means: arrays (n,)."""

    points: Any
    weight: Any
    mean: Any
    scale: Any


def adapted(
    transitions: Callable, nodes: np.ndarray, active: np.ndarray, jumps, refine: int
) -> Panels:
    """Panels over the active part of a uniform grid.

    With these lengths an integrand that is a product of two Gaussians, the law and the
    transition, is integrated to 1e-12.

    Args:
        transitions: from points (n,) to means and scales (n,).
        nodes: (n,) uniform.
        active: (n,), where the law has mass.
        jumps: places where panels must end.
        refine: how many times shorter than usual the panels are.

    Raises:
        InputError: if more than 4096 panels are needed.
    """
    starts = np.arange(0, len(nodes) - 1, _CELLS)
    ends = np.minimum(starts + _CELLS, len(nodes) - 1)
    held = [
        active[start : end + 1].any() for start, end in zip(starts, ends, strict=True)
    ]
    left, right = _broken(nodes[starts[held]], nodes[ends[held]], jumps)
    done = []
    while left.size:
        if left.size + sum(len(part.points) for part in done) > _MOST:
            fail(
                "the law cannot be resolved on a grid",
                got=f"a step that needs more than {_MOST * _ORDER} nodes",
                expected=f"means that run {_MOST * _REACH:g} standard deviations at most",
                hint="the guidance is too stiff for steps this long, or t_min is very "
                "small: take more steps, raise t_min, or use gt.sample",
            )
        middle, width = 0.5 * (left + right)[:, None], (right - left)[:, None]
        points = middle + width * _UNIT
        mean, scale = (
            part.reshape(points.shape) for part in transitions(points.reshape(-1))
        )
        span = np.abs(np.diff(mean, axis=1)).sum(axis=1) / scale.min(axis=1)
        short = ~(span > _REACH / refine)
        parts = points, width * _WEIGHT, mean, scale
        done.append(Panels(*(part[short] for part in parts)))
        left, middle, right = left[~short], middle[~short, 0], right[~short]
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
    return Panels(
        *(np.concatenate(part).reshape(-1) for part in zip(*done, strict=True))
    )


def _broken(left, right, jumps):
    """Ends of the panels once each jump inside one has split it."""
    for jump in jumps:
        inside = (left < jump) & (jump < right)
        left = np.append(left, np.full(inside.sum(), jump, left.dtype))
        right = np.append(right, right[inside])
        right[: inside.size] = np.where(inside, jump, right[: inside.size])
    return left, right
