r"""T15: the divergence of a guided diffusion, by its drift and by its residual.

With Q, u, R and Z-hat of `bounds.twisted`,

\[ \tfrac12 \int E_{p_v(.|y)} \|\nabla\log(\psi/u)\|^2 dv + KL(p_T(.|y) \| Q_T)
   = \log\frac{\hat Z}{p(y)} + E_{P^y} \int R\,dv + E \log\frac u\psi(\delta) : \]

both are \(KL(P^y \| Q)\), the left by Girsanov, the right by T13. One test of scores,
guidance, twists, evidence and residual together, and deterministic: nested sums on the
line agree to twelve digits. KL(p(.|y) || q) of the outputs is smaller.
"""

from typing import ClassVar

from ..estimate import Estimate
from .base import AbstractBound, Case, Claim, Facts
from .spaces import OneOf, Targets
from .tools import twisted

_TOLERANCE = 1e-10  # of nested sums


class TwoWays(AbstractBound):
    """KL(P^y || Q) both ways on two modes and on atoms, over twists."""

    facts: ClassVar[Facts] = Facts(
        statement="E int |grad log psi/u|^2 / 2 + KL(start) = log Z/p(y) + E int R + end",
        assumptions=("a positive twist, whose gradient guides",),
        source="here, proof in the docstring",
        status="proved",
        search={
            "twist": OneOf(("DPS", "PiGDM"), twisted.TWISTS.get),
            "target": Targets(path=twisted.path),
        },
    )
    cases: ClassVar[tuple[Case, ...]] = (
        {"prior": "two modes", "twist": "DPS", "v_min": 0.02},
        {"prior": "two modes", "twist": "PiGDM", "v_min": 0.02},
        {"prior": "atoms", "twist": "DPS", "v_min": 0.05},
    )

    def setting(self, case):
        target = twisted.PRIORS[case["prior"]](case["v_min"])
        return {"twist": twisted.TWISTS[case["twist"]], "target": target}

    def sides(self, key, twist, target):
        twisted.require_levels(target)
        found = twisted.two_ways(twist, target)
        sides = (Estimate(side, how="nested sums") for side in found[:2])
        return [Claim("", *sides, True, _TOLERANCE)]
