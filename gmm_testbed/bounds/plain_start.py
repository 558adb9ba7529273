r"""T41: what it costs to start at pure noise instead of noised data.

For every law q of \(x_0\) in \(R^d\), with \(\tau^2 = E\|x_0\|^2 / d\),

\[ W_2\big(N(0, s^2 I),\ q * N(0, s^2 I)\big) \le \sqrt d\,\tau , \]

by the coupling \(s\varepsilon\), \(x_0 + s\varepsilon\) (Brosse and Dalalyan,
arXiv:2610.10190, proposition 44). An atom attains it at every s. For a centred law of light
tails the distance falls like 1/s, and \(2 s W_2\) tends to the Frobenius norm of Cov(q).
On the line the next term, by the Cornish-Fisher expansion of the quantiles (here), is

\[ 2 s W_2 = c + \Big(\frac{\kappa^2}{9 c} - \frac{c^2}{4}\Big) s^{-2} + O(s^{-4}) , \]

with the variance c and the third cumulant \(\kappa\) of q.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Real

from .._types import Scalar
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Facts, Limit, computed
from .tools import space
from .tools.assumptions import finite_moments

_LARGE = 4.0  # noise, in standard deviations of the data, from which a limit is claimed
_ROUND = 1e-9  # a mean that counts as none, in the same units
_TAIL = 3.0  # of the term that is left out, c^3 / s^4 times this


class PlainStart(AbstractBound):
    """The distance of noised data from pure noise, over mean, noise and d."""

    facts: ClassVar[Facts] = Facts(
        statement="W2(N(0, s^2 I), q * N(0, s^2 I)) <= sqrt(E|x|^2); centred, as s grows: "
        "2 s W2 -> ||Cov(q)||_F",
        assumptions=("finite second moments",),
        source="Brosse and Dalalyan 2026, arXiv:2610.10190, proposition 44; proof of the "
        "next term in the docstring",
        status="proved",
        limits=(Limit("dim", only=(1, 3)),),
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"mean": mean, "s": s, "dim": dim}
        for dim in (1, 3)
        for mean, s in ((0.6, 0.5), (0.6, 5.0), (0.0, 1.0), (0.0, 10.0), (0.0, 30.0))
    )

    def setting(self, case):
        """The objects of a case: the law of the data, and the noise."""
        line = GaussianMixture.isotropic(
            [0.4, 0.6],
            [[case["mean"] - 1.5], [case["mean"] + 1.0]],
            jnp.asarray([0.16, 0.36]),
        )
        others = (0.5 * case["mean"], -case["mean"]), (0.25, 0.6)
        return {
            "prior": space.beside(line, case["dim"], *others),
            "s": jnp.asarray(case["s"]),
        }

    def sides(self, key, prior, s: Real[ArrayLike, ""]):
        """The distance and its bound; the limit where the law is centred and s large.

        Args:
            key: not used.
            prior: of x_0, with components that differ along one axis.
            s: () noise scale.
        """
        prior, s = space.rotated(prior), jnp.asarray(s)
        whole = prior.whole()
        kept = (finite_moments(whole),)
        mean, covariance = np.asarray(whole.mean()), np.asarray(whole.covariance())
        distance = from_noise(prior, s)
        square = np.sum(mean**2) + np.trace(covariance)
        claims = [computed("coupling", distance, np.sqrt(square), assumptions=kept)]
        scale, s = np.sqrt(np.trace(covariance)), float(s)
        if s < _LARGE * scale or np.abs(mean).max() > _ROUND * scale:
            return claims
        limit = np.linalg.norm(covariance)
        left = 2.0 * s * float(distance)
        slack = scale**4 / s**2
        claims.append(
            computed(
                "light tails",
                left,
                limit,
                equal=True,
                tolerance=slack,
                assumptions=kept,
            )._replace(status="asymptotic")
        )
        if prior.dim == 1:
            claims.append(
                computed(
                    "next term",
                    left,
                    second_order(prior.line, s),
                    equal=True,
                    tolerance=_TAIL * scale**6 / s**4,
                    assumptions=kept,
                )._replace(status="asymptotic")
            )
        return claims


@eqx.filter_jit
def from_noise(prior: space.Rotated, s: Scalar) -> Scalar:
    """W2 between noised data and pure noise of scale s (), ()."""
    zero = jnp.zeros_like(prior.means)
    noise = GaussianMixture.isotropic([1.0], jnp.zeros((1, 1), s.dtype), s**2)
    noised = prior.noised(jnp.ones_like(s), s)
    pure = space.Rotated(noise, zero, zero + s**2)
    return jnp.sqrt(space.transport(noised, pure))


def second_order(line: GaussianMixture, s: float) -> float:
    """c + (third cumulant^2 / (9 c) - c^2 / 4) / s^2 of a centred law on the line."""
    weights, means = np.exp(line.log_weights), np.asarray(line.means)[:, 0]
    variances = np.asarray(line.covariances())[:, 0, 0]
    c = weights @ (variances + means**2)
    third = weights @ (3.0 * variances * means + means**3)
    return float(c + (third**2 / (9.0 * c) - c**2 / 4.0) / s**2)
