r"""T8: Wasserstein distance of a sampler by Gronwall, SDE and ODE.

With \(l_v\) the one-sided Lipschitz constant of the exact posterior score (of
\(x/\alpha\)) at level \(v = \sigma^2/\alpha^2\), and the expectation along the sampler,

\[ W_2(q_0, p_0) \le e^{L(\infty)} W_2(q_\infty, p_\infty) + c \int e^{L(v)}
   (E_{q_v} |\hat g - g|^2)^{1/2} dv, \qquad L(v) = c \int_0^v l_u du, \]

with c = 1 for the SDE (synchronous coupling) and 1/2 for the ODE. For one Gaussian with
posterior variance \(s_y^2\), \(l_v = -1/(s_y^2 + v)\), so
\(e^{L(v)} = (s_y^2/(s_y^2 + v))^c\). The laws of DPS are those of T11; at
\(w = s^2 + v\), with \(p = \sqrt{a/2w}\), \(a = s^4/g^2\) and Dawson's integral D, that of
the ODE has the mean \(\kappa (y - \mu) D(p)/p\) and the variance \(w e^{-a/w}\).

Distances and errors are roots of mean squares over y (Minkowski's inequality).

Source: the usual argument; Kwon, Fan and Lee (2022, arXiv:2212.06359) for its mirror image.
"""

from typing import ClassVar

import numpy as np
from scipy.special import dawsn

from ..estimate import Estimate
from .base import BUILT, AbstractBound, Case, Claim, Facts, outside
from .contraction import PRIOR_VARIANCE, guidance_error, moments
from .tools.levels import over_levels


class Gronwall(AbstractBound):
    """DPS for one Gaussian, SDE and ODE, over kappa."""

    facts: ClassVar[Facts] = Facts(
        statement="W2(q, p) <= c int e^L(v) (E_q |ghat - g|^2)^(1/2) dv, c = 1, ODE 1/2",
        assumptions=(
            "one-sided Lipschitz exact score",
            "steps that shrink",
            "a measurement: kappa > 0",
        ),
        source="here; mirror image: Kwon, Fan and Lee 2022, arXiv:2212.06359",
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
        return [
            Claim(
                label,
                Estimate(measured(kappa, law), how="closed form"),
                Estimate(bound(kappa, law, c), how="quadrature"),
            )
            for label, law, c in (("SDE", moments, 1.0), ("ODE", ode_moments, 0.5))
        ]


def measured(kappa, law) -> float:
    """W2 between the law of DPS and the posterior, root mean square over y."""
    mean, variance = law(kappa, PRIOR_VARIANCE)
    observed = PRIOR_VARIANCE * (1.0 + 1.0 / kappa)  # variance of y
    square = (mean - kappa / (1.0 + kappa)) ** 2 * observed
    exact = PRIOR_VARIANCE / (1.0 + kappa)
    square = square + (np.sqrt(variance) - np.sqrt(exact)) ** 2
    return float(np.sqrt(square))


def bound(kappa, law, c) -> float:
    """The right side."""
    exact = PRIOR_VARIANCE / (1.0 + kappa)

    def inside(w):
        growth = (exact / (exact + w - PRIOR_VARIANCE)) ** c
        return growth * np.sqrt(guidance_error(kappa, w, *law(kappa, w)))

    return c * over_levels(inside, PRIOR_VARIANCE)


def ode_moments(kappa, w):
    """Mean over (y - mean), and variance, of the ODE at w = s^2 + v."""
    p = np.sqrt(0.5 * kappa * PRIOR_VARIANCE / w)
    return kappa * dawsn(p) / p, w * np.exp(-2.0 * p**2)
