r"""The published form of many methods: an unguided step, then a step along the guidance.

\[ x_s = \underbrace{a x + c\, m + S \varepsilon}_{\text{unguided}}
   + w(t, s)\, \hat g(x, t) . \]

With `ZetaDPS` and w = 1 it is the update of the DPS paper,
\(-\zeta\, \nabla_x \|y - f(m)\|^2 / \|y - f(m)\|\). A weight that does not shrink with the
step gives a law that depends on the number of steps N and has no limit: quote N with it.
The consistent counterpart is `Guided(ZetaDPS(zeta), kernel)`.
"""

from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp

from .._checks import floating
from .._types import Scalar, Vector
from ..approximations import AbstractApproximation, Unguided
from ..gaussian import Gaussian
from ..kernels import DDPM, AbstractKernel, GuidedField
from ..method import AbstractMarkov, Cost, Facts, standard_start
from ..paths import AbstractPath
from ..problem import Target


class AbstractWeight(eqx.Module):
    """The weight of the guidance in a step."""

    @abstractmethod
    def __call__(self, path: AbstractPath, t: Scalar, s: Scalar) -> Scalar:
        """w(t, s), ()."""


class Constant(AbstractWeight):
    """The same weight in every step.

    Attributes:
        value: ().
    """

    value: Scalar = eqx.field(converter=floating, default=1.0)

    def __call__(self, path: AbstractPath, t: Scalar, s: Scalar) -> Scalar:
        return self.value.astype(jnp.result_type(t))


class Published(AbstractMarkov):
    """An unguided kernel, then weight(t, s) times the guidance.

    Attributes:
        approximation: whose guidance is added.
        kernel: of the unguided step, `DDPM()` by default.
        weight: of the guidance, `Constant(1.0)` by default.
    """

    approximation: AbstractApproximation
    kernel: AbstractKernel = eqx.field(default_factory=DDPM)
    weight: AbstractWeight = eqx.field(default_factory=Constant)

    start = standard_start

    @property
    def facts(self) -> Facts:
        """What follows from those of the parts; the law has no limit."""
        field, kernel = self.approximation.facts, self.kernel.facts
        return Facts(
            summary=f"{kernel.summary}; then a step along the guidance: {field.summary}",
            reference=field.reference,
            needs=field.needs | kernel.needs,
            affine=field.affine and kernel.affine,
            gradient=field.gradient,
            smooth=field.smooth and kernel.smooth,
            order=0,
            uses_noise=field.uses_noise,
            cost=Cost(kernel.cost.denoiser, *field.cost[1:]),
        )

    def transition(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Gaussian:
        """N(unguided mean + w(t, s) guidance, unguided covariance)."""
        field = GuidedField(Unguided(), target)
        law = self.kernel.transition(field, x, t, s)
        pull = self.approximation.guidance(target, x, t)
        return Gaussian(law.mean + self.weight(target.path, t, s) * pull, law.root)
