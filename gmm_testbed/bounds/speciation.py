r"""T24: the noise level at which two modes part, and their weights are decided.

For \(w N(m_1, s^2 I) + (1-w) N(m_2, s^2 I)\) at level \(v = \sigma^2/\alpha^2\), with
c = s^2 + v and D = |m_1 - m_2|, the largest curvature over x is exactly

\[ \max_x \lambda_{max}(\nabla^2 \log p_v) = -\frac1c + \frac{D^2}{4c^2} , \]

taken where both responsibilities are one half, whatever the weight w. So p_v is
log-concave above, and has a valley or a shoulder between the modes below

\[ v_S = D^2/4 - s^2, \qquad t_S = \tfrac12 \log(1 + v_S) \]

on the Ornstein-Uhlenbeck path; it is log-concave at all levels where v_S < 0. For a
symmetric pair \(\pm m\) the curvature at 0 changes sign there, the speciation time of
Biroli et al. 2024 (arXiv:2402.18491). A posterior with two modes has its own v_S:
guidance that is wrong there gives wrong weights.
"""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._types import Scalar, Vector
from ..densities.curves import bisect
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, outside
from .tools.assumptions import count, equal_covariances, isotropic

_MEANS, _VARIANCE, _LEVEL = (-1.1, 1.5), 0.3, 0.1
_FAR, _NODES = 12.0, 4001  # log-odds at which the curvature is taken
_GRID = (_FAR / (_NODES - 1)) ** 2 / 4.0  # what half a cell takes of its largest value


class Speciation(AbstractBound):
    """Where log-concavity is lost, over the weight of a mode."""

    facts: ClassVar[Facts] = Facts(
        statement="two modes D apart with variance s^2 part at v_S = D^2/4 - s^2",
        assumptions=("two isotropic components of one variance, apart",),
        source="here, proof in the docstring; symmetric pair: arXiv:2402.18491",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple({"weight": w} for w in (0.5, 0.2, 0.05))

    def setting(self, case):
        """Two modes, and the noise level of the curvature."""
        weights = case["weight"], 1.0 - case["weight"]
        means = jnp.asarray(_MEANS)[:, None]
        prior = GaussianMixture.isotropic(weights, means, _VARIANCE)
        return {"prior": prior, "v": _LEVEL}

    def sides(self, key, prior, v):
        """The level where the modes part, and the largest curvature at another.

        Args:
            key: not used.
            prior: two isotropic components of one variance, in any dimension.
            v: () noise level of the curvature, sigma^2 / alpha^2.
        """
        alike = isotropic(prior) and equal_covariances(prior)
        if not (alike and count(prior) == 2):
            return outside((False,))
        pair = _pair(prior)
        square, variance = float(jnp.sum(pair.gap**2)), float(pair.variance)
        kept = (square > 0.0 and v >= 0.0 and variance + v > 0.0,)
        if not kept[0]:
            return outside(kept)
        steepest = 0.25 * square / (variance + v) ** 2
        found = Estimate(_largest(pair, jnp.asarray(v)), how="grid")
        largest = Estimate(steepest - 1.0 / (variance + v))
        slack = _GRID * steepest
        claims = [Claim("curvature", found, largest, True, slack, assumptions=kept)]
        level = 0.25 * square - variance
        if level > 0.0:
            measured = Estimate(_level(pair, jnp.asarray(square)), how="bisection")
            slack = _GRID * 0.25 * square
            sides = measured, Estimate(level)
            claims.insert(0, Claim("level", *sides, True, slack, assumptions=kept))
        return claims


class _Pair(NamedTuple):
    law: GaussianMixture
    gap: Vector  # from one mean to the other
    middle: Vector
    log_odds: Scalar  # of the weights
    variance: Scalar


def _pair(prior) -> _Pair:
    """The two components that have weight."""
    one, other = np.flatnonzero(np.asarray(prior.log_weights) > -np.inf)
    first, second = prior.means[one], prior.means[other]
    log_odds = prior.log_weights[one] - prior.log_weights[other]
    variance = prior.covariances()[0, 0, 0]
    middle = 0.5 * (first + second)
    return _Pair(prior, second - first, middle, log_odds, variance)


@eqx.filter_jit
def _largest(pair, v):
    """The largest curvature along the line of the means, wherever the modes meet, ()."""
    law = pair.law.noised(jnp.ones_like(v), jnp.sqrt(v))
    square = jnp.sum(pair.gap**2)
    logits = jnp.linspace(-_FAR, _FAR, _NODES) + pair.log_odds
    shares = (pair.variance + v) / square * logits  # of the gap, from the middle
    along = pair.gap / jnp.sqrt(square)

    def curvature(share):
        x = pair.middle + share * pair.gap
        return jax.jvp(law.score, (x,), (along,))[1] @ along

    return jnp.max(jax.vmap(curvature)(shares))


@eqx.filter_jit
def _level(pair, square):
    """From which level on the curvature is negative, by bisection, ()."""
    low = jnp.zeros_like(square)
    return bisect(lambda v: _largest(pair, v) < 0, low, 0.5 * square)
