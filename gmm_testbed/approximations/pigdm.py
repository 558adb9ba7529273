r"""Pseudo-inverse guidance: \(x_0 | x_t\) taken as \(N(m, r_t^2 I)\).

\[ \hat g = J^T H^T (R + r_t^2 H H^T)^{-1} (y - f(m)), \qquad
   M - m = C H^T (R + r_t^2 H H^T)^{-1} (y - f(m)) . \]

The variance \(r_t^2\) differs between publications; each choice is a named variant.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from .._checks import choose
from .._types import Matrix, Scalar, Vector
from ..problem import Target
from .base import AbstractCorrection, Facts


def _snr(target, alpha, sigma):
    return sigma**2, sigma**2 + alpha**2


def _flat(target, alpha, sigma):
    return sigma**2, alpha**2


def _data(target, alpha, sigma):
    variance = target.problem.prior.total_variance() / target.problem.prior.dim
    return variance * sigma**2, sigma**2 + alpha**2 * variance


R2 = {"snr": _snr, "flat": _flat, "data": _data}
"""Each variant gives numerator and denominator of r_t^2, which is infinite for "flat" at
alpha = 0."""

_EXACT_FOR = {
    _snr: ("unit gaussian",),
    _flat: (),
    _data: ("unit gaussian", "isotropic gaussian"),
}


class PiGDM(AbstractCorrection):
    r"""Pseudo-inverse guided diffusion.

    Args:
        r2: "snr", \(\sigma^2/(\sigma^2+\alpha^2)\) (Song et al. 2023, eq. 12; exact for a
            prior N(mu, I)); "flat", \(\sigma^2/\alpha^2\) (a flat prior; also Rozet &
            Louppe 2023); "data", \(v\sigma^2/(\sigma^2+\alpha^2 v)\), v the prior's mean
            variance a coordinate (Boys et al.'s code).

    Raises:
        InputError: for an unknown r2.
    """

    r2: Callable = eqx.field(
        static=True, converter=lambda name: choose(name, R2, "r2"), default="snr"
    )

    @property
    def facts(self) -> Facts:
        """Of the variant: what it is exact for differs."""
        return Facts(
            summary="Gaussian N(m, r_t^2 I) for x0 given x_t; variants snr, flat, data",
            reference="Song et al., ICLR 2023, eqs. 7-12",
            exact_for=_EXACT_FOR[self.r2],
            is_gradient=True,
            affine_on_gaussian=True,
            needs="",
            cost="1 D + 1 J + m x m solve",
        )

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """C H^T (R + r^2 H H^T)^{-1} (y - f(m)), (d,)."""
        law = target.denoise(x, t)
        mean, measurement = law.mean, target.problem.measurement
        residual = target.problem.y - measurement.apply(mean)
        numerator, denominator = self.r2(
            target, target.path.alpha(t), target.path.sigma(t)
        )
        # An infinite r^2 makes the correction 0, also where H H^T is singular.
        tension = jnp.where(denominator > 0, denominator, 1.0)
        pulled = measurement.ridge(mean, residual, tension, numerator)
        return law.times_covariance(denominator * pulled)

    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        """The prior's Cov[x0 | x_t]."""
        return target.prior_covariance(x, t)
