r"""The denoiser of a mixture or a target as a PyTorch module, in anybody's variables."""

import jax
import jax.numpy as jnp
import torch

from ..._checks import fail, require
from ...mixture import GaussianMixture
from ...problem import Target
from ...problem.denoisers import AbstractDenoiser, Prior
from .bridge import FromJax
from .mixture import MixtureMean
from .points import Batch, Points, Rows, Scales, positive, rows_of, scale

Known = GaussianMixture | AbstractDenoiser | Target


class Denoiser(torch.nn.Module):
    r"""E[x0 | x] at \(x = \alpha x_0 + \sigma\varepsilon\), exact, with exact derivatives.

    That of a mixture is PyTorch's own arithmetic: it differentiates to any order, and
    `.to(device)` and `.float()` move it. Any other denoiser of this package (a network in
    JAX, a score that errs) is called on JAX's device, and also differentiates.

    In every method x is (n, d) or (n, ...) with d numbers a point, and answers have its
    shape and precision; alpha and sigma are numbers, or tensors of one or n. The
    arithmetic is in the precision of the mixture, whatever x is in.

    Args:
        known: a mixture, any of `gt.denoisers`, or a target: what its methods see.
        dim: d, of a denoiser that does not know it itself.

    Raises:
        InputError: if known is nothing of these, or dim is missing.
    """

    def __init__(self, known: Known, dim: int | None = None):
        torch.nn.Module.__init__(self)
        if isinstance(known, Target):
            dim = known.problem.prior.dim
            known = known.denoiser or known.problem.prior
        if isinstance(known, Prior):
            known = known.prior
        if isinstance(known, GaussianMixture):
            self.mean, self.dim = MixtureMean(known), known.dim
        elif isinstance(known, AbstractDenoiser):
            require(
                dim is not None,
                "the dimension of this denoiser is not known",
                got=type(known).__name__,
                expected="dim, the size of one point",
                hint="pass dim=..., or the target that is seen through it",
            )
            self.mean, self.dim = BridgedMean(known), dim
        else:
            fail(
                "this is no denoiser",
                got=type(known).__name__,
                expected="a GaussianMixture, a Target or one of gt.denoisers",
                hint="a function of JAX is gt.denoisers.Network(fn)",
            )

    def forward(self, x: Batch, alpha, sigma) -> Batch:
        """E[x0 | x], in the shape of x.

        Args:
            x: (n, ...).
            alpha: scale of x0 in x; below, everywhere, the same.
            sigma: scale of the noise.

        Raises:
            InputError: if shapes do not fit, or x0 is not defined there.
        """
        at = self._points(x, alpha, sigma)
        return at.back(self._mean(at))

    def eps(self, x: Batch, alpha, sigma) -> Batch:
        """The predicted noise (x - alpha x0) / sigma, in the shape of x."""
        at = self._points(x, alpha, sigma)
        return at.back(self._eps(at))

    def score(self, x: Batch, alpha, sigma) -> Batch:
        """The score of the law of x, -eps / sigma, in the shape of x."""
        at = self._points(x, alpha, sigma)
        return at.back(-self._eps(at) / at.sigma)

    def v(self, x: Batch, alpha, sigma) -> Batch:
        """alpha eps - sigma x0 (Salimans & Ho 2022), in the shape of x."""
        at = self._points(x, alpha, sigma)
        return at.back(at.alpha * self._eps(at) - at.sigma * self._mean(at))

    def flow(self, x: Batch, t) -> Batch:
        """eps - x0 at x = (1 - t) x0 + t eps: the velocity of a rectified flow.

        Args:
            x: (n, ...).
            t: times in (0, 1].
        """
        t = scale(t, len(x), self.like, "t")
        at = self._points(x, 1.0 - t, t)
        return at.back(self._eps(at) - self._mean(at))

    @property
    def like(self) -> torch.Tensor:
        """A tensor with the precision and the device of the arithmetic."""
        return self.mean.like

    def _points(self, x, alpha, sigma) -> Points:
        rows = rows_of(x, self.dim, self.like, "x")
        alpha = scale(alpha, len(rows), self.like, "alpha")
        return Points(rows, alpha, scale(sigma, len(rows), self.like, "sigma"), x)

    def _mean(self, at: Points) -> Rows:
        if not self.mean.least > 0:
            positive(at.sigma, "sigma", "the mean of a prior without density")
        return self.mean(at.rows, at.alpha, at.sigma)

    def _eps(self, at: Points) -> Rows:
        positive(at.sigma, "sigma", "the predicted noise")
        return (at.rows - at.alpha * self._mean(at)) / at.sigma


class BridgedMean(torch.nn.Module):
    """The mean (n, d) of a denoiser of this package, which JAX computes.

    Args:
        denoiser: any of `gt.denoisers`.
    """

    least = 0.0

    def __init__(self, denoiser: AbstractDenoiser):
        torch.nn.Module.__init__(self)
        kind = torch.empty(0, dtype=_precision())
        self.register_buffer("_like", kind, persistent=False)
        self.crossed = FromJax(_means, denoiser, 3)

    @property
    def like(self) -> torch.Tensor:
        """A tensor with the precision and the device of the arithmetic."""
        return self._like

    def forward(self, rows: Rows, alpha: Scales, sigma: Scales) -> Rows:
        """The mean (n, d) at rows x (n, d) and scales (n, 1) or (1, 1)."""
        scales = (value.expand(len(rows), 1)[:, 0] for value in (alpha, sigma))
        return self.crossed(rows, *scales)[0]


def _means(denoiser, x, alpha, sigma):
    return (jax.vmap(lambda *point: denoiser(*point).mean)(x, alpha, sigma),)


def _precision() -> torch.dtype:
    """That of JAX in this session."""
    return torch.float64 if jnp.result_type(float) == jnp.float64 else torch.float32
