r"""A twist that is Gaussian in some orthonormal coordinates: what it does to a step.

Under \(N(\mu, v I)\) every coordinate is independent, so the mean of the twist and the law
tilted by it are explicit, and nothing is solved.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._checks import unsupported
from .._types import Scalar, Vector
from ..gaussian import Gaussian, Spectral
from ..method import AbstractDescribed
from ..mixture.components import LOG_2PI


class GaussianTwist(NamedTuple):
    """A product of normal densities of some coordinates of x.

    Attributes:
        basis: V, (d, k), orthonormal columns.
        centre: (k,), means of V^T x.
        variance: (k,), their variances; 1 where not active.
        active: (k,), the coordinates that psi depends on.
    """

    basis: Float[Array, "d k"]
    centre: Float[Array, " k"]
    variance: Float[Array, " k"]
    active: Bool[Array, " k"]

    def log_value(self, x: Vector) -> Scalar:
        """log psi(x), ()."""
        return self.log_mean(x, jnp.zeros((), x.dtype))

    def log_mean(self, mean: Vector, variance: Scalar) -> Scalar:
        """Log of the mean of psi under N(mean, variance I), ()."""
        total = self.variance + variance
        square = (self.basis.T @ mean - self.centre) ** 2 / total
        terms = -0.5 * (square + jnp.log(total) + LOG_2PI)
        return jnp.sum(jnp.where(self.active, terms, 0.0))

    def tilted(self, mean: Vector, variance: Scalar) -> Gaussian:
        """N(mean, variance I) psi, normalised."""
        share = variance / (variance + self.variance)
        gain = jnp.where(self.active, share, 0.0)
        moved = mean + self.basis @ (gain * (self.centre - self.basis.T @ mean))
        spectrum = variance * (1.0 - gain)
        return Gaussian(moved, Spectral(variance, self.basis, spectrum))


def require_isotropic(law: Gaussian, kernel: AbstractDescribed) -> None:
    """Refuses a step with another noise in every direction.

    Args:
        law: of one step.
        kernel: whose step it is, for the message.

    Raises:
        UnsupportedError: unless the covariance is v I by its form.
    """
    if isinstance(law.root, Spectral) and law.root.basis.shape[1] == 0:
        return
    unsupported(
        "the steps of this kernel have another noise in every direction",
        got=type(kernel).__name__,
        expected="one variance, such as DDPM()",
        hint="conditioning in singular vectors needs noise v I",
    )
