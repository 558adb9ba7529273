r"""C18: what ignoring the data costs.

For y = a x + N(0, g^2) of a mixture, with posterior \(\sum_k w_k N(\mu_k, S_k)\),

\[ KL(p(\cdot|y) \| p_0) = E[\log p(y|x_0) \mid y] - \log p(y)
   = \sum_k w_k \Big[ \log N(y; a\mu_k, g^2) - \frac{a^2 S_k}{2g^2} \Big] - \log p(y) , \]

in closed form, also with matrices, and so is every KL between posteriors of one prior. A
sampler whose divergence is larger is worse than samples of the prior. It is at most
\(\log(1 + \chi^2)\), the logarithm of

\[ \frac{\int p(y|x)^2 p_0(x)\,dx}{p(y)^2}
   = \frac{\sum_k w_k^0 N(y; a\mu_k^0, a^2 \Sigma_k + g^2/2)}{\sqrt{4\pi g^2}\; p(y)^2} , \]

and that is at most \(\log (\max_x p(y|x) / p(y))\), the cost of rejection from the prior.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._types import Scalar
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..mixture.components import LOG_2PI
from .base import AbstractBound, Case, Claim, Facts, Limit, computed, outside
from .spaces import MEASURED
from .tools import line_pairs, space

_SLOPE, _Y = 1.3, 0.6
_DIGITS = 1e-9
_SAMPLES = 20000


class PriorBaseline(AbstractBound):
    """KL(posterior || prior) for two modes, over the noise and d."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(post || prior) = E[log lik | y] - log p(y) <= log(1 + chi^2)",
        assumptions=("Gaussian noise with a density",),
        source="definition of the posterior; closed forms in the docstring",
        status="proved",
        limits=(Limit("dim", only=(1, 3)),),
        search=MEASURED,
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"noise": noise, "dim": dim} for dim in (1, 3) for noise in (0.1, 0.3, 1.0, 3.0)
    )

    def setting(self, case):
        noise = case["noise"]
        if case["dim"] == 1:
            prior = GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
            given = (
                prior,
                jnp.full((1, 1), _SLOPE),
                jnp.full((1, 1), noise * abs(noise)),
            )
            given = *given, jnp.full(1, _Y)
        else:
            given = space.observed(noise)
        return dict(zip(("prior", "A", "R", "y"), given, strict=True))

    def sides(self, key, prior, A, R, y):
        kept = (bool(np.linalg.eigvalsh(R)[0] > 0),)
        if not kept[0]:
            return outside(kept)
        if A.shape == (1, 1):
            claims = _claims(prior, A[0, 0], jnp.sqrt(R[0, 0]), y)
        else:
            claims = _in_space(key, prior, A, R, y)
        return [claim._replace(assumptions=kept) for claim in claims]


@eqx.filter_jit
def _claims(prior, slope, noise, y):
    posterior = prior.denoised(y, slope, noise)
    evidence = prior.noised(slope, noise).log_prob(y)
    kl = expected_log_likelihood(posterior, slope, noise**2, y[0]) - evidence
    half = prior.noised(slope, noise / jnp.sqrt(2.0)).log_prob(y)
    ratio = half - 0.5 * jnp.log(4.0 * jnp.pi * noise**2) - 2.0 * evidence
    most = -0.5 * jnp.log(2.0 * jnp.pi * noise**2) - evidence
    same = {"equal": True, "tolerance": _DIGITS}
    by_quadrature = line_pairs.log_chi2(posterior, prior)
    return [
        computed("closed form", kl, line_pairs.kl(posterior, prior), **same),
        computed("log(1 + chi^2), closed form", ratio, by_quadrature, **same),
        computed("KL by chi^2", kl, ratio),
        computed("chi^2 by rejection", ratio, most),
    ]


@eqx.filter_jit
def _in_space(key, prior, A, R, y):
    """The same with matrices; both divergences by samples of the posterior."""
    posterior, evidence = prior.conditioned(A, R, y), prior.log_evidence(A, R, y)
    kl = expected_log_density(posterior, A, R, y) - evidence
    half, volume = prior.log_evidence(A, 0.5 * R, y), jnp.linalg.slogdet(R)[1]
    log_peak = -0.5 * (volume + y.shape[0] * LOG_2PI)  # of the likelihood
    ratio = half + log_peak - 0.5 * y.shape[0] * jnp.log(2.0) - 2.0 * evidence
    x = posterior.sample(key, _SAMPLES)
    logs = jax.vmap(lambda x: posterior.log_prob(x) - prior.log_prob(x))(x)
    measured = Estimate.mean_of(logs), Estimate.mean_of(jnp.exp(logs)).map(jnp.log)
    closed = Estimate(kl), Estimate(ratio)
    return [
        Claim("closed form", closed[0], measured[0], True),
        Claim("log(1 + chi^2), closed form", closed[1], measured[1], True),
        Claim("KL by chi^2", *closed),
        Claim("chi^2 by rejection", closed[1], Estimate(log_peak - evidence)),
    ]


def expected_log_density(mixture: GaussianMixture, A, R, y) -> Scalar:
    """E log N(y; A X, R) for X from a mixture, in any dimension."""
    inverse, volume = jnp.linalg.inv(R), jnp.linalg.slogdet(R)[1]
    offset = y[None] - mixture.means @ A.T
    squares = jnp.sum((offset @ inverse) * offset, axis=1)
    weight = A.T @ inverse @ A
    squares += jnp.sum(mixture.covariances() * weight[None], axis=(1, 2))
    mean = jnp.exp(mixture.log_weights) @ squares
    return -0.5 * (volume + y.shape[0] * LOG_2PI + mean)


def expected_log_likelihood(
    mixture: GaussianMixture, slope: Scalar, variance: Scalar, y: Scalar
) -> Scalar:
    """E log N(y; slope X, variance) for X from a mixture on the line."""
    offset = y - slope * mixture.means[:, 0]
    squares = offset**2 + slope**2 * mixture.covariances()[:, 0, 0]
    mean = jnp.exp(mixture.log_weights) @ squares
    return -0.5 * (jnp.log(2.0 * jnp.pi * variance) + mean / variance)
