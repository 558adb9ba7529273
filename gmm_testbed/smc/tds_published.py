r"""The twisted diffusion sampler as it was published: the prior's chain is the kernel's.

\[ p(x_s | x_t) = N(a x + c\,m(x),\ S^2), \quad q(x_s | x_t) = N(a x + c\,M(x),\ S^2), \quad
   G = \frac{p(x_s | x_t)\,\psi_s(x_s)}{q(x_s | x_t)\,\psi_t(x_t)} : \]

the kernel's own unguided step, in place of the exact reverse of the noising that `TDS`
has, and a proposal with the same S, moved by the guidance. Where a step has no noise, as
the last step to time 0 with the small variance, p proposes (as in the published code).

So \(\hat Z\) is unbiased, for any number of particles, for the evidence of the
*discretised* prior,

\[ E \hat Z = E_{chain}\, p(y | x_N) , \]

which tends to p(y) as the steps shrink and is p(y) at any step where the kernel reverses
the noising exactly, as the matched variance does for one Gaussian. The weights do not see
that difference, which is what `TDS` takes away. Only the start is corrected as there, by
the ratio of the exact marginal and the law of the first particles.

Exact when: infinitely many particles and steps.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import concrete, unsupported
from .._types import Scalar, Times, Vector
from ..algorithms import Guided
from ..approximations import AbstractApproximation, Unguided, log_twist
from ..gaussian import Gaussian
from ..kernels import DDPM, AbstractKernel
from ..method import Cost, ExactWhen, Facts, check_needs, first_law
from ..problem import Target
from .base import AbstractTwisted, Proposal


class PublishedTDS(AbstractTwisted):
    """Twisted diffusion sampler on the chain of its kernel.

    Attributes:
        twist: the approximation that guides, and whose likelihood is the twist.
        kernel: of the prior's chain and of the proposals; `DDPM("small")` by default.
    """

    twist: AbstractApproximation
    kernel: AbstractKernel = eqx.field(default_factory=DDPM)
    facts: ClassVar[Facts] = Facts(
        summary="twisted diffusion on the kernel's own chain, with its discretisation",
        reference="Wu et al. 2023, arXiv:2306.17775, algorithm 1",
        needs=frozenset({"density"}),
        exact_when=(ExactWhen(grid="fine", particles="many"),),
        output="weighted",
        cost=Cost(denoiser=3, jacobian=1, measurement=1),
    )

    @property
    def prior_chain(self) -> Guided:
        """The unguided steps."""
        return Guided(Unguided(), self.kernel)

    def check(self, target: Target, times: Times) -> None:
        check_needs(Guided(self.twist, self.kernel), target, times)
        check_needs(self, target, times)
        zero = jnp.zeros(target.problem.prior.dim, times.dtype)
        least = first_law(self.prior_chain, target, times, zero).root.least()
        if concrete(least) and not float(least) > 0:
            unsupported(
                "weights need the density of the proposals",
                got=f"{type(self.kernel).__name__}, without noise in the first step",
                expected="a kernel with noise",
                hint="use DDPM(), or DDIM(eta) with eta > 0",
            )

    def log_twist(self, target: Target, x: Vector, t: Scalar) -> Scalar:
        return log_twist(self.twist, target, x, t)

    def propose(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Proposal:
        prior = self.prior_chain.transition(target, x, t, s)
        guided = Guided(self.twist, self.kernel).transition(target, x, t, s)
        noisy = prior.root.least() > 0
        law = Gaussian(jnp.where(noisy, guided.mean, prior.mean), prior.root)

        def log_ratio(new):
            # Both have one root: the log-determinants cancel, and the squares differ.
            under, over = (
                jnp.sum(prior.root.whiten(new - mean) ** 2)
                for mean in (prior.mean, law.mean)
            )
            return jnp.where(noisy, 0.5 * (over - under), 0.0)

        return Proposal(law, log_ratio)
