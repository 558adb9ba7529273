"""Questions to a particle filter: its evidence, its weighted particles, and its needs."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..gaussian import Gaussian, Mixture
from ..mixture import GaussianMixture
from ..random import Draws, key_words
from ..sampling import Options, padded, sample
from ..smc.base import Run, particle_filter, unfollowed
from ..smc.particle_filter import ParticleFilter, start_of
from . import probes
from .common import need_is_real
from .laws import features, truth
from .probes import KINDS, Memo, Program, moved
from .report import Verdict, both_ways, skip
from .steps import grid, streams

_REPEATS, _PARTICLES = 512, 32
_AGREE = 4.5  # standard errors
_END = 0.3
_GRIDS = {"coarse": grid(4, last=_END), "fine": grid(24, last=_END)}
_GRIDS["finer"] = grid(48, last=_END)


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
        times = padded(jnp.asarray(_GRIDS[which], float))
        if start == "exact":
            law = target.posterior(times[0])
        else:
            law = start_of(model, target, times[0], Options())
            law = _of_as_many(law, 3)
        steps = jnp.asarray(len(_GRIDS[which]) - 1)
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


def _distance(sums, truth) -> float:
    error = sums.std(axis=0, ddof=1) / np.sqrt(len(sums)) + 1e-12
    return float(np.max(np.abs(sums.mean(axis=0) - truth) / error))


def _exact(filter: Filter, kind: str) -> Verdict:
    wider = list(KINDS)[: list(KINDS).index(kind) + 1]
    claims = [where for where in filter.facts.exact_when if where.problem in wider]
    exact = np.concatenate([[1.0], truth(kind, _END, jnp.zeros(()).dtype)])

    def distance(fine: bool, start: str) -> float:
        if not fine:
            return _distance(filter.sums(kind, "coarse", start), exact)
        sums = (filter.sums(kind, which, start) for which in ("fine", "finer"))
        coarse, finer = sums
        return _distance(2 * finer - coarse, exact)

    if claims:
        found = max(distance(where.grid == "fine", where.start) for where in claims)
        return both_ways(True, found < _AGREE, "exact", f"{found:.1f} standard errors")
    found = distance(True, "exact")
    return both_ways(False, found < _AGREE, "exact", f"{found:.0f} standard errors")


def exact_on_any(filter: Filter) -> Verdict:
    """Are evidence and weighted particles unbiased on a mixture as the facts say?"""
    return _exact(filter, "any")


def exact_on_one_gaussian(filter: Filter) -> Verdict:
    """Are evidence and weighted particles unbiased on one Gaussian as the facts say?"""
    return _exact(filter, "one gaussian")


def exact_with_any_number(filter: Filter) -> Verdict:
    """Is the evidence without error exactly where the facts say any number of particles?"""
    claims = [where for where in filter.facts.exact_when if where.particles == "any"]
    spread = float(np.std(filter.ratios("any", "coarse", "exact")))
    claimed = any(where.problem == "any" for where in claims)
    evidence = f"Z-hat / p(y) varies by {spread:.1g}"
    return both_ways(claimed, spread < 1e-6, "exact for any number", evidence)


def weighted(filter: Filter) -> Verdict:
    """Is the output weighted samples, which are finite?"""
    runs = filter.runs("any")
    finite = all(np.all(np.isfinite(runs[key])) for key in ("x", "log_evidence"))
    claimed = filter.facts.output
    return Verdict(
        f"says {claimed}",
        "finite" if finite else "not finite",
        finite and claimed == "weighted",
    )


def law_kind(filter: Filter) -> Verdict:
    """Is the law of a move of the kind that the facts say?"""
    kinds, target = [], probes.target("any")
    times = padded(jnp.asarray(_GRIDS["coarse"], float))

    def note(x):
        shared = filter.method.shared(target, times, streams(1))
        move = filter.method.move(
            target, shared, x, times[0], times[1], jnp.array(False)
        )
        kinds.append(type(move.law))
        return move.law.draw(streams(1))

    eqx.filter_eval_shape(note, jnp.zeros(3))
    names = {Gaussian: "gaussian", Mixture: "mixture"}
    found, claimed = names.get(kinds[0], "implicit"), filter.facts.law
    return Verdict(f"says {claimed}", f"found {found}", found == claimed)


def density(filter: Filter) -> Verdict:
    """Does it need particles with a density exactly if the facts say so?"""
    target = probes.linear_atoms()
    times = jnp.asarray([0.9, 0.5, 0.0], float)

    def run():
        filter.method.check(target, times)
        out = sample(jax.random.key(3), filter.sampler, target, times, 64)
        return out.x, out.log_evidence

    return need_is_real(filter, "density", run)


def posterior(filter: Filter) -> Verdict:
    """Does it need a posterior that is a mixture exactly if the facts say so?"""
    times = jnp.asarray([0.9, 0.5, 0.2], float)

    def shape():
        def move(x):
            target = probes.without_posterior()
            shared = filter.method.shared(target, times, streams(1))
            ends = times[0], times[1]
            last = jnp.array(False)
            return filter.method.move(target, shared, x, *ends, last).law.draw(
                streams(1)
            )

        eqx.filter_eval_shape(move, jnp.zeros(2))
        return ()

    return need_is_real(filter, "posterior", shape)


def noise_enters(filter: Filter) -> Verdict:
    """Does the covariance R of the noise enter the weights?"""
    effect = moved(filter.values("any"), filter.values("twice the noise"))
    claimed = filter.facts.uses_noise
    return both_ways(claimed, effect > 1e-6, "using R", f"changed by {effect:.1g}")


def particles_reach_the_end(filter: Filter) -> Verdict:
    """Does `gt.sample` run it from its own start?"""
    times = jnp.asarray(_GRIDS["coarse"], float)
    case = jax.random.key(3), filter.sampler, probes.target("any"), times, 64
    out = sample(*case)
    right = out.x.shape == (64, 3) and int(out.info.nonfinite) == 0
    if not np.isfinite(float(out.log_evidence)):
        return (
            skip("it estimates no evidence") if right else Verdict("runs", "NaN", False)
        )
    return Verdict("finite samples", f"{int(out.info.nonfinite)} not finite", right)


QUESTIONS = (
    law_kind,
    weighted,
    particles_reach_the_end,
    exact_on_any,
    exact_on_one_gaussian,
    exact_with_any_number,
    noise_enters,
    density,
    posterior,
)
