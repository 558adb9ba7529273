r"""The exact reverse step, and the density ratio of paths that it gives.

Given \(x_t\), the posterior of \(x_s\) is that of a noised mixture seen through noise:
\(x_t = a_{ts} x_s + \sqrt{b_{ts}}\, \varepsilon\), so \(p(x_s | x_t, y)\) is a mixture.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Times
from ..densities.base import over_points
from ..method import AbstractDescribed
from ..mixture import GaussianMixture
from ..problem import Target
from ..sampling import check_run, initial_law, sample
from .mixture_terms import require_one_law, reverse_kernel
from .path import BLOCK, blocks


def path_log_ratio(
    key: Key,
    sampler: AbstractDescribed,
    target: Target,
    times: Times,
    num: int,
    *,
    initial: GaussianMixture | None = None,
) -> Float[Array, " num"]:
    r"""log dQ/dP along `num` paths of the sampler: Q its law, P the exact posterior's.

    Their mean is KL(Q || P) of paths, which bounds KL(law || exact) at the end; the mean
    of exp(-ratio) is 1.

    Args:
        key: of the paths.
        sampler: a method of one explicit law a step, Gaussian or a mixture, with noise.
        target: with a posterior that is a mixture.
        times: (N + 1,), decreasing.
        num: number of paths.
        initial: law at times[0], with a density; \(N(0, \sigma^2 I)\) by default.

    Raises:
        UnsupportedError: if the posterior is not a mixture, or the law of a step is not
            explicit or the step has several legs.
        InputError: if the grid does not decrease within [0, 1].
    """
    call = "gt.path_log_ratio(key, sampler, target, times, num)"
    target, times = check_run(call, sampler, target, times, key=key)
    require_one_law(sampler)
    target.posterior(times[0])  # raises if there is none
    initial = initial_law(sampler, target, times[0], initial)
    drawn = sample(key, sampler, target, times, num, initial=initial, trajectory=True)
    paths = np.asarray(drawn.info.trajectory)
    return log_ratio_of(paths, sampler, target, times, initial)


def log_ratio_of(
    paths: Float[np.ndarray | Array, "num n d"],
    sampler: AbstractDescribed,
    target: Target,
    times: Times,
    initial: GaussianMixture,
) -> Float[Array, " num"]:
    """log dQ/dP of given paths, drawn from whatever law.

    Args:
        paths: states at every time.
        sampler: as `path_log_ratio`.
        target: with a posterior that is a mixture.
        times: (N + 1,), decreasing.
        initial: law of the sampler at times[0].
    """
    total = _start(target, times[0], initial, paths[:, 0])
    for first, (windows, used) in zip(itertools.count(0, BLOCK), blocks(times)):
        steps = np.minimum(first + np.arange(BLOCK), times.shape[0] - 2)
        moves = paths[:, steps], paths[:, steps + 1]
        total = _block(sampler, target, windows, used, moves, total)
    return total


@eqx.filter_jit
def _start(target, t, initial, points):
    exact = target.posterior(t)
    return over_points(lambda x: initial.log_prob(x) - exact.log_prob(x), points)


@eqx.filter_jit
def _block(sampler, target, windows, used, moves, totals):
    """Adds a block of steps to the sum of every path."""

    def along(path):
        def step(total, inputs):
            x, moved, (t, s), counted = inputs
            made = sampler.transition(target, x, t, s)
            exact = reverse_kernel(target, x, t, s).log_prob(moved)
            return total + jnp.where(counted, made.log_prob(moved) - exact, 0.0), None

        *moves, total = path
        return jax.lax.scan(step, total, (*moves, windows, used))[0]

    return over_points(along, (*moves, totals))
