r"""DDRM: a step in the singular vectors of A, where every coordinate has noise of its own.

With \(R^{-1/2} A = \sum_i s_i u_i v_i^T\) let \(\bar m_i = v_i^T m\),
\(\bar y_i = u_i^T R^{-1/2}(y - b)\) and \(\hat\varepsilon = (x - \alpha_t m)/\sigma_t\).
Coordinate i of \(x_s\) along \(v_i\) is independent of the others, with

\[ \begin{array}{lll}
   s_i = 0: & \alpha_s \bar m_i + \sqrt{1-\eta^2}\,\sigma_s v_i^T\hat\varepsilon,
     & \text{variance } \eta^2 \sigma_s^2; \\
   s_i \sigma_s < \alpha_s: &
     \alpha_s \bar m_i + \sqrt{1-\eta^2}\,\sigma_s (\bar y_i - s_i \bar m_i),
     & \text{variance } \eta^2 \sigma_s^2; \\
   \text{else}: & \alpha_s ((1-\eta_b) \bar m_i + \eta_b \bar y_i / s_i),
     & \text{variance } \sigma_s^2 - \eta_b^2 \alpha_s^2 / s_i^2 .
   \end{array} \]

It starts from \(\alpha \bar y_i / s_i\) with variance \(\sigma^2 - \alpha^2/s_i^2\) where
\(s_i \sigma > \alpha\), and from \(N(0, \sigma^2)\) elsewhere. With \(\eta_b = 1\) it is
DDNM+. Fresh noise of a variance that does not shrink with the step gives a law without a
limit: quote the number of steps with it.

Exact when: never for a prior that is a law; in the limit of a flat prior.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import check_range, floating
from .._types import Scalar, Vector
from ..gaussian import Gaussian, Spectral
from ..method import AbstractMarkov, Cost, Facts
from ..problem import Target
from .base import coordinates


class DDRM(AbstractMarkov):
    r"""Denoising diffusion restoration model.

    Attributes:
        eta: () \(\eta\) in [0, 1], share of fresh noise.
        eta_b: () \(\eta_b\) in [0, 1], trust in coordinates less noisy than x.

    Raises:
        InputError: if one of them is outside [0, 1], where it is known.
    """

    eta: Scalar = eqx.field(converter=floating, default=0.85)
    eta_b: Scalar = eqx.field(converter=floating, default=1.0)

    facts: ClassVar[Facts] = Facts(
        summary="denoises and restores in the singular vectors of A, with fresh noise",
        reference="Kawar et al. 2022, arXiv:2201.11793, eq. 7 and 8",
        needs=frozenset({"linear"}),
        affine=True,
        order=0,
        cost=Cost(denoiser=1, measurement=1),
    )

    def __check_init__(self):
        check_range("eta", self.eta, least=0.0, most=1.0)
        check_range("eta_b", self.eta_b, least=0.0, most=1.0)

    def start(self, target: Target, t: Scalar) -> Gaussian:
        """N(0, sigma^2 I), sharpened where y is less noisy than x_t."""
        along, alpha = coordinates(target), target.path.alpha(t)
        sigma, singular = target.path.sigma(t), along.singular
        known = singular * sigma > alpha
        precise = alpha / jnp.where(known, singular, 1.0)
        mean = jnp.where(known, alpha * along.exact, 0.0)
        spectrum = sigma**2 - jnp.where(known, precise, 0.0) ** 2
        return Gaussian(along.basis @ mean, Spectral(sigma**2, along.basis, spectrum))

    def transition(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Gaussian:
        """The Gaussian law of x_s, diagonal in the singular vectors."""
        along, path = coordinates(target), target.path
        basis, singular = along.basis, along.singular
        alpha, sigma = path.alpha(s), path.sigma(s)
        clean = target.denoise(x, t).mean
        noise = (x - path.alpha(t) * clean) / path.sigma(t)
        kept = jnp.sqrt(1.0 - self.eta**2) * sigma
        free = alpha * clean + kept * noise  # where nothing is measured
        inside, trust = basis.T @ clean, self.eta_b
        vague = alpha * inside + kept * (along.observed - singular * inside)
        sharp = alpha * ((1.0 - trust) * inside + trust * along.exact)
        known = singular * sigma >= alpha
        mean = jnp.where(known, sharp, vague)
        mean = jnp.where(singular > 0, mean, basis.T @ free)
        fresh = (self.eta * sigma) ** 2
        precise = trust * alpha / jnp.where(known, singular, 1.0)
        spectrum = jnp.where(known, sigma**2 - precise**2, fresh)
        mean = free + basis @ (mean - basis.T @ free)
        return Gaussian(mean, Spectral(fresh, basis, spectrum))
