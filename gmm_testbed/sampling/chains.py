r"""The loop of a chain: one particle by itself, or many at once, over all devices.

Many particles are the last axis of every array, so that what is done coordinate by
coordinate, as the random numbers are, is one long vectorised loop for each. Every step
starts behind a barrier: else XLA takes constants of equal expressions out of the loop one
by one, and no longer sees that two evaluations of the denoiser are the same.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .. import _compiling
from .._checks import concrete
from .._types import Key, Times, Vector
from ..method import AbstractMethod
from ..problem import Target
from ..random import Draws, Words, key_words, normals


def chain(
    method: AbstractMethod,
    target: Target,
    times: Times,
    steps: Int[Array, ""],
    words: Words,
    start: Vector,
) -> Vector:
    """The last state (d,) of one particle.

    Args:
        method: what moves it.
        target: the problem along its path.
        times: (capacity,), padded.
        steps: () N, data.
        words: (2,), the particle's key.
        start: (d,), its state at times[0].
    """

    def body(j, carry):
        x, memory = carry
        draws = Draws(words, j)
        law, memory = method.step(target, memory, x, times[j], times[j + 1], draws)
        return law.draw(draws), memory

    carry = start, method.memory(target, start, times[0])
    return jax.lax.fori_loop(0, steps, body, carry)[0]


def run_chains(
    methods: tuple[AbstractMethod, ...],
    key: Key,
    target: Target,
    times: Times,
    steps: int | Int[Array, ""],
    starts: tuple[Float[Array, "num d"], ...],
    size: int,
    keep: int,
) -> list:
    """Last states (num, d) and, if kept, all states (num, keep, d), of every method.

    Particle i has the same random numbers in all of them, which are made once.

    Args:
        methods: what moves the particles.
        key: random key.
        target: the problem along its path.
        times: (capacity,), padded.
        steps: () N, data; a number where a gradient in reverse mode is wanted.
        starts: the particles at times[0] of every method, (num, d).
        size: particles at once on a device.
        keep: states to return, N + 1 or 0.
    """
    num, home = starts[0].shape[0], starts[0].sharding if concrete(*starts) else None
    shared = methods, key, target, times, steps
    index = jnp.asarray(np.arange(num))  # compiles nothing for each number
    particles, shared = spread((index, *starts), shared)
    known = concrete(*jax.tree.leaves(eqx.filter((shared, starts), eqx.is_array)))
    run = _program(known and len(methods) > 1)  # no options within another program
    found = run(*shared, particles, size, keep)
    if particles[1].ndim == 3:
        flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:num], found)
        found = jax.device_put(flat, home)
    return found


@functools.cache
def _program(several: bool) -> Callable:
    """The jitted loop.

    Of several methods a CPU is told to save memory: it then works on one after the other
    and wakes no thread for small parts of a step, which saves a seventh to a fifth.
    """
    if not several:
        return eqx.filter_jit(_chains)
    order = "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"
    taken = _compiling.options(xla_cpu_scheduler_type=order)
    return eqx.filter_jit(_chains, compiler_options=taken)


def _chains(methods, key, target, times, steps, particles, size: int, keep: int):
    """Final states and, if kept, those at all times of every particle, by method."""
    key = jax.random.fold_in(key, 1)
    arrays, rest = eqx.partition((methods, target, times), eqx.is_array)

    def step(j, words, x, memory):
        here, x, memory = jax.lax.optimization_barrier((arrays, x, memory))
        methods, target, times = eqx.combine(here, rest)

        def move(words, normal, x, memory):
            draws = Draws(words, j, normal)
            moved = []
            for method, own, known in zip(methods, x, memory, strict=True):
                now, after = times[j], times[j + 1]
                law, known = method.step(target, known, own, now, after, draws)
                moved.append((law.draw(draws), known))
            return tuple(zip(*moved, strict=True))

        noise = normals(words, j, x[0].shape[0], x[0].dtype)
        together = jax.vmap(move, in_axes=(0, 1, -1, -1), out_axes=-1)
        return together(words, noise, x, memory)

    def batch(index, *starts):
        words = jax.vmap(lambda i: key_words(jax.random.fold_in(key, i)))(index)
        x, states = tuple(start.T for start in starts), None
        memory = tuple(
            jax.vmap(
                lambda own, method=method: method.memory(target, own, times[0]),
                in_axes=-1,
                out_axes=-1,
            )(start)
            for method, start in zip(methods, x, strict=True)
        )
        if keep:
            states = tuple(
                jnp.zeros((keep, *start.shape), start.dtype).at[0].set(start)
                for start in x
            )

        def body(j, carry):
            x, memory, states = carry
            x, memory = step(j, words, x, memory)
            if keep:
                states = tuple(
                    s.at[j + 1].set(v) for s, v in zip(states, x, strict=True)
                )
            return x, memory, states

        x, _, states = jax.lax.fori_loop(0, steps, body, (x, memory, states))
        kept = [jnp.moveaxis(s, 2, 0) for s in states] if keep else [None] * len(x)
        return [(own.T, states) for own, states in zip(x, kept, strict=True)]

    def batches(particles):
        return in_batches(batch, particles, size)

    if particles[1].ndim == 3:  # a part on each device
        return jax.vmap(batches)(particles)
    return batches(particles)


def rounded(num: int, most: int) -> tuple[int, int]:
    """Particles at once, and in all, for `num` of them and at most `most` at once.

    There are some that nobody asked for, at most one in 16: a program for every
    `num` would stay in memory, megabytes each, and take seconds to compile.
    """
    batches = -(-num // most)
    size = -(-num // batches)
    unit = 1 << max(0, size.bit_length() - 5)
    size = min(most, -(-size // unit) * unit)
    return size, batches * size


def first(tree: Any, num: int) -> Any:
    """The first `num` entries of every array; in the host's memory no program is needed."""

    def some(array):
        if array.shape[0] == num:
            return array
        if not concrete(array) or any(d.platform != "cpu" for d in array.devices()):
            return array[:num]
        return jax.device_put(np.asarray(array)[:num], array.sharding)

    return jax.tree.map(some, tree)


def in_batches(fn, particles: tuple, size: int) -> Any:
    """fn(*particles), of at most `size` particles at once; what is left over comes last.

    Args:
        fn: from arrays (batch, ...) to a tree of arrays (batch, ...).
        particles: arrays (num, ...).
        size: of a batch.
    """
    num = particles[0].shape[0]
    whole = num // size * size
    parts = []
    if whole > 0:
        batches = [a[:whole].reshape(-1, size, *a.shape[1:]) for a in particles]
        done = jax.lax.map(lambda batch: fn(*batch), tuple(batches))
        parts.append(jax.tree.map(lambda a: a.reshape(whole, *a.shape[2:]), done))
    if whole < num:
        parts.append(fn(*(a[whole:] for a in particles)))
    return jax.tree.map(lambda *each: jnp.concatenate(each), *parts)


def spread(particles, shared):
    """Particles (num, ...) as (devices, part, ...), one part on each device.

    What they share is copied to all. Nothing is done if there is one device, or are fewer
    particles than devices, or the particles are traced. The last particle is repeated to
    fill the last part.

    Args:
        particles: tree of arrays (num, ...).
        shared: any tree.
    """
    leaf = jax.tree.leaves(particles)[-1]
    num = leaf.shape[0]
    if not concrete(leaf):
        return particles, shared
    devices = jax.local_devices(backend=next(iter(leaf.devices())).platform)
    if len(devices) == 1 or num < len(devices):
        return particles, shared
    part = -(-num // len(devices))
    rows = np.minimum(np.arange(part * len(devices)), num - 1)
    rows = rows.reshape(len(devices), part)
    mesh = jax.sharding.Mesh(np.asarray(devices), ("devices",))
    by_row = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("devices"))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    parts = jax.tree.map(lambda leaf: jax.device_put(leaf[rows], by_row), particles)
    return parts, eqx.filter_shard(shared, everywhere)
