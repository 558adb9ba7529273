r"""The divergence of paths by finer and finer grids: what `frozen` says in closed form.

A score that is frozen at \(t_k\) is used in k substeps of a cell. The exact reverse step of
a substep depends on its start x alone, the sampler's on \(x_k\) too, and \(x_k\) given x is
one step of the forward process, so that each substep costs

\[ E_x\, E_{x_k | x}\, KL\Big(p(\cdot | x) \,\Big\|\, N\Big(e^{\theta h} x
   + \tfrac{2 (e^{\theta h} - 1)}\theta \hat V_k(x_k),
   \tfrac{e^{2\theta h} - 1}\theta\Big)\Big) , \]

nested sums that know neither Girsanov's theorem nor a martingale. The divergence of the
states on the finer grid grows to that of the paths, and is short of it by \(O(k^{-2})\).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._types import Scalar, Times
from ...divergences import line_expectation
from ...mixture import GaussianMixture
from ...mixture.components import LOG_2PI
from ...paths import OU

_COUNTS = (1, 2, 4)  # substeps of a cell
_NODES = 81  # a component and sum; 4.5 a standard deviation


def of_paths(posterior: GaussianMixture, path: OU, times: Times, theta, error):
    """Divergence of the states on the grid, and that of the paths, in nats.

    Args:
        posterior: on the line.
        path: Ornstein-Uhlenbeck.
        times: of the grid.
        theta: () of the drift that is not frozen.
        error: () constant error of the score.
    """
    once, twice, often = _chains(posterior, path, times, theta, error)
    first, second = (4.0 * twice - once) / 3.0, (4.0 * often - twice) / 3.0
    return once, second + (second - first) / 15.0


@eqx.filter_jit
def _chains(posterior, path, times, theta, error):
    """The divergence of the states with 1, 2 and 4 substeps a cell."""
    ends = [np.linspace(1.0, 0.0, count + 1) for count in _COUNTS]
    starts = jnp.asarray(np.concatenate([end[:-1] for end in ends]), times.dtype)
    stops = jnp.asarray(np.concatenate([end[1:] for end in ends]), times.dtype)

    def cell(window):
        t, s = window

        def cost(part):
            begin, end = (s + (t - s) * share for share in part)
            return _substep(posterior, path, (t, begin, end), theta, error)

        return jax.lax.map(cost, (starts, stops))

    costs = jnp.sum(jax.lax.map(cell, (times[:-1], times[1:])), axis=0)
    return tuple(jnp.sum(part) for part in jnp.split(costs, np.cumsum(_COUNTS)[:-1]))


def _substep(posterior, path, times, theta, error) -> Scalar:
    """From the second to the third of the times, with the score of the first."""
    frozen_at, begin, end = times
    here, earlier, origin = (
        posterior.noised(path.alpha(t), path.sigma(t)) for t in (begin, end, frozen_at)
    )
    (kept, noise), (back, fresh) = (
        _forward(path, *pair) for pair in ((frozen_at, begin), (begin, end))
    )
    h = (begin - end) * path.T
    gain, variance = (
        2.0 * jnp.expm1(theta * h) / theta,
        jnp.expm1(2.0 * theta * h) / theta,
    )
    normal = GaussianMixture.isotropic([1.0], jnp.zeros((1, 1), h.dtype), 1.0)

    def at(x):
        exact = earlier.denoised(x, back, fresh)
        mean = exact.mean()

        def square(z):
            x_k = kept * x + noise * z
            value = origin.score(x_k) + 0.5 * (1.0 - theta) * x_k + error
            return jnp.sum((mean - jnp.exp(theta * h) * x - gain * value) ** 2)

        spread = exact.total_variance() + line_expectation(normal, square, _NODES)
        log_exact = line_expectation(exact, exact.log_prob, _NODES)
        return log_exact + 0.5 * (LOG_2PI + jnp.log(variance) + spread / variance)

    return line_expectation(here, at, _NODES)


def _forward(path, t, s):
    """Signal and noise of x_t given x_s, s < t."""
    apart = (t - s) * path.T
    return jnp.exp(-apart), jnp.sqrt(-jnp.expm1(-2.0 * apart))
