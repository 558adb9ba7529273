r"""Noising paths \(x_t = \alpha_t x_0 + \sigma_t \varepsilon\), from data to noise.

Time 0 is data, \(\alpha_0 = 1\), and time 1 is noise. The law of \(x_t\) is also that
of the forward SDE \(dx = f x\,dt + g\,dW\) with

\[ f = \alpha'/\alpha, \qquad g^2 = 2 \sigma \sigma' - 2 f \sigma^2
   = -\sigma^2\, \frac{d}{dt} \log \frac{\alpha^2}{\sigma^2}, \]

which needs a signal-to-noise ratio \(\alpha^2/\sigma^2\) that decreases in time.
`alpha` and `sigma` are scales, never squares. Where \(\alpha_1 = 0\), the drift is
\(-\infty\) and the diffusion \(\infty\) at t = 1: both are limits, not repaired.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from .. import _display
from .._checks import concrete, floating, require

Time = Real[ArrayLike, "*times"]
Values = Float[Array, "*times"]


class AbstractPath(eqx.Module):
    """A path: two scales and the coefficients of the forward SDE.

    Every method is elementwise in `t`, of any shape, and works under `jit`, `vmap` and
    `grad`. Values of `t` are not checked here (see `time_grids.check_time`).
    """

    __repr__ = _display.call

    @abc.abstractmethod
    def alpha(self, t: Time) -> Values:
        """Scale of the data, 1 at t = 0."""

    @abc.abstractmethod
    def sigma(self, t: Time) -> Values:
        """Scale of the noise, in the units of the data."""

    @abc.abstractmethod
    def drift(self, t: Time) -> Values:
        r"""\(f = \alpha'/\alpha\), so that the forward drift at x is f x."""

    @abc.abstractmethod
    def diffusion_squared(self, t: Time) -> Values:
        r"""\(g^2 = 2 \sigma \sigma' - 2 f \sigma^2\)."""

    @abc.abstractmethod
    def time_at_log_snr(self, log_snr: Time) -> Values:
        """The time with the given `log_snr`; the inverse of that method.

        A ratio that the path never reaches gives a time outside [0, 1], or the end of
        the path that it tends to.
        """

    def log_snr(self, t: Time) -> Values:
        r"""\(\log(\alpha^2/\sigma^2)\), decreasing; infinite where a scale is 0."""
        return 2.0 * (jnp.log(self.alpha(t)) - jnp.log(self.sigma(t)))


class VP(AbstractPath):
    r"""Variance preserving, \(\beta(t) = \beta_{min} + t (\beta_{max} - \beta_{min})\).

    \[ \log \alpha = -\tfrac14 t^2 (\beta_{max} - \beta_{min}) - \tfrac12 t \beta_{min},
       \qquad \sigma^2 = 1 - \alpha^2. \]

    Source: Song et al. 2021 (arXiv:2011.13456), appendix C.

    Args:
        beta_min: (), rate at t = 0.
        beta_max: (), rate at t = 1.

    Raises:
        InputError: unless 0 <= beta_min <= beta_max, with beta_max positive and finite.
    """

    beta_min: Float[Array, ""] = eqx.field(converter=floating, default=0.1)
    beta_max: Float[Array, ""] = eqx.field(converter=floating, default=20.0)

    def __check_init__(self):
        _require_scalars(beta_min=self.beta_min, beta_max=self.beta_max)
        if concrete(self.beta_min, self.beta_max):
            least, most = float(self.beta_min), float(self.beta_max)
            require(
                0 <= least <= most < np.inf and most > 0,
                "the rates of a VP path are out of order",
                got=f"beta_min {least:g}, beta_max {most:g}",
                expected="0 <= beta_min <= beta_max, beta_max positive and finite",
                hint="the usual rates are beta_min=0.1, beta_max=20",
            )

    def alpha(self, t: Time) -> Values:
        return jnp.exp(-0.5 * self._total_rate(t))

    def sigma(self, t: Time) -> Values:
        return jnp.sqrt(-jnp.expm1(-self._total_rate(t)))

    def drift(self, t: Time) -> Values:
        return -0.5 * self._rate(t)

    def diffusion_squared(self, t: Time) -> Values:
        return self._rate(t)

    def time_at_log_snr(self, log_snr: Time) -> Values:
        total = jax.nn.softplus(-floating(log_snr))  # = -log alpha^2
        growth = self.beta_max - self.beta_min
        # The root of _total_rate(t) = total, in the form without cancellation. It is
        # 0/0 where beta_min = 0 and total = 0, at infinite log-SNR.
        root = self.beta_min + jnp.sqrt(self.beta_min**2 + 2.0 * growth * total)
        return 2.0 * total / jnp.where(root > 0, root, 1.0)

    def _rate(self, t):
        t = floating(t)
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def _total_rate(self, t):
        t = floating(t)
        return t * (self.beta_min + 0.5 * t * (self.beta_max - self.beta_min))


class CosineVP(AbstractPath):
    r"""Variance preserving, \(\alpha = \cos(\pi t/2)\), \(\sigma = \sin(\pi t/2)\).

    No signal is left at t = 1. Source: Nichol and Dhariwal 2021 (arXiv:2102.09672),
    without their offset.
    """

    def alpha(self, t: Time) -> Values:
        # The sine of the complement: exactly 0 at t = 1, where the cosine is not.
        return jnp.sin(0.5 * jnp.pi * (1.0 - floating(t)))

    def sigma(self, t: Time) -> Values:
        return jnp.sin(0.5 * jnp.pi * floating(t))

    def drift(self, t: Time) -> Values:
        return -0.5 * jnp.pi * self.sigma(t) / self.alpha(t)

    def diffusion_squared(self, t: Time) -> Values:
        return jnp.pi * self.sigma(t) / self.alpha(t)

    def time_at_log_snr(self, log_snr: Time) -> Values:
        return 2.0 / jnp.pi * jnp.arctan(jnp.exp(-0.5 * floating(log_snr)))


class VE(AbstractPath):
    r"""Variance exploding: \(\alpha = 1\), \(\sigma\) geometric in t.

    \[ \sigma = \sigma_{min}^{1-t} \sigma_{max}^t . \]

    Noise of scale sigma_min is present at t = 0. Source: Song et al. 2021
    (arXiv:2011.13456), appendix C.

    Args:
        sigma_min: (), noise scale at t = 0, in the units of the data.
        sigma_max: (), noise scale at t = 1.

    Raises:
        InputError: unless 0 < sigma_min < sigma_max < infinity.
    """

    sigma_min: Float[Array, ""] = eqx.field(converter=floating)
    sigma_max: Float[Array, ""] = eqx.field(converter=floating)

    def __check_init__(self):
        _require_scalars(sigma_min=self.sigma_min, sigma_max=self.sigma_max)
        if concrete(self.sigma_min, self.sigma_max):
            least, most = float(self.sigma_min), float(self.sigma_max)
            require(
                0 < least < most < np.inf,
                "the noise scales of a VE path are out of order",
                got=f"sigma_min {least:g}, sigma_max {most:g}",
                expected="0 < sigma_min < sigma_max, both finite",
                hint="these are scales, not variances; sigma_max is the one at t = 1",
            )

    def alpha(self, t: Time) -> Values:
        return jnp.ones_like(floating(t))

    def sigma(self, t: Time) -> Values:
        return self.sigma_min * jnp.exp(floating(t) * self._log_ratio())

    def drift(self, t: Time) -> Values:
        return jnp.zeros_like(floating(t))

    def diffusion_squared(self, t: Time) -> Values:
        return 2.0 * self._log_ratio() * self.sigma(t) ** 2

    def time_at_log_snr(self, log_snr: Time) -> Values:
        return (-0.5 * floating(log_snr) - jnp.log(self.sigma_min)) / self._log_ratio()

    def _log_ratio(self):
        return jnp.log(self.sigma_max) - jnp.log(self.sigma_min)


class Rectified(AbstractPath):
    r"""Straight lines, \(\alpha = 1 - t\), \(\sigma = t\); no signal is left at t = 1.

    Source: Liu et al. 2022 (arXiv:2209.03003).
    """

    def alpha(self, t: Time) -> Values:
        return 1.0 - floating(t)

    def sigma(self, t: Time) -> Values:
        return floating(t)

    def drift(self, t: Time) -> Values:
        return -1.0 / self.alpha(t)

    def diffusion_squared(self, t: Time) -> Values:
        return 2.0 * self.sigma(t) / self.alpha(t)

    def time_at_log_snr(self, log_snr: Time) -> Values:
        return jax.nn.sigmoid(-0.5 * floating(log_snr))


class OU(AbstractPath):
    r"""Ornstein-Uhlenbeck: \(dX = -X\,ds + \sqrt2\,dW\) run for a time T, with s = T t.

    \[ \alpha = e^{-T t}, \qquad \sigma^2 = 1 - e^{-2 T t}. \]

    Args:
        T: (), duration of the process, mapped to t = 1.

    Raises:
        InputError: unless 0 < T < infinity.
    """

    T: Float[Array, ""] = eqx.field(converter=floating)

    def __check_init__(self):
        _require_scalars(T=self.T)
        if concrete(self.T):
            require(
                0 < float(self.T) < np.inf,
                "the duration of an OU path must be positive",
                got=f"T {float(self.T):g}",
                expected="0 < T, finite",
                hint="the signal left at t = 1 is exp(-T); T = 5 leaves 0.7 %",
            )

    def alpha(self, t: Time) -> Values:
        return jnp.exp(-self.T * floating(t))

    def sigma(self, t: Time) -> Values:
        return jnp.sqrt(-jnp.expm1(-2.0 * self.T * floating(t)))

    def drift(self, t: Time) -> Values:
        return jnp.full_like(floating(t), -self.T)

    def diffusion_squared(self, t: Time) -> Values:
        return jnp.full_like(floating(t), 2.0 * self.T)

    def time_at_log_snr(self, log_snr: Time) -> Values:
        return 0.5 * jax.nn.softplus(-floating(log_snr)) / self.T


def _require_scalars(**parameters):
    for name, parameter in parameters.items():
        require(
            parameter.shape == (),
            f"{name} is not a scalar",
            got=f"shape {parameter.shape}",
            expected="shape ()",
            hint="build one path a value, with jax.vmap if there are many",
        )
