r"""What freezing a score over a step costs, on an Ornstein-Uhlenbeck path: T4 and T5.

Forward \(dX = -X dt + \sqrt2\,dB\) over a time T from \(p_0\), \(\gamma = N(0, I)\). Split
the reverse drift as \(\theta X + 2 V_t\): with \(\theta = 1\), V is the score; with
\(\theta = -1\) it is the relative score \(\nabla\log(p_t/\gamma)\). A sampler that freezes
V over steps of length h makes

\[ x_s = e^{\theta h} x_t + \tfrac{2 (e^{\theta h} - 1)}\theta \hat V_t(x_t)
   + \sqrt{(e^{2\theta h} - 1)/\theta}\; \xi . \]

\(e^{\theta u} V\) is a martingale in the reverse time u, so with \(F_t = E\|V_t\|^2\), and
with \(e = \hat V - V\) at the start of a cell, the divergence of paths is exactly the sum
over cells, times k at their start and \(u = t_k - t\), of

\[ \int_0^h \big[ F_{t_k - u} - (2 e^{-\theta u} - 1) F_{t_k}
   - 2 (e^{-\theta u} - 1) E\langle V_k, e_k\rangle + E\|e_k\|^2 \big] du . \]

It bounds the divergence of the states at the grid, and that bounds the output's. The other
account of it, `frozen_chain`, is by finer and finer grids.
"""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import approximations, laws
from ..._checks import floating
from ..._types import Scalar
from ...algorithms import Guided
from ...divergences import line_expectation
from ...divergences.expectation import refined
from ...gaussian import Gaussian, isotropic
from ...kernels.base import AbstractKernel
from ...method import Facts
from ...mixture import GaussianMixture
from ...paths import OU
from ...problem import InverseProblem, Target
from ...problem.denoisers import Prior, ScoreError
from ..base import BUILT, Claim, computed
from ..component_brackets import of_components
from .assumptions import has_density
from .frozen_chain import of_paths

STEPS = 20
_EXTRAPOLATED = 1e-6  # what finer and finer grids leave, relative
_NODES = 24


class Frozen(AbstractKernel):
    """Freezes score + (1 - theta) / 2 x over a step of a variance preserving path.

    Attributes:
        theta: () rate of the linear part of the reverse drift, not 0.
    """

    theta: Scalar = eqx.field(converter=floating)

    facts: ClassVar[Facts] = Facts(
        summary="exponential integrator of the Ornstein-Uhlenbeck reverse SDE",
        reference="arXiv:2308.12240 (theta -1), arXiv:2209.11215 (theta 1)",
        affine=True,
        order=1,
    )

    def transition(self, field, x, t, s) -> Gaussian:
        """N(e^(theta h) x + 2 (e^(theta h) - 1) V / theta, (e^(2 theta h) - 1) / theta)."""
        h = jnp.log(field.path.alpha(s) / field.path.alpha(t))
        frozen = field.score(x, t) + 0.5 * (1.0 - self.theta) * x
        gain = 2.0 * jnp.expm1(self.theta * h) / self.theta
        variance = jnp.expm1(2.0 * self.theta * h) / self.theta
        return isotropic(jnp.exp(self.theta * h) * x + gain * frozen, variance)


class Sides(NamedTuple):
    """Divergences in nats, and whether the assumptions hold.

    Attributes:
        chain: of the states on the grid.
        paths: of the paths, after the start, by finer and finer grids.
        cells: of the same by the integral over cells.
        start: of the exact law from N(0, 1) at the start.
        output: of the output.
        kl: of the posterior from N(0, 1).
        fisher: the Fisher divergence of the same.
        parts: both of the last two as means over components, which are larger.
        kept: for `Claim.assumptions`.
    """

    chain: Scalar
    paths: Scalar
    cells: Scalar
    start: Scalar
    output: Scalar
    kl: Scalar
    fisher: Scalar
    parts: tuple[Scalar, Scalar]
    kept: tuple[bool | str, ...]

    def claims(self, sides) -> list[Claim]:
        """What both theorems say, and more of labels and sides."""
        common = [
            ("states on the grid and paths", self.chain, self.cells),
            ("output and states", self.output, self.start + self.chain),
        ]
        slack = _EXTRAPOLATED * float(self.cells)
        equal = computed("paths", self.paths, self.cells, equal=True, tolerance=slack)
        claims = [equal, *(computed(*parts) for parts in (*common, *sides))]
        return [claim._replace(assumptions=self.kept) for claim in claims]


def sides(problem: InverseProblem, theta, T, error) -> Sides:
    """For a problem on the line, the time T and a constant error of the score."""
    target = Target(problem, OU(T))
    times = jnp.asarray(np.linspace(1.0, 0.0, STEPS + 1))
    sampler = Guided(approximations.Exact(), Frozen(theta))
    seen = target.seen_through(ScoreError(Prior(target.problem.prior), offset=error))
    gamma = GaussianMixture.isotropic([1.0], [[0.0]], 1.0)
    posterior = target.problem.posterior()
    given = posterior, target.path, times, jnp.asarray(theta), jnp.asarray(error)
    (chain, paths), cells = of_paths(*given), _cells(*given)
    law = laws.grid(sampler, seen, times, initial=gamma)
    first = from_normal(target.posterior(times[0]))[0]
    kl, fisher = from_normal(posterior)
    kept = BUILT, has_density(posterior)  # the path is made above
    output, parts = law.kl_from(posterior), of_components(posterior)
    return Sides(chain, paths, cells, first, output, kl, fisher, parts, kept)


@eqx.filter_jit
def _cells(posterior, path, times, theta, error):
    """Sum over cells of the integral of the docstring."""
    rule = np.polynomial.legendre.leggauss(refined(_NODES))
    nodes, weights = (jnp.asarray(part, times.dtype) for part in rule)

    def at(t):
        return moments(posterior, path.alpha(t), path.sigma(t), theta)

    def cell(window):
        t, s = window
        h = (t - s) * path.T
        u = 0.5 * h * (nodes + 1.0)
        squares = jax.lax.map(lambda u: at(t - u / path.T)[0], u)
        square, mean = at(t)
        cross = -2.0 * jnp.expm1(-theta * u) * mean * error
        inside = squares - (2.0 * jnp.exp(-theta * u) - 1.0) * square + cross + error**2
        return 0.5 * h * weights @ inside

    return jnp.sum(jax.lax.map(cell, (times[:-1], times[1:])))


@eqx.filter_jit
def moments(posterior, alpha, sigma, theta):
    """E V^2 and E V at one time."""
    law = posterior.noised(alpha, sigma)

    def at(x):
        frozen = law.score(x) + 0.5 * (1.0 - theta) * x
        return jnp.sum(frozen**2), jnp.sum(frozen)

    return line_expectation(law, at)


@eqx.filter_jit
def from_normal(mixture: GaussianMixture) -> tuple[Scalar, Scalar]:
    """KL and Fisher divergence of a mixture on the line from N(0, 1), () each."""
    gamma = GaussianMixture.isotropic([1.0], [[0.0]], 1.0)

    def at(x):
        return (
            mixture.log_prob(x) - gamma.log_prob(x),
            jnp.sum((mixture.score(x) + x) ** 2),
        )

    return line_expectation(mixture, at)
