r"""T2: the divergence of paths the other way, along the sampler's own trajectories.

The exact reverse step has a closed density, so the log-ratio of a trajectory is known,

\[ \ell = \log\frac{\pi(x_0)}{p_T(x_0|y)} + \sum_i
   \log\frac{q(x_{i+1}|x_i)}{p(x_{i+1}|x_i,y)}, \qquad
   KL(q \| p(\cdot|y)) \le KL(Q \| P^y) = E_Q\, \ell, \qquad
   E_Q \frac1{1 + e^\ell} = E_{P^y} \frac1{1 + e^{-\ell}} . \]

Data processing gives the inequality. Both sides of the equality are the integral of
dP dQ / (dP + dQ), so it says that \(\ell\) is log dQ/dP, as \(E_Q\, e^{-\ell} = 1\) does;
but \(e^{-\ell}\) has heavy tails, and its mean over some thousands of paths says little.
"""

from typing import ClassVar

import jax

from .. import laws
from ..budget.reverse import log_ratio_of, path_log_ratio
from ..estimate import Estimate
from ..paths import VP
from ..sampling import initial_law
from ..smc.kl import posterior_paths
from .base import AbstractBound, Case, Claim, Facts
from .path_identity import grid, guided
from .spaces import OneOf, Targets
from .tools.assumptions import noisy
from .tools.line_paths import two_modes

_PATHS = 4000


class ReversePaths(AbstractBound):
    """PiGDM on two modes, over the number of steps."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(q || p) <= E_Q log dQ/dP over paths; E_Q 1/(1 + dQ/dP) = "
        "E_P 1/(1 + dP/dQ)",
        assumptions=("Gaussian steps with noise",),
        source="here, proof in the docstring",
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
        key_made, key_exact = jax.random.split(key)
        ratios = path_log_ratio(key_made, sampler, target, times, _PATHS)
        exact = posterior_paths(key_exact, target, times, _PATHS)
        start = initial_law(sampler, target, times[0], None)
        others = log_ratio_of(exact, sampler, target, times, start)
        law = laws.grid(sampler, target, times)
        measured = Estimate(law.kl(target.posterior(times[-1])), how="quadrature")
        shares = jax.nn.sigmoid(-ratios), jax.nn.sigmoid(others)
        balance = map(Estimate.mean_of, shares)
        kept = (noisy(sampler, target, times),)
        return [
            Claim("output", measured, Estimate.mean_of(ratios), assumptions=kept),
            Claim("density ratio", *balance, True, assumptions=kept),
        ]
