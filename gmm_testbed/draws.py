r"""The random numbers of one particle at one step, and what is drawn with them.

Every stream is a function of the particle's key, the step and a number, so that samples do
not depend on the order in which they are computed.
"""

from typing import NamedTuple

import jax
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
        ready: stream 0 of this step, where it was made for all particles at once, with
            `normals`.
    """

    words: UInt32[Array, "2"]
    step: Int[Array, ""]
    ready: Float[Array, " dim"] | None = None

    def normal(self, dim: int, dtype, stream: int = 0) -> Float[Array, " dim"]:
        """Independent N(0, 1) numbers, (dim,)."""
        if stream == 0 and self.ready is not None:
            if self.ready.shape == (dim,) and self.ready.dtype == dtype:
                return self.ready
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


def normals(
    words: UInt32[Array, "num 2"], step: Int[Array, ""], dim: int, dtype
) -> Float[Array, "dim num"]:
    """Stream 0 of many particles at one step, (dim, num).

    On a CPU they are made behind a branch that is always taken: XLA would make them
    inside the loop over (num, dim) that uses them, where a short last axis costs up to
    three times as much.
    """
    num = words.shape[0]

    def made(words, step):
        draw = jax.vmap(lambda own: standard_normal(own, step, dim, dtype), out_axes=1)
        return draw(words).reshape(-1)

    def apart(words, step):
        def never(words, step):
            return jnp.full(dim * num, jnp.nan, dtype)

        return jax.lax.cond(step >= 0, made, never, words, step)

    flat = jax.lax.platform_dependent(words, step, cpu=apart, default=made)
    return flat.reshape(dim, num)


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
