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

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from .. import _linalg
from .._checks import choose
from .._types import Scalar, Vector
from .base import AbstractKernel, GuidedField, KernelFacts, Transition, bridge


def _small(field, x, t, s):
    return jnp.sqrt(bridge(field.path, t, s).variance)


def _large(field, x, t, s):
    return field.path.sigma(t) * jnp.sqrt(bridge(field.path, t, s).fresh)


def _matched(field, x, t, s):
    step = bridge(field.path, t, s)
    eye = jnp.eye(x.shape[0], dtype=x.dtype)
    return _linalg.cholesky(step.variance * eye + step.c**2 * field.covariance(x, t))


def _matched_scalar(field, x, t, s):
    step = bridge(field.path, t, s)
    mean_variance = jnp.trace(field.covariance(x, t)) / x.shape[0]
    return jnp.sqrt(step.variance + step.c**2 * mean_variance)


VARIANCES = {
    "small": _small,
    "large": _large,
    "matched": _matched,
    "matched_scalar": _matched_scalar,
}


class DDPM(AbstractKernel):
    """Ancestral sampling.

    Args:
        variance: "small", "large", "matched" or "matched_scalar".

    Raises:
        InputError: for an unknown variance.
    """

    variance: Callable = eqx.field(
        static=True,
        converter=lambda name: choose(name, VARIANCES, "variance"),
        default="small",
    )

    @property
    def facts(self) -> KernelFacts:
        """Of order 2 if both moments are matched."""
        return KernelFacts(
            summary="ancestral; variance small, large, matched (order 2) or "
            "matched_scalar",
            reference="Ho et al. 2020, arXiv:2006.11239; matched: Bao et al. 2022",
            order=2 if self.variance is _matched else 1,
            affine=True,
            needs_signal=False,
            guides=False,
        )

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Transition:
        """N(a x + c M, variance)."""
        step = bridge(field.path, t, s)
        mean = step.a * x + step.c * field.posterior_mean(x, t)
        return Transition(mean, self.variance(field, x, t, s))
