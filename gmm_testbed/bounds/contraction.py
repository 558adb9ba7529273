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
With more dimensions, where one basis diagonalises the prior's covariance and
\(A^T R^{-1} A\), each coordinate is a problem on the line: divergences and squares of
guidance add up, and \(C_v\) is that of the widest posterior coordinate.

That theta = 1/2 is below Girsanov is seen on the line for every kappa that was tried, and
not proved.
Source of the idea: Schaeffer, Rosa and Valle (arXiv:2506.11378); the proof is here.
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from ..estimate import Estimate
from ..mixture import GaussianMixture
from .base import BUILT, AbstractBound, Case, Claim, Facts, outside
from .tools.levels import over_levels
from .tools.measured_gaussian import Lines, is_measured, lines

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
        """One Gaussian, and a measurement of it with this kappa."""
        return measurement_of(case["kappa"])

    def sides(self, key, prior, A, R):
        """Both sides for several theta, averaged over y.

        Args:
            key: not used.
            prior: one Gaussian.
            A: (m, d), whose A^T R^-1 A commutes with the covariance of the prior.
            R: (m, m) covariance of the noise.
        """
        if not is_measured(A, R):
            return outside((BUILT, BUILT, False))
        given = lines(prior, A, R)
        left = Estimate(measured(given), how="closed form")
        bounds = {theta: bound(given, theta) for theta in SHARES}
        claims = [
            Claim(f"theta {theta}", left, Estimate(value, how="quadrature"))
            for theta, value in bounds.items()
        ]
        if prior.dim > 1:  # a coordinate that is wide and not measured forgets nothing
            return claims
        half, girsanov = Estimate(bounds[0.5]), Estimate(bounds[1.0])
        seen = Claim("half of the dissipation helps", half, girsanov)
        return [*claims, seen._replace(status="observed")]


def measurement_of(kappa: float) -> dict:
    """A prior N(0, s^2) and y = kappa x + N(0, kappa s^2), by name."""
    return {
        "prior": GaussianMixture.isotropic([1.0], [[0.0]], PRIOR_VARIANCE),
        "A": jnp.full((1, 1), kappa),
        "R": jnp.full((1, 1), kappa * PRIOR_VARIANCE),
    }


def measured(given: Lines) -> float:
    """KL(law of DPS || posterior), averaged over y."""
    s2, kappa = given.variances, given.kappas
    mean, variance = moments(kappa, s2, s2)
    exact = s2 / (1.0 + kappa)
    gap = mean - kappa / (1.0 + kappa)
    square = gap**2 * (s2 + s2 / kappa)
    ratio = variance / exact
    return float(0.5 * np.sum(ratio - 1.0 - np.log(ratio) + square / exact))


def bound(given: Lines, theta) -> float:
    """The right side."""

    def inside(v):
        forgotten = (given.widest / (given.widest + v)) ** (1.0 - theta)
        return forgotten * guidance_error(given, v, moments)

    return over_levels(inside, given.variances.max()) / (2.0 * theta)


def moments(kappa, s2, w):
    """Mean over (y - mean), and variance, of DPS at w = s^2 + v; see T11."""
    a = kappa * s2
    return w / s2 * -np.expm1(-a / w), w**2 / (2.0 * a) * -np.expm1(-2.0 * a / w)


def guidance_error(given: Lines, v, law):
    """E |ghat - g|^2 (n,) at levels v (n,), over y and the law of a sampler.

    Args:
        given: the measured coordinates.
        v: (n,).
        law: as `moments`.
    """
    s2, kappa = given.variances[:, None], given.kappas[:, None]
    w = s2 + v
    mean, variance = law(kappa, s2, w)
    noise, spread = s2 / kappa, s2 * (1.0 - s2 / w)  # of y and of x0 given x
    gain = s2 / w
    residual = (1.0 - gain * mean) ** 2 * (s2 + noise) + gain**2 * variance
    squares = (gain * (1.0 / noise - 1.0 / (noise + spread))) ** 2 * residual
    return np.sum(squares, axis=0)
