r"""E[x0 | x] of a mixture in PyTorch's own arithmetic.

Differentiable to any order, by backward, forward and functional derivatives, on any
device. With centred \(\tilde x = x - \alpha c\) and \(\tilde\mu_k = \mu_k - c\), the mean
of component k is \(c + \tilde\mu_k + G_k (\tilde x - \alpha\tilde\mu_k)\), with
\(G_k = \alpha\Sigma_k (\alpha^2 \Sigma_k + \sigma^2 I)^{-1}\).
"""

import math

import jax
import numpy as np
import torch

from ...mixture import GaussianMixture
from .points import Rows, Scales

_MANY = 4096  # numbers in the means; beyond, squares are written out


class MixtureMean(torch.nn.Module):
    """The denoised mean (n, d) of rows x (n, d), as a module without parameters.

    Args:
        prior: the mixture of x0.
    """

    def __init__(self, prior: GaussianMixture):
        torch.nn.Module.__init__(self)
        means = np.array(prior.means)
        centre = np.array(prior.mean())
        basis = np.array(prior.basis)
        self.atomic = bool(prior.atomic)
        self.dim, self.rank = basis.shape[1:]
        for name, value in {
            "log_weights": np.array(prior.log_weights),
            "centre": centre,
            "means": means - centre,
            "base": np.array(prior.base),
            "basis": basis,
            "spectrum": np.array(prior.spectrum),
        }.items():
            self.register_buffer(f"_{name}", torch.from_numpy(value), persistent=False)
        least = [prior.spectrum] if self.rank == self.dim else []
        least = least or [prior.base, *([prior.spectrum] if self.rank else [])]
        self.least = min(float(np.min(jax.device_get(part))) for part in least)

    @property
    def like(self) -> torch.Tensor:
        """A tensor with the precision and the device of the arithmetic."""
        return self._means

    def forward(self, rows: Rows, alpha: Scales, sigma: Scales) -> Rows:
        """E[x0 | x] (n, d) for rows x (n, d) and scales (n, 1) or (1, 1)."""
        x = rows - alpha * self._centre
        if self.rank == 0 and self._means.numel() > _MANY:
            return self._centre + self._matrix_products(x, alpha, sigma)
        return self._centre + self._one_by_one(x, alpha, sigma)

    def _matrix_products(self, x, alpha, sigma):
        """Many isotropic components: nothing has n K d entries."""
        means = self._means
        noisy = alpha**2 * self._base + sigma**2  # (n, K)
        squares = (x**2).sum(1, keepdim=True) - 2 * alpha * (x @ means.T)
        squares = squares + alpha**2 * (means**2).sum(1)
        log_terms = self._log_weights - 0.5 * (self.dim * noisy.log() + squares / noisy)
        shares = torch.softmax(log_terms, dim=1)
        kept = (shares * (sigma**2 / noisy)) @ means
        return kept + (shares * (alpha * self._base / noisy)).sum(1, keepdim=True) * x

    def _one_by_one(self, x, alpha, sigma):
        """Any components; the arrays have K n d entries."""
        offset = x - alpha * self._means[:, None]  # (K, n, d)
        log_terms = self._log_weights[:, None] - 0.5 * self.dim * math.log(2 * math.pi)
        moved, beyond = self._means[:, None], offset
        if self.rank > 0:
            spectrum = self._spectrum[:, None]  # (K, 1, r)
            noisy = alpha**2 * spectrum + sigma**2
            inside = offset @ self._basis
            log_terms = log_terms - 0.5 * (noisy.log() + inside**2 / noisy).sum(2)
            moved = moved + (alpha * spectrum / noisy * inside) @ self._basis.mT
            beyond = offset - inside @ self._basis.mT
        if self.rank < self.dim:
            base = self._base[:, None, None]
            noisy = alpha**2 * base + sigma**2  # (K, n, 1)
            free = self.dim - self.rank
            squares = free * noisy.log() + (beyond**2).sum(2, keepdim=True) / noisy
            log_terms = log_terms - 0.5 * squares[..., 0]
            moved = moved + alpha * base / noisy * beyond
        shares = torch.softmax(log_terms, dim=0)[..., None]
        # The shares add up to one, so any constant may be taken out: of the mean itself,
        # what rounding leaves in the derivative is squared.
        constant = (shares * moved).sum(0).detach()
        return constant + (shares * (moved - constant)).sum(0)
