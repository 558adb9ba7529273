"""Named testbeds: a target each, to be run down to t_min = 0.01."""

from collections.abc import Callable

from .._checks import choose
from ..problem import Target
from . import line, space
from .grid25 import grid25 as grid25
from .grid25 import grid25_frame as grid25_frame

T_MIN = 1e-2
"""Where the named problems are stopped."""

CATALOGUE: dict[str, Callable[[], Target]] = {
    "three-atoms": line.three_atoms,
    "two-modes": line.two_modes,
    "one-gaussian": line.one_gaussian,
    "one-sided": line.one_sided,
    "square": line.square,
    "plane-modes": space.plane_modes,
    "plane-ring": space.plane_ring,
    "ten": space.ten,
}

SIZES: dict[str, tuple[int, int]] = {
    "three-atoms": (1, 3),
    "two-modes": (1, 2),
    "one-gaussian": (1, 1),
    "one-sided": (1, 4),
    "square": (1, 400),
    "plane-modes": (2, 3),
    "plane-ring": (2, 9),
    "ten": (10, 4),
}
"""Dimension d and number of components K of each, to be listed without building any."""


def names() -> list[str]:
    """The names of the problems."""
    return list(CATALOGUE)


def get(name: str) -> Target:
    """The problem of this name.

    Raises:
        InputError: for an unknown name; the message has the nearest one.
    """
    return choose(name, CATALOGUE, "problem")()
