r"""The time grid with the least discretisation error of the path divergence.

To leading order N steps cost \(\tfrac14 \int \Delta |mmse'| ds\), with \(\Delta\) the
step in the signal-to-noise ratio s. The least, with
\(\Delta \propto |mmse'|^{-1/2}\), is \(\tfrac1{4N} (\int |mmse'|^{1/2} ds)^2\): equal
increments of \(\int |mmse'|^{1/2} ds\). For one Gaussian of variance v these are equal
increments of \(\log(1 + v s)\).
"""

import jax.numpy as jnp
from jaxtyping import ArrayLike, Real

from .. import information
from .._types import Key, Times
from ..estimate import Estimate
from ..problem import Target
from ..time_grids import check_times, time_grid

_TABLE = 512  # steps of the table that is inverted, uniform in log(1 + unit * snr)


def optimal_grid(
    target: Target,
    num_steps: int,
    t_max: Real[ArrayLike, ""] = 1.0,
    t_min: Real[ArrayLike, ""] = 1e-3,
    *,
    key: Key | None = None,
    num: int = 1024,
) -> Times:
    """The best grid for DDPM with the exact field, to leading order in 1 / N.

    It depends on the posterior of the target, unlike the kinds of `gt.time_grid`.

    Args:
        target: with a posterior that is a mixture.
        num_steps: N, at least 1.
        t_max: (), first time.
        t_min: (), last time, with sigma > 0.
        key: of samples, needed if d > 1 and there are several components.
        num: number of samples.

    Returns:
        (num_steps + 1,), from exactly `t_max` to exactly `t_min`.

    Raises:
        InputError: as `gt.time_grid`.
        UnsupportedError: if the posterior is not a mixture, or samples need a key.
    """
    ends = time_grid(target.path, 1, t_max=t_max, t_min=t_min)
    level, spent, unit, _ = _table(target, ends, key, num)
    wanted = jnp.linspace(0.0, spent[-1], num_steps + 1, dtype=spent.dtype)
    snr = jnp.expm1(jnp.interp(wanted, spent, level)) / unit
    inner = target.path.time_at_log_snr(jnp.log(snr[1:-1]))
    times = jnp.concatenate([ends[:1], inner, ends[1:]])
    check_times(times)
    return times


def leading_order(
    target: Target,
    t_max: Real[ArrayLike, ""] = 1.0,
    t_min: Real[ArrayLike, ""] = 1e-3,
    *,
    key: Key | None = None,
    num: int = 1024,
) -> Estimate:
    """N times the discretisation term of the optimal grid, as N grows; in nats."""
    ends = time_grid(target.path, 1, t_max=t_max, t_min=t_min)
    _, spent, _, how = _table(target, ends, key, num)
    return Estimate(0.25 * spent[-1] ** 2, how=how)


def _table(target, ends, key, num):
    """Levels log(1 + unit * snr), the integral of |mmse'|^(1/2) up to each, the unit."""
    target.posterior(ends[0])  # raises if there is none
    posterior = target.exact_posterior
    unit = posterior.total_variance() / posterior.dim
    unit = jnp.where(unit > 0, unit, 1.0)  # a posterior of one atom has no scale
    low, high = jnp.log1p(unit * jnp.exp(target.path.log_snr(ends)))
    level = jnp.linspace(low, high, _TABLE + 1)
    snr = jnp.expm1(level) / unit
    slope = information.mmse_slope(posterior, snr, key, num)
    rate = jnp.sqrt(-slope.value) * jnp.exp(level) / unit  # for d level
    steps = 0.5 * (rate[1:] + rate[:-1]) * jnp.diff(level)
    spent = jnp.concatenate([jnp.zeros(1, steps.dtype), jnp.cumsum(steps)])
    return level, spent, unit, slope.how
