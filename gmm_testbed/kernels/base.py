r"""What a kernel is: one Gaussian transition from time t to s < t.

\[ x_s \mid x_t = x \;\sim\; N(\text{mean}(x),\ S S^T), \]

written for any posterior-mean field M. With \(\rho = \alpha_t\sigma_s/(\alpha_s\sigma_t)\)
the exact bridge is \(q(x_s | x_t, x_0) = N(a x_t + c x_0, \sigma_s^2 (1-\rho^2) I)\),
\(a = \rho\sigma_s/\sigma_t\), \(c = \alpha_s (1-\rho^2)\).
"""

from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from .._types import Matrix, Scalar, Vector
from ..approximations import AbstractApproximation
from ..gaussian import Gaussian
from ..method import AbstractDescribed
from ..paths import AbstractPath
from ..problem import Target


class GuidedField(eqx.Module):
    """An approximation bound to a target: the field a kernel discretises."""

    approximation: AbstractApproximation
    target: Target

    @property
    def path(self) -> AbstractPath:
        """The target's path."""
        return self.target.path

    def posterior_mean(self, x: Vector, t: Scalar) -> Vector:
        """M(x, t), (d,)."""
        return self.approximation.posterior_mean(self.target, x, t)

    def covariance(self, x: Vector, t: Scalar) -> Matrix:
        """The approximation's Cov[x0 | x_t = x, y], (d, d)."""
        return self.approximation.covariance(self.target, x, t)

    def score(self, x: Vector, t: Scalar) -> Vector:
        r"""\((\alpha M - x)/\sigma^2\), (d,)."""
        alpha, sigma = self.path.alpha(t), self.path.sigma(t)
        return (alpha * self.posterior_mean(x, t) - x) / sigma**2


class AbstractKernel(AbstractDescribed):
    """A family of Gaussian transitions, one for each field and pair of times."""

    @abstractmethod
    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Gaussian:
        """The law of x_s given x_t = x (d,), for times s < t."""


class Bridge(NamedTuple):
    r"""Scales of the bridge from t to s: `a`, `c`, `variance` and \(1-\rho^2\), all ()."""

    a: Scalar
    c: Scalar
    variance: Scalar
    fresh: Scalar


def bridge(path: AbstractPath, t: Scalar, s: Scalar) -> Bridge:
    r"""Coefficients of q(x_s | x_t, x_0); \(1-\rho^2\) without cancellation."""
    fresh = -jnp.expm1(path.log_snr(t) - path.log_snr(s))
    sigma_s, sigma_t = path.sigma(s), path.sigma(t)
    alpha_s = path.alpha(s)
    a = path.alpha(t) / alpha_s * (sigma_s / sigma_t) ** 2
    return Bridge(a, alpha_s * fresh, sigma_s**2 * fresh, fresh)
