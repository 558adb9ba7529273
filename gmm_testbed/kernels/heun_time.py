r"""Heun's second-order step of the probability-flow ODE in time.

The trapezoidal rule for \(dx/dt = f x - \tfrac12 g^2 \hat s\), with an Euler predictor:
`Heun` is the same rule in the variables of EDM, in which the ODE is less stiff.
"""

from typing import ClassVar

from .._types import Scalar, Vector
from ..gaussian import Gaussian, point
from ..method import Cost, Facts
from .base import AbstractKernel, GuidedField


class HeunInTime(AbstractKernel):
    """Heun for the probability-flow ODE, in time; needs alpha_t > 0 and sigma_s > 0."""

    facts: ClassVar[Facts] = Facts(
        summary="Heun for the probability-flow ODE, in time; deterministic, order 2",
        reference="Pierret & Galerne 2024, arXiv:2405.14250, sec. 5",
        needs=frozenset({"signal", "noise"}),
        affine=True,
        order=2,
        cost=Cost(denoiser=2),
    )

    def transition(
        self, field: GuidedField, x: Vector, t: Scalar, s: Scalar
    ) -> Gaussian:
        """The point after one Heun step."""
        slope = _velocity(field, x, t)
        predicted = x - (t - s) * slope
        return point(x - 0.5 * (t - s) * (slope + _velocity(field, predicted, s)))


def _velocity(field, x, t):
    path = field.path
    return path.drift(t) * x - 0.5 * path.diffusion_squared(t) * _score(field, x, t)


def _score(field, x, t):
    """Without the difference alpha M - x, which loses its digits where sigma is small."""
    target = field.target
    if target.denoiser is not None:
        return field.score(x, t)
    guidance = field.approximation.guidance(target, x, t)
    return target.marginal(t).score(x) + guidance
