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

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .. import _linalg
from .._checks import floating, unsupported
from .._types import Scalar, Times, Vector
from ..approximations import AbstractApproximation
from ..components import LOG_2PI
from ..kernels import DDPM, AbstractKernel, Transition
from ..kernels.reverse import reverse
from ..problem import Target
from ..samplers import SamplerFacts
from ..sampling import Guided
from .base import AbstractFeynmanKac, Proposal, check_density
from .resampling import scheme
from .twists import log_twist


class TDS(AbstractFeynmanKac):
    """Twisted diffusion sampler.

    Attributes:
        twist: the approximation that guides, and whose likelihood is the twist.
        kernel: of the proposals, with noise; `DDPM("matched")` by default.
        resampling: "multinomial", "stratified", "systematic" or "residual".
        threshold: () from 0 to 1: particles are resampled when the effective sample size
            falls below this share of their number.

    Raises:
        InputError: for an unknown scheme, or a threshold outside [0, 1].
    """

    twist: AbstractApproximation
    kernel: AbstractKernel = eqx.field(default_factory=lambda: DDPM("matched"))
    resampling: Callable = eqx.field(
        static=True, converter=scheme, default="systematic"
    )
    threshold: Scalar = eqx.field(converter=floating, default=0.5)

    facts: ClassVar[SamplerFacts] = SamplerFacts(
        summary="guided proposals weighted by prior, twist and proposal densities",
        reference="Wu et al. 2023, arXiv:2306.17775",
        exact_when="infinitely many particles, any twist",
        needs="",
        cost="2 D + the approximation",
    )

    @property
    def guided(self) -> Guided:
        """The sampler that proposes."""
        return Guided(self.twist, self.kernel)

    def check(self, target: Target, times: Times) -> None:
        self.guided.check(target, times)
        check_density(target, times)
        zero = jnp.zeros(target.problem.prior.dim, times.dtype)
        if not np.all(np.isfinite(log_width(self.guided, target, zero, times[-2:]))):
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
        return Proposal(
            lambda draws: step.apply_noise(draws.normal(x.shape[0], x.dtype)),
            lambda new: prior.log_prob(new) - log_density(step, new),
        )


def log_density(transition: Transition, x: Vector) -> Scalar:
    """log N(x; mean, scale scale^T), for a scale that is not 0."""
    offset, scale = x - transition.mean, transition.scale
    if scale.ndim == 2:
        noise = _linalg.solve_lower(scale, offset)
        log_width = 0.5 * _linalg.log_det(scale)
    else:
        noise = offset / scale
        log_width = jnp.sum(jnp.broadcast_to(jnp.log(scale), x.shape))
    return -0.5 * (x.shape[0] * LOG_2PI + jnp.sum(noise**2)) - log_width


@eqx.filter_jit
def log_width(guided, target, x, times):
    """Logarithm of the scale of a step, -inf or NaN where it has no noise."""
    scale = guided.transition(target, x, times[0], times[1]).scale
    return jnp.log(jnp.diagonal(scale) if scale.ndim == 2 else scale)
