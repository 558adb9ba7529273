r"""The weights of a sampler's paths, from the denoiser and the measurement alone.

Let P be the model's unguided chain over a grid, \(P^y \propto P(x_{0:N})\, p(y|m(x_N))\)
its posterior of paths, and Q the chain of a guided sampler with steps that have a density.
Then

\[ W = \frac{P(x_{0:N})}{Q(x_{0:N})}\, p(y | m(x_N)), \qquad
   \frac{dP^y}{dQ} = \frac{W}{E_Q W}, \qquad E_Q W = p(y) , \]

for any number of steps, and with S = log W

\[ KL(Q \| P^y) = \log E_Q e^S - E_Q S, \qquad
   KL(P^y \| Q) = \frac{E_Q S e^S}{E_Q e^S} - \log E_Q e^S , \]

each at least the divergence of the outputs (data processing). For any twist \(\psi > 0\)
S telescopes into \(\log(\psi\,p/q)\) at the start and one term a step,

\[ r_k = \log\frac{p(x_{k+1}|x_k)}{q(x_{k+1}|x_k)} + \log\psi_{k+1}(x_{k+1})
   - \log\psi_k(x_k) , \]

\(\psi_N = p(y|m)\): zero for every step if \(\psi\) is the likelihood \(p(y|x_t)\) of the
chain and q its h-transform. So \(r_k\) is the residual of the h-transform over a step, and
its share of the variance of S says at which noise levels the sampler is wrong. As steps
shrink, \(r_k\) becomes R dv of `gt.smc.residual`.

Source: theorem T14 of `gt.bounds`, in discrete time; the weights are those of the twisted
diffusion sampler (Wu et al. 2023, arXiv:2306.17775) without resampling.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Scalar, Times
from ..algorithms import Guided
from ..approximations import DPS, log_twist
from ..estimate import Estimate
from ..method import AbstractMarkov, standard_start
from ..problem import Target
from ..random import Draws, key_words
from ..sampling import draw_starts, initial_law

FEW = 50  # effective paths below which nothing is concluded from weights


class PathWeights(NamedTuple):
    """Paths of a sampler and what they weigh.

    Attributes:
        x: (n, d), states at the last time.
        log_weights: (n,), S = log W, not normalised.
        effective: () number of paths that count, (sum W)^2 / sum W^2.
        log_evidence: log p(y) of the model, an `Estimate`; its error is NaN of less than
            fifty effective paths, as all below.
        divergence: KL(Q || P^y) of paths in nats, at least that of the outputs.
        divergence_from: KL(P^y || Q).
        noise_levels: (N + 1,), sigma / alpha at the times of the grid.
        residuals: (N + 1, 2) mean and standard deviation of the start's term, then of
            each r_k.
        shares: (N + 1,) of the variance of S that each term makes; their sum is 1, and
            one may be negative.
    """

    x: Float[Array, "n d"]
    log_weights: Float[Array, " n"]
    effective: Scalar
    log_evidence: Estimate
    divergence: Estimate
    divergence_from: Estimate
    noise_levels: Float[Array, " times"]
    residuals: Float[Array, "times 2"]
    shares: Float[Array, " times"]

    @property
    def normalised(self) -> Float[Array, " n"]:
        """(n,), which sum to 1."""
        return jnp.exp(self.log_weights - jax.nn.logsumexp(self.log_weights))

    def where(self) -> tuple[float, float, float]:
        """The narrowest range of noise levels that makes most of the variance of S.

        Returns:
            Lowest and highest sigma / alpha, and the share of the variance between.
        """
        return narrowest(np.asarray(self.noise_levels), np.asarray(self.shares))


def path_weights(
    key: Key,
    method: AbstractMarkov,
    model: Guided,
    target: Target,
    times: Times,
    num: int,
) -> PathWeights:
    """Runs a sampler and weighs its paths.

    The twist is the one that the approximation of a guided sampler implies, else the
    likelihood at the denoised mean; the weights do not depend on it.

    Args:
        key: random key.
        method: without memory, with Gaussian steps that have noise.
        model: the unguided chain.
        target: its denoiser, measurement and y.
        times: (N + 1,).
        num: paths.
    """
    twist = method.approximation if isinstance(method, Guided) else DPS()
    law = initial_law(method, target, times[0])
    starts = draw_starts(key, law, num)
    found = _run(
        jax.random.fold_in(key, 1), method, model, twist, target, times, starts
    )
    x, terms = found
    S = jnp.sum(terms, axis=0)
    path = target.path
    levels = jnp.asarray([path.sigma(t) / path.alpha(t) for t in times])
    return PathWeights(x, S, *summary(S), levels, *_profile(terms, S))


def summary(
    S: Float[Array, " n"], what: str = "paths"
) -> tuple[Scalar, Estimate, Estimate, Estimate]:
    """Effective number, log-evidence and both divergences of log-weights (n,).

    Args:
        S: (n,), not normalised.
        what: is weighed, for `Estimate.how`.
    """
    count = S.shape[0]
    log_mean = jax.nn.logsumexp(S) - jnp.log(count)
    weights = jnp.exp(S - log_mean)  # of mean 1
    effective = count / jnp.mean(weights**2)
    tilted = jnp.mean(weights * S)

    def estimate(value, slopes):
        """A function of means, with the error of its derivative along the samples."""
        error = jnp.where(effective < FEW, jnp.nan, Estimate.mean_of(slopes).stderr)
        return Estimate(
            value, error, f"{count} {what}, {float(effective):.3g} effective"
        )

    return (
        effective,
        estimate(log_mean, weights),
        estimate(log_mean - jnp.mean(S), weights - S),
        estimate(tilted - log_mean, weights * (S - tilted - 1.0)),
    )


@eqx.filter_jit
def _run(key, method, model, twist, target, times, starts):
    """Last states (n, d), and the terms of S, (N + 1, n)."""
    problem = target.problem

    def psi(x, t):
        return log_twist(twist, target, x, t)

    def start(x):
        t = times[0]
        ratio = standard_start(model, target, t).log_prob(x)
        ratio = ratio - method.start(target, t).log_prob(x)
        return ratio + psi(x, t)

    def step(x, inputs):
        t, s, j = inputs
        last = j + 1 == times.shape[0] - 1

        def one(words, x):
            law = method.transition(target, x, t, s)
            new = law.draw(Draws(words, j))
            ratio = model.transition(target, x, t, s).log_prob(new) - law.log_prob(new)
            return new, ratio - psi(x, t)

        def end(x):
            mean = target.denoise(x, s).mean
            return problem.measurement.log_prob(problem.y, mean)

        new, terms = jax.vmap(one)(words, x)
        after = jax.lax.cond(last, jax.vmap(end), jax.vmap(lambda x: psi(x, s)), new)
        return new, terms + after

    slots = jnp.arange(starts.shape[0])
    words = jax.vmap(lambda slot: key_words(jax.random.fold_in(key, slot)))(slots)
    inputs = times[:-1], times[1:], jnp.arange(times.shape[0] - 1)
    x, terms = jax.lax.scan(step, starts, inputs)
    return x, jnp.concatenate([jax.vmap(start)(starts)[None], terms])


def _profile(terms, S):
    """Means and deviations of the terms, (N + 1, 2), and their shares of Var S."""
    mean, spread = jnp.mean(terms, axis=1), jnp.std(terms, axis=1)
    covariances = jnp.mean((terms - mean[:, None]) * (S - jnp.mean(S))[None], axis=1)
    variance = jnp.var(S)
    shares = covariances / jnp.where(variance > 0, variance, 1.0)
    return jnp.stack([mean, spread], axis=1), shares


def narrowest(levels, shares, least: float = 0.8) -> tuple[float, float, float]:
    """Of the runs of neighbouring terms with a share of `least`, the shortest.

    Term k lies between the levels k - 1 and k; the first is the start.

    Args:
        levels: (N + 1,), decreasing.
        shares: (N + 1,).
        least: the share.

    Returns:
        Lowest and highest level, and the share between them.
    """
    below = np.concatenate([[0.0], np.cumsum(shares)])
    best = 0, len(shares)
    for first in range(len(shares)):
        reach = np.flatnonzero(below[first + 1 :] - below[first] >= least)
        if reach.size and reach[0] + 1 < best[1] - best[0]:
            best = first, first + int(reach[0]) + 1
    share = float(below[best[1]] - below[best[0]])
    return float(levels[best[1] - 1]), float(levels[max(best[0] - 1, 0)]), share
