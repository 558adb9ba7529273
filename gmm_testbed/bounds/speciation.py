r"""T24: the noise level at which two modes part, and their weights are decided.

For \(w N(m_1, s^2 I) + (1-w) N(m_2, s^2 I)\) at level \(v = \sigma^2/\alpha^2\), with
c = s^2 + v and D = |m_1 - m_2|, the largest curvature over x is exactly

\[ \max_x \lambda_{max}(\nabla^2 \log p_v) = -\frac1c + \frac{D^2}{4c^2} , \]

taken where both responsibilities are one half, whatever the weight w. So p_v is
log-concave above, and has a valley or a shoulder between the modes below

\[ v_S = D^2/4 - s^2, \qquad t_S = \tfrac12 \log(1 + v_S) \]

on the Ornstein-Uhlenbeck path. For a symmetric pair \(\pm m\) the curvature at 0 changes
sign there, the speciation time of Biroli et al. 2024 (arXiv:2402.18491). A posterior with
two modes has its own v_S: guidance that is wrong there gives wrong weights.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..densities.curves import bisect
from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, outside
from .tools.assumptions import count, equal_covariances, isotropic

_MEANS, _VARIANCE = (-1.1, 1.5), 0.3
_GRID = 1e-4  # what the grid of x leaves


class Speciation(AbstractBound):
    """Where log-concavity is lost, over the weight of a mode."""

    facts: ClassVar[Facts] = Facts(
        statement="two modes D apart with variance s^2 part at v_S = D^2/4 - s^2",
        assumptions=("two isotropic components of one variance",),
        source="here, proof in the docstring; symmetric pair: arXiv:2402.18491",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple({"weight": w} for w in (0.5, 0.2, 0.05))

    def setting(self, case):
        return case

    def sides(self, key, weight):
        gap = _MEANS[1] - _MEANS[0]
        level = 0.25 * gap**2 - _VARIANCE
        if not 0.0 < weight < 1.0:
            return outside((False,))
        prior = _prior(weight)
        alike = isotropic(prior) and equal_covariances(prior)
        kept = (alike and count(prior) == 2,)
        measured, steepest = _measured(jnp.asarray(weight))
        c = _VARIANCE + 0.1
        largest = Estimate(0.25 * (gap / c) ** 2 - 1.0 / c)
        found = Estimate(measured, how="bisection"), Estimate(level)
        steepest = Estimate(steepest, how="grid")
        return [
            Claim("level", *found, True, _GRID, assumptions=kept),
            Claim("curvature", steepest, largest, True, _GRID, assumptions=kept),
        ]


def _prior(weight):
    means = jnp.asarray(_MEANS)[:, None]
    return GaussianMixture.isotropic([weight, 1.0 - weight], means, _VARIANCE)


@eqx.filter_jit
def _measured(weight):
    """The level by bisection, and the largest curvature at v = 0.1."""
    prior = _prior(weight)
    gap, middle = _MEANS[1] - _MEANS[0], 0.5 * (_MEANS[0] + _MEANS[1])
    logits = jnp.linspace(-12.0, 12.0, 4001) + jnp.log(weight / (1.0 - weight))

    def curvature(v):
        """At points where both responsibilities run from 0 to 1, wherever they do."""
        law = prior.noised(jnp.ones_like(v), jnp.sqrt(v))
        x = middle + (_VARIANCE + v) / gap * logits
        slope = jax.vmap(jax.grad(lambda x: law.score(x[None])[0]))
        return jnp.max(slope(x))

    low, high = jnp.asarray(1e-2), jnp.asarray(10.0)
    return bisect(lambda v: curvature(v) < 0, low, high), curvature(jnp.asarray(0.1))
