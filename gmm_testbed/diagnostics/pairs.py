r"""Fresh pairs (x0, y), and what a sampler draws for each y.

With x0 from the prior and y its measurement, x0 given y *is* a draw of the posterior. A
sampler ends at times[-1] = t, so the truth is noised to that time,
\(x_t = \alpha_t x_0 + \sigma_t \varepsilon\), a draw of \(p_t(\cdot | y)\): truth and exact
draws are exchangeable at every t, and nothing is owed to stopping early.

A chain gives a draw. Of a population, such as a particle filter, a draw is one of its
particles by weight, of a run of its own: particles of one run are not independent.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from .._checks import floating, require, unsupported
from .._types import Key, Scalar, Times, Vector
from ..components import log_total
from ..draws import Draws, from_mixture
from ..measurements import Linear
from ..mixture import GaussianMixture
from ..noise import key_words
from ..paths import AbstractPath
from ..problem import InverseProblem, Target
from ..samplers import AbstractChain, AbstractSampler, Run
from ..sampling import check_run, padded, standard_initial


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


class PosteriorDraws(AbstractChain):
    r"""Exact draws of \(p_t(\cdot|y)\), or of a known distortion: a control of every test.

    A chain that forgets: every step draws afresh, so that a grid of one step will do. The
    failures of `deliberate` are plugged in as the source:

        def dropped(target, t):
            return deliberate.one_mode_dropped(target.posterior(t))

        PosteriorDraws(source=dropped)

    Attributes:
        scale: () times the standard deviations of each component; 1 is exact.
        shift: () added to every coordinate, in its posterior standard deviations.
        power: () of the weights of the components, normalised; 0 makes them equal.
        source: of (target, t), traced: the mixture that the above distort, by default the
            exact one. Every function is a program of its own, and builds its mixture
            once an observation and step.
    """

    scale: Scalar = eqx.field(converter=floating, default=1.0)
    shift: Scalar = eqx.field(converter=floating, default=0.0)
    power: Scalar = eqx.field(converter=floating, default=1.0)
    source: Callable[[Target, Scalar], GaussianMixture] = eqx.field(
        static=True, default=Target.posterior
    )

    def check(self, target: Target, times: Times) -> None:
        target.posterior(times[-1])  # raises where there is none

    def law(self, target: Target, t: Scalar) -> GaussianMixture:
        """The mixture that is drawn from."""
        law = self.source(target, t)
        log_weights = self.power * law.log_weights
        spread = jnp.sqrt(jnp.diagonal(law.covariance()))
        return GaussianMixture(
            log_weights - log_total(log_weights),
            law.means + (self.shift * spread)[None],
            self.scale**2 * law.base,
            law.basis,
            self.scale**2 * law.spectrum,
            atomic=law.atomic,
        )

    def move(
        self, draws: Draws, target: Target, x: Vector, t: Scalar, s: Scalar
    ) -> Vector:
        level, noise = draws.uniform(x.dtype, 1), draws.normal(x.shape[0], x.dtype)
        return from_mixture(self.law(target, s), level, noise)


def simulate(
    key: Key,
    prior: GaussianMixture,
    measurement: Linear,
    path: AbstractPath,
    sampler: AbstractSampler,
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
        sampler: any that `gt.sample` runs, or `PosteriorDraws()` for exact draws. It
            starts from \(N(0, \sigma^2 I)\).
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
    if not isinstance(measurement, Linear):
        unsupported(
            "calibration needs a linear measurement",
            got=type(measurement).__name__,
            expected="Linear(A, R)",
            hint="the references are moved onto the observation by A's pseudo-inverse",
        )
    zero = jnp.zeros(measurement.dim_y, measurement.A.dtype)
    template = Target(InverseProblem(prior, measurement, zero), path)
    times = check_run(sampler, template, times)
    require(
        not (prior.atomic and float(path.sigma(times[-1])) == 0.0),
        "atoms have no density at the last time",
        got=f"an empirical prior at t = {float(times[-1]):g}, where sigma is 0",
        expected="sigma > 0 at times[-1]",
        hint="stop a little earlier: time_grid(path, N, t_min=1e-3)",
    )
    size = 0 if isinstance(sampler, AbstractChain) else particles
    chunks = min(-(-num_pairs * num_draws * max(size, 1) // batch_size), num_pairs)
    chunk = -(-num_pairs // chunks)  # whole chunks: a rest would be a second program
    steps = jnp.asarray(times.shape[0] - 1)
    problem = prior, measurement, path
    found = _simulate(
        key, problem, sampler, padded(times), steps, chunks, chunk, num_draws, size
    )
    found = jax.tree.map(lambda leaf: leaf[:num_pairs], found)
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
    size: int,
):
    prior, measurement, path = problem
    dim, dtype = prior.dim, prior.means.dtype
    t = times[steps]
    alpha, sigma = path.alpha(t), path.sigma(t)

    def pair(index):
        key_truth, key_y, key_draws = jax.random.split(
            jax.random.fold_in(key, index), 3
        )
        numbers = Draws(key_words(key_truth), jnp.asarray(0)).normal(3 * dim + 2, dtype)
        levels, normal = ndtr(numbers[:2]), numbers[2:].reshape(3, dim)
        x0, other = (from_mixture(prior, levels[i], normal[i]) for i in range(2))
        y = measurement.sample(key_y, x0)
        truth = alpha * x0 + sigma * normal[2]
        target = Target(InverseProblem(prior, measurement, y), path)

        def draw(number):
            case = jax.random.fold_in(key_draws, number), sampler, target, times, steps
            return _of_population(*case, size) if size else _of_chain(*case)

        drawn = jax.vmap(draw)(jnp.arange(num_draws))
        log_density = target.posterior(t).log_prob
        onto = measurement.pseudo_inverse @ (y - measurement.apply(other))
        return (
            truth,
            y,
            drawn,
            log_density(truth),
            jax.vmap(log_density)(drawn),
            alpha * (other + onto),
        )

    return jax.lax.map(pair, jnp.arange(chunks * chunk), batch_size=chunk)


def _of_chain(key, chain, target, times, steps):
    """The last state of one chain."""
    words, prior = key_words(key), target.problem.prior
    noise = Draws(words, steps).normal(prior.dim, prior.means.dtype)

    def move(j, x):
        return chain.move(Draws(words, j), target, x, times[j], times[j + 1])

    return jax.lax.fori_loop(0, steps, move, target.path.sigma(times[0]) * noise)


def _of_population(key, sampler, target, times, steps, size: int):
    """One particle of one run of `size`, by weight; NaN if no weight is a number."""
    key_run, key_choice = jax.random.split(key)
    initial = standard_initial(target, times[0])
    shape, dtype = (size, initial.dim), initial.means.dtype
    noise = Draws(key_words(key), steps).normal(size * initial.dim, dtype)
    starts = target.path.sigma(times[0]) * noise.reshape(shape)
    cloud = sampler.run(Run(key_run, target, times, steps, starts, initial, size, 0))
    chosen = jax.random.categorical(key_choice, cloud.log_weights)
    known = jnp.isfinite(jnp.max(cloud.log_weights))
    return jnp.where(known, cloud.x[chosen], jnp.nan)
