r"""The bootstrap filter: the prior proposes, the likelihood weighs at the end.

\[ q(x_s | x_t) = p(x_s | x_t), \qquad \psi_t = 1 \text{ before the last time.} \]

From the exact marginal all weights are equal until the last step, and this is importance
sampling with n draws of the prior,

\[ n \operatorname{Var}(\hat Z / Z) = \chi^2(p(x|y) \| p(x)) . \]

Exact when: the number of particles tends to infinity.
"""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import floating
from .._types import Scalar, Times, Vector
from ..kernels.reverse import reverse
from ..problem import Target
from ..samplers import SamplerFacts
from .base import AbstractFeynmanKac, Proposal
from .resampling import scheme


class Bootstrap(AbstractFeynmanKac):
    """The bootstrap filter; best-of-n and self-normalised importance sampling.

    Attributes:
        resampling: "multinomial", "stratified", "systematic" or "residual".
        threshold: () from 0 to 1: particles are resampled when the effective sample size
            falls below this share of their number.

    Raises:
        InputError: for an unknown scheme, or a threshold outside [0, 1].
    """

    resampling: Callable = eqx.field(
        static=True, converter=scheme, default="systematic"
    )
    threshold: Scalar = eqx.field(converter=floating, default=0.5)

    facts: ClassVar[SamplerFacts] = SamplerFacts(
        summary="prior proposals, weighted by the likelihood at the end",
        reference="Gordon, Salmond & Smith 1993; Chopin & Papaspiliopoulos 2020, ch. 10",
        exact_when="infinitely many particles",
        needs="",
        cost="1 D",
    )

    def check(self, target: Target, times: Times) -> None:
        """It serves every problem."""

    def log_twist(self, target: Target, x: Vector, t: Scalar) -> Scalar:
        return jnp.zeros((), x.dtype)

    def propose(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Proposal:
        prior = reverse(target.problem.prior, target.path, x, t, s)
        return Proposal(
            lambda draws: draws.of(prior), lambda new: jnp.zeros((), x.dtype)
        )
