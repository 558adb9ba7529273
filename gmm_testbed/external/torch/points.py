"""Batches of points and scales, as public code passes them, in one form and back."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from ..._checks import fail, require

Batch = Float[torch.Tensor, "n ..."]
Rows = Float[torch.Tensor, "n d"]
Scales = Float[torch.Tensor, "#n 1"]


class Points(NamedTuple):
    """A batch of noisy points as rows, with their scales.

    Attributes:
        rows: (n, d), in the precision of the arithmetic.
        alpha: (n, 1) or (1, 1).
        sigma: (n, 1) or (1, 1).
        given: what the caller passed, (n, ...); answers have its shape and precision.
    """

    rows: Rows
    alpha: Scales
    sigma: Scales
    given: Batch

    def back(self, rows: Rows) -> Batch:
        """Rows (n, d) in the shape and the precision of the points."""
        return rows.reshape(self.given.shape).to(self.given.dtype)


def rows_of(x: Batch, dim: int, like: torch.Tensor, name: str) -> Rows:
    """A batch (n, ...) as rows (n, d) in the precision of `like`.

    Args:
        x: points; images are flattened.
        dim: d.
        like: a tensor of the arithmetic.
        name: what the caller calls x.

    Raises:
        InputError: unless x is a real floating-point tensor of n points of d numbers.
    """
    require(
        isinstance(x, torch.Tensor) and x.is_floating_point(),
        f"{name} is no tensor of real numbers",
        got=f"{type(x).__name__} {getattr(x, 'dtype', '')}".rstrip(),
        expected="a torch tensor of floating-point numbers",
        hint="torch.as_tensor(...); stack real and imaginary parts of complex numbers",
    )
    size = math.prod(x.shape[1:])
    require(
        x.ndim >= 2 and size == dim,
        f"{name} is not a batch of points",
        got=f"{name} {tuple(x.shape)}",
        expected=f"(n, {dim}), or (n, ...) with {dim} numbers each",
        hint="one point is a batch of one: x[None]",
    )
    return x.reshape(x.shape[0], dim).to(like.dtype)


def scale(value: Any, count: int, like: torch.Tensor, name: str) -> Scales:
    """A scale for each of `count` points, (n, 1), or one for all, (1, 1).

    Args:
        value: a number, or a tensor of one number or of n, in any shape.
        count: n.
        like: a tensor of the arithmetic.
        name: what the caller calls it.

    Raises:
        InputError: if there are neither one nor n, or one is negative or not finite.
    """
    if not isinstance(value, torch.Tensor):
        value = torch.as_tensor(np.asarray(value))  # of a float, all its digits
    require(
        not value.is_complex() and value.numel() in (1, count),
        f"{name} does not fit the points",
        got=f"{name} {tuple(value.shape)} of {value.dtype} for {count} points",
        expected="one number, or one for each point",
        hint="alpha and sigma are scales, never squares",
    )
    value = value.to(like).reshape(-1, 1)
    if not _holds(torch.isfinite(value) & (value >= 0)):
        fail(
            f"{name} is no scale",
            got=f"{name} from {value.min().item():g} to {value.max().item():g}",
            expected="finite numbers that are not negative",
            hint="look for a square root of a negative number, or a time off the grid",
        )
    return value


def positive(value: Scales, name: str, what: str) -> Scales:
    """The same scale, known not to be zero.

    Args:
        value: (n, 1) or (1, 1).
        name: what the caller calls it.
        what: is asked for.

    Raises:
        InputError: if one is zero.
    """
    if not _holds(value > 0):
        fail(
            f"{what} is not defined at {name} = 0",
            got=f"{name} = 0",
            expected=f"{name} > 0",
            hint="end the grid a little earlier; the last step needs no denoiser",
        )
    return value


def _holds(condition: torch.Tensor) -> bool:
    """Whether it is true everywhere; values are not known while `torch.compile` looks."""
    return torch.compiler.is_compiling() or bool(condition.all())
