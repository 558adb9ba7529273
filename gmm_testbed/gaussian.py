r"""The law of one step: a Gaussian, a mixture, or only a way to draw from it.

This is the one place that knows the forms of a covariance \(S S^T\): its root S is
`Spectral`, the form that mixtures have, or `Lower`, a Cholesky factor. A scale of 0 is a
deterministic step. There is no LAPACK call here: steps run inside loops.
"""

from abc import abstractmethod
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from . import _linalg
from ._checks import scalar, vector
from ._decompositions import eigh
from ._types import Matrix, Scalar, Vector
from .mixture import GaussianMixture, components
from .mixture.components import LOG_2PI
from .random import Draws


class AbstractRoot(eqx.Module):
    """A square root S (d, d) of a covariance S S^T."""

    @abstractmethod
    def __matmul__(self, noise: Vector) -> Vector:
        """S noise, (d,)."""

    @abstractmethod
    def whiten(self, vector: Vector) -> Vector:
        """S^{-1} vector, (d,); infinite or NaN where the scale is 0."""

    @abstractmethod
    def log_det(self) -> Scalar:
        """log det S, (); minus infinity where a scale is 0."""

    @abstractmethod
    def least(self) -> Scalar:
        """The smallest scale, (): 0 exactly if some direction has no noise."""

    @abstractmethod
    def most(self) -> Scalar:
        """A bound on the entries of S, (): 0 exactly if there is no noise at all."""

    @abstractmethod
    def covariance(self) -> Matrix:
        """S S^T, (d, d)."""

    @abstractmethod
    def spectral(self) -> "Spectral":
        """The same covariance in spectral form; it factorises `Lower`: not in a loop."""


class Spectral(AbstractRoot):
    r"""The symmetric root \(\sqrt b (I - U U^T) + U \operatorname{diag}(\sqrt l) U^T\).

    Rank 0 is isotropic, rank d is full.

    Attributes:
        base: b, () variance beyond the columns of the basis.
        basis: U, (d, r), orthonormal columns.
        spectrum: l, (r,) variances along them.
    """

    base: Scalar
    basis: Float[Array, "d r"]
    spectrum: Float[Array, " r"]

    def __matmul__(self, noise: Vector) -> Vector:
        scales = jnp.sqrt(self.base), self.basis, jnp.sqrt(self.spectrum)
        return components.apply(noise, *scales)

    def whiten(self, vector: Vector) -> Vector:
        inverses = 1.0 / jnp.sqrt(self.base), self.basis, 1.0 / jnp.sqrt(self.spectrum)
        return components.apply(vector, *inverses)

    def log_det(self) -> Scalar:
        dim, rank = self.basis.shape
        total = jnp.sum(jnp.log(self.spectrum))
        if rank < dim:  # base is meaningless when the basis is complete
            total = total + (dim - rank) * jnp.log(self.base)
        return 0.5 * total

    def least(self) -> Scalar:
        dim, rank = self.basis.shape
        if rank == 0:
            return jnp.sqrt(self.base)
        least = jnp.min(self.spectrum)
        return jnp.sqrt(jnp.minimum(least, self.base) if rank < dim else least)

    def most(self) -> Scalar:
        dim, rank = self.basis.shape
        if rank == 0:
            return jnp.sqrt(self.base)
        most = jnp.max(self.spectrum)
        return jnp.sqrt(jnp.maximum(most, self.base) if rank < dim else most)

    def covariance(self) -> Matrix:
        form = self.base, self.basis, self.spectrum
        eye = jnp.eye(self.basis.shape[0], dtype=self.basis.dtype)
        return jax.vmap(lambda column: components.apply(column, *form))(eye)

    def spectral(self) -> "Spectral":
        return self


class Lower(AbstractRoot):
    """A lower triangular root, as a Cholesky factorisation gives it.

    Attributes:
        factor: (d, d), lower triangular; what is above the diagonal is not read.
    """

    factor: Matrix

    def __matmul__(self, noise: Vector) -> Vector:
        return jnp.tril(self.factor) @ noise

    def whiten(self, vector: Vector) -> Vector:
        return _linalg.solve_lower(self.factor, vector)

    def log_det(self) -> Scalar:
        return jnp.sum(jnp.log(jnp.diagonal(self.factor)))

    def least(self) -> Scalar:
        return jnp.min(jnp.diagonal(self.factor))

    def most(self) -> Scalar:
        return jnp.max(jnp.abs(jnp.tril(self.factor)))

    def covariance(self) -> Matrix:
        factor = jnp.tril(self.factor)
        return factor @ factor.T

    def spectral(self) -> Spectral:
        spectrum, basis = eigh(self.covariance())
        return Spectral(jnp.zeros((), spectrum.dtype), basis, spectrum)


class AbstractStepLaw(eqx.Module):
    """The law of x_s given x_t: what every step gives."""

    @abstractmethod
    def draw(self, draws: Draws) -> Vector:
        """One point (d,), a function of the random numbers."""


class Gaussian(AbstractStepLaw):
    """N(mean, root root^T).

    Attributes:
        mean: (d,).
        root: of the covariance.
    """

    mean: Vector
    root: AbstractRoot

    def draw(self, draws: Draws) -> Vector:
        return self.at(draws.normal(self.mean.shape[0], self.mean.dtype))

    def at(self, noise: Vector) -> Vector:
        """mean + root noise, (d,), for a standard normal noise (d,)."""
        return self.mean + self.root @ vector(noise, "noise", self.mean.shape[0])

    def log_prob(self, x: Vector) -> Scalar:
        """Log-density at x (d,), for a root without a zero scale."""
        x = vector(x, "x", self.mean.shape[0])
        z = self.root.whiten(x - self.mean)
        return -0.5 * (x.shape[0] * LOG_2PI + jnp.sum(z**2)) - self.root.log_det()

    def covariance(self) -> Matrix:
        """(d, d)."""
        return self.root.covariance()

    def mixture(self) -> GaussianMixture:
        """The same law as a mixture of one component."""
        root = self.root.spectral()
        return GaussianMixture(
            jnp.zeros(1, self.mean.dtype),
            self.mean[None],
            root.base[None],
            root.basis[None],
            root.spectrum[None],
        )


class Mixture(AbstractStepLaw):
    """A Gaussian mixture, as exact reverse steps are.

    Attributes:
        law: the mixture.
    """

    law: GaussianMixture

    def draw(self, draws: Draws) -> Vector:
        return draws.of(self.law)

    def log_prob(self, x: Vector) -> Scalar:
        """Log-density at x (d,)."""
        return self.law.log_prob(x)

    def mixture(self) -> GaussianMixture:
        """The mixture itself."""
        return self.law


class Implicit(AbstractStepLaw):
    """A law that can be drawn from, and whose density is not known.

    Attributes:
        fn: from `Draws` to one point (d,).
    """

    fn: Callable[[Draws], Vector]

    def draw(self, draws: Draws) -> Vector:
        return self.fn(draws)


def isotropic(mean: Vector, variance: Scalar) -> Gaussian:
    """N(mean, variance I) for a mean (d,) and a variance ()."""
    mean = vector(mean, "mean")
    zero = jnp.zeros((mean.shape[0], 0), mean.dtype)
    base = scalar(variance, "variance").astype(mean.dtype)
    return Gaussian(mean, Spectral(base, zero, jnp.zeros(0, mean.dtype)))


def point(mean: Vector) -> Gaussian:
    """The deterministic law at mean (d,)."""
    mean = vector(mean, "mean")
    return isotropic(mean, jnp.zeros((), mean.dtype))
