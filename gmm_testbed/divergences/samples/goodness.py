r"""Kolmogorov-Smirnov and Cramér-von Mises distances along one direction.

With u = F(x), F the distribution function of the projected mixture, and G that of the
projected samples,

\[ D = \sup_x |G - F| , \qquad \omega^2 = \int (G - F)^2 dF = E\,v(U, U') , \quad
   v(u, u') = \int_0^1 (1_{u \le s} - s)(1_{u' \le s} - s)\, ds . \]
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import _weights
from ..._checks import concrete, floating, require, unsupported
from ..._samples import takes_sample_sets
from ...densities.line_table import projected
from ...estimate import Estimate
from ...mixture import GaussianMixture
from ..grid import over_points
from . import sorting
from .checks import checked, described, share_error
from .pairs import estimated
from .semi_discrete import about

_SQUARE = 1.0 / 90.0  # E v(U, U')^2 for independent uniform U, U'


@takes_sample_sets
def kolmogorov(
    samples, mixture: GaussianMixture, direction=None, *, log_weights=None
) -> Estimate:
    r"""\(\sup |G - F|\), exact for the samples; of their law it is too large.

    The standard error is that of the step of G where the supremum is attained.

    Args:
        samples: (n, d).
        mixture: of dimension d, with a density.
        direction: (d,), not zero; not needed on the line.
        log_weights: (n,), need not be normalised; uniform by default.

    Raises:
        InputError: if the direction, the samples or the weights do not fit.
        UnsupportedError: for a mixture of atoms.
    """
    points, weights = checked(samples, mixture, log_weights)
    ranks = _ranks(points, weights, mixture, _direction(direction, mixture))
    above, below = ranks.upto - ranks.level, ranks.level - ranks.before
    i, j = jnp.argmax(above), jnp.argmax(below)
    value = jnp.maximum(above[i], below[j])
    position = jnp.arange(weights.shape[0])
    counted = jnp.where(above[i] >= below[j], position <= i, position < j)
    error = share_error(counted.astype(points.dtype), ranks.weights)
    error = jnp.where(jnp.isnan(value), value, error)
    freedom = _weights.freedom(weights)
    return Estimate(value, error, described(weights, log_weights), freedom=freedom)


@takes_sample_sets
def cramer_von_mises(
    samples, mixture: GaussianMixture, direction=None, *, log_weights=None
) -> Estimate:
    r"""\(\int (G - F)^2 dF\), unbiased for the law of the samples; arguments as above.

    The usual statistic, n times the integral for the samples, has
    \(\sum_i w_i^2 v(u_i, u_i)\) too much; this leaves it out, as a U-statistic does.
    """
    points, weights = checked(samples, mixture, log_weights)
    ranks = _ranks(points, weights, mixture, _direction(direction, mixture))
    rows, value = _squares(ranks.level, ranks.weights)
    w, squares = ranks.weights, jnp.sum(weights**2)
    by_pairs = squares**2 * _SQUARE, squares**2  # as if it were zero
    how = described(weights, log_weights, _weights.PAIRS)
    return estimated(value, w * (rows - w @ rows), w, by_pairs, weights, how)


def _squares(u, w):
    """Mean of v(u_i, .) for every i, (n,), and of v over pairs of different samples.

    Pairs with the heaviest sample are summed by themselves: nothing cancels where it has
    all but all of the weight.
    """
    top = jnp.argmax(w)
    known = _weights.parts(w)
    beside = jnp.where(jnp.arange(w.shape[0]) == top, 0.0, w)
    others = beside / known.rest[top]
    with_top = (u**2 + u[top] ** 2) / 2.0 - jnp.maximum(u, u[top]) + 1.0 / 3.0
    own = (u**3 + (1.0 - u) ** 3) / 3.0
    apart = others @ _means(u, others) - others**2 @ own
    total = 2.0 * w[top] * (beside @ with_top) + known.rest[top] ** 2 * apart
    return _means(u, w), total / (w @ known.rest)


def _means(u, w):
    """Mean of v(u_i, .) over all samples of weight w (n,), which sums to one."""
    upto = jnp.cumsum(w)
    # int_0^u (G - s) ds, where G is constant between samples.
    running = jnp.cumsum((upto - w) * jnp.diff(u, prepend=0.0)) - 0.5 * u**2
    whole = w @ (1.0 - u) - 0.5
    moment = 0.5 * w @ (1.0 - u**2) - 1.0 / 3.0  # of s (G - s)
    return whole - running - moment


class _Ranks(NamedTuple):
    """Of the samples in increasing order, (n,) each."""

    weights: Float[Array, " n"]
    level: Float[Array, " n"]  # F
    before: Float[Array, " n"]  # G from the left
    upto: Float[Array, " n"]  # G


@eqx.filter_jit
def _ranks(points, weights, mixture, direction):
    centre = mixture.mean()
    law = projected(about(mixture, centre), direction)
    x = (points - centre[None]) @ direction
    order = sorting.order(x)
    weights = weights[order]
    upto = jnp.cumsum(weights)
    level = over_points(lambda x: law.at(x[0])[1], x[order][:, None])
    return _Ranks(weights, level, upto - weights, upto)


def _direction(direction, mixture):
    if mixture.atomic:
        unsupported(
            "distances of distribution functions need a density",
            got="a mixture of atoms",
            expected="components of positive variance",
            hint="use sliced_wasserstein, or mixture.noised(1.0, sigma)",
        )
    if direction is None and mixture.dim == 1:
        return jnp.ones(1, mixture.means.dtype)
    found = floating(0.0 if direction is None else direction)
    found = found.astype(mixture.means.dtype)
    require(
        found.shape == (mixture.dim,)
        and not (concrete(found) and not np.any(np.asarray(found))),
        "no direction to look along",
        got=None if direction is None else f"direction {direction}",
        expected=f"({mixture.dim},), not zero",
        hint="try the one that max_sliced_wasserstein finds",
    )
    return found
