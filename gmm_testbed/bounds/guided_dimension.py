r"""T39: classifier-free guidance of two classes in high dimension, with noise and without.

Classes N(m, I) and N(-m, I) with \(|m| = \sqrt d\), guided score
\(s_c + \omega(s_c - s)\), Ornstein-Uhlenbeck. Beyond m the classes agree; along it, with
\(q = x\cdot m/|m|\), both samplers act on the line, and the conditional law is
\(N(\sqrt d, 1)\). It is quoted as a theorem that for d to infinity the guided law is the
conditional one. Guidance acts while \(\sqrt d\, e^{-t}\) is of order one and shifts q by a
number of order one there.

With noise the shift is forgotten like \(e^{-t}\) in what is left of the time,
\(\tfrac12\log d\): the total variation falls like \(d^{-1/2}\). Without noise
\(z = q - \sqrt d\,s\), \(s = e^{-t}\), obeys \(dz/ds = \sqrt d\,\omega\,(1 -
\tanh(\sqrt d\,s\,(z + \sqrt d\,s)))\), that is, in \(a = \sqrt d\,s\),

\[ \frac{dz}{da} = \omega\,\big(1 - \tanh(a (z + a))\big) , \qquad 0 \le a \le \sqrt d , \]

in which d is the end only: the law of \(q - \sqrt d\) has a limit, which is not the
conditional one, and which d = 4 has reached to three digits.

What stands for d is \((|m|/s)^2\), for classes N(m, s^2 I) and N(-m, s^2 I) in any number
of dimensions, with 2m the difference of their means; with the log-odds b of the class,
\(\tanh(a(z + a) + b/2)\), and the limit is near where \(d + \min(b, 0)/2 \ge 4\).
"""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.special import expit, ndtr

from .. import laws
from .._checks import require
from ..algorithms import Guided
from ..approximations import Unguided
from ..estimate import Estimate
from ..kernels import DDPM
from ..mixture import GaussianMixture
from ..paths import OU
from ..paths.grids import time_grid
from ..problem import InverseProblem, Linear, Target
from ..problem.denoisers import ClassGuidance
from .base import BUILT, AbstractBound, Case, Claim, Facts, Limit, outside
from .tools.assumptions import count, equal_covariances, has_density, isotropic
from .tools.guided_flow import guided_flow

_SLOPE = 0.03
_SAME = 1e-3  # of the law without noise, from d = 4 on
_STEPS = 160
_PATH, _T_MIN = OU(9.0), 1e-4
_LEVELS = np.geomspace(1e5, 1e-4, 801)
_TIMES = 16  # as many dimensions again
_ROUNDING = 1e-9
_NEAR = 4.0  # of the limit: d, less what a rare class needs
_LEAST, _MOST = 1.0, 1000.0  # d
_CLASSES = "two classes N(m, s^2 I) and N(-m, s^2 I), and guidance: omega > 0"
_LIMITS = (Limit("d", _LEAST, _MOST), Limit("omega", 0.01, 100.0))
_SOURCE = "Lehman Pavasovic et al. 2025, arXiv:2502.07849"
_SAMPLERS = ("SDE", "ODE")


class GuidedDimension(AbstractBound):
    """How the total variation falls from d to 16 d, for both samplers."""

    facts: ClassVar[Facts] = Facts(
        statement="the total variation of the guided q falls as d^(-1/2), SDE and ODE",
        assumptions=(_CLASSES,),
        source=f"{_SOURCE}, as quoted",
        status="published",
        refuted=True,
        limits=_LIMITS,
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"sampler": sampler, "d": d, "omega": 1.0}
        for sampler in _SAMPLERS
        for d in (4, 16)
    )

    def setting(self, case):
        """The sampler, the two classes, and the guidance."""
        return classes_of(case)

    def sides(self, key, sampler, prior, conditional, omega):
        """The slope from the classes as given to means four times as far apart.

        Args:
            key: not used.
            sampler: "SDE" or "ODE".
            prior: two round components of one variance.
            conditional: one of them.
            omega: of the guidance.
        """
        kept = (are_classes(prior, conditional) and omega > 0,)
        if not kept[0]:
            return outside(kept)
        pair = reduced(prior, conditional)
        return [
            Claim("", slope(sampler, pair, omega), Estimate(0.5), True, _SLOPE, kept)
        ]


class GuidedDimensionCorrected(AbstractBound):
    """With noise the slope; without it the same law at d and at 16 d."""

    facts: ClassVar[Facts] = Facts(
        statement="SDE: the total variation of the guided q falls as d^(-1/2); ODE: the "
        "law of q - sqrt d has a limit, and its total variation is that at d = 4",
        assumptions=(_CLASSES, "d + min(log-odds of the class, 0) / 2 is at least 4"),
        source=f"here, argument in the docstring; {_SOURCE}",
        status="asymptotic",
        limits=_LIMITS,
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"sampler": sampler, "d": d, "omega": omega}
        for sampler in _SAMPLERS
        for d, omega in ((16, 1.0), (16, 7.0))
    )

    def setting(self, case):
        """The sampler, the two classes, and the guidance."""
        return classes_of(case)

    def sides(self, key, sampler, prior, conditional, omega):
        """The slope, or both total variations, with means four times as far apart.

        Args:
            key: not used.
            sampler: "SDE" or "ODE".
            prior: two round components of one variance.
            conditional: one of them.
            omega: of the guidance.
        """
        classes = are_classes(prior, conditional)
        if not classes:
            return outside((False, BUILT))
        pair = reduced(prior, conditional)
        near = bool(pair.d + 0.5 * min(0.0, pair.log_odds) >= _NEAR * (1.0 - _ROUNDING))
        kept = (omega > 0, near)
        if sampler == "ODE":
            both = [Estimate(v, how="quadrature") for v in ends(sampler, pair, omega)]
            return [Claim("the same", *both, True, _SAME, kept)]
        found = slope(sampler, pair, omega)
        return [Claim("slope", found, Estimate(0.5), True, _SLOPE, kept)]


class Pair(NamedTuple):
    """Two classes on the line of their means, in units of their scale.

    Attributes:
        d: square of half the distance of the means.
        log_odds: of the class against the other.
    """

    d: float
    log_odds: float


def classes_of(case: Case) -> dict:
    """The sampler, two classes at +-(1, ..., 1) in d dimensions, and omega, by name."""
    ones = np.ones((1, case["d"]))
    return {
        "sampler": case["sampler"],
        "prior": GaussianMixture.isotropic([0.5, 0.5], [*ones, *-ones], 1.0),
        "conditional": GaussianMixture.isotropic([1.0], ones, 1.0),
        "omega": case["omega"],
    }


def are_classes(prior: GaussianMixture, conditional: GaussianMixture) -> bool:
    """Whether these are two round components of one variance, and one of them."""
    alike = isotropic(prior) and equal_covariances(prior) and count(prior) == 2
    if not alike or (prior.num_components, conditional.num_components) != (2, 1):
        return False
    same = np.allclose(conditional.covariances()[0], prior.covariances()[0])
    apart = np.ptp(np.asarray(prior.means), axis=0).max() > 0.0 and has_density(prior)
    return bool(same and apart and min(_gaps(prior, conditional)) < _ROUNDING)


def _gaps(prior, conditional) -> list[float]:
    """Distances of both means from that of the class, over their own distance."""
    means = np.asarray(prior.means)
    gaps = np.linalg.norm(means - np.asarray(conditional.means[0]), axis=1)
    return [float(gap / np.linalg.norm(means[0] - means[1])) for gap in gaps]


def reduced(prior: GaussianMixture, conditional: GaussianMixture) -> Pair:
    """The classes on the line of their means.

    Raises:
        InputError: where they are too near or too far apart to be computed.
    """
    gap = np.asarray(prior.means[0] - prior.means[1])
    d = float(0.25 * np.sum(gap**2) / prior.covariances()[0, 0, 0])
    require(
        _LEAST * (1.0 - _ROUNDING) <= d <= _MOST * (1.0 + _ROUNDING),
        "T39 is not computed for these classes",
        got=f"the square of half their distance over their variance, {d:g}",
        expected=f"from {_LEAST:g} to {_MOST:g}",
        hint="the limit is that of the computation, not of the theorem",
    )
    own = int(np.argmin(_gaps(prior, conditional)))
    logs = np.asarray(prior.log_weights)
    return Pair(d, float(logs[own] - logs[1 - own]))


def ends(sampler: str, pair: Pair, omega: float) -> list[float]:
    """Both total variations: at this d, and at as many times."""
    return [
        variation(sampler, pair._replace(d=d), omega) for d in (pair.d, _TIMES * pair.d)
    ]


def slope(sampler: str, pair: Pair, omega: float) -> Estimate:
    """The power of d with which the total variation falls."""
    first, last = ends(sampler, pair, omega)
    return Estimate(np.log(first / last) / np.log(_TIMES), how="quadrature")


def variation(sampler: str, pair: Pair, omega: float) -> float:
    """Total variation of the law of q from the conditional one, SDE or ODE."""
    m = np.sqrt(pair.d)
    weights = expit([pair.log_odds, -pair.log_odds])
    prior = GaussianMixture.isotropic(weights, [[m], [-m]], 1.0)
    conditional = GaussianMixture.isotropic([1.0], [[m]], 1.0)
    return (_with_noise if sampler == "SDE" else _without)(prior, conditional, omega)


def _with_noise(prior, conditional, omega) -> float:
    """By DDPM with the large variance, which is exact for one class."""
    blind = InverseProblem(conditional, Linear([[0.0]], 1.0), [0.0])
    guidance = ClassGuidance(prior, conditional, 1.0 + omega)
    target = Target(blind, _PATH).seen_through(guidance)
    times = time_grid(_PATH, _STEPS, "log_snr", t_min=_T_MIN)
    law = laws.grid(Guided(Unguided(), DDPM("large")), target, times)
    return float(law.tv(target.posterior(times[-1])))


def _without(prior, conditional, omega) -> float:
    """Of an increasing map: half the variation of the difference of both masses."""
    x = np.linspace(-9.0, 9.0, 4001)
    given = prior, conditional, jnp.asarray(1.0 + omega), jnp.asarray(_LEVELS)
    ends = np.asarray(guided_flow(*given, jnp.asarray(_LEVELS[0] * x)[:, None]).z)[:, 0]
    gap = ndtr(x) - ndtr(ends - float(conditional.mean()[0]))
    return 0.5 * float(np.abs(np.diff(gap)).sum() + abs(gap[0]) + abs(gap[-1]))
