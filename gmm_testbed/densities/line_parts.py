"""A mixture on the line by its parameters, in NumPy: nothing is compiled.

Arrays of components and points are (K, n): NumPy is fast along the last axis.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr, logsumexp, ndtr, ndtri

from ..mixture import GaussianMixture

_HALVINGS = 60
_AT_ONCE = 1 << 20  # numbers in an array of components and points


class Parts(NamedTuple):
    """Mixture on the line by its log-weights, means and scales, (..., K) each.

    Scales are standard deviations, zero for atoms.
    """

    log_weights: np.ndarray
    means: np.ndarray
    scales: np.ndarray

    @classmethod
    def of(cls, mixture: GaussianMixture) -> "Parts":
        """Those of a mixture of dimension 1."""
        variances = np.asarray(mixture.covariances())[:, 0, 0]
        log_weights, means = np.asarray(mixture.log_weights), np.asarray(mixture.means)
        return cls(log_weights, means[:, 0], np.sqrt(variances))

    def at(self, row: int) -> "Parts":
        """One of several mixtures."""
        return Parts(*(part[row] for part in self))

    @property
    def atomic(self) -> bool:
        """Whether all components are atoms."""
        return not self.scales.any()

    def mean(self) -> float:
        """Mean of the mixture."""
        return float(np.exp(self.log_weights) @ self.means)

    def variance(self) -> float:
        """Variance of the mixture."""
        gaps = self.means - self.mean()
        return float(np.exp(self.log_weights) @ (self.scales**2 + gaps**2))

    def log_parts(self, x: np.ndarray) -> np.ndarray:
        """Log-density of each component times its weight, (K, n), at x (n,)."""
        weights, means, scales = (part[:, None] for part in self)
        heights = weights - np.log(scales * np.sqrt(2 * np.pi))
        return heights - 0.5 * ((x - means) / scales) ** 2

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Log-density (n,) at x (n,)."""
        return np.concatenate(
            [shares(self.log_parts(some))[0] for some in self._few(x)]
        )

    def with_score(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-density (n,) at x (n,), and its derivative."""
        found = []
        for some in self._few(x):
            log_density, modes = shares(self.log_parts(some))
            pulls = (self.means[:, None] - some) / self.scales[:, None] ** 2
            found.append((log_density, (modes * pulls).sum(axis=0)))
        return tuple(np.concatenate(part) for part in zip(*found, strict=True))

    def tail(self, x: np.ndarray) -> np.ndarray:
        """P(X <= x), (n,), at x (n,)."""
        means, scales = self.means[:, None], self.scales[:, None]
        weights = np.exp(self.log_weights)
        found = [weights @ ndtr((some - means) / scales) for some in self._few(x)]
        return np.concatenate(found)

    def _few(self, x):
        """The points, so many at a time that arrays (K, n) stay small."""
        count = -(-x.size * len(self.means) // _AT_ONCE)
        return [x] if count == 1 else np.array_split(x, count)

    def integrated(self, x: float, side: float = 1.0) -> float:
        """E (x - X)_+ for side 1, E (X - x)_+ for side -1."""
        z = side * (x - self.means) / self.scales
        bell = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
        return float(np.exp(self.log_weights) @ (self.scales * (z * ndtr(z) + bell)))

    def log_outside(self, lower: float, upper: float) -> float:
        """Log of the mass outside [lower, upper]."""
        ends = (lower - self.means) / self.scales, (self.means - upper) / self.scales
        return float(logsumexp([self.log_weights + log_ndtr(end) for end in ends]))

    def quantile(self, level: float) -> float:
        """The x with P(X <= x) = level < 1/2, by bisection."""
        ends = self.means + self.scales * ndtri(level)
        low, high = float(ends.min()), float(ends.max())
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            above = self.tail(np.array([middle]))[0] > level
            low, high = (low, middle) if above else (middle, high)
        return 0.5 * (low + high)

    def square_below(self, centre: float, level: float) -> float:
        """Integral of (centre - Q(v))^2 over levels v from 0 to `level` < 1/2."""
        top = self.quantile(level)
        z = (top - self.means) / self.scales
        offset = self.means - centre
        bell = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
        below = (offset**2 + self.scales**2) * ndtr(z)
        edge = self.scales * (top - centre + offset) * bell
        return float(np.exp(self.log_weights) @ (below - edge))

    def mirrored(self) -> "Parts":
        """Mixture of -X."""
        return self._replace(means=-self.means)


def shares(log_parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log of the sum over components (n,), and what each has of it (K, n)."""
    top = log_parts.max(axis=0)
    parts = np.exp(log_parts - top)
    total = parts.sum(axis=0)
    return top + np.log(total), parts / total
