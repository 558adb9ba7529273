r"""Random numbers of one particle at one step, in streams that are told apart by name.

Every number is a function of the particle's key, the step and the name of the stream, so
that samples do not depend on the order, nor on the batches, in which they are computed.

The numbers come from the Threefry-2x32 generator of JAX (Salmon, Moraes, Dror & Shaw 2011,
20 rounds), whose rounds are unrolled here: under `vmap` they fuse into one vectorised loop,
eight times faster on a CPU than `jax.random.normal` for one number a particle a step,
which otherwise costs more than the sampler itself.
"""

import zlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from ._types import Key, Scalar, Vector
from .mixture import GaussianMixture, components

Words = UInt32[Array, "2"]

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_LONG = 64  # numbers in a row worth a step of a loop
_STREAMS = {"noise": 0, "component": 1}  # of every step; others are numbered by name


class Draws(NamedTuple):
    """Streams of random numbers of one particle at one step; each name is a stream.

    Attributes:
        words: the particle's key, (2,), from `key_words`.
        step: () integer; numbers of different steps are independent.
        ready: the stream "noise" of this step, (dim,), where `normals` has made it for
            all particles at once.
    """

    words: Words
    step: Int[Array, ""]
    ready: Float[Array, " dim"] | None = None

    def normal(self, dim: int, dtype, stream: str = "noise") -> Float[Array, " dim"]:
        """Independent N(0, 1) numbers, (dim,)."""
        if stream == "noise" and self.ready is not None:
            if self.ready.shape == (dim,) and self.ready.dtype == dtype:
                return self.ready
        return standard_normal(self._words(stream), self.step, dim, dtype)

    def uniform(self, dtype, stream: str) -> Scalar:
        """One number in (0, 1); take a stream of which no normal numbers are taken."""
        return standard_uniform(self._words(stream), self.step, 1, dtype)[0]

    def of(self, mixture: GaussianMixture, stream: str = "noise") -> Vector:
        """One draw (d,) of a mixture, from `stream` and the stream of its component."""
        noise = self.normal(mixture.dim, mixture.means.dtype, stream)
        chosen = "component" if stream == "noise" else f"component of {stream}"
        return from_mixture(mixture, self.uniform(noise.dtype, chosen), noise)

    def part(self, number) -> "Draws":
        """The streams of one of several parts of this step, number = 0, 1, ..."""
        step = jnp.asarray(self.step).astype(jnp.uint32)
        words = threefry(*self.words, step, jnp.uint32(0xFFFFFFFE))
        return Draws(jnp.stack(words), jnp.asarray(number))

    def _words(self, stream: str) -> Words:
        number = _STREAMS.get(stream, zlib.crc32(stream.encode()))
        return other_words(self.words, number) if number else self.words


def normals(
    words: UInt32[Array, "num 2"], step: Int[Array, ""], dim: int, dtype
) -> Float[Array, "dim num"]:
    """The stream "noise" of many particles at one step, (dim, num).

    On a CPU the bits, and the numbers from them, are made in loops of their own, a row of
    particles at a time or, where that is short, behind branches that are always taken. XLA
    would make both in one loop, which LLVM does not vectorise (half as fast), inside the
    loop over (num, dim) that uses them, where a short last axis costs up to three times as
    much; and it would hand parts of a whole array to threads that cost more to wake.

    Args:
        words: (num, 2), the particles' keys.
        step: () integer.
        dim: numbers of a particle.
        dtype: float32 or float64.
    """
    num = words.shape[0]
    keys = words[None, :, 0], words[None, :, 1]
    coordinates = jnp.arange(dim, dtype=jnp.uint32)[:, None]

    def rows(coordinates):
        return _centred(*keys, step, coordinates, dtype)

    def together():
        return _normal(rows(coordinates)).reshape(-1)

    def behind_branches():
        def never(*_):
            return jnp.full(dim * num, jnp.nan, dtype)

        bits = jax.lax.cond(step >= 0, lambda: rows(coordinates).reshape(-1), never)
        return jax.lax.cond(step >= 0, _normal, never, bits)

    def by_rows():
        return jax.lax.map(_normal, jax.lax.map(rows, coordinates[:, None])).reshape(-1)

    apart = by_rows if dim > 1 and num >= _LONG else behind_branches
    flat = jax.lax.platform_dependent(cpu=apart, default=together)
    return flat.reshape(dim, num)


def no_draws() -> Draws:
    """Draws for a step that takes none."""
    return Draws(jnp.zeros(2, jnp.uint32), jnp.zeros((), jnp.uint32))


def key_words(key: Key) -> Words:
    """The words (2,) of any JAX key."""
    words = jax.random.key_data(key).reshape(-1).astype(jnp.uint32)
    return jnp.stack([words[0], words[-1]])


def from_mixture(
    mixture: GaussianMixture, level: Scalar, noise: Float[Array, " d"]
) -> Vector:
    """One draw (d,) of a mixture.

    Args:
        mixture: any.
        level: () uniform in (0, 1); it chooses the component.
        noise: (d,) standard normal.
    """
    k = components.chosen(jnp.exp(mixture.log_weights), level)
    basis = mixture.basis[0] if mixture.basis.shape[0] == 1 else mixture.basis[k]
    scales = jnp.sqrt(mixture.base[k]), basis, jnp.sqrt(mixture.spectrum[k])
    return mixture.means[k] + components.apply(noise, *scales)


def standard_normal(words: Words, step, dim: int, dtype) -> Float[Array, " dim"]:
    """Independent N(0, 1) numbers, (dim,), for one particle and one step.

    Args:
        words: the particle's key, (2,), from `key_words`.
        step: () integer; numbers of different steps are independent.
        dim: how many.
        dtype: float32 or float64; the number of random bits follows from it.
    """
    coordinate = jnp.arange(dim, dtype=jnp.uint32)
    return _normal(_centred(*words, step, coordinate, dtype))


def standard_uniform(words: Words, step, dim: int, dtype) -> Float[Array, " dim"]:
    """Independent numbers in (0, 1), (dim,); arguments as `standard_normal`.

    They are functions of the same bits: take other words for independent numbers.
    """
    coordinate = jnp.arange(dim, dtype=jnp.uint32)
    return 0.5 * (1.0 + _centred(*words, step, coordinate, dtype))


def other_words(words: Words, number: int) -> Words:
    """Words (2,) of another stream of the same particle, for number = 1, 2, ..."""
    counter = jnp.uint32(number), jnp.uint32(0xFFFFFFFF)  # no step has this number
    return jnp.stack(threefry(words[0], words[1], *counter))


def _normal(centred):
    """N(0, 1) numbers from uniform ones in (-1, 1)."""
    return jnp.sqrt(jnp.asarray(2.0, centred.dtype)) * jax.lax.erf_inv(centred)


def _centred(key0, key1, step, coordinate, dtype):
    """Uniform numbers in (-1, 1), the middles of equal cells, where arrays broadcast."""
    counter = jnp.asarray(step).astype(jnp.uint32)
    high, low = threefry(key0, key1, coordinate, counter)
    if dtype == jnp.float64:  # 52 bits, centred in their cells: never 0 or 1
        cells = high.astype(dtype) * 2.0**20 + (low >> jnp.uint32(12)).astype(dtype)
        return (cells + 0.5) * 2.0**-51 - 1.0
    return ((high >> jnp.uint32(9)).astype(dtype) + 0.5) * 2.0**-22 - 1.0


def threefry(key0, key1, counter0, counter1):
    """The Threefry-2x32 block, 20 rounds: two words from two key and two counter words."""
    schedule = (key0, key1, key0 ^ key1 ^ jnp.uint32(_PARITY))
    x0, x1 = counter0 + schedule[0], counter1 + schedule[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = (x1 << jnp.uint32(rotation)) | (x1 >> jnp.uint32(32 - rotation))
            x1 = x1 ^ x0
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + schedule[(group + 2) % 3] + jnp.uint32(group + 1)
    return x0, x1
