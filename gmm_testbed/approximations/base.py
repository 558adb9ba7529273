r"""What an approximation is: one vector field.

A diffusion posterior method replaces \(E[x_0 | x_t, y]\) by some \(M(x, t)\). The guidance
\(\hat g \approx \nabla_x \log p(y | x_t)\) and the mean determine one another,

\[ M = m + \frac{\sigma^2}{\alpha} \hat g, \qquad m = E[x_0 | x_t] . \]

Most methods are a formula for the *correction* \(M - m\); writing that (and not M) keeps
its accuracy as \(\sigma \to 0\), and nothing is divided by \(\alpha\), which may be 0
at t = 1. What a method knows of the prior it asks of `target.denoise(x, t)`.
"""

import functools
from abc import abstractmethod

import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _linalg
from .._types import Matrix, Observation, Scalar, Vector
from ..method import AbstractDescribed
from ..mixture.conditioning import log_normal_whitened
from ..problem import Target


class AbstractApproximation(AbstractDescribed):
    """An approximation of E[x0 | x_t, y] and of the guidance.

    All methods take a `Target`, one point x (d,) and a time t (), and raise
    `UnsupportedError` if the problem lacks what `facts.needs` names.
    """

    @abstractmethod
    def guidance(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """The approximation of grad_x log p(y | x_t = x), (d,)."""

    @abstractmethod
    def posterior_mean(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """The approximation M(x, t) of E[x0 | x_t = x, y], (d,)."""

    @abstractmethod
    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        """The approximation of Cov[x0 | x_t = x, y], (d, d), used by matched kernels."""


class AbstractCorrection(AbstractApproximation):
    """An approximation given by a formula for M - m."""

    @abstractmethod
    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """M(x, t) - E[x0 | x_t = x], (d,)."""

    def guidance(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """(alpha / sigma^2) (M - m), (d,)."""
        return target.gain(t) * self.correction(target, x, t)

    def posterior_mean(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """m plus the correction, (d,)."""
        return target.denoise(x, t).mean + self.correction(target, x, t)


def prior_covariance(
    approximation: AbstractApproximation, target: Target, x: Vector, t: Scalar
) -> Matrix:
    """Cov[x0 | x_t], (d, d): what published codes keep, with a learned variance.

    A method without a covariance given y has the line `covariance = prior_covariance`.
    """
    return target.denoise(x, t).covariance()


@functools.singledispatch
def log_twist(
    approximation: AbstractApproximation, target: Target, x: Vector, t: Scalar
) -> Scalar:
    r"""log psi_t(x): the likelihood p(y | x_t) that an approximation stands for.

    An approximation that takes \(x_0 | x_t\) to be \(N(m, V)\) implies
    \(\psi_t(x) = N(y; f(m), R + H V H^T)\). By default V = 0, the likelihood at the
    denoised mean; a method with another one registers it in its own file. Any positive
    twist leaves the weights of a filter correct; a narrow one makes them uneven.
    """
    measurement = target.problem.measurement
    return measurement.log_prob(target.problem.y, target.denoise(x, t).mean)


def gaussian_twist(
    target: Target, residual: Observation, spread: Float[Array, "m m"]
) -> Scalar:
    """log N(y; f(m), R + spread) from the residual and the spread in units of R.

    Args:
        target: the problem along its path.
        residual: (m,), y - f(m) in units of the noise.
        spread: (m, m), H V H^T in units of the noise.
    """
    factor = _linalg.cholesky(jnp.eye(residual.shape[0], dtype=residual.dtype) + spread)
    whitener = target.problem.measurement.whitener
    log_det = 0.5 * _linalg.log_det(factor) - jnp.sum(jnp.log(jnp.diagonal(whitener)))
    return log_normal_whitened(_linalg.solve_lower(factor, residual), log_det)
