r"""Energy distance between samples and a mixture, without reference samples.

\[ D(q, p) = 2 E\|X - Y\| - E\|X - X'\| - E\|Y - Y'\| , \quad X \sim q, \; Y \sim p , \]

which is \(E_q\, u(X, X')\) with \(u(x, x') = h(x) + h(x') - \|x - x'\| - E\|Y - Y'\|\) and
\(h(x) = E\|x - Y\|\), a closed form on the line and one integral beyond it (C16). On the
line \(D = 2 \int (F_q - F_p)^2\).
Source: Székely and Rizzo, J. Statist. Plann. Inference 143 (2013), 1249-1272.
"""

import equinox as eqx
import jax.numpy as jnp

from ..._samples import takes_sample_sets
from ..._types import Scalar
from ...estimate import Estimate
from ...mixture import GaussianMixture
from .checks import checked
from .embedding import between_copies, mean_distance
from .pairs import AbstractKernel, Features, u_statistic


@takes_sample_sets
def energy_distance(
    samples, mixture: GaussianMixture, *, log_weights=None, partners: int | None = None
) -> Estimate:
    r"""Energy distance, a length (its root is a metric); unbiased.

    Args:
        samples: (n, d).
        mixture: of dimension d; atoms are welcome.
        log_weights: (n,), need not be normalised; uniform by default.
        partners: as in `mmd_squared`.

    Raises:
        InputError: if the samples, weights or partners do not fit.
    """
    points, weights = checked(samples, mixture, log_weights)
    kernel = DistanceKernel(mixture, _self(mixture))
    return u_statistic(kernel, points, weights, log_weights, partners)


class DistanceKernel(AbstractKernel):
    """u of the module.

    Attributes:
        mixture: p.
        between: E||Y - Y'||.
    """

    mixture: GaussianMixture
    between: Scalar

    def features(self, points):
        x = points - self.mixture.mean()[None]
        return Features((x,), (mean_distance(points, self.mixture),))

    def __call__(self, pairs, left, right):
        (x,), (z,) = left.vectors, right.vectors
        (h_left,), (h_right,) = left.scalars, right.scalars
        square = pairs.between(x, z, x, z)
        distance = jnp.sqrt(jnp.maximum(square, 0.0))  # below zero by rounding only
        return h_left + h_right - distance - self.between


@eqx.filter_jit
def _self(mixture):
    return between_copies(mixture, lambda x, law: mean_distance(x[None], law)[0])
