r"""The conditional filter, and what it says about the law of one particle.

A filter with proposals q, of which one path is drawn by the final weights, has
\(d\tilde\pi/d\tilde q = \hat Z / p(y)\) on the space of all its random numbers, where under
\(\tilde\pi\) one path is an exact draw of the posterior and the others are proposed around
it (Andrieu, Doucet & Holenstein 2010, multinomial resampling). Hence, for the paths and by
data processing for the last state,

\[ KL(\text{posterior} \| \text{filter}) \le E_{\text{conditional}} \log \hat Z - \log p(y),
   \qquad
   KL(\text{filter} \| \text{posterior}) \le \log p(y) - E \log \hat Z . \]

Both are computable here, since exact posterior paths are. For one step of importance
sampling the first is at most \(\log(1 + \chi^2/n)\).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arguments import KEY, check_kinds
from .._checks import check_count, floating, promoted, require, unsupported
from .._types import Key, Times
from ..estimate import Estimate
from ..kernels.base import bridge
from ..mixture import GaussianMixture
from ..problem import Target
from ..random import key_words, standard_normal
from ..sampling import (
    Options,
    SampleSet,
    checked_initial,
    checked_times,
    draw_starts,
    padded,
    sample_set,
    sampler_of,
)
from .base import AbstractFeynmanKac, Reference, Run, jitted_filter, particle_filter
from .particle_filter import ParticleFilter, start_of
from .resampling import multinomial

Path = Float[Array, "n d"]

_TOGETHER = 4096  # particles computed at once


class KLBounds(NamedTuple):
    """Upper bounds on the divergence of one resampled particle from p_t(. | y).

    Attributes:
        forward: on KL(posterior || filter).
        reverse: on KL(filter || posterior).
    """

    forward: Estimate
    reverse: Estimate


class Filters(NamedTuple):
    """Independent filters.

    Attributes:
        log_evidence: (repeats,) log Z-hat of each.
        drawn: (repeats, d), one particle of each by its last weights; independent.
    """

    log_evidence: Float[Array, " repeats"]
    drawn: Float[Array, "repeats d"]


def posterior_path(key: Key, target: Target, times: Times) -> Path:
    """One exact draw (N + 1, d) of the states at every time, given y.

    Raises:
        UnsupportedError: if the posterior is not a mixture.
    """
    times = floating(times)
    target.posterior(times[0])  # raises if there is none
    return _path_of(key, target, padded(times))[: times.shape[0]]


@eqx.filter_jit
def posterior_paths(
    key: Key, target: Target, times: Times, num: int
) -> Float[Array, "num n d"]:
    """Independent exact draws of the states at every time, given y."""

    def one(key):
        return _path_of(key, target, times)

    return jax.lax.map(one, jax.random.split(key, num), batch_size=1024)


def conditional(
    key: Key,
    model: AbstractFeynmanKac | ParticleFilter,
    target: Target,
    times: Times,
    reference: Path,
    num: int,
    *,
    initial: GaussianMixture | None = None,
    batch_size: int = 4096,
) -> SampleSet:
    """The filter whose first particle follows a given path; with states of all particles.

    Drawing one of its paths by the weights is a step of particle Gibbs.

    Args:
        key: random key.
        model: a filter with multinomial resampling, or the model of one.
        target: the problem along its path.
        times: (N + 1,), decreasing.
        reference: (N + 1, d), the path.
        num: number of particles, the first among them.
        initial: law of the others at times[0], as in `gt.sample`.
        batch_size: particles computed at once.

    Raises:
        UnsupportedError: if the resampling is not multinomial, or the model cannot serve
            the problem or the grid.
        InputError: if the path does not fit the grid.
    """
    sampler, target, times, start = _check(key, model, target, times, initial)
    initial, num = None if initial is None else start, check_count(num, "num")
    reference, steps = floating(reference), times.shape[0] - 1
    shape = times.shape[0], target.problem.prior.dim
    require(
        reference.shape == shape,
        "the reference path does not fit",
        got=f"shape {reference.shape}",
        expected=f"{shape}, a state at every time",
        hint="draw one with gt.smc.posterior_path(key, target, times)",
    )
    grid = padded(times)
    rest = grid.shape[0] - times.shape[0]
    reference = jnp.pad(reference, ((0, rest), (0, 0)), mode="edge")
    starts = draw_starts(key, start, num)
    size = max(min(batch_size, num), 1)
    run = Run(key, target, grid, jnp.asarray(steps), starts, initial, size, steps + 1)
    path = Reference(reference, jnp.asarray(True))
    x, log_weights, log_evidence, states, ess = jitted_filter(sampler.filter, run, path)
    return sample_set(x, log_weights, log_evidence, steps, states, ess)


def log_evidences(
    key: Key,
    model: AbstractFeynmanKac | ParticleFilter,
    target: Target,
    times: Times,
    num: int,
    repeats: int,
    *,
    follow_posterior: bool = False,
    initial: GaussianMixture | None = None,
) -> Float[Array, " repeats"]:
    """log Z-hat (repeats,) of independent filters; see `filters`."""
    case = model, target, times, num, repeats
    rest = {"follow_posterior": follow_posterior, "initial": initial}
    return filters(key, *case, **rest).log_evidence


def filters(
    key: Key,
    model: AbstractFeynmanKac | ParticleFilter,
    target: Target,
    times: Times,
    num: int,
    repeats: int,
    *,
    follow_posterior: bool = False,
    initial: GaussianMixture | None = None,
    most: int | None = None,
) -> Filters:
    r"""Evidence and one particle of independent filters, in one program.

    The mean of \(\hat Z / p(y)\) is 1; that of \(p(y) / \hat Z\) is 1 if the filters are
    conditional on exact posterior paths.

    Args:
        key: random key.
        model: a filter with multinomial resampling, or the model of one.
        target: the problem along its path.
        times: (N + 1,), decreasing.
        num: particles of a filter.
        repeats: number of filters.
        follow_posterior: whether the first particle of each follows a posterior path.
        initial: law of the particles at times[0], as in `gt.sample`.
        most: particles that are computed, `num` by default; one program serves every
            `num` up to it.

    Raises:
        UnsupportedError: if the resampling is not multinomial, the posterior is not a
            mixture, or the model cannot serve the problem or the grid.
    """
    sampler, target, times, start = _check(key, model, target, times, initial)
    initial = None if initial is None else start
    num, repeats = check_count(num, "num"), check_count(repeats, "repeats")
    target.posterior(times[0])  # raises if the posterior is not a mixture
    steps = jnp.asarray(times.shape[0] - 1)
    case = sampler.filter, target, padded(times), steps, start, initial
    follow, count = jnp.asarray(follow_posterior), jnp.asarray(num)
    return _filters(key, case, count, follow, most or num, repeats)


def kl_bounds(
    key: Key,
    model: AbstractFeynmanKac | ParticleFilter,
    target: Target,
    times: Times,
    num: int,
    repeats: int,
    *,
    initial: GaussianMixture | None = None,
) -> KLBounds:
    """Bounds on both divergences between one resampled particle and the posterior.

    Arguments and errors are those of `log_evidences`; there are `repeats` filters of each
    kind, at least 2.
    """
    exact = Estimate(_exact_log_evidence(target.problem))

    def excess(number, follow):
        key_number, case = jax.random.fold_in(key, number), (model, target, times)
        values = log_evidences(
            key_number, *case, num, repeats, follow_posterior=follow, initial=initial
        )
        return Estimate.mean_of(values, how=f"{repeats} filters") - exact

    return KLBounds(forward=excess(0, True), reverse=-excess(1, False))


@eqx.filter_jit
def _filters(key, case, count, follow, num: int, repeats: int):
    filter, target, times, steps, start, initial = case

    def one(index):
        key_one = jax.random.fold_in(key, index)
        starts = draw_starts(key_one, start, num)
        run = Run(key_one, target, times, steps, starts, initial, num, 0)
        states = _path(jax.random.fold_in(key_one, 3), target, times, steps)
        path = Reference(states, follow)
        cloud = particle_filter(filter, run, path, count)
        key_kept = jax.random.fold_in(key_one, 4)
        kept = jax.random.categorical(key_kept, cloud.log_weights)
        return Filters(cloud.log_evidence, cloud.x[kept])

    chunks = -(-repeats * num // _TOGETHER)
    together = -(-repeats // chunks)  # equal chunks: a shorter last one compiles again
    indices = jnp.arange(chunks * together)
    found = jax.lax.map(one, indices, batch_size=together)
    return jax.tree.map(lambda leaf: leaf[:repeats], found)


_exact_log_evidence = eqx.filter_jit(lambda problem: problem.log_evidence())


@eqx.filter_jit
def _path_of(key, target, times):
    return _path(key, target, times, times.shape[0] - 1)


def _path(key, target, times, steps):
    """A posterior path over the first steps of a padded grid."""
    key_clean, key_noise = jax.random.split(key)
    clean = target.exact_posterior.sample(key_clean, 1)[0]
    words, path = key_words(key_noise), target.path

    def noise(step):
        return standard_normal(words, step, clean.shape[0], clean.dtype)

    def move(j, carry):
        x, states = carry
        step = bridge(path, times[j], times[j + 1])
        x = step.a * x + step.c * clean + jnp.sqrt(step.variance) * noise(j + 1)
        return x, states.at[j + 1].set(x)

    x = path.alpha(times[0]) * clean + path.sigma(times[0]) * noise(0)
    states = jnp.zeros((times.shape[0], clean.shape[0]), clean.dtype).at[0].set(x)
    return jax.lax.fori_loop(0, steps, move, (x, states))[1]


def _check(key, model, target, times, initial):
    """The filter, the target, the grid, and the law of the first particles."""
    check_kinds(
        "f(key, model, target, times, ...)",
        key=(key, *KEY),
        model=(model, AbstractFeynmanKac | ParticleFilter, "one of gt.smc"),
        target=(target, Target, "a gt.Target"),
    )
    sampler, target, times = sampler_of(model), promoted(target), checked_times(times)
    if isinstance(model, AbstractFeynmanKac):
        sampler = ParticleFilter(model, "multinomial")
    sampler.check(target, times)
    if sampler.resampling is not multinomial:
        unsupported(
            "a conditional filter of this resampling is not known here",
            got=sampler.resampling.__name__,
            expected='resampling="multinomial"',
            hint='pass it to the filter: ParticleFilter(model, "multinomial")',
        )
    if initial is not None:
        initial = checked_initial(initial, target)
    start = start_of(sampler.model, target, times[0], Options(initial))
    return sampler, target, times, start
