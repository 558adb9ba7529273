"""A denoiser in PyTorch, such as a trained network, for the methods of this package."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import torch

from ..._checks import require
from ..._types import Scalar, Vector
from ...problem.denoisers import AbstractDenoiser, Linearised
from .bridge import from_torch
from .measurements import TorchMap


class Network(AbstractDenoiser):
    """A denoiser that is a function of PyTorch: `target.seen_through(Network(fn, shape))`.

    JAX calls it on the host, a batch at once, and a product with its Jacobian takes one
    backward pass. It must treat the points of a batch one by one.

    Args:
        fn: from x (n, *shape), alpha and sigma (n, 1, ..., 1) to an estimate of x0,
            (n, *shape). Of EDM's D it is lambda x, a, s: D(x / a, s / a).
        shape: of one point.
        dtype: that fn works in; of its parameters, or float64, by default.
        device: the same.

    Raises:
        InputError: if fn, at random points with alpha = 0.8 and sigma = 0.6, returns
            another shape, no real and finite numbers, two answers to one point, or no
            derivative, or couples the points of a batch.
    """

    value: Callable = eqx.field(static=True)
    product: Callable = eqx.field(static=True)

    def __init__(
        self,
        fn: Callable,
        shape: int | tuple[int, ...],
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
    ):
        known = TorchMap(fn, shape, dtype, device)
        shape, dim = known.shape, known.dim

        def at(rows):
            *scales, points = rows[:, 0], rows[:, 1], rows[:, 2:]
            column = (-1, *(1 for _ in shape))
            return fn(points.reshape(-1, *shape), *(s.reshape(column) for s in scales))

        def pulled(rows):
            with torch.enable_grad():
                if not rows.requires_grad:
                    rows = rows.detach().requires_grad_()
                own, v = rows[:, : dim + 2], rows[:, dim + 2 :]
                values = estimate.unchecked(own)
                return torch.autograd.grad(values, own, v, create_graph=True)[0][:, 2:]

        estimate = TorchMap(at, dim + 2, known.like.dtype, known.like.device)
        probe = torch.cat(
            [torch.tensor([[0.8, 0.6]] * 3), known.probe(1.0).cpu()], dim=1
        )
        values = estimate(probe.to(known.like)).detach()
        require(
            values.shape[1] == dim,
            "this denoiser returns the wrong shape",
            got=f"{values.shape[1]} numbers a point",
            expected=f"{dim}, as x has",
            hint="take the first C of 2 C channels, and x0 of the noise",
        )
        estimate.check_repeatable(probe.to(known.like))
        estimate.check_attached(probe.to(known.like), 2)
        self.value = from_torch(estimate.unchecked, dim, known.like)
        self.product = from_torch(pulled, dim, known.like)

    def __call__(self, x: Vector, alpha: Scalar, sigma: Scalar) -> Linearised:
        at = jnp.concatenate([alpha[None], sigma[None], x])
        gain = sigma**2 / alpha
        return Linearised(
            self.value(at),
            lambda vector: gain * self.product(jnp.concatenate([at, vector])),
        )
