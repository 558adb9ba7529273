r"""Sums of Gaussians on the line, each target from the sources that reach it only.

A transition is local: a run of targets is reached by the sources whose means lie within
`REACH` standard deviations. Sorted by their means these are a window, whose place is
known before anything is summed; the widest decides how many sources every run takes.

All is NumPy: windows differ in size from law to law, and nothing is compiled for them.
"""

import math
from typing import NamedTuple

import numpy as np

REACH = 8.5  # standard deviations; the mass beyond is 2e-17
_RUN = 32  # targets that share a window
_AT_ONCE = 1 << 19  # exponentials held at a time
_ROOT_2PI = math.sqrt(2 * math.pi)


class Windows(NamedTuple):
    """Which sources reach which targets, for several sums of n sources at k targets.

    Attributes:
        order: (rows, n), the sources by their means.
        mean: (rows, n), increasing.
        scale: (rows, n), in the same order.
        first: (rows, runs), where the window of each run of targets begins.
        width: sources in a window.
    """

    order: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    first: np.ndarray
    width: int


def density(sources, points: np.ndarray) -> np.ndarray:
    """Sum of Gaussians at the points; zero farther than `REACH` from all.

    Args:
        sources: mass, mean and scale (n,), finite.
        points: (k,).
    """
    mass, mean, scale = (part[sources[0] > 0][None] for part in sources)
    if not mass.size:
        return np.zeros_like(points)
    targets = np.pad(points, (0, -points.size % _RUN), mode="edge")[None]
    found = _windows(mean, scale, targets)
    height = (mass / (scale * _ROOT_2PI))[0][found.order[0]]
    sums = []
    for part in _parts(found.first.shape[1], _RUN * found.width):
        runs = slice(part.start * _RUN, part.stop * _RUN)
        some = found._replace(first=found.first[:, part])
        near, values = _kernels(some, targets[:, runs], slice(None))
        sums.append(_sum(values[0], height[near[0]]))
    return np.concatenate(sums)[: points.size]


def steps(density, weight, mean, scale, points) -> np.ndarray:
    """The law after each of several steps, (rows, n), at the next row of points.

    Args:
        density: (n,) at the first row of points.
        weight: (rows, n), of the quadrature rule at the nodes before each step.
        mean: (rows, n), of the transitions from there, finite.
        scale: (rows, n), positive.
        points: (rows, n), n a multiple of 32; after the last step, those of the last row.
    """
    targets = np.concatenate([points[1:], points[-1:]])
    found = _windows(mean, scale, targets)
    factor = weight / (scale * _ROOT_2PI)
    rows = np.empty_like(mean)
    for part in _parts(len(targets), targets.shape[1] * found.width):
        near, values = _kernels(found, targets, part)
        for k, row in enumerate(range(part.start, part.stop)):
            height = (density * factor[row])[found.order[row]]
            density = rows[row] = _sum(values[k], height[near[k]])
    return rows


def _windows(mean, scale, targets) -> Windows:
    order = np.argsort(mean, axis=1, kind="stable")
    mean, scale = (np.take_along_axis(part, order, axis=1) for part in (mean, scale))
    runs = targets.reshape(len(targets), -1, _RUN)
    reach = REACH * scale.max(axis=1)[:, None]
    low, high = runs.min(axis=2) - reach, runs.max(axis=2) + reach
    first, stop = (
        np.stack([np.searchsorted(*pair) for pair in zip(mean, ends, strict=True)])
        for ends in (low, high)
    )
    width = max(int((stop - first).max()), 1)
    return Windows(order, mean, scale, np.minimum(first, mean.shape[1] - width), width)


def _parts(count: int, cost: int) -> list[slice]:
    """Slices of `count` things that cost so many exponentials each, a few at a time."""
    size = max(_AT_ONCE // cost, 1)
    return [slice(k, min(k + size, count)) for k in range(0, count, size)]


def _kernels(found: Windows, targets, part: slice):
    """Windows (c, runs, width) and exponentials (c, runs, 32, width) of some rows."""
    near = found.first[part][:, :, None] + np.arange(found.width)
    row = np.arange(len(near))[:, None, None]
    x = targets[part].reshape(len(near), -1, _RUN)
    mean, scale = found.mean[part], found.scale[part]
    values = x[:, :, :, None] - mean[row, near][:, :, None, :]
    values *= (math.sqrt(0.5) / scale[row, near])[:, :, None, :]
    np.square(values, out=values)
    np.negative(values, out=values)
    return near, np.exp(values, out=values)


def _sum(values, height):
    """Kernel values (runs, 32, width) times heights (runs, width), one target a value."""
    return np.matmul(values, height[:, :, None]).ravel()
