r"""T1: the divergence of paths is initialisation, approximation and discretisation.

For steps \(N(a x + c \hat M(x), \tilde b I)\), DDPM with the small variance, and with
\(\Delta\) the increment of the signal-to-noise ratio in a step,

\[ KL(P^y \| Q) = KL(p_T(\cdot|y) \| \pi) + \sum \tfrac\Delta2 E\|\hat M - m^y\|^2
   + \sum \Big\{ \tfrac\Delta2 mmse_y(t) - \tfrac12 \int mmse_y \Big\} . \]

Given x0 the exact step is \(N(a x + c x_0, \tilde b I)\) and
\(E\|x_0 - \hat M\|^2 = mmse + E\|m^y - \hat M\|^2\); the entropy of the exact step is that
of the noise plus the information about x0, half the integral of mmse. With the variance
\(\lambda\tilde b\) and any mean, as DDIM has, the same argument gives the terms of
`gt.budget`. Data processing gives KL(p(.|y) || q) of the output below the sum.

The chain rule is Girsanov's theorem in discrete time (Chen et al. 2023, arXiv:2209.11215);
the information is Guo, Shamai and Verdu (2005).
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import approximations, kernels, laws
from ..algorithms import Guided
from ..budget.path import budget
from ..divergences import line_expectation
from ..estimate import Estimate
from ..paths import VP
from ..paths.grids import time_grid
from .base import AbstractBound, Case, Claim, Facts
from .spaces import OneOf, Targets
from .tools.assumptions import noisy
from .tools.line_paths import step_divergences, two_modes

T_MIN = 0.02
_TOLERANCE = 1e-10  # of nested sums


def guided(eta) -> Guided:
    """PiGDM with DDIM; eta = 1 is DDPM with the small variance."""
    return Guided(approximations.PiGDM(), kernels.DDIM(eta))


def grid(steps):
    """Geometric in the noise level."""
    return time_grid(VP(), steps, "log_snr", t_min=T_MIN)


class PathIdentity(AbstractBound):
    """PiGDM on two modes, over steps and the noise of DDIM."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(paths) = initialisation + sum (dsnr/2) E|M - m^y|^2 + discretisation",
        assumptions=("Gaussian steps with noise",),
        source="here, proof in the docstring; arXiv:2209.11215 for the chain rule",
        status="proved",
        search={
            "target": Targets(),
            "times": OneOf((1, 2, 8), grid),
            "sampler": OneOf((1.0, 0.7), guided),
        },
    )
    cases: ClassVar[tuple[Case, ...]] = (
        {"steps": 24, "eta": 1.0},
        {"steps": 24, "eta": 0.7},
    )

    def setting(self, case):
        return {
            "sampler": guided(case["eta"]),
            "target": two_modes(VP()),
            "times": grid(case["steps"]),
        }

    def sides(self, key, sampler, target, times):
        found = budget(key, sampler, target, times)
        direct = jnp.sum(step_divergences(sampler, target, times))
        whole = Estimate(found.initialisation.value + direct, how="nested sums")
        law = laws.grid(sampler, target, times)
        measured = Estimate(law.kl_from(target.posterior(times[-1])), how="quadrature")
        claims = [
            _equal("the parts add up", found.total, whole),
            Claim("output", measured, found.total),
        ]
        if float(sampler.kernel.eta) == 1.0:
            middle = Estimate(
                _approximation(sampler.approximation, target, times), how="quadrature"
            )
            total = Estimate(jnp.sum(found.approximation.value), how="quadrature")
            claims.append(_equal("approximation", total, middle))
        kept = (noisy(sampler, target, times),)
        return [claim._replace(assumptions=kept) for claim in claims]


@eqx.filter_jit
def _approximation(method, target, times):
    """Half the sum of increments of the SNR times E |M - m^y|^2."""

    def square(t):
        def at(x):
            error = method.posterior_mean(target, x, t)
            return jnp.sum((error - target.posterior_mean(x, t)) ** 2)

        return line_expectation(target.posterior(t), at)

    snr = jnp.exp(target.path.log_snr(times))
    return 0.5 * jnp.diff(snr) @ jax.lax.map(square, times[:-1])


def _equal(label, left, right) -> Claim:
    return Claim(label, left, right, True, _TOLERANCE)
