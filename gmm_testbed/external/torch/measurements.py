"""Measurements as PyTorch modules, and functions of PyTorch as measurements."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import torch
from jaxtyping import Float

from ..._checks import InputError, fail, require
from ...problem import Linear, Nonlinear
from ...problem.measurements import AbstractMeasurement
from .bridge import FromJax, from_torch, jacobians
from .points import Batch, Rows, rows_of

_COLUMNS = 256  # of a matrix, by one call
_PROBES = (0.1, 1.0, 100.0)  # sizes of the points at which a function must be affine
_LOST = 1e4  # roundings by which an affine function may differ from its columns


class Forward(torch.nn.Module):
    """f(x0) of a measurement, without noise, on batches, with derivatives of any order.

    A linear one is PyTorch's own arithmetic; another is called on JAX's device.

    Args:
        measurement: of a problem.
        dim: d.
    """

    def __init__(self, measurement: AbstractMeasurement, dim: int):
        torch.nn.Module.__init__(self)
        self.dim = dim
        whitener = torch.from_numpy(np.array(measurement.whitener))
        self.register_buffer("_like", whitener[:0], persistent=False)
        self.linear = isinstance(measurement, Linear)
        if self.linear:
            for name in ("A", "b"):
                value = torch.from_numpy(np.array(getattr(measurement, name)))
                self.register_buffer(name, value, persistent=False)
        else:
            self.crossed = FromJax(_values, measurement, 1)

    def forward(self, x0: Batch) -> Float[torch.Tensor, "n m"]:
        """f(x0), (n, m), in the precision of x0 (n, ...).

        Raises:
            InputError: if x0 does not fit.
        """
        rows = rows_of(x0, self.dim, self._like, "x0")
        found = rows @ self.A.mT + self.b if self.linear else self.crossed(rows)[0]
        return found.to(x0.dtype)


def _values(measurement, x0):
    return (jax.vmap(measurement.apply)(x0),)


def linear(
    fn: Callable,
    R,
    shape: int | tuple[int, ...],
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
) -> Linear:
    """`gt.Linear` of an affine function of PyTorch: its matrix, column by column.

    Args:
        fn: from a batch (n, *shape) to (n, ...), without noise: `physics.A` of deepinv.
        R: of the noise: variance (), variances (m,) or covariance (m, m).
        shape: of one x0, as fn takes it; x0 of a problem is that, flattened.
        dtype: that fn works in; of its parameters, or float64, by default.
        device: the same.

    Raises:
        InputError: if fn is not affine, gives two answers to one point, couples the
            points of a batch, or returns no real and finite numbers.
    """
    found = matrix_of(TorchMap(fn, shape, dtype, device))
    require(
        found.affine,
        "this function is not affine",
        got=f"values {found.far:.3g} away from those of its own columns",
        expected=f"{found.allowed:.1g} at most",
        hint="use gt.torch.nonlinear(fn, R, shape)",
    )
    return Linear(found.A, R, found.b)


def nonlinear(
    fn: Callable,
    R,
    shape: int | tuple[int, ...],
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
) -> Nonlinear:
    """`gt.Nonlinear` of a differentiable function of PyTorch.

    JAX calls it on the host, a batch at once; a Jacobian takes one backward pass for each
    measurement. It must treat the points of a batch one by one.

    Args:
        fn: from a batch (n, *shape) to (n, ...), without noise.
        R: of the noise: variance (), variances (m,) or covariance (m, m).
        shape: of one x0, as fn takes it.
        dtype: that fn works in; of its parameters, or float64, by default.
        device: the same.

    Raises:
        InputError: if fn gives two answers to one point, couples the points of a batch,
            has no derivative, or returns no real and finite numbers.
    """
    known = TorchMap(fn, shape, dtype, device)
    point = known.probe(1.0)
    size = known(point).shape[1]
    known.check_repeatable(point)
    known.check_attached(point)
    slopes = jacobians(known, point, size)
    require(
        torch.isfinite(slopes).all(),
        "the derivative of this function is not finite",
        got="NaN or infinity, at a random point",
        expected="a differentiable function",
        hint="look for a square root or a norm at zero",
    )
    return Nonlinear(from_torch(known.unchecked, size, known.like), R, size)


class TorchMap:
    """A function of PyTorch as one of rows, (n, d) to (n, m), whose answers are checked.

    Args:
        fn: from (n, *shape) to (n, ...).
        shape: of one point.
        dtype: that fn works in; of its parameters, or float64, by default.
        device: the same; the CPU, by default.
    """

    def __init__(self, fn, shape, dtype=None, device=None):
        require(
            callable(fn),
            "a measurement is a function",
            got=type(fn).__name__,
            expected="fn(x) of a batch of points",
            hint="pass the function itself, for a deepinv physics its physics.A",
        )
        self.fn = fn
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.dim = math.prod(self.shape)
        like = _own(fn)
        self.like = torch.empty(
            0, dtype=dtype or like.dtype, device=device or like.device
        )

    def __call__(self, rows: Rows) -> Float[torch.Tensor, "n m"]:
        """The values (n, m) at rows (n, d).

        Raises:
            InputError: unless they are real, finite, and one for each point.
        """
        try:
            values = self.fn(rows.reshape(-1, *self.shape))
        except InputError:
            raise
        except Exception as error:  # whatever another program raises
            fail(
                "PyTorch does not compute this function",
                got=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}",
                expected=f"a function of (n, {_written(self.shape)}), {self.like.dtype}",
                hint="pass the shape of one point that it takes, or dtype=torch.float32",
            )
        require(
            isinstance(values, torch.Tensor),
            "this function returns no tensor",
            got=type(values).__name__,
            expected="one tensor (n, ...)",
            hint="join parts by torch.cat([part.flatten(1) for part in parts], dim=1)",
        )
        require(
            values.is_floating_point(),
            "this function returns no real numbers",
            got=str(values.dtype),
            expected="floating-point numbers",
            hint="stack real and imaginary parts: torch.view_as_real(y).flatten(1); the "
            "variance of a part is half that of a complex number",
        )
        require(
            values.ndim >= 1 and len(values) == len(rows),
            "this function does not keep the batch",
            got=f"{tuple(values.shape)} for {len(rows)} points",
            expected=f"({len(rows)}, ...): one answer for each point",
            hint="write it for (n, ...) and keep the first axis",
        )
        require(
            torch.isfinite(values.detach()).all(),
            "this function returns NaN or infinity",
            got=f"at points of size {rows.detach().abs().max().item():.3g}",
            expected="finite numbers",
            hint="look for a division by zero, or a logarithm of what may be negative",
        )
        return values.reshape(len(values), -1)

    def unchecked(self, rows: Rows) -> Float[torch.Tensor, "n m"]:
        """The same values, (n, m), where NaN is passed on: samples that have it count."""
        return self.fn(rows.reshape(-1, *self.shape)).reshape(len(rows), -1)

    def check_attached(self, rows: Rows, first: int = 0) -> None:
        """Refuses a function whose values have no gradient.

        Args:
            rows: where.
            first: numbers of a row before it need none.

        Raises:
            InputError: if the gradient is missing, or all of it is zero.
        """
        with torch.enable_grad():
            rows = rows.detach().requires_grad_()
            values = self(rows).flatten()
            total = values @ torch.linspace(1.0, 2.0, len(values)).to(values)
            slopes = None
            if values.requires_grad:  # perhaps of its parameters alone
                (slopes,) = torch.autograd.grad(total, rows, allow_unused=True)
        require(
            slopes is not None and bool((slopes[:, first:] != 0).any()),
            "this function has no derivative",
            got="an answer that is detached from its argument",
            expected="operations of PyTorch on the argument",
            hint="leave out detach(), numpy() and torch.no_grad()",
        )

    def probe(self, size: float) -> Rows:
        """Three random points, (3, d), the same in every call."""
        points = np.random.default_rng(0).normal(size=(3, self.dim))
        return torch.from_numpy(size * points).to(self.like)

    def check_repeatable(self, points: Rows) -> None:
        """Refuses a function with noise, and one that couples the points of a batch.

        Raises:
            InputError: if two answers to one point differ.
        """
        with torch.no_grad():
            first, second = self(points), self(points)
            size = 1 + first.abs().max().item()
            allowed = _LOST * torch.finfo(first.dtype).eps * size
            far = (first - second).abs().max().item()
            require(
                far <= allowed,
                "this function gives two answers to one point",
                got=f"values that differ by {far:.3g}",
                expected="a function without noise",
                hint="pass physics.A, not physics: the noise is R; of a network, .eval()",
            )
            alone = torch.cat([self(point) for point in points.split(1)])
            far = (first - alone).abs().max().item()
            require(
                far <= allowed,
                "this function couples the points of a batch",
                got=f"values that differ by {far:.3g} from those of a point alone",
                expected="one answer for each point, whatever is beside it",
                hint="reduce over the axes of one point only; of a network, .eval()",
            )


class Matrix(NamedTuple):
    """What a function would be if it were affine, and how far it is from that.

    Attributes:
        A: (m, d).
        b: (m,).
        far: the largest distance of a value from A x + b, at random points.
        allowed: what rounding may do there.
    """

    A: Float[np.ndarray, "m d"]
    b: Float[np.ndarray, " m"]
    far: float
    allowed: float

    @property
    def affine(self) -> bool:
        """Whether the function is A x + b."""
        return self.far <= self.allowed


def matrix_of(known: "TorchMap") -> Matrix:
    """The matrix of a function by columns, and whether it is all of it.

    Raises:
        InputError: if the function has noise or couples points, and as it does itself.
    """
    known.check_repeatable(known.probe(1.0))
    with torch.no_grad():
        b = known(torch.zeros(1, known.dim).to(known.like))
        eye = torch.eye(known.dim).to(known.like)
        columns = torch.cat([known(part) - b for part in eye.split(_COLUMNS)])
        worst = 0.0, 0.0
        for size in _PROBES:
            points = known.probe(size)
            expected = points @ columns + b
            slack = _LOST * torch.finfo(b.dtype).eps * (1 + expected.abs().max().item())
            far = (known(points) - expected).abs().max().item()
            worst = max(worst, (far, slack), key=lambda pair: pair[0] - pair[1])
    return Matrix(_double(columns.T), _double(b[0]), *worst)


def _own(fn) -> torch.Tensor:
    """A tensor like those that a module, or the module of a method, works with."""
    module = fn if isinstance(fn, torch.nn.Module) else getattr(fn, "__self__", None)
    if isinstance(module, torch.nn.Module):
        for part in (*module.parameters(), *module.buffers()):
            if part.is_floating_point() and part.ndim > 0:
                return part.detach()
    return torch.empty(0, dtype=torch.float64)


def _double(values) -> np.ndarray:
    return values.cpu().numpy().astype(float)


def _written(shape):
    return ", ".join(map(str, shape))
