r"""The sampler that runs a Feynman-Kac model."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._checks import check_range, floating
from .._types import Key, Keys, Scalar, Times
from ..method import Facts
from ..problem import Target
from ..random import Draws, key_words
from ..sampling import (
    AbstractSampler,
    AbstractTraceable,
    Options,
    SampleSet,
    counted,
    draw_starts,
    padded,
    sample_set,
    sampler_of,
)
from .base import (
    AbstractFeynmanKac,
    Filter,
    Run,
    jitted_filter,
    particle_filter,
    unfollowed,
)
from .resampling import scheme


class ParticleFilter(AbstractTraceable):
    """A particle filter for any model.

    Attributes:
        model: what moves and weighs, such as `TDS(approximation)`.
        resampling: "multinomial", "stratified", "systematic" or "residual".
        threshold: () from 0 to 1: particles are resampled when the effective sample size
            falls below this share of their number; 1 is whenever weights differ.

    Raises:
        InputError: for an unknown scheme, or a threshold outside [0, 1].
    """

    model: AbstractFeynmanKac
    resampling: Callable = eqx.field(
        static=True, converter=scheme, default="systematic"
    )
    threshold: Scalar = eqx.field(converter=floating, default=0.5)

    def __check_init__(self):
        check_range("threshold", self.threshold, least=0.0, most=1.0)

    @property
    def facts(self) -> Facts:
        """Those of the model."""
        return self.model.facts

    @property
    def filter(self) -> Filter:
        """The model and its resampling."""
        return Filter(self.model, self.resampling, self.threshold)

    def check(self, target: Target, times: Times) -> None:
        self.model.check(target, times)

    def run(
        self, key: Key, target: Target, times: Times, num: int, options: Options
    ) -> SampleSet:
        law, steps = start_of(self.model, target, times[0], options), times.shape[0] - 1
        keep = steps + 1 if options.trajectory else 0
        starts = draw_starts(key, law, num)
        count = counted(times, key, self, target, starts)
        grid, initial = padded(times), options.initial
        size = min(options.batch_size, num)
        run = Run(key, target, grid, count, starts, initial, size, keep)
        x, log_weights, log_evidence, states, ess = jitted_filter(
            self.filter, run, unfollowed(run)
        )
        return sample_set(x, log_weights, log_evidence, steps, states, ess)

    def draws(
        self,
        keys: Keys,
        target: Target,
        times: Times,
        steps: Int[Array, ""],
        particles: int,
    ) -> Float[Array, "num d"]:
        """One particle of a run of its own for each key, NaN if no weight is a number."""

        def one(key):
            # A fold of a key may be one of its splits: each use has a key of its own.
            key_start, key_run, key_choice = jax.random.split(key, 3)
            law = start_of(self.model, target, times[0], Options())

            def start(slot):
                words = key_words(jax.random.fold_in(key_start, slot))
                return Draws(words, steps).of(law)

            starts = jax.vmap(start)(jnp.arange(particles))
            run = Run(key_run, target, times, steps, starts, None, particles, 0)
            cloud = particle_filter(self.filter, run, unfollowed(run))
            chosen = jax.random.categorical(key_choice, cloud.log_weights)
            known = jnp.isfinite(jnp.max(cloud.log_weights))
            return jnp.where(known, cloud.x[chosen], jnp.nan)

        return jax.vmap(one)(keys)


def start_of(model: AbstractFeynmanKac, target: Target, t: Scalar, options: Options):
    """The law of the first particles, a mixture: the given one, or the model's own.

    What a start weighs, and not where it is, may depend on what particles share.
    """
    if options.initial is not None:
        return options.initial
    return model.start(target, (), t).law.mixture()


@sampler_of.register
def _(model: AbstractFeynmanKac) -> AbstractSampler:
    return ParticleFilter(model)
