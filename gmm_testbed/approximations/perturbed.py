r"""A method whose score network errs: the wrapped method is the same with no error.

`ScoreError` replaces the prior's score by \(\tilde s = (1 + \delta) s + b\) in

\[ \tilde M = m + \frac{\sigma^2}{\alpha} (\hat g + \delta s + b), \]

with the method's guidance \(\hat g\) as it was. `WrongPrior` runs the method with the
denoiser of another prior, in its guidance too. Either error adds to what the method
itself errs by, and `gt.budget` tells the two apart.
"""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from .._checks import concrete, floating, require
from .._types import Matrix, Scalar, Vector
from ..problem import Target
from .base import AbstractApproximation, Facts


class AbstractPerturbed(AbstractApproximation):
    """A method with a perturbed denoiser.

    Attributes:
        approximation: the method with the exact denoiser.
    """

    approximation: eqx.AbstractVar[AbstractApproximation]


class ScoreError(AbstractPerturbed):
    r"""Adds \(\delta s + b\) to the prior's score s; needs alpha > 0.

    Attributes:
        approximation: the method with the exact score.
        offset: b, () or (d,), one over the unit of x.
        relative: \(\delta\), ().

    Raises:
        InputError: if offset is neither () nor (d,), or a value is known not to be finite.
    """

    approximation: AbstractApproximation
    offset: Float[Array, "*d"] = eqx.field(converter=floating, default=0.0)
    relative: Scalar = eqx.field(converter=floating, default=0.0)

    def __check_init__(self):
        for name, value in (("offset", self.offset), ("relative", self.relative)):
            require(
                value.ndim <= (name == "offset")
                and not (concrete(value) and not np.all(np.isfinite(value))),
                f"{name} is not a finite error of the score",
                got=f"{value!r}",
                expected="() or (d,), finite" if name == "offset" else "(), finite",
                hint="0 is no error",
            )

    @property
    def facts(self) -> Facts:
        """Those of the method, which is no longer exact."""
        return self.approximation.facts._replace(exact_for=())

    def guidance(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """The method's guidance plus the error of the score, (d,)."""
        alpha, sigma = target.path.alpha(t), target.path.sigma(t)
        score = (alpha * target.prior_mean(x, t) - x) / sigma**2
        exact = self.approximation.guidance(target, x, t)
        return exact + self.relative * score + self.offset

    def posterior_mean(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """The method's mean plus sigma^2 / alpha times the error of the score, (d,)."""
        alpha, sigma = target.path.alpha(t), target.path.sigma(t)
        moved = self.relative * (target.prior_mean(x, t) - x / alpha)
        exact = self.approximation.posterior_mean(target, x, t)
        return exact + moved + sigma**2 / alpha * self.offset

    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        """The method's own."""
        return self.approximation.covariance(target, x, t)


class WrongPrior(AbstractPerturbed):
    """The method on an assumed target: same measurement and y, another prior.

    Attributes:
        approximation: the method.
        assumed: the target with the assumed prior, built once.

    Example:
        `WrongPrior(DPS(), gt.Target(gt.InverseProblem(prior, measurement, y), path))`
    """

    approximation: AbstractApproximation
    assumed: Target

    @property
    def facts(self) -> Facts:
        """Those of the method, which is no longer exact."""
        facts = self.approximation.facts
        affine = (
            facts.affine_on_gaussian and self.assumed.problem.prior.num_components == 1
        )
        return facts._replace(exact_for=(), affine_on_gaussian=affine)

    def guidance(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """(alpha / sigma^2) (M - m), with M of the assumed and m of the true prior."""
        alpha, sigma = target.path.alpha(t), target.path.sigma(t)
        moved = self.posterior_mean(target, x, t) - target.prior_mean(x, t)
        return alpha / sigma**2 * moved

    def posterior_mean(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """The method's mean under the assumed prior, (d,)."""
        self._check(target)
        return self.approximation.posterior_mean(self.assumed, x, t)

    def covariance(self, target: Target, x: Vector, t: Scalar) -> Matrix:
        """The method's covariance under the assumed prior, (d, d)."""
        self._check(target)
        return self.approximation.covariance(self.assumed, x, t)

    def _check(self, target):
        assumed, true = self.assumed.problem.prior.dim, target.problem.prior.dim
        require(
            assumed == true,
            "the assumed prior has the wrong dimension",
            got=f"dimension {assumed}",
            expected=f"dimension {true}",
            hint="build the assumed target from a prior over the same x0",
        )
