r"""Means over a mixture of a function of the distance to it, and between two copies.

\(E\|x - X\|\) (C16): with \(Z \sim N(c, S)\), \(\lambda_i\) and \(c_i\) in the eigenbasis
of S, and \(a = E\|Z\|^2 = \|c\|^2 + \operatorname{tr} S\),

\[ E\|Z\| = \sqrt a + \pi^{-1/2} \int_0^\infty (e^{-a t^2} - M(t^2))\, t^{-2} dt , \quad
   M(u) = \prod_i (1 + 2u\lambda_i)^{-1/2} e^{-u c_i^2/(1 + 2u\lambda_i)} . \]

The first two terms of both transforms at 0 agree, so in \(\log t\) the integrand dies out
as \(t^3\), and the trapezoidal rule is spectrally accurate, whatever the scales.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import erf
from jaxtyping import Array, Float

from ..._types import Scalar, Vector
from ...mixture import GaussianMixture, components, conditioning

_NODES = 192  # in log t, a fifth apart at most: errs by 1e-11
_END = 1e6  # of t, in inverse standard deviations: the rest is below 1e-11
_CHUNK = 4096
_INV_SQRT_PI = 0.5641895835477563
_SQRT_2_OVER_PI = 0.7978845608028654


def mean_distance(
    points: Float[Array, "n d"], mixture: GaussianMixture
) -> Float[Array, " n"]:
    r"""\(E\|x - X\|\) at every point; atoms are welcome."""
    if mixture.dim == 1:
        return jax.vmap(lambda x: _on_the_line(x, mixture))(points)
    weights = jnp.exp(mixture.log_weights)
    centre = mixture.mean()
    farthest = [
        jnp.max(jnp.sum((some - centre[None]) ** 2, axis=1))
        for some in (points, mixture.means)
    ]
    reach = 2.0 * (farthest[0] + farthest[1]) + mixture.total_variance()

    def at(x):
        return weights @ components.each(
            lambda mean, *form: _mean_norm(x - mean, *form, reach),
            mixture.means,
            mixture.base,
            mixture.basis,
            mixture.spectrum,
        )

    return jax.lax.map(at, points, batch_size=min(points.shape[0], _CHUNK))


@eqx.filter_jit
def between_copies(
    mixture: GaussianMixture, function: Callable[[Vector, GaussianMixture], Scalar]
) -> Scalar:
    r"""\(E\,k(X, X') = \sum_i w_i f(\mu_i, p * N(0, \Sigma_i))\), k a function of x - x'.

    Args:
        mixture: p, the law of X and of X'.
        function: f(x, law) = E k(x, Y) for Y of this law.
    """
    weights, count = jnp.exp(mixture.log_weights), mixture.num_components
    values = jax.lax.map(
        lambda i: function(mixture.means[i], _blurred(mixture, i)), jnp.arange(count)
    )
    return weights @ values


def _blurred(mixture, i):
    """Law of X + N(0, covariance of component i)."""
    if mixture.basis.shape[0] == 1:
        form = (
            mixture.base + mixture.base[i],
            mixture.basis,
            mixture.spectrum + mixture.spectrum[i][None],
        )
    else:
        covariances = mixture.covariances()
        form = conditioning.factorised(covariances + covariances[i][None])
    weights, means = mixture.log_weights, mixture.means
    return GaussianMixture(weights, means, *form, atomic=mixture.atomic)


def _mean_norm(offset, base, basis, spectrum, reach):
    """E ||offset + N(0, covariance)||; `reach` bounds the mean square of all of them."""
    dim, rank = basis.shape
    inside = basis.T @ offset
    rest = (dim - rank) * base if rank < dim else jnp.zeros_like(base)
    square = jnp.sum(offset**2) + jnp.sum(spectrum) + rest
    top = jnp.max(spectrum, initial=0.0)
    top = jnp.maximum(top, base) if rank < dim else top
    # Where rounding of the difference, over t, equals what is left out below, t^3 / 3.
    start = jnp.log(jnp.finfo(offset.dtype).eps ** 0.25) - 0.5 * jnp.log(reach)
    stop = jnp.log(_END) - 0.5 * jnp.log(jnp.where(top > 0, top, reach))
    step = (stop - start) / (_NODES - 1)
    t = jnp.exp(start + step * jnp.arange(_NODES, dtype=offset.dtype))
    u = t**2
    spread = 1.0 + 2.0 * u[:, None] * spectrum[None]
    exponent = (1.0 / spread) @ inside**2
    log_det = jnp.sum(jnp.log(spread), axis=1)
    if rank < dim:
        outside = offset - basis @ inside if rank else offset
        exponent += jnp.sum(outside**2) / (1.0 + 2.0 * u * base)
        log_det += (dim - rank) * jnp.log1p(2.0 * u * base)
    transform = jnp.exp(-0.5 * log_det - u * exponent)
    correction = jnp.sum((jnp.exp(-square * u) - transform) / t)
    return jnp.sqrt(square) + _INV_SQRT_PI * step * correction


def _on_the_line(x, mixture):
    """E |x - X| = sum w (offset erf(z / sqrt 2) + 2 s phi(z)), in closed form."""
    scales = jnp.sqrt(mixture.covariances()[:, 0, 0])
    offset = x[0] - mixture.means[:, 0]
    spread = scales > 0
    z = offset / jnp.where(spread, scales, 1.0)
    inner = offset * erf(z * 2.0**-0.5) + scales * _SQRT_2_OVER_PI * jnp.exp(
        -0.5 * z**2
    )
    return jnp.exp(mixture.log_weights) @ jnp.where(spread, inner, jnp.abs(offset))
