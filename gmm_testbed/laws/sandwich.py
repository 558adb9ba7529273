r"""The KL of a sampler with noise between two estimates, in any dimension.

The law of the output is \(q(x) = E_z\, k(x | z)\), with z the state before the last step
and k its Gaussian transition. Let x come from its ancestor \(z_0\), and let
\(z_1, \dots, z_M\) be independent states. Then

\[ E \log \frac1M \sum_{j \ge 1} k(x|z_j) \;\le\; E \log q(x) \;\le\;
   E \log \frac1{M+1} \sum_{j \ge 0} k(x|z_j) : \]

Jensen on the left; on the right the states with the ancestor are exchangeable under the
law that drew them, and the gap is a KL divergence (semi-implicit variational inference,
Yin & Zhou, arXiv:1805.11183; Sobolev & Vetrov, arXiv:1905.03290). Both tend to KL(law || p)
as M grows, slowly where the last step is much narrower than the law. For x from p the left
gives an upper bound of KL(p || law).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from .._checks import require, unsupported
from .._types import Key, Times
from ..estimate import Estimate
from ..method import AbstractMarkov, AbstractMethod, first_law, name_of
from ..mixture import GaussianMixture
from ..problem import Target
from ..sampling import check_run, initial_law, sample
from .explicit import require_explicit

_AT_ONCE = 256  # points, against every state


class Sandwich(NamedTuple):
    """Bounds that hold in expectation, in nats.

    Attributes:
        lower: of KL(law || mixture).
        upper: of KL(law || mixture).
        upper_from: of KL(mixture || law).
    """

    lower: Estimate
    upper: Estimate
    upper_from: Estimate


def sandwich_kl(
    key: Key,
    sampler: AbstractMethod,
    target: Target,
    times: Times,
    num: int,
    *,
    states: int = 512,
    batches: int = 32,
    initial: GaussianMixture | None = None,
    mixture: GaussianMixture | None = None,
) -> Sandwich:
    r"""Bounds of KL(law || mixture) and of KL(mixture || law) at the last time.

    Args:
        key: of everything that is drawn.
        sampler: `Guided(approximation, kernel)` with noise in its last step.
        target: the problem along its path.
        times: (N + 1,), decreasing.
        num: points at which the density is bounded, a multiple of `batches`.
        states: M, states before the last step that each batch has of its own; the gap
            between the bounds closes as it grows.
        batches: independent groups, whose spread gives the standard errors.
        initial: law at times[0]; \(N(0, \sigma^2 I)\) by default.
        mixture: with a density; the exact posterior marginal at times[-1] by default.

    Raises:
        UnsupportedError: if the last step is not one Gaussian, or adds no noise.
        InputError: if `batches` is below 2 or does not divide `num`, or the grid does not
            decrease within [0, 1].
    """
    call = "gt.laws.sandwich_kl(key, sampler, target, times, num)"
    target, times = check_run(call, sampler, target, times, key=key)
    _require_gaussian(sampler)
    require(
        batches >= 2 and num % batches == 0 and states >= 1,
        "the points do not fill the batches",
        got=f"num = {num}, batches = {batches}, states = {states}",
        expected="num a multiple of batches, at least two batches, at least one state",
        hint="num = 4096 and batches = 32 give 128 points a batch",
    )
    initial = initial_law(sampler, target, times[0], initial)
    if mixture is None:
        mixture = target.posterior(times[-1])
    last = times[-2:]
    _require_noise(sampler, target, last, initial)
    key_states, key_noise, key_exact = jax.random.split(key, 3)
    total = num + batches * states
    if times.shape[0] > 2:
        drawn = sample(key_states, sampler, target, times[:-1], total, initial=initial)
        before = drawn.x
    else:
        before = initial.sample(key_states, total)
    values = _bounds(
        (key_noise, key_exact), sampler, target, last, mixture, before, num, batches
    )
    how = f"{num} points, {batches} x {states} states"
    return Sandwich(*(Estimate.mean_of(value, how=how) for value in values))


@eqx.filter_jit
def _bounds(keys, sampler, target, times, mixture, before, num: int, batches: int):
    """Means over the points of each batch, three of (batches,)."""
    shape = (batches, num // batches, before.shape[1])
    ancestors = before[:num].reshape(shape)
    others = before[num:].reshape(batches, -1, before.shape[1])
    noise = jax.random.normal(keys[0], shape, before.dtype)
    exact = mixture.sample(keys[1], num).reshape(shape)

    def step(z):
        return sampler.transition(target, z, times[0], times[1])

    def batch(parts):
        ancestors, others, noise, exact = parts
        moves = jax.vmap(step)(others)
        count = others.shape[0]

        def log_sum(x):
            return logsumexp(jax.vmap(lambda move: move.log_prob(x))(moves))

        def point(parts):
            ancestor, noise, exact = parts
            move = step(ancestor)
            x = move.at(noise)
            rest = log_sum(x)
            log_p = mixture.log_prob(x)
            whole = jnp.logaddexp(rest, move.log_prob(x)) - jnp.log1p(count)
            return (
                rest - np.log(count) - log_p,
                whole - log_p,
                mixture.log_prob(exact) - log_sum(exact) + np.log(count),
            )

        values = jax.lax.map(point, (ancestors, noise, exact), batch_size=_AT_ONCE)
        return jax.tree.map(jnp.mean, values)

    return jax.lax.map(batch, (ancestors, others, noise, exact))


def _require_gaussian(sampler) -> None:
    require_explicit(sampler)
    if not (isinstance(sampler, AbstractMarkov) and sampler.facts.law == "gaussian"):
        unsupported(
            "the bounds need a last step that is one Gaussian",
            got=f"{name_of(sampler)}, whose step is {sampler.facts.law}",
            expected="a method without memory and without legs, with Gaussian steps",
            hint="use gt.laws.grid in d <= 2, gt.laws.reduced, or gt.sample",
        )


def _require_noise(sampler, target, times, initial) -> None:
    if not float(first_law(sampler, target, times, initial.mean()).root.least()) > 0.0:
        unsupported(
            "the bounds need noise in the last step",
            got=f"{name_of(sampler)}, which is deterministic there",
            expected="a kernel with noise",
            hint="use gt.laws.flow_kl",
        )
