"""azula: the exact denoiser as its Denoiser, on a path of this package or of azula."""

from typing import Any

import azula.noise
import jax.numpy as jnp
import torch
from azula.denoise import Denoiser as AbstractAzula
from azula.denoise import DiracPosterior

from ..._checks import require
from ...paths import AbstractPath
from .denoiser import Denoiser
from .points import Batch


class Azula(AbstractAzula):
    """azula's Denoiser, which its samplers and guided denoisers take.

    Args:
        denoiser: the module.
        schedule: a path of this package, or a schedule of azula.

    Raises:
        InputError: if the schedule is neither.
    """

    def __init__(self, denoiser: Denoiser, schedule):
        torch.nn.Module.__init__(self)
        if isinstance(schedule, AbstractPath):
            schedule = PathSchedule(schedule)
        require(
            isinstance(schedule, azula.noise.Schedule),
            "this is no schedule",
            got=type(schedule).__name__,
            expected="a path, gt.VP(), or one of azula.noise",
            hint="pass the instance that the sampler uses",
        )
        self.denoiser, self.schedule = denoiser, schedule

    def forward(self, x_t: Batch, t: torch.Tensor, **others: Any) -> DiracPosterior:
        """The posterior's mean, E[x0 | x_t], in the shape of x_t.

        Args:
            x_t: (n, ...).
            t: (), or (n,).
            others: labels, which change nothing.
        """
        return DiracPosterior(self.denoiser(x_t, *self.schedule(t)))


class PathSchedule(azula.noise.Schedule):
    """alpha and sigma of a path of this package, in the precision of t.

    Args:
        path: the path.
    """

    def __init__(self, path: AbstractPath):
        self.path = path

    def __call__(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """alpha and sigma, each of the shape of t."""
        times = jnp.asarray(t.detach().double().cpu().numpy())
        return (_tensor(self.path.alpha(times), t), _tensor(self.path.sigma(times), t))


def _tensor(values, like):
    return torch.tensor(values.tolist(), dtype=torch.float64).to(like)
