r"""Where a field jumps: the trapezoidal rule split by a smooth partition of unity.

A residual-normalised step, r / |r|, is a sign on the line: the means of the transitions
jump where the residual r(x) = y - f(m(x)) of a single measurement vanishes. Around each
jump the sources are shared out by a smooth window \(\varphi\), one near the jump:

\[ \int f = \int f (1 - \varphi) + \int f \varphi . \]

The first integrand is smooth, so the uniform nodes keep their spectral accuracy; the
second is done by Gauss-Legendre rules on either side of the jump.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import erfc

from .programs import TILE_WIDTH, Fixed, arguments, compiled, filled, fixed, in_tiles

_PLATEAU, _SLOPE = 9.6, 1.8  # cells; erfc(9.6 / 1.8) = 4e-14
_HALF = _PLATEAU + 5.3 * _SLOPE  # cells to where the window vanishes
_AROUND = np.arange(-22, 23)  # nodes that a window reaches: 9.6 + 6 x 1.8 cells
_LEGENDRE = np.polynomial.legendre.leggauss(TILE_WIDTH // 2)
_ROOTS = 64  # brackets in a call


class Rule(NamedTuple):
    """A quadrature rule for each of several times.

    Attributes:
        points: (rows, n + extra): the uniform nodes, then those about jumps.
        weight: (rows, n + extra).
    """

    points: np.ndarray
    weight: np.ndarray


def jumping(target) -> Fixed | None:
    """A problem whose residual changes sign; None if there are several measurements.

    With several r / |r| jumps only where every residual vanishes.
    """
    return fixed(target) if target.problem.measurement.dim_y == 1 else None


def rule(jumping, times, nodes, spacing: float, active=True) -> Rule | None:
    """The rule at each time, or None where the nodes are too coarse for the jumps.

    Args:
        jumping: of the target; None if the field does not jump.
        times: (rows,).
        nodes: (n,) uniform.
        spacing: of the nodes.
        active: (n,), where the law has mass: jumps elsewhere are left alone.
    """
    shape = len(times), len(nodes)
    points, weight = np.broadcast_to(nodes, shape), np.full(shape, spacing, nodes.dtype)
    if jumping is None:
        return Rule(points, weight)
    found = locate(jumping, times, points, np.broadcast_to(active, nodes.shape))
    close = 2 * _HALF * spacing
    if any(len(row) > 1 and (np.diff(np.sort(row)) < close).any() for row in found):
        return None  # two windows would touch
    count, most = len(nodes), max(map(len, found))
    if not most:
        return Rule(points, weight)
    extra = shape[0], most * TILE_WIDTH
    points = np.concatenate([points, np.full(extra, nodes[0])], axis=1)
    weight = np.concatenate([weight, np.zeros(extra, weight.dtype)], axis=1)
    for k in range(most):
        rows = np.array([row for row, jumps in enumerate(found) if len(jumps) > k])
        jumps = np.array([found[row][k] for row in rows])[:, None]
        near = np.rint((jumps - nodes[0]) / spacing).astype(int) + _AROUND
        near = np.clip(near, 0, count - 1)
        weight[rows[:, None], near] *= 1.0 - _window(nodes[near], jumps, spacing)
        place = slice(count + k * TILE_WIDTH, count + (k + 1) * TILE_WIDTH)
        points[rows, place], weight[rows, place] = _legendre(jumps, spacing)
    return Rule(points, weight)


def locate(jumping, times, points, active) -> list[np.ndarray]:
    """Zeros of the residual among the active nodes, to rounding: an array for each row."""
    if jumping is None:
        return [np.zeros(0)] * len(times)
    times = np.asarray(times, points.dtype)
    residual = in_tiles(_residuals, jumping, points, times)[0]
    changes = np.sign(residual[:, 1:]) != np.sign(residual[:, :-1])
    row, cell = np.nonzero(changes & (active[1:] | active[:-1]))
    if not row.size:
        return [np.zeros(0)] * len(times)
    lower, upper, t = (
        filled(values, _ROOTS).reshape(-1, _ROOTS)
        for values in (points[row, cell], points[row, cell + 1], times[row])
    )
    roots = [
        np.asarray(_roots(*jumping, *some))
        for some in zip(t, lower, upper, strict=True)
    ]
    roots = np.concatenate(roots)[: row.size]
    return [roots[row == k] for k in range(len(times))]


def _residual(target, x, t):
    problem = target.problem
    return problem.y[0] - problem.measurement.apply(target.prior_mean(x[None], t))[0]


@compiled
def _residuals(arrays, rest, tiles, t):
    (target,) = arguments(arrays, rest)
    over_points = jax.vmap(_residual, in_axes=(None, 0, None))
    return (jax.vmap(over_points, in_axes=(None, 0, 0))(target, tiles, t),)


@compiled
def _roots(arrays, rest, t, lower, upper):
    """The zero of the residual in each bracket, by bisection to rounding."""
    (target,) = arguments(arrays, rest)

    def root(t, lower, upper):
        rising = _residual(target, lower, t) < 0

        def halve(_, bracket):
            lower, upper = bracket
            middle = 0.5 * (lower + upper)
            left = (_residual(target, middle, t) < 0) == rising
            return jnp.where(left, middle, lower), jnp.where(left, upper, middle)

        lower, upper = jax.lax.fori_loop(0, 60, halve, (lower, upper))
        return 0.5 * (lower + upper)

    return jax.vmap(root)(t, lower, upper)


def _window(nodes: np.ndarray, jump: np.ndarray, spacing: float) -> np.ndarray:
    """The window around jumps (rows, 1) at nodes (rows, n), in [0, 1]."""
    slope = (np.abs(nodes - jump) / spacing - _PLATEAU) / _SLOPE
    window = (slope < 0.0).astype(nodes.dtype)
    between = np.abs(slope) < 6.0  # erfc(6) = 2e-17
    window[between] = 0.5 * erfc(slope[between])
    return window


def _legendre(jump: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and window-weighted weights about jumps (rows, 1), a whole tile of each."""
    half = _HALF * spacing
    unit, weight = _LEGENDRE
    left = jump - 0.5 * half * (1.0 - unit)
    right = jump + 0.5 * half * (1.0 + unit)
    nodes = np.concatenate([left, right], axis=1)
    return nodes, np.tile(0.5 * half * weight, 2) * _window(nodes, jump, spacing)
