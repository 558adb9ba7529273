r"""Euler steps in time of the reverse SDE and of the probability-flow ODE.

With \(\hat s = (\alpha M - x)/\sigma^2\), \(\Delta = t - s\):

\[ \text{SDE: } N(x - \Delta (f x - g^2 \hat s),\ g^2 \Delta I), \qquad
   \text{ODE: } x - \Delta (f x - \tfrac12 g^2 \hat s). \]
"""

from typing import ClassVar

import jax.numpy as jnp

from .._types import Scalar, Vector
from .base import AbstractKernel, GuidedField, KernelFacts, Transition


class EulerMaruyama(AbstractKernel):
    """Euler-Maruyama for the reverse SDE."""

    facts: ClassVar[KernelFacts] = KernelFacts(
        summary="Euler-Maruyama for the reverse SDE, in time",
        reference="Song et al. 2021, arXiv:2011.13456, eq. 6",
        order=1,
        affine=True,
        needs_signal=True,
        guides=False,
    )

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Transition:
        """N(x - Delta (f x - g^2 score), g^2 Delta I)."""
        path, delta = field.path, t - s
        g2 = path.diffusion_squared(t)
        mean = x - delta * (path.drift(t) * x - g2 * field.score(x, t))
        return Transition(mean, jnp.sqrt(g2 * delta))


class ProbabilityFlow(AbstractKernel):
    """Euler for the probability-flow ODE, in time."""

    facts: ClassVar[KernelFacts] = KernelFacts(
        summary="Euler for the probability-flow ODE, in time; deterministic",
        reference="Song et al. 2021, arXiv:2011.13456, eq. 13",
        order=1,
        affine=True,
        needs_signal=True,
        guides=False,
    )

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Transition:
        """The point x - Delta (f x - g^2 score / 2)."""
        path, delta = field.path, t - s
        g2 = path.diffusion_squared(t)
        mean = x - delta * (path.drift(t) * x - 0.5 * g2 * field.score(x, t))
        return Transition(mean, jnp.zeros((), x.dtype))
