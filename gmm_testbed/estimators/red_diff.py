r"""RED-diff: regularisation by denoising, as stochastic optimisation of a point.

A step of Adam on \(\mu\), with fresh noise \(\varepsilon\) at the time t of the grid,

\[ \text{slope} = -\nabla_\mu \log p(y | x_0 = \mu) + \lambda_t (\hat\varepsilon(x_t)
   - \varepsilon), \qquad x_t = \alpha_t \mu + \sigma_t \varepsilon , \]

\(\lambda_t = w\,\sigma_t/\alpha_t\). As \(\hat\varepsilon - \varepsilon =
\alpha_t (\mu - m(x_t, t)) / \sigma_t\) the second term is \(w\,(\mu - m(x_t, t))\). It
descends the Kullback-Leibler divergence of a point mass, noised to every level, from
\(p_t\), and the misfit; so the last time of the grid is no level of the result, which is
an estimate of \(x_0\). The published code leaves R out of the misfit: that is R = I.

For a prior \(N(\mu_0, P)\) it is stationary on average over times and noise where

\[ A^T R^{-1} (y - A\mu) = w \sum_t \tfrac{\sigma_t^2}{n} (\alpha_t^2 P
   + \sigma_t^2 I)^{-1} (\mu - \mu_0) . \]

Exact when: never a sample; the posterior mean of one Gaussian if the sum is
\(P^{-1}(\mu - \mu_0)\).
"""

import functools
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import check_range, floating
from .._types import Scalar, Vector
from ..gaussian import Gaussian, point
from ..method import AbstractMethod, Cost, Facts, Step
from ..problem import Linear, Target
from ..random import Draws


class REDDiff(AbstractMethod):
    """RED-diff with Adam (0.9, 0.99), from the pseudo-inverse of y.

    Attributes:
        rate: () learning rate, in units of x0.
        weight: () w, of the prior.

    Raises:
        InputError: if rate or weight is not positive, where it is known.
    """

    rate: Scalar = eqx.field(converter=floating, default=0.1)
    weight: Scalar = eqx.field(converter=floating, default=0.25)

    facts: ClassVar[Facts] = Facts(
        summary="a point, by stochastic descent of the misfit and of a denoising penalty",
        reference="Mardani et al. 2024, arXiv:2305.04391, algorithm 1",
        random_field=True,
        output="point",
        level="data",
        cost=Cost(denoiser=1, measurement=1),
    )

    def __check_init__(self):
        check_range("rate", self.rate, least=0.0, positive=True)
        check_range("weight", self.weight, least=0.0, positive=True)

    def start(self, target: Target, t: Scalar) -> Gaussian:
        """The point A^+ (y - b); without a linear measurement, the denoised origin."""
        problem = target.problem
        if isinstance(problem.measurement, Linear):
            seen = problem.measurement
            return point(seen.pseudo_inverse @ (problem.y - seen.b))
        origin = jnp.zeros(problem.prior.dim, problem.prior.means.dtype)
        return point(target.denoise(origin, t).mean)

    def memory(self, target: Target, x: Vector, t: Scalar) -> Any:
        """The state of Adam: a count and two moments."""
        return _adam().init(x)

    def step(
        self,
        target: Target,
        memory: Any,
        x: Vector,
        t: Scalar,
        s: Scalar,
        draws: Draws,
    ) -> Step:
        """The point that Adam moves x to, for a slope at time t; s is not used."""
        path, problem = target.path, target.problem
        noise = draws.normal(x.shape[0], x.dtype, "perturbation")
        noisy = path.alpha(t) * x + path.sigma(t) * noise
        penalty = self.weight * (x - target.denoise(noisy, t).mean)
        slope = penalty - problem.measurement.misfit_gradient(problem.y, x)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes a count and rates
            change, memory = _adam().update(slope, memory)
        return Step(point(x - self.rate * change.astype(x.dtype)), memory)


@functools.cache
def _adam():
    import optax  # 0.5 s that only those wait for who use it

    return optax.scale_by_adam(b1=0.9, b2=0.99)
