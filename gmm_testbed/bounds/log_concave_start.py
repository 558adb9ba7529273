r"""T49: a wrong start is forgotten at a rate, if the data is strongly log-concave.

Let \(-\nabla^2\log p_0 \succeq m I\). Along \(v = \sigma^2/\alpha^2\), for
\(z = x/\alpha\), \(p_v = p_0 * N(0, v I)\) is \(m/(1 + mv)\)-strongly log-concave
(Brascamp and Lieb), so that the probability flow \(dz/dv = -\tfrac12\nabla\log p_v\)
brings two points together at the rate \(m/(2 + 2mv)\), and the reverse SDE, coupled by
one noise, at twice that. From \(N(0, V I)\) in place of \(p_V\), down to 0, with the
exact score and steps that shrink,

\[ W_2(q_0, p_0) \le \frac{W_2(N(0, V I), p_V)}{(1 + mV)^c} \le
   \frac{(E|x_0|^2)^{1/2}}{(1 + mV)^c}, \qquad
   c = \tfrac12 \text{ (flow)},\ 1 \text{ (SDE)}, \]

the second since \(x_0\) added to the noise is a coupling. For the flow the last side is
\(e^{-\int\mu} (E|x_0|^2)^{1/2}\) with
\(\mu = m g^2/(2 [e^{-2\int f} + m \int e^{-2\int_s^t f} g^2])\) on any path
\(dx = -f x\,dt + g\,dB\), \(\alpha = e^{-\int f}\), as it is quoted; in this form it is
the first of three terms of the paper, whose others are of steps and of a learned score.
The rate is \(\mu\) and not \(\mu - f\) because the start is nearer by \(\alpha\).

Equality: one round Gaussian for the first; if it is also far from 0 beside its width
for the second. Components of one variance c on the line and D apart have
\(m = 1/c - D^2/(4c^2)\), attained at one point only, which leaves a gap that grows with
D.
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, outside
from .spaces import Between, Overlapping
from .tools import reverse_line
from .tools.assumptions import count, has_density

_LAWS = ("gaussian", "two modes", "in space")
_POWERS = {"flow": 0.5, "SDE": 1.0}


class LogConcaveStart(AbstractBound):
    """A Gaussian far from 0, two modes that overlap, a Gaussian in space; over V."""

    facts: ClassVar[Facts] = Facts(
        statement="W2(q_0, p_0) <= W2(N(0, V), p_V)/(1 + m V)^c <= |x_0|_2/(1 + m V)^c, "
        "flow c = 1/2, SDE c = 1",
        assumptions=(
            "p_0 is m-strongly log-concave: one Gaussian, or components of one round "
            "covariance with means closer than two standard deviations",
            "v > 0",
        ),
        source="Gao and Zhu 2024, arXiv:2401.17958, the first of its terms as quoted; "
        "proof in the docstring",
        status="proved",
        search={"prior": Overlapping(width=0.3), "v": Between(0.01, 100.0)},
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"law": law, "v": v} for law in _LAWS for v in (0.1, 1.0, 30.0)
    )

    def setting(self, case):
        return {"prior": _prior(case["law"]), "v": case["v"]}

    def sides(self, key, prior, v):
        """Both bounds, of the flow and of the SDE.

        Args:
            key: not used.
            prior: one Gaussian, or a mixture on the line.
            v: V, noise variance of x/alpha where the sampler starts.
        """
        one = count(prior) == 1 and has_density(prior)
        kept = one or reverse_line.log_concave(prior), bool(v > 0.0)
        if not all(kept):
            return outside(kept)
        if not one:
            reverse_line.check(prior)
        m, begun, ended = (_of_gaussian if one else _on_the_line)(prior, float(v))
        size = np.sum(np.asarray(prior.mean()) ** 2)
        size = np.sqrt(size + np.trace(np.asarray(prior.covariance())))
        claims = []
        for name, power in _POWERS.items():
            left = Estimate(np.sqrt(ended[name]), how="quadrature")
            for label, start in ((name, np.sqrt(begun)), (f"{name}, by size", size)):
                right = Estimate(start * (1.0 + m * v) ** -power, how="quadrature")
                claims.append(Claim(label, left, right, assumptions=kept))
        return claims


def _of_gaussian(prior, v):
    """m, W2^2 at the start, and W2^2 at the end of the flow and of the SDE."""
    k = int(np.argmax(np.asarray(prior.log_weights)))
    values, basis = np.linalg.eigh(np.asarray(prior.covariances()[k]))
    means = basis.T @ np.asarray(prior.means[k])
    apart = means**2 + (np.sqrt(values + v) - np.sqrt(v)) ** 2
    rate = values / (values + v)
    gap = np.sqrt(values) - np.sqrt(values * v * (2.0 * values + v)) / (values + v)
    ended = {
        "flow": np.sum(rate * apart),
        "SDE": np.sum((rate * means) ** 2 + gap**2),
    }
    return 1.0 / values.max(), np.sum(apart), ended


def _on_the_line(prior, v):
    """The same for components of one variance."""
    own, apart = reverse_line.curvature(prior)
    start = GaussianMixture.isotropic([1.0], jnp.zeros((1, 1)), v)
    found = reverse_line.squares(prior, start, v, 0.0)
    m = (1.0 - 0.25 * apart**2 / own) / own
    ended = {"flow": float(found.flow), "SDE": float(found.sde)}
    return m, float(found.start), ended


def _prior(law) -> GaussianMixture:
    if law == _LAWS[0]:
        return GaussianMixture.isotropic([1.0], [[2.5]], 0.09)
    if law == _LAWS[1]:
        return GaussianMixture.isotropic([0.4, 0.6], [[-0.3], [0.4]], 0.25)
    turn = np.linalg.qr(np.array([[1.0, 0.4, 0.0], [0.2, 1.0, -0.5], [0.3, 0.0, 1.0]]))[
        0
    ]
    covariance = turn @ np.diag([0.3, 0.5, 0.9]) @ turn.T
    return GaussianMixture.full([1.0], [[0.8, -0.4, 1.1]], covariance[None])
