r"""The exact reverse kernel of a mixture, a mixture itself (C10).

Noising is a Markov chain: \(x_t = a x_s + n\,\varepsilon\) with \(a = \alpha_t/\alpha_s\)
and \(n^2 = \sigma_t^2 - a^2 \sigma_s^2\), so p(x_s | x_t) denoises \(x_t\) with the noised
mixture of time s as the prior.
"""

import jax.numpy as jnp

from .._types import Scalar, Vector
from ..mixture import GaussianMixture
from ..paths import AbstractPath
from .base import bridge


def reverse(
    mixture: GaussianMixture, path: AbstractPath, x: Vector, t: Scalar, s: Scalar
) -> GaussianMixture:
    """The law of x_s given x_t = x when x_0 has the law `mixture`."""
    noise = path.sigma(t) * jnp.sqrt(bridge(path, t, s).fresh)
    later = mixture.noised(path.alpha(s), path.sigma(s))
    return later.denoised(x, path.alpha(t) / path.alpha(s), noise)
