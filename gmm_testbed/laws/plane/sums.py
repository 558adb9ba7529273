r"""Sums of Gaussians in the plane, on rectangular grids.

A Gaussian without correlation is separable, so n of them contribute
\(A_x^T \operatorname{diag}(q) A_y\) to a grid: two thin matrices and one product. With the
correlation \(\rho\) between the axes it is a mixture of separable ones along a line,

\[ N(\mu, \Sigma) = \int N(\xi; 0, 1)\, N(\mu + \xi v, (1 - |\rho|) \operatorname{diag}
   \Sigma)\, d\xi, \qquad v = \sqrt{|\rho|}\, (\sigma_1, \pm \sigma_2) , \]

and the integrand has the standard deviation \(\tau = \sqrt{(1 - |\rho|)/(1 + |\rho|)}\) in
\(\xi\): the trapezoidal rule with spacing \(0.9 \tau\) errs by
\(2 e^{-2\pi^2/0.81}\), 5e-11. Gauss-Hermite with n nodes errs by
\((|\rho|/(1 - |\rho|))^n\), which takes fewer where the correlation is small.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._checks import fail

_SPACING, _WIDE = 0.9, 7.0  # of the trapezoidal rule, in tau and in standard deviations
_DIGITS = 25.0  # nats of accuracy of Gauss-Hermite
_UNCORRELATED = 1e-12
_COUNTS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512)  # nodes of a rule
_ROWS, _WIDTH = 4, 512  # sources of a call
_WINDOWS = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536)
_ROOT_2PI = math.sqrt(2 * math.pi)


class Sources(NamedTuple):
    """Gaussians whose sum is a law.

    Attributes:
        mass: (n,).
        mean: (n, 2).
        covariance: (n, 3), its entries 11, 12 and 22.
    """

    mass: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    def chosen(self, which) -> "Sources":
        """Some of them, by a mask or slice."""
        return Sources(*(part[which] for part in self))

    def scales(self) -> np.ndarray:
        """Standard deviations along the axes, (n, 2)."""
        return np.sqrt(self.covariance[:, [0, 2]])

    def correlation(self) -> np.ndarray:
        """(n,), zero if it is rounding."""
        found = self.covariance[:, 1] / self.scales().prod(axis=1)
        return np.where(np.abs(found) > _UNCORRELATED, found, 0.0)

    def finest(self) -> np.ndarray:
        r"""(n, 2), scales that a grid must resolve: times \(\sqrt{2 - 2|\rho|}\) if < 1.

        The grid's first aliases along a diagonal meet the correlation in full.
        """
        shrunk = np.sqrt(2.0 * (1.0 - np.abs(self.correlation())))
        return self.scales() * np.minimum(shrunk, 1.0)[:, None]

    def turned(self, turn: np.ndarray) -> "Sources":
        """The law of turn @ x, for a rotation (2, 2)."""
        first, both, second = self.covariance.T
        whole = np.stack([first, both, both, second], axis=1).reshape(-1, 2, 2)
        return sources(self.mass, self.mean @ turn.T, turn @ whole @ turn.T)


def sources(mass, mean, covariance) -> Sources:
    """Of masses (n,), means (n, 2) and covariances (n, 2, 2)."""
    covariance = np.asarray(covariance).reshape(-1, 4)[:, [0, 1, 3]]
    return Sources(np.asarray(mass), np.asarray(mean), covariance)


def density(found: Sources, x: np.ndarray, y: np.ndarray, reach: float) -> np.ndarray:
    """The sum at the nodes x (k1,), y (k2,), both increasing, (k1, k2).

    Args:
        found: the Gaussians.
        x: first coordinates.
        y: second coordinates.
        reach: standard deviations along x beyond which a Gaussian is zero.

    Raises:
        InputError: for correlations that 512 nodes do not resolve.
    """
    total = np.zeros((len(x), len(y)), x.dtype)
    correlation = found.correlation()
    needed = _needed(np.abs(correlation))
    if needed.max(initial=0) > _COUNTS[-1]:
        fail(
            "the law cannot be resolved on a grid",
            got=f"a correlation of {np.abs(correlation).max():.6g} between the axes",
            expected="at most 0.998",
            hint="take more steps, or gt.sample",
        )
    size = np.where(needed > 1, np.searchsorted(_COUNTS, needed), -1)
    for kind in np.unique(size):
        some, rho = found.chosen(size == kind), correlation[size == kind]
        nodes = _COUNTS[kind] if kind >= 0 else 1
        for start in range(0, len(rho), max(1, (1 << 21) // nodes)):
            part = slice(start, start + max(1, (1 << 21) // nodes))
            flat = _separable(some.chosen(part), rho[part], nodes)
            _add(total, *flat, x, y, reach)
    return total


def _needed(correlation: np.ndarray) -> np.ndarray:
    """Nodes that a correlation (n,), not negative, asks for; 1 for none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        stretch = np.sqrt((1.0 + correlation) / np.maximum(1.0 - correlation, 0.0))
        trapezoid = 2.0 * _WIDE / _SPACING * stretch
        odds = np.log((1.0 - correlation) / correlation)
    hermite = np.where(odds > 0, _DIGITS / np.where(odds > 0, odds, 1.0), np.inf)
    few = np.where(hermite <= 24, hermite, trapezoid)  # NumPy's rule is right to 1e-13
    few = np.minimum(np.ceil(np.maximum(few, 2)) + 1, 1e6)
    return np.where(correlation > 0, few, 1).astype(int)


def _separable(some: Sources, correlation, nodes: int):
    """Masses (m,), means (m, 2) and scales (m, 2) of separable Gaussians."""
    scale = some.scales()
    if nodes == 1:
        return some.mass, some.mean, scale
    size = np.abs(correlation)
    worst = size.max()
    if worst < 0.5 and _DIGITS / np.log((1 - worst) / worst) <= nodes <= 24:
        points, weight = np.polynomial.hermite_e.hermegauss(nodes)
    else:
        points = np.linspace(-_WIDE, _WIDE, nodes)
        weight = np.exp(-0.5 * points**2)
    weight = weight / weight.sum()
    along = np.sqrt(size)[:, None] * scale
    along[:, 1] *= np.sign(correlation)
    mean = some.mean[:, None, :] + points[None, :, None] * along[:, None, :]
    narrow = np.sqrt(1.0 - size)[:, None] * scale
    mass = some.mass[:, None] * weight
    return mass.ravel(), mean.reshape(-1, 2), np.repeat(narrow, nodes, axis=0)


def _add(total, mass, mean, scale, x, y, reach: float) -> None:
    """Adds separable Gaussians to a grid, those that are near one another together."""
    order = np.argsort(mean[:, 0], kind="stable")
    size = _ROWS * _WIDTH
    for start in range(0, len(order), size):
        some = order[start : start + size]
        ends = mean[some, 0], reach * scale[some, 0]
        low = np.searchsorted(x, (ends[0] - ends[1]).min())
        high = np.searchsorted(x, (ends[0] + ends[1]).max())
        if high <= low:
            continue
        width = next((w for w in _WINDOWS if w >= high - low), len(x))
        width = min(width, len(x))
        low = min(low, len(x) - width)
        spare = size - len(some)
        padded = (
            np.pad(mass[some], (0, spare)),
            np.pad(mean[some], ((0, spare), (0, 0)), mode="edge"),
            np.pad(scale[some], ((0, spare), (0, 0)), mode="edge"),
        )
        rows = (part.reshape(_ROWS, _WIDTH, *part.shape[1:]) for part in padded)
        total[low : low + width] += np.asarray(_sum(*rows, x[low : low + width], y))


@jax.jit
def _sum(
    mass: Float[Array, "rows n"],
    mean: Float[Array, "rows n 2"],
    scale: Float[Array, "rows n 2"],
    x: Float[Array, " k1"],
    y: Float[Array, " k2"],
) -> Float[Array, "k1 k2"]:
    """Sum of separable Gaussians at the nodes x (k1,), y (k2,)."""

    def add(total, row):
        mass, mean, scale = row
        along_x = _normal(x, mean[:, 0], scale[:, 0])
        along_y = _normal(y, mean[:, 1], scale[:, 1])
        return total + (along_x * mass[:, None]).T @ along_y, None

    empty = jnp.zeros((x.shape[0], y.shape[0]), mass.dtype)
    return jax.lax.scan(add, empty, (mass, mean, scale))[0]


def _normal(points, mean, scale):
    """N(points_i; mean_j, scale_j^2), (n, k)."""
    distance = (points[None, :] - mean[:, None]) / scale[:, None]
    return jnp.exp(-0.5 * distance**2) / (_ROOT_2PI * scale[:, None])
