r"""`sample`, which runs any method or sampler over a grid of times.

In a chain the particles do not meet, and each has its own random numbers; a population
(`gt.smc`) moves as a whole; an external program (`gt.External`) runs on the host. The key
of particle i at step j is folded from (i, j): results do not depend on the batch size, nor
on the number of devices. The time grid is padded and the number of steps is data, so that
one compilation serves every number of steps and every hyper-parameter value.
"""

import functools
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._arguments import KEY, check_kinds, described
from .._checks import check_count, fail, promoted, require
from .._types import Key, Keys, Times
from ..method import AbstractDescribed, AbstractMethod, Facts, check_needs
from ..mixture import GaussianMixture
from ..problem import Target
from ..random import Draws, key_words
from .chains import chain, first, rounded, run_chains
from .inputs import (
    check_run,
    checked_initial,
    checked_times,
    counted,
    initial_law,
    padded,
)
from .sample_set import SampleSet as SampleSet
from .sample_set import sample_set as sample_set

_ENTRIES = 2**24  # samples times components at once: 128 MB an array
_FEW = 128  # samples that are run at once, whatever the number of components


class Options(NamedTuple):
    """How a sampler is run.

    Attributes:
        initial: law at the first time, or None for the sampler's own.
        batch_size: particles computed at once on a device.
        trajectory: whether to keep every state.
    """

    initial: GaussianMixture | None = None
    batch_size: int = 4096
    trajectory: bool = False


class AbstractSampler(AbstractDescribed):
    """What `sample` runs. Everything it does may happen on the host."""

    @abstractmethod
    def check(self, target: Target, times: Times) -> None:
        """Raises `UnsupportedError` if the sampler cannot serve the problem or grid."""

    @abstractmethod
    def run(
        self, key: Key, target: Target, times: Times, num: int, options: Options
    ) -> SampleSet:
        """Samples (num, d) at the last of the times (N + 1,)."""


class AbstractTraceable(AbstractSampler):
    """A sampler that JAX can trace, so that a program may hold many of its runs."""

    @abstractmethod
    def draws(
        self,
        keys: Keys,
        target: Target,
        times: Times,
        steps: Int[Array, ""],
        particles: int,
    ) -> Float[Array, "num d"]:
        """Independent samples (num, d) at times[steps], one for each of the keys (num,).

        Args:
            keys: (num,).
            target: the problem along its path.
            times: (capacity,), padded.
            steps: () N, data.
            particles: of a population, of which one is drawn by its weight.
        """


@functools.singledispatch
def sampler_of(thing: Any) -> AbstractSampler:
    """The sampler that runs a method, or a sampler itself.

    Raises:
        InputError: for anything else.
    """
    if isinstance(thing, AbstractSampler):
        return thing
    fail(
        "this is not a sampler",
        got=described(thing),
        expected="a method, such as gt.Guided(approximation, kernel), one of "
        "gt.algorithms or gt.smc, or gt.External(fn)",
        hint="the order is gt.sample(key, sampler, target, times, num)",
    )


def sample(
    key: Key,
    sampler: AbstractDescribed,
    target: Target,
    times: Times,
    num: int,
    *,
    initial: GaussianMixture | None = None,
    batch_size: int = 4096,
    trajectory: bool = False,
) -> SampleSet:
    r"""Runs a sampler over the grid of times.

    Args:
        key: random key.
        sampler: a method such as `Guided(approximation, kernel)`, one of `gt.algorithms`
            or `gt.smc`, `gt.smc.ParticleFilter(model)` or `gt.External(fn)`.
        target: the problem along its path.
        times: (N + 1,), decreasing.
        num: number of samples, at least 1.
        initial: law at times[0]: any mixture, such as `target.marginal(times[0])` or
            `target.posterior(times[0])`; the method's own start by default, which is
            \(N(0, \sigma^2 I)\) for most.
        batch_size: samples run at once on a device, fewer for priors of thousands of
            components; changes memory and speed, not the samples.
        trajectory: whether to keep every state, (num, N + 1, d) in `info.trajectory`.

    Returns:
        A `SampleSet`. Non-finite samples are counted in `info.nonfinite`, and kept.

    Raises:
        InputError: if the grid does not decrease within [0, 1], or num is not a number
            of samples.
        UnsupportedError: if the sampler cannot serve the problem or the grid.
    """
    check_kinds(
        "gt.sample(key, sampler, target, times, num)",
        key=(key, *KEY),
        sampler=(sampler, AbstractDescribed, "a method, as gt.Guided(...)"),
        target=(target, Target, "a gt.Target"),
    )
    sampler, target, times = sampler_of(sampler), promoted(target), checked_times(times)
    sampler.check(target, times)
    num = check_count(num, "num")
    options = _checked_options(target, initial, batch_size, trajectory)
    return sampler.run(key, target, times, num, options)


@eqx.filter_jit
def draw_starts(key: Key, initial: GaussianMixture, num: int) -> Float[Array, "num d"]:
    """Particles at the first time."""
    return initial.sample(jax.random.fold_in(key, 0), num)


class Chains(AbstractTraceable):
    """Runs a method: one chain a particle.

    The chains are spread over all devices of the platform; the numbers are the same to
    rounding, as XLA may order the arithmetic of parts of another size otherwise.

    Attributes:
        method: what every particle does.
    """

    method: AbstractMethod

    @property
    def facts(self) -> Facts:
        """Those of the method."""
        return self.method.facts

    def check(self, target: Target, times: Times) -> None:
        check_needs(self.method, target, times)

    def run(
        self, key: Key, target: Target, times: Times, num: int, options: Options
    ) -> SampleSet:
        return together((self.method,), key, target, times, num, options)[0]

    def draws(
        self,
        keys: Keys,
        target: Target,
        times: Times,
        steps: Int[Array, ""],
        particles: int,
    ) -> Float[Array, "num d"]:
        initial = initial_law(self.method, target, times[0])

        def one(key):
            words = key_words(key)
            start = Draws(words, steps).of(initial)
            return chain(self.method, target, times, steps, words, start)

        return jax.vmap(one)(keys)


@sampler_of.register
def _(method: AbstractMethod) -> AbstractSampler:
    return Chains(method)


def sample_together(
    key: Key,
    methods: dict[str, AbstractMethod],
    target: Target,
    times: Times,
    num: int,
    *,
    initial: GaussianMixture | None = None,
    batch_size: int = 4096,
    trajectory: bool = False,
) -> dict[str, SampleSet]:
    """What `sample` returns for every one of several methods with this key, by name.

    It is one program, which makes their common random numbers once.

    Args:
        key: random key.
        methods: by name, at least one; their particles must not meet (no `gt.smc`).
        target: as the rest, see `sample`.
        times: (N + 1,).
        num: number of samples of each.
        initial: law at times[0].
        batch_size: samples of each at once on a device.
        trajectory: whether to keep every state.

    Raises:
        InputError: as `sample`, or if there is no method, or one that is not a chain.
        UnsupportedError: if one cannot serve the problem or the grid.
    """
    call = "gt.sample_together(key, methods, target, times, num)"
    check_kinds(call, methods=(methods, Mapping, "methods by name, a dictionary"))
    require(
        bool(methods) and all(isinstance(m, AbstractMethod) for m in methods.values()),
        "these samplers do not run together",
        got=", ".join(type(m).__name__ for m in methods.values()) or "none",
        expected="one method or more, as Guided(approximation, kernel)",
        hint="call gt.sample for each",
    )
    for method in methods.values():
        target, times = check_run(call, method, target, times, key=key)
    num = check_count(num, "num")
    options = _checked_options(target, initial, batch_size, trajectory)
    found = together(tuple(methods.values()), key, target, times, num, options)
    return dict(zip(methods, found, strict=True))


def together(methods, key, target, times, num, options: Options) -> list[SampleSet]:
    """Samples of every one of the methods, from one program."""
    laws = [initial_law(m, target, times[0], options.initial) for m in methods]
    size, count = rounded(num, options.batch_size)
    starts = tuple(draw_starts(key, law, count) for law in laws)
    steps = times.shape[0] - 1
    keep = steps + 1 if options.trajectory else 0
    case = key, target, padded(times), counted(times, key, methods, target, starts)
    found = first(run_chains(methods, *case, starts, size, keep), num)
    sets = []
    for method, (x, states) in zip(methods, found, strict=True):
        uniform = jnp.asarray(np.full(num, -np.log(num)), x.dtype)  # compiles nothing
        unknown = jnp.asarray(jnp.nan, x.dtype)
        made = sample_set(x, uniform, unknown, steps, states, facts=method.facts)
        sets.append(made)
    return sets


def _checked_options(target, initial, batch_size, trajectory) -> Options:
    initial = None if initial is None else checked_initial(initial, target)
    most = most_at_once(target.problem.prior.num_components)
    size = min(check_count(batch_size, "batch_size"), most)
    return Options(initial, size, bool(trajectory))


def most_at_once(components: int) -> int:
    """Samples that are run at once under so many components: a power of 2."""
    few = max(_ENTRIES // components, _FEW)
    return 1 << (few.bit_length() - 1)
