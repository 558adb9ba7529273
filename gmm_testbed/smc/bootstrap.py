r"""The bootstrap filter: the prior proposes, the likelihood weighs at the end.

\[ q(x_s | x_t) = p(x_s | x_t), \qquad \psi_t = 1 \text{ before the last time.} \]

From the exact marginal all weights are equal until the last step, and this is importance
sampling with n draws of the prior,

\[ n \operatorname{Var}(\hat Z / Z) = \chi^2(p(x|y) \| p(x)) . \]

Exact when: the number of particles tends to infinity.
"""

from typing import ClassVar

import jax.numpy as jnp

from .._types import Scalar, Times, Vector
from ..gaussian import Mixture
from ..kernels.reverse import reverse
from ..method import Cost, ExactWhen, Facts, check_needs
from ..problem import Target
from .base import AbstractTwisted, Proposal


class Bootstrap(AbstractTwisted):
    """The bootstrap filter; best-of-n and self-normalised importance sampling."""

    facts: ClassVar[Facts] = Facts(
        summary="prior proposals, weighted by the likelihood at the end",
        reference="Gordon, Salmond & Smith 1993; Chopin & Papaspiliopoulos 2020, ch. 10",
        needs=frozenset({"density"}),
        exact_when=(ExactWhen(particles="many"),),
        law="mixture",
        output="weighted",
        cost=Cost(denoiser=1),
    )

    def check(self, target: Target, times: Times) -> None:
        check_needs(self, target, times)

    def log_twist(self, target: Target, x: Vector, t: Scalar) -> Scalar:
        return jnp.zeros((), x.dtype)

    def propose(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Proposal:
        prior = reverse(target.problem.prior, target.path, x, t, s)
        return Proposal(Mixture(prior), lambda new: jnp.zeros((), x.dtype))
