r"""Kernel Stein discrepancy between samples and a mixture: the score is all it needs.

With the score s of p and a kernel \(k = f(r^2)\), \(r = \|x - y\|\),

\[ u(x, y) = s_x \cdot s_y f - 2 f' (s_x - s_y) \cdot (x - y) - 2 d f' - 4 r^2 f'' \]

has mean zero in either argument under p, and \(KSD^2(q) = E_q\, u(X, X')\). Scores know
nothing of the weights of modes that are far apart: there KSD is all but blind.
Sources: Liu, Lee and Jordan, ICML 2016; Gorham and Mackey, ICML 2017 (the inverse
multiquadric kernel, which still detects mass that escapes to infinity).
"""

import jax.numpy as jnp

from ..._checks import choose
from ..._samples import takes_sample_sets
from ..._types import Scalar
from ...estimate import Estimate
from ...mixture import GaussianMixture
from ..grid import over_points
from .checks import checked
from .mmd import checked_length
from .pairs import AbstractKernel, Features, u_statistic


@takes_sample_sets
def kernel_stein_discrepancy(
    samples,
    mixture: GaussianMixture,
    length_scale=None,
    *,
    kernel: str = "imq",
    log_weights=None,
    partners: int | None = None,
) -> Estimate:
    r"""Squared kernel Stein discrepancy, one over length squared; unbiased.

    Args:
        samples: (n, d).
        mixture: of dimension d, with a density.
        length_scale: \(\ell\); the root of the mixture's total variance by default.
        kernel: "imq", \((1 + r^2/\ell^2)^{-1/2}\), or "gaussian",
            \(e^{-r^2/2\ell^2}\).
        log_weights: (n,), need not be normalised; uniform by default.
        partners: as in `mmd_squared`.

    Raises:
        InputError: for a mixture of atoms, which has no score, a length scale that is
            not positive, or arguments that do not fit.
    """
    points, weights = checked(samples, mixture, log_weights)
    length = checked_length(length_scale, mixture)
    stein = choose(kernel, KERNELS, "kernel")(mixture, length)
    return u_statistic(stein, points, weights, log_weights, partners)


class InverseMultiquadric(AbstractKernel):
    """u of the module for the inverse multiquadric kernel."""

    mixture: GaussianMixture
    length: Scalar

    def features(self, points):
        return _features(self.mixture, points)

    def __call__(self, pairs, left, right):
        square, shift, scores = _products(pairs, left, right)
        scale = 1.0 / self.length**2
        inverse = 1.0 / (1.0 + scale * square)
        value = jnp.sqrt(inverse)
        first = -0.5 * scale * value * inverse
        second = -1.5 * scale * first * inverse
        return _stein(self.mixture.dim, square, shift, scores, value, first, second)


class Gaussian(AbstractKernel):
    """u of the module for the Gaussian kernel."""

    mixture: GaussianMixture
    length: Scalar

    def features(self, points):
        return _features(self.mixture, points)

    def __call__(self, pairs, left, right):
        square, shift, scores = _products(pairs, left, right)
        scale = 0.5 / self.length**2
        value = jnp.exp(-scale * square)
        first = -scale * value
        second = -scale * first
        return _stein(self.mixture.dim, square, shift, scores, value, first, second)


KERNELS = {"imq": InverseMultiquadric, "gaussian": Gaussian}


def _features(mixture, points):
    score = over_points(mixture.score, points, mixture.num_components)
    return Features((points - mixture.mean()[None], score), ())


def _products(pairs, left, right):
    """r^2, (s_x - s_y).(x - y) and s_x.s_y of every pair."""
    (x, score), (z, other) = left.vectors, right.vectors
    shift = pairs.between(score, other, x, z)
    return pairs.between(x, z, x, z), shift, pairs.dot(score, other)


def _stein(dim, square, shift, scores, value, first, second):
    return scores * value - 2.0 * first * (shift + dim) - 4.0 * square * second
