r"""The fully adapted filter: exact twist, and the exact reverse kernel given y.

\[ q(x_s | x_t) = p(x_s | x_t, y) = \frac{p(x_s | x_t)\, p(y | x_s)}{p(y | x_t)}, \qquad
   \psi_t = p(y | x_t) , \]

so every potential is 1 but the first. The control for every other filter.

Exact when: always. From the exact law at the first time \(\hat Z = p(y)\), without error.
"""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx

from .._checks import floating
from .._types import Scalar, Times, Vector
from ..kernels.reverse import reverse
from ..problem import Target
from ..samplers import SamplerFacts
from .base import AbstractFeynmanKac, Proposal, check_density
from .resampling import scheme


class Optimal(AbstractFeynmanKac):
    """The filter without variance, where the posterior is a mixture.

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
        summary="exact twist and exact reverse kernel: equal weights",
        reference="the optimal twist of Wu et al. 2023, arXiv:2306.17775",
        exact_when="any grid and number of particles, from the exact law at the start",
        needs="",
        cost="3 D",
    )

    def check(self, target: Target, times: Times) -> None:
        target.posterior(times[0])  # raises if the posterior is not a mixture
        check_density(target, times)

    def log_twist(self, target: Target, x: Vector, t: Scalar) -> Scalar:
        return target.log_likelihood(x, t)

    def propose(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Proposal:
        prior = reverse(target.problem.prior, target.path, x, t, s)
        given_y = reverse(target.exact_posterior, target.path, x, t, s)
        return Proposal(
            lambda draws: draws.of(given_y),
            lambda new: prior.log_prob(new) - given_y.log_prob(new),
        )
