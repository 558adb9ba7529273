r"""The exact jump: \(x_0\) from its exact law given \(x_t\) and y, and noise afresh.

\[ x_0 \sim p(x_0 | x_t, y), \qquad x_s = \alpha_s x_0 + \sigma_s \varepsilon . \]

\(x_s\) has the law \(p_s(\cdot | y)\) if \(x_t\) has \(p_t(\cdot | y)\), for any two times:
decoupled methods have no discretisation error, all of theirs is in the law of \(x_0\).

Exact when: always, from the exact law at the first time. The control for `DAPS`.
"""

from typing import ClassVar

from .._types import Scalar, Vector
from ..gaussian import Mixture
from ..method import AbstractMarkov, Cost, ExactWhen, Facts, standard_start
from ..problem import Target


class Jump(AbstractMarkov):
    """Draws of p(x0 | x_t, y), for any problem whose posterior is a mixture."""

    facts: ClassVar[Facts] = Facts(
        summary="an exact draw of x0 given x_t and y, noised afresh",
        reference="the ideal of Zhang et al. 2025, arXiv:2407.01521",
        needs=frozenset({"posterior"}),
        exact_when=(ExactWhen(start="exact"),),
        law="mixture",
        cost=Cost(denoiser=1),
    )

    start = standard_start

    def transition(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Mixture:
        """The mixture of alpha_s x0 + sigma_s noise, x0 given x_t = x and y."""
        path = target.path
        clean = target.exact_posterior.denoised(x, path.alpha(t), path.sigma(t))
        return Mixture(clean.noised(path.alpha(s), path.sigma(s)))
