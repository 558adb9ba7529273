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
from ..problem import Target
from .base import AbstractCorrection, Facts


class TMPD(AbstractCorrection):
    """Tweedie moment projected diffusion with the full covariance C = Cov[x0 | x_t]."""

    facts: ClassVar[Facts] = Facts(
        summary="Gaussian N(m, C) with the true covariance of x0 given x_t",
        reference="Boys et al. 2024, arXiv:2310.06721, eq. 8",
        exact_for=("one gaussian", "isotropic gaussian", "unit gaussian"),
        is_gradient=False,
        affine_on_gaussian=True,
        needs="",
        cost="1 D + m J + m x m solve",
    )

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """C H^T (R + H C H^T)^{-1} (y - f(m)), (d,)."""
        HC, factor, residual = _update(target, target.denoise(x, t))
        return HC.T @ _linalg.solve(factor, residual)

    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        """The Kalman update C - C H^T (R + H C H^T)^{-1} H C, (d, d)."""
        HC, factor, _ = _update(target, target.denoise(x, t))
        half = jax.vmap(_linalg.solve_lower, in_axes=(None, 1), out_axes=1)(factor, HC)
        return target.prior_covariance(x, t) - half.T @ half


def _update(target, moments):
    """H C, the Cholesky factor of I + H C H^T, and the residual, in units of the noise."""
    H, residual = target.problem.whitened_at(moments.mean)
    HC = jax.vmap(moments.times_covariance)(H)
    eye = jnp.eye(H.shape[0], dtype=H.dtype)
    return HC, _linalg.cholesky(eye + HC @ H.T), residual
