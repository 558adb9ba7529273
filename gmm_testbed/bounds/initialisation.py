r"""T6: what starting from N(0, I) costs.

For a variance-preserving path with signal \(\alpha\) at the start, and
\(\gamma = N(0, I)\),

\[ KL(p_T \| \gamma) \le \begin{cases}
  \alpha^2 KL(p_0 \| \gamma) & \text{(i) logarithmic Sobolev inequality of } \gamma \\
  \tfrac12 (\alpha^2 E\|x_0\|^2 - d\alpha^2 - d\log(1-\alpha^2)) & \text{(ii) convexity}\\
  \frac{\alpha^2}{2(1-\alpha^2)} W_2^2(p_0, \gamma) & \text{(iii) transport}
\end{cases} \]

(i) is the exponential decay of entropy along the Ornstein-Uhlenbeck semigroup; (ii) is
convexity of KL in the mixture over \(x_0\); (iii) is the reverse transport inequality
(Bobkov, Gentil and Ledoux, J. Math. Pures Appl. 80 (2001), 669-696).
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Facts, Limit, computed
from .spaces import Between, Mixtures
from .tools import space
from .tools.assumptions import has_density


class Initialisation(AbstractBound):
    """The three bounds for two separated modes, over the signal left at the start and d."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(p_T || N(0, I)) <= alpha^2 KL(p_0 || N(0, I)), and two others",
        assumptions=(
            "variance-preserving path, with signal and noise",
            "p_0 has a density",
        ),
        source="Bobkov, Gentil and Ledoux (2001); proofs in the docstring",
        status="proved",
        limits=(Limit("dim", only=(1, 3)),),
        search={"prior": Mixtures(), "alpha": Between(1e-3, 0.999)},
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"alpha": alpha, "dim": dim}
        for dim in (1, 3)
        for alpha in (0.6, 0.3, 0.1, 0.03)
    )

    def setting(self, case):
        return {"prior": _prior(case["dim"]), "alpha": case["alpha"]}

    def sides(self, key, prior, alpha):
        alpha, prior = jnp.asarray(alpha), space.rotated(prior)
        sigma = jnp.sqrt(1.0 - alpha**2)
        left, rights = _sides(prior, alpha, sigma)
        preserving = bool(0.0 < alpha < 1.0)
        kept = preserving, has_density(prior.whole())
        labels = "(i) entropy decay", "(ii) convexity", "(iii) transport"
        return [
            computed(label, left, right, assumptions=kept)
            for label, right in zip(labels, rights, strict=True)
        ]


@eqx.filter_jit
def _sides(prior, alpha, sigma):
    """KL(p_T || N(0, I)) and the three bounds on it."""
    whole, dim = prior.whole(), prior.dim
    left = prior.noised(alpha, sigma).kl_to_normal()
    second_moment = whole.total_variance() + jnp.sum(whole.mean() ** 2)
    convexity = alpha**2 * (second_moment - dim) - dim * jnp.log1p(-(alpha**2))
    transport = alpha**2 * prior.transport_to_normal() / (2 * (1 - alpha**2))
    return left, (alpha**2 * prior.kl_to_normal(), 0.5 * convexity, transport)


def _prior(dim):
    line = GaussianMixture.isotropic([0.3, 0.7], [[-1.2], [0.9]], [0.3, 0.5])
    return space.beside(line, dim, (0.7, -0.3), (0.25, 1.6))
