r"""Sums of Gaussians on the line, each target from the sources that reach it only.

A transition is local: a run of targets is reached by the sources whose means lie within
`REACH` standard deviations. Sorted by their means these are a window, whose place is
known before anything is summed. Runs take as many sources as the widest window has; where
sources crowd in a few places, as about a jump, runs are summed in groups of like width.

Where the targets of a run are equally spaced, its exponentials follow from one another,

\[ e^{-(z + h)^2/2} = e^{-z^2/2}\, w(z), \quad w(z + h) = w(z)\, e^{-h^2},
    \quad w(z) = e^{-zh - h^2/2}, \]

two products in place of one exponential; from the middle of a run, at most eight steps.
Where all standard deviations of a row are the same, so is \(h\), and one product is left:
of \(e^{-(z + kh)^2/2} = e^{-z^2/2} (e^{-zh})^k e^{-k^2h^2/2}\) the last factor is that of a
target, and multiplies its sum.

All is NumPy: windows differ in size from law to law, and nothing is compiled for them.
"""

import math
from typing import NamedTuple

import numpy as np

REACH = 8.5  # standard deviations; the mass beyond is 2e-17
_RUN = 16  # targets that share a window
_MIDDLE = _RUN // 2
_FAR = 12.0  # standard deviations from a run: what is farther gives it exact zeros
_COARSE = 1.5  # steps of more standard deviations would underflow on the way
_APART = 1 << 15  # exponentials that the calls for one more group cost as much as
_AT_ONCE = 1 << 19  # exponentials held at a time
_ROOT_2PI = math.sqrt(2 * math.pi)


class Windows(NamedTuple):
    """Which sources reach which targets, for several sums of n sources at k targets.

    Attributes:
        order: (rows, n), the sources by their means.
        mean: (rows, n), increasing.
        scale: (rows, n), in the same order; (rows, 1) if those of a row are the same.
        first: (rows, runs), where the window of each run of targets begins.
        width: (rows, runs), sources in it.
    """

    order: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    first: np.ndarray
    width: np.ndarray


class Group(NamedTuple):
    """Runs whose windows are about as wide, and the exponentials of some rows.

    Attributes:
        runs: which, in increasing order.
        near: (c, runs, width), places of the sources that each of them takes.
        values: (16, c, runs, width).
        factor: (c, runs, 16), of the sums.
    """

    runs: np.ndarray | slice
    near: np.ndarray
    values: np.ndarray
    factor: np.ndarray | float

    def sums(self, row: int, height: np.ndarray) -> np.ndarray:
        """Of sources of such a height (n,), in one of the rows: (runs, 16)."""
        values = self.values[:, row].transpose(1, 0, 2)
        total = np.matmul(values, height[self.near[row]][:, :, None])[:, :, 0]
        return total if isinstance(self.factor, float) else total * self.factor[row]


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
    every, sums = slice(0, 1), np.empty((targets.size // _RUN, _RUN))
    for runs, width in _groups(found.width):
        for part in _parts(len(runs), _RUN * width):
            group = _group(found, targets, every, runs[part], width, uniform // _RUN)
            sums[group.runs] = group.sums(0, height)
    return sums.ravel()[: points.size].astype(points.dtype)


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
    sums = np.empty((targets.shape[1] // _RUN, _RUN))
    for part in _parts(len(targets), targets.shape[1] * int(found.width.max())):
        groups = [
            _group(found, targets, part, *some, uniform // _RUN)
            for some in _groups(found.width[part])
        ]
        for k, row in enumerate(range(part.start, part.stop)):
            height = (density * factor[row])[found.order[row]]
            for group in groups:
                sums[group.runs] = group.sums(k, height)
            density = rows[row] = sums.ravel()
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
    if (scale == scale[:, :1]).all():
        scale = scale[:, :1]
    return Windows(order, mean, scale, first, np.maximum(stop - first, 1))


def _groups(width) -> list[tuple[np.ndarray, int]]:
    """Runs by the width of their windows (rows, runs), with the widest of each group.

    Those within a factor of two; all in one group where more would gain nothing.
    """
    needed = width.max(axis=0)
    most, every = int(needed.max()), np.arange(needed.size)
    cost = len(width) * _RUN
    if cost * (needed.size * most - needed.sum()) < _APART:
        return [(every, most)]
    octave = np.frexp(most / needed)[1]
    groups = [every[octave == each] for each in np.unique(octave)]
    found = [(runs, int(needed[runs].max())) for runs in groups]
    left = sum(len(runs) * width for runs, width in found)
    gained = cost * (needed.size * most - left) - _APART * (len(found) - 1)
    return found if gained > 0 else [(every, most)]


def _parts(count: int, cost: int) -> list[slice]:
    """Slices of `count` things that cost so many exponentials each, a few at a time."""
    size = max(_AT_ONCE // cost, 1)
    return [slice(k, min(k + size, count)) for k in range(0, count, size)]


def _group(found: Windows, targets, part, runs, width: int, uniform: int) -> Group:
    """The exponentials of some rows and runs.

    Args:
        found: the windows.
        targets: (rows, n).
        part: which rows.
        runs: which, in increasing order.
        width: sources that each of them takes.
        uniform: number of runs at the beginning of a row with equally spaced targets.
    """
    x = targets[part].reshape(-1, targets.shape[1] // _RUN, _RUN).astype(float)
    first, spaced = found.first[part], int(np.searchsorted(runs, uniform))
    if len(runs) < first.shape[1]:
        x, first = x[:, runs], first[:, runs]
    else:
        runs = slice(None)
    first = np.minimum(first, found.mean.shape[1] - width)
    mean, inverse = _seen(found.mean[part], first, width), 1.0 / found.scale[part]
    step = (targets[part.start, 1] - targets[part.start, 0]) * inverse
    if step.max() > _COARSE:
        spaced = 0
    alike, factor = inverse.shape[1] == 1, 1.0
    values = np.empty((_RUN, *first.shape, width))
    if alike:
        shape = mean.shape
        inverse, step = (
            np.broadcast_to(row[..., None], shape) for row in (inverse, step)
        )
    else:
        rows = inverse, step, np.exp(-(step**2))
        inverse, step, fall = (_seen(row, first, width) for row in rows)
    if spaced:
        offset = x[:, :spaced, _MIDDLE, None] - mean[:, :spaced]
        offset *= inverse[:, :spaced]
        step, regular = step[:, :spaced], values[:, :, :spaced]
        if alike:
            factor = np.ones(x.shape)
            factor[:, :spaced] = _by_powers(offset, step, regular)
        else:
            _stepwise(offset, step, fall[:, :spaced], regular)
    others = np.moveaxis(x[:, spaced:], 2, 0)[..., None] - mean[:, spaced:]
    others *= inverse[:, spaced:]
    np.square(others, out=others)
    others *= -0.5
    np.exp(others, out=values[:, :, spaced:])
    near = first[:, :, None] + np.arange(width)
    return Group(runs, near, values, factor)


def _stepwise(offset, step, fall, values) -> None:
    """exp(-(offset + k step)^2 / 2), k = -8, ..., 7, into values (16, c, runs, width)."""
    values[_MIDDLE] = _bell(offset, step)
    up = np.exp(-(offset + 0.5 * step) * step)
    down = fall / up
    for k in range(_MIDDLE + 1, _RUN):
        np.multiply(values[k - 1], up, out=values[k])
        up *= fall
    for k in range(_MIDDLE - 1, -1, -1):
        np.multiply(values[k + 1], down, out=values[k])
        down *= fall


def _by_powers(offset, step, values) -> np.ndarray:
    """The same where a row has one step, without factors (c, 1, 16), which it gives."""
    values[_MIDDLE] = _bell(offset, step)
    up = np.exp(-offset * step)
    down = 1.0 / up
    for k in range(_MIDDLE + 1, _RUN):
        np.multiply(values[k - 1], up, out=values[k])
    for k in range(_MIDDLE - 1, -1, -1):
        np.multiply(values[k + 1], down, out=values[k])
    return np.exp(-0.5 * (step[:, :1, :1] * np.arange(-_MIDDLE, _MIDDLE)) ** 2)


def _bell(offset, step):
    """exp(-offset^2 / 2), zero where no step comes near; there offsets become zero too."""
    far = np.abs(offset) - _MIDDLE * step > _FAR
    offset[far] = 0.0
    bell = np.exp(-0.5 * offset**2)
    bell[far] = 0.0
    return bell


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
