r"""Heun's second-order step of the probability-flow ODE in EDM variables.

With \(z = x/\alpha\), \(u = \sigma/\alpha\) the ODE is \(dz/du = (z - M)/u\); the step is
the trapezoidal rule with an Euler predictor.
"""

from typing import ClassVar

from .._types import Scalar, Vector
from ..gaussian import Gaussian, point
from ..method import Cost, Facts
from .base import AbstractKernel, GuidedField


class Heun(AbstractKernel):
    """Deterministic second-order sampler of EDM; needs alpha > 0 and sigma_s > 0."""

    facts: ClassVar[Facts] = Facts(
        summary="Heun for the probability-flow ODE in sigma/alpha; deterministic, order 2",
        reference="Karras et al. 2022, arXiv:2206.00364, Algorithm 1",
        needs=frozenset({"signal", "noise"}),
        affine=True,
        order=2,
        cost=Cost(denoiser=2),
    )

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Gaussian:
        """The point after one Heun step."""
        path = field.path
        alpha_t, alpha_s = path.alpha(t), path.alpha(s)
        u_t, u_s = path.sigma(t) / alpha_t, path.sigma(s) / alpha_s
        z = x / alpha_t
        slope = (z - field.posterior_mean(x, t)) / u_t
        predicted = z + (u_s - u_t) * slope
        slope_s = (predicted - field.posterior_mean(alpha_s * predicted, s)) / u_s
        mean = alpha_s * (z + 0.5 * (u_s - u_t) * (slope + slope_s))
        return point(mean)
