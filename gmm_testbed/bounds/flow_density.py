r"""T25: the density of a deterministic sampler at its samples.

For an injective composition \(\Phi\) of the discrete steps,

\[ \log q(\Phi(x)) = \log \pi(x) - \sum_i \log|\det D\Phi_i| , \]

so KL(q || p) and the total variation are means over starting points. With one Gaussian
prior the steps are affine and q is known in closed form, at each sample and as a
divergence; DPS in a few steps mirrors space, and is injective still. Where guidance folds
space the assumption fails and nothing is claimed.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import approximations, kernels, laws
from .._checks import UnsupportedError
from ..algorithms import Guided
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..paths import VP
from ..paths.grids import time_grid
from ..problem import InverseProblem, Linear, Target
from .base import AbstractBound, Case, Claim, Facts, outside

_SAMPLES = 4096
_STEPWISE = 1e-7  # nats, of a log-density against the closed form


class FlowDensity(AbstractBound):
    """Log-density and KL of DPS with DDIM steps for one Gaussian in d = 3."""

    facts: ClassVar[Facts] = Facts(
        statement="log q(Phi(x)) = log pi(x) - sum log|det D Phi_i|, and KL(q || p) is "
        "its mean over samples less that of log p",
        assumptions=("every step is injective",),
        source="change of variables; here for the discrete scheme",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = (
        {"steps": 32},
        {"steps": 3},
    )

    def setting(self, case):
        target = gaussian_problem()
        times = time_grid(target.path, case["steps"], "log_snr", 0.9, 0.05)
        sampler = Guided(approximations.DPS(), kernels.DDIM(0.0))
        return {"sampler": sampler, "target": target, "times": times}

    def sides(self, key, sampler, target, times):
        try:
            found = laws.flow_samples(key, sampler, target, times, _SAMPLES)
        except UnsupportedError:
            return outside((False,))
        law = laws.affine(sampler, target, times)
        exact = target.posterior(times[-1])
        log_q, log_p = (_log_probs(mixture, found.x) for mixture in (law.at(-1), exact))
        error = Estimate(jnp.max(jnp.abs(found.log_density - log_q)))
        kl = Estimate.mean_of(found.log_density - log_p)
        return [
            Claim("log-density", error, Estimate(_STEPWISE), False, 0.0, (True,)),
            Claim("KL", kl, Estimate(law.kl(exact)), True, 0.0, (True,)),
        ]


@eqx.filter_jit
def _log_probs(mixture, points):
    return jax.vmap(mixture.log_prob)(points)


@eqx.filter_jit
def gaussian_problem() -> Target:
    """One Gaussian with a full covariance in d = 3, two measurements."""
    covariance = [[0.8, 0.2, 0.0], [0.2, 0.4, -0.1], [0.0, -0.1, 0.3]]
    prior = GaussianMixture.full([1.0], [[0.5, -0.7, 0.2]], [covariance])
    seen = Linear([[1.0, 0.5, 0.0], [0.0, -0.4, 1.0]], [0.2, 0.5])
    return Target(InverseProblem(prior, seen, [0.9, -0.3]), VP(0.01, 20.0))
