r"""Decoupled annealing posterior sampling (DAPS): denoise, condition, noise afresh.

A step from t to s takes an endpoint \(\hat x_0\) of \(x_t\), surrounds it by a Gaussian of
variance \(r_t^2\), conditions that on y, and adds new noise of the level of s:

\[ x_0 \sim N(x_0; \hat x_0, r_t^2 I)\, N(y; A x_0, R), \qquad
   x_s = \alpha_s x_0 + \sigma_s \varepsilon , \]

a Gaussian given the endpoint, which is

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

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import choose
from .._types import Scalar, Vector
from ..approximations.pigdm import AbstractSpread, spread
from ..gaussian import AbstractStepLaw, Gaussian, Implicit, Mixture, Spectral, point
from ..method import AbstractMarkov, Cost, Facts, standard_start
from ..problem import Target
from .base import conjugate

_ODE_STEPS = 5
_ODE_END = 0.01  # noise level sigma/alpha, in the units of the data
_ODE_POWER = 7.0


class AbstractEndpoint(eqx.Module):
    """Where a step takes x_t to."""

    needs: eqx.AbstractClassVar[frozenset[str]]
    law: eqx.AbstractClassVar[str]
    calls: eqx.AbstractClassVar[int]

    @abstractmethod
    def __call__(self, target: Target, x: Vector, t: Scalar) -> AbstractStepLaw:
        """The law of the endpoint, an estimate of x0."""


class Mean(AbstractEndpoint):
    """E[x0 | x_t]."""

    needs: ClassVar[frozenset[str]] = frozenset()
    law: ClassVar[str] = "gaussian"
    calls: ClassVar[int] = 1

    def __call__(self, target: Target, x: Vector, t: Scalar) -> AbstractStepLaw:
        return point(target.denoise(x, t).mean)


class ODE(AbstractEndpoint):
    """The end of five Euler steps of the probability-flow ODE."""

    needs: ClassVar[frozenset[str]] = frozenset({"signal"})
    law: ClassVar[str] = "gaussian"
    calls: ClassVar[int] = _ODE_STEPS

    def __call__(self, target: Target, x: Vector, t: Scalar) -> AbstractStepLaw:
        alpha = target.path.alpha(t)
        start = target.path.sigma(t) / alpha
        end = jnp.minimum(start, _ODE_END)  # below the end there is nothing left to do
        roots = start ** (1 / _ODE_POWER), end ** (1 / _ODE_POWER)
        levels = jnp.linspace(*roots, _ODE_STEPS + 1) ** _ODE_POWER

        def step(i, z):
            mean = target.denoise_at(z, jnp.ones_like(alpha), levels[i]).mean
            return z + (levels[i + 1] - levels[i]) * (z - mean) / levels[i]

        return point(jax.lax.fori_loop(0, _ODE_STEPS, step, x / alpha))


class Sample(AbstractEndpoint):
    """A draw of p(x0 | x_t)."""

    needs: ClassVar[frozenset[str]] = frozenset({"law of x0"})
    law: ClassVar[str] = "implicit"
    calls: ClassVar[int] = 1

    def __call__(self, target: Target, x: Vector, t: Scalar) -> AbstractStepLaw:
        return Mixture(target.denoise(x, t).law)


ENDPOINTS = {"mean": Mean(), "ode": ODE(), "sample": Sample()}


def _endpoint(name) -> AbstractEndpoint:
    if isinstance(name, AbstractEndpoint):
        return name
    return choose(name, ENDPOINTS, "endpoint")


class DAPS(AbstractMarkov):
    r"""Decoupled annealing with the conjugate step.

    Args:
        endpoint: "mean", "ode" or "sample".
        r2: \(r_t^2\): "flat", \(\sigma^2/\alpha^2\), as published; "snr",
            \(\sigma^2/(\sigma^2+\alpha^2)\); or "data", as `gt.approximations.PiGDM`.

    Raises:
        InputError: for an unknown name.
    """

    endpoint: AbstractEndpoint = eqx.field(
        static=True, converter=_endpoint, default="ode"
    )
    r2: AbstractSpread = eqx.field(static=True, converter=spread, default="flat")

    start = standard_start

    @property
    def facts(self) -> Facts:
        """Of the endpoint and the variance."""
        signal = frozenset() if self.r2.finite_without_signal else {"signal"}
        exact = self.r2.exact_when if isinstance(self.endpoint, Mean) else ()
        return Facts(
            summary="endpoint of x_t, conditioned as a Gaussian around it, noised afresh",
            reference="Zhang et al. 2025, arXiv:2407.01521",
            needs=frozenset({"linear"}) | self.endpoint.needs | signal,
            exact_when=tuple(where._replace(start="exact") for where in exact),
            law=self.endpoint.law,
            affine=self.endpoint.law == "gaussian",
            cost=Cost(denoiser=self.endpoint.calls, measurement=1),
        )

    def transition(
        self, target: Target, x: Vector, t: Scalar, s: Scalar
    ) -> AbstractStepLaw:
        """The law of alpha_s x0 + sigma_s noise, Gaussian around the endpoint."""
        law = self.endpoint(target, x, t)
        if isinstance(law, Gaussian):
            return self._around(target, law.mean, t, s)

        def drawn(draws):
            end = draws.of(law.law, "endpoint")
            return self._around(target, end, t, s).draw(draws)

        return Implicit(drawn)

    def _around(self, target, endpoint, t, s) -> Gaussian:
        path = target.path
        numerator, denominator = self.r2(target, path.alpha(t), path.sigma(t))
        clean = conjugate(target.problem, endpoint, numerator / denominator)
        alpha, noise, root = path.alpha(s), path.sigma(s) ** 2, clean.root
        spectrum = alpha**2 * root.spectrum + noise
        root = Spectral(alpha**2 * root.base + noise, root.basis, spectrum)
        return Gaussian(alpha * clean.mean, root)
