r"""Twisted diffusions on the line: what T13, T14 and T15 share.

In \(z = x/\alpha\) and \(v = \sigma^2/\alpha^2\), decreasing, \(P^y\) is the reverse
diffusion of the posterior, of drift \(s + \nabla\log u\) with u = p(y|z_v), and Q that of
drift \(s + \nabla\log\psi\) from \(p_T \psi_T / \hat Z\), \(\hat Z = E_{p_T} \psi_T\), down
to a small \(v = \delta\). With R the residual of \(\psi\) (`gt.smc.residual`) and

\[ S = \int R\,dv + \log\frac u\psi(\delta), \qquad
   \frac{dP^y}{dQ} = \frac{\hat Z}{p(y)}\, e^S . \]
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import approximations
from ..._checks import require
from ..._types import Key, Scalar
from ...approximations import AbstractApproximation
from ...divergences import line_expectation
from ...divergences.expectation import refined
from ...mixture import GaussianMixture
from ...paths import VE
from ...problem import InverseProblem, Linear, Target
from ...smc import log_twist
from ...smc.residual import twisted
from .space import on_the_line

V_MAX = 30.0
_TIMES = 40  # nodes; v is geometric in t
_STEPS = 96
_CELLS, _REACH = 4000, 9.0  # of the law at the start; in standard deviations

TWISTS: dict[str, AbstractApproximation] = {
    "exact": approximations.Exact(),
    "DPS": approximations.DPS(),
    "PiGDM": approximations.PiGDM(),
}


class TwoWays(NamedTuple):
    """KL(P^y || Q) in nats, twice, and log Z-hat.

    Attributes:
        girsanov: half the integral of E |grad log(psi / u)|^2, plus that of the start.
        residuals: log(Z-hat / p(y)) + E S under P^y.
        log_normaliser: log Z-hat.
    """

    girsanov: Scalar
    residuals: Scalar
    log_normaliser: Scalar


class Paths(NamedTuple):
    """Trajectories of Q, (n,) each.

    Attributes:
        last: z at the end.
        log_weight: S.
        girsanov: half the integral of |grad log(psi / u)|^2, plus log(psi / u) at the
            start.
    """

    last: Float[Array, " n"]
    log_weight: Float[Array, " n"]
    girsanov: Float[Array, " n"]


def two_modes(v_min=0.02) -> Target:
    """Two modes of unequal width and weight, with v from `V_MAX` at t = 1 to v_min."""
    prior = GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
    return _seen(prior, v_min)


def atoms(v_min) -> Target:
    """Three atoms: E[x0 | x_t] stays between them, so that residuals are bounded."""
    return _seen(GaussianMixture.empirical([[-1.0], [0.5], [1.2]]), v_min)


def require_levels(target: Target) -> None:
    """Refuses targets whose levels are not those of the integrals here.

    Raises:
        InputError: beyond the line, and for another path than `VE`.
    """
    on_the_line(target.problem.prior)
    require(
        isinstance(target.path, VE),
        "both sides of this theorem are computed in z = x / alpha",
        got=f"a target along {type(target.path).__name__}",
        expected="a target along gt.VE",
        hint="gt.Target(target.problem, gt.VE(0.14, 5.5)): z is the same for all paths",
    )


def path(v_min=0.02) -> VE:
    """v from `V_MAX` at t = 1 to v_min."""
    return VE(v_min**0.5, V_MAX**0.5)


def _seen(prior, v_min):
    problem = InverseProblem(prior, Linear([[1.0]], 0.5), [0.4])
    return Target(problem, path(v_min))


PRIORS = {"two modes": two_modes, "atoms": atoms}


def log_ratio(twist, target, x, t) -> Scalar:
    """log u / psi."""
    return target.log_likelihood(x, t) - log_twist(twist, target, x, t)


def over_levels(function, target):
    """Integral over v of a function of t, of any shape, by Gauss-Legendre in log v."""
    rule = np.polynomial.legendre.leggauss(refined(_TIMES))
    nodes, weights = (jnp.asarray(part, target.path.sigma_min.dtype) for part in rule)
    t = 0.5 * (nodes + 1.0)
    values = jax.lax.map(lambda t: function(t) * _speed(target, t), t)
    return jnp.tensordot(0.5 * weights, values, 1)


@eqx.filter_jit
def two_ways(twist: AbstractApproximation, target: Target) -> TwoWays:
    """KL(P^y || Q) through the drifts and through the residual, by quadrature."""
    last = jnp.zeros_like(target.path.sigma_min)
    first = last + 1.0
    psi = line_expectation(
        target.marginal(first), lambda x: jnp.exp(log_twist(twist, target, x, first))
    )
    log_z = jnp.log(psi)
    missing = log_z - target.problem.log_evidence()

    def rates(t):
        def at(x):
            found = twisted(twist, target, x, t)
            gap = found.guidance - target.guidance(x, t)
            return jnp.stack([0.5 * jnp.sum(gap**2), found.residual])

        return line_expectation(target.posterior(t), at)

    def end(t):
        ratio = lambda x: log_ratio(twist, target, x, t)  # noqa: E731
        return line_expectation(target.posterior(t), ratio)

    drifts, grown = over_levels(rates, target)
    start, stop = jax.lax.map(end, jnp.stack([first, last]))
    return TwoWays(drifts + start + missing, grown + stop + missing, log_z)


@eqx.filter_jit
def trajectories(
    key: Key, twist: AbstractApproximation, target: Target, num: int
) -> Paths:
    """Independent trajectories of Q by Heun's scheme, of weak order 2, geometric in v."""
    key_start, key_noise = jax.random.split(key)
    one = jnp.ones_like(target.path.sigma_min)
    times = jnp.linspace(one, 0.0 * one, _STEPS + 1)
    x = _starts(key_start, twist, target, one, num)

    def rates(x, t):
        """Of x, S and the other integral."""
        found = jax.vmap(lambda x: twisted(twist, target, x[None], t))(x)
        exact = jax.vmap(lambda x: target.guidance(x[None], t)[0])(x)
        gap = 0.5 * (found.guidance[:, 0] - exact) ** 2
        return jnp.stack([found.drift[:, 0], found.residual, gap])

    def step(state, inputs):
        t, s, key = inputs
        fall = target.path.sigma(t) ** 2 - target.path.sigma(s) ** 2
        noise = jnp.sqrt(fall) * jax.random.normal(key, (num,), t.dtype)
        before = rates(state[0], t)
        guess = state[0] + fall * before[0] + noise
        state = state + 0.5 * fall * (before + rates(guess, s))
        return state.at[0].add(noise), None

    start = jnp.concatenate([x[None], jnp.zeros((2, num), x.dtype)])
    keys = jax.random.split(key_noise, _STEPS)
    end, _ = jax.lax.scan(step, start, (times[:-1], times[1:], keys))
    ratio = jax.vmap(lambda x, t: log_ratio(twist, target, x[None], t), (0, None))
    states = jnp.stack([x, end[0]]), jnp.stack([times[0], times[-1]])
    first, last = jax.lax.map(lambda state: ratio(*state), states)
    return Paths(end[0], end[1] + last, end[2] - first)


def _speed(target, t):
    """dv / dt."""
    return jax.jvp(lambda t: target.path.sigma(t) ** 2, (t,), (jnp.ones_like(t),))[1]


def _starts(key, twist, target, t, num):
    """Draws of p_T psi_T / Z-hat, (num,), by its distribution function on a grid."""
    law = target.marginal(t)
    reach = _REACH * jnp.sqrt(law.total_variance())
    grid = law.mean()[0] + reach * jnp.linspace(-1.0, 1.0, _CELLS + 1, dtype=t.dtype)
    log_density = jax.vmap(
        lambda x: law.log_prob(x[None]) + log_twist(twist, target, x[None], t)
    )(grid)
    density = jnp.exp(log_density - jnp.max(log_density))
    below = jnp.cumsum(0.5 * (density[1:] + density[:-1]))
    below = jnp.concatenate([jnp.zeros(1, below.dtype), below])
    uniform = jax.random.uniform(key, (num,), t.dtype)
    return jnp.interp(uniform * below[-1], below, grid)
