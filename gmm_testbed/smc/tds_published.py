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

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._checks import floating, unsupported
from .._types import Scalar, Times, Vector
from ..approximations import AbstractApproximation, Unguided
from ..kernels import DDPM, AbstractKernel, Transition
from ..problem import Target
from ..samplers import SamplerFacts
from ..sampling import Guided
from .base import AbstractFeynmanKac, Proposal
from .resampling import scheme
from .tds import log_density, log_width
from .twists import log_twist


class PublishedTDS(AbstractFeynmanKac):
    """Twisted diffusion sampler on the chain of its kernel.

    Attributes:
        twist: the approximation that guides, and whose likelihood is the twist.
        kernel: of the prior's chain and of the proposals; `DDPM("small")` by default.
        resampling: "multinomial", "stratified", "systematic" or "residual".
        threshold: () from 0 to 1: particles are resampled when the effective sample size
            falls below this share of their number.

    Raises:
        InputError: for an unknown scheme, or a threshold outside [0, 1].
    """

    twist: AbstractApproximation
    kernel: AbstractKernel = eqx.field(default_factory=DDPM)
    resampling: Callable = eqx.field(
        static=True, converter=scheme, default="systematic"
    )
    threshold: Scalar = eqx.field(converter=floating, default=0.5)

    facts: ClassVar[SamplerFacts] = SamplerFacts(
        summary="twisted diffusion on the kernel's own chain, with its discretisation",
        reference="Wu et al. 2023, arXiv:2306.17775, algorithm 1",
        exact_when="infinitely many particles and steps, any twist",
        needs="",
        cost="2 D + the approximation",
    )

    def check(self, target: Target, times: Times) -> None:
        Guided(self.twist, self.kernel).check(target, times)
        zero = jnp.zeros(target.problem.prior.dim, times.dtype)
        width = log_width(Guided(Unguided(), self.kernel), target, zero, times[:2])
        if not np.all(np.isfinite(width)):
            unsupported(
                "weights need the density of the proposals",
                got=f"{type(self.kernel).__name__}, without noise in the first step",
                expected="a kernel with noise",
                hint="use DDPM(), or DDIM(eta) with eta > 0",
            )

    def log_twist(self, target: Target, x: Vector, t: Scalar) -> Scalar:
        return log_twist(self.twist, target, x, t)

    def propose(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Proposal:
        prior = Guided(Unguided(), self.kernel).transition(target, x, t, s)
        guided = Guided(self.twist, self.kernel).transition(target, x, t, s)
        scale = prior.scale
        if scale.ndim == 2:
            noisy, safe = jnp.asarray(True), scale
        else:
            noisy = jnp.all(scale > 0)
            safe = jnp.where(noisy, scale, 1.0)
        mean = jnp.where(noisy, guided.mean, prior.mean)

        def log_ratio(new):
            under = log_density(Transition(prior.mean, safe), new)
            return jnp.where(noisy, under - log_density(Transition(mean, safe), new), 0)

        return Proposal(
            lambda draws: Transition(mean, scale).apply_noise(
                draws.normal(x.shape[0], x.dtype)
            ),
            log_ratio,
        )
