r"""The twisted diffusion sampler: guided proposals, and weights that correct them.

\[ q(x_s | x_t) = N(\text{mean}(x_t),\ S S^T), \qquad
   G = \frac{p(x_s | x_t)\,\psi_s(x_s)}{q(x_s | x_t)\,\psi_t(x_t)} , \]

a step of `Guided(approximation, kernel)`, with the twist \(\psi\) of the approximation
(`log_twist`). The published sampler has the kernel's own unguided step in place of the
exact \(p(x_s | x_t)\), which adds a discretisation error that the weights do not see: that
is `PublishedTDS`.

The exact reverse kernel has wider components than DDPM's small variance on a coarse grid,
and too narrow a proposal gives weights without a variance: so "matched" is the default.

Exact when: infinitely many particles; with `Exact` and a matched kernel on one Gaussian,
every weight is the same.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import concrete, unsupported
from .._types import Scalar, Times, Vector
from ..algorithms import Guided
from ..approximations import AbstractApproximation, log_twist
from ..kernels import DDPM, AbstractKernel
from ..kernels.reverse import reverse
from ..method import Cost, ExactWhen, Facts, check_needs, first_law
from ..problem import Target
from .base import AbstractTwisted, Proposal


class TDS(AbstractTwisted):
    """Twisted diffusion sampler.

    Attributes:
        twist: the approximation that guides, and whose likelihood is the twist.
        kernel: of the proposals, with noise; `DDPM("matched")` by default.
    """

    twist: AbstractApproximation
    kernel: AbstractKernel = eqx.field(default_factory=lambda: DDPM("matched"))
    facts: ClassVar[Facts] = Facts(
        summary="guided proposals weighted by prior, twist and proposal densities",
        reference="Wu et al. 2023, arXiv:2306.17775",
        needs=frozenset({"density"}),
        exact_when=(ExactWhen(particles="many"),),
        output="weighted",
        cost=Cost(denoiser=3, jacobian=1, measurement=1),
    )

    @property
    def guided(self) -> Guided:
        """The sampler that proposes."""
        return Guided(self.twist, self.kernel)

    def check(self, target: Target, times: Times) -> None:
        check_needs(self.guided, target, times)
        check_needs(self, target, times)
        zero = jnp.zeros(target.problem.prior.dim, times.dtype)
        least = first_law(self.guided, target, times[-2:], zero).root.least()
        if concrete(least) and not float(least) > 0.0:
            unsupported(
                "weights need the density of the proposals",
                got=f"{type(self.kernel).__name__}, without noise in the last step",
                expected="a kernel with noise at every step",
                hint='use DDPM("matched"), or end the grid before time 0',
            )

    def log_twist(self, target: Target, x: Vector, t: Scalar) -> Scalar:
        return log_twist(self.twist, target, x, t)

    def propose(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Proposal:
        prior = reverse(target.problem.prior, target.path, x, t, s)
        step = self.guided.transition(target, x, t, s)
        return Proposal(step, lambda new: prior.log_prob(new) - step.log_prob(new))
