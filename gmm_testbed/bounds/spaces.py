r"""Where an attack looks: numbers without limits, to problems within the assumptions.

A space maps \(z \in R^n\) to an object; z of the size of one is ordinary, and large z
tends to the edge of the space: a weight of 0, a variance at its limit. So random starts
are draws of N(0, I), and the search from them has no constraints.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..mixture import GaussianMixture
from ..paths import VP, AbstractPath
from ..problem import InverseProblem, Linear, Target

Coordinates = Float[np.ndarray, " coordinates"]


class AbstractSpace(eqx.Module):
    """Values that a parameter of a theorem may have."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of coordinates n."""

    @abstractmethod
    def at(self, z: Coordinates) -> Any:
        """The value at coordinates z (n,)."""


class Between(AbstractSpace):
    """Numbers between two ends, evenly by their logarithms or as they are.

    Attributes:
        least: lower end.
        most: upper end.
        by_logarithm: whether ratios count, and not differences; ends are positive then.
    """

    least: float
    most: float
    by_logarithm: bool = eqx.field(default=True, static=True)

    @property
    def size(self) -> int:
        """One."""
        return 1

    def at(self, z: Coordinates) -> float:
        """The number; z = 0 is the middle."""
        share = _share(z[0])
        if not self.by_logarithm:
            return float(self.least + share * (self.most - self.least))
        return float(self.least * (self.most / self.least) ** share)


class OneOf(AbstractSpace):
    """One of a few values, each as likely for z from N(0, 1).

    Attributes:
        values: numbers, words or objects.
        make: what is made of the value, itself by default.
    """

    values: tuple = eqx.field(static=True)
    make: Callable[[Any], Any] = eqx.field(default=lambda value: value, static=True)

    @property
    def size(self) -> int:
        """One."""
        return 1

    def at(self, z: Coordinates) -> Any:
        """The value whose share of N(0, 1) has z."""
        rank = 0.5 * math.erfc(-float(z[0]) / math.sqrt(2.0))
        place = min(int(rank * len(self.values)), len(self.values) - 1)
        return self.make(self.values[place])


class Fixed(AbstractSpace):
    """One value, which an attack keeps.

    Attributes:
        value: a number or an object.
    """

    value: Any

    @property
    def size(self) -> int:
        """None."""
        return 0

    def at(self, z: Coordinates) -> Any:
        """The value."""
        return self.value


class Points(AbstractSpace):
    """Vectors around the origin.

    Attributes:
        dim: of the vectors.
        spread: their size.
    """

    dim: int = eqx.field(static=True)
    spread: float = 2.0

    @property
    def size(self) -> int:
        """As many as there are coordinates."""
        return self.dim

    def at(self, z: Coordinates) -> jnp.ndarray:
        """The vector (dim,)."""
        return jnp.asarray(self.spread * z)


class Matrices(AbstractSpace):
    """Multiples of the identity (dim, dim), as covariances of noise.

    Attributes:
        dim: of the matrices.
        least: smallest factor.
        most: largest factor.
    """

    dim: int = eqx.field(static=True)
    least: float = 1e-3
    most: float = 10.0

    @property
    def size(self) -> int:
        """One."""
        return 1

    def at(self, z: Coordinates) -> jnp.ndarray:
        """The matrix (dim, dim)."""
        return Between(self.least, self.most).at(z) * jnp.eye(self.dim)


class Mixtures(AbstractSpace):
    """Mixtures of round or of full Gaussians.

    Attributes:
        dim: d.
        components: K; a weight can go to 0.
        spread: size of the means.
        least: variance, the smallest.
        most: variance, the largest.
        full: whether the axes of a component have variances of their own, in a basis of
            their own; else each component is round.
        alike: whether all components have one covariance.
    """

    dim: int = eqx.field(default=1, static=True)
    components: int = eqx.field(default=3, static=True)
    spread: float = 2.0
    least: float = 0.02
    most: float = 4.0
    full: bool = eqx.field(default=False, static=True)
    alike: bool = eqx.field(default=False, static=True)

    @property
    def size(self) -> int:
        """Weights, means, variances, and for full ones a rotation each."""
        return self.components * (1 + self.dim) + self._kinds * self._each

    @property
    def _kinds(self) -> int:
        return 1 if self.alike else self.components

    @property
    def _each(self) -> int:
        return self.dim + self.dim * (self.dim - 1) // 2 if self.full else 1

    def at(self, z: Coordinates) -> GaussianMixture:
        """The mixture, on the host until its numbers are known."""
        count, dim = self.components, self.dim
        logits, z = 1.5 * z[:count], z[count:]
        weights = np.exp(logits - logits.max())
        means, z = self.spread * z[: count * dim].reshape(count, dim), z[count * dim :]
        each = np.broadcast_to(z.reshape(self._kinds, self._each), (count, self._each))
        variances = self.least * (self.most / self.least) ** _share(each)
        if not self.full:
            return GaussianMixture.isotropic(
                weights / weights.sum(), means, variances[:, 0]
            )
        covariances = [
            basis @ np.diag(row[:dim]) @ basis.T
            for basis, row in zip(
                map(self._basis, each[:, dim:]), variances, strict=True
            )
        ]
        return GaussianMixture.full(
            weights / weights.sum(), means, np.stack(covariances)
        )

    def _basis(self, angles) -> np.ndarray:
        """A rotation (d, d): one in each plane of two axes, by an angle."""
        basis, planes = (
            np.eye(self.dim),
            zip(*np.triu_indices(self.dim, 1), strict=True),
        )
        for (i, j), angle in zip(planes, angles, strict=True):
            turn = np.eye(self.dim)
            turn[[i, i, j, j], [i, j, i, j]] = (
                math.cos(angle),
                -math.sin(angle),
                math.sin(angle),
                math.cos(angle),
            )
            basis = basis @ turn
        return basis


class Overlapping(AbstractSpace):
    """Two components of one variance on the line, so near that their log is concave.

    Attributes:
        width: standard deviation of an ordinary one.
    """

    width: float = 1.0

    @property
    def size(self) -> int:
        """A weight, the width, the distance, and where the mean is."""
        return 4

    def at(self, z: Coordinates) -> GaussianMixture:
        """The mixture; at z = 0 both are as likely, and a width apart."""
        weight, width = _share(z[0]), self.width * np.exp(0.5 * z[1])
        apart = 2.0 * _share(z[2]) * width
        means = 2.0 * z[3] + apart * np.array([[weight - 1.0], [weight]])
        return GaussianMixture.isotropic([weight, 1.0 - weight], means, width**2)


class Problems(AbstractSpace):
    """One linear measurement of the sum of coordinates, y where the prior says it may be.

    Attributes:
        prior: the space of it.
        noise: variance of the noise, least and most.
    """

    prior: Mixtures = Mixtures()
    noise: tuple[float, float] = eqx.field(default=(0.01, 10.0), static=True)

    @property
    def size(self) -> int:
        """Of the prior, the noise, and y."""
        return self.prior.size + 2

    def at(self, z: Coordinates) -> InverseProblem:
        """The problem."""
        prior, (level, place) = self.prior.at(z[:-2]), z[-2:]
        variance = Between(*self.noise).at(level[None])
        A = np.full((1, prior.dim), 1.0 / math.sqrt(prior.dim))
        seen = A @ np.asarray(prior.mean())
        spread = (A @ np.asarray(prior.covariance()) @ A.T)[0, 0] + variance
        y = jnp.asarray(seen + place * math.sqrt(spread))
        return InverseProblem(prior, Linear(A, variance), y)


class Targets(AbstractSpace):
    """Problems along a path.

    Attributes:
        problem: the space of it.
        path: makes that of the target.
    """

    problem: Problems = Problems()
    path: Callable[[], AbstractPath] = eqx.field(default=VP, static=True)

    @property
    def size(self) -> int:
        """That of the problem."""
        return self.problem.size

    def at(self, z: Coordinates) -> Target:
        """The target."""
        return Target(self.problem.at(z), self.path())


def one_row(slope: float) -> jnp.ndarray:
    """A measurement of the line, (1, 1)."""
    return jnp.full((1, 1), slope)


MEASURED: dict[str, AbstractSpace] = {
    "prior": Mixtures(),
    "A": OneOf((1.0,), one_row),
    "R": Matrices(1),
    "y": Points(1),
}
"""A prior on the line and one measurement of it."""


def _share(z):
    """The line to (0, 1), 1/2 at 0."""
    return 0.5 * (1.0 + np.tanh(0.8 * z))
