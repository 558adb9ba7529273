r"""Time travel: take the step, add its noise again, and repeat (RePaint, FreeDoM).

From t to s, with \(q(x_t | x_s) = N(\tfrac{\alpha_t}{\alpha_s} x_s, v I)\),
\(v = \sigma_t^2 - (\alpha_t\sigma_s/\alpha_s)^2\), the forward kernel of the path,

\[ x_t \to x_s \to x_t \to x_s \to \dots \to x_s , \]

the method `repeats` times and the forward kernel between. In the limit of small steps a
round trip is a step of a Langevin diffusion at the level of t. It pulls towards the law
that the method's guidance means at that level, which is another one than that of the
method's own chain unless the guidance is exact.

Exact when: as the method, since noise takes \(p_s(\cdot|y)\) to \(p_t(\cdot|y)\).
"""

from typing import ClassVar

import equinox as eqx

from .._checks import check_count, require
from .._types import Scalar, Vector
from ..approximations import DPS
from ..gaussian import AbstractStepLaw, Gaussian, isotropic
from ..kernels import DDPM
from ..kernels.base import bridge
from ..method import (
    AbstractComposed,
    AbstractMarkov,
    Cost,
    Facts,
    Leg,
    standard_start,
)
from ..problem import Target
from .guided import Guided


class Renoise(AbstractMarkov):
    """The forward kernel: noise up to a later time."""

    facts: ClassVar[Facts] = Facts(
        summary="the forward kernel of the path",
        reference="Song et al. 2021, arXiv:2011.13456",
        affine=True,
        uses_noise=False,
        cost=Cost(denoiser=0),
    )

    start = standard_start

    def transition(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Gaussian:
        """The law of x_s given x_t = x, for s > t."""
        path = target.path
        variance = path.sigma(s) ** 2 * bridge(path, s, t).fresh
        return isotropic(path.alpha(s) / path.alpha(t) * x, variance)


def _dps() -> Guided:
    return Guided(DPS(), DDPM("matched"))


class TimeTravel(AbstractComposed):
    """A method whose every step is taken several times, with fresh noise between.

    Attributes:
        method: without memory, of which each step is an explicit law; DPS in the exact
            reverse of one Gaussian by default.
        repeats: of each step, at least 1, which is the method itself; a program for each
            number of them.

    Raises:
        InputError: if there is no repeat, or the method has a memory or several parts.
    """

    method: AbstractMarkov = eqx.field(default_factory=_dps)
    repeats: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        check_count(self.repeats, "repeats")
        require(
            isinstance(self.method, AbstractMarkov),
            "time travel repeats the steps of a method without memory",
            got=type(self.method).__name__,
            expected="a method with a transition, such as Guided(approximation, kernel)",
            hint="a multistep solver remembers steps that are taken back",
        )

    @property
    def facts(self) -> Facts:
        """Those of the method; round trips are of first order."""
        own = self.method.facts
        if self.repeats == 1:
            return own
        return own._replace(
            summary=f"every step {self.repeats} times, noised between: {own.summary}",
            reference="Lugmayr et al. 2022, arXiv:2201.09865; Yu et al. 2023, 2303.09833",
            law="composed",
            affine=False,
            order=None if own.order is None else min(own.order, 1),
            cost=Cost(*(self.repeats * each for each in own.cost)),
        )

    def start(self, target: Target, t: Scalar) -> AbstractStepLaw:
        """That of the method."""
        return self.method.start(target, t)

    def legs(self, t: Scalar, s: Scalar) -> tuple[Leg, ...]:
        """Down, and as often as there are more repeats up and down again."""
        down, up = Leg(self.method, t, s), Leg(Renoise(), s, t)
        return (down, *(self.repeats - 1) * (up, down))
