r"""T4 and T5: what freezing a score over a step costs, on an Ornstein-Uhlenbeck path.

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

It bounds the divergence of the states at the grid, and that bounds the output's. For the
relative score (T4) F is the Fisher information from \(\gamma\), which decays like
\(e^{-2t}\) or faster, so

\[ KL(p_0\|q) \le e^{-2T} KL(p_0\|\gamma) + h\, FI(p_0\|\gamma) , \]

and at most \(e^{-2T} KL + 2 h\, FI + 2 T \varepsilon^2\) with
\(\varepsilon^2 = \max_k E\|e_k\|^2\). For the score (T5), \(F_t \le d/\sigma_t^2\).

Sources: Conforti, Durmus and Gentiloni Silveri (arXiv:2308.12240) for T4 and Chen et al.
(2023, arXiv:2209.11215) for T5, both up to constants; the constants are proved here.
"""

from functools import partial
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import approximations, laws
from .._checks import floating
from .._types import Scalar
from ..divergences import line_expectation
from ..kernels.base import AbstractKernel, KernelFacts, Transition
from ..mixture import GaussianMixture
from ..paths import OU
from ..sampling import Guided
from .base import AbstractBound, Case, Facts, computed
from .line_paths import step_divergences, two_modes

_STEPS = 20
_NODES = np.polynomial.legendre.leggauss(24)


class Frozen(AbstractKernel):
    """Freezes score + (1 - theta) / 2 x over a step of an `OU` path.

    Attributes:
        theta: () rate of the linear part of the reverse drift, not 0.
    """

    theta: Scalar = eqx.field(converter=floating)

    facts: ClassVar[KernelFacts] = KernelFacts(
        summary="exponential integrator of the Ornstein-Uhlenbeck reverse SDE",
        reference="arXiv:2308.12240 (theta -1), arXiv:2209.11215 (theta 1)",
        order=1,
        affine=True,
        needs_signal=False,
        guides=False,
    )

    def transition(self, field, x, t, s) -> Transition:
        """N(e^(theta h) x + 2 (e^(theta h) - 1) V / theta, (e^(2 theta h) - 1) / theta)."""
        h = jnp.log(field.path.alpha(s) / field.path.alpha(t))
        frozen = field.score(x, t) + 0.5 * (1.0 - self.theta) * x
        gain = 2.0 * jnp.expm1(self.theta * h) / self.theta
        scale = jnp.sqrt(jnp.expm1(2.0 * self.theta * h) / self.theta)
        return Transition(jnp.exp(self.theta * h) * x + gain * frozen, scale)


class FrozenRelativeScore(AbstractBound):
    """T4 for two modes, over the time T and a constant error of the score."""

    facts: ClassVar[Facts] = Facts(
        statement="KL <= e^-2T KL(p_0||N(0,I)) + h FI(p_0||N(0,I)), relative score frozen",
        assumptions=("Ornstein-Uhlenbeck path", "finite Fisher information"),
        source="constants here; form: Conforti, Durmus and Gentiloni Silveri, 2308.12240",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = (
        {"T": 2.0, "error": 0.0},
        {"T": 2.0, "error": 0.3},
        {"T": 0.7, "error": 0.0},
    )

    def claims(self, key, case):
        T, error = case["T"], case["error"]
        chain, cells, start, measured, (kl, fisher) = _sides(-1.0, T, error)
        cost = fisher * T / _STEPS
        if error:
            cost = 2.0 * cost + 2.0 * T * error**2
        decayed = np.exp(-2.0 * T) * kl
        return [
            _below("initialisation", start, decayed),
            _below("cells", cells, cost),
            *_common(chain, cells, start, measured),
            _below("output, closed bound", measured, decayed + cost),
        ]


class FrozenScore(AbstractBound):
    """T5 for two modes, over the time T and a constant error of the score."""

    facts: ClassVar[Facts] = Facts(
        statement="path KL = sum of int J_t - (2 e^-u - 1) J_k du, J = E|score|^2 <= d/s^2",
        assumptions=("Ornstein-Uhlenbeck path", "finite Fisher information"),
        source="constants here; scheme: Chen et al. 2023, arXiv:2209.11215",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = (
        {"T": 2.0, "error": 0.3},
        {"T": 0.7, "error": 0.0},
    )

    def claims(self, key, case):
        T, error = case["T"], case["error"]
        chain, cells, start, measured, _ = _sides(1.0, T, error)
        claims = _common(chain, cells, start, measured)
        if not error:
            relative = _sides(-1.0, T, 0.0)[1]
            claims.append(
                _below("the relative score is the better one", relative, cells)
            )
        path = OU(T)
        posterior = two_modes(path).problem.posterior()
        for t in (0.1, 0.8):
            alpha, sigma = path.alpha(t), path.sigma(t)
            square = _moments(posterior, alpha, sigma, jnp.ones(()))[0]
            shares = jnp.exp(posterior.log_weights)
            noisy = alpha**2 * posterior.covariances()[:, 0, 0] + sigma**2
            claims.append(_below(f"J at {t}, components", square, shares @ (1 / noisy)))
            claims.append(_below(f"J at {t}, noise", square, 1.0 / sigma**2))
        return claims


def _common(chain, cells, start, measured):
    return [
        _below("states on the grid and paths", chain, cells),
        _below("output and states", measured, start + chain),
    ]


def _sides(theta, T, error):
    """Divergences of the states, of the paths, at the start and of the output; facts."""
    target = two_modes(OU(T))
    times = jnp.asarray(np.linspace(1.0, 0.0, _STEPS + 1))
    method = approximations.ScoreError(approximations.Exact(), offset=error)
    sampler = Guided(method, Frozen(theta))
    gamma = GaussianMixture.isotropic([1.0], [[0.0]], 1.0)
    chain = jnp.sum(step_divergences(sampler, target, times))
    posterior = target.problem.posterior()
    cells = _cells(
        posterior, target.path, times, jnp.asarray(theta), jnp.asarray(error)
    )
    law = laws.grid(sampler, target, times, initial=gamma)
    first = _from_normal(target.posterior(times[0]))[0]
    return chain, cells, first, law.kl_from(posterior), _from_normal(posterior)


@eqx.filter_jit
def _cells(posterior, path, times, theta, error):
    """Sum over cells of the integral of the docstring."""
    nodes, weights = (jnp.asarray(part, times.dtype) for part in _NODES)

    def moments(t):
        return _moments(posterior, path.alpha(t), path.sigma(t), theta)

    def cell(window):
        t, s = window
        h = (t - s) * path.T
        u = 0.5 * h * (nodes + 1.0)
        squares = jax.lax.map(lambda u: moments(t - u / path.T)[0], u)
        square, mean = moments(t)
        cross = -2.0 * jnp.expm1(-theta * u) * mean * error
        inside = squares - (2.0 * jnp.exp(-theta * u) - 1.0) * square + cross + error**2
        return 0.5 * h * weights @ inside

    return jnp.sum(jax.lax.map(cell, (times[:-1], times[1:])))


@eqx.filter_jit
def _moments(posterior, alpha, sigma, theta):
    """E V^2 and E V at one time."""
    law = posterior.noised(alpha, sigma)

    def at(x):
        frozen = law.score(x) + 0.5 * (1.0 - theta) * x
        return jnp.sum(frozen**2), jnp.sum(frozen)

    return line_expectation(law, at)


@eqx.filter_jit
def _from_normal(mixture):
    """KL and Fisher divergence from N(0, 1)."""
    gamma = GaussianMixture.isotropic([1.0], [[0.0]], 1.0)

    def at(x):
        return (
            mixture.log_prob(x) - gamma.log_prob(x),
            jnp.sum((mixture.score(x) + x) ** 2),
        )

    return line_expectation(mixture, at)


_below = partial(computed, assumptions=(True, True))
