"""One observation: what the sampler gives, beside the exact finite-sample posterior."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._types import Times
from ...diagnostics.uniformity import ranked
from ...external import External
from ...method import AbstractDescribed
from ...mixture import GaussianMixture
from ...paths import AbstractPath
from ...problem import InverseProblem, Linear, Target
from ...problem.measurements import AbstractMeasurement
from ...sampling import sample
from ..limits import limited
from .atoms import Atoms
from .two_samples import Reference, moments

SETS = 20  # of exact draws, as many in each as the sampler gives: the floor
_FINE = 4  # times as many exact draws, to which all are compared
_KEPT = 0.999  # of the posterior, of the training points that y does not rule out
OTHERS = {
    "with half of the noise level": 4.0,
    "with the noise level over sqrt(2), or the likelihood counted twice": 2.0,
    "with sqrt(2) times the noise level, or R counted twice": 0.5,
    "with twice the noise level": 0.25,
    "without y: the training points themselves": 0.0,
}
"""Laws that a wrong sampler may have, by the power of the likelihood."""


class Case(NamedTuple):
    """What all observations have in common.

    Attributes:
        prior: of the training points.
        total: number of training points, N.
        atoms: the same on the host.
        measurement: forward model and noise.
        path: of the diffusion.
        times: (N + 1,) of a run.
        sampler: on trial.
        num: of its draws.
        seconds: that a program of the host may take for them.
    """

    prior: GaussianMixture
    total: int
    atoms: Atoms
    measurement: AbstractMeasurement
    path: AbstractPath
    times: Times
    sampler: AbstractDescribed
    num: int
    seconds: float | int

    def target(self, y) -> Target:
        """The problem of an observation (m,)."""
        problem = InverseProblem(self.prior, self.measurement, jnp.asarray(y))
        return Target(problem, self.path)


class Other(NamedTuple):
    """How far the samples are from another law.

    Attributes:
        distance: in units of the mean distance of two exact draws.
        own: in units of the mean distance of two draws of the other law.
        floor: of as many draws of the other law itself, in the same unit.
    """

    distance: float
    own: float
    floor: float


class Trial(NamedTuple):
    """What one observation says. Both laws are taken at the last time of the grid.

    Attributes:
        truth: (d,), the held-out point.
        y: (m,), its observation.
        atoms: N / rho_y, the number of training points that explain y, in effect.
        samples: (n, d), of the sampler.
        exact: (n, d), exact draws.
        mean: (d,), of the exact posterior.
        nonfinite: number of samples with NaN or infinity; if any, the rest is NaN.
        distance: energy distance over the mean distance of two exact draws.
        floors: (20,), the same of exact draws, as many.
        others: the same of other laws, by their name in `OTHERS`.
        offset: squared distance of the means over the exact variance, unbiased.
        spread: variance over the exact one.
        misfit: mean square of y - f(x) in units of the noise; and of exact draws.
        ruled_out: share of samples at training points that y rules out; of exact draws.
        away: distance to the nearest training point, mean; of exact draws.
        levels: (2,), of the truth among the samples, by its distance from the exact mean
            and by its misfit; uniform if calibrated.
        levels_exact: (2,), among exact draws.
    """

    truth: Float[np.ndarray, " d"]
    y: Float[np.ndarray, " m"]
    atoms: float
    samples: Float[np.ndarray, "n d"]
    exact: Float[np.ndarray, "n d"]
    mean: Float[np.ndarray, " d"]
    nonfinite: int
    distance: float
    floors: Float[np.ndarray, " sets"]
    others: Mapping[str, Other]
    offset: float
    spread: float
    misfit: tuple[float, float]
    ruled_out: tuple[float, float]
    away: tuple[float, float]
    levels: Float[np.ndarray, "2"]
    levels_exact: Float[np.ndarray, "2"]


def tried(case: Case, truth: np.ndarray, index: int, seed: int) -> Trial:
    """Measures a held-out point (d,), samples, and compares.

    Args:
        case: what is common to all.
        truth: (d,).
        index: of the observation.
        seed: of all draws, which depend on it and on the index alone.
    """
    key = jax.random.fold_in(jax.random.key(seed), index)
    key_y, key_run, key_draws, key_levels = jax.random.split(key, 4)
    y = case.measurement.sample(key_y, jnp.asarray(truth))
    target = case.target(y)
    x, weights, bad = _run(case, target, key_run)
    rng = np.random.default_rng([seed, index])
    draw = _drawer(case, target, rng, key_draws)
    exact = draw(1.0, (_FINE + SETS + 1) * case.num)
    law = _law(target, 1.0)
    shares = np.exp(np.asarray(law.log_weights))
    prior = np.asarray(case.prior.log_weights)
    effective = case.total / float(np.sum(shares**2 / np.exp(prior)))
    alpha, sigma = (
        float(s(case.times[-1])) for s in (case.path.alpha, case.path.sigma)
    )
    mean = alpha * np.asarray(law.mean())
    variance = alpha**2 * float(law.total_variance()) + sigma**2 * len(truth)
    own, fine, sets = np.split(exact, [case.num, (1 + _FINE) * case.num])
    reference = Reference(fine)
    known = np.asarray(truth), np.asarray(y), effective, x, own, mean, bad
    if bad:
        nothing, pair = np.full(2, np.nan), (np.nan, np.nan)
        few = np.nan, np.full(SETS, np.nan), {}, np.nan, np.nan, pair, pair, pair
        return Trial(*known, *few, nothing, nothing)
    floors = [reference.distance(z, weights) for z in np.split(sets, SETS)]
    others = {
        name: _other(reference, draw(power, (_FINE + 1) * case.num), x, weights)
        for name, power in OTHERS.items()
    }
    uniform = np.full(case.num, 1.0 / case.num)
    both = (x, weights), (own, uniform)
    found = moments(x, weights, mean, variance)
    misfits = [_misfits(case.measurement, y, each / alpha) for each, _ in both]
    nearest = [case.atoms.nearest(each, alpha) for each, _ in both]
    kept = _kept(shares)
    masses = [w for _, w in both]
    noised = alpha * truth + sigma * rng.standard_normal(len(truth))
    of_truth = _lengths(noised, mean), _misfits(case.measurement, y, noised / alpha)
    levels = [
        _levels(key_levels, of_truth, (_lengths(each, mean), misfit))
        for (each, _), misfit in zip(both, misfits, strict=True)
    ]
    return Trial(
        *known,
        reference.distance(x, weights),
        np.asarray(floors),
        others,
        *found,
        _pair(misfits, masses),
        _pair([~kept[index] for index, _ in nearest], masses),
        _pair([length for _, length in nearest], masses),
        *levels,
    )


def _other(reference: Reference, z: np.ndarray, x, weights) -> Other:
    """The samples x (n, d) beside draws z of another law."""
    other = Reference(z[len(x) :])
    own = other.distance(x, weights)
    floor = other.distance(z[: len(x)], weights)
    return Other(own * other.between / reference.between, own, floor)


def _run(case: Case, target: Target, key) -> tuple[np.ndarray, np.ndarray, int]:
    """Samples (n, d) at the last time, their weights (n,), how many are not finite."""
    name = getattr(getattr(case.sampler, "fn", None), "__name__", "the sampler")
    words = f"{name} for {case.num} samples in {len(case.times) - 1} steps"
    seconds = case.seconds if isinstance(case.sampler, External) else 0.0
    with limited(seconds, words):
        made = sample(key, case.sampler, target, case.times, case.num)
    x, log_weights = np.asarray(made.x), np.asarray(made.log_weights)
    if made.info.clean:
        noise = jax.random.normal(jax.random.fold_in(key, 1), x.shape, x.dtype)
        t = case.times[-1]
        x = np.asarray(case.path.alpha(t) * x + case.path.sigma(t) * noise)
    weights = np.exp(log_weights - log_weights.max())
    return x, weights / weights.sum(), int(made.info.nonfinite)


def _law(target: Target, power: float) -> GaussianMixture:
    """The posterior at time 0 if the likelihood counted so many times."""
    problem = target.problem
    if power == 1.0:
        return target.exact_posterior
    if power == 0.0:
        return problem.prior
    if problem.prior.atomic:
        factors = jnp.asarray(power, float) * target.likelihood.log_factors
        return problem.prior.reweighted(factors)[0]
    seen = problem.measurement
    changed = Linear(seen.A, seen.R / jnp.asarray(power, float), seen.b)
    return InverseProblem(problem.prior, changed, problem.y).posterior()


def _drawer(case: Case, target: Target, rng, key) -> Callable[[float, int], Any]:
    """Draws (num, d) at the last time, of the laws of `OTHERS` and of the exact one."""
    t = case.times[-1]
    alpha, sigma = float(case.path.alpha(t)), float(case.path.sigma(t))

    def draw(power: float, num: int) -> np.ndarray:
        part = jax.random.fold_in(key, round(1000 * power))
        x = np.asarray(_law(target, power).sample(part, num))
        return alpha * x + sigma * rng.standard_normal(x.shape)

    return draw


@eqx.filter_jit
def _squares(measurement, y, x):
    def one(x):
        return jnp.mean((measurement.whitener @ (y - measurement.apply(x))) ** 2)

    return jax.vmap(one)(x)


def _misfits(measurement, y, x: np.ndarray) -> np.ndarray:
    """Mean squares of y - f(x) in units of the noise, of x (n, d) or (d,)."""
    rows = jnp.asarray(np.atleast_2d(x))
    return np.asarray(_squares(measurement, y, rows)).reshape(x.shape[:-1])


def _kept(shares: np.ndarray) -> np.ndarray:
    """The fewest training points that hold 99.9 % of the posterior, (N,) booleans."""
    order = np.argsort(-shares, kind="stable")
    count = int(np.searchsorted(np.cumsum(shares[order]), _KEPT)) + 1
    kept = np.zeros(len(shares), bool)
    kept[order[:count]] = True
    return kept


def _lengths(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(((x - mean) ** 2).sum(axis=-1)))


def _levels(key, truths, draws) -> np.ndarray:
    """Levels of two numbers of the truth among those of the draws, (2,)."""
    uniform = jax.random.uniform(key, (2,), float)
    return np.asarray(
        [
            ranked(u, jnp.asarray(truth), jnp.asarray(drawn))
            for u, truth, drawn in zip(uniform, truths, draws, strict=True)
        ]
    )


def _pair(values, masses) -> tuple[float, float]:
    """Means of the sampler's and of the exact values."""
    first, second = (float(w @ v) for v, w in zip(values, masses, strict=True))
    return first, second
