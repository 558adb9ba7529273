r"""Decoupled annealing posterior sampling (DAPS): denoise, condition, noise afresh.

A step from t to s takes an endpoint \(\hat x_0\) of \(x_t\), surrounds it by a Gaussian of
variance \(r_t^2\), conditions that on y, and adds new noise of the level of s:

\[ x_0 \sim N(x_0; \hat x_0, r_t^2 I)\, N(y; A x_0, R), \qquad
   x_s = \alpha_s x_0 + \sigma_s \varepsilon . \]

The endpoint is

- "mean": \(E[x_0 | x_t]\);
- "ode": the end of the probability-flow ODE, published as a few Euler steps in
  \(u = \sigma/\alpha\) on a grid of \(u^{1/7}\) down to 0.01;
- "sample": a draw of \(p(x_0 | x_t)\), what a perfect stochastic denoiser would give.

The last two are distributed as the prior already, so that
\(r_t^2\) is counted twice.

Exact when: prior N(mu, I), endpoint "mean" and \(r_t^2 = \sigma^2/(\sigma^2+\alpha^2)\)
("snr"): then the Gaussian is \(p(x_0 | x_t)\), and the law is exact at every time if it is
at the first. `Jump` has the exact law in its place.
"""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import choose
from .._types import Scalar, Times, Vector
from ..approximations.pigdm import R2
from ..draws import Draws
from ..problem import Target
from ..samplers import SamplerFacts, require_signal
from .base import AbstractAlgorithm, conjugate, require_linear

_ODE_STEPS = 5
_ODE_END = 0.01  # noise level sigma/alpha, in the units of the data
_ODE_POWER = 7.0


def _mean(draws, target, x, t):
    return target.prior_mean(x, t)


def _ode(draws, target, x, t):
    prior, alpha = target.problem.prior, target.path.alpha(t)
    start = target.path.sigma(t) / alpha
    end = jnp.minimum(start, _ODE_END)  # below the end there is nothing left to do
    roots = start ** (1 / _ODE_POWER), end ** (1 / _ODE_POWER)
    levels = jnp.linspace(*roots, _ODE_STEPS + 1) ** _ODE_POWER

    def step(i, z):
        slope = (z - prior.denoised_mean(z, jnp.ones_like(alpha), levels[i])) / levels[
            i
        ]
        return z + (levels[i + 1] - levels[i]) * slope

    return jax.lax.fori_loop(0, _ODE_STEPS, step, x / alpha)


def _sample(draws, target, x, t):
    return draws.of(target.denoised(x, t), 3)


ENDPOINTS = {"mean": _mean, "ode": _ode, "sample": _sample}


class DAPS(AbstractAlgorithm):
    r"""Decoupled annealing with the conjugate step.

    Args:
        endpoint: "mean", "ode" or "sample".
        r2: \(r_t^2\): "flat", \(\sigma^2/\alpha^2\), as published; "snr",
            \(\sigma^2/(\sigma^2+\alpha^2)\); or "data", as `gt.approximations.PiGDM`.

    Raises:
        InputError: for an unknown name.
    """

    endpoint: Callable = eqx.field(
        static=True,
        converter=lambda name: choose(name, ENDPOINTS, "endpoint"),
        default="ode",
    )
    r2: Callable = eqx.field(
        static=True, converter=lambda name: choose(name, R2, "r2"), default="flat"
    )

    facts: ClassVar[SamplerFacts] = SamplerFacts(
        summary="endpoint of x_t, conditioned as a Gaussian around it, noised afresh",
        reference="Zhang et al. 2025, arXiv:2407.01521",
        exact_when='prior N(mu, I), DAPS("mean", "snr"), exact law at the first time',
        needs="linear",
        cost="5 D (ode) or 1 D, + m x m solve",
    )

    def check(self, target: Target, times: Times) -> None:
        require_linear(self, target)
        if self.endpoint is _ode or self.r2 is R2["flat"]:
            require_signal(self, target, times[0])

    def move(
        self, draws: Draws, target: Target, x: Vector, t: Scalar, s: Scalar
    ) -> Vector:
        path, problem, dim, dtype = target.path, target.problem, x.shape[0], x.dtype
        numerator, denominator = self.r2(target, path.alpha(t), path.sigma(t))
        clean = conjugate(
            problem,
            self.endpoint(draws, target, x, t),
            numerator / denominator,
            draws.normal(dim, dtype, 1),
            draws.normal(problem.measurement.dim_y, dtype, 2),
        )
        return path.alpha(s) * clean + path.sigma(s) * draws.normal(dim, dtype)
