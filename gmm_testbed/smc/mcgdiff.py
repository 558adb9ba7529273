r"""MCGDiff: a coordinate of y guides where x is noisier than it, and is then set free.

With \(R^{-1/2} A = \sum_i s_i u_i v_i^T\) and \(\bar y_i = u_i^T R^{-1/2}(y-b) / s_i\), a
coordinate is *active* while \(s_i \sigma_t > \alpha_t\), and the twist is

\[ \psi_t(x) = \prod_{i\ \text{active}} N(v_i^T x;\ \alpha_t \bar y_i,\ p_i), \qquad
   p_i = \sigma_t^2 - (1 - \kappa)\, \alpha_t^2 / s_i^2 ; \]

the last one is the exact likelihood. With steps \(N(\mu(x_t), v I)\) of the prior's chain,

\[ q(x_s | x_t) \propto N(x_s; \mu, v I)\, \psi_s(x_s), \qquad
   G = \frac{1}{\psi_t(x_t)} \int N(x_s; \mu, v I)\, \psi_s(x_s)\, dx_s , \]

a function of \(x_t\) alone: particles are chosen by it before they move. From
\(\pi \propto N(0, \sigma^2 I)\,\psi\), of weight \(p_{t_0} \psi / \pi\),
\(E \hat Z = E_{chain}\, p(y | x_N)\) for the discretised prior, as in `PublishedTDS`.

To set a coordinate free costs \(1/\psi_t\), which has a variance if \(p_i > v\) in the step
before: always for \(\kappa \ge 1\) and the small variance, and not on usual grids for the
printed \(\kappa = 10^{-4}\), where nearly every \(\hat Z\) is too small; `check` warns.
A measurement without noise is the limit of a small R: its coordinates stay active.

Exact when: infinitely many particles and steps.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from .._checks import check_range, floating, warn
from .._types import Scalar, Times, Vector
from ..algorithms import Guided
from ..algorithms.base import coordinates
from ..approximations import Unguided
from ..kernels import DDPM, AbstractKernel
from ..method import Cost, ExactWhen, Facts, check_needs, first_law
from ..problem import Target
from .base import AbstractFeynmanKac, Move, nothing_shared
from .gaussian_twist import GaussianTwist, require_isotropic


class MCGDiff(AbstractFeynmanKac):
    r"""Monte Carlo guided diffusion.

    Attributes:
        kernel: of the prior's chain, with one variance in all directions.
        kappa: () \(\kappa \ge 0\), what a twist is wider by, in units of \(1/s_i^2\).
    """

    kernel: AbstractKernel = eqx.field(default_factory=DDPM)
    kappa: Scalar = eqx.field(converter=floating, default=1.0)

    facts: ClassVar[Facts] = Facts(
        summary="best proposals for y as a coordinate of x; no variance for small kappa",
        reference="Cardoso et al. 2024, arXiv:2308.07983, algorithm 1",
        needs=frozenset({"linear", "density"}),
        exact_when=(ExactWhen(grid="fine", particles="many"),),
        output="weighted",
        cost=Cost(denoiser=2, measurement=2),
    )

    shared = nothing_shared

    def __check_init__(self):
        check_range("kappa", self.kappa, least=0.0)

    @property
    def prior_chain(self) -> Guided:
        return Guided(Unguided(), self.kernel)

    def check(self, target: Target, times: Times) -> None:
        check_needs(self.prior_chain, target, times)
        check_needs(self, target, times)
        zero = jnp.zeros(target.problem.prior.dim, times.dtype)
        require_isotropic(first_law(self.prior_chain, target, times, zero), self.kernel)
        missing = times[_without_variance(self, target, times)]
        if missing.size:
            warn(
                "weights of this filter have no variance",
                got=f"a coordinate set free from a narrow twist at t = {missing[0]:.4g}",
                expected="a twist that is wider than the step",
                hint="take a larger kappa, such as 1, or shorter steps there",
            )

    def twist(self, target: Target, t: Scalar) -> GaussianTwist:
        """Psi at time t."""
        along, alpha = coordinates(target), target.path.alpha(t)
        sigma, singular = target.path.sigma(t), along.singular
        active = singular * sigma > alpha
        noise = (alpha / jnp.where(active, singular, 1.0)) ** 2
        variance = jnp.where(active, sigma**2 - (1.0 - self.kappa) * noise, 1.0)
        return GaussianTwist(along.basis, alpha * along.exact, variance, active)

    def start(self, target: Target, shared: Any, t: Scalar) -> Move:
        twist, marginal = self.twist(target, t), target.marginal(t)
        zero = jnp.zeros(target.problem.prior.dim, twist.centre.dtype)
        law = twist.tilted(zero, target.path.sigma(t) ** 2)

        def log_weight(x):
            return marginal.log_prob(x) + twist.log_value(x) - law.log_prob(x)

        return Move(law, log_weight)

    def look_ahead(
        self, target: Target, shared: Any, x: Vector, t: Scalar, s: Scalar
    ) -> Scalar:
        """log G, before the last step's likelihood."""
        step = self.prior_chain.transition(target, x, t, s)
        grown = self.twist(target, s).log_mean(step.mean, step.root.base)
        return grown - self.twist(target, t).log_value(x)

    def move(
        self,
        target: Target,
        shared: Any,
        x: Vector,
        t: Scalar,
        s: Scalar,
        last: Bool[Array, ""],
    ) -> Move:
        step = self.prior_chain.transition(target, x, t, s)
        twist = self.twist(target, s)
        ahead = self.look_ahead(target, shared, x, t, s)

        def end(new):
            return target.log_likelihood(new, s) - twist.log_value(new)

        def log_weight(new):
            return ahead + jax.lax.cond(
                last, end, lambda new: jnp.zeros_like(ahead), new
            )

        return Move(twist.tilted(step.mean, step.root.base), log_weight)


@eqx.filter_jit
def _without_variance(model, target, times):
    """Where p <= v for a coordinate that is active now and no longer next, (N + 1,)."""
    zero = jnp.zeros(target.problem.prior.dim, times.dtype)
    step = jax.vmap(lambda t, s: model.prior_chain.transition(target, zero, t, s))
    first, later = target.path.sigma(times[:1]) ** 2, step(times[:-1], times[1:])
    steps = jnp.concatenate([first, later.root.base])
    twists = jax.vmap(lambda t: model.twist(target, t))(times)
    stays = jnp.roll(twists.active, -1, axis=0).at[-1].set(False)
    narrow = twists.variance <= steps[:, None]
    return (twists.active & ~stays & narrow).any(axis=1)
