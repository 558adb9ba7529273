"""A particle filter that is asked, in many small runs."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..mixture import GaussianMixture
from ..random import Draws, key_words
from ..sampling import Options, padded
from ..smc.base import Run, particle_filter, unfollowed
from ..smc.particle_filter import ParticleFilter, start_of
from . import probes
from .laws import features
from .probes import Memo, Program
from .steps import grid

_REPEATS, _PARTICLES = 512, 32
END = 0.3
GRIDS = {"coarse": grid(4, last=END), "fine": grid(24, last=END)}
GRIDS["finer"] = grid(48, last=END)


class Filter:
    """A filter, and many small runs of it on the problems that questions need.

    Args:
        sampler: the particle filter.
    """

    def __init__(self, sampler: ParticleFilter):
        self.sampler = sampler
        self.method = sampler.model
        self.facts = sampler.model.facts
        self.program = Program(_runs)
        self._memo = Memo()

    def evaluate(self, model, kind: str, which: str = "coarse", start: str = "exact"):
        """Log-evidences (repeats,), particles and weights of a model."""
        sampler = eqx.tree_at(lambda each: each.model, self.sampler, model)
        target = probes.target(kind)
        times = padded(jnp.asarray(GRIDS[which], float))
        if start == "exact":
            law = target.posterior(times[0])
        else:
            law = start_of(model, target, times[0], Options())
            law = _of_as_many(law, 3)
        steps = jnp.asarray(len(GRIDS[which]) - 1)
        keys = jax.random.split(jax.random.key(7), _REPEATS)
        return self.program(sampler, target, times, steps, law, keys)

    def runs(self, kind: str, which: str = "coarse", start: str = "exact"):
        """Those of the filter itself."""
        name = kind, which, start
        return self._memo(name, lambda: self.evaluate(self.method, *name))

    def values(self, kind: str):
        """The runs on a coarse grid, for questions that compare problems."""
        return self.runs(kind)

    def ratios(self, kind: str, which: str, start: str = "exact"):
        """Z-hat / p(y) of every run, (repeats,)."""
        evidence = _evidence(kind, jnp.zeros(()).dtype)
        return np.exp(self.runs(kind, which, start)["log_evidence"] - evidence)

    def sums(self, kind: str, which: str, start: str):
        """Z-hat / p(y) times the weighted means of 1 and the statistics, (repeats, 16)."""
        runs = self.runs(kind, which, start)
        count, size, dim = runs["x"].shape
        terms = features(runs["x"].reshape(-1, dim)).reshape(count, size, -1)
        means = np.einsum("rn,rnf->rf", np.exp(runs["log_weights"]), terms)
        means = np.concatenate([np.ones((count, 1)), means], axis=1)
        return self.ratios(kind, which, start)[:, None] * means


def _of_as_many(law: GaussianMixture, count: int) -> GaussianMixture:
    """One Gaussian as several equal components: the shapes of the other starts."""

    def repeat(leaf):
        return jnp.repeat(leaf, count, axis=0)

    full = GaussianMixture.full(
        jnp.ones(law.num_components) / law.num_components, law.means, law.covariances()
    )
    if law.num_components != 1:
        return full
    weights = jnp.full(count, 1.0 / count)
    return GaussianMixture.full(weights, repeat(full.means), repeat(law.covariances()))


def _runs(sampler, target, times, steps, law, keys):
    """Independent runs of a filter, one for each key."""

    def one(key):
        first, rest = jax.random.split(key)

        def start(slot):
            words = key_words(jax.random.fold_in(first, slot))
            return Draws(words, steps).of(law)

        starts = jax.vmap(start)(jnp.arange(_PARTICLES))
        run = Run(rest, target, times, steps, starts, law, _PARTICLES, 0)
        cloud = particle_filter(sampler.filter, run, unfollowed(run))
        return {
            "log_evidence": cloud.log_evidence,
            "x": cloud.x,
            "log_weights": cloud.log_weights,
        }

    return jax.lax.map(one, keys, batch_size=64)


@functools.cache
def _evidence(kind: str, dtype) -> float:
    """log p(y)."""
    del dtype
    return float(
        eqx.filter_jit(lambda t: t.problem.log_evidence())(probes.target(kind))
    )
