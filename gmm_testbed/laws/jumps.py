r"""Where a field jumps: the trapezoidal rule split by a smooth partition of unity.

A residual-normalised step, r / |r|, is a sign on the line: the means of the transitions
jump where the residual r(x) = y - f(m(x)) of a single measurement vanishes. Around each
jump the sources are shared out by a smooth window \(\varphi\), one near the jump:

\[ \int f = \int f (1 - \varphi) + \int f \varphi . \]

The first integrand is smooth, so the uniform nodes keep their spectral accuracy; the
second is done by Gauss-Legendre rules on either side of the jump.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .line_steps import TILE_WIDTH

_PLATEAU, _SLOPE = 9.6, 1.8  # cells; erfc(9.6 / 1.8) = 4e-14
_HALF = _PLATEAU + 5.3 * _SLOPE  # cells to where the window vanishes
_LEGENDRE = np.polynomial.legendre.leggauss(64)


@eqx.filter_jit
def _residuals(target, points, t):
    return jax.vmap(lambda x: _residual(target, x, t))(points)


def _residual(target, x, t):
    problem = target.problem
    return problem.y[0] - problem.measurement.apply(target.prior_mean(x[None], t))[0]


def locate(target, t, nodes: np.ndarray, active: np.ndarray) -> list[float]:
    """Zeros of the residual among the active nodes (n,), to rounding."""
    if target.problem.measurement.dim_y != 1:
        return []  # r / |r| jumps only where every residual vanishes at once
    signs = np.sign(np.asarray(_residuals(target, nodes, t)))
    cells = np.flatnonzero((signs[1:] != signs[:-1]) & (active[1:] | active[:-1]))
    return [float(_root(target, t, nodes[cell], nodes[cell + 1])) for cell in cells]


@eqx.filter_jit
def _root(target, t, lower, upper):
    """The zero of the residual in a bracket, by bisection to rounding."""
    rising = _residual(target, lower, t) < 0

    def halve(_, bracket):
        lower, upper = bracket
        middle = 0.5 * (lower + upper)
        left = (_residual(target, middle, t) < 0) == rising
        return jnp.where(left, middle, lower), jnp.where(left, upper, middle)

    lower, upper = jax.lax.fori_loop(0, 60, halve, (lower, upper))
    return 0.5 * (lower + upper)


def overlap(jumps: list[float], spacing: float) -> bool:
    """Whether two windows would touch: the grid is then too coarse."""
    return bool((np.diff(np.sort(jumps)) < 2 * _HALF * spacing).any())


def window(nodes: np.ndarray, jump: float, spacing: float) -> np.ndarray:
    """The window around a jump at the nodes, in [0, 1]."""
    cells = np.abs(nodes - jump) / spacing
    return np.asarray(_smooth_step(cells))


@jax.jit
def _smooth_step(cells):
    return 0.5 * jax.scipy.special.erfc((cells - _PLATEAU) / _SLOPE)


def legendre(jump: float, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and window-weighted quadrature weights about a jump, a whole tile of each."""
    half = _HALF * spacing
    unit, weight = _LEGENDRE
    left = jump - 0.5 * half * (1.0 - unit)
    right = jump + 0.5 * half * (1.0 + unit)
    nodes = np.concatenate([left, right])
    weights = np.tile(0.5 * half * weight, 2) * window(nodes, jump, spacing)
    spare = TILE_WIDTH - nodes.size
    return np.pad(nodes, (0, spare), mode="edge"), np.pad(weights, (0, spare))
