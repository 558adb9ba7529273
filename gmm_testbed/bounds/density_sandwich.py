r"""T19: the KL of a sampler with noise between two estimates.

\[ E \log \frac1M \sum_{j \ge 1} k(x|z_j) \le E \log q(x) \le
   E \log \frac1{M+1} \sum_{j \ge 0} k(x|z_j) , \]

for x drawn from the kernel k at its ancestor \(z_0\) and M other states of the sampler
before the last step; `gt.laws.sandwich_kl` has the argument. With one Gaussian prior q is
known, and so are both KLs: from the exact posterior, and 0 from q itself, where the two
sides have the least error.
"""

from typing import ClassVar

from .. import approximations, kernels, laws
from ..algorithms import Guided
from ..estimate import Estimate
from ..paths.grids import time_grid
from .base import AbstractBound, Case, Claim, Facts, Limit
from .flow_density import gaussian_problem

_POINTS, _STATES = 4096, 16


class DensitySandwich(AbstractBound):
    """Both KLs of DDNM for one Gaussian in d = 3 with M = 16, over the noise of DDIM."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(q || p) lies between the estimates with and without the ancestor, "
        "and KL(p || q) below that from exact samples",
        assumptions=("independent states before the last step",),
        source="Yin & Zhou, arXiv:1805.11183; Sobolev & Vetrov, arXiv:1905.03290",
        status="proved",
        limits=(Limit("eta", 0.0, 1.0),),
    )
    cases: ClassVar[tuple[Case, ...]] = tuple({"eta": eta} for eta in (0.4, 0.7, 1.0))

    def setting(self, case):
        target = gaussian_problem()
        sampler = Guided(approximations.DDNM(), kernels.DDIM(case["eta"]))
        times = time_grid(target.path, 6, "log_snr", 0.9, 0.1)
        return {"sampler": sampler, "target": target, "times": times}

    def sides(self, key, sampler, target, times):
        law = laws.affine(sampler, target, times)
        claims = []
        for name, p in (
            ("posterior", target.posterior(times[-1])),
            ("itself", law.at(-1)),
        ):
            found = laws.sandwich_kl(
                key, sampler, target, times, _POINTS, states=_STATES, mixture=p
            )
            known, known_from = Estimate(law.kl(p)), Estimate(law.kl_from(p))
            claims += [
                Claim(f"KL(law || {name}), below", found.lower, known),
                Claim(f"KL(law || {name}), above", known, found.upper),
                Claim(f"KL({name} || law), above", known_from, found.upper_from),
            ]
        return claims
