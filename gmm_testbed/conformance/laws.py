"""Questions to the law of what a sampler returns, from samples, in standard errors.

The statistics are means, second moments, and cosines and sines of a few projections, of
which the exact posterior has closed forms.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..method import ExactWhen
from ..sampling import sample
from . import probes
from .probes import KINDS, Memo
from .report import Reply, both_ways, skip
from .steps import grid

_NUM = 8192
_STEPS = 48
_END = 0.3  # where samplers that are exact at the end of the path only still err
_AGREE = 4.5  # standard errors
_PROJECTIONS = np.array([[0.8, -0.4, 0.3], [-0.3, 0.9, 0.7], [1.1, 0.6, -0.8]])


class Statistics(NamedTuple):
    """Means and standard errors of all statistics, (15,)."""

    mean: np.ndarray
    error: np.ndarray

    def standard_errors(self, truth) -> float:
        """The largest distance from the truth."""
        return float(np.max(np.abs(self.mean - truth) / np.maximum(self.error, 1e-12)))


def features(x):
    """Statistics of points (n, 3), (n, 15)."""
    pairs = np.triu_indices(3)
    products = (x[:, :, None] * x[:, None, :])[:, pairs[0], pairs[1]]
    angles = x @ _PROJECTIONS.T
    return np.concatenate([x, products, np.cos(angles), np.sin(angles)], axis=1)


@functools.cache
def truth(kind: str, t: float, dtype=None):
    """Their exact values under the posterior at time t, (15,)."""
    del dtype
    law = probes.target(kind).posterior(jnp.asarray(t, float))
    weights, means = np.exp(np.asarray(law.log_weights)), np.asarray(law.means)
    spreads = np.asarray(law.covariances())
    products = spreads + means[:, :, None] * means[:, None, :]
    angles = means @ _PROJECTIONS.T
    widths = np.einsum("pi,kij,pj->kp", _PROJECTIONS, spreads, _PROJECTIONS)
    damped = np.exp(-0.5 * widths)
    pairs = np.triu_indices(3)
    parts = [means, products[:, pairs[0], pairs[1]]]
    parts += [damped * np.cos(angles), damped * np.sin(angles)]
    return weights @ np.concatenate(parts, axis=1)


class Sampled:
    """What a sampler returns on the problems that questions need.

    Args:
        sampler: a method, or anything that `gt.sample` runs.
        facts: that are asked.
        num: samples.
        steps: of the fine grid.
        host: whether it is a program of the host, which starts by itself, and of which
            nothing is claimed where its facts say nothing.
    """

    def __init__(
        self, sampler, facts, num: int = _NUM, steps: int = _STEPS, host: bool = False
    ):
        self.sampler, self.facts, self.host = sampler, facts, host
        self.num = num
        self.times = {
            name: grid(count, last=_END)
            for name, count in (("coarse", 3), ("fine", steps), ("finer", 2 * steps))
        }
        self._memo = Memo()

    def run(self, kind: str, which: str, start: str):
        """A `SampleSet`, by the problem, the grid and the start."""

        def once():
            target = probes.target(kind)
            times = jnp.asarray(self.times[which], float)
            initial = target.posterior(times[0]) if start == "exact" else None
            case = jax.random.key(len(kind)), self.sampler, target, times, self.num
            return sample(*case, initial=initial)

        return self._memo((kind, which, start), once)

    def statistics(self, kind: str, which: str, start: str) -> Statistics:
        """Weighted means of the statistics and their standard errors."""
        out = self.run(kind, which, start)
        weights = np.exp(np.asarray(out.log_weights, np.float64))[:, None]
        terms = features(np.asarray(out.x, np.float64))
        mean = np.sum(weights * terms, axis=0)
        error = np.sqrt(np.sum((weights * (terms - mean)) ** 2, axis=0))
        return Statistics(mean, error)

    def limit(self, kind: str, start: str) -> Statistics:
        """Those of infinitely many steps, from two grids and the order."""
        coarse, fine = (
            self.statistics(kind, each, start) for each in ("fine", "finer")
        )
        gain = 2.0 ** (self.facts.order or 1)
        mean = (gain * fine.mean - coarse.mean) / (gain - 1)
        error = np.hypot(gain * fine.error, coarse.error) / (gain - 1)
        return Statistics(mean, error)

    def distance(self, kind: str, where: ExactWhen) -> float:
        """Standard errors from the posterior where a condition is met."""
        if where.grid == "any":
            found, which = self.statistics(kind, "coarse", where.start), "coarse"
        else:
            found, which = self.limit(kind, where.start), "finer"
        end = 0.0 if self.facts.level == "data" else float(self.times[which][-1])
        return found.standard_errors(truth(kind, end, jnp.zeros(()).dtype))


def runs(sampled: Sampled) -> Reply:
    """Does it run from its own start, with finite samples and the weights it claims?"""
    out = sampled.run("any", "coarse", "standard")
    weights = np.asarray(out.log_weights)
    shaped = out.x.shape == (sampled.num, 3)
    weighted = float(np.ptp(weights)) > 1e-6
    claimed = sampled.facts.output
    found = "weighted" if weighted else "equal weights"
    words = f"{out.info.nonfinite} of {sampled.num} not finite, {found}"
    right = shaped and out.info.nonfinite == 0 and weighted == (claimed == "weighted")
    return Reply(f"says {claimed}", words, bool(right))


def _exact(sampled: Sampled, kind: str) -> Reply:
    if sampled.facts.output == "point":
        return skip("it returns a point, not a law")
    wider = list(KINDS)[: list(KINDS).index(kind) + 1]  # each holds the next
    claims = [
        where
        for where in sampled.facts.exact_when
        if where.problem in wider and where.particles == "any"
    ]
    if claims:
        distance = max(sampled.distance(kind, where) for where in claims)
        evidence = f"{distance:.1f} standard errors"
        return both_ways(True, distance < _AGREE, "exact", evidence)
    if sampled.host:
        distance = sampled.distance(kind, ExactWhen(grid="fine"))
        return Reply("says nothing", f"{distance:.0f} standard errors in the limit")
    distance = sampled.distance(kind, ExactWhen(grid="fine", start="exact"))
    return both_ways(
        False,
        distance < _AGREE,
        "exact",
        f"{distance:.0f} standard errors in the limit",
    )


def exact_on_any(sampled: Sampled) -> Reply:
    """Is its law exact on a generic mixture exactly if the facts say so?"""
    return _exact(sampled, "any")


def exact_on_one_gaussian(sampled: Sampled) -> Reply:
    """Is its law exact on one Gaussian exactly if the facts say so?"""
    return _exact(sampled, "one gaussian")


def exact_on_isotropic(sampled: Sampled) -> Reply:
    """Is its law exact on an isotropic Gaussian exactly if the facts say so?"""
    return _exact(sampled, "isotropic gaussian")


def exact_on_unit(sampled: Sampled) -> Reply:
    """Is its law exact on a Gaussian of covariance I exactly if the facts say so?"""
    return _exact(sampled, "unit gaussian")


def point(sampled: Sampled) -> Reply:
    """Does a method that returns a point return the posterior mean where it says so?"""
    if sampled.facts.output != "point":
        return skip("it returns samples")
    named = {where.problem for where in sampled.facts.exact_when}
    results, wrong = [], []
    for index, kind in enumerate(KINDS):
        claimed = bool(named & set(list(KINDS)[: index + 1]))
        out = np.asarray(sampled.run(kind, "finer", "standard").x)
        end = (
            0.0 if sampled.facts.level == "data" else float(sampled.times["finer"][-1])
        )
        law = probes.target(kind).posterior(jnp.asarray(end, float))
        centre, spread = np.asarray(law.mean()), np.asarray(law.covariance())
        off = np.linalg.norm(out - centre, axis=1).max() / np.sqrt(np.trace(spread))
        results.append(f"{kind}: {off:.1g}")
        if (off < 1e-2) != claimed:
            wrong.append(kind)
    words = "largest distance in posterior deviations: " + ", ".join(results)
    return Reply(f"at the mean for {sorted(named) or 'no problem'}", words, not wrong)


QUESTIONS = (
    runs,
    exact_on_any,
    exact_on_one_gaussian,
    exact_on_isotropic,
    exact_on_unit,
    point,
)
