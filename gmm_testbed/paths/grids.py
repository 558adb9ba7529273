r"""Time grids: from `t_max` (noise) down to `t_min` (data), in `num_steps` steps.

With u = sigma/alpha the noise level and i = 0, ..., N:

    uniform     equal steps in t
    quadratic   equal steps in sqrt(t): finer towards the data
    log_snr     equal steps in log(alpha^2/sigma^2), that is geometric in u
    karras      equal steps in u^(1/7)

Source of the last: Karras et al. 2022 (arXiv:2206.00364), equation 5.
"""

from collections.abc import Callable
from types import ModuleType

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Real

from .._checks import check_count, check_real, choose, concrete, floating, require
from .._types import Times
from .analytic import AbstractPath

Ends = Array | np.ndarray

_KARRAS_RHO = 7.0
_CAPACITY = 1024  # times that one program computes at once; longer grids double it


def time_grid(
    path: AbstractPath,
    num_steps: int,
    kind: str = "uniform",
    t_max: Real[ArrayLike, ""] = 1.0,
    t_min: Real[ArrayLike, ""] = 1e-3,
) -> Times:
    """A strictly decreasing grid of times, from exactly `t_max` to exactly `t_min`.

    Args:
        path: gives the noise levels to `log_snr` and `karras`.
        num_steps: N, at least 1.
        kind: `uniform`, `quadratic`, `log_snr` or `karras`.
        t_max: (), first time.
        t_min: (), last time, below `t_max`.

    Returns:
        (num_steps + 1,).

    Raises:
        InputError: if `kind` is unknown, `num_steps` is not a whole number from 1, the
            ends are not 0 <= t_min < t_max <= 1, `log_snr` or `karras` meet an infinite
            log-SNR at an end, or two times are equal in the precision in use.
    """
    spacing = choose(kind, KINDS, "kind of time grid")
    num_steps = check_count(num_steps, "num_steps")
    check_time(t_max)
    check_time(t_min)
    if concrete(t_max, t_min):
        require(
            t_min < t_max,
            "a time grid runs from noise down to data",
            got=f"t_max {float(t_max):g}, t_min {float(t_min):g}",
            expected="t_min < t_max",
            hint="time 1 is noise and time 0 is data: swap them",
        )
    if concrete(*jax.tree.leaves((path, t_max, t_min))):
        ends = np.array([float(t_max), float(t_min)])  # nothing to compile for each N
        spaced = spacing(path, num_steps, ends)
        times = floating(np.concatenate([ends[:1], spaced[1:-1], ends[1:]]))
    else:
        ends = jnp.stack([floating(t) for t in (t_max, t_min)])
        spaced = spacing(path, num_steps, ends)
        times = spaced.at[0].set(ends[0]).at[-1].set(ends[1])
    check_times(times)
    return times


def check_times(times: Real[ArrayLike, "..."]) -> None:
    """Refuses what is not a time grid.

    Raises:
        InputError: unless `times` is one-dimensional with at least two entries that,
            where their values are known, lie in [0, 1] and strictly decrease.
    """
    if not isinstance(times, jax.Array | np.ndarray):
        times = floating(times)
    check_real(times, "a time grid")
    shape = times.shape
    require(
        len(shape) == 1 and shape[0] >= 2,
        "a time grid has the wrong shape",
        got=f"shape {shape}",
        expected="(N + 1,) times for N >= 1 steps",
        hint="build one with time_grid(path, num_steps)",
    )
    if not concrete(times):
        return
    host = np.asarray(times)
    require(
        np.all((host >= 0) & (host <= 1)),
        "a time grid leaves [0, 1]",
        got=f"times from {host.min():g} to {host.max():g}",
        expected="times within [0, 1]",
        hint="time 0 is data and time 1 is noise; divide step numbers by their largest",
    )
    steps = np.diff(host)
    worst = int(np.argmax(steps))
    require(
        steps[worst] < 0,
        "a time grid does not strictly decrease",
        got=f"times[{worst}] {host[worst]:.9g}, then {host[worst + 1]:.9g}",
        expected="times[i + 1] < times[i]",
        hint="start from noise: times[::-1] turns an increasing grid; "
        "equal times come from more steps than the precision can tell apart",
    )


def check_time(t: Real[ArrayLike, "..."]) -> None:
    """Refuses what is not one time.

    Raises:
        InputError: unless `t` is a scalar and, where it is known, in [0, 1].
    """
    require(
        jnp.shape(t) == (),
        "a time has the wrong shape",
        got=f"shape {jnp.shape(t)}",
        expected="a scalar, shape ()",
        hint="everything acts on one point and one time; use jax.vmap for many",
    )
    check_real(t, "a time")
    if concrete(t):
        require(
            0 <= float(t) <= 1,
            "a time is outside [0, 1]",
            got=f"{float(t):g}",
            expected="0 (data) <= t <= 1 (noise)",
            hint="divide a step number by the number of steps",
        )


# The ends are on the host where they are known, and then so is the grid.


def _uniform(path: AbstractPath, num_steps: int, ends: Ends) -> Ends:
    return _library(ends).linspace(ends[0], ends[1], num_steps + 1)


def _quadratic(path: AbstractPath, num_steps: int, ends: Ends) -> Ends:
    return _uniform(path, num_steps, ends**0.5) ** 2


def _log_snr(path: AbstractPath, num_steps: int, ends: Ends) -> Ends:
    spaced = _uniform(path, num_steps, _finite_log_snr(path, ends, "log_snr"))
    return _times_at(path, spaced)


def _karras(path: AbstractPath, num_steps: int, ends: Ends) -> Ends:
    # u^(1/rho) = exp(-log_snr / (2 rho))
    log_snr, xp = _finite_log_snr(path, ends, "karras"), _library(ends)
    spaced = _uniform(path, num_steps, xp.exp(log_snr / (-2.0 * _KARRAS_RHO)))
    return _times_at(path, -2.0 * _KARRAS_RHO * xp.log(spaced))


def _times_at(path: AbstractPath, log_snr: Ends) -> Ends:
    """`time_at_log_snr`; on the host in one program for all lengths up to a power of 2."""
    if _library(log_snr) is jnp:
        return path.time_at_log_snr(log_snr)
    count = log_snr.shape[0]
    spare = max(_CAPACITY, 1 << (count - 1).bit_length()) - count
    found = _at_log_snr(path, floating(np.pad(log_snr, (0, spare), mode="edge")))
    return np.asarray(found)[:count]


@eqx.filter_jit
def _at_log_snr(path, log_snr):
    return path.time_at_log_snr(log_snr)


def _library(values: Ends) -> ModuleType:
    """The library of an array: NumPy, or jax.numpy."""
    return np if isinstance(values, np.ndarray) else jnp


KINDS: dict[str, Callable[[AbstractPath, int, Ends], Ends]] = {
    "uniform": _uniform,
    "quadratic": _quadratic,
    "log_snr": _log_snr,
    "karras": _karras,
}


def _finite_log_snr(path: AbstractPath, ends: Ends, kind: str) -> Ends:
    log_snr = path.log_snr(ends)
    if _library(ends) is np:
        log_snr = np.asarray(log_snr, np.float64)
        name = type(path).__name__
        what = f"a {kind!r} grid needs a finite log-SNR at both ends"
        expected = "alpha and sigma positive at t_max and at t_min"
        require(
            log_snr[0] > -jnp.inf,
            what,
            got=f"alpha(t_max = {float(ends[0]):g}) = 0 on {name}: no signal is left",
            expected=expected,
            hint="choose t_max < 1, for instance t_max=0.999",
        )
        require(
            log_snr[1] < jnp.inf,
            what,
            got=f"sigma(t_min = {float(ends[1]):g}) = 0 on {name}: no noise is left",
            expected=expected,
            hint="choose t_min > 0, for instance t_min=1e-3",
        )
    return log_snr
