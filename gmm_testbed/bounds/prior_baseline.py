r"""C18: what ignoring the data costs.

For y = a x + N(0, g^2) of a mixture, with posterior \(\sum_k w_k N(\mu_k, S_k)\),

\[ KL(p(\cdot|y) \| p_0) = E[\log p(y|x_0) \mid y] - \log p(y)
   = \sum_k w_k \Big[ \log N(y; a\mu_k, g^2) - \frac{a^2 S_k}{2g^2} \Big] - \log p(y) , \]

in closed form, and so is every KL between posteriors of one prior. A sampler whose
divergence is larger is worse than samples of the prior. It is at most
\(\log(1 + \chi^2)\), the logarithm of

\[ \frac{\int p(y|x)^2 p_0(x)\,dx}{p(y)^2}
   = \frac{\sum_k w_k^0 N(y; a\mu_k^0, a^2 \Sigma_k + g^2/2)}{\sqrt{4\pi g^2}\; p(y)^2} , \]

and that is at most \(\log (\max_x p(y|x) / p(y))\), the cost of rejection from the prior.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._types import Scalar
from ..mixture import GaussianMixture
from . import line_pairs
from .base import AbstractBound, Case, Facts, computed

_SLOPE, _Y = 1.3, 0.6
_DIGITS = 1e-9


class PriorBaseline(AbstractBound):
    """KL(posterior || prior) for two modes, over the noise."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(post || prior) = E[log lik | y] - log p(y) <= log(1 + chi^2)",
        assumptions=("Gaussian noise with a density",),
        source="definition of the posterior; closed forms in the docstring",
        status="proved",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"noise": noise} for noise in (0.1, 0.3, 1.0, 3.0)
    )

    def claims(self, key, case):
        kept = (case["noise"] > 0,)
        claims = _claims(jnp.asarray(case["noise"]))
        return [claim._replace(assumptions=kept) for claim in claims]


@eqx.filter_jit
def _claims(noise):
    prior = GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
    y, slope = jnp.full(1, _Y, noise.dtype), jnp.full_like(noise, _SLOPE)
    posterior = prior.denoised(y, slope, noise)
    evidence = prior.noised(slope, noise).log_prob(y)
    kl = expected_log_likelihood(posterior, slope, noise**2, y[0]) - evidence
    half = prior.noised(slope, noise / jnp.sqrt(2.0)).log_prob(y)
    ratio = half - 0.5 * jnp.log(4.0 * jnp.pi * noise**2) - 2.0 * evidence
    most = -0.5 * jnp.log(2.0 * jnp.pi * noise**2) - evidence
    same = {"equal": True, "tolerance": _DIGITS}
    by_quadrature = jnp.log1p(line_pairs.chi2(posterior, prior))
    return [
        computed("closed form", kl, line_pairs.kl(posterior, prior), **same),
        computed("log(1 + chi^2), closed form", ratio, by_quadrature, **same),
        computed("KL by chi^2", kl, ratio),
        computed("chi^2 by rejection", ratio, most),
    ]


def expected_log_likelihood(
    mixture: GaussianMixture, slope: Scalar, variance: Scalar, y: Scalar
) -> Scalar:
    """E log N(y; slope X, variance) for X from a mixture on the line."""
    offset = y - slope * mixture.means[:, 0]
    squares = offset**2 + slope**2 * mixture.covariances()[:, 0, 0]
    mean = jnp.exp(mixture.log_weights) @ squares
    return -0.5 * (jnp.log(2.0 * jnp.pi * variance) + mean / variance)
