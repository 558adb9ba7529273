"""Named testbeds: a target each, to be run down to t_min = 0.01."""

import functools
import inspect
from collections.abc import Callable

from .._checks import choose
from ..problem import Target
from . import line, nonlinear, space
from .digits import TASKS as TASKS
from .digits import digit_images as digit_images
from .digits import digits as digits
from .grid25 import grid25 as grid25
from .grid25 import grid25_frame as grid25_frame

T_MIN = 1e-2
"""Where the named problems are stopped."""

CATALOGUE: dict[str, Callable[[], Target]] = {
    "three-atoms": line.three_atoms,
    "two-modes": line.two_modes,
    "one-gaussian": line.one_gaussian,
    "one-sided": line.one_sided,
    "gap": line.gap,
    "square": nonlinear.square,
    "absolute": nonlinear.absolute,
    "ring-radius": nonlinear.ring_radius,
    "roll-angle": nonlinear.roll_angle,
    "plane-modes": space.plane_modes,
    "plane-ring": space.plane_ring,
    "ten": space.ten,
    "digits-inpainting": functools.partial(digits, "inpainting"),
    "digits-blur": functools.partial(digits, "blur"),
    "digits-superresolution": functools.partial(digits, "superresolution"),
}

SIZES: dict[str, tuple[int, int]] = {
    "three-atoms": (1, 3),
    "two-modes": (1, 2),
    "one-gaussian": (1, 1),
    "one-sided": (1, 4),
    "gap": (1, 4),
    "square": (1, 400),
    "absolute": (1, 400),
    "ring-radius": (2, 400),
    "roll-angle": (2, 400),
    "plane-modes": (2, 3),
    "plane-ring": (2, 9),
    "ten": (10, 4),
    "digits-inpainting": (64, 16),
    "digits-blur": (64, 16),
    "digits-superresolution": (64, 16),
}
"""Dimension d and number of components K of each, to be listed without building any."""


def names() -> list[str]:
    """The names of the problems."""
    return list(CATALOGUE)


def describe(name: str) -> str:
    """What a problem is, in one line; it is not built."""
    build = CATALOGUE[name]
    if isinstance(build, functools.partial):  # one function of several problems
        (task,) = build.args
        return f"{inspect.getdoc(build.func).splitlines()[0].rstrip('.')}: {task}."
    return inspect.getdoc(build).splitlines()[0]


def get(name: str) -> Target:
    """The problem of this name.

    Raises:
        InputError: for an unknown name; the message has the nearest one.
    """
    return choose(name, CATALOGUE, "problem")()
