r"""Feynman-Kac models, and the particle filter that runs them.

A model has proposals \(q(x_s | x_t)\) and twists \(\psi_t > 0\). As in the `particles`
library (Chopin & Papaspiliopoulos 2020, ch. 5 and 10) that is a law of the first particle
\(\pi\), a proposal, and the increments of the weights,

\[ G_0 = \frac{p_{t_0}(x)\,\psi_{t_0}(x)}{\pi(x)}, \qquad
   G(x_t, x_s) = \frac{p(x_s | x_t)\,\psi_s(x_s)}{q(x_s | x_t)\,\psi_t(x_t)} . \]

Here \(p(x_s | x_t)\) is the exact reverse kernel of the prior, a mixture, and the last
twist is always the exact likelihood \(\psi = p(y | x_t)\). So every model targets
\(p_t(x_t | y)\) at the last time, \(E \hat Z = p(y)\) for any number of particles and
steps and any start \(\pi\), and all that is left to see is the Monte Carlo error.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._checks import check_range, unsupported
from .._types import Scalar, Times, Vector
from ..draws import Draws
from ..noise import key_words, standard_uniform
from ..problem import Target
from ..samplers import AbstractSampler, Cloud, Run, SamplerFacts
from .resampling import effective_size


class Proposal(NamedTuple):
    """A proposal q(x_s | x_t) for one x_t.

    Attributes:
        draw: from `Draws` to x_s, (d,).
        log_ratio: from x_s to log p(x_s | x_t) - log q(x_s | x_t).
    """

    draw: Callable[[Draws], Vector]
    log_ratio: Callable[[Vector], Scalar]


class Reference(NamedTuple):
    """A path that the first particle is made to follow.

    Attributes:
        states: (capacity, d), padded as the times.
        followed: () whether it does: data, so that one program serves both filters.
    """

    states: Float[Array, "capacity d"]
    followed: Bool[Array, ""]

    def pin(self, x: Vector, slot, number) -> Vector:
        """The state of that number for slot 0, x for the others."""
        return jnp.where(self.followed & (slot == 0), self.states[number], x)


class AbstractFeynmanKac(AbstractSampler):
    """A model with the settings of its filter.

    Attributes:
        resampling: a scheme of `SCHEMES`.
        threshold: () particles are resampled when the effective sample size falls below
            this share of their number; 1 is whenever weights differ.
    """

    facts: eqx.AbstractClassVar[SamplerFacts]
    resampling: eqx.AbstractVar[Callable]
    threshold: eqx.AbstractVar[Scalar]

    def __check_init__(self):
        check_range("threshold", self.threshold, least=0.0, most=1.0)

    @abstractmethod
    def log_twist(self, target: Target, x: Vector, t: Scalar) -> Scalar:
        r"""\(\log \psi_t(x)\), at every time but the last."""

    @abstractmethod
    def propose(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Proposal:
        """The proposal for x_s given x_t = x."""

    def run(self, run: Run) -> Cloud:
        """The particle filter."""
        none = jnp.zeros((run.times.shape[0], run.starts.shape[1]), run.starts.dtype)
        return jitted_filter(self, run, Reference(none, jnp.asarray(False)))


def particle_filter(
    model: AbstractFeynmanKac,
    run: Run,
    reference: Reference,
    count: Int[Array, ""] | None = None,
) -> Cloud:
    """Particles, weights and the estimate of log p(y).

    Args:
        model: what to run.
        run: the particles at the first time, and the rest.
        reference: followed in a conditional filter.
        count: () of the particles that are used, all of them by default; the others have
            no weight. It is data, so one program serves any number; not for "residual".
    """
    target, times, num = run.target, run.times, run.starts.shape[0]
    dtype, slots = run.starts.dtype, jnp.arange(num)
    key = jax.random.fold_in(run.key, 1)
    words = jax.vmap(lambda slot: key_words(jax.random.fold_in(key, slot)))(slots)
    shared_words = key_words(jax.random.fold_in(run.key, 2))
    count = jnp.asarray(num if count is None else count, dtype)
    uniform = jnp.where(slots < count.astype(slots.dtype), -jnp.log(count), -jnp.inf)

    def each(fn, *arguments):
        return jax.lax.map(lambda row: fn(*row), arguments, batch_size=run.size)

    def start(slot, x):
        x = reference.pin(x, slot, 0)
        log_ratio = target.marginal(times[0]).log_prob(x) - run.initial.log_prob(x)
        return x, log_ratio, model.log_twist(target, x, times[0])

    def twists(x, t, last):
        return jax.lax.cond(
            last,
            lambda: each(lambda x: target.log_likelihood(x, t), x),
            lambda: each(lambda x: model.log_twist(target, x, t), x),
        )

    def step(j, carry):
        x, log_twists, log_weights, log_evidence, ess, states = carry
        t, s = times[j], times[j + 1]
        tired = ess[j] < model.threshold * count
        levels = standard_uniform(shared_words, j, num, dtype)
        chosen = model.resampling(levels, log_weights).astype(slots.dtype)
        ancestors = jnp.where(tired, chosen, slots)
        first = jnp.where(reference.followed, 0, ancestors[0])
        ancestors = ancestors.at[0].set(first)

        def move(slot, words, x):
            proposal = model.propose(target, x, t, s)
            new = reference.pin(proposal.draw(Draws(words, j)), slot, j + 1)
            return new, proposal.log_ratio(new)

        x, increments = each(move, slots, words, x[ancestors])
        increments = increments - log_twists[ancestors]
        log_twists = twists(x, s, j + 1 == run.steps)
        log_weights = jnp.where(tired, uniform, log_weights) + increments + log_twists
        log_weights, log_mean = _normalised(log_weights)
        ess = ess.at[j + 1].set(effective_size(log_weights))
        if run.keep:
            states = states[ancestors].at[:, j + 1].set(x)
        return x, log_twists, log_weights, log_evidence + log_mean, ess, states

    x, increments, log_twists = each(start, slots, run.starts)
    log_weights, log_evidence = _normalised(uniform + increments + log_twists)
    ess = jnp.zeros(times.shape[0], dtype).at[0].set(effective_size(log_weights))
    states = None
    if run.keep:
        states = jnp.zeros((num, run.keep, x.shape[1]), dtype).at[:, 0].set(x)
    carry = x, log_twists, log_weights, log_evidence, ess, states
    carry = jax.lax.fori_loop(0, run.steps, step, carry)
    x, _, log_weights, log_evidence, ess, states = carry
    return Cloud(x, log_weights, log_evidence, states, ess)


jitted_filter = eqx.filter_jit(particle_filter)


def check_density(target: Target, times: Times) -> None:
    """Refuses a last time at which the particles have no density."""
    if target.problem.prior.atomic and float(target.path.sigma(times[-1])) == 0.0:
        unsupported(
            "an empirical prior has no density without noise",
            got="a grid that ends at time 0",
            expected="t_min > 0",
            hint="weights are ratios of densities: end the grid at a small time",
        )


def _normalised(log_weights):
    total = jax.nn.logsumexp(log_weights)
    return log_weights - total, total
