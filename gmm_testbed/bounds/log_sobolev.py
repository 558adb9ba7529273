r"""T27: the logarithmic Sobolev constant of a mixture, and what Fisher does not see.

Let p have components of equal covariance \(\Sigma\), and let R be the radius of the
smallest ball that holds all \(\Sigma^{-1/2}\mu_k\). Then for every q

\[ KL(q\|p) \le \tfrac C2 FI(q\|p), \qquad C = \lambda_{max}(\Sigma)\, e^{R^2} . \]

For \(\Sigma = I\): along the Ornstein-Uhlenbeck flow from p to N(0, I) the covariance of
the mean given \(x_t\) is at most \(e^{-2t} R^2 I\), so the reverse flow map from N(0, I) to
p is Lipschitz with constant \(\exp\int_0^\infty e^{-2t} R^2 dt = e^{R^2/2}\), and an image
of N(0, I) under an L-Lipschitz map has C = L^2. A linear map gives the rest. It follows
that

\[ W_2^2 \le 2 C\, KL, \qquad W_2 \le C \sqrt{FI}, \qquad
   KL \le W_2 \sqrt{FI} - \tfrac k2 W_2^2 , \]

Talagrand's inequality, its corollary, and HWI with any k below the curvature
\(-\nabla^2 \log p\), negative between modes.

In space p and q have components that differ along one axis, the same, and Gaussians
across: then p is a product, its C the largest of its parts, and its curvature the least.

Blindness: let p and q have the same two components N(-a, 1), N(a, 1) and the weights of the
first be u and w. Then \((\log q/p)' = 2a (w-u) N_+ N_- / (qp)\) up to sign, and since
\(q \ge 2\sqrt{w(1-w) N_+N_-}\), and so for p,

\[ FI(q\|p) \le \frac{a^2 (w-u)^2}{2 u (1-u) \sqrt{w(1-w)}}\, e^{-a^2/2} , \]

while KL tends to that of the weights: the constant C must grow exponentially in the
separation, and a score-matching loss cannot see the weights of separated modes.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import ROUNDING, AbstractBound, Case, Claim, Facts, Limit
from .spaces import Mixtures
from .tools import line_pairs, space
from .tools.assumptions import equal_covariances

RIGHT_WEIGHT, WRONG_WEIGHT = 0.4, 0.9  # of the component at -a
_BEYOND = 2.3e-19  # mass beyond nine standard deviations


class LogSobolev(AbstractBound):
    """The inequalities for two modes with wrong weights, over the separation."""

    facts: ClassVar[Facts] = Facts(
        statement="KL <= (C/2) FI with C = lambda_max(Sigma) exp(R^2); W2, HWI, blindness",
        assumptions=("components of equal covariance",),
        source="Otto and Villani (2000); proof of the constant in the docstring",
        status="proved",
        limits=(Limit("separation", -20.0, 20.0),),
        search={"q": Mixtures(least=0.2), "p": Mixtures(least=0.2, alike=True)},
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"separation": a} for a in (0.5, 1.0, 2.0, 3.0, 4.0)
    )

    def setting(self, case):
        return wrong_weights(case["separation"])

    def sides(self, key, q, p):
        """The four inequalities, and how blind Fisher is to weights.

        Args:
            key: not used.
            q: a law on the line, or with components that differ along one axis.
            p: the same, with components of one covariance, and a common axis.
        """
        q, p = space.together(q, p)
        kept = (equal_covariances(p.whole()),)
        claims = [claim._replace(assumptions=kept) for claim in _claims(q, p)]
        if p.dim == 1 and same_two_modes(q.line, p.line):
            fisher, bound = fisher_of(q.line, p.line), blindness(q.line, p.line)
            seen = Claim("Fisher is blind", fisher, Estimate(bound))
            claims.append(seen._replace(assumptions=kept))
        return claims


@eqx.filter_jit
def _claims(q, p):
    kl, line = Estimate(space.kl(q, p), how="quadrature"), fisher_of(q.line, p.line)
    pulls = (1.0 / p.variances - 1.0 / q.variances) ** 2 * q.variances
    pulls += ((q.means - p.means) / p.variances) ** 2
    fisher = line + jnp.sum(pulls)
    w2_squared = Estimate(space.transport(q, p), how="quadrature")
    w2, root = w2_squared.map(jnp.sqrt), fisher.map(jnp.sqrt)
    means, variance = p.line.means, p.line.covariances()[0, 0, 0]
    radius = 0.5 * (jnp.max(means) - jnp.min(means)) / jnp.sqrt(variance)
    # Of a product: the largest constant, and the least curvature.
    constant = jnp.max(p.variances, initial=variance * jnp.exp(radius**2))
    curvature = jnp.min(1.0 / p.variances, initial=(1.0 - radius**2) / variance)
    sides = [
        ("KL by Fisher", kl, 0.5 * constant * fisher),
        ("Talagrand", w2_squared, 2.0 * constant * kl),
        ("W2 by Fisher", w2, constant * root),
        ("HWI", kl, w2 * root - 0.5 * curvature * w2_squared),
    ]
    return [Claim(label, left, right) for label, left, right in sides]


def fisher_of(q: GaussianMixture, p: GaussianMixture) -> Estimate:
    """FI(q || p) where the score is bounded by the distance of the means.

    What lies between modes far apart is beyond the quadrature, and is an error where all
    components have one width; else the score grows, and is large where mass is.
    """
    value = line_pairs.fisher(q, p)
    means = jnp.concatenate([q.means, p.means])
    widths = jnp.concatenate([q.covariances(), p.covariances()])
    alike = jnp.max(widths) <= (1.0 + ROUNDING) * jnp.min(widths)
    reach = (jnp.max(means) - jnp.min(means)) / jnp.min(widths)
    error = jnp.where(alike, _BEYOND * reach**2, 0.0)
    seen = jnp.where(error > ROUNDING * value, error, 0.0)
    return Estimate(value, seen, "quadrature")


def two_modes(a, weight) -> GaussianMixture:
    """weight N(-a, 1) + (1 - weight) N(a, 1)."""
    means = jnp.stack([-a, a])[:, None]
    return GaussianMixture.isotropic([weight, 1.0 - weight], means, [1.0, 1.0])


def wrong_weights(separation) -> dict[str, GaussianMixture]:
    """Two modes p and the same with other weights q, by name."""
    a = jnp.asarray(separation)
    return {"q": two_modes(a, WRONG_WEIGHT), "p": two_modes(a, RIGHT_WEIGHT)}


def same_two_modes(q: GaussianMixture, p: GaussianMixture) -> bool:
    """Whether both are two components N(-a, 1) and N(a, 1), with weights of their own."""
    if q.num_components != 2 or p.num_components != 2:
        return False
    same = np.array_equal(q.means, p.means) and float(jnp.sum(p.means)) == 0.0
    return same and all(bool(np.all(m.covariances() == 1.0)) for m in (q, p))


def blindness(q: GaussianMixture, p: GaussianMixture):
    """The bound on FI(q || p) for the `same_two_modes`."""
    a, (u, w) = p.means[1, 0], (jnp.exp(m.log_weights[0]) for m in (p, q))
    share = (w - u) ** 2 / (2.0 * u * (1.0 - u) * (w * (1.0 - w)) ** 0.5)
    return a**2 * share * jnp.exp(-0.5 * a**2)
