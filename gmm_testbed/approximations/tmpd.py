r"""Tweedie moment projection: \(x_0 | x_t\) taken as \(N(m, C)\) with its true covariance.

\[ \hat g = J^T H^T (R + H C H^T)^{-1} (y - f(m)), \qquad
   M - m = C H^T (R + H C H^T)^{-1} (y - f(m)) : \]

a Kalman update. C is held fixed when the likelihood is differentiated, so the field is not
a gradient in d >= 2.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp

from .. import _linalg
from .._types import Matrix, Scalar, Vector
from ..method import Cost, ExactWhen, Facts
from ..problem import Target
from .base import AbstractCorrection, gaussian_twist, log_twist


class TMPD(AbstractCorrection):
    """Tweedie moment projected diffusion with the full covariance C = Cov[x0 | x_t]."""

    facts: ClassVar[Facts] = Facts(
        summary="Gaussian N(m, C) with the true covariance of x0 given x_t",
        reference="Boys et al. 2024, arXiv:2310.06721, eq. 8",
        exact_when=(ExactWhen("one gaussian"),),
        affine=True,
        gradient=False,
        cost=Cost(denoiser=1, jacobian=1, measurement=1),
    )

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """C H^T (R + H C H^T)^{-1} (y - f(m)), (d,)."""
        law = target.denoise(x, t)
        HC, factor, residual = _update(target, law)
        return HC.T @ _linalg.solve(factor, residual)

    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        """The Kalman update C - C H^T (R + H C H^T)^{-1} H C, (d, d)."""
        law = target.denoise(x, t)
        HC, factor, _ = _update(target, law)
        half = jax.vmap(_linalg.solve_lower, in_axes=(None, 1), out_axes=1)(factor, HC)
        return law.covariance() - half.T @ half


def _update(target, law):
    """H C, the Cholesky factor of I + H C H^T, and the residual, in units of the noise."""
    H, residual = target.problem.whitened_at(law.mean)
    HC = jax.vmap(law.times_covariance)(H)
    eye = jnp.eye(H.shape[0], dtype=H.dtype)
    return HC, _linalg.cholesky(eye + HC @ H.T), residual


@log_twist.register(TMPD)
def _(approximation, target, x, t):
    law = target.denoise(x, t)
    H, residual = target.problem.whitened_at(law.mean)
    HC = jax.vmap(law.times_covariance)(H)
    return gaussian_twist(target, residual, HC @ H.T)
