r"""Twists: the likelihood \(\hat p(y | x_t)\) that an approximation stands for.

An approximation that takes \(x_0 | x_t\) to be \(N(m, V)\) implies

\[ \psi_t(x) = N(y; f(m), R + H V H^T) , \]

with V = 0 (DPS), \(r_t^2 I\) (PiGDM) or C (TMPD). An approximation with no entry here has
V = 0. Any positive twist leaves the weights correct; a narrow one makes them uneven.
"""

import functools

import jax
import jax.numpy as jnp

from .. import _linalg
from .._types import Scalar, Vector
from ..approximations import TMPD, AbstractApproximation, Exact, PiGDM, Unguided
from ..conditioning import log_normal_whitened
from ..problem import Target


@functools.singledispatch
def log_twist(
    approximation: AbstractApproximation, target: Target, x: Vector, t: Scalar
) -> Scalar:
    """log psi_t(x); the default is the likelihood at the denoised mean."""
    return target.problem.measurement.log_prob(
        target.problem.y, target.prior_mean(x, t)
    )


@log_twist.register(Exact)
def _(approximation, target, x, t):
    return target.log_likelihood(x, t)


@log_twist.register(Unguided)
def _(approximation, target, x, t):
    return jnp.zeros((), x.dtype)


@log_twist.register(PiGDM)
def _(approximation, target, x, t):
    path = target.path
    numerator, denominator = approximation.r2(target, path.alpha(t), path.sigma(t))
    H, residual = target.problem.whitened_at(target.prior_mean(x, t))
    return _gaussian(target, residual, numerator / denominator * (H @ H.T))


@log_twist.register(TMPD)
def _(approximation, target, x, t):
    law = target.denoised(x, t)
    H, residual = target.problem.whitened_at(law.mean())
    HC = jax.vmap(law.covariance_product)(H)
    return _gaussian(target, residual, HC @ H.T)


def _gaussian(target, residual, spread):
    """log N(y; f(m), R + spread) from the residual and the spread in units of R."""
    factor = _linalg.cholesky(jnp.eye(residual.shape[0], dtype=residual.dtype) + spread)
    whitener = target.problem.measurement.whitener
    log_det = 0.5 * _linalg.log_det(factor) - jnp.sum(jnp.log(jnp.diagonal(whitener)))
    return log_normal_whitened(_linalg.solve_lower(factor, residual), log_det)
