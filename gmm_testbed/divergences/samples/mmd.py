r"""Maximum mean discrepancy between samples and a mixture, without reference samples.

With the Gaussian kernel \(k(x, y) = e^{-\|x-y\|^2/2\ell^2}\) the mean embedding of a
mixture p is its density blurred by \(\ell\) (C15),

\[ h(x) = E_p k(x, X) = (2\pi\ell^2)^{d/2}\, (p * N(0, \ell^2 I))(x) , \]

so \(MMD^2(q, p) = E_q\, u(X, X')\) with \(u(x, y) = k(x, y) - h(x) - h(y) + E_p k\).
Source: Gretton, Borgwardt, Rasch, Schölkopf and Smola, JMLR 13 (2012), 723-773.
"""

import equinox as eqx
import jax.numpy as jnp

from ..._checks import concrete, floating, require
from ..._samples import takes_sample_sets
from ..._types import Scalar, Vector
from ...estimate import Estimate
from ...mixture import GaussianMixture
from ...mixture.components import LOG_2PI
from ..grid import over_points
from .checks import checked
from .embedding import between_copies
from .pairs import AbstractKernel, Features, u_statistic


@takes_sample_sets
def mmd_squared(
    samples,
    mixture: GaussianMixture,
    length_scale=None,
    *,
    log_weights=None,
    partners: int | None = None,
) -> Estimate:
    r"""\(MMD^2\) with the Gaussian kernel, unbiased: for samples of p often below zero.

    Args:
        samples: (n, d).
        mixture: of dimension d; atoms are welcome.
        length_scale: \(\ell\), a length; the root of the mixture's total variance by
            default.
        log_weights: (n,), need not be normalised; uniform by default.
        partners: if given, every sample meets only so many of those after it in the
            order given: O(n) in place of O(n^2), and unbiased for independent samples.

    Raises:
        InputError: if the length scale is not positive, or the rest does not fit.
    """
    points, weights = checked(samples, mixture, log_weights)
    length = checked_length(length_scale, mixture)
    kernel = GaussianKernel(mixture, length, _self(mixture, length))
    return u_statistic(kernel, points, weights, log_weights, partners)


def checked_length(length_scale, mixture: GaussianMixture) -> Scalar:
    """The length scale, or by default the root of the total variance."""
    if length_scale is None:
        return jnp.sqrt(mixture.total_variance())
    length = floating(length_scale).astype(mixture.means.dtype)
    require(
        length.shape == () and (not concrete(length) or float(length) > 0),
        "the kernel has no such length scale",
        got=f"length_scale {length_scale}",
        expected="one positive number",
        hint="the root of mixture.total_variance() is a usual choice",
    )
    return length


class GaussianKernel(AbstractKernel):
    """u of the module.

    Attributes:
        mixture: p.
        length: the length scale.
        between: E k(X, X').
    """

    mixture: GaussianMixture
    length: Scalar
    between: Scalar

    def features(self, points):
        blurred = self.mixture.noised(jnp.ones_like(self.length), self.length)
        log_norm = 0.5 * self.mixture.dim * (LOG_2PI + 2.0 * jnp.log(self.length))
        embedded = over_points(
            lambda x: jnp.exp(log_norm + blurred.log_prob(x)),
            points,
            blurred.num_components,
        )
        x = (points - self.mixture.mean()[None]) / self.length
        return Features((x,), (embedded,))

    def __call__(self, pairs, left, right):
        (x,), (z,) = left.vectors, right.vectors
        (h_left,), (h_right,) = left.scalars, right.scalars
        k = jnp.exp(-0.5 * pairs.between(x, z, x, z))
        return k - (h_left + h_right) + self.between


@eqx.filter_jit
def _self(mixture, length):
    """E k(X, X')."""

    def embedding(x: Vector, law: GaussianMixture) -> Scalar:
        blurred = law.noised(jnp.ones_like(length), length)
        log_norm = 0.5 * law.dim * (LOG_2PI + 2.0 * jnp.log(length))
        return jnp.exp(log_norm + blurred.log_prob(x))

    return between_copies(mixture, embedding)
