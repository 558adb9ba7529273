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
guidance that is stiffer than in the sweep would need more steps. As the mean is linear in
y, one y is enough. In more dimensions each coordinate of the basis that prior and
measurement share is such a problem (T7), and its claims have its number.
"""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.special import dawsn

from .. import approximations, kernels, laws
from .._checks import require
from ..algorithms import Guided
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..paths import VE
from ..problem import InverseProblem, Linear, Target
from .base import BUILT, AbstractBound, Case, Claim, Facts, Limit, outside
from .tools.assumptions import has_density
from .tools.measured_gaussian import is_measured, lines

PEAK = 0.23231  # nats, of KL averaged over y; rounded up
_MEAN, _VARIANCE = 0.4, 0.7
BEYOND = 0.9  # of y from the mean of the prior, in every coordinate
_STEPS = 3060
_DECADES, _BETWEEN = 68, 7  # of v on the coarsest grid, and from v = 1 to the end
_TOLERANCE = 1e-4  # of the extrapolation; a share of values below 1
_STIFFEST, _SIZES = 10.0, (1e-2, 1e2)  # kappa, and variances for which steps suffice


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
        """One Gaussian, a measurement with this kappa, and the factor of the guidance."""
        kappa = case["kappa"]
        return {
            "prior": GaussianMixture.isotropic([1.0], [[_MEAN]], _VARIANCE),
            "A": jnp.full((1, 1), kappa),
            "R": jnp.full((1, 1), kappa * _VARIANCE),
            "zeta": case["zeta"],
        }

    def sides(self, key, prior, A, R, zeta):
        """Moments and divergences of every coordinate that is measured.

        Args:
            key: not used.
            prior: one Gaussian with a density.
            A: (m, d), whose A^T R^-1 A commutes with the covariance of the prior.
            R: (m, m) covariance of the noise.
            zeta: factor of the guidance.
        """
        one = prior.num_components == 1 and has_density(prior)
        kept = one, BUILT, is_measured(A, R) and zeta > 0.0
        if not all(kept):
            return outside(kept)
        given = lines(prior, A, R)
        _require_steps(given)
        sde, flow = (
            extrapolated(kernel, prior, A, R, zeta, given.axes)
            for kernel in (kernels.DDPM(), kernels.DDIM())
        )
        claims = []
        for j, (kappa, s2) in enumerate(
            zip(given.kappas, given.variances, strict=True)
        ):
            mean = float(given.axes[:, j] @ np.asarray(prior.means[0]))
            line = Line(float(kappa), float(s2), mean)
            found = _claims(line, zeta, *(part[:, j] for part in (*sde, flow[0])))
            if len(given.kappas) > 1:
                found = [c._replace(label=f"{c.label}, coordinate {j}") for c in found]
            claims += found
        return [claim._replace(assumptions=kept) for claim in claims]


class Line(NamedTuple):
    """One coordinate: N(mean, variance), and kappa of its measurement."""

    kappa: float
    variance: float = _VARIANCE
    mean: float = _MEAN


def _require_steps(given) -> None:
    sizes = given.variances.min(), given.variances.max()
    require(
        given.kappas.max() <= _STIFFEST * (1.0 + 1e-9)
        and _SIZES[0] <= sizes[0]
        and sizes[1] <= _SIZES[1],
        "T11 is not computed for this problem",
        got=f"kappa {given.kappas.max():g}, variances {sizes[0]:g} to {sizes[1]:g}",
        expected=f"kappa at most {_STIFFEST:g}, variances {_SIZES[0]:g} to {_SIZES[1]:g}",
        hint="the limit is that of the steps, not of the theorem; take other units",
    )


def _claims(line, zeta, end, on_the_way, flow):
    """Of one coordinate, whose mean and variance were found at the end and at v = 1."""
    mean, variance = end
    sde, way = sde_moments(line, zeta), sde_moments(line, zeta, v=1.0)
    ode = ode_moments(line, zeta)
    fitted = sde_moments(line, np.log1p(line.kappa) / line.kappa)[1]
    averaged = kl_over_y(line, mean, variance), kl_over_y(line, *sde)
    # A KL is a difference of second order: what the moments may be off by counts more.
    off = [_TOLERANCE * min(1.0, abs(float(side))) for side in sde]
    leeway = max(
        abs(kl_over_y(line, sde[0] + a * off[0], sde[1] + b * off[1]) - averaged[1])
        for a in (-1, 1)
        for b in (-1, 1)
    )
    peak = kl_over_y(line, *sde_moments(line))
    return [
        _equal("SDE, mean", mean, sde[0]),
        _equal("SDE, variance", variance, sde[1]),
        _equal("SDE at v = 1, mean", on_the_way[0], way[0]),
        _equal("SDE at v = 1, variance", on_the_way[1], way[1]),
        _equal("ODE, mean", flow[0], ode[0]),
        _equal("ODE, variance", flow[1], ode[1]),
        Claim("KL over y", *map(Estimate, averaged), True, leeway),
        _below("KL over y without zeta, and its peak", peak, PEAK),
        _below("exact variance, and where zeta fits the mean", exact(line), fitted),
    ]


def exact(line: Line) -> float:
    """Variance of the posterior."""
    return line.variance / (1.0 + line.kappa)


def sde_moments(line: Line, zeta=1.0, v=0.0) -> tuple[float, float]:
    """Mean and variance of DPS, SDE, at level v."""
    w, a = line.variance + v, zeta * line.kappa * line.variance
    mean = BEYOND * w / line.variance * -np.expm1(-a / w)
    return line.mean + mean, w**2 / (2.0 * a) * -np.expm1(-2.0 * a / w)


def ode_moments(line: Line, zeta=1.0) -> tuple[float, float]:
    """Mean and variance of DPS, ODE, at level 0."""
    root = np.sqrt(0.5 * zeta * line.kappa)
    mean = line.mean + BEYOND * 2.0 * root * dawsn(root)
    return mean, line.variance * np.exp(-zeta * line.kappa)


def kl_over_y(line: Line, mean, variance) -> float:
    r"""KL(exact || N(mean, variance)) averaged over y, whose gap of means is linear.

    The gap at `BEYOND` is scaled to \(E (y - \mu)^2 = s^2 + g^2\).
    """
    gap = (mean - line.mean) / BEYOND - line.kappa / (1.0 + line.kappa)
    square = gap**2 * line.variance * (1.0 + 1.0 / line.kappa)
    ratio = exact(line) / variance
    return float(0.5 * (ratio - 1.0 - np.log(ratio) + square / variance))


def extrapolated(kernel, prior, A, R, zeta, axes) -> tuple[np.ndarray, np.ndarray]:
    """Moments of the sampler without steps, (2, k), at the end and at v = 1.

    The guidance times zeta is that of the noise over zeta. Three grids are geometric in
    v, which ends at 1e-7. Their steps halve, and so do the decades of v: from 1e61, from
    1e27 and from 1e10 on. So they have as many steps and share one program.

    Args:
        kernel: with noise or without.
        prior: one Gaussian in d dimensions.
        A: (m, d).
        R: (m, m).
        zeta: factor of the guidance.
        axes: (d, k) orthonormal columns, along which means and variances are given.
    """
    y = A @ (prior.means[0] + BEYOND * jnp.sum(jnp.asarray(axes), axis=1))
    problem = InverseProblem(prior, Linear(A, R / zeta), y)
    sampler = Guided(approximations.DPS(), kernel)
    times = jnp.asarray(np.linspace(1.0, 0.0, _STEPS + 1))
    found = []
    for halves in (1, 2, 4):
        decades = 0.5 * _DECADES / halves  # of sigma
        path = VE(10.0 ** (-0.5 * _BETWEEN), 10.0 ** (decades - 0.5 * _BETWEEN))
        law = laws.affine(sampler, Target(problem, path), times)
        between = halves * _BETWEEN * _STEPS // _DECADES
        ends = np.asarray([-1, -1 - between])
        means = np.asarray(law.means)[ends] @ axes
        spreads = np.asarray(law.covariances)[ends]
        variances = np.einsum("dk,nde,ek->nk", axes, spreads, axes)
        found.append(np.stack([means, variances], axis=1))
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
