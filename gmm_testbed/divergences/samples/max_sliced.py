r"""Max-sliced Wasserstein distance: along the direction in which samples are farthest off.

\[ \max_{\|\theta\| = 1} W_p(\theta^T q, \theta^T p) . \]

By the envelope theorem the gradient in \(\theta\) is that at a fixed plan, so nothing is
differentiated through a sort or a quantile.
Source: Deshpande et al., CVPR 2019.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _weights
from ..._samples import takes_sample_sets
from ..._types import Key, Vector
from ...densities.line_table import projected, table
from ...estimate import Estimate
from ...mixture import GaussianMixture
from .checks import checked, described, variance_of_mean
from .semi_discrete import about, check_power, rooted_if, transport
from .sliced import draw_bases, unit

_FIRST_ANGLE = 0.5  # radians


class MaxSliced(NamedTuple):
    """Where the samples are farthest from the mixture.

    Attributes:
        distance: `Estimate` of the largest distance.
        direction: (d,), where it was found.
    """

    distance: Estimate
    direction: Vector


@takes_sample_sets
def max_sliced_wasserstein(
    key: Key,
    samples,
    mixture: GaussianMixture,
    *,
    p: int = 2,
    starts: int = 100,
    steps: int = 40,
    rooted: bool = True,
    log_weights=None,
) -> MaxSliced:
    r"""Max-sliced \(W_p\), p = 1 or 2, and its direction.

    The best of random directions is turned along the gradient: further where that gains,
    and by half as much where it does not. What is found is a lower bound of the maximum
    for these samples; of that for their law it is mostly too large, as the maximum
    follows the noise (`floor` shows how far). The standard error is that of the samples
    in the direction found.

    Args:
        key: for the starts.
        samples: (n, d).
        mixture: of dimension d; atoms are welcome.
        p: 1 or 2.
        starts: random directions, rounded up to whole bases.
        steps: turns.
        rooted: whether to take the p-th root.
        log_weights: (n,), need not be normalised; uniform by default.

    Raises:
        InputError: as `sliced_wasserstein`.
    """
    points, weights = checked(samples, mixture, log_weights)
    check_power(p)
    directions = draw_bases(key, mixture.dim, starts, points.dtype)
    number = jnp.asarray(steps)
    direction, cost, variance = _search(directions, points, weights, mixture, number, p)
    how, freedom = described(weights, log_weights), _weights.freedom_of_squares(weights)
    found = Estimate(cost, jnp.sqrt(variance), how, freedom=freedom)
    return MaxSliced(rooted_if(found, p, rooted), direction)


@eqx.filter_jit
def _search(directions, points, weights, mixture, steps, p: int):
    centre = mixture.mean()
    points = points - centre[None]
    mixture = about(mixture, centre)

    def plan(direction):
        law = projected(mixture, direction)
        found = table(law, mixture.atomic)
        return transport(points @ direction, weights, law, found, p)

    def cost_at(direction, found):
        """The cost at a fixed plan."""
        law = projected(mixture, direction)
        x = (points @ direction)[found.order]
        left, right, levels = x[:-1], x[1:], found.levels
        if p == 2:
            partial = found.cuts * levels - _integrated(law, found.cuts)
            moments = weights @ (points @ direction) ** 2 + law.second_moment()
            return moments - 2.0 * x[-1] * law.mean() + 2.0 * partial @ (right - left)
        crossing = jnp.clip(found.cuts, left, right)
        ends, middle = _integrated(law, x), _integrated(law, crossing)
        inside = ends[:-1] + ends[1:] - 2.0 * middle
        inside -= levels * (left + right - 2.0 * crossing)
        return ends[0] + ends[-1] - x[-1] + law.mean() + jnp.sum(inside)

    def measured(direction):
        """Cost, and the way up along the sphere."""
        found = plan(direction)
        slope = jax.grad(cost_at)(direction, found)
        along = slope - (slope @ direction) * direction
        size = jnp.sqrt(jnp.sum(along**2))
        return found.cost, along / jnp.where(size > 0, size, 1.0)

    def turn(_, carry):
        direction, cost, way, angle = carry
        there = unit(jnp.cos(angle) * direction + jnp.sin(angle) * way)
        cost_there, way_there = measured(there)
        better = cost_there > cost
        return (
            jnp.where(better, there, direction),
            jnp.where(better, cost_there, cost),
            jnp.where(better, way_there, way),
            jnp.where(better, 1.5, 0.5) * angle,
        )

    costs = jax.lax.map(lambda direction: plan(direction).cost, directions)
    best = directions[jnp.argmax(costs)]
    angle = jnp.asarray(_FIRST_ANGLE, points.dtype)
    start = (best, *measured(best), angle)
    direction, cost, _, _ = jax.lax.fori_loop(0, steps, turn, start)
    variance = variance_of_mean(plan(direction).potential, weights)
    return direction, cost, variance


def _integrated(law, x):
    return jax.vmap(lambda x: law.at(x)[2])(x)
