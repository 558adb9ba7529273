r"""`sample`, which runs any sampler, and the guided ones."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._checks import check_count, floating, require, unsupported
from ._types import Key, Scalar, Times, Vector
from .approximations import AbstractApproximation, Unguided
from .approximations.base import require_linear
from .draws import Draws
from .kernels import AbstractKernel, GuidedField
from .mixture import GaussianMixture
from .problem import Target
from .samplers import (
    AbstractChain,
    AbstractSampler,
    Cloud,
    Run,
    require_noise,
    require_signal,
    run_together,
)
from .time_grids import check_times

_CAPACITY = 1024  # times a compiled program holds; longer grids double it


class Guided(AbstractChain):
    """A sampler: an approximation of the field, and a kernel that discretises it.

    Raises:
        InputError: unless the parts are an approximation and a kernel.
        UnsupportedError: if the kernel guides by itself and the approximation is not
            `Unguided`.
    """

    approximation: AbstractApproximation
    kernel: AbstractKernel

    def __check_init__(self):
        require(
            isinstance(self.approximation, AbstractApproximation)
            and isinstance(self.kernel, AbstractKernel),
            "the parts of a guided sampler are not what they should be",
            got=f"{type(self.approximation).__name__}, {type(self.kernel).__name__}",
            expected="an approximation, then a kernel",
            hint="write Guided(approximations.DPS(), kernels.DDPM())",
        )
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

    def check(self, target: Target, times: Times) -> None:
        if self.kernel.facts.needs_signal:
            require_signal(self.kernel, target, times[0])
        if self.kernel.facts.needs_noise:
            require_noise(self.kernel, target, times[-1])
        if self.approximation.facts.needs == "linear":
            require_linear(self.approximation, target)

    def transition(self, target: Target, x: Vector, t: Scalar, s: Scalar):
        """The Gaussian law of x_s given x_t = x."""
        return self.kernel.transition(GuidedField(self.approximation, target), x, t, s)

    def step(
        self, noise: Vector, target: Target, x: Vector, t: Scalar, s: Scalar
    ) -> Vector:
        """x_s given x_t = x and standard normal noise (d,): the noise is an argument."""
        return self.transition(target, x, t, s).apply_noise(noise)

    def move(
        self, draws: Draws, target: Target, x: Vector, t: Scalar, s: Scalar
    ) -> Vector:
        return self.step(draws.normal(x.shape[0], x.dtype), target, x, t, s)


class SampleInfo(NamedTuple):
    """What happened.

    Attributes:
        nonfinite: number of samples with NaN or infinity, or with a weight that is NaN;
            they are kept in x.
        num_steps: N.
        trajectory: (num, N + 1, d), the states that led to each sample, or None.
        ess: (N + 1,), effective sample size at every time before resampling, or None
            where particles do not meet.
    """

    nonfinite: int
    num_steps: int
    trajectory: Float[Array, "num times d"] | None
    ess: Float[Array, " times"] | None = None


class SampleSet(NamedTuple):
    """Samples of a sampler.

    Attributes:
        x: (num, d).
        log_weights: (num,), normalised; uniform where particles do not meet.
        log_evidence: () estimate of log p(y), NaN where the sampler gives none.
        info: `SampleInfo`.
    """

    x: Float[Array, "num d"]
    log_weights: Float[Array, " num"]
    log_evidence: Scalar
    info: SampleInfo


def sample(
    key: Key,
    sampler: AbstractSampler,
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
        sampler: `Guided(approximation, kernel)`, or one of `gt.algorithms`, `gt.smc`.
        target: the problem along its path.
        times: (N + 1,), decreasing.
        num: number of samples, at least 1.
        initial: law at times[0]: any mixture, such as `target.marginal(times[0])` or
            `target.posterior(times[0])`; \(N(0, \sigma^2 I)\) by default.
        batch_size: samples run at once on a device; changes memory and speed, not the
            samples.
        trajectory: whether to keep every state, (num, N + 1, d) in `info.trajectory`.

    Returns:
        A `SampleSet`. Non-finite samples are counted in `info.nonfinite`, and kept.

    Raises:
        InputError: if the grid does not decrease within [0, 1], or num is not a number
            of samples.
        UnsupportedError: if the sampler cannot serve the problem or the grid.
    """
    times = check_run(sampler, target, times)
    run = _run(key, target, times, num, initial, batch_size, trajectory)
    return sample_set(sampler.run(run), times.shape[0] - 1)


def sample_together(
    key: Key,
    samplers: dict[str, AbstractSampler],
    target: Target,
    times: Times,
    num: int,
    *,
    initial: GaussianMixture | None = None,
    batch_size: int = 4096,
    trajectory: bool = False,
) -> dict[str, SampleSet]:
    """What `sample` returns for every one of several chains with this key, by name.

    It is one program, which makes their common random numbers once.

    Args:
        key: random key.
        samplers: by name, at least one; their particles must not meet (no `gt.smc`).
        target: as the rest, see `sample`.
        times: (N + 1,).
        num: number of samples of each.
        initial: law at times[0].
        batch_size: samples of each at once on a device.
        trajectory: whether to keep every state.

    Raises:
        InputError: as `sample`, or if there is no sampler, or one that is not a chain.
        UnsupportedError: if one cannot serve the problem or the grid.
    """
    require(
        bool(samplers) and all(isinstance(s, AbstractChain) for s in samplers.values()),
        "these samplers do not run together",
        got=", ".join(type(s).__name__ for s in samplers.values()) or "none",
        expected="one chain or more, as Guided(approximation, kernel)",
        hint="call gt.sample for each",
    )
    for sampler in samplers.values():
        times = check_run(sampler, target, times)
    run = _run(key, target, times, num, initial, batch_size, trajectory)
    clouds = run_together(tuple(samplers.values()), run)
    sets = [sample_set(cloud, times.shape[0] - 1) for cloud in clouds]
    return dict(zip(samplers, sets, strict=True))


def _run(key, target, times, num, initial, batch_size, trajectory) -> Run:
    check_count(num, "num")
    if initial is None:
        initial = standard_initial(target, times[0])
    _check_initial(initial, target)
    starts = draw_starts(key, initial, num)
    steps = times.shape[0] - 1
    return Run(
        key,
        target,
        padded(times),
        jnp.asarray(steps),
        starts,
        initial,
        max(min(batch_size, num), 1),
        steps + 1 if trajectory else 0,
    )


def sample_set(cloud: Cloud, steps: int) -> SampleSet:
    """The result for the user: the grid's padding cut off, non-finite samples counted."""
    bad = ~np.isfinite(np.asarray(cloud.x)).all(axis=1)
    bad |= np.isnan(np.asarray(cloud.log_weights))
    ess = cloud.ess
    info = SampleInfo(
        int(bad.sum()),
        steps,
        cloud.states,
        None if ess is None else ess[: steps + 1],
    )
    return SampleSet(cloud.x, cloud.log_weights, cloud.log_evidence, info)


def check_run(sampler: AbstractSampler, target: Target, times: Times) -> Times:
    """The grid as an array, once the sampler is known to serve the target on it."""
    times = floating(times)
    check_times(times)
    sampler.check(target, times)
    return times


def standard_initial(target: Target, t: Scalar) -> GaussianMixture:
    r"""\(N(0, \sigma_t^2 I)\), the usual start."""
    zero = jnp.zeros((1, target.problem.prior.dim), floating(t).dtype)
    return GaussianMixture.isotropic(
        jnp.ones(1, zero.dtype), zero, target.path.sigma(t) ** 2
    )


def first_scale(
    sampler: Guided, target: Target, times: Times, initial: GaussianMixture
) -> Array:
    """Scale of the first step from the mean of the initial law: 0 without noise."""
    return _scale(sampler, target, times[:2], initial.mean())


@eqx.filter_jit
def _scale(sampler, target, times, x):
    return sampler.transition(target, x, times[0], times[1]).scale


def padded(times: Times) -> Array:
    """The grid, padded with its last time to a length that few grids share."""
    capacity = _CAPACITY
    while capacity < times.shape[0]:
        capacity *= 2
    return jnp.pad(times, (0, capacity - times.shape[0]), mode="edge")


@eqx.filter_jit
def draw_starts(key: Key, initial: GaussianMixture, num: int) -> Float[Array, "num d"]:
    """Particles at the first time."""
    return initial.sample(jax.random.fold_in(key, 0), num)


def _check_initial(initial: GaussianMixture, target: Target) -> None:
    dim = target.problem.prior.dim
    require(
        initial.dim == dim,
        "the initial law has the wrong dimension",
        got=initial.dim,
        expected=f"dimension {dim}",
        hint="pass a GaussianMixture over x at times[0], as target.marginal(times[0])",
    )
