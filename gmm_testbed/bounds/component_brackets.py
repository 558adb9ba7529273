r"""C21: functionals of a mixture between closed forms.

Given the component k, the law of x_0 is Gaussian; and a Gaussian with the total
covariance S has the largest mmse and information. With \(snr = \alpha^2/\sigma^2\) and
w the weights,

\[ \sum_k w_k \operatorname{tr}(\Sigma_k^{-1} + snr\,I)^{-1} \le mmse
   \le \operatorname{tr}(S^{-1} + snr\,I)^{-1} , \]
\[ \sum_k w_k I_k \le I(x_0; x_t) \le
   \min\{\tfrac12 \log |I + snr\,S|,\ \sum_k w_k I_k + H(w)\}, \qquad
   I_k = \tfrac12 \log |I + snr\,\Sigma_k| , \]

and by convexity in the mixture, with \(\gamma = N(0, I)\) and F any of
\(KL(\cdot\|\gamma)\), \(FI(\cdot\|\gamma)\), \(W_2^2(\cdot,\gamma)\):
\(F(p) \le \sum_k w_k F(N_k)\). These three are of the noised law of a variance-preserving
path.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..divergences import line_expectation
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Facts, Limit, computed, outside
from .spaces import Between, Mixtures
from .tools import space
from .tools.assumptions import has_density


class ComponentBrackets(AbstractBound):
    """Mmse, information and divergences from N(0, 1) of two modes, over the SNR and d."""

    facts: ClassVar[Facts] = Facts(
        statement="mean over components <= mmse, I <= Gaussian of the same covariance; ...",
        assumptions=("components with densities", "snr > 0"),
        source="conditioning, maximum entropy and convexity; docstring",
        status="proved",
        limits=(Limit("dim", only=(1, 3)),),
        search={"prior": Mixtures(), "snr": Between(1e-3, 1e3)},
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"snr": snr, "dim": dim}
        for dim in (1, 3)
        for snr in (0.01, 0.1, 1.0, 10.0, 100.0)
    )

    def setting(self, case):
        return {"prior": space.two_modes(case["dim"]), "snr": case["snr"]}

    def sides(self, key, prior, snr):
        prior = space.rotated(prior)
        kept = has_density(prior.whole()), snr > 0.0
        if not kept[1]:
            return outside(kept)
        total = jnp.asarray(np.linalg.eigvalsh(prior.whole().covariance()))
        claims = _claims(prior, total, jnp.asarray(snr))
        return [claim._replace(assumptions=kept) for claim in claims]


@eqx.filter_jit
def _claims(prior, total, snr):
    """With the eigenvalues of the total covariance (d,)."""
    whole, weights = prior.whole(), jnp.exp(prior.line.log_weights)
    values = eigenvalues(whole)
    mmse, information = _measured(prior, snr)
    each = weights @ (0.5 * jnp.sum(jnp.log1p(snr * values), axis=1))
    labels = -weights @ prior.line.log_weights
    most = jnp.minimum(0.5 * jnp.sum(jnp.log1p(snr * total)), each + labels)
    path = prior.noised(jnp.sqrt(snr / (1.0 + snr)), 1.0 / jnp.sqrt(1.0 + snr))
    kl, fisher = of_components(path.whole())
    noisy = path.whole()
    transports = jnp.sum(noisy.means**2, axis=1)
    transports += jnp.sum((jnp.sqrt(eigenvalues(noisy)) - 1.0) ** 2, axis=1)
    below = weights @ jnp.sum(_shrunk(values, snr), axis=1)
    sides = [
        ("mmse, from below", below, mmse),
        ("mmse, from above", mmse, jnp.sum(_shrunk(total, snr))),
        ("information, from below", each, information),
        ("information, from above", information, most),
        ("KL", path.kl_to_normal(), kl),
        ("Fisher", path.fisher_to_normal(), fisher),
        ("W2", path.transport_to_normal(), weights @ transports),
    ]
    return [computed(label, left, right) for label, left, right in sides]


def _measured(prior, snr):
    """Mmse and information: of the line by quadrature, and of the Gaussians beside it."""
    one, sigma = jnp.ones_like(snr), 1.0 / jnp.sqrt(snr)
    noised = prior.line.noised(one, sigma)
    mmse = line_expectation(
        noised, lambda z: prior.line.denoised(z, one, sigma).total_variance()
    )
    entropy = -line_expectation(noised, noised.log_prob)
    information = entropy - 0.5 * jnp.log(2.0 * jnp.pi * jnp.e / snr)
    beside = 0.5 * jnp.sum(jnp.log1p(snr * prior.variances))
    return mmse + jnp.sum(_shrunk(prior.variances, snr)), information + beside


def of_components(mixture: GaussianMixture):
    """KL and Fisher divergence from N(0, I), each as a mean over components, in any d."""
    weights, values = jnp.exp(mixture.log_weights), eigenvalues(mixture)
    squares = jnp.sum(mixture.means**2, axis=1)
    kls = squares + jnp.sum(values - 1.0 - jnp.log(values), axis=1)
    fishers = squares + jnp.sum(values - 2.0 + 1.0 / values, axis=1)
    return 0.5 * weights @ kls, weights @ fishers


def eigenvalues(mixture: GaussianMixture):
    """Of the covariances, (K, d)."""
    outside = mixture.dim - mixture.spectrum.shape[1]
    base = jnp.repeat(mixture.base[:, None], outside, axis=1)
    return jnp.concatenate([mixture.spectrum, base], axis=1)


def _shrunk(variance, snr):
    return 1.0 / (1.0 / variance + snr)
