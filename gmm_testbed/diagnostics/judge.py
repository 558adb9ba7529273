"""The tests of `without_truth`, one by one, each with its words."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._samples import equal_weights
from .._types import Key
from ..estimate import Estimate
from ..problem import Target
from ..sampling import sample, sampler_of
from . import from_the_model as own
from .agreement import Agreement, largest_shift, same_law
from .calibration import tested
from .path_weights import FEW, PathWeights, summary
from .uniformity import Uniformity

BINS = 10  # of every histogram of levels
_DIRECTIONS = 8


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


class Judge(NamedTuple):
    """What all checks have in common.

    Attributes:
        level: of every test.
        tolerance: of differences of means, in standard deviations.
        directions: (d, k), unit vectors that are looked along.
        target: its denoiser, measurement, y and path.
        t: () the last time.
    """

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
        effective, *_ = summary(log_weights, "draws of the model")
        few = f"{float(effective):.3g} effective draws of the model fit y"
        if not float(effective) >= FEW:
            return Check(name, "unknown", f"{few}, and it takes {FEW}")
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
        shift = largest_shift(
            features, features, weights.normalised, self.tolerance, paired=True
        )
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
        effective, plain, *_ = summary(of_y, "draws of the model")
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


def bound_of(weights: PathWeights | None, of_y: Float[Array, " n"]) -> Estimate:
    """KL(paths | posterior of the model), with log p(y) by draws of the model.

    The paths' own log p(y) is too low where the sampler is narrow or misses a mode. NaN
    without weights, or where too few draws fit y.
    """
    effective, evidence, *_ = summary(of_y, "draws of the model")
    if weights is None or not float(effective) >= FEW:
        return Estimate(jnp.nan, jnp.nan, "no bound")
    return evidence - Estimate.mean_of(weights.log_weights)


def of_paths(weights: PathWeights | None, bound: Estimate) -> Check:
    """The bound on the divergence, and at which noise levels the residual arises."""
    if weights is None:
        return Check("paths", "noted", "the steps have no density: no bound")
    low, high, share = weights.where()
    place = (
        f"{100 * share:.0f} % of the variance of the log-weights arises at noise levels "
        f"sigma/alpha from {low:.2g} to {high:.2g}"
    )
    alone = (
        f"by the paths alone {weights.divergence}, too low if the sampler is narrow or "
        "misses a mode"
    )
    if np.isfinite(float(bound.value)):
        first = f"KL(output | posterior of the model) is at most {bound}; {alone}"
        return Check("paths", "noted", f"{first}; {place}")
    if not float(weights.effective) >= FEW:
        words = f"no bound on the divergence: {_few(weights)}; {place}"
        return Check("paths", "unknown", words)
    words = f"too few draws of the model fit y for a bound; {alone}; {place}"
    return Check("paths", "unknown", words)


def _few(weights):
    return f"{float(weights.effective):.3g} of {len(weights.log_weights)}, of {FEW}"


def _whole(directions):
    return directions.shape[0] == directions.shape[1]


def directions_of(key: Key, dim: int) -> Float[Array, "d k"]:
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
def log_likelihood(target: Target, x0: Float[Array, "n d"]) -> Float[Array, " n"]:
    """log p(y | x0) of data (n, d)."""
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
    from_near = _length(pairs.truth - near)
    of_draws = _length(pairs.draws - near[:, None])
    return (
        tested(by_direction, truth, draws, BINS),
        tested(keys[1], from_near, of_draws, BINS),
        tested(keys[2], *_misfits(pairs, judge), BINS),
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


def _length(vectors):
    return jnp.sqrt(jnp.sum(vectors**2, axis=-1))
