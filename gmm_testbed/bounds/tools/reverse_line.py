r"""What the exact reverse process makes of a wrong start, on the line.

In \(z = x/\alpha\) along \(v = \sigma^2/\alpha^2\), where \(p_v\) is the prior noised to v.
The reverse SDE with the exact score draws from the law of \(z_v\) given \(z_V\): from a
mixture, so that a start makes a mixture of these. The probability flow
\(dz/dv = -\tfrac12 \nabla\log p_v\) is followed in \(\log(v + c)\), c the variance of every
component.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._checks import unsupported
from ..._types import Scalar
from ...densities.curves import bisect
from ...divergences import mixture_cdf, mixture_survival
from ...divergences.expectation import line_rule, refined
from ...mixture import GaussianMixture
from .assumptions import equal_covariances, isotropic
from .chords import diameter

_STEPS = 160  # of Runge-Kutta
_REACH, _POINTS = 8.0, 160  # of a standard normal variable
_CELLS = 30  # between -9 and 9 standard deviations of a start as wide as the way
_MOST = 12  # doublings of them, for a start that is wider


def curvature(prior: GaussianMixture) -> tuple[float, float]:
    r"""Variance c of every component, and the largest distance D of two means.

    \(-\nabla^2\log p_v \succeq 1/(c+v) - D^2/4(c+v)^2\), attained in the direction of two
    means D apart, where both are as likely and there are no others.

    Args:
        prior: one covariance, a multiple of the identity.
    """
    return float(prior.covariances()[0, 0, 0]), float(diameter(prior))


def log_concave(prior: GaussianMixture) -> bool:
    """Whether components of one round covariance are so near that log p is concave."""
    if not (isotropic(prior) and equal_covariances(prior)):
        return False
    own, apart = curvature(prior)
    return own > 0.0 and apart**2 < 4.0 * own


def check(prior: GaussianMixture) -> None:
    """Raise where the output is not computed, of a prior that is not one Gaussian."""
    if prior.dim != 1:
        unsupported(
            "the output of a mixture is computed on the line",
            got=f"{prior.num_components} components, d = {prior.dim}",
            expected="one Gaussian, or d = 1",
            hint="give a projection of the prior",
        )


class Squares(NamedTuple):
    r"""\(W_2^2\) from \(p_V\) at the start, and from \(p_v\) at the end; () each."""

    start: Scalar
    flow: Scalar
    sde: Scalar


def squares(
    prior: GaussianMixture, start: GaussianMixture, first: float, last: float
) -> Squares:
    r"""Squared distances of the exact reverse process that starts from a wrong law.

    The coupling of two laws is increasing, so that a distance is an integral over a
    standard normal variable, smooth where the densities are log-concave.

    Args:
        prior: on the line, components of one variance.
        start: one Gaussian on the line, at level V.
        first: V.
        last: v, below it.
    """
    wide = float(start.covariances()[0, 0, 0]) / (first - last)
    doublings = min(max(0, math.ceil(0.5 * math.log2(wide))), _MOST)
    given = jnp.asarray(float(first)), jnp.asarray(float(last))
    return _squares(prior, start, *given, _CELLS * 2**doublings + 1)


@eqx.filter_jit
def _squares(prior, start, first, last, nodes):
    one = jnp.ones_like(first)
    begin, end = prior.noised(one, jnp.sqrt(first)), prior.noised(one, jnp.sqrt(last))
    xi = jnp.linspace(-_REACH, _REACH, refined(_POINTS) + 1)
    shares = jnp.exp(-0.5 * xi**2)
    shares = shares / jnp.sum(shares)
    wrong = start.mean()[0] + jnp.sqrt(start.covariance()[0, 0]) * xi
    right, carried = _quantiles(begin, xi), _flow(prior, first, last)
    made = _quantiles(_backwards(end, start, first - last, nodes), xi)
    pairs = (
        (wrong, right),
        (carried(wrong), carried(right)),
        (made, _quantiles(end, xi)),
    )
    return Squares(*(shares @ (a - b) ** 2 for a, b in pairs))


def _quantiles(mixture, xi):
    """The increasing map from N(0, 1), at xi (n,)."""
    width = 1.5 * _REACH * jnp.sqrt(mixture.covariances()[:, 0, 0])
    means = mixture.means[:, 0]
    ends = jnp.min(means - width), jnp.max(means + width)

    def at(xi):
        tail = jax.scipy.stats.norm.cdf(-jnp.abs(xi))

        def passed(x):
            low, high = mixture_cdf(mixture, x), mixture_survival(mixture, x)
            return jnp.where(xi < 0, low >= tail, high <= tail)

        return bisect(passed, *ends)

    return jax.vmap(at)(xi)


def _flow(prior, first, last):
    """The flow of points (n,) from level V to v."""
    own, count, means = prior.covariances()[0, 0, 0], refined(_STEPS), prior.means[:, 0]
    top = jnp.log(own + first)
    step = (jnp.log(own + last) - top) / count

    def slope(z, log):
        squares = (z[:, None] - means[None]) ** 2
        logits = prior.log_weights[None] - 0.5 * squares / jnp.exp(log)
        shares = jax.nn.softmax(logits, axis=1)
        return 0.5 * (z - shares @ means)

    def move(z, i):
        at = top + i * step
        a = slope(z, at)
        b = slope(z + 0.5 * step * a, at + 0.5 * step)
        c = slope(z + 0.5 * step * b, at + 0.5 * step)
        d = slope(z + step * c, at + step)
        return z + step / 6.0 * (a + 2.0 * b + 2.0 * c + d), None

    return lambda z: jax.lax.scan(move, z, jnp.arange(count, dtype=z.dtype))[0]


def _backwards(end, start, between, nodes):
    """The mixture, over nodes of the start, of the laws at the last level given them."""
    points, weights = line_rule(start, nodes)

    def given(z):
        each = end.denoised(z, jnp.ones_like(between), jnp.sqrt(between))
        return each.log_weights, each.means, each.covariances()[:, 0, 0]

    logs, means, variances = jax.vmap(given)(points)
    shares = weights[:, None] * jnp.exp(logs)
    return GaussianMixture.isotropic(
        shares.ravel(), means.reshape(-1, 1), variances.ravel()
    )
