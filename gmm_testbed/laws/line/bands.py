r"""Sums of Gaussians on the line, each target from the sources that reach it only.

A transition is local: a run of targets is reached by the sources whose means lie within
`REACH` standard deviations. Sorted by their means these are a window, whose place is
known before anything is summed; the widest decides how many sources every run takes.

Where the targets of a run are equally spaced, its exponentials follow from one another,

\[ e^{-(z + h)^2/2} = e^{-z^2/2}\, w(z), \quad w(z + h) = w(z)\, e^{-h^2},
    \quad w(z) = e^{-zh - h^2/2}, \]

two products in place of one exponential; from the middle of a run, at most eight steps.

All is NumPy: windows differ in size from law to law, and nothing is compiled for them.
"""

import math
from typing import NamedTuple

import numpy as np

REACH = 8.5  # standard deviations; the mass beyond is 2e-17
_RUN = 16  # targets that share a window
_FAR = 12.0  # standard deviations from a run: what is farther gives it exact zeros
_COARSE = 1.5  # steps of more standard deviations would underflow on the way
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


def density(sources, points: np.ndarray, uniform: int = 0) -> np.ndarray:
    """Sum of Gaussians at the points; zero farther than `REACH` from all.

    Args:
        sources: mass, mean and scale (n,), finite.
        points: (k,).
        uniform: number of points, at the beginning, that increase in equal steps.
    """
    mass, mean, scale = (part[sources[0] > 0][None] for part in sources)
    if not mass.size:
        return np.zeros_like(points)
    targets = _filled(points)
    found = _windows(mean, scale, targets)
    height = (mass / (scale * _ROOT_2PI))[0][found.order[0]]
    spaced = uniform // _RUN
    sums = []
    for part in _parts(found.first.shape[1], _RUN * found.width):
        runs = slice(part.start * _RUN, part.stop * _RUN)
        some = found._replace(first=found.first[:, part])
        regular = min(max(spaced - part.start, 0), part.stop - part.start)
        values = _kernels(some, targets[:, runs], slice(None), regular)
        sums.append(_sum(values[:, 0], height[_near(some.first[0], found.width)]))
    return np.concatenate(sums)[: points.size].astype(points.dtype)


def steps(density, weight, mean, scale, points, uniform: int = 0) -> np.ndarray:
    """The law after each of several steps, (rows, n), at the next row of points.

    Args:
        density: (n,) at the first row of points.
        weight: (rows, n), of the quadrature rule at the nodes before each step.
        mean: (rows, n), of the transitions from there, finite.
        scale: (rows, n), positive.
        points: (rows, n), n a multiple of 16; after the last step, those of the last row.
        uniform: number of points at the beginning of every row in equal steps.
    """
    targets = np.concatenate([points[1:], points[-1:]])
    found = _windows(mean, scale, targets)
    factor = weight / (scale * _ROOT_2PI)
    rows = np.empty_like(mean)
    for part in _parts(len(targets), targets.shape[1] * found.width):
        values = _kernels(found, targets, part, uniform // _RUN)
        for k, row in enumerate(range(part.start, part.stop)):
            height = (density * factor[row])[found.order[row]]
            seen = height[_near(found.first[row], found.width)]
            density = rows[row] = _sum(values[:, k], seen)
    return rows


def _filled(points):
    """(1, k') with k' a multiple of a run: the last point again and again."""
    filled = np.full((1, -(-points.size // _RUN) * _RUN), points[-1], points.dtype)
    filled[0, : points.size] = points
    return filled


def _windows(mean, scale, targets) -> Windows:
    order = np.broadcast_to(np.arange(mean.shape[1]), mean.shape)
    if (mean[:, 1:] < mean[:, :-1]).any():
        order = np.argsort(mean, axis=1, kind="stable")
        mean, scale = (np.take_along_axis(x, order, axis=1) for x in (mean, scale))
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


def _kernels(found: Windows, targets, part: slice, spaced: int):
    """Exponentials (16, c, runs, width) of some rows.

    Args:
        found: the windows.
        targets: (rows, n).
        part: which rows.
        spaced: number of runs at the beginning of a row with equally spaced targets.
    """
    first, width = found.first[part], found.width
    x = targets[part].astype(float).reshape(*first.shape, _RUN)
    mean, inverse = found.mean[part], 1.0 / found.scale[part]
    step = (x[0, 0, 1] - x[0, 0, 0]) * inverse
    if spaced and step.max() > _COARSE:
        spaced = 0
    values = np.empty((_RUN, *first.shape, width))
    mean, inverse, step, fall = (
        _seen(rows, first, width) for rows in (mean, inverse, step, np.exp(-(step**2)))
    )
    if spaced:
        middle = x[:, :spaced, _RUN // 2, None]
        offset = (middle - mean[:, :spaced]) * inverse[:, :spaced]
        _stepwise(offset, step[:, :spaced], fall[:, :spaced], values[:, :, :spaced])
    others = np.moveaxis(x[:, spaced:], 2, 0)[..., None] - mean[:, spaced:]
    others *= inverse[:, spaced:]
    np.square(others, out=others)
    others *= -0.5
    np.exp(others, out=values[:, :, spaced:])
    return values


def _stepwise(offset, step, fall, values) -> None:
    """exp(-(offset + k step)^2 / 2), k = -8, ..., 7, into values (16, c, runs, width)."""
    middle = _RUN // 2
    far = np.abs(offset) - middle * step > _FAR
    offset = np.where(far, 0.0, offset)
    up = np.exp(-(offset + 0.5 * step) * step)
    down = fall / up
    start = np.exp(-0.5 * offset**2)
    start[far] = 0.0
    values[middle] = start
    for k in range(middle + 1, _RUN):
        np.multiply(values[k - 1], up, out=values[k])
        up *= fall
    for k in range(middle - 1, -1, -1):
        np.multiply(values[k + 1], down, out=values[k])
        down *= fall


def _near(first, width: int):
    """Places (runs, width) of the sources in the windows of a row."""
    return first[:, None] + np.arange(width)


def _seen(values, first, width: int):
    """Windows (rows, runs, width) of values (rows, n) from `first` (rows, runs) on."""
    rows, count = values.shape
    shape = rows, count - width + 1, width
    values = np.ascontiguousarray(values)
    # What `sliding_window_view` gives, in a hundredth of the time.
    windows = np.ndarray(
        shape, values.dtype, values, 0, (*values.strides, values.itemsize)
    )
    return windows[np.arange(rows)[:, None], first]


def _sum(values, height):
    """Kernel values (16, runs, width) times heights (runs, width), one target a value."""
    return np.matmul(values.transpose(1, 0, 2), height[:, :, None]).ravel()
