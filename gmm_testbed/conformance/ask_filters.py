"""Questions to a particle filter: its evidence, its weighted particles, and its needs."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import UnsupportedError
from ..gaussian import Gaussian, Mixture
from ..sampling import padded, sample
from . import probes
from .ask_all import need_is_real
from .filters import END, GRIDS, Filter
from .laws import truth
from .probes import KINDS, moved
from .report import Reply, both_ways, skip
from .steps import streams

_AGREE = 4.5  # standard errors


def _distance(sums, truth) -> float:
    error = sums.std(axis=0, ddof=1) / np.sqrt(len(sums)) + 1e-12
    return float(np.max(np.abs(sums.mean(axis=0) - truth) / error))


def _exact(filter: Filter, kind: str) -> Reply:
    wider = list(KINDS)[: list(KINDS).index(kind) + 1]
    claims = [where for where in filter.facts.exact_when if where.problem in wider]
    exact = np.concatenate([[1.0], truth(kind, END, jnp.zeros(()).dtype)])

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


def exact_on_any(filter: Filter) -> Reply:
    """Are evidence and weighted particles unbiased on a mixture as the facts say?"""
    return _exact(filter, "any")


def exact_on_one_gaussian(filter: Filter) -> Reply:
    """Are evidence and weighted particles unbiased on one Gaussian as the facts say?"""
    return _exact(filter, "one gaussian")


def exact_with_any_number(filter: Filter) -> Reply:
    """Is the evidence without error exactly where the facts say any number of particles?"""
    claims = [where for where in filter.facts.exact_when if where.particles == "any"]
    spread = float(np.std(filter.ratios("any", "coarse", "exact")))
    claimed = any(where.problem == "any" for where in claims)
    evidence = f"Z-hat / p(y) varies by {spread:.1g}"
    return both_ways(claimed, spread < 1e-6, "exact for any number", evidence)


def weighted(filter: Filter) -> Reply:
    """Is the output weighted samples, which are finite?"""
    runs = filter.runs("any")
    finite = all(np.all(np.isfinite(runs[key])) for key in ("x", "log_evidence"))
    claimed = filter.facts.output
    return Reply(
        f"says {claimed}",
        "finite" if finite else "not finite",
        finite and claimed == "weighted",
    )


def law_kind(filter: Filter) -> Reply:
    """Is the law of a move of the kind that the facts say?"""
    kinds, target = [], probes.target("any")
    times = padded(jnp.asarray(GRIDS["coarse"], float))

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
    return Reply(f"says {claimed}", f"found {found}", found == claimed)


def density(filter: Filter) -> Reply:
    """Does it need particles with a density exactly if the facts say so?"""
    target = probes.linear_atoms()
    times = jnp.asarray([0.9, 0.5, 0.0], float)

    def run():
        filter.method.check(target, times)
        out = sample(jax.random.key(3), filter.sampler, target, times, 64)
        return out.x, out.log_evidence

    return need_is_real(filter, "density", run)


def _traced(filter: Filter, build, dim: int):
    """Traces a move on a target that is built inside, without compiling it."""
    times = jnp.asarray([0.9, 0.5, 0.2], float)

    def move(x):
        target = build()
        shared = filter.method.shared(target, times, streams(1))
        ends = times[0], times[1]
        moved = filter.method.move(target, shared, x, *ends, jnp.array(False))
        new = moved.law.draw(streams(1))
        return new, moved.log_weight(new)

    eqx.filter_eval_shape(move, jnp.zeros(dim))
    return ()


def posterior(filter: Filter) -> Reply:
    """Does it need a posterior that is a mixture exactly if the facts say so?"""
    if "linear" in filter.facts.needs:
        return skip("with a linear measurement the posterior is a mixture")
    build = probes.without_posterior
    return need_is_real(filter, "posterior", lambda: _traced(filter, build, 2))


def nonlinear(filter: Filter) -> Reply:
    """Is a nonlinear measurement served, or refused as the facts say?"""
    times = jnp.asarray([0.9, 0.5, 0.2], float)
    if "linear" in filter.facts.needs:
        try:
            filter.method.check(probes.atoms(), times)
            return Reply("says needing linear", "not refused", False)
        except UnsupportedError:
            pass
    return need_is_real(filter, "linear", lambda: _traced(filter, probes.atoms, 3))


def noise_enters(filter: Filter) -> Reply:
    """Does the covariance R of the noise enter the weights?"""
    effect = moved(filter.values("any"), filter.values("twice the noise"))
    claimed = filter.facts.uses_noise
    return both_ways(claimed, effect > 1e-6, "using R", f"changed by {effect:.1g}")


def particles_reach_the_end(filter: Filter) -> Reply:
    """Does `gt.sample` run it from its own start?"""
    times = jnp.asarray(GRIDS["coarse"], float)
    case = jax.random.key(3), filter.sampler, probes.target("any"), times, 64
    out = sample(*case)
    right = out.x.shape == (64, 3) and int(out.info.nonfinite) == 0
    if not np.isfinite(float(out.log_evidence)):
        return (
            skip("it estimates no evidence") if right else Reply("runs", "NaN", False)
        )
    return Reply("finite samples", f"{int(out.info.nonfinite)} not finite", right)


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
    nonlinear,
)
