r"""The density of DPS over the posterior on the line, by its law and by paths (T50)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp

from ... import approximations, kernels, laws
from ...algorithms import Guided
from ...densities.line_parts import Parts, shares
from ...divergences.expectation import refined
from ...paths import VE
from ...problem import InverseProblem, Linear, Target

_STEPS = 100  # of the sampler, and twice and four times as many
_LEVELS = 200  # of the equation, and twice as many
_POINTS, _REACH, _HERMITE = 1201, 9.0, 10

Known = tuple[float, float]
"""A number and what the last extrapolation changed in it."""


class Ratio(NamedTuple):
    """The ratio on the line.

    Attributes:
        points: (n,).
        logs: (n,) of the ratio.
        change: (n,) of the logs by the last extrapolation.
        law: the posterior.
    """

    points: np.ndarray
    logs: np.ndarray
    change: np.ndarray
    law: Parts

    def at(self, x: float) -> Known:
        """The ratio at a point."""
        logs, change = (CubicSpline(self.points, y)(x) for y in self[1:3])
        return float(np.exp(logs)), float(np.exp(logs) * abs(change))

    def mean(self) -> Known:
        """The mean under the posterior."""
        total, other = self._means()
        return total, abs(total - other)

    def normalised(self) -> "Ratio":
        """The ratio over its mean."""
        total, other = np.log(self._means())
        change = self.change - (total - other)
        return self._replace(logs=self.logs - total, change=change)

    def _means(self):
        """With the last extrapolation, and without."""
        x = np.linspace(self.points[0], self.points[-1], 4 * self.points.size)
        density = np.exp(self.law.log_density(x)) * (x[1] - x[0])
        logs, change = (CubicSpline(self.points, y)(x) for y in self[1:3])
        return [float(density @ np.exp(each)) for each in (logs, logs - change)]


class RatioOnLine(NamedTuple):
    """A prior on the line, y = a x + N(0, r), and two levels of noise.

    Attributes:
        target: the problem along a VE path from the first to the last level.
        prior: its components.
        a: slope of the measurement.
        r: variance of its noise.
        y: what was seen.
        first: V.
        last: v.
    """

    target: Target
    prior: Parts
    a: float
    r: float
    y: float
    first: float
    last: float

    @classmethod
    def of(cls, prior, A, R, y, first, last) -> "RatioOnLine":
        """From a mixture, matrices (1, 1) and y (1,)."""
        path = VE(np.sqrt(last), np.sqrt(first))
        target = Target(InverseProblem(prior, Linear(A, R), y), path)
        numbers = (float(jnp.ravel(each)[0]) for each in (A, R, y))
        return cls(target, Parts.of(prior), *numbers, float(first), float(last))

    def posterior(self) -> Parts:
        """At the last level."""
        return Parts.of(self.target.posterior(jnp.zeros(())))

    def place(self, deviations: float) -> float:
        """A point so many standard deviations from the mean of the posterior."""
        law = self.posterior()
        return law.mean() + deviations * np.sqrt(law.variance())

    def by_sampler(self, places: Sequence[float]) -> list[Known]:
        """The ratio at points, from laws of the sampler at three numbers of steps.

        Args:
            places: standard deviations from the mean of the posterior.
        """
        start = self.target.marginal(jnp.ones(()))
        exact = self.target.posterior(jnp.zeros(()))
        sampler = Guided(approximations.DPS(), kernels.DDPM())
        points, found = np.array([self.place(each) for each in places]), []
        for count in (_STEPS, 2 * _STEPS, 4 * _STEPS):
            times = jnp.asarray(np.linspace(1.0, 0.0, refined(count) + 1))
            law = laws.grid(sampler, self.target, times, initial=start)
            density = law.at(-1, exact)
            curve = CubicSpline(
                np.asarray(density.position), np.asarray(density.log_density)
            )
            found.append(curve(points))
        coarse, middle, fine = found
        first, second = 2.0 * middle - coarse, 2.0 * fine - middle
        logs = (4.0 * second - first) / 3.0
        ratios = np.exp(logs - self.posterior().log_density(points))
        return list(zip(ratios, ratios * np.abs(logs - second), strict=True))

    def by_paths(self, factor: Callable[[float], float]) -> Ratio:
        """The ratio as an expectation over paths of noise.

        Args:
            factor: of a level v, at half of the square term; 1/v^2 is at the trace.
        """
        x, coarse = self._solved(refined(_LEVELS), factor)
        _, fine = self._solved(2 * refined(_LEVELS), factor)
        log_k = (4.0 * fine - coarse) / 3.0
        logs = log_k + self._log_approximate(x, self.last)
        logs = (
            logs - self._log_likelihood(x) + float(self.target.problem.log_evidence())
        )
        return Ratio(x, logs, log_k - fine, self.posterior())

    def _given(self, z, v):
        """Shares and means of components of x_0 given z (n,) at v, and variances (K, 1)."""
        w, means, scales = (part[:, None] for part in self.prior)
        own = scales**2
        noised = self.prior._replace(scales=np.sqrt(own + v)[:, 0])
        gain = own / (own + v)
        modes = shares(noised.log_parts(z))[1]
        return modes, means + gain * (z - means), gain * v

    def _log_approximate(self, z, v):
        modes, means, _ = self._given(z, v)
        return _log_normal(self.y - self.a * np.sum(modes * means, axis=0), self.r)

    def _log_likelihood(self, z):
        modes, means, variances = self._given(z, self.last)
        wide = self.r + self.a**2 * variances
        logs = _log_normal(self.y - self.a * means, wide)
        return logsumexp(logs, axis=0, b=modes)

    def _rate(self, z, v, factor):
        """c at points z (n,)."""
        modes, means, variances = self._given(z, v)
        mean = np.sum(modes * means, axis=0)
        spread = np.sum(modes * (variances + (means - mean) ** 2), axis=0)
        pull = (spread * self.a * (self.y - self.a * mean) / self.r) ** 2
        trace = (self.a * spread) ** 2 / self.r
        return 0.5 * (factor(v) * pull - trace / v**2)

    def _solved(self, count, factor):
        """Points at the last level, and log k there, with so many levels."""
        centre, own = self.prior.mean(), self.prior.variance()
        unit = np.linspace(-_REACH, _REACH, _POINTS)
        nodes, weights = np.polynomial.hermite_e.hermegauss(_HERMITE)
        weights = weights / weights.sum()
        levels = np.geomspace(self.first, self.last, count + 1)
        x = centre + unit * np.sqrt(own + levels[0])
        log_k, rate = (
            -self._log_approximate(x, levels[0]),
            self._rate(x, levels[0], factor),
        )
        for high, low in zip(levels[:-1], levels[1:], strict=True):
            step = high - low
            curve = CubicSpline(x, log_k - 0.5 * step * rate, bc_type="natural")
            ends = x[[0, -1]]
            x = centre + unit * np.sqrt(own + low)
            at = x[:, None] + np.sqrt(step) * nodes
            near = np.clip(at, *ends)
            side = (at > near).astype(int)  # beyond the points the curve is a line
            values = curve(near) + (at - near) * curve(ends, 1)[side]
            top = values.max(axis=1)
            rate = self._rate(x, low, factor)
            total = np.exp(values - top[:, None]) @ weights
            log_k = top + np.log(total) - 0.5 * step * rate
        return x, log_k


def _log_normal(gap, variance):
    return -0.5 * (gap**2 / variance + np.log(2.0 * np.pi * variance))
