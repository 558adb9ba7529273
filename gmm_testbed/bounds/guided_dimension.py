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
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr

from .. import laws
from ..algorithms import Guided
from ..approximations import Unguided
from ..estimate import Estimate
from ..kernels import DDPM
from ..mixture import GaussianMixture
from ..paths import OU
from ..paths.grids import time_grid
from ..problem import InverseProblem, Linear, Target
from ..problem.denoisers import ClassGuidance
from .base import AbstractBound, Case, Claim, Facts, Limit
from .tools.guided_flow import guided_flow

_SLOPE = 0.03
_SAME = 1e-3  # of the law without noise, from d = 4 on
_STEPS = 160
_PATH, _T_MIN = OU(9.0), 1e-4
_LEVELS = np.geomspace(1e5, 1e-4, 801)
_TIMES = 16  # as many dimensions again
_LIMITS = (Limit("d", 1, 1000), Limit("omega", 0.01, 100.0))
_SOURCE = "Lehman Pavasovic et al. 2025, arXiv:2502.07849"
_SAMPLERS = ("SDE", "ODE")


class GuidedDimension(AbstractBound):
    """How the total variation falls from d to 16 d, for both samplers."""

    facts: ClassVar[Facts] = Facts(
        statement="the total variation of the guided q falls as d^(-1/2), SDE and ODE",
        assumptions=("guidance: omega > 0",),
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
        return case

    def sides(self, key, sampler, d, omega):
        ends = [variation(sampler, dim, omega) for dim in (d, _TIMES * d)]
        slope = Estimate(np.log(ends[0] / ends[1]) / np.log(_TIMES), how="quadrature")
        return [Claim("", slope, Estimate(0.5), True, _SLOPE, (omega > 0,))]


class GuidedDimensionCorrected(AbstractBound):
    """With noise the slope; without it the same law at d and at 16 d."""

    facts: ClassVar[Facts] = Facts(
        statement="SDE: the total variation of the guided q falls as d^(-1/2); ODE: the "
        "law of q - sqrt d has a limit, and its total variation is that at d = 4",
        assumptions=("guidance: omega > 0", "d at least 4"),
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
        return case

    def sides(self, key, sampler, d, omega):
        kept = (omega > 0, d >= 4)
        ends = [variation(sampler, dim, omega) for dim in (d, _TIMES * d)]
        if sampler == "ODE":
            pair = [Estimate(end, how="quadrature") for end in ends]
            return [Claim("the same", *pair, True, _SAME, kept)]
        slope = Estimate(np.log(ends[0] / ends[1]) / np.log(_TIMES), how="quadrature")
        return [Claim("slope", slope, Estimate(0.5), True, _SLOPE, kept)]


def variation(sampler: str, d: int, omega: float) -> float:
    """Total variation of the law of q from the conditional one, SDE or ODE."""
    m = np.sqrt(d)
    prior = GaussianMixture.isotropic([0.5, 0.5], [[m], [-m]], 1.0)
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
