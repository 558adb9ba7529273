r"""T42: the best grid of the deterministic sampler for one isotropic Gaussian.

Let the posterior be \(N(m, c^2 I)\), the field and the start exact, and each step an Euler
step in \(u = \sigma/\alpha\) (DDIM without noise). With angles
\(\theta = \arctan(u/c)\), from \(\theta_0\) down to \(\theta_N\), a step multiplies
\(x/\alpha - m\) by \((c^2 + u u')/(c^2 + u^2) = \cos(\theta - \theta')\,
\cos\theta/\cos\theta'\), so that the output has \(\prod_i \cos^2(\theta_i -
\theta_{i+1})\) times the exact variance, and

\[ KL(p \| q) = \tfrac d2 (f - 1 - \log f), \qquad
   f = \prod_i \cos(\theta_i - \theta_{i+1})^{-2} \ge
   \cos\Big(\frac{\theta_0 - \theta_N}{N}\Big)^{-2N} , \]

as \(-\log\cos\) is convex: equal steps of the angle are the best grid between two levels.
The law, and not the divergence of paths, is what they are best for. Source of the grid:
Sabour, Fidler and Kreis 2024 (arXiv:2404.14507), Theorem 3.1; the form of f is our own.
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from .._types import Times
from ..algorithms import Guided
from ..approximations import Exact
from ..budget.time_grids import time_grid
from ..estimate import Estimate
from ..kernels import DDIM
from ..laws import EigenProblem, spectral
from ..mixture import GaussianMixture
from ..paths import VE
from ..problem import InverseProblem, Linear, Target
from .base import BUILT, AbstractBound, Case, Claim, Facts, outside
from .spaces import AbstractSpace, Coordinates, OneOf
from .tools.assumptions import isotropic

_ENDS = 0.002, 80.0  # sigma/alpha, as EDM has them
_NEARLY = "nearly tan"


class Grids(AbstractSpace):
    """Grids of six steps from 1 to 0; z = 0 is a uniform one."""

    @property
    def size(self) -> int:
        """One coordinate a step."""
        return 6

    def at(self, z: Coordinates) -> Times:
        """Times (7,)."""
        gaps = np.exp(2.0 * (z - z.max())) + 1e-9
        later = np.cumsum(gaps[::-1])[::-1] / gaps.sum()
        return jnp.asarray(np.concatenate([[1.0], later[1:], [0.0]]))


def on_the_line(c: float) -> Target:
    """The target of the sweep in dimension 1."""
    return isotropic_target(c, 1)


class TanSchedule(AbstractBound):
    """KL of the output on any grid and on the best, over c, d, N and the grid."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(p||q) >= (d/2)(f - 1 - log f), f = cos(angle/N)^-2N; = for tan grid",
        assumptions=(
            "posterior N(m, c^2 I)",
            "exact field and start, Euler steps in sigma/alpha",
        ),
        source="Sabour, Fidler and Kreis 2024, arXiv:2404.14507, Theorem 3.1",
        status="proved",
        search={"target": OneOf((0.1, 0.5, 2.0), on_the_line), "times": Grids()},
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"c": c, "dim": dim, "num_steps": steps, "grid": grid}
        for c, dim, steps in ((0.5, 1, 10), (0.1, 3, 20), (1.0, 1, 50))
        for grid in ("karras", "log_snr", "optimal", _NEARLY)
    )

    def setting(self, case):
        target = isotropic_target(case["c"], case["dim"])
        return {
            "target": target,
            "times": grid_of(target, case["num_steps"], case["grid"]),
        }

    def sides(self, key, target, times):
        problem = target.problem
        kept = problem.has_posterior() and problem.prior.num_components == 1
        kept = kept and isotropic(problem.posterior())
        if not kept:
            return outside((False, BUILT))
        steps, (t, s) = times.shape[0] - 1, (times[0], times[-1])
        best = time_grid(target, steps, "tan", t_max=t, t_min=s)
        right = Estimate(formula(target, t, s, steps), how="closed form")
        on_best, on_given = (
            Estimate(divergence(target, grid), how="closed form")
            for grid in (best, times)
        )
        assumptions = True, BUILT
        return [
            Claim("on the tan grid", on_best, right, True, assumptions=assumptions),
            Claim("on this grid", right, on_given, assumptions=assumptions),
        ]


def divergence(target: Target, times) -> float:
    """KL(exact law || law of DDIM without noise) at times[-1], from the exact start."""
    sampler = Guided(Exact(), DDIM(0.0))
    problem = EigenProblem.of(target)
    start, truth = (problem.posterior(t) for t in (times[0], times[-1]))
    law = spectral(sampler, problem, times, initial=start)
    return float(law.kl_from(truth))


def formula(target: Target, t, s, steps: int) -> float:
    """KL on the best grid of a number of steps from time t to s."""
    posterior = target.problem.posterior()
    c = np.sqrt(float(posterior.total_variance()) / posterior.dim)
    levels = [float(target.path.sigma(at) / target.path.alpha(at)) for at in (t, s)]
    first, last = np.arctan(np.asarray(levels) / c)
    log_f = -2.0 * steps * np.log(np.cos((first - last) / steps))
    return 0.5 * posterior.dim * (np.expm1(log_f) - log_f)


def isotropic_target(c: float, dim: int) -> Target:
    """A prior of variance 3 c^2, all of which is measured, so that c^2 is left."""
    mean = jnp.linspace(-1.0, 0.7, dim)[None]
    prior = GaussianMixture.isotropic([1.0], mean, 3.0 * c**2)
    measurement = Linear(jnp.eye(dim), 1.5 * c**2)
    y = jnp.linspace(0.4, -0.3, dim)
    return Target(InverseProblem(prior, measurement, y), VE(*_ENDS))


def grid_of(target: Target, steps: int, kind: str):
    """A grid by name; "nearly tan" has steps that are one part in twenty uneven."""
    if kind != _NEARLY:
        return time_grid(target, steps, kind, t_min=0.0)
    times = time_grid(target, steps, "tan", t_min=0.0)
    uneven = 0.05 * np.diff(times) * np.cos(np.pi * np.arange(steps))
    return times.at[1:-1].add(jnp.asarray(uneven[1:]))
