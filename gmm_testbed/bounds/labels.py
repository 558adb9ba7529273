r"""T35: a divergence splits into mode weights and shapes within modes.

For any label b(x), here the component of largest responsibility,

\[ KL(p\|q) = KL(b_\# p \| b_\# q) + \sum_j p(b=j)\, KL(p(\cdot|j) \| q(\cdot|j)) , \]

the chain rule for the pair (b(x), x). So the divergence of the label frequencies, which
need no densities, is a lower bound; so is that of the two masses of any set B, and
\(q(B) \le p(B) + TV(p, q)\): what is hallucinated is bounded by the divergence.

p is the exact posterior marginal of the problem "two-modes" and q the law of a sampler
there, by quadrature; B is where p is below a hundredth of its largest value.
"""

from typing import ClassVar

import numpy as np

from .. import approximations, divergences, kernels, laws
from .. import testbeds as problems
from ..algorithms import Guided
from ..paths.grids import time_grid
from .base import AbstractBound, Case, Facts, computed

_RARE = 0.01  # of the largest density
_QUADRATURE = 1e-8  # of the masses on the grid, which are taken as they are


class LabelDecomposition(AbstractBound):
    """The split for the law of a sampler with DDPM, over the number of steps."""

    facts: ClassVar[Facts] = Facts(
        statement="KL = KL of label frequencies + mean KL within labels; q(B) <= p(B) + TV",
        assumptions=("a partition",),
        source="chain rule of relative entropy; proof in the docstring",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"approximation": "DPS", "num_steps": n} for n in (8, 32)
    )

    def setting(self, case):
        target = problems.get("two-modes")
        times = time_grid(target.path, case["num_steps"], t_min=problems.T_MIN)
        field = approximations.CATALOGUE[case["approximation"]]()
        sampler = Guided(field, kernels.DDPM())
        return {"sampler": sampler, "target": target, "times": times}

    def sides(self, key, sampler, target, times):
        law = laws.grid(sampler, target, times)
        posterior = target.posterior(times[-1])
        density = law.at(-1, posterior)
        kl = divergences.kl_from(density, posterior)
        exact, masses, apart, label, rare = _masses(density, posterior)
        p, q = (np.bincount(label, weights=m) for m in (exact, masses))
        sums = np.bincount(label, weights=apart) / p  # of p log p/q
        parts = sums - np.log(p / q)
        odd = [np.asarray([m[rare].sum(), m[~rare].sum()]) for m in (exact, masses)]
        tv = 0.5 * np.abs(exact - masses).sum()
        split = _kl(p, q) + p @ parts
        return [
            computed("decomposition", kl, split, equal=True, tolerance=_QUADRATURE),
            computed("label frequencies", _kl(p, q), kl),
            computed("shapes within labels", p @ parts, kl),
            computed("masses of B", _kl(*odd), kl),
            computed("mass of B", odd[1][0], odd[0][0] + tv),
        ]


def _masses(density, posterior):
    """Exact and sampled mass p and q, p log p/q, label, and whether p is small, at nodes.

    Logarithms are kept: far out q may be below the smallest number where p is not.
    """
    x, volumes = np.asarray(density.position), np.asarray(density.volumes())
    means, weights = np.asarray(posterior.means)[:, 0], np.exp(posterior.log_weights)
    variances = np.asarray(posterior.covariances())[:, 0, 0]
    parts = np.exp(-0.5 * (x[:, None] - means) ** 2 / variances)
    parts = np.asarray(weights) * parts / np.sqrt(2.0 * np.pi * variances)
    p, log_q = parts.sum(axis=1), np.asarray(density.log_density)
    log_p = np.log(p, out=np.zeros_like(p), where=p > 0)
    apart = volumes * p * np.where(p > 0, log_p - log_q, 0.0)
    masses = volumes * p, volumes * np.exp(log_q), apart
    return *masses, parts.argmax(axis=1), p < _RARE * p.max()


def _kl(p, q):
    """sum p log p/q of a few masses, 0 where p is 0."""
    seen = p > 0
    return float(np.sum(p[seen] * np.log(p[seen] / q[seen])))
