r"""Exponential integrator of the reverse SDE: the drift exactly, the score of time t.

With the score \(\hat s = (\alpha_t M - x)/\sigma_t^2\) frozen over the step, the linear SDE
that is left is solved:

\[ \text{mean} = \frac{\alpha_s}{\alpha_t} x
   + \alpha_s \int_s^t \frac{g_u^2}{\alpha_u} du\; \hat s, \qquad
   \text{variance} = \Big(\frac{\alpha_s \sigma_t}{\alpha_t}\Big)^2 - \sigma_s^2 . \]

For a variance preserving path the integral is \(2 (\alpha_s/\alpha_t - 1)\), for a variance
exploding one \(\sigma_t^2 - \sigma_s^2\); here it is taken by a Gauss-Legendre rule, exact
for these up to rounding.
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from .._types import Scalar, Vector
from ..gaussian import Gaussian, isotropic
from ..method import Cost, Facts
from ..paths import AbstractPath
from .base import AbstractKernel, GuidedField, bridge

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)


class ExponentialIntegrator(AbstractKernel):
    """The reverse SDE with the score frozen over a step, solved exactly."""

    facts: ClassVar[Facts] = Facts(
        summary="exponential integrator of the reverse SDE: drift exact, score frozen",
        reference="Chen et al. 2023, arXiv:2209.11215, sec. 2; arXiv:2405.14250",
        needs=frozenset({"signal"}),
        affine=True,
        order=1,
        cost=Cost(denoiser=1),
    )

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Gaussian:
        """N(ratio x + weight score, (ratio^2 sigma_t^2 - sigma_s^2) I)."""
        path = field.path
        ratio = path.alpha(s) / path.alpha(t)
        mean = ratio * x + score_weight(path, t, s) * field.score(x, t)
        fresh = (ratio * path.sigma(t)) ** 2 * bridge(path, t, s).fresh
        return isotropic(mean, fresh)


def score_weight(path: AbstractPath, t: Scalar, s: Scalar) -> Scalar:
    r"""\(\alpha_s \int_s^t g_u^2/\alpha_u\,du\), (): what multiplies the frozen score.

    Args:
        path: of the noising.
        t: () time at which the score is taken.
        s: () the next time, s < t.
    """
    nodes = jnp.asarray(_NODES, t.dtype)
    times = s + 0.5 * (nodes + 1.0) * (t - s)
    rates = path.diffusion_squared(times) * (path.alpha(s) / path.alpha(times))
    return 0.5 * (t - s) * (jnp.asarray(_WEIGHTS, t.dtype) @ rates)
