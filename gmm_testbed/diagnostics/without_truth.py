r"""Is my sampler right, where no posterior is known: what can be said all the same.

All that is asked is a denoiser, a measurement and y. The truth is the model's own: the
law P of its unguided chain, and the posterior that P and the measurement imply
(`from_the_model`, `path_weights`). Tests at the level \(\ell\) each cry wolf in at most
that share of cases:

- ranks of coordinates among draws for simulated y (SBC), balls about a point near y
  (TARP), and the rank of the misfit \(\|y - f(x)\|^2\), which sees that y is ignored;
- at the y that was given: means, squares and the misfit of samples against draws of the
  model weighted by p(y | x0), and against the sampler's own paths with their weights;
- log p(y) from the weights of paths against log p(y) from draws of the model: a mode that
  the sampler never visits is missing in the first;
- two samplers that should agree.

And what is a number, and no test: the divergence of the sampler's paths from those of the
posterior, which bounds that of its output, the number of effective paths, and the noise
levels at which the residual of the h-transform arises.

What it cannot see: that the denoiser itself is wrong, unless `data` are given; a failure
smaller than the noise of the simulations; a mode that neither sampler nor weighted draws
of the model ever visit.
"""

import html
import textwrap
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._arguments import KEY, check_kinds
from .._checks import check_count, check_range, floating, promoted
from .._samples import equal_weights
from .._types import Key, Times
from ..estimate import Estimate
from ..method import AbstractDescribed
from ..problem import Target
from ..sampling import Chains, checked_times, sample, sampler_of
from . import from_the_model as own
from .agreement import Agreement, largest_shift, same_law
from .calibration import tested
from .path_weights import FEW, PathWeights, path_weights, summary
from .uniformity import Uniformity

_DIRECTIONS = 8
_BINS = 10
_WIDTH = 96
_MARKS = {"passed": "ok", "failed": "NO", "unknown": "?", "noted": "-"}


class Check(NamedTuple):
    """One diagnostic.

    Attributes:
        name: of `CHECKS`.
        status: "passed", "failed", "unknown" where nothing can be concluded, or "noted"
            for a number that is no test.
        words: what was found, with numbers and errors.
        p_value: of what was found if the sampler is right; NaN where there is no test.
    """

    name: str
    status: str
    words: str
    p_value: float = float("nan")


CHECKS = (
    "finite",
    "ranks",
    "balls",
    "misfit",
    "weighted model",
    "own weights",
    "evidence",
    "agreement",
    "paths",
)
"""The names of all diagnostics, in the order of the report."""


class WithoutTruth(NamedTuple):
    """All diagnostics of one sampler; `print` shows them.

    Attributes:
        checks: in the order of `CHECKS`; those that do not apply say why.
        weights: of the sampler's paths, or None.
        pairs: what was simulated.
        samples: (n, d), of the sampler for the y that was given, at the last time.
        model: (n, d), draws of the model there.
        level: of every test.
    """

    checks: tuple[Check, ...]
    weights: PathWeights | None
    pairs: own.ModelPairs
    samples: Float[Array, "n d"]
    model: Float[Array, "n d"]
    level: float

    @property
    def passed(self) -> bool:
        """Whether no test failed."""
        return not self.failures()

    def failures(self) -> list[Check]:
        """The tests that failed."""
        return [check for check in self.checks if check.status == "failed"]

    def about(self, name: str) -> Check:
        """The diagnostic of that name, of `CHECKS`."""
        (found,) = [check for check in self.checks if check.name == name]
        return found

    @property
    def summary(self) -> str:
        """In one line."""
        by_status = [check.status for check in self.checks]
        tests = by_status.count("failed") + by_status.count("passed")
        return (
            f"{by_status.count('failed')} of {tests} tests failed at level "
            f"{self.level:g} each; {by_status.count('unknown')} could not tell"
        )

    def __str__(self) -> str:
        lines = [self.summary]
        for check in self.checks:
            words = f"{check.name}: {check.words}"
            first, *rest = textwrap.wrap(words, _WIDTH - 5)
            lines.append(f"{_MARKS[check.status]:>3}  {first}")
            lines += [" " * 5 + line for line in rest]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{_MARKS[c.status]}</td><td>{c.name}</td>"
            f"<td style='text-align:left'>{html.escape(c.words)}</td></tr>"
            for c in self.checks
        )
        return f"<p>{html.escape(self.summary)}</p><table>{rows}</table>"


def without_truth(
    key: Key,
    sampler: AbstractDescribed,
    target: Target,
    times: Times,
    num: int = 1000,
    *,
    num_pairs: int = 200,
    num_draws: int = 19,
    other: AbstractDescribed | None = None,
    data: Float[Array, "k d"] | None = None,
    level: float = 0.01,
    tolerance: float = 0.1,
    particles: int = 64,
) -> WithoutTruth:
    """Diagnoses a posterior sampler by its denoiser, measurement and y alone.

    Of the target only the denoiser, the measurement, y and the path are used, and no
    prior or posterior (`from_the_model.without_prior` makes one of these alone).

    Args:
        key: random key.
        sampler: any that `gt.sample` runs; the weights of paths exist for guided samplers
            whose steps have noise.
        target: seen through a denoiser, or with the exact one of its mixture.
        times: (N + 1,), decreasing; the model is its unguided chain on this grid.
        num: samples for the given y, and draws of the model.
        num_pairs: simulated observations, 50 or more.
        num_draws: of the sampler for each; with N steps all of them cost some
            num_pairs x num_draws x N calls of the denoiser.
        other: a sampler that should agree.
        data: (k, d), draws of the true prior that the denoiser was not trained on, in
            place of the model's own: the tests by simulation then judge the denoiser too.
        level: of every test.
        tolerance: differences of means below it, in standard deviations, do not count.
        particles: of every run of a particle filter, which gives one draw.

    Raises:
        InputError: as `gt.sample`; if there are too few pairs or data.
        UnsupportedError: if the sampler uses the prior and not only the denoiser.
    """
    check_kinds(
        "without_truth(key, sampler, target, times)",
        key=(key, *KEY),
        sampler=(sampler, AbstractDescribed, "a method, as gt.Guided(...)"),
        target=(target, Target, "a gt.Target"),
    )
    target, times = promoted(target), checked_times(times)
    num = check_count(num, "num", least=FEW)
    num_pairs = check_count(num_pairs, "num_pairs", least=5 * _BINS)
    num_draws = check_count(num_draws, "num_draws")
    check_range("level", floating(level), least=0.0, most=1.0)
    runner = sampler_of(sampler)
    runner.check(target, times)
    own.check_ignores_prior(runner, target, times)
    keys = jax.random.split(key, 7)
    method = runner.method if isinstance(runner, Chains) else None
    model = own.model_of(method, target, times)
    both = own.draw_model(keys[0], model, target, times, num + num_pairs)
    bank, truth = both[:num], both[num:]
    case = runner, target, times, truth, bank, num_draws
    pairs = own.simulate_pairs(keys[1], *case, data=data, particles=particles)
    weights, made = None, None
    if own.has_density(method, target, times):
        weights = path_weights(keys[2], method, model, target, times, num)
        x = weights.x
    else:
        made = sample(keys[2], sampler, target, times, num)
        x = own.at_the_last_time(keys[2], runner, target, made.x, times[-1])
    equal = made is None or equal_weights(made.log_weights)
    of_y = _log_likelihood(target, own.clean(target, bank, times[-1]))
    judge = _Judge(
        level, tolerance, _directions(keys[3], x.shape[1]), target, times[-1]
    )
    checks = (
        judge.finite(x, pairs.draws),
        *judge.simulated(keys[4], pairs),
        judge.against_model(x, bank, of_y, equal),
        judge.against_own(weights),
        judge.evidence(weights, of_y),
        judge.agreement(keys[5], x, equal, other, times),
        _of_paths(weights),
    )
    return WithoutTruth(checks, weights, pairs, x, bank, level)


class _Judge(NamedTuple):
    """What all checks have in common."""

    level: float
    tolerance: float
    directions: Float[Array, "d k"]
    target: Target
    t: Float[Array, ""]

    def test(self, name, p, words):
        status = "failed" if p < self.level else "passed"
        return Check(name, status, f"{words}; p = {p:.2g}", float(p))

    def finite(self, x, draws):
        both = np.concatenate(
            [np.asarray(x), np.asarray(draws).reshape(-1, x.shape[1])]
        )
        bad = int((~np.isfinite(both).all(axis=1)).sum())
        words = f"{bad} of {len(both)} samples are not finite"
        return Check("finite", "failed" if bad else "passed", words)

    def simulated(self, key, pairs):
        """Ranks, balls, misfit."""
        keys = jax.random.split(key, 3)
        ranks, balls, misfits = _levels(keys, pairs, self)
        p = np.asarray(_p_values(ranks)) * ranks.levels.shape[0]
        worst = int(np.argmin(p))
        of = f"{'coordinate' if _whole(self.directions) else 'direction'} {worst}"
        truth, drawn = _misfits(pairs, self)
        data = (
            f"misfit per measurement {Estimate.mean_of(jnp.mean(drawn, axis=1))}, of the "
            f"truths {Estimate.mean_of(truth)}; mean rank of the truth "
            f"{misfits.mean} for 0.5"
        )
        edges = float(np.mean(np.abs(np.asarray(ranks.levels[worst]) - 0.5)))
        shape = "too narrow" if edges > 0.25 else "too wide"
        if float(jnp.abs(ranks.mean.distance(0.5)[worst])) > 3.0:
            shape = "off to one side"
        told = f" (draws {shape})" if min(1.0, p[worst]) < self.level else ""
        return (
            self.test(
                "ranks",
                min(1.0, float(p[worst])),
                f"of {len(p)} directions {of} is least uniform{told}, mean rank "
                f"{ranks.mean[worst]} for 0.5",
            ),
            self.test(
                "balls",
                float(_p_values(balls)),
                f"mean level of balls about a point near y {balls.mean} for 0.5",
            ),
            self.test("misfit", float(_p_values(misfits)), data),
        )

    def features(self, x, centre):
        return _features(x, centre, self)

    def against_model(self, x, bank, log_weights, equal):
        """Means under draws of the model, weighted by the likelihood."""
        name = "weighted model"
        effective, *_ = summary(log_weights)
        few = f"{float(effective):.3g} of {len(bank)} draws of the model fit y"
        if not float(effective) >= FEW:
            return Check(name, "unknown", f"{few}, of {FEW} that it takes")
        if not equal:
            return Check(name, "unknown", "the samples have weights that differ")
        weights = jax.nn.softmax(log_weights)
        centre = jnp.mean(x, axis=0)
        shift = largest_shift(
            self.features(x, centre),
            self.features(bank, centre),
            weights,
            self.tolerance,
        )
        return self.test(name, shift.p_value, self.told(shift) + f"; {few}")

    def against_own(self, weights):
        """Means of samples with and without the weights of their paths."""
        name = "own weights"
        if weights is None:
            return Check(name, "unknown", "the steps have no density")
        if not float(weights.effective) >= FEW:
            return Check(name, "unknown", f"too few effective paths: {_few(weights)}")
        features = self.features(weights.x, jnp.mean(weights.x, axis=0))
        shift = largest_shift(features, features, weights.normalised, self.tolerance)
        return self.test(name, shift.p_value, self.told(shift))

    def told(self, shift):
        kinds = ("the mean", "the spread")
        count = self.directions.shape[1]
        what = "the misfit"
        if shift.index < 2 * count:
            kind, place = divmod(shift.index, count)
            noun = "coordinate" if _whole(self.directions) else "direction"
            what = f"{kinds[kind]} of {noun} {place}"
        gap = f"{float(shift.difference.value):.2g} ± {float(shift.difference.stderr):.1g}"
        return f"{what} differs most, by {gap} standard deviations"

    def evidence(self, weights, of_y):
        """log p(y) twice."""
        name = "evidence"
        effective, plain, *_ = summary(of_y)
        if weights is None:
            return Check(name, "unknown", f"by draws of the model alone {plain}")
        found = weights.log_evidence
        both = f"log p(y) by paths {found}, by draws of the model {plain}"
        if not min(float(effective), float(weights.effective)) >= FEW:
            return Check(name, "unknown", both)
        from scipy.stats import norm  # slow to import

        return self.test(
            name, float(2 * norm.sf(abs(float((found - plain).distance(0))))), both
        )

    def agreement(self, key, x, equal, other, times):
        """Of two samplers, for the given y."""
        name = "agreement"
        if other is None:
            return Check(name, "noted", "no other sampler was given")
        second = sample(key, other, self.target, times, x.shape[0])
        if not (equal and equal_weights(second.log_weights)):
            return Check(name, "unknown", "the samples have weights that differ")
        z = own.at_the_last_time(key, sampler_of(other), self.target, second.x, self.t)
        found: Agreement = same_law(jax.random.fold_in(key, 2), x, z)
        words = f"energy distance {found.share:.2g} of its largest value"
        return self.test(name, found.p_value, words)


def _of_paths(weights):
    if weights is None:
        return Check("paths", "noted", "the steps have no density: no bound")
    low, high, share = weights.where()
    place = (
        f"{100 * share:.0f} % of the variance of the log-weights arises at noise levels "
        f"sigma/alpha from {low:.2g} to {high:.2g}"
    )
    if not float(weights.effective) >= FEW:
        words = f"no bound on the divergence: {_few(weights)}; {place}"
        return Check("paths", "unknown", words)
    words = (
        f"KL(output | posterior of the model) is at most {weights.divergence} nats, and "
        f"{weights.divergence_from} the other way; {place}"
    )
    return Check("paths", "noted", words)


def _few(weights):
    return f"{float(weights.effective):.3g} of {len(weights.log_weights)}, of {FEW}"


def _whole(directions):
    return directions.shape[0] == directions.shape[1]


def _directions(key, dim):
    """Unit vectors, (d, k): the coordinates, or eight at random."""
    if dim <= _DIRECTIONS:
        return jnp.eye(dim)
    random = jax.random.normal(key, (dim, _DIRECTIONS))
    return random / jnp.sqrt(jnp.sum(random**2, axis=0, keepdims=True))


def _p_values(found: Uniformity):
    """Of both tests together (Bonferroni)."""
    both = jnp.minimum(found.chi_square_p, found.distance_p)
    return jnp.minimum(2.0 * both, 1.0)


@eqx.filter_jit
def _log_likelihood(target, x0):
    problem = target.problem
    return jax.vmap(lambda x: problem.measurement.log_prob(problem.y, x))(x0)


@eqx.filter_jit
def _misfits(pairs, judge):
    """Of truths (n,) and draws (n, L)."""

    def at(y, x):
        return own.misfit(judge.target, y, x, judge.t)

    of_draws = jax.vmap(lambda y, xs: jax.vmap(lambda x: at(y, x))(xs))
    return jax.vmap(at)(pairs.y, pairs.truth), of_draws(pairs.y, pairs.draws)


def _levels(keys, pairs, judge):
    """Uniformity of ranks of directions, of balls, and of the misfit."""
    directions = judge.directions.astype(pairs.truth.dtype)
    truth = (pairs.truth @ directions).T
    draws = jnp.moveaxis(pairs.draws @ directions, 2, 0)
    by_direction = jax.random.split(keys[0], truth.shape[0])
    near = pairs.references
    from_near = jnp.linalg.norm(pairs.truth - near, axis=-1)
    of_draws = jnp.linalg.norm(pairs.draws - near[:, None], axis=-1)
    return (
        tested(by_direction, truth, draws, _BINS),
        tested(keys[1], from_near, of_draws, _BINS),
        tested(keys[2], *_misfits(pairs, judge), _BINS),
    )


@eqx.filter_jit
def _features(x, centre, judge):
    """Directions, their squares about a centre (d,), and the misfit: (n, 2 k + 1)."""
    directions = judge.directions.astype(x.dtype)
    along = x @ directions
    squares = (along - (centre @ directions)[None]) ** 2
    y = judge.target.problem.y
    misfits = jax.vmap(lambda x: own.misfit(judge.target, y, x, judge.t))(x)
    return jnp.concatenate([along, squares, misfits[:, None]], axis=1)
