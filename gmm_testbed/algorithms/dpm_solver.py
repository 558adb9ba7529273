r"""DPM-Solver++ (2M): an exponential integrator of the flow, with the mean of two steps.

With \(\lambda = \log(\alpha/\sigma)\), \(h = \lambda_s - \lambda_t\), M the posterior mean
at \(x_t\), \(M'\) that of the step before, and \(h'\) the length of that step,

\[ x_s = \frac{\sigma_s}{\sigma_t} x_t + \alpha_s (1 - e^{-h})
   \Big( M + \frac{h}{2 h'} (M - M') \Big) . \]

The first step has no M' and is of first order, which is `DDIM(0)`; so is a step of
infinite length, from no signal or to no noise, and the step after one. It costs one
evaluation a step, where `Heun` costs two.

Exact when: as its approximation, in the limit of many steps.
"""

import equinox as eqx
import jax.numpy as jnp

from .._types import Scalar, Vector
from ..approximations import AbstractApproximation, Exact
from ..gaussian import point
from ..method import AbstractMethod, Facts, Step, standard_start
from ..problem import Target
from ..random import Draws

Memory = tuple[Vector, Scalar]


class DPMSolver(AbstractMethod):
    """DPM-Solver++ with two steps: deterministic, second order, one evaluation a step.

    Attributes:
        approximation: of E[x0 | x_t, y], `Exact()` by default.
    """

    approximation: AbstractApproximation = eqx.field(default_factory=Exact)

    start = standard_start

    @property
    def facts(self) -> Facts:
        """What follows from those of the approximation."""
        field = self.approximation.facts
        return Facts(
            summary=f"{field.summary}; exponential integrator with the mean of two steps",
            reference=f"{field.reference}; Lu et al. 2022, arXiv:2211.01095, algorithm 2",
            needs=field.needs,
            exact_when=tuple(
                where._replace(grid="fine", start="exact") for where in field.exact_when
            ),
            gradient=field.gradient,
            smooth=field.smooth,
            order=2,
            uses_noise=field.uses_noise,
            cost=field.cost,
        )

    def memory(self, target: Target, x: Vector, t: Scalar) -> Memory:
        """No mean of a step before: one of infinite length, which weighs nothing."""
        return jnp.zeros_like(x), jnp.full_like(t, jnp.inf)

    def step(
        self,
        target: Target,
        memory: Memory,
        x: Vector,
        t: Scalar,
        s: Scalar,
        draws: Draws,
    ) -> Step:
        """The point that x moves to; the mean here and the length of this step."""
        before, length_before = memory
        path, mean = target.path, self.approximation.posterior_mean(target, x, t)
        length = 0.5 * (path.log_snr(s) - path.log_snr(t))
        known = jnp.isfinite(length) & jnp.isfinite(length_before)
        ratio = jnp.where(known, length, 0.0) / jnp.where(known, length_before, 1.0)
        clean = mean + 0.5 * ratio * (mean - before)
        kept = path.sigma(s) / path.sigma(t)
        moved = kept * x - path.alpha(s) * jnp.expm1(-length) * clean
        return Step(point(moved), (mean, length))
