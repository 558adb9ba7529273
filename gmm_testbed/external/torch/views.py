r"""A sampler in PyTorch, seen as any other: it is given tensors, and its answer is read.

def program(problem, denoiser, num, seed):
    x = problem.sigma[0] * torch.randn(num, problem.dim, dtype=problem.y.dtype)
    ...
    return x

gt.sample(key, gt.External(program, views=gt.torch.Views()), target, times, 1000)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ..._types import Times
from ...problem import Target
from ..host import host_problem
from .denoiser import Denoiser
from .measurements import Forward


class TorchProblem(NamedTuple):
    r"""An inverse problem and a grid of times, in tensors.

    Attributes:
        dim: d.
        y: (m,).
        R: (m, m), covariance of the noise.
        A: (m, d), or None if the measurement is not linear.
        b: (m,), or None.
        times: (N + 1,), decreasing.
        alpha: (N + 1,), at these times.
        sigma: (N + 1,).
        forward: a module from x0 (n, ...) to f(x0), (n, m), which differentiates.
    """

    dim: int
    y: torch.Tensor
    R: torch.Tensor
    A: torch.Tensor | None
    b: torch.Tensor | None
    times: torch.Tensor
    alpha: torch.Tensor
    sigma: torch.Tensor
    forward: Forward


class Views:
    """How a program in PyTorch sees a target: `gt.External(program, views=Views())`.

    The program is called as program(problem, denoiser, num, seed), with a `TorchProblem`
    and a `Denoiser`; it returns a tensor (num, d). PyTorch's generators are seeded with
    `seed` before, and are afterwards as they were.

    Args:
        dtype: of the tensors it is given. The denoiser answers in the precision of what
            it is asked, and computes in that of the prior.
        device: of the tensors and the modules.
    """

    def __init__(
        self,
        dtype: torch.dtype = torch.float64,
        device: str | torch.device = "cpu",
    ):
        self.dtype, self.device = dtype, torch.device(device)

    def __call__(
        self, fn: Callable, target: Target, times: Times, num: int, seed: int
    ) -> Any:
        """What fn returns, on the host."""
        problem, denoiser = self.problem(target, times), self.denoiser(target)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            made = fn(problem, denoiser, num, seed)
        if not isinstance(made, torch.Tensor):
            return made
        made = made.detach().cpu().resolve_conj().resolve_neg()
        return made.double() if made.is_floating_point() else made  # also bfloat16

    def problem(self, target: Target, times: Times) -> TorchProblem:
        """The problem of a target in tensors."""
        seen = host_problem(target, times)
        arrays = (seen.y, seen.R, seen.A, seen.b, seen.times, seen.alpha, seen.sigma)
        tensors = (
            None
            if array is None
            else torch.from_numpy(array).to(self.device, self.dtype)
            for array in arrays
        )
        forward = Forward(target.problem.measurement, seen.dim).to(self.device)
        return TorchProblem(seen.dim, *tensors, forward)

    def denoiser(self, target: Target) -> Denoiser:
        """What methods see of the prior of a target, as a module."""
        return Denoiser(target).to(self.device)
