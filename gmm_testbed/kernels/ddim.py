r"""DDIM: keep part of the noise that is there, replace the rest.

\[ \text{mean} = \alpha_s M + \sqrt{\sigma_s^2 - v}\,(x - \alpha_t M)/\sigma_t, \qquad
   v = \eta^2 \sigma_s^2 (1 - \rho^2). \]

\(\eta = 1\) is DDPM with the small variance, \(\eta = 0\) is deterministic.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import check_range, floating
from .._types import Scalar, Vector
from ..gaussian import Gaussian, isotropic
from ..method import Cost, Facts
from .base import AbstractKernel, GuidedField, bridge


class DDIM(AbstractKernel):
    r"""Denoising diffusion implicit model.

    Attributes:
        eta: () share of fresh noise, in [0, 1].

    Raises:
        InputError: if eta is outside [0, 1], where it is known.
    """

    eta: Scalar = eqx.field(converter=floating, default=0.0)

    facts: ClassVar[Facts] = Facts(
        summary="interpolates deterministic (eta 0) and ancestral (eta 1) sampling",
        reference="Song, Meng & Ermon 2021, arXiv:2010.02502, eq. 12",
        affine=True,
        order=1,
        cost=Cost(denoiser=1),
    )

    def __check_init__(self):
        check_range("eta", self.eta, least=0.0, most=1.0)

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Gaussian:
        """N(alpha_s M + kept noise, eta^2 sigma_s^2 (1 - rho^2) I)."""
        path = field.path
        clean = field.posterior_mean(x, t)
        noise = (x - path.alpha(t) * clean) / path.sigma(t)
        fresh = self.eta**2 * bridge(path, t, s).fresh
        kept = path.sigma(s) * jnp.sqrt(1.0 - fresh)
        mean = path.alpha(s) * clean + kept * noise
        return isotropic(mean, path.sigma(s) ** 2 * fresh)
