r"""The random numbers of one particle at one step, and what is drawn with them.

Every stream is a function of the particle's key, the step and a number, so that samples do
not depend on the order in which they are computed.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from . import components
from ._types import Scalar, Vector
from .mixture import GaussianMixture
from .noise import other_words, standard_normal, standard_uniform, threefry


class Draws(NamedTuple):
    """Streams of random numbers; different `stream`s are independent.

    Attributes:
        words: the particle's key, (2,), from `noise.key_words`.
        step: () integer.
    """

    words: UInt32[Array, "2"]
    step: Int[Array, ""]

    def normal(self, dim: int, dtype, stream: int = 0) -> Float[Array, " dim"]:
        """Independent N(0, 1) numbers, (dim,)."""
        return standard_normal(self._words(stream), self.step, dim, dtype)

    def uniform(self, dtype, stream: int) -> Scalar:
        """One number in (0, 1)."""
        return standard_uniform(self._words(stream), self.step, 1, dtype)[0]

    def of(self, mixture: GaussianMixture, stream: int = 0) -> Vector:
        """One draw (d,) of a mixture; it uses `stream` and the next."""
        noise = self.normal(mixture.dim, mixture.means.dtype, stream)
        return from_mixture(mixture, self.uniform(noise.dtype, stream + 1), noise)

    def part(self, number) -> "Draws":
        """The streams of one of several parts of this step, number = 0, 1, ..."""
        step = self.step.astype(jnp.uint32)
        words = threefry(*self.words, step, jnp.uint32(0xFFFFFFFE))
        return Draws(jnp.stack(words), jnp.asarray(number))

    def _words(self, stream):
        return other_words(self.words, stream) if stream else self.words


def from_mixture(mixture: GaussianMixture, level: Scalar, noise: Vector) -> Vector:
    """One draw (d,) of a mixture.

    Args:
        mixture: any.
        level: () uniform in (0, 1); it chooses the component.
        noise: (d,) standard normal.
    """
    cumulative = jnp.cumsum(jnp.exp(mixture.log_weights))
    k = jnp.sum(cumulative[:-1] <= level * cumulative[-1])  # a count: no search
    basis = mixture.basis[0] if mixture.basis.shape[0] == 1 else mixture.basis[k]
    scales = jnp.sqrt(mixture.base[k]), basis, jnp.sqrt(mixture.spectrum[k])
    return mixture.means[k] + components.apply(noise, *scales)
