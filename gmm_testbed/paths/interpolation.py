r"""Monotone cubic interpolation: value, derivative and inverse.

Between two rows the curve is the cubic with the given values and slopes; the slopes are
those of Fritsch and Butland (SIAM J. Sci. Stat. Comput. 5, 1984, 300-304), so the curve
has a continuous derivative and is monotone wherever the rows are. Outside the rows it
goes on along its end tangents.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_HALVINGS = 60  # more than the digits of float64


class MonotoneCubic(NamedTuple):
    """Rows of the curve: strictly increasing `knots`, `values` there, and `slopes`."""

    knots: Float[Array, " n"]
    values: Float[Array, " n"]
    slopes: Float[Array, " n"]


def monotone_cubic(
    knots: Float[Array, " n"], values: Float[Array, " n"]
) -> MonotoneCubic:
    """The curve through n >= 2 rows."""
    steps, secants = jnp.diff(knots), jnp.diff(values) / jnp.diff(knots)
    if knots.shape[0] == 2:
        return MonotoneCubic(knots, values, jnp.concatenate([secants, secants]))
    before, after = secants[:-1], secants[1:]
    near = 2.0 * steps[1:] + steps[:-1]
    far = 2.0 * steps[:-1] + steps[1:]
    same_sign = before * after > 0  # otherwise the row is an extremum
    weighted = near * jnp.where(same_sign, after, 1.0) + far * jnp.where(
        same_sign, before, 1.0
    )
    inner = jnp.where(same_sign, (near + far) * before * after / weighted, 0.0)
    first = _end_slope(steps[0], steps[1], secants[0], secants[1])
    last = _end_slope(steps[-1], steps[-2], secants[-1], secants[-2])
    slopes = jnp.concatenate([first[None], inner, last[None]])
    return MonotoneCubic(knots, values, slopes)


def value(curve: MonotoneCubic, at: Float[Array, "*t"]) -> Float[Array, "*t"]:
    """The curve at any number of points."""
    cell, step, fraction, outside = _locate(curve, at)
    v, m = curve.values, curve.slopes
    rise = v[cell + 1] - v[cell]
    bend_left = m[cell] * step - rise
    bend_right = rise - m[cell + 1] * step
    rest = 1.0 - fraction
    inside = v[cell] + fraction * (
        rise + rest * (rest * bend_left + fraction * bend_right)
    )
    return inside + outside * _slope(curve, cell, step, fraction)


def slope(curve: MonotoneCubic, at: Float[Array, "*t"]) -> Float[Array, "*t"]:
    """The derivative of `value`."""
    cell, step, fraction, _ = _locate(curve, at)
    return _slope(curve, cell, step, fraction)


def inverse(curve: MonotoneCubic, level: Float[Array, "*t"]) -> Float[Array, "*t"]:
    """The point where a strictly decreasing curve has the value `level`."""
    frozen, target = jax.lax.stop_gradient((curve, level))

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        above = value(frozen, middle) > target
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    ends = (
        jnp.full_like(target, frozen.knots[0]),
        jnp.full_like(target, frozen.knots[-1]),
    )
    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, ends)
    # One Newton step: it polishes, extrapolates beyond the rows, and carries the
    # derivative, which the halvings do not have.
    guess = 0.5 * (low + high)
    return guess + (level - value(curve, guess)) / slope(curve, guess)


def _locate(curve, at):
    """The cell of each point, its width, the place in it, and the distance outside."""
    knots = curve.knots
    inside = jnp.clip(at, knots[0], knots[-1])
    last = knots.shape[0] - 2
    cell = jnp.clip(jnp.searchsorted(knots, inside, side="right") - 1, 0, last)
    step = knots[cell + 1] - knots[cell]
    return cell, step, (inside - knots[cell]) / step, at - inside


def _slope(curve, cell, step, fraction):
    v, m = curve.values, curve.slopes
    secant = (v[cell + 1] - v[cell]) / step
    rest = 1.0 - fraction
    return (
        6.0 * fraction * rest * secant
        + rest * (rest - 2.0 * fraction) * m[cell]
        + fraction * (fraction - 2.0 * rest) * m[cell + 1]
    )


def _end_slope(step, next_step, secant, next_secant):
    """Three-point slope, kept between a third of and three times the end secant.

    Three times keeps the curve monotone; a third keeps its tangent from going flat.
    """
    total = step + next_step
    three_point = ((step + total) * secant - step * next_secant) / total
    bounds = jnp.stack([secant / 3.0, 3.0 * secant])
    return jnp.clip(three_point, bounds.min(), bounds.max())
