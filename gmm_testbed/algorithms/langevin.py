r"""Unadjusted Langevin steps at a noise level, and down a ladder of levels.

A step to s, of size \(h = \epsilon\,\sigma_\ell^2\) at the level \(\ell\) of its rung,

\[ x' = x + \tfrac{h}{2}\, \frac{\alpha_\ell M(x, \ell) - x}{\sigma_\ell^2}
   + \sqrt{h}\, \xi , \]

has \(p_\ell(\cdot|y)\) as its stationary law for \(h \to 0\), if M is exact: no step takes
x from one level to the next, only the score changes. With a `ladder` of levels it is
annealed Langevin dynamics, whose \(\alpha_i = \epsilon\,\sigma_i^2/\sigma_L^2\) is
\(\epsilon\) here in units of \(\sigma_L^2\); with one rung Langevin dynamics at a level;
without rungs every time of the grid is one.

Exact when: never with h > 0. In a Gaussian of variance v it has the variance
\(v/(1 - h/(4v))\), and the weights of modes that a level keeps apart are those with
which it began.
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from .._checks import check_count, check_range, concrete, floating, require
from .._types import Scalar, Times, Vector
from ..approximations import AbstractApproximation, Exact
from ..gaussian import Gaussian, isotropic
from ..kernels import GuidedField
from ..method import AbstractMarkov, Facts, standard_start
from ..problem import Target


class Langevin(AbstractMarkov):
    r"""Langevin dynamics at the levels of a ladder.

    A time s belongs to the last rung that is not above it, so that on the grid
    `ladder(levels, repeats)` the law at a level is that after all steps of its rung.

    Attributes:
        approximation: of E[x0 | x_t, y], whose score is followed.
        epsilon: () size of a step over \(\sigma^2\) of its level; steps from 4 on diverge
            where the law is as narrow as the noise.
        levels: (L,) decreasing times of the rungs; None if every time is one.

    Raises:
        InputError: unless epsilon is positive, and the levels are decreasing times.
    """

    approximation: AbstractApproximation = eqx.field(default_factory=Exact)
    epsilon: Scalar = eqx.field(converter=floating, default=0.1)
    levels: Float[Array, " L"] | None = eqx.field(
        converter=lambda given: None if given is None else floating(given),
        default=None,
    )

    start = standard_start

    def __check_init__(self):
        check_range("epsilon", self.epsilon, least=0.0, positive=True)
        if self.levels is not None:
            _check_levels(self.levels, least=1)

    @property
    def facts(self) -> Facts:
        """Those of the approximation; a step at one level has no limit."""
        field = self.approximation.facts
        return Facts(
            summary=f"Langevin steps at the level of a rung: {field.summary}",
            reference=f"Song & Ermon 2019, arXiv:1907.05600; {field.reference}",
            needs=field.needs | {"noise"},
            affine=field.affine,
            gradient=field.gradient,
            smooth=field.smooth,
            order=0,
            uses_noise=field.uses_noise,
            cost=field.cost,
        )

    def transition(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Gaussian:
        """N(x + h/2 score, h I) at the rung of s; t is not used."""
        level = s if self.levels is None else self.rung(s)
        size = self.epsilon * target.path.sigma(level) ** 2
        field = GuidedField(self.approximation, target)
        return isotropic(x + 0.5 * size * field.score(x, level), size)

    def rung(self, s: Scalar) -> Scalar:
        """The last level that is not above s; the least one if all are."""
        below = jnp.where(self.levels <= s, self.levels, self.levels[-1])
        return jnp.max(below)


def ladder(levels: Sequence[float] | Real[ArrayLike, " L"], repeats: int) -> Times:
    """Times ((L - 1) repeats + 1,) with as many steps at every level but the first.

    The chain begins at the first level and takes no step there.

    Args:
        levels: (L,) decreasing times in [0, 1], L >= 2.
        repeats: steps at each of the others, at least 1.

    Raises:
        InputError: unless the levels are decreasing times.
    """
    repeats, levels = check_count(repeats, "repeats"), floating(levels)
    _check_levels(levels, least=2)
    ends = np.asarray(levels)
    share = np.arange(1, repeats + 1) / repeats
    steps = ends[:-1, None] + (ends[1:] - ends[:-1])[:, None] * share
    steps[:, -1] = ends[1:]  # to the last bit: a rung begins there
    return jnp.asarray(np.concatenate([ends[:1], steps.ravel()]))


def _check_levels(levels, least) -> None:
    right = levels.ndim == 1 and levels.shape[0] >= least
    if right and concrete(levels):
        found = np.asarray(levels)
        right = np.all(np.diff(found) < 0) and found[-1] >= 0 and found[0] <= 1
    require(
        right,
        "the levels are no ladder",
        got=f"{levels}" if concrete(levels) else f"shape {levels.shape}",
        expected=f"(L,) decreasing times within [0, 1], L >= {least}",
        hint="a level is a time of the path, 0 the one with least noise: "
        "jnp.linspace(1.0, 0.0, 11)",
    )
