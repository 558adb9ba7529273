r"""One problem of the TMPD setting: what is random in it, its chains, their distances.

Everything happens in the r = m + 2 dimensions of a frame, in which the means and the rows
of A are; beyond it all is an independent Gaussian. `tmpd_table` and `tmpd_precision` share
this.
"""

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

GRID = {"dim": (8, 80, 800), "measurements": (1, 2, 4)}
NOISES = 0.01, 0.1, 1.0
NUM, STEPS, DIRECTIONS = 1000, 1000, 100
DROPPED = 1e-12  # weight of modes that the metric leaves out
SIZES = 4, 10, 25  # modes that it keeps: a program each
EULER, FREE = gt.kernels.EulerMaruyama(), gt.approximations.Unguided()
METHODS = {
    "Exact": gt.Guided(gt.approximations.Exact(), EULER),
    "TMPD": gt.Guided(gt.approximations.TMPD(), EULER),
    "PiGDM": gt.Guided(gt.approximations.PiGDM(), EULER),
    "DPS": gt.Published(gt.approximations.ZetaDPS(0.1)),
    "ZetaDPS": gt.Guided(gt.approximations.ZetaDPS(0.3), EULER),
}
FLOOR, CEILING = "exact samples", "prior samples"


class Case(NamedTuple):
    """A problem with all that is random but the chains' noise."""

    target: gt.Target  # in the r coordinates of
    frame: np.ndarray  # (d, r)
    key: jax.Array  # of the chains
    references: dict  # exact and prior samples (r, n)
    directions: np.ndarray  # (L, d)
    rest: np.ndarray  # (n, d), of which the part beyond the frame is used


class MeanLast(gt.AbstractMarkov):
    """A method whose isotropic step to the last time is the mean of it."""

    method: gt.AbstractMarkov
    end: jax.Array

    @property
    def facts(self):
        """Those of the method."""
        return self.method.facts

    def start(self, target, t):
        return self.method.start(target, t)

    def transition(self, target, x, t, s):
        law = self.method.transition(target, x, t, s)
        return gt.isotropic(law.mean, jnp.where(s > self.end, law.root.base, 0.0))


def seed_of(key):
    return int(jax.random.bits(key))


def drawn(key, dim, measurements, noise):
    """The same for every noise level, up to the noise of the measurement."""
    seed = seed_of(key)
    frame = gt.problems.grid25_frame(dim, measurements, seed)
    target = gt.problems.grid25(dim, measurements, noise, seed, frame=frame)
    laws = {FLOOR: target.exact_posterior, CEILING: target.problem.prior}
    *keys, own = jax.random.split(key, 3)
    references = {
        name: np.asarray(law.sample(k, NUM)).T
        for k, (name, law) in zip(keys, laws.items(), strict=True)
    }
    rng = np.random.Generator(np.random.SFC64([seed, 1]))
    directions = rng.standard_normal((DIRECTIONS, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rest = rng.standard_normal((NUM, dim), dtype=np.float32)
    return Case(target, frame, own, references, directions, rest)


def chains(case, methods, num):
    """The outputs (r, n) of methods after `num` steps with one noise."""
    times = gt.time_grid(case.target.path, num, t_min=1e-3)
    ended = {name: MeanLast(method, times[-1]) for name, method in methods.items()}
    size = NUM // 2
    if "TMPD" in methods:  # has arrays of particles times measurements: keep them short
        size = NUM // max(2, case.target.problem.measurement.dim_y)

    def part(key):
        found = gt.sample_together(
            key, ended, case.target, times, NUM // 2, batch_size=size
        )
        return jax.device_get({name: samples.x for name, samples in found.items()})

    return joined(by_two(part, jax.random.split(case.key)))


def by_two(function, halves):
    """The function of both halves at once: a loop of XLA keeps one core busy."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, halves))


def joined(parts):
    """Halves (n, r) as (r, n) in double precision, by name."""
    return {n: np.concatenate([p[n] for p in parts]).T.astype(float) for n in parts[0]}


@functools.cache
def spread(name, num):
    """Standard deviation of every direction beyond the frame: N(0, 1), unguided."""
    kernel = gt.kernels.DDPM() if name == "DPS" else EULER
    prior = gt.GaussianMixture.isotropic([1.0], [[0.0]], 1.0)
    problem = gt.InverseProblem(prior, gt.Linear([[1.0]], 1.0), [0.0])
    target = gt.Target(problem, gt.problems.grid25(8, 1, 1.0, 0).path)
    method, times = gt.Guided(FREE, kernel), gt.time_grid(target.path, num, t_min=1e-3)
    law = gt.laws.affine(method, target, times[:-1])
    gain = method.transition(target, jnp.ones(1), *times[-2:]).mean  # of a linear step
    return float(jnp.abs(gain[0]) * jnp.sqrt(law.covariance()[0, 0]))


def distances(case, samples, beyond):
    """Sliced W1 by name of samples (r, n) and of the references, in all d dimensions.

    Args:
        case: the problem; its posterior has modes of one covariance.
        samples: (r, n) by name.
        beyond: standard deviation beyond the frame, by name.
    """
    posterior, theta = case.target.exact_posterior, case.directions
    inside = theta @ case.frame
    across = (theta - inside @ case.frame.T) @ case.rest.T  # (L, n)
    given = samples | case.references
    points = {n: inside @ x + beyond.get(n, 1.0) * across for n, x in given.items()}
    variances = np.sum((inside @ posterior.covariances()[0]) * inside, axis=1)
    variances += np.clip(1.0 - np.sum(inside**2, axis=1), 0.0, None)
    weights = np.exp(np.asarray(posterior.log_weights))
    size = next(size for size in SIZES if np.sum(weights > DROPPED) <= size)
    kept = np.argsort(-weights)[:size]
    weights, means = weights[kept] / weights[kept].sum(), posterior.means[kept]
    law = weights, inside @ means.T, np.sqrt(variances)[:, None]
    return gt.divergences.projected_wasserstein(points, *law, p=1)
