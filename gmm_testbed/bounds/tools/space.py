r"""Mixtures in space whose divergences are known: for statements that depend on d.

\(x = B (u, g_1, g_2)\) with a rotation B, u from a mixture on the line, and g independent
Gaussians. The covariances of x are full and unequal. Entropies, mmse, divergences from
N(0, I) and transport between two of them are sums over the coordinates, so that both sides
of a bound come by different ways: one from matrices, and one from the line.
With d = 1 there is no g and no rotation.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._checks import require
from ..._types import Scalar
from ...mixture import GaussianMixture
from . import line_pairs

_BASIS = np.linalg.qr([[1.0, -0.4, 0.3], [0.5, 1.2, -0.8], [-0.7, 0.2, 0.9]])[0]


class Rotated(NamedTuple):
    """A mixture on the line, and a Gaussian beside it.

    Attributes:
        line: law of the first coordinate before the rotation.
        means: (d - 1,) of the others.
        variances: (d - 1,) of the others.
    """

    line: GaussianMixture
    means: Float[Array, " r"]
    variances: Float[Array, " r"]

    @property
    def dim(self) -> int:
        """d."""
        return 1 + self.means.shape[0]

    def noised(self, alpha: Scalar, sigma: Scalar) -> "Rotated":
        """Law of alpha x + sigma eps."""
        variances = alpha**2 * self.variances + sigma**2
        return Rotated(self.line.noised(alpha, sigma), alpha * self.means, variances)

    def whole(self) -> GaussianMixture:
        """The law of x."""
        basis = jnp.asarray(basis_of(self.dim), self.means.dtype)
        others = jnp.broadcast_to(self.means, (self.line.num_components, self.dim - 1))
        means = jnp.concatenate([self.line.means, others], axis=1) @ basis.T
        beside = jnp.broadcast_to(self.variances, others.shape)
        first = self.line.covariances()[:, :, 0]
        spectrum = jnp.concatenate([first, beside], axis=1)
        zero = jnp.zeros_like(self.line.base)
        return GaussianMixture(
            self.line.log_weights, means, zero, basis[None], spectrum
        )

    def kl_to_normal(self) -> Scalar:
        """KL from N(0, I)."""
        gaussian = self.means**2 + self.variances - 1.0 - jnp.log(self.variances)
        return line_pairs.kl(self.line, normal()) + 0.5 * jnp.sum(gaussian)

    def fisher_to_normal(self) -> Scalar:
        """Fisher divergence from N(0, I)."""
        gaussian = self.means**2 + self.variances - 2.0 + 1.0 / self.variances
        return line_pairs.fisher(self.line, normal()) + jnp.sum(gaussian)

    def transport_to_normal(self) -> Scalar:
        """Squared W2 to N(0, I)."""
        zero = jnp.zeros_like(self.means)
        return transport(self, Rotated(normal(), zero, zero + 1.0))


def rotated(prior: Rotated | GaussianMixture) -> Rotated:
    """A mixture on the line with nothing beside it, or what is rotated already.

    Raises:
        InputError: for a mixture that is not on the line.
    """
    if isinstance(prior, Rotated):
        return prior
    on_the_line(prior)
    nothing = jnp.zeros(0, prior.means.dtype)
    return Rotated(prior, nothing, nothing)


def on_the_line(*mixtures: GaussianMixture) -> None:
    """Refuses mixtures that are not on the line.

    Raises:
        InputError: for another dimension than 1.
    """
    for mixture in mixtures:
        require(
            mixture.dim == 1,
            "both sides of this theorem are computed on the line",
            got=f"a mixture of dimension {mixture.dim}",
            expected="dimension 1",
            hint="the statement holds in any dimension; try a marginal",
        )


def transport(q: Rotated, p: Rotated) -> Scalar:
    """Squared W2: the best map moves each coordinate by itself."""
    apart = (q.means - p.means) ** 2
    apart += (jnp.sqrt(q.variances) - jnp.sqrt(p.variances)) ** 2
    return line_pairs.transport(q.line, p.line) + jnp.sum(apart)


def two_modes(dim: int) -> Rotated:
    """Unequal weights, widths and, beside them, variances; d is 1 or 3.

    Raises:
        InputError: for another dimension.
    """
    line = GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
    return beside(line, dim, (0.7, -0.3), (0.25, 0.6))


def beside(line: GaussianMixture, dim: int, means, variances) -> Rotated:
    """The mixture, and in three dimensions two Gaussians beside it.

    Raises:
        InputError: for another dimension.
    """
    require(
        dim in (1, 3),
        "this theorem is computed on the line and in space",
        got=f"dim {dim}",
        expected="1 or 3",
        hint="the statement holds in any dimension",
    )
    rest = dim - 1
    return Rotated(line, jnp.asarray(means[:rest]), jnp.asarray(variances[:rest]))


def basis_of(dim: int) -> np.ndarray:
    """The rotation B, (d, d)."""
    return _BASIS if dim > 1 else np.ones((1, 1))


def normal() -> GaussianMixture:
    """N(0, 1)."""
    return GaussianMixture.isotropic([1.0], [[0.0]], 1.0)


def observed(scale=1.0):
    """A prior with full covariances in space, and two measurements: prior, A, R and y.

    Args:
        scale: of the noise, whose covariance is full.
    """
    prior = GaussianMixture.full(
        [0.4, 0.6],
        [[-1.0, 0.3, 0.2], [1.5, -0.4, 0.5]],
        [
            [[0.3, 0.1, -0.05], [0.1, 0.2, 0.04], [-0.05, 0.04, 0.5]],
            [[0.5, -0.15, 0.1], [-0.15, 0.4, 0.0], [0.1, 0.0, 0.25]],
        ],
    )
    A = jnp.asarray([[1.0, 0.4, -0.3], [-0.2, 0.7, 1.1]])
    R = scale**2 * jnp.asarray([[1.0, 0.3], [0.3, 0.6]])
    return prior, A, R, jnp.asarray([0.6, 0.1])
