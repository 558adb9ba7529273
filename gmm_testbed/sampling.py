r"""Samples of any guided sampler.

The key of particle i at step j is folded from (i, j): results do not depend on the batch
size, nor on the number of devices. The time grid is padded and the number of steps is data,
so that one compilation serves every number of steps and every hyper-parameter value.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._checks import floating, require, unsupported
from ._types import Key, Scalar, Times, Vector
from .approximations import AbstractApproximation, Unguided
from .approximations.base import require_linear
from .kernels import AbstractKernel, GuidedField
from .mixture import GaussianMixture
from .noise import key_words, standard_normal
from .problem import Target
from .time_grids import check_times

_CAPACITY = 1024  # times a compiled program holds; longer grids double it


class Guided(eqx.Module):
    """A sampler: an approximation of the field, and a kernel that discretises it.

    Raises:
        UnsupportedError: if the kernel guides by itself and the approximation is not
            `Unguided`.
    """

    approximation: AbstractApproximation
    kernel: AbstractKernel

    def __check_init__(self):
        if self.kernel.facts.guides and not isinstance(self.approximation, Unguided):
            unsupported(
                f"{type(self.kernel).__name__} adds its own guidance",
                got=type(self.approximation).__name__,
                expected="Unguided",
                hint="guiding twice is not a published method; pass Unguided()",
            )

    @property
    def smooth(self) -> bool:
        """Whether the transitions depend smoothly on x."""
        return self.approximation.facts.smooth and self.kernel.facts.smooth

    def transition(self, target: Target, x: Vector, t: Scalar, s: Scalar):
        """The Gaussian law of x_s given x_t = x."""
        return self.kernel.transition(GuidedField(self.approximation, target), x, t, s)

    def step(
        self, noise: Vector, target: Target, x: Vector, t: Scalar, s: Scalar
    ) -> Vector:
        """x_s given x_t = x and standard normal noise (d,): the noise is an argument."""
        return self.transition(target, x, t, s).apply_noise(noise)


class SampleInfo(NamedTuple):
    """What happened.

    Attributes:
        nonfinite: number of samples with NaN or infinity; they are kept in x.
        num_steps: N.
        trajectory: (num, N + 1, d), the states at every time, or None.
    """

    nonfinite: int
    num_steps: int
    trajectory: Float[Array, "num times d"] | None


class SampleSet(NamedTuple):
    """Samples of a sampler.

    Attributes:
        x: (num, d).
        log_weights: (num,), normalised; uniform for a guided sampler.
        log_evidence: () estimate of log p(y), NaN where the sampler gives none.
        info: `SampleInfo`.
    """

    x: Float[Array, "num d"]
    log_weights: Float[Array, " num"]
    log_evidence: Scalar
    info: SampleInfo


def sample(
    key: Key,
    sampler: Guided,
    target: Target,
    times: Times,
    num: int,
    *,
    initial: GaussianMixture | None = None,
    batch_size: int = 4096,
    trajectory: bool = False,
) -> SampleSet:
    r"""Runs the sampler over the grid of times.

    Args:
        key: random key.
        sampler: `Guided(approximation, kernel)`.
        target: the problem along its path.
        times: (N + 1,), decreasing.
        num: number of samples.
        initial: law at times[0]: any mixture, such as `target.marginal(times[0])` or
            `target.posterior(times[0])`; \(N(0, \sigma^2 I)\) by default.
        batch_size: samples run at once; changes memory and speed, not the samples.
        trajectory: whether to keep every state, (num, N + 1, d) in `info.trajectory`.

    Returns:
        A `SampleSet`. Non-finite samples are counted in `info.nonfinite`, and kept.

    Raises:
        InputError: if the grid does not decrease within [0, 1].
        UnsupportedError: if the sampler cannot serve the problem or the grid.
    """
    times = check_run(sampler, target, times)
    steps = times.shape[0] - 1
    count = jnp.asarray(steps)  # data, not a constant of the compiled program
    if initial is None:
        initial = standard_initial(target, times[0])
    _check_initial(initial, target)
    keep = steps + 1 if trajectory else 0
    size = max(min(batch_size, num), 1)
    starts = _starts(key, initial, num)
    x, states = _run(key, sampler, target, padded(times), count, starts, size, keep)
    bad = num - int(np.isfinite(np.asarray(x)).all(axis=1).sum())
    uniform = jnp.full(num, -np.log(num), x.dtype)
    info = SampleInfo(bad, steps, states)
    return SampleSet(x, uniform, jnp.asarray(jnp.nan, x.dtype), info)


def check_run(sampler: Guided, target: Target, times: Times) -> Times:
    """The grid as an array, once the sampler is known to serve the target on it."""
    times = floating(times)
    check_times(times)
    if sampler.kernel.facts.needs_signal and float(target.path.alpha(times[0])) <= 0.0:
        unsupported(
            f"{type(sampler.kernel).__name__} divides by alpha, which is 0 at the start",
            got=f"times[0] = {float(times[0]):.6g} with {type(target.path).__name__}",
            expected="alpha > 0 at every time",
            hint="start a little later: time_grid(path, N, t_max=0.999), or use DDIM",
        )
    if sampler.approximation.facts.needs == "linear":
        require_linear(sampler.approximation, target)
    return times


def standard_initial(target: Target, t: Scalar) -> GaussianMixture:
    r"""\(N(0, \sigma_t^2 I)\), the usual start."""
    zero = jnp.zeros((1, target.problem.prior.dim), floating(t).dtype)
    return GaussianMixture.isotropic(
        jnp.ones(1, zero.dtype), zero, target.path.sigma(t) ** 2
    )


def padded(times: Times) -> Array:
    """The grid, padded with its last time to a length that few grids share."""
    capacity = _CAPACITY
    while capacity < times.shape[0]:
        capacity *= 2
    return jnp.pad(times, (0, capacity - times.shape[0]), mode="edge")


@eqx.filter_jit
def _starts(key, initial, num: int):
    return initial.sample(jax.random.fold_in(key, 0), num)


@eqx.filter_jit
def _run(key, sampler, target, times, steps, starts, size: int, keep: int):
    key = jax.random.fold_in(key, 1)

    def particle(pair):
        index, start = pair
        words = key_words(jax.random.fold_in(key, index))
        states = None
        if keep:
            states = jnp.zeros((keep, start.shape[0]), start.dtype).at[0].set(start)

        def body(j, carry):
            x, states = carry
            noise = standard_normal(words, j, x.shape[0], x.dtype)
            x = sampler.step(noise, target, x, times[j], times[j + 1])
            return x, states.at[j + 1].set(x) if keep else None

        return jax.lax.fori_loop(0, steps, body, (start, states))

    pairs = (jnp.arange(starts.shape[0]), starts)
    return jax.lax.map(particle, pairs, batch_size=size)


def _check_initial(initial: GaussianMixture, target: Target) -> None:
    dim = target.problem.prior.dim
    require(
        initial.dim == dim,
        "the initial law has the wrong dimension",
        got=initial.dim,
        expected=f"dimension {dim}",
        hint="pass a GaussianMixture over x at times[0], as target.marginal(times[0])",
    )
