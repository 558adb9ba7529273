r"""C23: W2 between two mixtures from moments and from components.

\[ \|m_q - m_p\|^2 + (s_q - s_p)^2 \;\le\; W_2^2(q, p) \;\le\; MW_2^2(q, p)
   = \min_\pi \sum_{ij} \pi_{ij} W_2^2(N_i, M_j) , \]

over couplings of the weights. The left is Gelbrich's bound, here on the line with
standard deviations s: it needs moments only, and is attained by Gaussians. The right moves
components to components (Delon and Desolneux, SIAM J. Imaging Sci. 13 (2020), 936-970); for
two components each the couplings are an interval, and the minimum is at one of its ends.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from ..mixture import GaussianMixture
from . import line_pairs
from .assumptions import finite_moments
from .base import AbstractBound, Case, Facts, computed


class TransportBrackets(AbstractBound):
    """W2 squared and its two bounds, over how far apart the mixtures are."""

    facts: ClassVar[Facts] = Facts(
        statement="Gelbrich <= W2^2 <= transport of components",
        assumptions=("finite second moments",),
        source="Gelbrich (1990); Delon and Desolneux (2020)",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"shift": shift} for shift in (0.0, 0.3, 1.0, 3.0)
    )

    def claims(self, key, case):
        q, p = _pair(jnp.asarray(case["shift"]))
        kept = (finite_moments(q) and finite_moments(p),)
        return [claim._replace(assumptions=kept) for claim in _claims(q, p)]


def _pair(shift):
    means = jnp.asarray([[-1.0], [1.5]])
    p = GaussianMixture.isotropic([0.4, 0.6], means, [0.16, 0.36])
    return GaussianMixture.isotropic([0.55, 0.45], means + shift, [0.5, 0.1]), p


@eqx.filter_jit
def _claims(q, p):
    exact = line_pairs.transport(q, p)
    spread = jnp.sqrt(q.total_variance()) - jnp.sqrt(p.total_variance())
    moments = jnp.sum((q.mean() - p.mean()) ** 2) + spread**2
    sides = [
        ("Gelbrich", moments, exact),
        ("components", exact, between_components(q, p)),
    ]
    return [computed(label, left, right) for label, left, right in sides]


def between_components(q: GaussianMixture, p: GaussianMixture):
    """The least cost of moving two components to two components, ()."""
    costs = (q.means - p.means.T) ** 2
    costs += (jnp.sqrt(q.base)[:, None] - jnp.sqrt(p.base)[None]) ** 2
    first, second = jnp.exp(q.log_weights[0]), jnp.exp(p.log_weights[0])
    ends = jnp.stack(
        [jnp.maximum(first + second - 1.0, 0.0), jnp.minimum(first, second)]
    )
    coupling = [[ends, first - ends], [second - ends, 1.0 - first - second + ends]]
    totals = sum(costs[i, j] * coupling[i][j] for i in range(2) for j in range(2))
    return jnp.min(totals)
