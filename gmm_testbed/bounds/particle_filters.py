r"""T16: what the evidence of a particle filter says about its particles.

\(\hat Z\) is unbiased for p(y), and \(1/\hat Z\) for 1/p(y) in a filter conditional on an
exact posterior path. By Jensen's inequality both sides of

\[ KL(\text{posterior} \| \text{particle}) \le E_{cond} \log \hat Z - \log p(y), \qquad
   KL(\text{particle} \| \text{posterior}) \le \log p(y) - E \log \hat Z \]

are positive and fall with the number of particles; see `smc.kl`, and `importance` for the
case in which the divergences themselves are measured.

Source: Andrieu, Doucet and Holenstein 2010, J. R. Stat. Soc. B 72, 269-342.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp

from .. import problems, smc
from ..approximations import PiGDM
from ..estimate import Estimate
from ..time_grids import time_grid
from .base import AbstractBound, Case, Claim, Facts

_REPEATS, _STEPS = 1000, 12


class ParticleFilters(AbstractBound):
    """The twisted filter guided by PiGDM on two modes, with eight particles."""

    facts: ClassVar[Facts] = Facts(
        statement="E Z^ = p(y) = 1 / E_cond 1/Z^; E log Z^ <= log p(y) <= E_cond log Z^",
        assumptions=("multinomial resampling", "exact posterior paths"),
        source="Andrieu, Doucet and Holenstein 2010; arXiv:2306.17775",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple({"num": n} for n in (8,))

    def claims(self, key, case):
        target = problems.get("two-modes")
        times = time_grid(target.path, _STEPS, "log_snr", t_max=0.99, t_min=0.01)
        model = smc.TDS(PiGDM(), resampling="multinomial")
        num = int(case["num"])
        exact = float(target.problem.log_evidence())
        plain, kept = (
            smc.log_evidences(
                jax.random.fold_in(key, follow),
                model,
                target,
                times,
                num,
                _REPEATS,
                follow_posterior=bool(follow),
            )
            - exact
            for follow in (0, 1)
        )
        how = f"{_REPEATS} filters"
        zero, one = Estimate(0.0), Estimate(1.0)
        return [
            Claim("E Z^/p(y)", Estimate.mean_of(jnp.exp(plain), how=how), one, True),
            Claim(
                "E_cond p(y)/Z^", Estimate.mean_of(jnp.exp(-kept), how=how), one, True
            ),
            Claim(
                "0 <= bound on KL(post || ..)", zero, Estimate.mean_of(kept, how=how)
            ),
            Claim(
                "0 <= bound on KL(.. || post)", zero, -Estimate.mean_of(plain, how=how)
            ),
        ]
