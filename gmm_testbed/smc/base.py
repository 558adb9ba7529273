r"""Feynman-Kac models that own their weights, and the particle filter that runs any.

As in the `particles` library (Chopin & Papaspiliopoulos 2020, ch. 5 and 10) a model is the
law of the first particle, the law of each move, and the *whole* increment of the weights,

\[ \log G_0(x) \text{ at the first time}, \qquad \log G(x_t, x_s) \text{ of a move}; \]

the filter adds nothing. A model may also look ahead: a log eta(x_t) by which particles are
chosen before they move, and which the filter takes out of the weights again.

`AbstractTwisted` is the common case. With proposals \(q(x_s | x_t)\), twists
\(\psi_t > 0\) and the exact reverse kernel p of the prior,

\[ G_0 = \frac{p_{t_0}(x)\,\psi_{t_0}(x)}{\pi(x)}, \qquad
   G(x_t, x_s) = \frac{p(x_s | x_t)\,\psi_s(x_s)}{q(x_s | x_t)\,\psi_t(x_t)} , \]

and the last twist is the exact likelihood \(\psi = p(y | x_t)\). So every such model
targets \(p_t(x_t | y)\) at the last time, \(E \hat Z = p(y)\) for any number of
particles and steps and any start \(\pi\), and all that is left to see is the Monte Carlo
error.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._types import Scalar, Times, Vector
from ..gaussian import AbstractStepLaw, isotropic
from ..method import AbstractDescribed
from ..mixture import GaussianMixture
from ..problem import Target
from ..random import Draws, key_words, standard_uniform
from .resampling import effective_size


class Move(NamedTuple):
    """Where a particle goes, and what that weighs.

    Attributes:
        law: of the new state.
        log_weight: from the new state (d,) to the whole log G, ().
    """

    law: AbstractStepLaw
    log_weight: Callable[[Vector], Scalar]


class AbstractFeynmanKac(AbstractDescribed):
    """A model for a particle filter; `ParticleFilter(model)` runs it."""

    @abstractmethod
    def check(self, target: Target, times: Times) -> None:
        """Raises `UnsupportedError` if the model cannot serve the problem or grid."""

    @abstractmethod
    def shared(self, target: Target, times: Times, draws: Draws) -> Any:
        """What all particles have in common, as a path of y; () is nothing.

        Args:
            target: the problem along its path.
            times: (capacity,), padded.
            draws: random numbers that belong to no particle.
        """

    @abstractmethod
    def start(self, target: Target, shared: Any, t: Scalar) -> Move:
        """The law of the first particles, which has a density, and their weights."""

    @abstractmethod
    def look_ahead(
        self, target: Target, shared: Any, x: Vector, t: Scalar, s: Scalar
    ) -> Scalar:
        """log eta, (), by which particles at x (d,) are chosen before they move; or 0."""

    @abstractmethod
    def move(
        self,
        target: Target,
        shared: Any,
        x: Vector,
        t: Scalar,
        s: Scalar,
        last: Bool[Array, ""],
    ) -> Move:
        """The move from x (d,) at time t to time s, which may be the last."""


def nothing_shared(
    model: AbstractFeynmanKac, target: Target, times: Times, draws: Draws
) -> tuple:
    """(): for models whose particles have nothing in common."""
    return ()


def no_look_ahead(
    model: AbstractFeynmanKac,
    target: Target,
    shared: Any,
    x: Vector,
    t: Scalar,
    s: Scalar,
) -> Scalar:
    """0: for models whose particles are chosen by their weights alone."""
    return jnp.zeros((), x.dtype)


class Proposal(NamedTuple):
    """A proposal q(x_s | x_t) for one x_t.

    Attributes:
        law: q.
        log_ratio: from x_s to log p(x_s | x_t) - log q(x_s | x_t).
    """

    law: AbstractStepLaw
    log_ratio: Callable[[Vector], Scalar]


class AbstractTwisted(AbstractFeynmanKac):
    """A model by its twists and proposals; the last twist is the exact likelihood."""

    @abstractmethod
    def log_twist(self, target: Target, x: Vector, t: Scalar) -> Scalar:
        r"""\(\log \psi_t(x)\), at every time but the last."""

    @abstractmethod
    def propose(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Proposal:
        """The proposal for x_s given x_t = x."""

    shared = nothing_shared
    look_ahead = no_look_ahead

    def start(self, target: Target, shared: Any, t: Scalar) -> Move:
        sigma, marginal = target.path.sigma(t), target.marginal(t)
        law = isotropic(jnp.zeros(target.problem.prior.dim, sigma.dtype), sigma**2)

        def log_weight(x):
            ratio = marginal.log_prob(x) - law.log_prob(x)
            return ratio + self.log_twist(target, x, t)

        return Move(law, log_weight)

    def move(
        self,
        target: Target,
        shared: Any,
        x: Vector,
        t: Scalar,
        s: Scalar,
        last: Bool[Array, ""],
    ) -> Move:
        proposal, old = self.propose(target, x, t, s), self.log_twist(target, x, t)

        def log_weight(new):
            twist = jax.lax.cond(
                last,
                lambda: target.log_likelihood(new, s),
                lambda: self.log_twist(target, new, s),
            )
            return proposal.log_ratio(new) - old + twist

        return Move(proposal.law, log_weight)


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


class Run(NamedTuple):
    """One run of a filter.

    Attributes:
        key: random key.
        target: the problem along its path.
        times: (capacity,), the grid padded with its last time.
        steps: () integer, N: data, so that one program serves every N; or a number.
        starts: (num, d), the particles at times[0].
        initial: the law they were drawn from, or None for the model's own.
        size: particles computed at once.
        keep: states to return, N + 1 or 0.
    """

    key: Any
    target: Target
    times: Times
    steps: Int[Array, ""] | int
    starts: Float[Array, "num d"]
    initial: GaussianMixture | None
    size: int
    keep: int


class Cloud(NamedTuple):
    """What a filter returns.

    Attributes:
        x: (num, d).
        log_weights: (num,), normalised.
        log_evidence: () estimate of log p(y).
        states: (num, N + 1, d), the states that led to each x, or None.
        ess: (capacity,), effective sample size at every time.
    """

    x: Float[Array, "num d"]
    log_weights: Float[Array, " num"]
    log_evidence: Scalar
    states: Float[Array, "num times d"] | None
    ess: Float[Array, " capacity"]


class Filter(NamedTuple):
    """A model and when its particles are resampled.

    Attributes:
        model: what moves and weighs.
        resampling: a scheme of `SCHEMES`.
        threshold: () share of the particles.
    """

    model: AbstractFeynmanKac
    resampling: Callable
    threshold: Scalar


def particle_filter(
    filter: Filter,
    run: Run,
    reference: Reference,
    count: Int[Array, ""] | None = None,
) -> Cloud:
    """Particles, weights and the estimate of log p(y).

    Args:
        filter: the model and its resampling.
        run: the particles at the first time, and the rest.
        reference: followed in a conditional filter.
        count: () of the particles that are used, all of them by default; the others have
            no weight. It is data, so one program serves any number; not for "residual".
    """
    model, target, times = filter.model, run.target, run.times
    num = run.starts.shape[0]
    dtype, slots = run.starts.dtype, jnp.arange(num)
    key = jax.random.fold_in(run.key, 1)
    words = jax.vmap(lambda slot: key_words(jax.random.fold_in(key, slot)))(slots)
    common = key_words(jax.random.fold_in(run.key, 2))
    count = jnp.asarray(num if count is None else count, dtype)
    uniform = jnp.where(slots < count.astype(slots.dtype), -jnp.log(count), -jnp.inf)
    shared = model.shared(target, times, Draws(common, times.shape[0]))

    def each(fn, *arguments):
        return jax.lax.map(lambda row: fn(*row), arguments, batch_size=run.size)

    def start(slot, x):
        x = reference.pin(x, slot, 0)
        move = model.start(target, shared, times[0])
        log_weight = move.log_weight(x)
        if run.initial is not None:
            log_weight += move.law.log_prob(x) - run.initial.log_prob(x)
        return x, log_weight

    def step(j, carry):
        x, log_weights, log_evidence, ess, states = carry
        t, s = times[j], times[j + 1]
        ahead = each(lambda x: model.look_ahead(target, shared, x, t, s), x)
        chances, log_chance = _normalised(log_weights + ahead)
        tired = effective_size(chances) < filter.threshold * count
        levels = standard_uniform(common, j, num, dtype)
        chosen = filter.resampling(levels, chances).astype(slots.dtype)
        ancestors = jnp.where(tired, chosen, slots)
        first = jnp.where(reference.followed, 0, ancestors[0])
        ancestors = ancestors.at[0].set(first)
        before = jnp.where(tired, uniform - ahead[ancestors] + log_chance, log_weights)

        def move(slot, words, x):
            made = model.move(target, shared, x, t, s, j + 1 == run.steps)
            new = reference.pin(made.law.draw(Draws(words, j)), slot, j + 1)
            return new, made.log_weight(new)

        x, increments = each(move, slots, words, x[ancestors])
        log_weights, log_mean = _normalised(before + increments)
        ess = ess.at[j + 1].set(effective_size(log_weights))
        if run.keep:
            states = states[ancestors].at[:, j + 1].set(x)
        return x, log_weights, log_evidence + log_mean, ess, states

    x, log_weights = each(start, slots, run.starts)
    log_weights, log_evidence = _normalised(uniform + log_weights)
    ess = jnp.zeros(times.shape[0], dtype).at[0].set(effective_size(log_weights))
    states = None
    if run.keep:
        states = jnp.zeros((num, run.keep, x.shape[1]), dtype).at[:, 0].set(x)
    carry = x, log_weights, log_evidence, ess, states
    carry = jax.lax.fori_loop(0, run.steps, step, carry)
    x, log_weights, log_evidence, ess, states = carry
    return Cloud(x, log_weights, log_evidence, states, ess)


jitted_filter = eqx.filter_jit(particle_filter)


def unfollowed(run: Run) -> Reference:
    """No reference path: the filter is a plain one."""
    none = jnp.zeros((run.times.shape[0], run.starts.shape[1]), run.starts.dtype)
    return Reference(none, jnp.asarray(False))


def _normalised(log_weights):
    total = jax.nn.logsumexp(log_weights)
    return log_weights - total, total
