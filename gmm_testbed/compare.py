"""Which method is better, where that can be told at all.

Two methods are ranked only if their distance from the truth differs by more than its
error, and if not both of them are inside the floor, where perfect samples are too.
Particles of one run of a filter depend on each other, and no error can be told from them:
what is known of such methods is how their runs differ.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtri, stdtrit

from . import divergences
from ._checks import floating, require
from ._types import Key
from .comparison import Comparison as Comparison
from .comparison import Method, Pair, Ranking
from .divergences.samples.checks import check_truth
from .divergences.samples.floors import estimate_of
from .estimate import Estimate
from .mixture import GaussianMixture
from .sampling import SampleSet


def compare(
    samples: Mapping[str, Any],
    mixtures: GaussianMixture | Sequence[GaussianMixture],
    *,
    metric: Callable[..., Estimate] | None = None,
    key: Key | None = None,
    repeats: int = 20,
    level: float = 0.95,
) -> Comparison:
    r"""Ranks methods by a distance of their samples from the truth, where it can.

    One problem: `compare({"DPS": x, "PiGDM": z}, mixture)`. Several problems, or
    repetitions with other keys: a list of samples for every method, in the same order,
    and a list of mixtures (or the one mixture of all).

    The value of a method is the mean of the metric over cases. The difference of two is
    taken case by case; its standard error is the larger of that of the estimates, as
    if independent, and that of the spread over cases. The floor is the metric of exact
    samples, as many and of the same weights; inside it is what exceeds its mean by less
    than its own fluctuation. All thresholds are normal quantiles at Bonferroni's level
    for all pairs together.

    Particles that met (a `SampleSet` whose `info.ess` is not None) are not independent:
    the error of such a method is that of the spread over cases alone, the threshold
    Student's, and a single case is not ranked.

    Args:
        samples: for every method samples (n, d), a `SampleSet` (its weights count), or
            a list of those, one a case. All methods have the same n in a case.
        mixtures: the truth of every case.
        metric: called as metric(samples, mixture, log_weights=...), to an `Estimate` of
            one number (or a `MaxSliced`), smaller is better; the sliced W2 with common
            directions by default. Take `functools.partial` to set its arguments.
        key: for directions and exact samples.
        repeats: sets of exact samples a case.
        level: of all verdicts together.

    Returns:
        A `Comparison`; print it for a table and a verdict on every pair.

    Raises:
        InputError: if there are fewer than two methods, methods have different numbers
            of cases or of samples, the level is not between 0 and 1, or the metric gives
            no number.
    """
    key = jax.random.key(0) if key is None else key
    key_metric, key_floor = jax.random.split(key)
    if metric is None:
        metric = partial(divergences.sliced_wasserstein, key_metric)
    cases = {name: _cases(given) for name, given in samples.items()}
    counts = {name: [case.x.shape for case in given] for name, given in cases.items()}
    single = isinstance(mixtures, GaussianMixture)
    for truth in [mixtures] if single else mixtures:
        check_truth("gt.compare(samples, mixtures)", truth)
    truths = [mixtures] * len(next(iter(cases.values()), [])) if single else [*mixtures]
    shapes = next(iter(counts.values()), [])
    require(
        len(cases) >= 2
        and len(shapes) == len(truths) > 0
        and all(count == shapes for count in counts.values()),
        "the methods cannot be paired",
        got=f"samples {counts} for {len(truths)} mixtures",
        expected="two methods or more, with the same numbers of samples in every case",
        hint="a distance depends on n: take as many samples of each method",
    )
    require(
        0 < level < 1 and repeats >= 3,
        "no such level or number of repetitions",
        got=f"level={level}, repeats={repeats}",
        expected="a level between 0 and 1, and 3 repetitions or more",
        hint="0.95 and 20 are usual",
    )
    pairs = len(cases) * (len(cases) - 1) // 2
    tail = 0.5 * (1.0 - level) / pairs
    keys = jax.random.split(key_floor, len(truths))
    values, floors, known = {}, {}, {}
    for name, given in cases.items():
        values[name] = np.array(
            [
                _value(metric, case, truth)
                for case, truth in zip(given, truths, strict=True)
            ]
        )
        floors[name] = [
            _floor(known, metric, keys[i], truths[i], case, repeats)
            for i, case in enumerate(given)
        ]
    methods = [_method(name, values[name], floors[name], tail) for name in cases]
    methods.sort(key=_place)
    judged = [
        _pair(first, second, values, tail)
        for first, second in itertools.combinations(methods, 2)
    ]
    return Comparison(tuple(methods), tuple(judged), len(truths), float(-ndtri(tail)))


def _place(method):
    """By value, and what is not a number last."""
    value = float(method.value.value)
    return np.isnan(value), value


class _Case(NamedTuple):
    """Samples, log-weights (or None), and whether the particles met."""

    x: jax.Array
    log_weights: jax.Array | None = None
    met: bool = False


def _cases(given):
    """Samples of every case."""
    many = isinstance(given, Sequence) and not isinstance(given, SampleSet)
    return [_case(x) for x in (given if many else [given])]


def _case(given):
    if not isinstance(given, SampleSet):
        return _Case(floating(given))
    require(
        not given.info.point,
        "point estimates are no draws of a law",
        got="a SampleSet of a method whose output is a point",
        expected="samples, or the array of the points",
        hint="judge a point by its error; pass samples.x to compare its law all the same",
    )
    return _Case(given.x, given.log_weights, given.info.ess is not None)


def _value(metric, case, truth):
    """The metric, its error and degrees of freedom; NaN if a weight is no number.

    The error is infinite where there is none: of particles that met, or of too few.
    """
    weights = case.log_weights
    if weights is not None and not jnp.isfinite(jnp.max(weights)):
        return np.nan, np.nan, np.inf
    found = _number_of(metric(case.x, truth, **_weights(weights)))
    value, error = float(found.value), float(found.stderr)
    unknown = case.met or (np.isfinite(value) and np.isnan(error))
    return (value, np.inf, np.inf) if unknown else (value, error, float(found.freedom))


def _number_of(found):
    estimate = estimate_of(found)
    require(
        estimate.value.shape == (),
        "the metric does not give one number",
        got=f"an Estimate of shape {estimate.value.shape}",
        expected="shape ()",
        hint="wrap it in a lambda that picks what to compare",
    )
    return estimate


def _weights(log_weights):
    """Uniform weights are left out, so that all methods run one program."""
    if log_weights is None:
        return {}
    spread = jnp.max(log_weights) - jnp.min(log_weights)  # NaN if any weight is
    return {"log_weights": log_weights} if spread > 0 else {}


def _floor(known, metric, key, truth, case, repeats):
    """One floor for all methods without weights."""
    weighted, count = _weights(case.log_weights), case.x.shape[0]
    if weighted:
        return divergences.floor(metric, key, truth, count, repeats, **weighted)
    place = (id(truth), count)
    if place not in known:
        known[place] = divergences.floor(metric, key, truth, count, repeats)
    return known[place]


def _method(name, values, floors, tail):
    cases = len(values)
    error, _ = _error(*values.T)
    level = np.mean([float(floor.mean.value) for floor in floors])
    spreads = np.array([float(floor.spread) for floor in floors])
    repeats = min(floor.values.shape[0] for floor in floors)
    unsure = spreads.mean() / np.sqrt(repeats)  # floors may be shared
    spread = np.sqrt((spreads**2).sum()) / cases
    ceiling = level + stdtrit(repeats - 1, 1.0 - tail) * np.hypot(spread, unsure)
    floor = Estimate(level, unsure, floors[0].mean.how)
    value = values[:, 0].mean()
    found = Estimate(value, error, f"mean of {cases} cases")
    return Method(name, found, floor, float(ceiling), bool(value <= ceiling))


def _error(values, errors, freedoms):
    """Of the mean over cases, with its freedom; by the spread where errors are unknown."""
    cases = len(values)
    if np.isinf(errors).any():
        spread = values.std(ddof=1) / np.sqrt(cases) if cases > 1 else np.nan
        return spread, cases - 1.0
    total = (errors**2).sum()
    shares = errors**2 / total if total > 0 else np.zeros(cases)
    inverse = (shares**2 / freedoms).sum()
    return np.sqrt(total) / cases, 1.0 / inverse if inverse > 0 else np.inf


def _pair(first, second, values, tail):
    """The verdict on two methods; `tail` is the probability beyond its threshold."""
    both = values[first.name], values[second.name]
    gaps = both[0][:, 0] - both[1][:, 0]
    errors, freedoms = np.concatenate([each[:, 1:] for each in both]).T
    cases, unknown = len(gaps), np.isinf(errors).any()
    spread, freedom = _error(gaps, np.full(cases, np.inf), None)
    error = spread
    if not unknown:
        single, freedom = _error(np.zeros(2 * cases), errors, freedoms)
        error = np.fmax(2.0 * single, spread)  # of a sum over cases, not of their mean
    difference = Estimate(gaps.mean(), error, f"{cases} pairs", freedom=freedom)
    quantile = stdtrit(freedom, 1.0 - tail) if np.isfinite(freedom) else -ndtri(tail)
    if not np.isfinite(gaps.mean()):
        ranking = Ranking.NONFINITE
    elif first.inside and second.inside:
        ranking = Ranking.FLOOR
    elif unknown and cases == 1:
        ranking = Ranking.ONE_RUN
    elif not np.isfinite(error):
        ranking = Ranking.NONFINITE
    elif abs(gaps.mean()) <= quantile * error:
        ranking = Ranking.ERROR
    else:
        ranking = Ranking.BETTER if gaps.mean() < 0 else Ranking.WORSE
    wins = int((gaps < 0).sum())
    return Pair(first.name, second.name, difference, wins, ranking)
