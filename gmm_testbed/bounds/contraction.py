r"""T7: Girsanov with contraction, for errors that the reverse process forgets.

Along \(v = \sigma^2/\alpha^2\), which decreases, let q be the law of the sampler without
steps, \(\hat g\) its guidance and g the exact one (of \(x/\alpha\)), and let
\(p_v(\cdot|y)\) satisfy a logarithmic Sobolev inequality with constant \(C_v\). For
\(\theta \in (0, 1]\)

\[ KL(q_0 \| p_0) \le e^{-E(\infty)} KL(q_\infty \| p_\infty)
   + \frac1{2\theta} \int e^{-E(v)} E_{q_v} |\hat g - g|^2 dv, \qquad
   E(v) = (1-\theta) \int_0^v \frac{du}{C_u} . \]

The divergence changes by
\(-\tfrac12 FI(q\|p) + E_q\langle\hat g - g, \nabla\log(q/p)\rangle\); Young's inequality
takes a share \(\theta\) of the first term, the Sobolev inequality the rest, then Gronwall.
\(\theta = 1\) is Girsanov. For one Gaussian \(C_v = s_y^2 + v\), \(s_y^2\) the posterior
variance, and \(e^{-E(v)} = (s_y^2/(s_y^2 + v))^{1-\theta}\); the law of DPS is that of T11,
and its divergence from the exact one vanishes at \(v = \infty\). Averages over y.

That theta = 1/2 is below Girsanov is seen for every kappa that was tried, and not proved.
Source of the idea: Schaeffer, Rosa and Valle (arXiv:2506.11378); the proof is here.
"""

from typing import ClassVar

import numpy as np

from ..estimate import Estimate
from .base import BUILT, AbstractBound, Case, Claim, Facts, outside
from .tools.levels import over_levels

PRIOR_VARIANCE = 0.7
SHARES = (1.0, 0.75, 0.5, 0.25)
"""Values of theta."""


class Contraction(AbstractBound):
    """DPS for one Gaussian, over kappa and theta."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(q||p) <= (1/2 theta) int e^-E(v) E_q|ghat - g|^2 dv, E by Sobolev",
        assumptions=(
            "logarithmic Sobolev inequality",
            "steps that shrink",
            "a measurement: kappa > 0",
        ),
        source="here, proof in the docstring; idea: arXiv:2506.11378",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"kappa": k} for k in (0.3, 1.0, 4.0, 20.0)
    )

    def setting(self, case):
        return case

    def sides(self, key, kappa):
        if not kappa > 0.0:
            return outside((BUILT, BUILT, False))
        left = Estimate(measured(kappa), how="closed form")
        bounds = {theta: bound(kappa, theta) for theta in SHARES}
        claims = [
            Claim(f"theta {theta}", left, Estimate(value, how="quadrature"))
            for theta, value in bounds.items()
        ]
        half, girsanov = Estimate(bounds[0.5]), Estimate(bounds[1.0])
        seen = Claim("half of the dissipation helps", half, girsanov)
        return [*claims, seen._replace(status="observed")]


def measured(kappa) -> float:
    """KL(law of DPS || posterior), averaged over y."""
    mean, variance = moments(kappa, PRIOR_VARIANCE)
    exact = PRIOR_VARIANCE / (1.0 + kappa)
    gap = mean - kappa / (1.0 + kappa)
    square = gap**2 * (PRIOR_VARIANCE + PRIOR_VARIANCE / kappa)
    ratio = variance / exact
    return float(0.5 * (ratio - 1.0 - np.log(ratio) + square / exact))


def bound(kappa, theta) -> float:
    """The right side."""
    exact = PRIOR_VARIANCE / (1.0 + kappa)

    def inside(w):
        forgotten = (exact / (exact + w - PRIOR_VARIANCE)) ** (1.0 - theta)
        return forgotten * guidance_error(kappa, w, *moments(kappa, w))

    return over_levels(inside, PRIOR_VARIANCE) / (2.0 * theta)


def moments(kappa, w):
    """Mean over (y - mean), and variance, of DPS at w = s^2 + v; see T11."""
    a = kappa * PRIOR_VARIANCE
    return w / PRIOR_VARIANCE * -np.expm1(-a / w), w**2 / (2.0 * a) * -np.expm1(
        -2.0 * a / w
    )


def guidance_error(kappa, w, mean, variance):
    """E |ghat - g|^2 over y and a law with mean times (y - prior mean), and variance."""
    noise, spread = (
        PRIOR_VARIANCE / kappa,
        PRIOR_VARIANCE * (1.0 - PRIOR_VARIANCE / w),
    )  # of y and of x0 given x
    gain = PRIOR_VARIANCE / w
    residual = (1.0 - gain * mean) ** 2 * (PRIOR_VARIANCE + noise) + gain**2 * variance
    return (gain * (1.0 / noise - 1.0 / (noise + spread))) ** 2 * residual
