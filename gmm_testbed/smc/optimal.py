r"""The fully adapted filter: exact twist, and the exact reverse kernel given y.

\[ q(x_s | x_t) = p(x_s | x_t, y) = \frac{p(x_s | x_t)\, p(y | x_s)}{p(y | x_t)}, \qquad
   \psi_t = p(y | x_t) , \]

so every potential is 1 but the first. The control for every other filter.

Exact when: always. From the exact law at the first time \(\hat Z = p(y)\), without error.
"""

from typing import ClassVar

from .._types import Scalar, Times, Vector
from ..gaussian import Mixture
from ..kernels.reverse import reverse
from ..method import Cost, ExactWhen, Facts, check_needs
from ..problem import Target
from .base import AbstractTwisted, Proposal


class Optimal(AbstractTwisted):
    """The filter without variance, where the posterior is a mixture."""

    facts: ClassVar[Facts] = Facts(
        summary="exact twist and exact reverse kernel: equal weights",
        reference="the optimal twist of Wu et al. 2023, arXiv:2306.17775",
        needs=frozenset({"posterior", "density"}),
        exact_when=(ExactWhen(start="exact"), ExactWhen(particles="many")),
        law="mixture",
        output="weighted",
        cost=Cost(denoiser=3),
    )

    def check(self, target: Target, times: Times) -> None:
        check_needs(self, target, times)

    def log_twist(self, target: Target, x: Vector, t: Scalar) -> Scalar:
        return target.log_likelihood(x, t)

    def propose(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Proposal:
        prior = reverse(target.problem.prior, target.path, x, t, s)
        given_y = reverse(target.exact_posterior, target.path, x, t, s)
        return Proposal(
            Mixture(given_y),
            lambda new: prior.log_prob(new) - given_y.log_prob(new),
        )
