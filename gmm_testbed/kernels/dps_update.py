r"""The published DPS update: an unguided DDPM step, then a gradient step.

\[ x_s = \underbrace{a x + c\, m + \sigma_s\sqrt{1-\rho^2}\,\varepsilon}_{\text{DDPM}}
   + 2 \zeta\, J^T H^T (y - f(m)) / \|y - f(m)\| , \]

that is, minus \(\zeta\, \nabla_x \|y - f(m)\|^2 / \|y - f(m)\|\). The gradient step does
not shrink with the step size, so the law depends on the number of steps N and has no limit:
quote N with zeta. The consistent counterpart is the field `gt.approximations.ZetaDPS`.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import check_range, floating
from .._types import Scalar, Vector
from ..approximations.zeta_dps import ZetaDPS
from .base import AbstractKernel, GuidedField, KernelFacts, Transition, bridge


class DPSUpdate(AbstractKernel):
    r"""DDPM (small variance) and then the published DPS gradient step.

    It guides by itself: use it as `Guided(Unguided(), DPSUpdate(zeta))`.

    Attributes:
        zeta: () the published step size \(\zeta'\); R is not used.

    Raises:
        InputError: if zeta is negative or not finite, where it is known.
    """

    zeta: Scalar = eqx.field(converter=floating, default=1.0)

    facts: ClassVar[KernelFacts] = KernelFacts(
        summary="published DPS: DDPM step, then a gradient step that ignores the step size",
        reference="Chung et al. 2023, arXiv:2209.14687, Algorithm 1",
        order=0,
        affine=False,
        needs_signal=False,
        guides=True,
        smooth=False,
    )

    def __check_init__(self):
        check_range("zeta", self.zeta, least=0.0)

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Transition:
        """N(a x + c m + gradient step, sigma_s^2 (1 - rho^2) I)."""
        step = bridge(field.path, t, s)
        mean = step.a * x + step.c * field.posterior_mean(x, t)
        gradient = ZetaDPS(self.zeta).guidance(field.target, x, t)
        return Transition(mean + gradient, jnp.sqrt(step.variance))
