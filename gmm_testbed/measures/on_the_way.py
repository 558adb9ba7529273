r"""Measures of a law on the line at some of its times: what stopping there would give.

Many laws at many times: all is NumPy, on the grids that carried the law, by the plain
trapezoidal rule. That leaves an error below 1e-3 of each value, and below 2e-2 of the
hallucinated mass of a likelihood, whose region ends inside cells.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..diagnostics import failures
from ..laws import LineLaw
from ..mixture import GaussianMixture
from ..problem import Target

_FOLLOWED = 20  # times on the way
_FINER = 4  # times as many nodes, where a region ends


class _Parts(NamedTuple):
    """A mixture on the line: log-weights, means and variances (..., K)."""

    log_weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    def at(self, row: int) -> "_Parts":
        """One of several."""
        return _Parts(*(part[row] for part in self))

    def log_densities(self, x):
        """Of every component with its weight, (n, K)."""
        offset = (x[:, None] - self.means) ** 2 / self.variances
        return self.log_weights - 0.5 * (offset + np.log(2 * np.pi * self.variances))

    def variance(self) -> float:
        """Of the mixture."""
        weights = np.exp(self.log_weights)
        gaps = self.means - weights @ self.means
        return float(weights @ (self.variances + gaps**2))


def passing(law: LineLaw, target: Target) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Measures at about twenty times on the way, named as those of `final`.

    Against the exact marginal of the same time: total variation, spread, mode weights,
    hallucinated masses; and W1 from the posterior itself, at time 0.

    Returns:
        Times (n,), closest together near the data, and values (n,) by name.
    """
    share = np.linspace(1.0, 0.0, _FOLLOWED) ** 2
    index = np.unique(np.round(law.num_steps * (1.0 - share)).astype(int))
    times = np.asarray(law.times)[index]
    padded = jnp.asarray(np.pad(times, (0, _FOLLOWED - len(times)), mode="edge"))
    prior, posterior = _marginals(target, padded)
    data = target.problem.posterior()
    rows = []
    for row, i in enumerate(index):
        state = law.states[i]
        x, cell = state.grid.nodes(state.density.dtype), state.grid.spacing
        density = np.asarray(state.density)
        found = _in_step(x, cell, density, prior.at(row), posterior.at(row))
        found["w1_to_data"] = _w1(x, cell, density, data)
        rows.append(found)
    return times, {name: np.asarray([row[name] for row in rows]) for name in rows[0]}


def _in_step(x, cell, law, prior, posterior) -> dict[str, float]:
    """Against the prior and the posterior at the time of the law."""
    log_parts = posterior.log_densities(x)
    log_exact, shares = _shares(log_parts)
    exact = np.exp(log_exact)
    escaped = max(1.0 - cell * float(law.sum()), 0.0)
    outside = max(1.0 - cell * float(exact.sum()), 0.0)
    mean = cell * float(law @ x)
    variance = cell * float(law @ (x - mean) ** 2)
    gaps = np.abs(cell * (law @ shares) - np.exp(posterior.log_weights)).sum()
    _, modes = _shares(prior.log_densities(x))
    ruled_out = cell * (exact @ modes) < failures.THRESHOLD
    return {
        "tv": 0.5 * (cell * float(np.abs(law - exact).sum()) + outside),
        "spread_ratio": variance / posterior.variance(),
        "mode_weight_error": 0.5 * float(gaps + escaped),
        "hallucinated_prior_mass": cell * float((law @ modes)[ruled_out].sum()),
        "hallucinated_likelihood_mass": _likely(x, cell, law, prior, posterior),
    }


def _shares(log_parts):
    """Log of the sum (n,), and what each component has of it (n, K)."""
    top = log_parts.max(axis=1, keepdims=True)
    parts = np.exp(log_parts - top)
    total = parts.sum(axis=1, keepdims=True)
    return (top + np.log(total))[:, 0], parts / total


def _likely(x, cell, law, prior, posterior) -> float:
    """Mass in the region of `hallucinated_likelihood_mass`, on a finer grid."""
    fine = x[0] + cell / _FINER * np.arange(_FINER * len(x))
    log_prior = _shares(prior.log_densities(fine))[0]
    log_likelihood = _shares(posterior.log_densities(fine))[0] - log_prior  # by Bayes
    order = np.argsort(log_prior)
    masses = cell / _FINER * np.exp(log_prior[order])
    below = np.cumsum(masses) - 0.5 * masses
    cut = np.interp(failures.OUTSIDE, below, log_prior[order])
    high = log_likelihood.max() + np.log(failures.LEVEL)
    region = _part(cut - log_prior) * _part(log_likelihood - high)
    # The law ends in zeros at both ends: it is its own Fourier series.
    density = _FINER * np.fft.irfft(np.fft.rfft(law), _FINER * len(law))
    return cell / _FINER * float(density @ region)


def _part(level):
    """Part of each cell where a function is positive, linear over the cell."""
    change = np.abs(np.gradient(level))
    flat = change == 0
    inside = np.clip(0.5 + level / np.where(flat, 1.0, change), 0.0, 1.0)
    return np.where(flat, (level > 0).astype(inside.dtype), inside)


def _w1(x, cell, law, data: GaussianMixture) -> float:
    """Integral of the distance of the two distribution functions over the grid."""
    below = cell * (np.cumsum(law) - 0.5 * law)
    means = np.asarray(data.means)[:, 0]
    weights = np.exp(np.asarray(data.log_weights))
    if data.atomic:  # between nodes and atoms both are plain
        ends = np.sort(np.concatenate([x, means]))
        below = np.interp(ends, x, below)
        level = (means < (0.5 * (ends[1:] + ends[:-1]))[:, None]) @ weights
        left, right = np.abs(below[:-1] - level), np.abs(below[1:] - level)
        return float(np.diff(ends) @ (left + right) / 2)
    scales = np.sqrt(np.asarray(data.covariances())[:, 0, 0])
    cdf = np.asarray(jax.scipy.special.ndtr((x[:, None] - means) / scales)) @ weights
    return cell * float(np.abs(below - cdf).sum())


@eqx.filter_jit
def _moments(target, times):
    def at(t):
        return tuple(
            (law.log_weights, law.means[:, 0], law.covariances()[:, 0, 0])
            for law in (target.marginal(t), target.posterior(t))
        )

    return jax.vmap(at)(times)


def _marginals(target, times) -> list[_Parts]:
    """The prior and the posterior at the times (n,): parts (n, K)."""
    return [_Parts(*map(np.asarray, parts)) for parts in _moments(target, times)]
