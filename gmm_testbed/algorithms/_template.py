r"""One line: the idea.

What a step from t to s draws (the state is \(x_t\), at the noise level of t):

\[ x_0 \sim \ldots, \qquad x_s = \alpha_s x_0 + \sigma_s \varepsilon . \]

Exact when: ...
"""

from typing import ClassVar

import equinox as eqx

from .._checks import floating
from .._types import Scalar, Vector
from ..gaussian import Gaussian, isotropic
from ..method import AbstractMarkov, Cost, Facts, standard_start
from ..problem import Target


class Template(AbstractMarkov):
    """Copy this file, rename the class, add one row to CATALOGUE in `__init__.py`.

    Attributes:
        strength: () what it does and its units. Hyper-parameters are arrays, so that a
            sweep over their values compiles once.
    """

    strength: Scalar = eqx.field(converter=floating, default=1.0)

    facts: ClassVar[Facts] = Facts(
        summary="what it does, in a line",
        reference="Authors year, arXiv:number, equation",
        affine=True,
        uses_noise=False,
        cost=Cost(denoiser=1),
    )

    start = standard_start

    def transition(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Gaussian:
        """N(alpha_s strength m, sigma_s^2 I)."""
        path, clean = target.path, self.strength * target.denoise(x, t).mean
        return isotropic(path.alpha(s) * clean, path.sigma(s) ** 2)
