r"""Starting points on the line, close together where the map of a sampler is steep.

A sampler that leads to narrow modes sends tiny neighbourhoods of the points between their
basins across wide gaps. Cells of starts are halved until the logarithm of the derivative
hardly changes from one of eight parts of a cell to the next. The points are then the images
of integers under a smooth map x(u), the inverse of

\[ u(x) = 8 \sum_j \Phi\big((x - c_j) / h_j\big) , \]

with the normal distribution function and centres \(c_j\) and widths \(h_j\) of the cells:
about eight in each, and a trapezoidal sum over u is as accurate as over x.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from ..._checks import unsupported

PARTS = 8  # of a cell
MOST = 65536  # starting points
_FEWEST_ULPS = 64.0  # width of a cell, in roundings of its place
_NEWTON = 60  # steps, of which all but a few are quadratic


class Starts(NamedTuple):
    """Points x(u) at equally spaced u.

    Attributes:
        u: (n,).
        position: (n,) increasing.
        slope: (n,), dx/du.
    """

    u: np.ndarray
    position: np.ndarray
    slope: np.ndarray


class Cells(NamedTuple):
    """Neighbouring intervals in increasing order, (n,) each."""

    left: np.ndarray
    width: np.ndarray
    done: np.ndarray  # whether the map was found smooth there

    @classmethod
    def equal(cls, lower: float, upper: float, count: int) -> "Cells":
        """`count` intervals from `lower` to `upper`."""
        edges = np.linspace(lower, upper, count + 1)
        return cls(edges[:-1], np.diff(edges), np.zeros(count, bool))

    def halved(self, chosen: np.ndarray) -> "Cells":
        """The chosen (n,) ones in halves, and wider ones until neighbours differ by 2.

        Raises:
            UnsupportedError: if there are too many, or one is too narrow for its place.
        """
        _require_room(self, chosen)
        cells = self._replace(done=self.done & ~chosen)._split(chosen)
        while True:
            left, right = cells.width[:-1], cells.width[1:]
            split = np.append(left > 3.0 * right, False)
            split |= np.append(False, right > 3.0 * left)
            if not split.any():
                return cells
            cells = cells._split(split)

    def _split(self, chosen) -> "Cells":
        twice = np.where(chosen, 2, 1)
        width = np.repeat(np.where(chosen, 0.5 * self.width, self.width), twice)
        left = np.repeat(self.left, twice)
        second = np.cumsum(twice)[chosen] - 1
        left[second] += width[second]
        return Cells(left, width, np.repeat(self.done, twice))

    def points(self, chosen: np.ndarray) -> np.ndarray:
        """Ends of the eight parts of chosen cells, (cells, 9)."""
        parts = np.arange(PARTS + 1) / PARTS
        return self.left[chosen, None] + self.width[chosen, None] * parts

    def holding(self, x: np.ndarray) -> np.ndarray:
        """(n,), which of them hold one of the x (k,)."""
        index = np.searchsorted(self.left, x, side="right") - 1
        held = np.zeros(len(self.left), bool)
        held[np.clip(index, 0, len(held) - 1)] = True
        return held

    def starts(self, u: np.ndarray | None = None) -> Starts:
        """Points by the smooth map of this module, about eight a cell.

        Args:
            u: (n,), equally spaced; whole numbers by default.
        """
        edges = np.append(self.left, self.left[-1] + self.width[-1])
        at_edges, _ = self._places(edges)
        if u is None:
            u = np.arange(np.ceil(at_edges[0]), np.floor(at_edges[-1]) + 1.0)
        cell = np.clip(np.searchsorted(at_edges, u) - 1, 0, len(self.left) - 1)
        low, high = edges[cell], edges[cell + 1]
        x = np.clip(np.interp(u, at_edges, edges), low, high)
        for _ in range(_NEWTON):
            place, rate = self._places(x)
            low, high = np.where(place < u, x, low), np.where(place < u, high, x)
            moved = x - (place - u) / rate
            moved = np.where((moved > low) & (moved < high), moved, 0.5 * (low + high))
            settled = np.abs(moved - x) <= 2.0 * np.spacing(np.abs(x))
            x = moved
            if settled.all():
                break
        return Starts(u, x, 1.0 / self._places(x)[1])

    def _places(self, x):
        """u at x (k,), and its derivative."""
        u, rate = np.zeros_like(x), np.zeros_like(x)
        for some in np.array_split(np.arange(x.size), -(-x.size // 512)):
            z = (x[some, None] - self.left - 0.5 * self.width) / self.width
            u[some] = PARTS * ndtr(z).sum(axis=1)
            bells = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
            rate[some] = PARTS * (bells / self.width).sum(axis=1)
        return u, rate


def adapted(cells: Cells, rough: Callable) -> Cells:
    """Cells of starts between which the map changes slowly.

    Args:
        cells: to begin with.
        rough: of points (k, m) in increasing order along the last axis to (k, m - 1),
            whether the map changes too much, where that matters, between two of them.

    Raises:
        UnsupportedError: if that needs more than 65536 points, or cells as narrow as
            64 roundings.
    """
    while True:
        while not cells.done.all():
            new = ~cells.done
            chosen = np.zeros(len(new), bool)
            chosen[new] = rough(cells.points(new)).any(axis=1)
            cells = cells._replace(done=new | cells.done)
            if chosen.any():
                cells = cells.halved(chosen)
        x = cells.starts().position
        found = rough(x[None])[0]
        if not found.any():
            return cells
        cells = cells.halved(cells.holding(x[:-1][found]))


def _require_room(cells: Cells, chosen) -> None:
    """Refuses to halve the chosen cells if they are too many or too narrow."""
    count = PARTS * (len(chosen) + int(chosen.sum()))
    places = np.maximum(np.abs(cells.left), np.abs(cells.left + cells.width))
    narrow = chosen & (cells.width < _FEWEST_ULPS * np.spacing(places))
    if count > MOST or narrow.any():
        got = f"cells of starts as narrow as {cells.width.min():.2g}, {count} points"
        unsupported(
            "the map of this sampler is too steep for a grid",
            got=got + (", at the end of the digits" if narrow.any() else ""),
            expected=f"{MOST} points at most, and digits to tell them apart",
            hint="take more steps, raise t_min, or use gt.sample",
        )
