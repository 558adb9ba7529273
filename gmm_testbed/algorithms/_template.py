r"""One line: the idea.

What a step from t to s draws (the state is \(x_t\), at the noise level of t):

\[ x_0 \sim \ldots, \qquad x_s = \alpha_s x_0 + \sigma_s \varepsilon . \]

Exact when: ...
"""

from typing import ClassVar

import equinox as eqx

from .._checks import floating
from .._types import Scalar, Times, Vector
from ..draws import Draws
from ..problem import Target
from ..samplers import SamplerFacts
from .base import AbstractAlgorithm, require_linear


class Template(AbstractAlgorithm):
    """Copy this file, rename the class, add one row to CATALOGUE in `__init__.py`.

    Attributes:
        strength: () what it does and its units. Hyper-parameters are arrays, so that a
            sweep over their values compiles once.
    """

    strength: Scalar = eqx.field(converter=floating, default=1.0)

    facts: ClassVar[SamplerFacts] = SamplerFacts(
        summary="what it does, in a line",
        reference="Authors year, arXiv:number, equation",
        exact_when="never",
        needs="linear",
        cost="1 D",
    )

    def check(self, target: Target, times: Times) -> None:
        require_linear(self, target)

    def move(
        self, draws: Draws, target: Target, x: Vector, t: Scalar, s: Scalar
    ) -> Vector:
        """Numbers of different streams of `draws` are independent: 0, 1, 2, ..."""
        path, noise = target.path, draws.normal(x.shape[0], x.dtype)
        clean = self.strength * target.prior_mean(x, t)
        return path.alpha(s) * clean + path.sigma(s) * noise
