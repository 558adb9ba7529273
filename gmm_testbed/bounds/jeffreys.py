r"""T18: both directions of the path divergence bound both of the output.

\[ KL(p \| q) + KL(q \| p) \le E_P \log\frac{dP}{dQ} + E_Q \log\frac{dQ}{dP} . \]

The forward term runs along exact posterior paths, which only a known posterior gives, and
the backward term along the sampler's. Source: Grosse, Ancha and Roy (NIPS 2016) for
annealed importance sampling on simulated data; data processing.
"""

from typing import ClassVar

from .. import laws
from ..budget.path import budget
from ..budget.reverse import path_log_ratio
from ..estimate import Estimate
from ..paths import VP
from .base import AbstractBound, Case, Claim, Facts
from .path_identity import grid, guided
from .spaces import OneOf, Targets
from .tools.assumptions import noisy
from .tools.line_paths import two_modes

_PATHS = 4000


class Jeffreys(AbstractBound):
    """PiGDM on two modes, over the number of steps."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(p||q) + KL(q||p) <= E_P log dP/dQ + E_Q log dQ/dP over paths",
        assumptions=("Gaussian steps with noise",),
        source="Grosse, Ancha and Roy (NIPS 2016)",
        status="proved",
        search={
            "target": Targets(),
            "times": OneOf((1, 2, 8), grid),
            "sampler": OneOf((1.0,), guided),
        },
    )
    cases: ClassVar[tuple[Case, ...]] = tuple({"steps": n} for n in (12, 24, 48))

    def setting(self, case):
        return {
            "sampler": guided(1.0),
            "target": two_modes(VP()),
            "times": grid(case["steps"]),
        }

    def sides(self, key, sampler, target, times):
        posterior = target.posterior(times[-1])
        law = laws.grid(sampler, target, times)
        left = Estimate(law.kl(posterior) + law.kl_from(posterior), how="quadrature")
        forward = budget(key, sampler, target, times).total
        backward = path_log_ratio(key, sampler, target, times, _PATHS)
        kept = (noisy(sampler, target, times),)
        right = forward + Estimate.mean_of(backward)
        return [Claim("", left, right, assumptions=kept)]
