r"""Ancestral sampling (DDPM) with four choices of the variance.

The mean is \(a x + c M(x)\). The variance is

- "small": \(\sigma_s^2(1-\rho^2)\), exact for a point-mass posterior;
- "large": \(\sigma_t^2(1-\rho^2)\), exact for N(., I) under VP;
- "matched": \(\sigma_s^2(1-\rho^2) I + c^2 \hat C(x)\), with \(\hat C\) the approximation's
  Cov[x0|x_t,y]: the exact first two moments of p(x_s|x_t,y) if the field is exact, so weak
  order 2, and no error at all for a Gaussian posterior;
- "matched_scalar": the same with \(\operatorname{tr} \hat C / d\) in place of
  \(\hat C\): of order 2 on the line only.
"""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .. import _linalg
from .._checks import choose
from .._types import Scalar, Vector
from ..gaussian import AbstractRoot, Gaussian, Lower, isotropic
from ..method import Cost, Facts
from .base import AbstractKernel, GuidedField, bridge


class AbstractVariance(eqx.Module):
    """A covariance of the ancestral step."""

    order: eqx.AbstractClassVar[int]

    @abstractmethod
    def __call__(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> AbstractRoot:
        """Its root, at x (d,) for times s < t."""


class Small(AbstractVariance):
    """sigma_s^2 (1 - rho^2)."""

    order: ClassVar[int] = 1

    def __call__(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> AbstractRoot:
        return isotropic(x, bridge(field.path, t, s).variance).root


class Large(AbstractVariance):
    """sigma_t^2 (1 - rho^2)."""

    order: ClassVar[int] = 1

    def __call__(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> AbstractRoot:
        fresh = bridge(field.path, t, s).fresh
        return isotropic(x, field.path.sigma(t) ** 2 * fresh).root


class Matched(AbstractVariance):
    """sigma_s^2 (1 - rho^2) I + c^2 Cov[x0 | x_t, y]."""

    order: ClassVar[int] = 2

    def __call__(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> AbstractRoot:
        step = bridge(field.path, t, s)
        if x.shape[0] == 1:  # on the line every covariance is isotropic
            variance = step.variance + step.c**2 * field.covariance(x, t)[0, 0]
            return isotropic(x, variance).root
        eye = jnp.eye(x.shape[0], dtype=x.dtype)
        covariance = step.variance * eye + step.c**2 * field.covariance(x, t)
        return Lower(_linalg.cholesky(covariance))


class MatchedScalar(AbstractVariance):
    """sigma_s^2 (1 - rho^2) + c^2 tr Cov[x0 | x_t, y] / d."""

    order: ClassVar[int] = 1

    def __call__(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> AbstractRoot:
        step = bridge(field.path, t, s)
        mean_variance = jnp.trace(field.covariance(x, t)) / x.shape[0]
        return isotropic(x, step.variance + step.c**2 * mean_variance).root


VARIANCES = {
    "small": Small(),
    "large": Large(),
    "matched": Matched(),
    "matched_scalar": MatchedScalar(),
}


def _variance(name) -> AbstractVariance:
    if isinstance(name, AbstractVariance):
        return name
    return choose(name, VARIANCES, "variance")


class DDPM(AbstractKernel):
    """Ancestral sampling.

    Args:
        variance: "small", "large", "matched" or "matched_scalar".

    Raises:
        InputError: for an unknown variance.
    """

    variance: AbstractVariance = eqx.field(
        static=True, converter=_variance, default="small"
    )

    @property
    def facts(self) -> Facts:
        """Of order 2 if both moments are matched."""
        return Facts(
            summary="ancestral; variance small, large, matched (order 2) or "
            "matched_scalar",
            reference="Ho et al. 2020, arXiv:2006.11239; matched: Bao et al. 2022",
            affine=True,
            order=self.variance.order,
            cost=Cost(denoiser=1),
        )

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Gaussian:
        """N(a x + c M, variance)."""
        step = bridge(field.path, t, s)
        mean = step.a * x + step.c * field.posterior_mean(x, t)
        return Gaussian(mean, self.variance(field, x, t, s))
