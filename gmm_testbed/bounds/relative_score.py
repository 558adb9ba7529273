r"""T4: what freezing the relative score over a step costs.

In the account of `frozen`, F is the Fisher information of \(p_t\) from \(\gamma\), which
decays like \(e^{-2t}\) or faster, so

\[ KL(p_0\|q) \le e^{-2T} KL(p_0\|\gamma) + h\, FI(p_0\|\gamma) , \]

and at most \(e^{-2T} KL + 2 h\, FI + 2 T \varepsilon^2\) with
\(\varepsilon^2 = \max_k E\|e_k\|^2\). Both KL and FI are convex in \(p_0\), so means over
components (C21) stand for them in closed form. Attacks have found at most .34 of
h FI in the cells (`gt.bounds.tightest`): the constant 1 is perhaps 1/2.

Source: Conforti, Durmus and Gentiloni Silveri (arXiv:2308.12240) up to constants, which are
proved here.
"""

from typing import ClassVar

import numpy as np

from ..paths import OU
from .base import AbstractBound, Case, Facts
from .spaces import Between, OneOf, Problems
from .tools.frozen import STEPS, sides
from .tools.line_paths import two_modes


class FrozenRelativeScore(AbstractBound):
    """T4 for two modes, over the time T and a constant error of the score."""

    facts: ClassVar[Facts] = Facts(
        statement="KL <= e^-2T KL(p_0||N(0,I)) + h FI(p_0||N(0,I)), relative score frozen",
        assumptions=("Ornstein-Uhlenbeck path", "finite Fisher information"),
        source="constants here; form: Conforti, Durmus and Gentiloni Silveri, 2308.12240",
        status="proved",
        search={
            "problem": Problems(),
            "T": Between(0.3, 3.0),
            "error": OneOf((0.0, 0.3)),
        },
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"T": T, "error": error} for error in (0.0, 0.3) for T in (0.7, 1.2, 2.0)
    )

    def setting(self, case):
        return {"problem": two_modes(OU(1.0)).problem} | case

    def sides(self, key, problem, T, error):
        found = sides(problem, -1.0, T, error)

        def bound(kl, fisher):
            cost = fisher * T / STEPS
            if error:
                cost = 2.0 * cost + 2.0 * T * error**2
            return np.exp(-2.0 * T) * kl, cost

        decayed, cost = bound(found.kl, found.fisher)
        return found.claims(
            [
                ("initialisation", found.start, decayed),
                ("cells", found.cells, cost),
                ("output, closed bound", found.output, decayed + cost),
                (
                    "closed bound by components",
                    decayed + cost,
                    sum(bound(*found.parts)),
                ),
            ]
        )
