r"""The density of a deterministic sampler at its own samples, in any small dimension.

With \(\Phi = \Phi_N \circ \dots \circ \Phi_1\) the composition of the discrete steps,

\[ \log q(\Phi(x)) = \log \pi(x) - \sum_i \log|\det D\Phi_i| , \]

exact for the discrete scheme as long as \(\Phi\) is injective. With a memory \(\Phi\) is
no product of steps, and the determinant is that of the whole map so far, which carries the
derivatives of the memory. A step that folds space has a determinant that changes sign
between samples; every sample is asked after every step, and a fold is refused. A
determinant that is negative for all is none: an affine step may mirror space. Then
\(KL(q \| p) = E_q[\log q - \log p]\) and \(TV = E_q[(1 - p/q)_+]\) are means over samples.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import _linalg
from ..._checks import check_count, require, unsupported
from ..._types import Key, Times
from ...estimate import Estimate
from ...method import AbstractMethod, name_of
from ...mixture import GaussianMixture
from ...problem import Target
from ...sampling import check_run, initial_law, padded
from . import tangents


class FlowSamples(NamedTuple):
    """Samples and the density of their law.

    Attributes:
        x: (num, d).
        log_density: (num,), of the sampler's law at x.
    """

    x: Float[Array, "num d"]
    log_density: Float[Array, " num"]


def flow_samples(
    key: Key,
    sampler: AbstractMethod,
    target: Target,
    times: Times,
    num: int,
    *,
    initial: GaussianMixture | None = None,
    batch_size: int = 4096,
) -> FlowSamples:
    r"""Samples of a deterministic sampler with their exact log-density.

    Args:
        key: of the starting points.
        sampler: `Guided(approximation, kernel)` with a kernel that adds no noise, or any
            method whose steps are deterministic, with a memory or without.
        target: the problem along its path; a step costs d products and O(d^3).
        times: (N + 1,), decreasing.
        num: number of samples.
        initial: law at times[0], with a density; \(N(0, \sigma^2 I)\) by default.
        batch_size: samples at once.

    Raises:
        UnsupportedError: if the kernel adds noise, the field jumps, or a step folds space
            at a sample: the law has then no density by this formula.
        InputError: if the grid does not decrease within [0, 1], or the initial law is a
            set of atoms.
    """
    call = "gt.laws.flow_samples(key, sampler, target, times, num)"
    target, times = check_run(call, sampler, target, times, key=key)
    num = check_count(num, "num")
    initial = initial_law(sampler, target, times[0], initial)
    require(
        not initial.atomic,
        "the change of variables starts from a density",
        got="an initial law of atoms",
        expected="a mixture with densities",
        hint="noise it: mixture.noised(alpha, sigma)",
    )
    _require_smooth_flow(sampler, target, times, initial)
    starts, log_starts = _drawn(key, initial, num)
    count = jnp.asarray(times.shape[0] - 1)
    size = max(min(batch_size, num), 1)
    x, log_density, signs = _pushed(
        sampler, target, padded(times), count, starts, log_starts, size
    )
    _refuse_folds(np.asarray(signs)[:, : len(times) - 1])
    return FlowSamples(x, log_density)


def _refuse_folds(signs) -> None:
    """Refuses steps whose determinants (num, N) have not one sign at all samples."""
    few = np.minimum((signs <= 0).sum(axis=0), (signs >= 0).sum(axis=0))
    folded = few > 0  # a 0 stands for NaN too
    if folded.any():
        first = int(np.argmax(folded))
        unsupported(
            "a deterministic step folds space",
            got=f"{few[first]} of {len(signs)} samples reversed beside the others at step "
            f"{first + 1} of {signs.shape[1]}",
            expected="steps whose Jacobian has a determinant of one sign",
            hint="the guidance is too stiff for steps this long: take more steps, or a "
            "kernel with noise and gt.laws.sandwich_kl",
        )


def flow_kl(
    key: Key,
    sampler: AbstractMethod,
    target: Target,
    times: Times,
    num: int,
    *,
    initial: GaussianMixture | None = None,
    mixture: GaussianMixture | None = None,
) -> Estimate:
    """KL(law || mixture) of a deterministic sampler's output in nats, unbiased.

    Args:
        key: of the starting points.
        sampler: as `flow_samples`, like the rest.
        target: the problem along its path.
        times: (N + 1,), decreasing.
        num: number of samples.
        initial: law at times[0].
        mixture: the exact posterior marginal at times[-1] by default.

    Raises:
        UnsupportedError: as `flow_samples`.
    """
    found = flow_samples(key, sampler, target, times, num, initial=initial)
    return Estimate.mean_of(
        found.log_density - _log_prob(target, times, mixture, found)
    )


def flow_tv(
    key: Key,
    sampler: AbstractMethod,
    target: Target,
    times: Times,
    num: int,
    *,
    initial: GaussianMixture | None = None,
    mixture: GaussianMixture | None = None,
) -> Estimate:
    """Total variation of law and mixture, unbiased; arguments as `flow_kl`."""
    found = flow_samples(key, sampler, target, times, num, initial=initial)
    log_ratio = _log_prob(target, times, mixture, found) - found.log_density
    return Estimate.mean_of(-jnp.expm1(jnp.minimum(log_ratio, 0.0)))


def _log_prob(target, times, mixture, found):
    if mixture is None:
        mixture = target.posterior(times[-1])
    return _log_probs(mixture, found.x)


@eqx.filter_jit
def _drawn(key, initial, num: int):
    points = initial.sample(key, num)
    return points, jax.lax.map(initial.log_prob, points, batch_size=4096)


@eqx.filter_jit
def _log_probs(mixture, points):
    return jax.lax.map(mixture.log_prob, points, batch_size=4096)


@eqx.filter_jit
def _pushed(sampler, target, times, steps, starts, log_starts, size: int):
    """Positions, log-densities, and the sign of the determinant after every step."""

    def particle(start):
        def body(j, carry):
            state, log_start, _, signs = carry
            state = tangents.moved(sampler, target, state, times[j], times[j + 1])
            sign, log_det = _linalg.sign_and_log_det(state.slopes)
            log_density = log_start - log_det
            sign = (sign > 0).astype(jnp.int8) - (sign < 0).astype(jnp.int8)  # NaN is 0
            if state.forgets:  # the next step starts from here, well conditioned
                eye = jnp.eye(state.x.shape[0], dtype=state.x.dtype)
                state, log_start = state._replace(slopes=eye), log_density
            return state, log_start, log_density, signs.at[j].set(sign)

        x, log_start = start
        state = tangents.started(sampler, target, x, times[0])
        carry = state, log_start, log_start, jnp.ones(times.shape[0], jnp.int8)
        state, _, log_density, signs = jax.lax.fori_loop(0, steps, body, carry)
        return state.x, log_density, signs

    return jax.lax.map(particle, (starts, log_starts), batch_size=size)


def _require_smooth_flow(sampler, target, times, initial) -> None:
    tangents.require_flow(sampler, target, times, initial.mean())
    if not sampler.facts.smooth and target.problem.measurement.dim_y == 1:
        unsupported(
            "the field of this sampler jumps where the residual vanishes",
            got=f"{name_of(sampler)} with one measurement",
            expected="a smooth field",
            hint="use a kernel with noise and gt.laws.sandwich_kl",
        )
