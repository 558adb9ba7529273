r"""T38: how far classifier-free guidance without noise carries a class of two Gaussians.

For \(p = \tfrac12 N(1, 1) + \tfrac12 N(-1, 1)\), the guided score
\((w+1) s(x|z=1) - w s(x)\) and the probability flow from N(0, 1), with \(s = e^{-t}\),

\[ \frac{dx}{ds} = 1 + w\,(1 - \tanh(x s)), \qquad x(0) \sim N(0, 1), \ 0 \le s \le 1 . \]

It is quoted as a theorem that, for large w, \(P(x(1) \ge 0) \ge 1 - e^{-\Omega(w^2)}\) and
\(P(x(1) \ge \sqrt w) \ge 1 - e^{-\Omega(w)}\). Below zero \(dx/ds > w + 1\), so that
\(P(x(1) < 0) \le \Phi(-w-1)\): the first holds. The second does not: with
\(x = \sqrt w\,\xi\), \(s = a/\sqrt w\), the flow tends to \(\xi' = 1 - \tanh(\xi a)\), and

\[ x(1) = C \sqrt w + 1 + S\,x(0) + o(1), \qquad C = \xi(\infty) = 0.933295, \quad
   S = \frac{\partial\xi(\infty)}{\partial\xi(0)} = 0.388716 , \]

from \(\xi(0) = 0\); the 1 is the drift that is left for s of order one. Since C < 1,
\(P(x(1) \ge \sqrt w) \to 0\), whatever the rate in \(\Omega(w)\). A constant below C before
the root would make the statement right; the paper may have one.
"""

import functools
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import ndtr

from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Claim, Facts, Limit
from .tools.assumptions import count
from .tools.guided_flow import guided_flow

_LEVELS = np.geomspace(1e9, 1e-5, 3001)
_QUOTED = "Chidambaram et al. 2024, arXiv:2409.13074, Theorem 2"
_LIMITS = (Limit("weight", 0.0, 1e5),)
_ASSUMED = "two equal Gaussians N(1, 1), N(-1, 1), of which the first is the class"


class GuidedModes(AbstractBound):
    """Masses beyond 0 and the root of w, against exponentials with a rate."""

    facts: ClassVar[Facts] = Facts(
        statement="P(x >= 0) >= 1 - e^(-c w^2) and P(x >= sqrt w) >= 1 - e^(-c w)",
        assumptions=(_ASSUMED,),
        source=f"{_QUOTED}, as quoted by two readers",
        status="published",
        refuted=True,
        limits=_LIMITS,
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"weight": w, "rate": 0.01} for w in (3.0, 15.0, 100.0, 200.0, 1000.0)
    )

    def setting(self, case):
        return _laws() | case

    def sides(self, key, prior, conditional, weight, rate):
        kept = (_is_the_pair(prior, conditional),)
        claims = []
        for label, level, power in (
            ("beyond 0", 0.0, 2),
            ("beyond the root", np.sqrt(weight), 1),
        ):
            mass = 1.0 - below(prior, conditional, weight, level)
            promised = Estimate(-np.expm1(-rate * weight**power))
            found = Estimate(mass, how="Runge-Kutta")
            claims.append(Claim(label, promised, found, assumptions=kept))
        return claims


class GuidedModesCorrected(AbstractBound):
    """The mass below 0 against its bound; the median and the slope against their limits."""

    facts: ClassVar[Facts] = Facts(
        statement="P(x < 0) <= Phi(-w-1); |median - C sqrt w - 1| <= 1/sqrt w and "
        "|slope - S| <= 2/w, C = 0.9333, S = 0.3887",
        assumptions=(_ASSUMED,),
        source=f"here, argument in the docstring; {_QUOTED}, with another constant",
        status="proved",
        limits=_LIMITS,
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"weight": w} for w in (1.0, 3.0, 15.0, 100.0, 1000.0)
    )

    def setting(self, case):
        return _laws() | case

    def sides(self, key, prior, conditional, weight):
        kept = (_is_the_pair(prior, conditional),)
        given = prior, conditional, jnp.asarray(1.0 + weight), jnp.asarray(_LEVELS)
        ends = guided_flow(*given, jnp.zeros((1, 1)))
        # x = z s: from s of the first level to s of the last.
        slope = float(jnp.exp(ends.log_jacobian[0])) * _LEVELS[0]
        place, steepness = limits()
        gap = abs(float(ends.z[0, 0]) - place * np.sqrt(weight) - 1.0)
        pairs = (
            ("mass below 0", below(prior, conditional, weight, 0.0), ndtr(-weight - 1)),
            ("median", gap, 1.0 / np.sqrt(weight)),
            ("slope", abs(slope - steepness), 2.0 / weight),
        )
        how = "Runge-Kutta"
        claims = [
            Claim(label, Estimate(left, how=how), Estimate(right), assumptions=kept)
            for label, left, right in pairs
        ]
        return claims[:1] + [each._replace(status="observed") for each in claims[1:]]


def below(prior, conditional, weight, level) -> float:
    """P(x(1) < level): the flow is increasing, so that it is that of a starting point."""
    up = jnp.asarray(_LEVELS[::-1].copy())
    given = prior, conditional, jnp.asarray(1.0 + weight), up
    start = guided_flow(*given, jnp.full((1, 1), float(level))).z[0, 0]
    return float(ndtr(float(start) / np.hypot(1.0, _LEVELS[0])))


@functools.cache
def limits() -> tuple[float, float]:
    """C and S: where the flow in units of the root of w ends, and its slope there."""

    def rates(a, state):
        tangent = np.tanh(state[0] * a)
        return [1.0 - tangent, -a * (1.0 - tangent**2) * state[1]]

    solved = solve_ivp(rates, (0, 60), [0, 1], "DOP853", rtol=1e-12, atol=1e-13)
    return tuple(solved.y[:, -1].tolist())


def _laws():
    prior = GaussianMixture.isotropic([0.5, 0.5], [[1.0], [-1.0]], 1.0)
    return {
        "prior": prior,
        "conditional": GaussianMixture.isotropic([1.0], [[1.0]], 1.0),
    }


def _is_the_pair(prior, conditional) -> bool:
    """Whether these are the laws of the theorem."""
    if (prior.dim, count(prior), count(conditional)) != (1, 2, 1):
        return False
    means, variances = np.asarray(prior.means)[:, 0], np.asarray(prior.covariances())
    same = np.allclose(np.sort(means), [-1.0, 1.0]) and np.allclose(variances, 1.0)
    same = same and np.allclose(np.asarray(prior.log_weights), np.log(0.5))
    its = float(conditional.mean()[0]), float(conditional.covariance()[0, 0])
    return bool(same and np.allclose(its, 1.0))
