r"""The exact denoiser under the calling conventions of public code.

Where a convention counts steps, `alphas_cumprod` (T,) are the squares of alpha: step t is
\(x = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \varepsilon\).
"""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch

from ..._checks import check_real, choose, require
from .denoiser import Denoiser
from .points import Batch

_ANSWERS = {
    "epsilon": Denoiser.eps,
    "sample": Denoiser.forward,
    "v_prediction": Denoiser.v,
}


class EDM(torch.nn.Module):
    """D(x, sigma) at x = x0 + sigma eps: `net(x, sigma)` of EDM, and deepinv's Denoiser.

    Karras et al. 2022, arXiv:2206.00364, whose samplers also ask for `sigma_min`,
    `sigma_max`, `round_sigma`, and the shape of an image. deepinv's samplers call the
    same with images (B, C, H, W); many of them take pixels to be in [0, 1] and clip there.

    Args:
        denoiser: the module.
        shape: of one image, (C, H, W), if a sampler asks for it.
    """

    sigma_min, sigma_max, label_dim = 0.0, float("inf"), 0

    def __init__(self, denoiser: Denoiser, shape: tuple[int, ...] = ()):
        torch.nn.Module.__init__(self)
        self.denoiser = denoiser
        self.img_channels = shape[0] if shape else denoiser.dim
        self.img_resolution = shape[-1] if shape else 1

    def forward(self, x: Batch, sigma, *others: Any, **more: Any):
        """E[x0 | x], in the shape of x; labels and what else is passed change nothing.

        Args:
            x: (n, ...).
            sigma: a number, or n in any shape.
            others: class labels, in EDM.
            more: `force_fp32` and its like.
        """
        return self.denoiser(x, 1.0, sigma)

    def round_sigma(self, sigma) -> torch.Tensor:
        """Levels as they are: all are known."""
        return torch.as_tensor(sigma)


class GuidedDiffusion(torch.nn.Module):
    r"""`model(x, t)` of guided-diffusion: predicted noise, and channels for the variance.

    Dhariwal & Nichol 2021, arXiv:2105.05233. With `learn_sigma` the answer has 2 C
    channels: the noise, then v in [-1, 1] that interpolates the logarithm of the variance
    of a step between that of \(p(x_{t-1} | x_t, x_0)\) at -1 and \(\beta_t\) at 1. What is
    exact here is the mean; which v is best depends on the sampler, so it is a number.

    Args:
        denoiser: the module.
        alphas_cumprod: (T,).
        learn_sigma: whether the channels for the variance are there.
        variance: v, from -1 to 1.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        alphas_cumprod,
        learn_sigma: bool = True,
        variance: float = -1.0,
    ):
        torch.nn.Module.__init__(self)
        require(
            -1.0 <= variance <= 1.0,
            "variance interpolates between two variances",
            got=variance,
            expected="a number from -1 (the smaller) to 1",
            hint="pass -1.0 for the variance of the step given x0",
        )
        self.denoiser = denoiser
        self.levels = Levels(alphas_cumprod)
        self.learn_sigma, self.variance = learn_sigma, variance

    def forward(self, x: Batch, t, *others: Any, **more: Any) -> Batch:
        """The predicted noise, (n, C, ...), or with the variance, (n, 2 C, ...).

        Args:
            x: (n, C, ...).
            t: steps, whole numbers from 0, one or n.
            others: labels, which change nothing.
            more: the same.
        """
        noise = self.denoiser.eps(x, *self.levels.at(t))
        if not self.learn_sigma:
            return noise
        return torch.cat([noise, torch.full_like(noise, self.variance)], dim=1)


class Diffusers(torch.nn.Module):
    """`unet(sample, timestep).sample`, as the pipelines of diffusers call it.

    Args:
        denoiser: the module.
        alphas_cumprod: (T,), `scheduler.alphas_cumprod`.
        prediction_type: `scheduler.config.prediction_type`: "epsilon", "sample" (x0) or
            "v_prediction".
        shape: of one image, (C, H, W), if a pipeline asks `unet.config` for it.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        alphas_cumprod,
        prediction_type: str = "epsilon",
        shape: tuple[int, ...] = (),
    ):
        torch.nn.Module.__init__(self)
        self.denoiser = denoiser
        self.levels = Levels(alphas_cumprod)
        self.answer = choose(prediction_type, _ANSWERS, "prediction_type")
        self.config = SimpleNamespace(
            in_channels=shape[0] if shape else denoiser.dim,
            out_channels=shape[0] if shape else denoiser.dim,
            sample_size=shape[-1] if shape else 1,
        )

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the arithmetic."""
        return self.denoiser.like.dtype

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.denoiser.like.device

    def forward(
        self,
        sample: Batch,
        timestep,
        *others: Any,
        return_dict: bool = True,
        **more: Any,
    ):
        """The prediction as `.sample`, or as a tuple of one without `return_dict`.

        Args:
            sample: x, (n, C, ...).
            timestep: steps, whole numbers from 0, one or n.
            others: text embeddings and labels, which change nothing.
            return_dict: whether the answer has a name.
            more: as others.
        """
        found = self.answer(self.denoiser, sample, *self.levels.at(timestep))
        return UNetOutput(found) if return_dict else (found,)


class UNetOutput(NamedTuple):
    """What a U-Net of diffusers returns."""

    sample: torch.Tensor


class Levels:
    """Scales by the number of a step.

    Args:
        alphas_cumprod: (T,), in [0, 1), decreasing.

    Raises:
        InputError: unless they are that.
    """

    def __init__(self, alphas_cumprod):
        if isinstance(alphas_cumprod, torch.Tensor):
            alphas_cumprod = alphas_cumprod.detach().cpu().numpy()
        check_real(alphas_cumprod, "alphas_cumprod")
        squares = np.asarray(alphas_cumprod, float)
        falling = squares.ndim == 1 and squares.size and np.all(np.diff(squares) < 0)
        require(
            falling and squares[0] < 1 and squares[-1] >= 0,
            "these are no alphas_cumprod",
            got=f"shape {squares.shape}, from {squares.max(initial=-np.inf):g} to "
            f"{squares.min(initial=np.inf):g}",
            expected="(T,), decreasing, in [0, 1): the squares of alpha",
            hint="np.cumprod(1 - betas)",
        )
        self.alpha = torch.from_numpy(np.sqrt(squares))
        self.sigma = torch.from_numpy(np.sqrt(1.0 - squares))

    def at(self, t) -> tuple[torch.Tensor, torch.Tensor]:
        """alpha and sigma of steps t, each (n,), or of one, (1,).

        Raises:
            InputError: if a step is no whole number, or beyond the last.
        """
        t = torch.as_tensor(t).detach().cpu().reshape(-1)
        steps = t.long()
        require(
            bool(((steps == t) & (steps >= 0) & (steps < len(self.alpha))).all()),
            "there is no such step",
            got=f"t from {t.min().item():g} to {t.max().item():g}",
            expected=f"whole numbers from 0 to {len(self.alpha) - 1}",
            hint="pass the number of a training step, not a time and not a noise level",
        )
        return self.alpha[steps], self.sigma[steps]
