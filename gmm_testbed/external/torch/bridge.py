"""Functions of JAX as functions of PyTorch, and of PyTorch as functions of JAX."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import torch
from jaxtyping import Array, Float


class FromJax:
    """A JAX function as a function of tensors, with derivatives of any order.

    Its backward pass is again such a function, the vector-Jacobian product. It runs on
    the device of JAX, by NumPy, and not under `torch.func`.

    Args:
        fn: from `known` and `count` arrays to a tuple of `values` arrays. One and the
            same fn is compiled once, whatever is known.
        known: data of it: a pytree.
        count: of its arguments.
        values: of what it returns.
    """

    def __init__(self, fn: Callable, known: Any, count: int, values: int = 1):
        self.fn, self.known, self.count, self.values = fn, known, count, values

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The values, in the precision and on the device of the first tensor."""
        return _Crossing.apply(self, *tensors)

    def run(self, *arrays: Array) -> tuple[Array, ...]:
        """The values of arrays, by a compiled program."""
        return _run(self.fn, self.known, arrays)

    @property
    def product(self) -> "FromJax":
        """From the arguments and the cotangents of all values to those of all arguments."""
        product = _Product(self.fn, self.count)
        return FromJax(product, self.known, self.count + self.values, self.count)


class _Product(eqx.Module):
    """The vector-Jacobian product of fn in its arrays."""

    fn: Callable = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def __call__(self, known, *given):
        arguments, cotangents = given[: self.count], given[self.count :]
        _, pullback = jax.vjp(lambda *arrays: self.fn(known, *arrays), *arguments)
        return pullback(cotangents)


@eqx.filter_jit
def _run(fn, known, arrays):
    return fn(known, *arrays)


class _Crossing(torch.autograd.Function):
    """One call of a `FromJax`."""

    @staticmethod
    def forward(ctx, crossed, *tensors):
        ctx.crossed = crossed
        ctx.save_for_backward(*tensors)
        arrays = (jnp.asarray(tensor.detach().cpu().numpy()) for tensor in tensors)
        like = tensors[0]
        return tuple(
            torch.from_numpy(np.array(value)).to(like) for value in crossed.run(*arrays)
        )

    @staticmethod
    def backward(ctx, *cotangents):
        return None, *ctx.crossed.product(*ctx.saved_tensors, *cotangents)


def from_torch(fn: Callable, size: int, like: torch.Tensor) -> Callable:
    """A function of PyTorch as one of JAX, from a point (d,) to (size,).

    It calls back to the host, a whole batch at once. Its derivative is the Jacobian, by
    one backward pass for each value, which is again such a function: derivatives of every
    order exist, forwards and backwards.

    Args:
        fn: from rows (n, d) to (n, ...) with `size` numbers each.
        size: of values of one point.
        like: a tensor with the precision and device that fn works in.
    """

    def on_the_host(points):
        points = np.array(points)  # a copy that PyTorch may own
        batch = torch.from_numpy(points.reshape(-1, points.shape[-1])).to(like)
        with torch.no_grad():
            values = fn(batch).reshape(*points.shape[:-1], size)
        return values.detach().cpu().numpy().astype(points.dtype)

    def jacobian(points):
        return jacobians(fn, points, size)

    @jax.custom_jvp
    def value(x):
        kind = jax.ShapeDtypeStruct((size,), x.dtype)
        return jax.pure_callback(on_the_host, kind, x, vmap_method="expand_dims")

    @value.defjvp
    def derivative(primals, tangents):
        (x,), (along,) = primals, tangents
        slopes = from_torch(jacobian, size * x.shape[0], like)(x)
        return value(x), slopes.reshape(size, -1) @ along

    return value


def jacobians(
    fn: Callable, points: Float[torch.Tensor, "n d"], size: int
) -> Float[torch.Tensor, "n size d"]:
    """Jacobians (n, size, d) of fn at rows (n, d), differentiable in turn."""
    with torch.enable_grad():
        points = points if points.requires_grad else points.detach().requires_grad_()
        values = fn(points).reshape(len(points), size)
        if not values.requires_grad:  # as the second derivative of what is linear
            return points.new_zeros(len(points), size, points.shape[1])
        rows = [
            torch.autograd.grad(
                values[:, i].sum(), points, create_graph=True, materialize_grads=True
            )[0]
            for i in range(size)
        ]
        return torch.stack(rows, dim=1)
