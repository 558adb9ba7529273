r"""One step of a law in the plane.

An isotropic or diagonal transition is separable,
\(N(x', y') = N(x'; \mu_x, S_x^2)\, N(y'; \mu_y, S_y^2)\), so a row of sources contributes
\(A_x^T \operatorname{diag}(q) A_y\): two thin matrices and one product. Rows are added one
after the other, which keeps memory at the size of a row.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_ROOT_2PI = math.sqrt(2 * math.pi)


@eqx.filter_jit
def transitions(sampler, target, x, y, t, s):
    """Means and scales (n1, n2, 2) at the nodes x (n1,), y (n2,)."""

    def one(a, b):
        move = sampler.transition(target, jnp.stack([a, b]), t, s)
        return move.mean, jnp.sqrt(jnp.diagonal(move.covariance()))

    def row(a):
        return jax.vmap(one, in_axes=(None, 0))(a, y)

    return jax.lax.map(row, x)


@jax.jit
def step(
    mass: Float[Array, "n1 n2"],
    mean: Float[Array, "n1 n2 2"],
    scale: Float[Array, "n1 n2 2"],
    x: Float[Array, " k1"],
    y: Float[Array, " k2"],
) -> Float[Array, "k1 k2"]:
    """Density at the nodes x (k1,), y (k2,) after the step."""

    def add(total, row):
        mass, mean, scale = row
        along_x = _normal(x, mean[:, 0], scale[:, 0])
        along_y = _normal(y, mean[:, 1], scale[:, 1])
        return total + (along_x * mass[:, None]).T @ along_y, None

    empty = jnp.zeros((x.shape[0], y.shape[0]), mass.dtype)
    return jax.lax.scan(add, empty, (mass, mean, scale))[0]


def _normal(points, mean, scale):
    """N(points_i; mean_j, scale_j^2), (n, k)."""
    distance = (points[None, :] - mean[:, None]) / scale[:, None]
    return jnp.exp(-0.5 * distance**2) / (_ROOT_2PI * scale[:, None])
