"""A noising path through a table of scales."""

import jax.numpy as jnp
import numpy as np

from .._checks import concrete, floating, require
from .analytic import AbstractPath, Time, Values
from .interpolation import MonotoneCubic, inverse, monotone_cubic, slope, value


class TabulatedPath(AbstractPath):
    r"""A path through given scales, for instance the schedule of a trained model.

    \(\log\alpha\) and the log-SNR are monotone cubics through the rows of the table,
    and drift and diffusion are their exact derivatives, so the SDE is that of this path
    and the diffusion is never negative.

    Both logarithms must exist: rows with sigma = 0 or alpha = 0 are refused, leave them
    out. Outside the table both curves go on along their end tangents. A path whose
    first row is at t > 0 thus keeps some noise at t = 0, where alpha is close to 1 but
    not 1, and one whose last row is at t < 1 keeps some signal at t = 1; a grid that
    stays within the table never sees this.

    Args:
        times: (n,), n >= 2, strictly increasing within [0, 1].
        alphas: (n,), positive; 1 in a row at t = 0.
        sigmas: (n,), positive, with alphas/sigmas strictly decreasing.

    Raises:
        InputError: if a shape or a value is not as above.
    """

    log_alphas: MonotoneCubic
    log_snrs: MonotoneCubic

    def __init__(self, times, alphas, sigmas):
        times, alphas, sigmas = floating(times), floating(alphas), floating(sigmas)
        _check_table(times, alphas, sigmas)
        log_alphas = jnp.log(alphas)
        self.log_alphas = monotone_cubic(times, log_alphas)
        self.log_snrs = monotone_cubic(times, 2.0 * (log_alphas - jnp.log(sigmas)))

    def alpha(self, t: Time) -> Values:
        return jnp.exp(value(self.log_alphas, floating(t)))

    def sigma(self, t: Time) -> Values:
        t = floating(t)
        return jnp.exp(value(self.log_alphas, t) - 0.5 * value(self.log_snrs, t))

    def drift(self, t: Time) -> Values:
        return slope(self.log_alphas, floating(t))

    def diffusion_squared(self, t: Time) -> Values:
        return -(self.sigma(t) ** 2) * slope(self.log_snrs, floating(t))

    def time_at_log_snr(self, log_snr: Time) -> Values:
        return inverse(self.log_snrs, floating(log_snr))


def _check_table(times, alphas, sigmas):
    require(
        times.ndim == 1
        and times.shape == alphas.shape == sigmas.shape
        and times.shape[0] >= 2,
        "the columns of the table do not match",
        got=f"times {times.shape}, alphas {alphas.shape}, sigmas {sigmas.shape}",
        expected="three times (n,), n at least 2",
        hint="one row a time; give more rows for a curved schedule",
    )
    if not concrete(times, alphas, sigmas):
        return
    t, alpha, sigma = (np.asarray(column) for column in (times, alphas, sigmas))
    require(
        np.all(np.diff(t) > 0) and 0 <= t[0] and t[-1] <= 1,
        "the times of the table are not increasing within [0, 1]",
        got=f"first {t[0]:g}, last {t[-1]:g}, least step {np.diff(t).min():g}",
        expected="0 <= times[0] < times[1] < ... <= 1",
        hint="time 0 is data; divide step numbers by their largest",
    )
    require(
        np.all((alpha > 0) & (alpha < np.inf) & (sigma > 0) & (sigma < np.inf)),
        "a scale of the table has no logarithm",
        got=f"smallest alpha {alpha.min():g}, smallest sigma {sigma.min():g}",
        expected="positive, finite alphas and sigmas",
        hint="leave out the rows with sigma = 0 (data) or alpha = 0 (pure noise)",
    )
    require(
        t[0] > 0 or abs(alpha[0] - 1.0) < 1e-6,
        "the table does not start from the data",
        got=f"alpha {alpha[0]:.9g} at t = 0",
        expected="alpha 1 at t = 0",
        hint="give the first noised row a time > 0, or divide both scales by alpha",
    )
    log_snr = 2.0 * (np.log(alpha) - np.log(sigma))
    worst = np.argmax(np.diff(log_snr))
    require(
        np.all(np.diff(log_snr) < 0),
        "the signal-to-noise ratio of the table does not decrease",
        got=f"log-SNR {log_snr[worst]:.6g} at t = {t[worst]:g}, "
        f"then {log_snr[worst + 1]:.6g} at t = {t[worst + 1]:g}",
        expected="strictly decreasing alphas/sigmas",
        hint="time 1 is noise: reverse the rows if the table runs from noise to data",
    )
