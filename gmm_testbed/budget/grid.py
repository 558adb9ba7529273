r"""The time grid with the least discretisation error of the path divergence.

To leading order N steps cost \(\tfrac14 \int \Delta |mmse'| ds\), with \(\Delta\) the
step in the signal-to-noise ratio s. The least, with
\(\Delta \propto |mmse'|^{-1/2}\), is \(\tfrac1{4N} (\int |mmse'|^{1/2} ds)^2\): equal
increments of \(\int |mmse'|^{1/2} ds\). For one Gaussian of variance v these are equal
increments of \(\log(1 + v s)\).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Real

from .._arguments import check_kinds
from .._checks import check_count, require
from .._types import Key, Times
from ..estimate import Estimate
from ..paths.grids import check_times, time_grid
from ..problem import Target
from . import information

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

    It depends on the posterior of the target, unlike the other kinds of `gt.time_grid`.

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
    check_kinds(
        "gt.optimal_grid(target, num_steps)",
        target=(target, Target, "a gt.Target: the grid depends on the posterior"),
    )
    num_steps = check_count(num_steps, "num_steps")
    ends = time_grid(target.path, 1, t_max=t_max, t_min=t_min)
    level, spent, unit, _ = _table(target, ends, key, num)
    wanted = np.linspace(0.0, spent[-1], num_steps + 1)[1:-1]
    log_snr = np.log(np.expm1(np.interp(wanted, spent, level)) / unit)
    inner = target.path.time_at_log_snr(jnp.asarray(log_snr, ends.dtype))
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
    r"""N times the discretisation term of `optimal_grid` as N grows, in nats.

    The constant \(\tfrac14 (\int |mmse'|^{1/2} ds)^2\): about `leading_order(...) / N`
    nats are the least that N steps can cost, and N must be about `leading_order(...) / e`
    for a discretisation term of e nats.

    Args:
        target: with a posterior that is a mixture.
        t_max: (), first time.
        t_min: (), last time, with sigma > 0.
        key: of samples, needed if d > 1 and there are several components.
        num: number of samples.

    Raises:
        InputError: as `gt.time_grid`.
        UnsupportedError: if the posterior is not a mixture, or samples need a key.
    """
    ends = time_grid(target.path, 1, t_max=t_max, t_min=t_min)
    _, spent, _, how = _table(target, ends, key, num)
    return Estimate(0.25 * spent[-1] ** 2, how=how)


def _table(target, ends, key, num):
    """Levels log(1 + unit * snr), the integral of |mmse'|^(1/2) up to each, the unit."""
    target.posterior(ends[0])  # raises if there is none
    posterior = target.exact_posterior
    unit = float(posterior.total_variance()) / posterior.dim
    unit = unit if unit > 0 else 1.0  # a posterior of one atom has no scale
    ends = np.log1p(unit * np.exp(np.asarray(target.path.log_snr(ends), float)))
    require(
        ends[1] < np.inf,
        "an optimal grid needs a finite log-SNR at its end",
        got="no noise is left at t_min",
        expected="sigma > 0 at t_min",
        hint="choose t_min > 0, for instance t_min=1e-3",
    )
    level = np.linspace(*ends, _TABLE + 1)
    snr = np.expm1(level) / unit
    slope = information.mmse_slope(posterior, jnp.asarray(snr), key, num)
    rate = (
        np.sqrt(-np.asarray(slope.value, float)) * np.exp(level) / unit
    )  # for d level
    steps = 0.5 * (rate[1:] + rate[:-1]) * np.diff(level)
    spent = np.concatenate([[0.0], np.cumsum(steps)])
    return level, spent, unit, slope.how
