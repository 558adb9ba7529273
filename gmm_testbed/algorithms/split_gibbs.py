r"""Split Gibbs sampling (PnP-DM): the likelihood and the prior take turns.

With \(\rho = \sigma_t/\alpha_t\) and \(z = x_t/\alpha_t\), a sweep at time t draws

\[ x_0 \sim p(x_0 | x_t), \qquad z \sim N(z; x_0, \rho^2 I)\, N(y; A z, R) . \]

The first is an exact draw of a Gaussian mixture, where a publication runs a reverse
diffusion; the second is conjugate. At a fixed t the stationary law of the pair is

\[ x_0 \sim p(x_0)\, N(y; A x_0, R + \rho^2 A A^T), \qquad
   z \sim p_\rho(z)\, N(y; A z, R), \]

the posterior with inflated noise, and the posterior under the noised prior. A step from t
to s repeats the sweep at t, and ends with z at the level of s; at s = 0 that is \(x_0\)
itself, so a grid that ends at 0 returns \(x_0\), and one that ends before returns
\(x_s = \alpha_s z\).

Exact when: \(\rho \to 0\), and as many sweeps as it then takes to mix.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import concrete, require
from .._types import Scalar, Times, Vector
from ..draws import Draws
from ..problem import Target
from ..samplers import SamplerFacts, require_signal
from .base import AbstractAlgorithm, conjugate, require_linear


def _whole(value):
    return jnp.asarray(value, jnp.int32)


class SplitGibbs(AbstractAlgorithm):
    """Split Gibbs sampler over the noise levels of the grid.

    Attributes:
        sweeps: () integer, sweeps at each time of the grid but the last, at least 1.

    Raises:
        InputError: if there is no sweep.
    """

    sweeps: jax.Array = eqx.field(converter=_whole, default=1)

    facts: ClassVar[SamplerFacts] = SamplerFacts(
        summary="alternates the likelihood and the denoising posterior at distance rho",
        reference="Coeurdoux et al. 2024, arXiv:2304.11134; Wu et al. 2024, 2405.18782",
        exact_when="rho -> 0 with enough sweeps; at rho the noise is R + rho^2 A A^T",
        needs="linear",
        cost="1 D + m x m solve a sweep",
    )

    def __check_init__(self):
        require(
            not concrete(self.sweeps) or int(self.sweeps) >= 1,
            "no sweep is asked for",
            got=f"sweeps {self.sweeps}",
            expected="at least 1",
            hint="each time of the grid has its own sweeps: SplitGibbs(1) is PnP-DM",
        )

    def check(self, target: Target, times: Times) -> None:
        require_linear(self, target)
        if self.sweeps > 1:
            require_signal(self, target, times[0])

    def move(
        self, draws: Draws, target: Target, x: Vector, t: Scalar, s: Scalar
    ) -> Vector:
        def sweep(i, x):
            end = jnp.where(i + 1 == self.sweeps, s, t)
            return _sweep(draws.part(i), target, x, t, end)

        return jax.lax.fori_loop(0, self.sweeps, sweep, x)


def _sweep(draws, target, x, t, s):
    """x_0 given x_t, and x_s given x_0 and y."""
    dim, dtype, path = x.shape[0], x.dtype, target.path
    clean = draws.of(target.denoised(x, t))
    noise_z = draws.normal(dim, dtype, 2)
    noise_y = draws.normal(target.problem.measurement.dim_y, dtype, 3)
    rho = path.sigma(s) / path.alpha(s)
    return path.alpha(s) * conjugate(target.problem, clean, rho**2, noise_z, noise_y)
