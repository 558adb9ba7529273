r"""Independent draws of the posterior, or of one that is distorted on purpose."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import floating
from .._types import Scalar, Vector
from ..gaussian import Mixture
from ..method import AbstractMarkov, Cost, ExactWhen, Facts, standard_start
from ..mixture import GaussianMixture
from ..mixture.components import log_total
from ..problem import Target


class PosteriorDraws(AbstractMarkov):
    r"""Exact draws of \(p_t(\cdot|y)\), or of a known distortion: a control of every test.

    It forgets where it is: every step draws afresh, so that a grid of one step will do. The
    failures of `gt.diagnostics.deliberate` are plugged in as the source:

        def dropped(target, t):
            return deliberate.one_mode_dropped(target.posterior(t))

        PosteriorDraws(source=dropped)

    Attributes:
        scale: () times the standard deviations of each component; 1 is exact.
        shift: () added to every coordinate, in its posterior standard deviations.
        power: () of the weights of the components, normalised; 0 makes them equal.
        source: of (target, t), traced: the mixture that the above distort, by default the
            exact one. Every function is a program of its own, and builds its mixture
            once an observation and step.
    """

    scale: Scalar = eqx.field(converter=floating, default=1.0)
    shift: Scalar = eqx.field(converter=floating, default=0.0)
    power: Scalar = eqx.field(converter=floating, default=1.0)
    source: Callable[[Target, Scalar], GaussianMixture] = eqx.field(
        static=True, default=Target.posterior
    )

    facts: ClassVar[Facts] = Facts(
        summary="independent draws of the posterior, or of a known distortion of it",
        reference="closed form",
        needs=frozenset({"posterior"}),
        exact_when=(ExactWhen(),),
        law="mixture",
        cost=Cost(denoiser=0),
    )

    start = standard_start

    def law(self, target: Target, t: Scalar) -> GaussianMixture:
        """The mixture that is drawn from."""
        law = self.source(target, t)
        log_weights = self.power * law.log_weights
        spread = jnp.sqrt(jnp.diagonal(law.covariance()))
        return GaussianMixture(
            log_weights - log_total(log_weights),
            law.means + (self.shift * spread)[None],
            self.scale**2 * law.base,
            law.basis,
            self.scale**2 * law.spectrum,
            atomic=law.atomic,
        )

    def transition(self, target: Target, x: Vector, t: Scalar, s: Scalar) -> Mixture:
        """The mixture at time s, whatever x."""
        return Mixture(self.law(target, s))
