r"""The probability flow under guidance by a class, in \(z = x/\alpha\).

With \(\sigma\) the noise level there, \(dz/d\log\sigma = z - M(z, \sigma)\), in classical
Runge-Kutta steps of log sigma, down or up.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._types import Scalar
from ...mixture import GaussianMixture
from ...problem.denoisers import ClassGuidance


class Ends(NamedTuple):
    """Where points are led, and what is gathered on the way.

    Attributes:
        z: (n, d).
        log_jacobian: (n,), log |det dz/dz_start|.
        energy: (n,), the integral of |s_c - s|^2 over sigma^2, positive downwards.
    """

    z: Float[Array, "n d"]
    log_jacobian: Float[Array, " n"]
    energy: Float[Array, " n"]


@eqx.filter_jit
def guided_flow(
    prior: GaussianMixture,
    conditional: GaussianMixture,
    scale: Scalar,
    levels: Float[Array, " N"],
    z: Float[Array, "n d"],
) -> Ends:
    """Moves points from the first noise level to the last.

    Args:
        prior: without the class.
        conditional: of the class.
        scale: () of the guidance, 1 for none.
        levels: (N,) sigma, positive, in either order.
        z: (n, d) at levels[0].
    """
    guidance = ClassGuidance(prior, conditional, scale)

    def rates(state, log_sigma):
        z = state[0]
        one, sigma = jnp.ones_like(log_sigma), jnp.exp(log_sigma)
        made = guidance(z, one, sigma)
        free, bound = (
            each(z, one, sigma) for each in (guidance.denoiser, guidance.conditional)
        )
        spread = z.size - jnp.trace(made.covariance()) / sigma**2
        force = -2.0 * jnp.sum((bound.mean - free.mean) ** 2) / sigma**2
        return z - made.mean, spread, force

    def moved(state, rate, h):
        return jax.tree.map(lambda a, b: a + h * b, state, rate)

    def step(state, window):
        start, end = window
        h = end - start
        first = rates(state, start)
        second = rates(moved(state, first, 0.5 * h), start + 0.5 * h)
        third = rates(moved(state, second, 0.5 * h), start + 0.5 * h)
        fourth = rates(moved(state, third, h), end)
        total = jax.tree.map(
            lambda a, b, c, d: (a + 2.0 * b + 2.0 * c + d) / 6.0,
            *(first, second, third, fourth),
        )
        return moved(state, total, h), None

    logs = jnp.log(levels)
    windows = jnp.stack([logs[:-1], logs[1:]], axis=1)
    zero = jnp.zeros((), logs.dtype)

    def one(point):
        return jax.lax.scan(step, (point, zero, zero), windows)[0]

    return Ends(*jax.vmap(one)(z))
