r"""The mean distance of a Gaussian mixture from a point, in any dimension.

With \(Q = \|X - c\|^2\), \(\sqrt Q = \frac{1}{2\sqrt\pi} \int_0^\infty
(1 - e^{-\lambda Q}) \lambda^{-3/2} d\lambda\), and for \(X \sim N(\mu, \Sigma)\)

\[ E e^{-\lambda Q} = |I + 2\lambda\Sigma|^{-1/2}
   \exp\big(-\lambda (\mu-c)^T (I + 2\lambda\Sigma)^{-1} (\mu-c)\big) , \]

so that E|X - c| is one integral, over \(\log\lambda\) by the trapezoidal rule.
"""

import jax.numpy as jnp

from ..._types import Scalar, Vector
from ...divergences.expectation import refined
from ...mixture import GaussianMixture
from ..component_brackets import eigenvalues

_HALF, _NODES = 60.0, 301  # of log lambda; e^-30 is left out at either end


def mean_distance(mixture: GaussianMixture, centre: Vector) -> Scalar:
    """E |X - centre|, to about 11 digits where lengths are of order one."""
    dtype = mixture.means.dtype
    log_rate = jnp.linspace(-_HALF, _HALF, refined(_NODES - 1) + 1, dtype=dtype)
    rate = jnp.exp(log_rate)[:, None, None]
    values, basis = eigenvalues(mixture), mixture.basis
    offset = mixture.means - centre[None]
    along = jnp.sum(basis * offset[:, :, None], axis=1) ** 2  # (K, r), along the basis
    rest = jnp.maximum(jnp.sum(offset**2, axis=1) - jnp.sum(along, axis=1), 0.0)
    shrunk = jnp.sum(along[None] / (1.0 + 2.0 * rate * mixture.spectrum[None]), axis=2)
    shrunk += rest[None] / (1.0 + 2.0 * rate[:, :, 0] * mixture.base[None])
    volume = 0.5 * jnp.sum(jnp.log1p(2.0 * rate * values[None]), axis=2)
    lost = -jnp.expm1(-volume - rate[:, :, 0] * shrunk) @ jnp.exp(mixture.log_weights)
    integral = (log_rate[1] - log_rate[0]) * jnp.sum(lost * jnp.exp(-0.5 * log_rate))
    return 0.5 * integral / jnp.sqrt(jnp.pi)


def mean_gap(q: GaussianMixture, p: GaussianMixture) -> Scalar:
    """E |X - Y| of independent X from q and Y from p, with densities."""
    count = q.num_components * p.num_components
    log_weights = (q.log_weights[:, None] + p.log_weights[None]).reshape(count)
    means = (q.means[:, None] - p.means[None]).reshape(count, q.dim)
    covariances = q.covariances()[:, None] + p.covariances()[None]
    spectrum, basis = jnp.linalg.eigh(covariances.reshape(count, q.dim, q.dim))
    zero = jnp.zeros_like(log_weights)
    apart = GaussianMixture(log_weights, means, zero, basis, spectrum)
    return mean_distance(apart, jnp.zeros_like(means[0]))


def energy(q: GaussianMixture, p: GaussianMixture) -> Scalar:
    """Energy distance between two mixtures with densities, a length."""
    return 2.0 * mean_gap(q, p) - mean_gap(q, q) - mean_gap(p, p)
