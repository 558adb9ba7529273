r"""Euler steps in time of the reverse SDE and of the probability-flow ODE.

With \(\hat s = (\alpha M - x)/\sigma^2\), \(\Delta = t - s\):

\[ \text{SDE: } N(x - \Delta (f x - g^2 \hat s),\ g^2 \Delta I), \qquad
   \text{ODE: } x - \Delta (f x - \tfrac12 g^2 \hat s). \]
"""

from typing import ClassVar

from .._types import Scalar, Vector
from ..gaussian import Gaussian, isotropic, point
from ..method import Cost, Facts
from .base import AbstractKernel, GuidedField


class EulerMaruyama(AbstractKernel):
    """Euler-Maruyama for the reverse SDE."""

    facts: ClassVar[Facts] = Facts(
        summary="Euler-Maruyama for the reverse SDE, in time",
        reference="Song et al. 2021, arXiv:2011.13456, eq. 6",
        needs=frozenset({"signal"}),
        affine=True,
        order=1,
        cost=Cost(denoiser=1),
    )

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Gaussian:
        """N(x - Delta (f x - g^2 score), g^2 Delta I)."""
        path, delta = field.path, t - s
        g2 = path.diffusion_squared(t)
        mean = x - delta * (path.drift(t) * x - g2 * field.score(x, t))
        return isotropic(mean, g2 * delta)


class ProbabilityFlow(AbstractKernel):
    """Euler for the probability-flow ODE, in time."""

    facts: ClassVar[Facts] = Facts(
        summary="Euler for the probability-flow ODE, in time; deterministic",
        reference="Song et al. 2021, arXiv:2011.13456, eq. 13",
        needs=frozenset({"signal"}),
        affine=True,
        order=1,
        cost=Cost(denoiser=1),
    )

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Gaussian:
        """The point x - Delta (f x - g^2 score / 2)."""
        path, delta = field.path, t - s
        g2 = path.diffusion_squared(t)
        mean = x - delta * (path.drift(t) * x - 0.5 * g2 * field.score(x, t))
        return point(mean)
