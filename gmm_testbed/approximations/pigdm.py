r"""Pseudo-inverse guidance: \(x_0 | x_t\) taken as \(N(m, r_t^2 I)\).

\[ \hat g = J^T H^T (R + r_t^2 H H^T)^{-1} (y - f(m)), \qquad
   M - m = C H^T (R + r_t^2 H H^T)^{-1} (y - f(m)) . \]

The variance \(r_t^2\) differs between publications; each choice is a class of its own.
"""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import choose
from .._types import Scalar, Vector
from ..method import Cost, ExactWhen, Facts
from ..problem import Target
from .base import AbstractCorrection, gaussian_twist, log_twist, prior_covariance


class AbstractSpread(eqx.Module):
    """A variance r_t^2 that x0 is taken to have around the denoised mean."""

    exact_when: eqx.AbstractClassVar[tuple[ExactWhen, ...]]
    finite_without_signal: eqx.AbstractClassVar[bool]

    @abstractmethod
    def __call__(
        self, target: Target, alpha: Scalar, sigma: Scalar
    ) -> tuple[Scalar, Scalar]:
        """Numerator and denominator of r_t^2, () each: it may be infinite."""


class SNR(AbstractSpread):
    r"""\(\sigma^2/(\sigma^2+\alpha^2)\): exact for a prior N(mu, I)."""

    exact_when: ClassVar[tuple[ExactWhen, ...]] = (ExactWhen("unit gaussian"),)
    finite_without_signal: ClassVar[bool] = True

    def __call__(
        self, target: Target, alpha: Scalar, sigma: Scalar
    ) -> tuple[Scalar, Scalar]:
        return sigma**2, sigma**2 + alpha**2


class Flat(AbstractSpread):
    r"""\(\sigma^2/\alpha^2\): that of a flat prior, infinite at alpha = 0."""

    exact_when: ClassVar[tuple[ExactWhen, ...]] = ()
    finite_without_signal: ClassVar[bool] = False

    def __call__(
        self, target: Target, alpha: Scalar, sigma: Scalar
    ) -> tuple[Scalar, Scalar]:
        return sigma**2, alpha**2


class Data(AbstractSpread):
    r"""\(v\sigma^2/(\sigma^2+\alpha^2 v)\), v the prior's mean variance a coordinate."""

    exact_when: ClassVar[tuple[ExactWhen, ...]] = (ExactWhen("isotropic gaussian"),)
    finite_without_signal: ClassVar[bool] = True

    def __call__(
        self, target: Target, alpha: Scalar, sigma: Scalar
    ) -> tuple[Scalar, Scalar]:
        variance = target.problem.prior.total_variance() / target.problem.prior.dim
        return variance * sigma**2, sigma**2 + alpha**2 * variance


R2 = {"snr": SNR(), "flat": Flat(), "data": Data()}


def spread(name) -> AbstractSpread:
    """A variance r_t^2 by its name in `R2`, or one itself.

    Raises:
        InputError: for an unknown name.
    """
    return name if isinstance(name, AbstractSpread) else choose(name, R2, "r2")


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

    r2: AbstractSpread = eqx.field(static=True, converter=spread, default="snr")

    @property
    def facts(self) -> Facts:
        """Of the variant: what it is exact for differs."""
        return Facts(
            summary="Gaussian N(m, r_t^2 I) for x0 given x_t; variants snr, flat, data",
            reference="Song et al., ICLR 2023, eqs. 7-12",
            exact_when=self.r2.exact_when,
            affine=True,
            gradient=True,
            cost=Cost(denoiser=1, jacobian=1, measurement=1),
        )

    covariance = prior_covariance

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """C H^T (R + r^2 H H^T)^{-1} (y - f(m)), (d,)."""
        denoised = target.denoise(x, t)
        mean, measurement = denoised.mean, target.problem.measurement
        residual = target.problem.y - measurement.apply(mean)
        numerator, denominator = self.r2(
            target, target.path.alpha(t), target.path.sigma(t)
        )
        # An infinite r^2 makes the correction 0, also where H H^T is singular.
        tension = jnp.where(denominator > 0, denominator, 1.0)
        pulled = measurement.ridge(mean, residual, tension, numerator)
        return denoised.times_covariance(denominator * pulled)


@log_twist.register(PiGDM)
def _(approximation, target, x, t):
    path = target.path
    numerator, denominator = approximation.r2(target, path.alpha(t), path.sigma(t))
    H, residual = target.problem.whitened_at(target.denoise(x, t).mean)
    return gaussian_twist(target, residual, numerator / denominator * (H @ H.T))
