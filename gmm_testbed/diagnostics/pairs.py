r"""Fresh pairs (x0, y), and what a sampler draws for each y.

With x0 from the prior and y its measurement, x0 given y *is* a draw of the posterior. A
sampler ends at times[-1] = t, so the truth is noised to that time,
\(x_t = \alpha_t x_0 + \sigma_t \varepsilon\), a draw of \(p_t(\cdot | y)\): truth and exact
draws are exchangeable at every t, and nothing is owed to stopping early. What returns draws
of x0 itself (an external program of level "data") has them noised to that time too.

A chain gives a draw. Of a population, such as a particle filter, a draw is one of its
particles by weight, of a run of its own: particles of one run are not independent. A
program outside of JAX runs on the host, once for each observation.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from .._arguments import KEY, check_kinds
from .._checks import check_count, promoted, require, unsupported
from .._samples import equal_weights
from .._types import Key, Times
from ..method import AbstractDescribed
from ..mixture import GaussianMixture
from ..paths import AbstractPath
from ..problem import AbstractMeasurement, InverseProblem, Linear, Target
from ..random import Draws, from_mixture, key_words
from ..sampling import (
    AbstractTraceable,
    Chains,
    Options,
    checked_times,
    padded,
    sampler_of,
)


class Pairs(NamedTuple):
    """Truths and draws of n observations.

    Attributes:
        truth: (n, d), x_t.
        y: (n, m).
        draws: (n, L, d), of the sampler for y.
        log_density_truth: (n,), log p_t(x_t | y).
        log_density: (n, L), the same of the draws.
        references: (n, d): independent draws of the prior, moved onto the observation
            by the pseudo-inverse of A. They depend on y and, given y, not on x_t.
        nonfinite: number of draws with NaN or infinity; they are kept.
    """

    truth: Float[Array, "n d"]
    y: Float[Array, "n m"]
    draws: Float[Array, "n L d"]
    log_density_truth: Float[Array, " n"]
    log_density: Float[Array, "n L"]
    references: Float[Array, "n d"]
    nonfinite: int


def simulate(
    key: Key,
    prior: GaussianMixture,
    measurement: Linear,
    path: AbstractPath,
    sampler: AbstractDescribed,
    times: Times,
    num_pairs: int,
    num_draws: int,
    *,
    particles: int = 64,
    batch_size: int = 16384,
) -> Pairs:
    r"""Draws pairs (x0, y), and for each y samples of the sampler.

    Args:
        key: random key; pair i depends on the key and i alone.
        prior: the mixture of x0.
        measurement: linear; y is drawn afresh for every x0.
        path: of the diffusion.
        sampler: any that `gt.sample` runs, or `PosteriorDraws()` for exact draws.
        times: (N + 1,), decreasing; the laws are compared at the last one.
        num_pairs: n.
        num_draws: L, for each pair.
        particles: P, of every run of a population (`gt.smc`): what is calibrated is the
            law of one of P particles, biased by some 1/P. Chains do not use it.
        batch_size: particles held at once; changes memory and speed, not the draws.

    Raises:
        InputError: if the grid does not decrease within [0, 1], or the law at its end is
            a set of atoms, which has no density.
        UnsupportedError: if the measurement is not linear, or the sampler cannot serve
            the problem or the grid.
    """
    check_kinds(
        "simulate(key, prior, measurement, path, sampler, times, num_pairs, num_draws)",
        key=(key, *KEY),
        prior=(prior, GaussianMixture, "a gt.GaussianMixture"),
        measurement=(measurement, AbstractMeasurement, "a gt.Linear"),
        path=(path, AbstractPath, "a path, as gt.VP()"),
        sampler=(sampler, AbstractDescribed, "a method, as gt.Guided(...)"),
    )
    prior, measurement, path = promoted((prior, measurement, path))
    num_pairs = check_count(num_pairs, "num_pairs")
    num_draws = check_count(num_draws, "num_draws")
    particles = check_count(particles, "particles")
    batch_size = check_count(batch_size, "batch_size")
    if not isinstance(measurement, Linear):
        unsupported(
            "calibration needs a linear measurement",
            got=type(measurement).__name__,
            expected="Linear(A, R)",
            hint="the references are moved onto the observation by A's pseudo-inverse",
        )
    zero = jnp.zeros(measurement.dim_y, measurement.A.dtype)
    template = Target(InverseProblem(prior, measurement, zero), path)
    sampler, times = sampler_of(sampler), checked_times(times)
    sampler.check(template, times)
    if sampler.facts.output == "point":
        unsupported(
            "calibration asks whether draws have the law of the truth",
            got=f"{type(sampler).__name__}, which gives a point estimate",
            expected="a sampler of draws",
            hint="judge a point by its error, |x - E[x0 | y]|",
        )
    require(
        not (prior.atomic and float(path.sigma(times[-1])) == 0.0),
        "atoms have no density at the last time",
        got=f"an empirical prior at t = {float(times[-1]):g}, where sigma is 0",
        expected="sigma > 0 at times[-1]",
        hint="stop a little earlier: time_grid(path, N, t_min=1e-3)",
    )
    population = 1 if isinstance(sampler, Chains) else particles
    chunks = min(-(-num_pairs * num_draws * population // batch_size), num_pairs)
    chunk = -(-num_pairs // chunks)  # whole chunks: a rest would be a second program
    problem = prior, measurement, path
    if isinstance(sampler, AbstractTraceable):
        steps, sizes = jnp.asarray(times.shape[0] - 1), (num_draws, particles)
        grid = padded(times)
        found = _simulate(key, problem, sampler, grid, steps, chunks, chunk, *sizes)
        found = jax.tree.map(lambda leaf: leaf[:num_pairs], found)
    else:
        found = _on_the_host(key, problem, sampler, times, num_pairs, num_draws)
    finite = np.isfinite(np.asarray(found[2])).all(axis=-1)
    return Pairs(*found, int((~finite).sum()))


@eqx.filter_jit
def _simulate(
    key,
    problem,
    sampler,
    times,
    steps,
    chunks: int,
    chunk: int,
    num_draws: int,
    particles: int,
):
    def pair(index):
        seen = _observed(jax.random.fold_in(key, index), problem, times[steps])
        keys = jax.vmap(lambda number: jax.random.fold_in(seen.key, number))(
            jnp.arange(num_draws)
        )
        drawn = sampler.draws(keys, seen.target, times, steps, particles)
        return _judged(seen, drawn, times[steps])

    return jax.lax.map(pair, jnp.arange(chunks * chunk), batch_size=chunk)


def check_equal_weights(made, sampler) -> None:
    """Refuses a `SampleSet` whose draws have weights that differ."""
    if not equal_weights(made.log_weights):
        unsupported(
            "calibration asks for draws of equal weight",
            got=f"{type(sampler).__name__}, whose draws have weights that differ",
            expected="draws that are exchangeable with the truth",
            hint="let the sampler draw one particle of each run by its weight",
        )


def _on_the_host(key, problem, sampler, times, num_pairs, num_draws):
    """The same for a sampler that is not traced: one run of it for each observation."""
    observed, judged = eqx.filter_jit(_observed), eqx.filter_jit(_judged)
    noised, path = eqx.filter_jit(_noised), problem[2]
    found = []
    for index in range(num_pairs):
        seen = observed(jax.random.fold_in(key, index), problem, times[-1])
        made = sampler.run(seen.key, seen.target, times, num_draws, Options())
        check_equal_weights(made, sampler)
        x = jnp.asarray(made.x)
        if sampler.facts.level == "data":
            x = noised(seen.key, path, x, times[-1])
        found.append(judged(seen, x, times[-1]))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)


class _Observed(NamedTuple):
    truth: Float[Array, " d"]
    other: Float[Array, " d"]
    target: Target
    key: Key


def _observed(key, problem, t) -> _Observed:
    """A truth at time t, an independent draw of the prior, and the problem of its y."""
    prior, measurement, path = problem
    dim, dtype = prior.dim, prior.means.dtype
    key_truth, key_y, key_draws = jax.random.split(key, 3)
    numbers = Draws(key_words(key_truth), jnp.asarray(0)).normal(3 * dim + 2, dtype)
    levels, normal = ndtr(numbers[:2]), numbers[2:].reshape(3, dim)
    x0, other = (from_mixture(prior, levels[i], normal[i]) for i in range(2))
    y = measurement.sample(key_y, x0)
    truth = path.alpha(t) * x0 + path.sigma(t) * normal[2]
    target = Target(InverseProblem(prior, measurement, y), path)
    return _Observed(truth, other, target, key_draws)


def _noised(key, path, x, t):
    """Draws of x0 taken to time t, as the truth is."""
    noise = jax.random.normal(jax.random.fold_in(key, 1), x.shape, x.dtype)
    return path.alpha(t) * x + path.sigma(t) * noise


def _judged(seen: _Observed, drawn, t):
    """What `Pairs` holds of one observation."""
    measurement, y = seen.target.problem.measurement, seen.target.problem.y
    log_density = seen.target.posterior(t).log_prob
    onto = measurement.pseudo_inverse @ (y - measurement.apply(seen.other))
    return (
        seen.truth,
        y,
        drawn,
        log_density(seen.truth),
        jax.vmap(log_density)(drawn),
        seen.target.path.alpha(t) * (seen.other + onto),
    )
