r"""C20: the entropy of a mixture between two closed forms.

With \(H_c = \sum_k w_k H(N_k)\), the Bhattacharyya distances \(B_{ij}\) and the divergences
\(K_{ij} = KL(N_i \| N_j)\) of the components,

\[ H_c - \sum_i w_i \log \sum_j w_j e^{-B_{ij}} \le H(p)
   \le H_c - \sum_i w_i \log \sum_j w_j e^{-K_{ij}} . \]

The gap H - H_c is the mutual information of x and its component: zero if they coincide,
and the entropy of the weights if they are far apart; both bounds are attained at both ends.
Two mixtures with the same number of components: by the chain rule
\(KL(p\|q) \le KL(w\|u) + \sum_k w_k KL(N_k\|M_k)\). In space, for components that differ
along one axis, all sides add what the Gaussians across have.

Source: Kolchinsky and Tracey, Entropy 19 (2017), 361.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import require
from ..divergences import line_expectation
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Facts, computed
from .spaces import Mixtures
from .tools import space
from .tools.assumptions import has_density


class EntropySandwich(AbstractBound):
    """Entropy and its two bounds for two modes, over their separation."""

    facts: ClassVar[Facts] = Facts(
        statement="H_c - sum w log sum w exp(-B) <= H(p) <= H_c - sum w log sum w exp(-K)",
        assumptions=("components with densities",),
        source="Kolchinsky and Tracey (2017), Entropy 19, 361",
        status="proved",
        search={"p": Mixtures(), "q": Mixtures()},
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"separation": a} for a in (0.0, 0.5, 1.0, 2.0, 4.0)
    )

    def setting(self, case):
        return dict(zip("pq", _pair(jnp.asarray(case["separation"])), strict=True))

    def sides(self, key, p, q):
        """Entropy of p between its bounds, and KL(p || q) below that of pairs.

        Args:
            key: not used.
            p: on the line, or with components that differ along one axis.
            q: the same, along that axis, with as many components.
        """
        p, q = space.together(p, q)
        counts = p.line.num_components, q.line.num_components
        require(
            counts[0] == counts[1],
            "components are taken in pairs",
            got=f"{counts[0]} and {counts[1]} components",
            expected="as many in both",
            hint="split a component in two of half its weight",
        )
        kept = (has_density(p.whole()) and has_density(q.whole()),)
        return [claim._replace(assumptions=kept) for claim in _claims(p, q)]


def _pair(a):
    means = jnp.stack([-a, a])[:, None]
    p = GaussianMixture.isotropic([0.3, 0.7], means, [0.5, 1.2])
    return p, GaussianMixture.isotropic([0.45, 0.55], means + 0.3, [0.7, 0.9])


@eqx.filter_jit
def _claims(whole_p, whole_q):
    p, q = whole_p.line, whole_q.line
    across = jnp.sum(_entropy(whole_p.variances))
    entropy = across - line_expectation(p, p.log_prob)
    weights = jnp.exp(p.log_weights)
    within = across + weights @ _entropy(p.base)
    between = divergences(p, p)
    lower = within - weights @ jnp.log(jnp.exp(-bhattacharyya(p)) @ weights)
    upper = within - weights @ jnp.log(jnp.exp(-between) @ weights)
    weights_only = weights @ (p.log_weights - q.log_weights)
    paired = weights_only + weights @ jnp.diagonal(divergences(p, q))
    paired += space.kl_across(whole_p, whole_q)
    sides = [
        ("lower", lower, entropy),
        ("upper", entropy, upper),
        ("KL by pairs", space.kl(whole_p, whole_q), paired),
    ]
    return [computed(label, left, right) for label, left, right in sides]


def _entropy(variance):
    """Of Gaussians on the line."""
    return 0.5 * jnp.log(2.0 * jnp.pi * jnp.e * variance)


def divergences(p: GaussianMixture, q: GaussianMixture):
    """KL of the components of p from those of q on the line, (K, L)."""
    ratio = p.base[:, None] / q.base[None]
    gap = (p.means - q.means.T) ** 2 / q.base[None]
    return 0.5 * (ratio - 1.0 - jnp.log(ratio) + gap)


def bhattacharyya(p: GaussianMixture):
    """-log of the integral of the root of the product of two components, (K, K)."""
    total = p.base[:, None] + p.base[None]
    product = 2.0 * jnp.sqrt(p.base[:, None] * p.base[None])
    return 0.25 * (p.means - p.means.T) ** 2 / total + 0.5 * jnp.log(total / product)
