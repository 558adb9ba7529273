r"""The exact jump: \(x_0\) from its exact law given \(x_t\) and y, and noise afresh.

\[ x_0 \sim p(x_0 | x_t, y), \qquad x_s = \alpha_s x_0 + \sigma_s \varepsilon . \]

\(x_s\) has the law \(p_s(\cdot | y)\) if \(x_t\) has \(p_t(\cdot | y)\), for any two times:
decoupled methods have no discretisation error, all of theirs is in the law of \(x_0\).

Exact when: always, from the exact law at the first time. The control for `DAPS`.
"""

from typing import ClassVar

from .._types import Scalar, Times, Vector
from ..draws import Draws
from ..problem import Target
from ..samplers import SamplerFacts
from .base import AbstractAlgorithm


class Jump(AbstractAlgorithm):
    """Draws of p(x0 | x_t, y), for any problem whose posterior is a mixture."""

    facts: ClassVar[SamplerFacts] = SamplerFacts(
        summary="an exact draw of x0 given x_t and y, noised afresh",
        reference="the ideal of Zhang et al. 2025, arXiv:2407.01521",
        exact_when="any grid, from the exact law at the first time",
        needs="",
        cost="1 D",
    )

    def check(self, target: Target, times: Times) -> None:
        target.posterior(times[0])  # raises if the posterior is not a mixture

    def move(
        self, draws: Draws, target: Target, x: Vector, t: Scalar, s: Scalar
    ) -> Vector:
        path, dim, dtype = target.path, x.shape[0], x.dtype
        law = target.exact_posterior.denoised(x, path.alpha(t), path.sigma(t))
        clean = draws.of(law, 1)
        return path.alpha(s) * clean + path.sigma(s) * draws.normal(dim, dtype)
