r"""What a guided score says the posterior is, at one time.

An approximation of the guidance \(\hat g\) on the line is the gradient of some
\(\log \hat L(x)\), and the guided score that of the *instantaneous surrogate*

\[ \hat p_t(x | y) \propto p_t(x) \hat L(x), \qquad
   \hat L(x) = \exp \int^x \hat g(x', t)\, dx' . \]

For DPS \(\hat L = N(y; f(m(x)), R)\) and for PiGDM \(N(y; H m(x), R + r_t^2 H H^T)\). For
TMPD it is not the Gaussian likelihood \(N(y; H m, R + H C H^T)\), whose derivative has
terms in \(C'(x)\) that the method leaves out. A sampler does not draw from its surrogates:
its law carries what earlier, wrong ones did. Source: Burns & Fridovich-Keil,
arXiv:2605.30330.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import floating, require, vector
from .._types import Scalar
from ..approximations import AbstractApproximation
from ..problem import Target


@eqx.filter_jit
def surrogate_log_density(
    approximation: AbstractApproximation,
    target: Target,
    x: Float[Array, " n"],
    t: Scalar,
) -> Float[Array, " n"]:
    """Log-density of the instantaneous surrogate of a problem on the line.

    The guidance is integrated by Simpson's rule, with an error of the fourth order of the
    spacing where it is smooth; the surrogate is normalised on the points.

    Args:
        approximation: of the guidance.
        target: with d = 1.
        x: (n,), equally spaced, wide enough for the surrogate.
        t: () time, sigma_t > 0.

    Raises:
        InputError: if d is not 1.
    """
    require(
        target.problem.prior.dim == 1,
        "no surrogate in this dimension",
        got=f"d = {target.problem.prior.dim}",
        expected="d = 1, where every guidance is a gradient",
        hint="take a problem on the line",
    )
    t, x = floating(t), vector(x, "x")
    marginal = target.marginal(t)
    spacing = (x[-1] - x[0]) / (x.shape[0] - 1)
    guidance = jax.vmap(lambda point: approximation.guidance(target, point[None], t)[0])
    at, between = guidance(x), guidance(x[:-1] + 0.5 * spacing)
    cells = spacing / 6.0 * (at[:-1] + 4.0 * between + at[1:])
    rise = jnp.concatenate([jnp.zeros(1, x.dtype), jnp.cumsum(cells)])
    log_joint = jax.vmap(lambda point: marginal.log_prob(point[None]))(x) + rise
    return log_joint - jax.scipy.special.logsumexp(log_joint) - jnp.log(spacing)
