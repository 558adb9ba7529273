r"""Mixtures in space whose divergences are known: for statements that depend on d.

\(x = B (u, g_1, g_2)\) with a rotation B, u from a mixture on the line, and g independent
Gaussians. The covariances of x are full and unequal. Entropies, mmse, divergences from
N(0, I) and transport between two of them are sums over the coordinates, so that both sides
of a bound come by different ways: one from matrices, and one from the line.
With d = 1 there is no g and no rotation. One Gaussian is such a law in any dimension, and
so is a mixture whose components differ along one axis alone (`rotated`).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._checks import require
from ..._types import Scalar
from ...mixture import GaussianMixture
from . import line_pairs

_SAME = 1e-9  # relative: what may be left across
_BASIS = np.linalg.qr([[1.0, -0.4, 0.3], [0.5, 1.2, -0.8], [-0.7, 0.2, 0.9]])[0]


class Rotated(NamedTuple):
    """A mixture on the line, and a Gaussian beside it.

    Attributes:
        line: law of the first coordinate before the rotation.
        means: (d - 1,) of the others.
        variances: (d - 1,) of the others.
        basis: (d, d) rotation B; that of the sweeps by default.
    """

    line: GaussianMixture
    means: Float[Array, " r"]
    variances: Float[Array, " r"]
    basis: Float[Array, "d d"] | None = None

    @property
    def dim(self) -> int:
        """d."""
        return 1 + self.means.shape[0]

    def noised(self, alpha: Scalar, sigma: Scalar) -> "Rotated":
        """Law of alpha x + sigma eps."""
        variances = alpha**2 * self.variances + sigma**2
        line = self.line.noised(alpha, sigma)
        return Rotated(line, alpha * self.means, variances, self.basis)

    def whole(self) -> GaussianMixture:
        """The law of x."""
        basis = basis_of(self.dim) if self.basis is None else self.basis
        basis = jnp.asarray(basis, self.means.dtype)
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
    """A law as a mixture on the line and Gaussians beside it, or what is one already.

    Raises:
        InputError: for a mixture in space whose components differ along several axes.
    """
    return together(prior)[0]


def together(*laws: Rotated | GaussianMixture) -> tuple[Rotated, ...]:
    """Laws as mixtures on one line and Gaussians beside it, in one basis.

    Args:
        laws: of one dimension d; mixtures, each with components that differ along one axis
            alone, or laws of a sweep.

    Raises:
        InputError: if there is no such basis.
    """
    if all(isinstance(law, Rotated) for law in laws):
        return laws
    whole = [law.whole() if isinstance(law, Rotated) else law for law in laws]
    dim = whole[0].dim
    require(
        all(law.dim == dim for law in whole),
        "these laws do not live in one space",
        got="dimensions " + ", ".join(str(law.dim) for law in whole),
        expected="one dimension",
        hint="give all of them",
    )
    if dim == 1:
        nothing = jnp.zeros(0, whole[0].means.dtype)
        return tuple(Rotated(round_form(law), nothing, nothing) for law in whole)
    basis = _common_basis(whole)
    found = []
    for law in whole:
        means = np.asarray(law.means) @ basis
        spreads = basis.T @ np.asarray(law.covariances()) @ basis
        others = np.diagonal(spreads[0])[1:]
        apart = spreads.copy()
        apart[:, 0, 0] = 0.0
        size = max(np.abs(spreads).max(), np.ptp(means[:, 0]) ** 2)
        left = np.abs(apart - np.diag([0.0, *others])).max() / size
        left = max(left, np.ptp(means[:, 1:], axis=0).max() / np.sqrt(size))
        require(
            left < _SAME,
            "in space this theorem is computed for components that differ along one axis",
            got=f"a mixture of dimension {dim} with {left:.2g} of its size across",
            expected="equal means and covariances across, as one Gaussian has",
            hint="the statement holds for any law; try dimension 1, or a marginal",
        )
        line = _on_an_axis(law, means[:, :1], spreads[:, 0, 0])
        parts = jnp.asarray(means[0, 1:]), jnp.asarray(others)
        found.append(Rotated(line, *parts, jnp.asarray(basis)))
    return tuple(found)


def _common_basis(laws) -> np.ndarray:
    """Columns (d, d): the axis along which components differ, then axes across it."""
    spreads = [np.asarray(law.covariances()) for law in laws]
    gaps = np.concatenate([np.asarray(law.means - law.means[:1]) for law in laws])
    if np.any(gaps):
        first = np.linalg.svd(gaps)[2][0]
    else:  # one mean: where variances differ, or the widest axis of one Gaussian
        changes = np.concatenate([spread - spread[:1] for spread in spreads])
        largest = changes[np.argmax(np.abs(changes).max(axis=(1, 2)))]
        values, axes = np.linalg.eigh(largest if largest.any() else _blend(spreads))
        first = axes[:, np.argmax(np.abs(values))]
    across = np.linalg.svd(first[None])[2][1:].T  # (d, d - 1)
    inner = np.linalg.eigh(across.T @ _blend(spreads) @ across)[1]
    return np.concatenate([first[:, None], across @ inner], axis=1)


def _blend(spreads) -> np.ndarray:
    """A generic combination of the first covariances: its axes are those of all."""
    return sum(s[0] / np.sqrt(2.0 + k) for k, s in enumerate(spreads))


def round_form(mixture: GaussianMixture) -> GaussianMixture:
    """The same law on the line, with variances that belong to no basis."""
    if mixture.spectrum.shape[1] == 0:
        return mixture
    return _on_an_axis(mixture, mixture.means, mixture.covariances()[:, 0, 0])


def _on_an_axis(mixture, means, variances) -> GaussianMixture:
    """A mixture on the line with the weights of another: means (K, 1), variances (K,)."""
    dtype = mixture.means.dtype
    means, variances = jnp.asarray(means, dtype), jnp.asarray(variances, dtype)
    nothing = jnp.zeros((1, 1, 0), dtype), jnp.zeros((means.shape[0], 0), dtype)
    return GaussianMixture(mixture.log_weights, means, variances, *nothing)


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


def kl(q: Rotated, p: Rotated) -> Scalar:
    """KL(q || p) of two laws in one basis."""
    return line_pairs.kl(q.line, p.line) + kl_across(q, p)


def kl_across(q: Rotated, p: Rotated) -> Scalar:
    """KL(q || p) of the Gaussians beside the line."""
    ratio, gaps = q.variances / p.variances, (q.means - p.means) ** 2 / p.variances
    return 0.5 * jnp.sum(ratio - 1.0 - jnp.log(ratio) + gaps)


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
