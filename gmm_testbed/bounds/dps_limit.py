r"""T11: where DPS goes as its steps shrink, for one Gaussian, in closed form.

Prior \(N(\mu, s^2)\), \(y = x_0 + N(0, g^2)\), \(\kappa = s^2/g^2\). For every path, from
\(v = \sigma^2/\alpha^2 = \infty\) down to 0, DPS with its guidance times \(\zeta\) ends in
a Gaussian with

\[ \begin{array}{lll}
 & \text{mean} - \mu & \text{variance} \\
 \text{SDE} & (y-\mu)(1 - e^{-\zeta\kappa}) & \frac{g^2}{2\zeta}(1 - e^{-2\zeta\kappa}) \\
 \text{ODE} & (y-\mu)\sqrt{2\zeta\kappa}\,D(\sqrt{\zeta\kappa/2}) & s^2 e^{-\zeta\kappa} \\
 \text{exact} & (y-\mu)\,\kappa/(1+\kappa) & s^2/(1+\kappa)
\end{array} \]

with D Dawson's integral. In \(w = s^2 + v\), which decreases, and with
\(a = \zeta s^4/g^2\), the reverse SDE of \(z = x/\alpha - \mu\) is linear,

\[ dz = \Big[ \Big(\frac1w + \frac a{w^2}\Big) z - \frac{\zeta s^2 (y-\mu)}{g^2 w} \Big] dw
   + dB , \]

and is solved with the factor \(w e^{-a/w}\): at level v the law has

\[ \text{mean} = (y-\mu) \frac{w}{s^2} (1 - e^{-a/w}), \qquad
   \text{variance} = \frac{w^2}{2a} (1 - e^{-2a/w}) . \]

The ODE has half of the drift and no noise; its factor is \(\sqrt w\,e^{-a/2w}\).

So the variance tends to half the truth as \(\kappa\) grows, and no \(\zeta\) fixes both
moments: the mean asks for \(\zeta = \log(1+\kappa)/\kappa\), where the variance is
\(\sinh(u)/u > 1\) times the exact one, \(u = \log(1+\kappa)\). Averaged over y, KL(exact ||
SDE) has its largest value, 0.2323 nats, at \(\kappa = 4.56\).

Measured: the exact law of the sampler at finite steps, extrapolated to none (Richardson);
guidance that is stiffer than in the sweep would need more steps.
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.special import dawsn

from .. import approximations, kernels, laws
from ..algorithms import Guided
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..paths import VE
from ..problem import InverseProblem, Linear, Target
from .base import BUILT, AbstractBound, Case, Claim, Facts, Limit, outside
from .tools.assumptions import count

PEAK = 0.23231  # nats, of KL averaged over y; rounded up
_MEAN, _VARIANCE, _Y = 0.4, 0.7, 1.3
_STEPS = 3060
_DECADES, _BETWEEN = 68, 7  # of v on the coarsest grid, and from v = 1 to the end
_TOLERANCE = 1e-4  # of the extrapolation; a share of values below 1


class DPSLimit(AbstractBound):
    """Moments of DPS without steps, over kappa: SDE, on its way, and ODE."""

    facts: ClassVar[Facts] = Facts(
        statement="DPS tends to N(y (1 - e^-kappa), (g^2/2) (1 - e^-2kappa)) by its SDE",
        assumptions=(
            "one Gaussian prior",
            "steps that shrink",
            "a measurement and guidance: kappa, zeta > 0",
        ),
        source="here, proof in the docstring; the method is arXiv:2209.14687",
        status="proved",
        limits=(Limit("kappa", most=10.0), Limit("zeta", most=1.0)),
    )
    cases: ClassVar[tuple[Case, ...]] = (
        {"kappa": 0.5, "zeta": 1.0},
        {"kappa": 4.0, "zeta": 0.6},
        {"kappa": 4.56, "zeta": 1.0},
        {"kappa": 10.0, "zeta": 1.0},
    )

    def setting(self, case):
        return case

    def sides(self, key, kappa, zeta):
        kept = count(_prior()) == 1, BUILT, kappa > 0.0 and zeta > 0.0
        if not kept[2]:
            return outside(kept)
        (mean, variance), on_the_way = extrapolated(kernels.DDPM(), kappa, zeta)
        (flow_mean, flow_variance), _ = extrapolated(kernels.DDIM(), kappa, zeta)
        sde, way = sde_moments(kappa, zeta), sde_moments(kappa, zeta, v=1.0)
        ode = ode_moments(kappa, zeta)
        fitted = sde_moments(kappa, np.log1p(kappa) / kappa)[1]
        averaged = kl_over_y(kappa, mean, variance), kl_over_y(kappa, *sde)
        # A KL is a difference of second order: what the moments may be off by counts more.
        off = [_TOLERANCE * min(1.0, abs(float(side))) for side in sde]
        leeway = max(
            abs(
                kl_over_y(kappa, sde[0] + a * off[0], sde[1] + b * off[1]) - averaged[1]
            )
            for a in (-1, 1)
            for b in (-1, 1)
        )
        peak = kl_over_y(kappa, *sde_moments(kappa))
        claims = [
            _equal("SDE, mean", mean, sde[0]),
            _equal("SDE, variance", variance, sde[1]),
            _equal("SDE at v = 1, mean", on_the_way[0], way[0]),
            _equal("SDE at v = 1, variance", on_the_way[1], way[1]),
            _equal("ODE, mean", flow_mean, ode[0]),
            _equal("ODE, variance", flow_variance, ode[1]),
            Claim("KL over y", *map(Estimate, averaged), True, leeway),
            _below("KL over y without zeta, and its peak", peak, PEAK),
            _below(
                "exact variance, and where zeta fits the mean", exact(kappa), fitted
            ),
        ]
        return [claim._replace(assumptions=kept) for claim in claims]


def _prior():
    return GaussianMixture.isotropic([1.0], [[_MEAN]], _VARIANCE)


def exact(kappa) -> float:
    """Variance of the posterior."""
    return _VARIANCE / (1.0 + kappa)


def sde_moments(kappa, zeta=1.0, v=0.0) -> tuple[float, float]:
    """Mean and variance of DPS, SDE, at level v."""
    w, a = _VARIANCE + v, zeta * kappa * _VARIANCE
    mean = (_Y - _MEAN) * w / _VARIANCE * -np.expm1(-a / w)
    return _MEAN + mean, w**2 / (2.0 * a) * -np.expm1(-2.0 * a / w)


def ode_moments(kappa, zeta=1.0) -> tuple[float, float]:
    """Mean and variance of DPS, ODE, at level 0."""
    root = np.sqrt(0.5 * zeta * kappa)
    mean = _MEAN + (_Y - _MEAN) * 2.0 * root * dawsn(root)
    return mean, _VARIANCE * np.exp(-zeta * kappa)


def kl_over_y(kappa, mean, variance) -> float:
    r"""KL(exact || N(mean, variance)) averaged over y, whose gap of means is linear.

    The gap at `_Y` is scaled to \(E (y - \mu)^2 = s^2 + g^2\).
    """
    gap = (mean - _MEAN) / (_Y - _MEAN) - kappa / (1.0 + kappa)
    square = gap**2 * _VARIANCE * (1.0 + 1.0 / kappa)
    ratio = exact(kappa) / variance
    return float(0.5 * (ratio - 1.0 - np.log(ratio) + square / variance))


def extrapolated(kernel, kappa, zeta) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the sampler without steps, (2,), at the end and at v = 1.

    The guidance times zeta is that of the noise over zeta. Three grids are geometric in
    v, which ends at 1e-7. Their steps halve, and so do the decades of v: from 1e61, from
    1e27 and from 1e10 on. So they have as many steps and share one program.
    """
    measurement = Linear([[1.0]], _VARIANCE / (kappa * zeta))
    problem = InverseProblem(_prior(), measurement, [_Y])
    sampler = Guided(approximations.DPS(), kernel)
    times = jnp.asarray(np.linspace(1.0, 0.0, _STEPS + 1))
    found = []
    for halves in (1, 2, 4):
        decades = 0.5 * _DECADES / halves  # of sigma
        path = VE(10.0 ** (-0.5 * _BETWEEN), 10.0 ** (decades - 0.5 * _BETWEEN))
        law = laws.affine(sampler, Target(problem, path), times)
        both = np.asarray(law.means)[:, 0], np.asarray(law.covariances)[:, 0, 0]
        between = halves * _BETWEEN * _STEPS // _DECADES
        found.append(np.stack(both, axis=1)[[-1, -1 - between]])
    coarse, middle, fine = found
    first, second = 2.0 * middle - coarse, 2.0 * fine - middle  # errors of order 2
    end, way = (4.0 * second - first) / 3.0
    return end, way


def _equal(label, left, right) -> Claim:
    sides = Estimate(left, how=f"{_STEPS} steps, extrapolated"), Estimate(right)
    tolerance = _TOLERANCE * min(1.0, abs(float(right)))
    return Claim(label, *sides, True, tolerance)


def _below(label, left, right) -> Claim:
    return Claim(label, Estimate(left), Estimate(right))
