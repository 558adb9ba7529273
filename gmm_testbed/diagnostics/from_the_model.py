r"""Pairs (x, y) made by the model itself, and a sampler's draws for each y.

A denoiser is a generative model: its unguided chain, run down a grid, has a law P of
\(x_t\) at the last time, and with \(x_0 = m(x_t)\) and \(y = f(x_0) + N(0, R)\) a joint
law of \((x_t, y)\). What a posterior sampler is asked for is \(P(x_t | y)\), and of a pair
that was simulated, x is a draw of it. Nothing here asks for a prior or a posterior: a
target gives its denoiser, its measurement and its path.

With data of the true prior in place of the model's own draws the same tests judge the
denoiser too: else an error of the score is part of the model, and unseen.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from .._checks import check_shape, floating, require, unsupported
from .._types import Key, Scalar, Times, Vector
from ..algorithms import Guided
from ..approximations import Unguided
from ..kernels import DDPM
from ..method import AbstractMarkov, first_law
from ..mixture import GaussianMixture
from ..paths import AbstractPath
from ..problem import AbstractMeasurement, InverseProblem, Target
from ..problem.denoisers import AbstractDenoiser
from ..sampling import (
    AbstractSampler,
    AbstractTraceable,
    Chains,
    Options,
    padded,
    sample,
)
from .pairs import check_equal_weights

_DIFFERS = 1e-6  # relative, between two runs that should be the same


class ModelPairs(NamedTuple):
    """What was simulated, n observations.

    Attributes:
        truth: (n, d), x at the last time.
        y: (n, m).
        draws: (n, L, d), of the sampler for y.
        references: (n, d): of independent draws of the model, the one whose measurement is
            nearest to y. They depend on y and, given y, not on the truth.
    """

    truth: Float[Array, "n d"]
    y: Float[Array, "n m"]
    draws: Float[Array, "n L d"]
    references: Float[Array, "n d"]


def without_prior(
    denoiser: AbstractDenoiser,
    measurement: AbstractMeasurement,
    y: Float[Array, " m"],
    path: AbstractPath,
    dim: int,
) -> Target:
    """A target of which only the denoiser is known, and no prior.

    A point at the origin stands in its prior's place. What would use it (`Exact`,
    `target.posterior`, PiGDM's variance of the data) means nothing: `without_truth`
    refuses a sampler that does.

    Args:
        denoiser: any of `gt.denoisers`, or `gt.torch.Network`.
        measurement: linear or not.
        y: (m,).
        path: along which the denoiser was trained.
        dim: d.
    """
    nowhere = GaussianMixture.empirical(jnp.zeros((1, dim)))
    return Target(InverseProblem(nowhere, measurement, y), path).seen_through(denoiser)


def with_observation(target: Target, y) -> Target:
    """The same problem with another y (m,)."""
    problem = target.problem
    other = Target(InverseProblem(problem.prior, problem.measurement, y), target.path)
    if target.denoiser is None:
        return other
    return other.seen_through(target.denoiser)


def has_density(method, target: Target, times: Times) -> bool:
    """Whether every step is a Gaussian with noise, given x alone."""
    if not isinstance(method, AbstractMarkov) or method.facts.law != "gaussian":
        return False
    zero = jnp.zeros(target.problem.prior.dim, times.dtype)
    return float(first_law(method, target, times[-2:], zero).root.least()) > 0.0


def model_of(method, target: Target, times: Times) -> Guided:
    """The unguided chain: with the kernel of the method if its steps have noise."""
    if isinstance(method, Guided) and has_density(method, target, times):
        return Guided(Unguided(), method.kernel)
    return Guided(Unguided(), DDPM())


def check_ignores_prior(sampler: AbstractSampler, target: Target, times: Times):
    """Refuses a sampler that sees more of the prior than its denoiser.

    Raises:
        UnsupportedError: if two samples move when another prior is put beside the same
            denoiser.
    """
    if target.denoiser is None or not isinstance(sampler, AbstractTraceable):
        return
    found = []
    for place in (0.0, 1.0):
        dim = target.problem.prior.dim
        other = GaussianMixture.empirical(jnp.full((2, dim), place).at[1].add(2.0))
        seen = eqx.tree_at(lambda t: t.problem.prior, target, other)
        seen = with_observation(seen, target.problem.y)
        sampler.check(seen, times)
        run = sampler.run(jax.random.key(0), seen, times, 2, Options())
        found.append(run.x)
    moved = jnp.max(jnp.abs(found[1] - found[0]))
    if not float(moved) <= _DIFFERS * float(1.0 + jnp.max(jnp.abs(found[0]))):
        unsupported(
            "this sampler uses the prior itself, and not only its denoiser",
            got=f"samples that move by {float(moved):.2g} when another prior stands "
            "beside the same denoiser",
            expected="a sampler that sees the denoiser, the measurement and y",
            hint="take DPS, TMPD, PiGDM with its default variance, or a program of "
            "yours; or leave seen_through out where the prior is a mixture",
        )


def clean(target: Target, x: Float[Array, "n d"], t: Scalar) -> Float[Array, "n d"]:
    """The data that the model makes of states at time t: their denoised means."""
    return _clean(target, x, t)


@eqx.filter_jit
def _clean(target, x, t):
    return jax.vmap(lambda x: target.denoise(x, t).mean)(x)


def draw_model(
    key: Key, model: Guided, target: Target, times: Times, num: int
) -> Float[Array, "num d"]:
    """Draws of the model at the last time, (num, d)."""
    return sample(key, model, target, times, num).x


def simulate_pairs(
    key: Key,
    sampler: AbstractSampler,
    target: Target,
    times: Times,
    truth: Float[Array, "pairs d"],
    bank: Float[Array, "bank d"],
    num_draws: int,
    *,
    data: Float[ArrayLike, "k d"] | None = None,
    particles: int = 64,
    batch_size: int = 16384,
) -> ModelPairs:
    """Simulates pairs, and for each y draws of the sampler.

    Args:
        key: random key.
        sampler: that is asked for the posterior of each y.
        target: its denoiser, measurement and path.
        times: (N + 1,).
        truth: (pairs, d), draws of the model at the last time.
        bank: (bank, d), others, from which the references are chosen.
        num_draws: L.
        data: draws of the true prior, at least n of them, in place of the truths.
        particles: of every run of a population, which gives one draw.
        batch_size: particles held at once.

    Raises:
        InputError: if there are too few data.
        UnsupportedError: if the draws of a program have weights that differ.
    """
    key_data, key_y, key_draws = jax.random.split(key, 3)
    t, num_pairs = times[-1], truth.shape[0]
    if data is None:
        x0 = clean(target, truth, t)
    else:
        x0, truth = _of_data(key_data, data, target, t, num_pairs)
    y = _measured(key_y, target.problem.measurement, x0)
    keys = jax.random.split(key_draws, num_pairs)
    if isinstance(sampler, AbstractTraceable):
        population = 1 if isinstance(sampler, Chains) else particles
        size = max(1, min(num_pairs, batch_size // (num_draws * population)))
        steps = jnp.asarray(times.shape[0] - 1)
        draws = _drawn(
            keys, y, sampler, target, padded(times), steps, num_draws, particles, size
        )
    else:
        draws = _on_the_host(keys, y, sampler, target, times, num_draws)
    return ModelPairs(
        truth, y, draws, _nearest(target, clean(target, bank, t), bank, y)
    )


def _of_data(key, data, target, t, num: int):
    data = floating(data)
    dim = target.problem.prior.dim
    check_shape(data, (data.shape[0], dim), "data", "one row a point; flatten images")
    require(
        data.shape[0] >= num,
        "too few data for so many pairs",
        got=f"{data.shape[0]} points, {num} pairs",
        expected="a point for each pair",
        hint="pass fewer num_pairs; a point is used once",
    )
    key_rows, key_noise = jax.random.split(key)
    x0 = data[jax.random.permutation(key_rows, data.shape[0])[:num]]
    noise = jax.random.normal(key_noise, x0.shape, x0.dtype)
    return x0, target.path.alpha(t) * x0 + target.path.sigma(t) * noise


@eqx.filter_jit
def _measured(key, measurement, x0):
    return jax.vmap(measurement.sample)(jax.random.split(key, x0.shape[0]), x0)


@eqx.filter_jit
def _drawn(
    keys, y, sampler, target, times, steps, num_draws: int, particles: int, size: int
):
    def pair(arguments):
        key, y = arguments
        own = jax.random.split(key, num_draws)
        return sampler.draws(own, with_observation(target, y), times, steps, particles)

    return jax.lax.map(pair, (keys, y), batch_size=size)


def _on_the_host(keys, y, sampler, target, times, num_draws: int):
    """The same for a program: one run of it for each observation."""
    found = []
    for key, seen in zip(keys, y, strict=True):
        target_of_y = with_observation(target, seen)
        made = sampler.run(key, target_of_y, times, num_draws, Options())
        check_equal_weights(made, sampler)
        found.append(at_the_last_time(key, sampler, target, made.x, times[-1]))
    return jnp.stack(found)


def at_the_last_time(key: Key, sampler: AbstractSampler, target: Target, x, t):
    """Samples (n, d) at time t: estimates of x0 are noised, as the truth is."""
    x = jnp.asarray(x)
    if sampler.facts.level != "data":
        return x
    noise = jax.random.normal(jax.random.fold_in(key, 1), x.shape, x.dtype)
    return target.path.alpha(t) * x + target.path.sigma(t) * noise


@eqx.filter_jit
def _nearest(target, x0, bank, y):
    measurement = target.problem.measurement
    at = jax.vmap(measurement.apply)(x0)

    def nearest(y):
        gap = (y[None] - at) @ measurement.whitener.T
        return bank[jnp.argmin(jnp.sum(gap**2, axis=1))]

    return jax.lax.map(nearest, y)


def misfit(target: Target, y, x: Vector, t):
    r"""\(\|y - f(x / \alpha)\|^2_{R^{-1}} / m\), (), of a state x (d,) at time t."""
    measurement = target.problem.measurement
    gap = measurement.whitener @ (y - measurement.apply(x / target.path.alpha(t)))
    return jnp.mean(gap**2)
