r"""Exponential steps of the reverse SDE with any scale h of its noise.

All diffusions of this family have the exact marginals:

\[ dx = \big[f x - \tfrac12 (1 + h^2) g^2 \nabla\log p_t\big] dt + h g\, d\bar w , \]

the probability-flow ODE for h = 0 and the usual reverse SDE for h = 1. With
\(x = \alpha M + \sigma n\) and M kept as it is during a step, n is an Ornstein-Uhlenbeck
process in half of the log-SNR; with \(\rho = \alpha_t\sigma_s/(\alpha_s\sigma_t)\)

\[ n_s \sim N\big(\rho^{h^2} n_t,\ (1 - \rho^{2 h^2}) I\big) . \]

It is DDIM with \(\eta = 0\) and 1 for h = 0 and 1, and on fine grids with \(\eta = h\)
between.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import check_range, floating
from .._types import Scalar, Vector
from ..gaussian import Gaussian, isotropic
from ..method import Cost, Facts
from .base import AbstractKernel, GuidedField


class ReverseSDE(AbstractKernel):
    """The reverse SDE with noise h times the usual, in exponential steps.

    Attributes:
        h: () scale of the noise, 0 or more; beyond 1 the field is followed harder.

    Raises:
        InputError: if h is negative, where it is known.
    """

    h: Scalar = eqx.field(converter=floating, default=1.0)

    facts: ClassVar[Facts] = Facts(
        summary="reverse SDE with noise of any scale h, 0 to 1 and beyond",
        reference="Cao, Chen, Luo & Zhou 2023, arXiv:2306.02063, eq. 5",
        affine=True,
        order=1,
        cost=Cost(denoiser=1),
    )

    def __check_init__(self):
        check_range("h", self.h, least=0.0)

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Gaussian:
        """N(alpha_s M + sigma_s rho^(h^2) n, sigma_s^2 (1 - rho^(2 h^2)) I)."""
        path = field.path
        clean = field.posterior_mean(x, t)
        noise = (x - path.alpha(t) * clean) / path.sigma(t)
        rate = 0.5 * self.h**2 * (path.log_snr(t) - path.log_snr(s))  # log of rho^(h^2)
        mean = path.alpha(s) * clean + path.sigma(s) * jnp.exp(rate) * noise
        return isotropic(mean, -jnp.expm1(2.0 * rate) * path.sigma(s) ** 2)
