"""An inverse problem: a prior, a measurement and an observation."""

import equinox as eqx
import jax.numpy as jnp

from .. import _display
from .._arguments import check_kinds, is_numeric
from .._checks import check_finite, floating, require, unsupported
from .._types import Observation, Scalar, Vector
from ..mixture import GaussianMixture
from .atoms import log_factors
from .likelihood import conditioned
from .measurements import AbstractMeasurement, Linear


class InverseProblem(eqx.Module):
    """Infer x0 ~ prior from y = measurement(x0) + noise.

    Attributes:
        prior: the mixture of x0, in dimension d.
        measurement: `Linear` or `Nonlinear`.
        y: (m,).

    Raises:
        InputError: if y or the measurement does not fit, or y is not finite.
    """

    prior: GaussianMixture
    measurement: AbstractMeasurement
    y: Observation

    def __init__(self, prior, measurement, y):
        check_kinds(
            "gt.InverseProblem(prior, measurement, y)",
            prior=(prior, GaussianMixture, "a gt.GaussianMixture"),
            measurement=(
                measurement,
                AbstractMeasurement,
                "a gt.Linear or gt.Nonlinear",
            ),
            y=(y, is_numeric, "the observation (m,)"),
        )
        self.prior = prior
        self.measurement = measurement
        self.y = floating(y)
        require(
            self.y.shape == (measurement.dim_y,),
            "y does not fit the measurement",
            got=f"y {self.y.shape}",
            expected=f"({measurement.dim_y},)",
            hint="wrap a scalar observation as [y]",
        )
        check_finite(self.y, "y")
        if isinstance(measurement, Linear):
            require(
                measurement.A.shape[1] == prior.dim,
                "A does not fit the prior",
                got=f"A {measurement.A.shape} with a prior in dimension {prior.dim}",
                expected=f"(m, {prior.dim})",
                hint="A maps x0 (d,) to y (m,)",
            )

    __repr__, _repr_html_ = _display.one_line, _display.html

    def words(self) -> list[tuple[str, str]]:
        """Prior, measurement and observation in words."""
        kind = "linear" if isinstance(self.measurement, Linear) else "nonlinear"
        noise = self.measurement.R
        scales = _display.numbers(jnp.sqrt(jnp.diagonal(noise)))
        return [
            ("prior", f"prior of {self.prior.words()}"),
            ("measurement", f"{kind} measurement with noise of sd {scales}"),
            ("observation", f"y = {_display.numbers(self.y)}"),
        ]

    def _shown(self) -> _display.Shown:
        """Prior, measurement and observation."""
        line = f"InverseProblem: {', '.join(words for _, words in self.words())}"
        return _display.Shown(
            line, (_display.table(("of this problem", ""), self.words()),)
        )

    def posterior(self) -> GaussianMixture:
        """The exact law of x0 given y, a mixture.

        Raises:
            UnsupportedError: for a nonlinear measurement of a prior that is not empirical,
                whose posterior is not a mixture.
        """
        return self._condition()[0]

    def log_evidence(self) -> Scalar:
        """log p(y); exact in the same cases as `posterior`."""
        return self._condition()[1]

    def log_factors(self):
        """log p(y | a_k) for the atoms of an empirical prior, (K,)."""
        return log_factors(self.measurement, self.y, self.prior.means)

    def whitened_at(self, x0: Vector):
        """Jacobian (m, d) and residual y - f(x0) (m,) at x0, in units of the noise."""
        whitener = self.measurement.whitener
        residual = whitener @ (self.y - self.measurement.apply(x0))
        return whitener @ self.measurement.jacobian(x0), residual

    def has_posterior(self) -> bool:
        """Whether the posterior is a mixture."""
        return self.prior.atomic or isinstance(self.measurement, Linear)

    def _condition(self):
        if isinstance(self.measurement, Linear):
            return conditioned(self.prior, self.measurement, self.y)
        if self.prior.atomic:
            return self.prior.reweighted(self.log_factors())
        unsupported(
            "the posterior of this problem is not a mixture",
            got="a nonlinear measurement of a prior with densities",
            expected="a Linear measurement, or an empirical prior",
            hint="replace the prior by GaussianMixture.empirical(prior.sample(key, n)); "
            "in d <= 2 a Target still gives the reference at every t > 0 by quadrature",
        )
