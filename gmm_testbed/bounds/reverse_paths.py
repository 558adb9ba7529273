r"""T2: the divergence of paths the other way, along the sampler's own trajectories.

The exact reverse step has a closed density, so the log-ratio of a trajectory is known,

\[ \ell = \log\frac{\pi(x_0)}{p_T(x_0|y)} + \sum_i
   \log\frac{q(x_{i+1}|x_i)}{p(x_{i+1}|x_i,y)}, \qquad
   KL(q \| p(\cdot|y)) \le KL(Q \| P^y) = E_Q\, \ell, \qquad E_Q\, e^{-\ell} = 1 , \]

the last because the sampler has noise wherever the exact law has. Data processing gives the
inequality.
"""

from typing import ClassVar

import jax.numpy as jnp

from .. import laws
from ..budget.reverse import path_log_ratio
from ..estimate import Estimate
from ..paths import VP
from .base import AbstractBound, Case, Claim, Facts
from .path_identity import grid, guided
from .tools.assumptions import noisy
from .tools.line_paths import two_modes

_PATHS = 4000


class ReversePaths(AbstractBound):
    """PiGDM on two modes, over the number of steps."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(q || p) <= E_Q log dQ/dP over paths; E_Q exp(-log dQ/dP) = 1",
        assumptions=("Gaussian steps with noise",),
        source="here, proof in the docstring",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple({"steps": n} for n in (12, 24, 48))

    def claims(self, key, case):
        sampler, target, times = (
            guided(1.0),
            two_modes(VP()),
            grid(case["steps"]),
        )
        ratios = path_log_ratio(key, sampler, target, times, _PATHS)
        law = laws.grid(sampler, target, times)
        measured = Estimate(law.kl(target.posterior(times[-1])), how="quadrature")
        one = Estimate.mean_of(jnp.exp(-ratios))
        kept = (noisy(sampler, target, times),)
        return [
            Claim("output", measured, Estimate.mean_of(ratios), assumptions=kept),
            Claim("normalised", one, Estimate(1.0), True, assumptions=kept),
        ]
