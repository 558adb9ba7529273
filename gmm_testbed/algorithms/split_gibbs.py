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
import jax.numpy as jnp

from .._checks import check_count
from .._types import Scalar, Vector
from ..gaussian import Gaussian, Mixture, Spectral
from ..method import (
    AbstractComposed,
    AbstractMarkov,
    Cost,
    Facts,
    Leg,
    standard_start,
)
from ..problem import Target
from .base import conjugate


class Denoise(AbstractMarkov):
    """A draw of p(x0 | x_t), at the level of the data."""

    facts: ClassVar[Facts] = Facts(
        summary="an exact draw of x0 given x_t",
        reference="closed form",
        needs=frozenset({"law of x0"}),
        law="mixture",
        uses_noise=False,
    )

    start = standard_start

    def transition(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Mixture:
        """p(x0 | x_t = x); s is not used."""
        return Mixture(target.denoise(x, t).law)


class Condition(AbstractMarkov):
    """A draw of z around x0 given y, at distance rho of the level it goes to."""

    facts: ClassVar[Facts] = Facts(
        summary="a conjugate draw around x0, given y",
        reference="closed form",
        needs=frozenset({"linear"}),
        affine=True,
        cost=Cost(denoiser=0, measurement=1),
    )

    start = standard_start

    def transition(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Gaussian:
        """alpha_s times N(z; x, rho_s^2 I) N(y; A z, R), normalised; t is not used."""
        alpha = target.path.alpha(s)
        law = conjugate(target.problem, x, (target.path.sigma(s) / alpha) ** 2)
        root, square = law.root, alpha**2
        root = Spectral(square * root.base, root.basis, square * root.spectrum)
        return Gaussian(alpha * law.mean, root)


class SplitGibbs(AbstractComposed):
    """Split Gibbs sampler over the noise levels of the grid.

    Attributes:
        sweeps: at each time of the grid but the last, at least 1; a program for each
            number of them.

    Raises:
        InputError: if there is no sweep.
    """

    sweeps: int = eqx.field(static=True, default=1)

    start = standard_start

    def __check_init__(self):
        check_count(self.sweeps, "sweeps")

    @property
    def facts(self) -> Facts:
        """More than one sweep needs alpha > 0 at the first time."""
        signal = {"signal"} if self.sweeps > 1 else frozenset()
        return Facts(
            summary="alternates the likelihood and the denoising posterior at distance rho",
            reference="Coeurdoux et al. 2024, arXiv:2304.11134; Wu et al. 2024, 2405.18782",
            needs=frozenset({"linear", "law of x0"}) | signal,
            law="composed",
            cost=Cost(denoiser=self.sweeps, measurement=self.sweeps),
        )

    def legs(self, t: Scalar, s: Scalar) -> tuple[Leg, ...]:
        """Denoise and condition, as often as there are sweeps; the last one ends at s."""
        data = jnp.zeros_like(t)
        ends = [t] * (self.sweeps - 1) + [s]
        return tuple(
            leg
            for end in ends
            for leg in (Leg(Denoise(), t, data), Leg(Condition(), data, end))
        )
