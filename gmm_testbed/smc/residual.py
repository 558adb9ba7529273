r"""How far a twist is from being a likelihood: its residual, without the exact posterior.

With \(z = x/\alpha\) and \(v = \sigma^2/\alpha^2\), and s the score of the noised prior of
z, \(p(y|z_v)\) solves the backward equation of the prior's reverse diffusion
\(dz = s\,dv + dB\) (v decreases). For any twist \(\psi > 0\) let

\[ R = -\partial_v \log\psi + s \cdot \nabla\log\psi
   + \tfrac12 (\Delta\log\psi + \|\nabla\log\psi\|^2) , \]

all at fixed z: zero if and only if \(\psi\) solves it too. It is the rate at which the
log-weights of a twisted filter grow as its steps shrink, and depends on the path through v
alone. For DPS with a linear A, \(r = y - A m\) and \(C = Cov[x_0|x_t]\),

\[ R = \frac1{2v^2} \big( \|C A^T R_y^{-1} r\|^2
   - \operatorname{tr}(C A^T R_y^{-1} A C) \big) , \]

\(R_y\) the covariance of the noise: m is a martingale of quadratic variation
\(C^2/v^2\,dv\), and Ito's formula gives the rest. It has no fixed sign.

On an Ornstein-Uhlenbeck path this is the reaction term of Delgadino et al.
(arXiv:2605.06538).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from .._types import Scalar, Vector
from ..approximations import AbstractApproximation, log_twist
from ..problem import Target


def residual(
    approximation: AbstractApproximation, target: Target, x: Vector, t: Scalar
) -> Scalar:
    r"""R of the twist of an approximation, per unit of v, (), at x (d,).

    By automatic differentiation, with d second derivatives.

    Args:
        approximation: its twist is `log_twist`.
        target: the problem along its path.
        x: (d,), a state at time t, not divided by alpha.
        t: (), where alpha and sigma are positive and differentiable.
    """
    return twisted(approximation, target, *target.state(x, t)).residual


class Twisted(NamedTuple):
    r"""At one point, in units of z and v.

    Attributes:
        drift: (d,), \(s + \nabla\log\psi\).
        guidance: (d,), \(\nabla\log\psi\).
        residual: (), R.
    """

    drift: Vector
    guidance: Vector
    residual: Scalar


def twisted(
    approximation: AbstractApproximation, target: Target, x: Vector, t: Scalar
) -> Twisted:
    """The drift of the twisted diffusion and the residual; arguments as above."""
    path = target.path

    def twist(z, t):
        return log_twist(approximation, target, path.alpha(t) * z, t)

    def noise_level(t):
        return jnp.exp(-path.log_snr(t))

    one, alpha = jnp.ones_like(t), path.alpha(t)
    z = x / alpha

    def along(axis):
        """First and second derivative along an axis."""

        def first(z):
            return jax.jvp(lambda z: twist(z, t), (z,), (axis,))[1]

        return jax.jvp(first, (z,), (axis,))

    guidance, curvature = jax.vmap(along)(jnp.eye(z.shape[0], dtype=z.dtype))
    in_time = jax.jvp(lambda t: twist(z, t), (t,), (one,))[1]
    speed = jax.jvp(noise_level, (t,), (one,))[1]
    score = alpha * target.marginal(t).score(x)
    spread = jnp.sum(curvature) + jnp.sum(guidance**2)
    rate = -in_time / speed + score @ guidance + 0.5 * spread
    return Twisted(score + guidance, guidance, rate)
