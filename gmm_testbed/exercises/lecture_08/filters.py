"""Weights of a twisted filter, and bounds from both sides."""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

import gmm_testbed as gt

from ...kernels.reverse import reverse
from ..exercise import Exercise

# --- unbiased-evidence ------------------------------------------------------------------

_RUNS, _STEPS = 6000, 6
_RESOLVED = 0.05  # error of a mean that is 1


def unbiased_evidence(kernel, proposal, log_twist_before, log_twist_after, new):
    """log G of a move to `new` (d,), drawn from the proposal.

    Along a path the kernels multiply to the prior and the proposals to the density of what
    was drawn; the twists telescope to the last one, the likelihood.
    """
    log_ratio = kernel.log_prob(new) - proposal.log_prob(new)
    return log_ratio + log_twist_after - log_twist_before


class Moves(NamedTuple):
    """All moves of independent particles, and what their weights begin with.

    Attributes:
        log_start: (runs,) log G_0 less log p(y).
        kernel: p(x_s | x_t) of the prior, mixtures with leading axes (runs, steps).
        proposal: q(x_s | x_t), laws with the same axes.
        before: (runs, steps) log psi_t(x_t).
        after: (runs, steps) log psi_s(x_s), the last one log p(y | x).
        new: (runs, steps, d).
    """

    log_start: Float[Array, " runs"]
    kernel: gt.GaussianMixture
    proposal: gt.Gaussian
    before: Float[Array, "runs steps"]
    after: Float[Array, "runs steps"]
    new: Float[Array, "runs steps d"]


def _cases():
    two = gt.GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
    one = gt.GaussianMixture.isotropic([1.0], [[0.5]], 0.6)
    path = gt.VP(beta_min=0.01, beta_max=20.0)

    def on_the_line(prior, slope, noise, y):
        seen = gt.Linear([[slope]], noise**2)
        return gt.Target(gt.InverseProblem(prior, seen, jnp.asarray([y])), path)

    return {
        "two modes": on_the_line(two, 0.8, 0.45, 0.5),
        "one mode": on_the_line(one, 1.2, 0.55, 0.8),
        "three modes in the plane": gt.problems.get("plane-modes"),
    }


@functools.cache
def _moves_of(name: str) -> Moves:
    target = _cases()[name]
    times = gt.time_grid(target.path, _STEPS, "log_snr", t_max=0.97, t_min=0.02)
    return _moves(jax.random.key(8), target, times)


@eqx.filter_jit
def _moves(key, target, times) -> Moves:
    twist = gt.approximations.PiGDM()
    sampler, prior, path = (
        gt.Guided(twist, gt.kernels.DDPM("matched")),
        target.problem.prior,
        target.path,
    )
    exact = target.problem.log_evidence()

    def psi(x, t):
        return gt.smc.log_twist(twist, target, x, t)

    def one(key):
        key_start, key_moves = jax.random.split(key)
        x = target.marginal(times[0]).sample(key_start, 1)[0]
        log_start = psi(x, times[0]) - exact

        def move(x, given):
            number, t, s = given
            law = sampler.transition(target, x, t, s)
            noise = jax.random.normal(jax.random.fold_in(key_moves, number), x.shape)
            new = law.at(noise)
            last = number == _STEPS - 1
            after = jnp.where(last, target.log_likelihood(new, s), psi(new, s))
            kernel = reverse(prior, path, x, t, s)
            return new, (kernel, law, psi(x, t), after, new)

        given = jnp.arange(_STEPS), times[:-1], times[1:]
        return log_start, jax.lax.scan(move, x, given)[1]

    log_start, rest = jax.vmap(one)(jax.random.split(key, _RUNS))
    return Moves(log_start, *rest)


def _mean_of_weights(answer, name) -> gt.Estimate:
    """Mean of Z^/p(y) over independent particles, by the weights of the answer."""
    moves = _moves_of(name)
    several = moves.kernel, moves.proposal, moves.before, moves.after, moves.new
    first = answer(*jax.tree.map(lambda leaf: leaf[0, 0], several))
    if first is ...:
        raise NotImplementedError
    if jnp.shape(first) != ():
        raise TypeError(f"one number was asked for, and this is {first!r}")
    increments = jax.jit(jax.vmap(jax.vmap(answer)))(*several)
    total = moves.log_start + jnp.sum(increments, axis=1)  # one row a particle
    return gt.Estimate.mean_of(jnp.exp(total), how=f"{_RUNS} particles")


def _evidence(answer, name) -> tuple:
    """That mean, and whether its error is small enough for it to say anything."""
    found = _mean_of_weights(answer, name)
    return found, jnp.asarray(found.stderr < _RESOLVED, found.value.dtype)


UNBIASED_EVIDENCE = Exercise(
    title="The weight of a move",
    asks="unbiased_evidence(kernel, proposal, log_twist_before, log_twist_after, new) "
    "gives a number (): a particle at x_t was moved to `new` (d,), drawn from the law "
    "`proposal`. `kernel` is the exact p(x_s | x_t) of the prior; both have log_prob. "
    "The twists are log psi_t(x_t) and log psi_s(new). Return log G, such that the "
    "mean of the product of all weights is p(y).",
    probes=lambda: {name: [(name,)] for name in _cases()},
    truth=lambda name: (jnp.asarray(1.0), jnp.asarray(1.0)),
    measured=_evidence,
    slips={
        "proposal-forgotten": (
            lambda p, q, before, after, new: p.log_prob(new) + after - before,
            "the particle was drawn from the proposal: its density is divided out.",
        ),
        "kernel-forgotten": (
            lambda p, q, before, after, new: after - before,
            "that is right only if the proposal is the kernel of the prior; a guided "
            "proposal is not.",
        ),
        "twist-not-divided-out": (
            lambda p, q, before, after, new: p.log_prob(new) - q.log_prob(new) + after,
            "the twist of the last step is in the weight already: divide it out, or "
            "it is counted at every step.",
        ),
        "upside-down": (
            lambda p, q, before, after, new: (
                q.log_prob(new) - p.log_prob(new) + after - before
            ),
            "target over proposal, not proposal over target.",
        ),
    },
    solution=unbiased_evidence,
    parts=("mean of Z^/p(y)", "whether its error is below 0.05"),
    transforms=(),
    hints=(
        "Importance sampling: target density over proposal density, in logarithms.",
        "The target of a move is kernel times the twist after it; what the weight had "
        "before is the twist before it.",
        "G = p(x_s | x_t) psi_s(x_s) / (q(x_s | x_t) psi_t(x_t)).",
    ),
    notice=lambda: _notice_evidence(),
)


def _notice_evidence():
    found = _mean_of_weights(unbiased_evidence, "two modes")
    spread = float(found.stderr) * _RUNS**0.5
    return (
        f"Z^/p(y) = {found}, and a single particle has the standard deviation "
        f"{spread:.2f}: unbiased with any twist, and useful only with a good one."
    )


# --- two-sides --------------------------------------------------------------------------


def two_sides(free, conditional, log_evidence):
    """Bounds on KL(posterior || particle) and on KL(particle || posterior).

    The posterior has the density Z^/p(y) on the space of all that is random in a filter.
    The first divergence is a mean under the posterior, where one path is an exact draw;
    the second is a mean over free filters.
    """
    forward = jnp.mean(conditional) - log_evidence
    return forward, log_evidence - jnp.mean(free)


def _filters():
    """log Z^ (repeats,) of free and of conditional importance samplers, and log p(y)."""

    def case(seed, weights, means, variances, slope, noise, y, num):
        means = jnp.asarray(means)[:, None]
        prior = gt.GaussianMixture.isotropic(weights, means, jnp.asarray(variances))
        seen = jnp.asarray([[slope]]), noise**2, jnp.asarray([y])
        key_free, key_kept, key_one = jax.random.split(jax.random.key(seed), 3)

        def log_weights(x):
            return -0.5 * ((y - slope * x) / noise) ** 2 - jnp.log(noise * _ROOT)

        def drawn(key):
            return log_weights(prior.sample(key, 40 * num)[:, 0].reshape(40, num))

        kept = log_weights(prior.conditioned(*seen).sample(key_one, 40)[:, 0])
        kept = drawn(key_kept).at[:, 0].set(kept)
        both = (logsumexp(w, axis=1) - jnp.log(num) for w in (drawn(key_free), kept))
        return *both, prior.log_evidence(*seen)

    two = (0.35, 0.65), (-1.2, 0.9), (0.3, 0.55)
    return {
        "two modes": [
            case(1, *two, 1.3, 0.4, 1.1, 4),
            case(2, *two, 0.7, 0.3, -0.8, 4),
        ],
        "one mode": [case(3, (1.0,), (0.45,), (0.7,), 1.3, 0.35, 0.9, 4)],
    }


_ROOT = 2.5066282746310002  # of 2 pi


def _sides(free, conditional, log_evidence):
    forward, reverse = gt.Estimate.mean_of(conditional), -gt.Estimate.mean_of(free)
    return (forward - log_evidence).value, (reverse + log_evidence).value


def _log_mean(values):
    return logsumexp(values) - jnp.log(values.size)


TWO_SIDES = Exercise(
    title="Two bounds, and who needs an exact path",
    asks="two_sides(free, conditional, log_evidence) gives two numbers: upper bounds "
    "in nats on KL(posterior || particle) and on KL(particle || posterior), in this "
    "order, from log Z^ of free filters (n,) and of filters one particle of which "
    "follows an exact posterior path (n,), and log p(y).",
    probes=_filters,
    truth=_sides,
    slips={
        "exchanged": (
            lambda free, kept, exact: (exact - jnp.mean(free), jnp.mean(kept) - exact),
            "an expectation under the posterior needs a draw of the posterior: the "
            "first is of the conditional filters.",
        ),
        "free-for-both": (
            lambda free, kept, exact: (jnp.mean(free) - exact, exact - jnp.mean(free)),
            "E log Z^ of free filters is below log p(y), by Jensen: the first would be "
            "negative. It needs the conditional filter.",
        ),
        "logarithm-outside": (
            lambda free, kept, exact: (
                _log_mean(kept) - exact,
                exact - _log_mean(free),
            ),
            "the mean of the logarithms, not the logarithm of the mean: that of the "
            "free filters is log p(y) itself, up to noise.",
        ),
        "sign": (
            lambda free, kept, exact: (exact - jnp.mean(kept), jnp.mean(free) - exact),
            "both are divergences and not negative.",
        ),
        "evidence-forgotten": (
            lambda free, kept, exact: (jnp.mean(kept), -jnp.mean(free)),
            "log p(y) is missing: the mean of log Z^ alone is no divergence.",
        ),
    },
    solution=two_sides,
    parts=("KL(posterior || particle)", "KL(particle || posterior)"),
    hints=(
        "On the space of everything random, posterior over filter is Z^/p(y).",
        "KL(posterior || filter) is a mean under the posterior, where one path is "
        "exact.",
        "First mean(conditional) - log p(y), then log p(y) - mean(free).",
    ),
    notice=(
        "the second can be had without any exact draw: that is why it is the one in "
        "papers. It cannot see a mode that no particle ever found; the first can."
    ),
)
