r"""T3: what discretisation costs, by mutual information.

The discretisation term of T1 is at most \(\tfrac12\sum_i \Delta_i (mmse_i - mmse_{i+1})\),
because mmse decreases. On a geometric grid \(s_{i+1} = (1 + \kappa) s_i\) of the
signal-to-noise ratio, summation by parts and \(dI/ds = mmse/2\) give

\[ \le \kappa \big[ I_y(s_N) - I_y(s_0) + \tfrac12 s_0\, mmse_y(s_0) \big] . \]

To leading order the term is \(\tfrac14 \int \Delta |mmse'|\), least for
\(\Delta \propto |mmse'|^{-1/2}\): \(\tfrac1{4N} (\int |mmse'|^{1/2})^2\), the value of
`gt.optimal_grid`. That is asymptotic: with L that integral, one Gaussian is off by a share
L/(3N), two modes are seen to be within L/(2N), and in a few steps the optimal grid can cost
several times what the geometric one does. So both parts are claimed where L/(2N) is at most
1/4.
With \(I \le \tfrac d2\log(1 + s\lambda_{max})\) the bound is the rate of Benton et al.
(2024, arXiv:2308.03686) with its constant, and it counts only the directions that have
variance.
"""

from typing import ClassVar

import numpy as np

from .. import approximations, kernels
from ..algorithms import Guided
from ..budget import information
from ..budget.grid import leading_order, optimal_grid
from ..budget.path import budget
from ..paths import VP
from ..paths.grids import time_grid
from .base import AbstractBound, Case, Facts, computed
from .spaces import OneOf, Targets
from .tools.assumptions import geometric
from .tools.line_paths import two_modes

_T_MIN = 0.01
_FINE = 0.25  # share of the leading order that finite steps leave


class InformationBound(AbstractBound):
    """Exact field, DDPM, two modes: geometric and optimal grids over the steps."""

    facts: ClassVar[Facts] = Facts(
        statement="discretisation <= kappa [I(s_N) - I(s_0) + s_0 mmse(s_0) / 2]; on the "
        "optimal grid ~ (int |mmse'|^(1/2))^2 / (4 N) as N grows",
        assumptions=("geometric grid of the signal-to-noise ratio",),
        source="here, proof in the docstring",
        status="proved",
        search={"target": Targets(), "steps": OneOf((1, 4, 32))},
    )
    cases: ClassVar[tuple[Case, ...]] = tuple({"steps": n} for n in (32, 128))

    def setting(self, case):
        return {"target": two_modes(VP())} | case

    def sides(self, key, target, steps):
        posterior = target.problem.posterior()
        times = time_grid(target.path, steps, "log_snr", t_min=_T_MIN)
        best = optimal_grid(target, steps, t_min=_T_MIN)
        snr = np.exp(np.asarray(target.path.log_snr(times)))
        error = np.asarray(information.mmse(posterior, snr).value)
        known = information.mutual_information(posterior, snr[[0, -1]]).value
        sums = 0.5 * np.sum(np.diff(snr) * (error[:-1] - error[1:]))
        gain = float(known[1] - known[0]) + 0.5 * snr[0] * error[0]
        cost, least = (
            np.sum(
                np.asarray(budget(key, sampler(), target, grid).discretisation.value)
            )
            for grid in (times, best)
        )
        claims = [
            computed("decreasing error", cost, sums),
            computed(
                "information",
                sums,
                (snr[1] / snr[0] - 1.0) * gain,
                assumptions=(geometric(snr),),
            ),
        ]
        lead = float(leading_order(target, t_min=_T_MIN).value) / steps
        length = 2.0 * np.sqrt(steps * lead)  # the integral of |mmse'|^(1/2)
        share = length / (2.0 * steps)
        if share > _FINE:
            return claims
        slack = lead * share
        asymptotic = [
            computed("optimal grid", least, cost),
            computed("leading order", least, lead, equal=True, tolerance=slack),
        ]
        return claims + [claim._replace(status="asymptotic") for claim in asymptotic]


def sampler() -> Guided:
    """The exact field with DDPM steps."""
    return Guided(approximations.Exact(), kernels.DDPM())
