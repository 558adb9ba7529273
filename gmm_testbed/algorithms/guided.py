r"""A guided sampler: an approximation of the field, and a kernel that discretises it."""

from .._arguments import check_kinds
from .._types import Scalar, Vector
from ..approximations import AbstractApproximation
from ..gaussian import Gaussian
from ..kernels import AbstractKernel, GuidedField
from ..method import AbstractMarkov, Cost, Facts, standard_start
from ..problem import Target


class Guided(AbstractMarkov):
    """An approximation of E[x0 | x_t, y] in the place of the exact one, in a kernel.

    Attributes:
        approximation: of the field.
        kernel: that discretises it.

    Raises:
        ArgumentError: unless the parts are an approximation and a kernel.
    """

    approximation: AbstractApproximation
    kernel: AbstractKernel

    start = standard_start

    def __check_init__(self):
        check_kinds(
            "gt.Guided(approximation, kernel)",
            approximation=(
                self.approximation,
                AbstractApproximation,
                "an approximation, as gt.approximations.DPS()",
            ),
            kernel=(self.kernel, AbstractKernel, "a kernel, as gt.kernels.DDPM()"),
        )

    @property
    def facts(self) -> Facts:
        """What follows from those of the parts."""
        field, kernel = self.approximation.facts, self.kernel.facts
        calls = kernel.cost.denoiser
        return Facts(
            summary=f"{field.summary}; {kernel.summary}",
            reference=f"{field.reference}; {kernel.reference}",
            needs=field.needs | kernel.needs,
            exact_when=tuple(
                where._replace(grid="fine", start="exact") for where in field.exact_when
            ),
            affine=field.affine and kernel.affine,
            gradient=field.gradient,
            smooth=field.smooth and kernel.smooth,
            order=kernel.order,
            uses_noise=field.uses_noise,
            cost=Cost(*(calls * each for each in field.cost)),
        )

    def transition(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Gaussian:
        """The Gaussian law of x_s given x_t = x."""
        return self.kernel.transition(GuidedField(self.approximation, target), x, t, s)
