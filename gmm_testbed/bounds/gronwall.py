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

Distances and errors are roots of mean squares over y (Minkowski's inequality), and over
the coordinates, as in T7.

Source: the usual argument; Kwon, Fan and Lee (2022, arXiv:2212.06359) for its mirror image.
"""

from typing import ClassVar

import numpy as np
from scipy.special import dawsn

from ..estimate import Estimate
from .base import BUILT, AbstractBound, Case, Claim, Facts, outside
from .contraction import guidance_error, measurement_of, moments
from .tools.levels import over_levels
from .tools.measured_gaussian import Lines, is_measured, lines


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
        """One Gaussian, and a measurement of it with this kappa."""
        return measurement_of(case["kappa"])

    def sides(self, key, prior, A, R):
        """Both sides for the SDE and the ODE, over y.

        Args:
            key: not used.
            prior: one Gaussian.
            A: (m, d), whose A^T R^-1 A commutes with the covariance of the prior.
            R: (m, m) covariance of the noise.
        """
        if not is_measured(A, R):
            return outside((BUILT, BUILT, False))
        given = lines(prior, A, R)
        return [
            Claim(
                label,
                Estimate(measured(given, law), how="closed form"),
                Estimate(bound(given, law, c), how="quadrature"),
            )
            for label, law, c in (("SDE", moments, 1.0), ("ODE", ode_moments, 0.5))
        ]


def measured(given: Lines, law) -> float:
    """W2 between the law of DPS and the posterior, root mean square over y."""
    s2, kappa = given.variances, given.kappas
    mean, variance = law(kappa, s2, s2)
    observed = s2 * (1.0 + 1.0 / kappa)  # variance of y
    square = (mean - kappa / (1.0 + kappa)) ** 2 * observed
    exact = s2 / (1.0 + kappa)
    square = square + (np.sqrt(variance) - np.sqrt(exact)) ** 2
    return float(np.sqrt(np.sum(square)))


def bound(given: Lines, law, c) -> float:
    """The right side."""

    def inside(v):
        growth = (given.widest / (given.widest + v)) ** c
        return growth * np.sqrt(guidance_error(given, v, law))

    return c * over_levels(inside, given.variances.max())


def ode_moments(kappa, s2, w):
    """Mean over (y - mean), and variance, of the ODE at w = s^2 + v."""
    p = np.sqrt(0.5 * kappa * s2 / w)
    return kappa * dawsn(p) / p, w * np.exp(-2.0 * p**2)
