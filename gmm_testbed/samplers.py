r"""What a sampler is: it takes particles from the first time of a grid to the last.

In a chain the particles do not meet, and each has its own random numbers; a population
(`gt.smc`) moves as a whole. The key of particle i at step j is folded from (i, j): results
do not depend on the batch size, nor on the number of devices. The time grid is padded and
the number of steps is data, so that one compilation serves every number of steps and every
hyper-parameter value.
"""

from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ._checks import unsupported
from ._types import Key, Scalar, Times, Vector
from .draws import Draws, normals
from .mixture import GaussianMixture
from .noise import key_words
from .problem import Target


class SamplerFacts(NamedTuple):
    """What is known of a sampler that is not approximation times kernel.

    Attributes:
        summary: one line.
        reference: paper and equation.
        exact_when: a checkable statement.
        needs: "" or "linear", of the measurement.
        cost: per particle and step, in evaluations of the denoiser (D), products with its
            Jacobian (J) and small solves.
    """

    summary: str
    reference: str
    exact_when: str
    needs: str
    cost: str


class Run(NamedTuple):
    """What a sampler is asked for.

    Attributes:
        key: random key.
        target: the problem along its path.
        times: (capacity,), the grid padded with its last time.
        steps: () integer, N: data, so that one program serves every N.
        starts: (num, d), the particles at times[0].
        initial: the law they were drawn from.
        size: particles computed at once.
        keep: states to return, N + 1 or 0.
    """

    key: Key
    target: Target
    times: Times
    steps: Int[Array, ""]
    starts: Float[Array, "num d"]
    initial: GaussianMixture
    size: int
    keep: int


class Cloud(NamedTuple):
    """What a sampler returns.

    Attributes:
        x: (num, d).
        log_weights: (num,), normalised.
        log_evidence: () estimate of log p(y), NaN where there is none.
        states: (num, N + 1, d), the states that led to each x, or None.
        ess: (capacity,), effective sample size at every time, or None.
    """

    x: Float[Array, "num d"]
    log_weights: Float[Array, " num"]
    log_evidence: Scalar
    states: Float[Array, "num times d"] | None = None
    ess: Float[Array, " capacity"] | None = None


class AbstractSampler(eqx.Module):
    """What `sample` runs: it takes particles from times[0] to times[-1]."""

    @abstractmethod
    def check(self, target: Target, times: Times) -> None:
        """Raises `UnsupportedError` if the sampler cannot serve the problem or grid."""

    @abstractmethod
    def run(self, run: Run) -> Cloud:
        """The particles at the last time."""


class AbstractChain(AbstractSampler):
    """A sampler whose particles do not meet: one Markov chain each.

    The chains are spread over all devices of the platform; the numbers are the same to
    rounding, as XLA may order the arithmetic of parts of another size otherwise.
    """

    @abstractmethod
    def move(
        self, draws: Draws, target: Target, x: Vector, t: Scalar, s: Scalar
    ) -> Vector:
        """x_s given x_t = x, a function of the random numbers."""

    def run(self, run: Run) -> Cloud:
        """Every chain by itself."""
        return run_together((self,), run)[0]


def run_together(samplers: tuple[AbstractChain, ...], run: Run) -> list[Cloud]:
    """What each of the samplers would return, from one program.

    Particle i starts at the same place and has the same random numbers in all of them,
    which are made once.
    """
    starts = run.starts
    num, home = starts.shape[0], starts.sharding
    shared = samplers, run.key, run.target, run.times, run.steps
    pairs, shared = spread((jnp.arange(num), starts), shared)
    found = _chains(*shared, pairs, run.size, run.keep)
    if pairs[1].ndim == 3:
        flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:num], found)
        found = jax.device_put(flat, home)
    uniform = jnp.full(num, -np.log(num), starts.dtype)
    unknown = jnp.asarray(jnp.nan, starts.dtype)
    return [Cloud(x, uniform, unknown, states) for x, states in found]


def require_signal(part, target: Target, t: Scalar) -> None:
    """Refuses a start without signal, for what divides by alpha."""
    hint = "start a little later: time_grid(path, N, t_max=0.999), or use DDIM"
    _require_rate(part, target, "alpha", t, "start", "times[0]", hint)


def require_noise(part, target: Target, t: Scalar) -> None:
    """Refuses an end without noise, for what divides by sigma there."""
    hint = "stop a little earlier: time_grid(path, N, t_min=1e-3), or use DDIM"
    _require_rate(part, target, "sigma", t, "end", "times[-1]", hint)


def _require_rate(part, target, rate, t, where, name, hint):
    if float(getattr(target.path, rate)(t)) <= 0.0:
        unsupported(
            f"{type(part).__name__} divides by {rate}, which is 0 at the {where}",
            got=f"{name} = {float(t):.6g} with {type(target.path).__name__}",
            expected=f"{rate} > 0 at every time",
            hint=hint,
        )


def spread(particles, shared):
    """Particles (num, ...) as (devices, part, ...), one part on each device.

    What they share is copied to all. Nothing is done if there is one device, or are fewer
    particles than devices. The last particle is repeated to fill the last part.

    Args:
        particles: tree of arrays (num, ...).
        shared: any tree.
    """
    leaf = jax.tree.leaves(particles)[0]
    num = leaf.shape[0]
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


@eqx.filter_jit
def _chains(samplers, key, target, times, steps, particles, size: int, keep: int):
    """Final state and, if kept, states at all times of every particle, by sampler.

    Particles are the last axis, so that what is done coordinate by coordinate, as the
    random numbers are, is one long vectorised loop for each. Every step starts behind a
    barrier: else XLA takes constants of equal expressions out of the loop one by one, and
    no longer sees that two evaluations of the denoiser are the same.
    """
    key = jax.random.fold_in(key, 1)
    arrays, rest = eqx.partition((samplers, target, times), eqx.is_array)

    def step(j, words, x):
        here, x = jax.lax.optimization_barrier((arrays, x))
        samplers, target, times = eqx.combine(here, rest)

        def move(words, normal, x):
            draws = Draws(words, j, normal)
            return tuple(
                sampler.move(draws, target, own, times[j], times[j + 1])
                for sampler, own in zip(samplers, x, strict=True)
            )

        noise = normals(words, j, x[0].shape[0], x[0].dtype)
        return jax.vmap(move, in_axes=(0, 1, 1), out_axes=1)(words, noise, x)

    def chain(index, starts):
        words = jax.vmap(lambda i: key_words(jax.random.fold_in(key, i)))(index)
        x, states = (starts.T,) * len(samplers), None
        if keep:
            start = jnp.zeros((keep, *starts.T.shape), starts.dtype).at[0].set(starts.T)
            states = (start,) * len(samplers)

        def body(j, carry):
            x, states = carry
            x = step(j, words, x)
            if keep:
                states = tuple(
                    s.at[j + 1].set(v) for s, v in zip(states, x, strict=True)
                )
            return x, states

        x, states = jax.lax.fori_loop(0, steps, body, (x, states))
        kept = [jnp.moveaxis(s, 2, 0) for s in states] if keep else [None] * len(x)
        return [(own.T, states) for own, states in zip(x, kept, strict=True)]

    def chains(particles):
        return in_batches(chain, particles, size)

    if particles[1].ndim == 3:  # a part on each device
        return jax.vmap(chains)(particles)
    return chains(particles)


def in_batches(fn, particles, size: int):
    """fn(*particles), of at most `size` particles at once; what is left over comes last.

    Args:
        fn: from arrays (batch, ...) to a tree of arrays (batch, ...).
        particles: tuple of arrays (num, ...).
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
