r"""The exact reverse step, and the density ratio of paths that it gives.

Given \(x_t\), the posterior of \(x_s\) is that of a noised mixture seen through noise:
\(x_t = a_{ts} x_s + \sqrt{b_{ts}}\, \varepsilon\), so \(p(x_s | x_t, y)\) is a mixture.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key, Scalar, Times, Vector
from ..components import LOG_2PI
from ..kernels.reverse import reverse
from ..mixture import GaussianMixture
from ..problem import Target
from ..sampling import Guided, check_run, sample, standard_initial
from .terms import log_volume, whiten


def reverse_kernel(target: Target, x: Vector, t: Scalar, s: Scalar) -> GaussianMixture:
    """p(x_s | x_t = x, y), a mixture, for s < t; needs alpha_t > 0 or sigma_s > 0."""
    return reverse(target.exact_posterior, target.path, x, t, s)


def path_log_ratio(
    key: Key,
    sampler: Guided,
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
        sampler: `Guided(approximation, kernel)`, with noise in every step.
        target: with a posterior that is a mixture.
        times: (N + 1,), decreasing.
        num: number of paths.
        initial: law at times[0], with a density; \(N(0, \sigma^2 I)\) by default.

    Raises:
        UnsupportedError: if the posterior is not a mixture.
        InputError: if the grid does not decrease within [0, 1].
    """
    times = check_run(sampler, target, times)
    target.posterior(times[0])  # raises if there is none
    if initial is None:
        initial = standard_initial(target, times[0])
    drawn = sample(key, sampler, target, times, num, initial=initial, trajectory=True)
    return _log_ratios(sampler, target, times, initial, drawn.info.trajectory)


@eqx.filter_jit
def _log_ratios(sampler, target, times, initial, paths):
    windows = times[:-1], times[1:]

    def along(path):
        start = initial.log_prob(path[0]) - target.posterior(times[0]).log_prob(path[0])

        def step(total, inputs):
            x, moved, t, s = inputs
            made = sampler.transition(target, x, t, s)
            exact = reverse_kernel(target, x, t, s).log_prob(moved)
            return total + _log_normal(made, moved) - exact, None

        return jax.lax.scan(step, start, (path[:-1], path[1:], *windows))[0]

    return jax.lax.map(along, paths, batch_size=min(paths.shape[0], 4096))


def _log_normal(made, x):
    z = whiten(made.scale, x - made.mean)
    size = jnp.asarray(x.shape[0], x.dtype)
    return -0.5 * (z @ z + size * LOG_2PI) - log_volume(made.scale, size)
