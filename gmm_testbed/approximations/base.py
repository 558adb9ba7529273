r"""What an approximation is: one vector field.

A diffusion posterior method replaces \(E[x_0 | x_t, y]\) by some \(M(x, t)\). The guidance
\(\hat g \approx \nabla_x \log p(y | x_t)\) and the mean determine one another,

\[ M = m + \frac{\sigma^2}{\alpha} \hat g, \qquad m = E[x_0 | x_t] . \]

Most methods are a formula for the *correction* \(M - m\); writing that (and not M) keeps
its accuracy as \(\sigma \to 0\), and nothing is divided by \(\alpha\), which may be 0
at t = 1.
"""

from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx

from .._checks import unsupported
from .._types import Matrix, Scalar, Vector
from ..measurements import Linear
from ..problem import Target


class Facts(NamedTuple):
    """What is known of an approximation; the contract tests ask each claim.

    Attributes:
        summary: one line.
        reference: paper and equation.
        exact_for: names of problem classes where the field is exact: "any",
            "one gaussian", "isotropic gaussian" (covariance v I), "unit gaussian" (I), ...
        is_gradient: whether the field is the gradient of some function of x for d >= 2.
        affine_on_gaussian: whether M is affine in x for a one-Gaussian prior and a linear
            measurement, so that `gt.laws.affine` applies.
        needs: "" or "linear".
        cost: per point, in evaluations of the denoiser (D), products with its Jacobian
            (J) and small solves.
        smooth: False if the field jumps where the residual y - f(m) vanishes, as fields
            over the residual's norm do for one measurement.
    """

    summary: str
    reference: str
    exact_for: tuple[str, ...]
    is_gradient: bool
    affine_on_gaussian: bool
    needs: str
    cost: str
    smooth: bool = True


class AbstractApproximation(eqx.Module):
    """An approximation of E[x0 | x_t, y] and of the guidance.

    All methods take a `Target`, one point x (d,) and a time t (), and raise
    `UnsupportedError` if the problem lacks what `facts.needs` names.
    """

    facts: eqx.AbstractClassVar[Facts]

    @abstractmethod
    def guidance(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """The approximation of grad_x log p(y | x_t = x), (d,)."""

    @abstractmethod
    def posterior_mean(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """The approximation M(x, t) of E[x0 | x_t = x, y], (d,)."""

    @abstractmethod
    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        """The approximation of Cov[x0 | x_t = x, y], (d, d), used by matched kernels.

        Methods that define none keep the prior's Cov[x0 | x_t], as the published codes
        do when they guide a model with a learned variance.
        """


class AbstractCorrection(AbstractApproximation):
    """An approximation given by a formula for M - m."""

    @abstractmethod
    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """M(x, t) - E[x0 | x_t = x], (d,)."""

    def guidance(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """(alpha / sigma^2) (M - m), (d,)."""
        return target.gain(t) * self.correction(target, x, t)

    def posterior_mean(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """m plus the correction, (d,)."""
        return target.prior_mean(x, t) + self.correction(target, x, t)


def require_linear(approximation: AbstractApproximation, target: Target) -> Linear:
    """The linear measurement of the target.

    Raises:
        UnsupportedError: if it is not linear.
    """
    measurement = target.problem.measurement
    if isinstance(measurement, Linear):
        return measurement
    name = type(approximation).__name__
    unsupported(
        f"{name} needs a linear measurement",
        got=type(measurement).__name__,
        expected="Linear(A, R)",
        hint="DPS, ZetaDPS, PiGDM and TMPD linearise a nonlinear measurement",
    )
