r"""Measures of laws on the line, at the end and on the way, in NumPy.

Those of `measures.of` and `measures.in_time`: nothing is compiled but the one program that
evaluates the exact marginals of a problem.
"""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ..densities.line_parts import Parts, shares
from ..diagnostics import failures
from ..divergences import on_the_host as host
from ..divergences.on_the_host import HostDensity
from ..laws import LineLaw
from ..problem import Target

FOLLOWED = 20  # times on the way
_FINER = 4  # times as many nodes at least, for where a region ends
_A_SCALE = 3.0  # nodes that a standard deviation of what is exact spans
_MOST, _AT_ONCE = 1 << 16, 1 << 22  # nodes; numbers in an array of components and nodes
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(16)
_HERMITE = _NODES, _WEIGHTS / _WEIGHTS.sum()


class Exact(NamedTuple):
    """What is exact at one time or several.

    Attributes:
        prior: the noised prior.
        posterior: the exact posterior marginal.
        data: the posterior itself, at t = 0.
    """

    prior: Parts
    posterior: Parts
    data: Parts

    def at(self, row: int) -> "Exact":
        """At one of several times."""
        return Exact(self.prior.at(row), self.posterior.at(row), self.data)


def at_the_end(law: HostDensity, target: Target, t: ArrayLike) -> dict[str, Any]:
    """Measures by name of a law at time t, as `measures.of` has them."""
    truth = exact(target, np.asarray([t])).at(0)
    posterior, data = truth.posterior, truth.data
    found = {
        "kl": host.kl_to(law, posterior),
        "kl_from": host.kl_from(law, posterior),
        "tv": host.tv(law, posterior),
        "w1": host.w1(law, posterior),
        "w2": host.w2(law, posterior),
        "fisher": host.fisher(law, posterior),
        "w1_to_data": host.w1(law, data),
        "w2_to_data": host.w2(law, data),
    }
    if not data.atomic:
        found |= {
            "kl_to_data": host.kl_to(law, data),
            "kl_from_data": host.kl_from(law, data),
            "tv_to_data": host.tv(law, data),
            "fisher_to_data": host.fisher(law, data),
        }
    share = law.mass / law.mass.sum()
    mean = float(share @ law.x)
    variance = float(share @ (law.x - mean) ** 2)
    log_posterior, modes = shares(posterior.log_parts(law.x))
    weights, exact_weights = modes @ law.mass, np.exp(posterior.log_weights)
    gaps = np.abs(weights - exact_weights).sum()
    _, prior_modes = shares(truth.prior.log_parts(law.x))
    exact_mass = prior_modes @ (law.cell * np.exp(log_posterior))
    ruled_out = exact_mass < failures.THRESHOLD
    likely = _likely_region(law, truth)
    return found | {
        "mean_error": mean - posterior.mean(),
        "mean_error_to_data": mean - data.mean(),
        "variance_error": variance - posterior.variance(),
        "variance_error_to_data": variance - data.variance(),
        "spread_ratio": variance / posterior.variance(),
        "mode_weight": weights,
        "mode_weight_exact": exact_weights,
        "mode_weight_error": 0.5 * (gaps + law.escaped),
        "hallucinated_prior_mass": float((prior_modes @ law.mass)[ruled_out].sum()),
        "hallucinated_prior_mass_exact": float(exact_mass[ruled_out].sum()),
        "hallucinated_likelihood_mass": likely[0],
        "hallucinated_likelihood_mass_exact": likely[1],
        "escaped_mass": law.away,
    }


def _likely_region(law: HostDensity, truth: Exact) -> tuple[float, float]:
    """Masses of the region of `diagnostics.hallucinated_likelihood_mass`."""
    square, cell = law.root[0] ** 2, law.cell / host.QUARTERS
    points = np.linspace(law.x[0], law.x[-1], len(square))
    log_prior, slope = truth.prior.with_score(points)
    log_posterior, steep = truth.posterior.with_score(points)
    region = cell * _region(log_prior, log_posterior, cell, slope, steep - slope)
    return float(region @ square), float(region @ np.exp(log_posterior))


def _region(log_prior, log_posterior, cell, slope=None, steep=None):
    """Part of each cell where y is likely and the prior has nothing.

    Args:
        log_prior: (n,) log-densities at nodes `cell` apart.
        log_posterior: (n,); by Bayes it has the likelihood.
        cell: their distance.
        slope: (n,) derivative of the first; by differences if there is none.
        steep: (n,) derivative of the log-likelihood.
    """
    log_likelihood = log_posterior - log_prior
    order = np.argsort(log_prior)
    masses = cell * np.exp(log_prior[order])
    below = np.cumsum(masses) - 0.5 * masses
    cut = np.interp(failures.OUTSIDE, below, log_prior[order])
    high = log_likelihood.max() + np.log(failures.LEVEL)
    level, other = cut - log_prior, log_likelihood - high
    if slope is None:
        return _part(level, np.gradient(level)) * _part(other, np.gradient(other))
    return _part(level, cell * slope) * _part(other, cell * steep)


def _part(level, rise):
    """Part of each cell where a function is positive, linear over the cell."""
    change = np.abs(rise)
    flat = change == 0
    inside = np.clip(0.5 + level / np.where(flat, 1.0, change), 0.0, 1.0)
    return np.where(flat, (level > 0).astype(inside.dtype), inside)


# --- on the way -----------------------------------------------------------------------


def in_time(law: LineLaw, target: Target) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Times (n,) and measures (n,) by name, at about twenty times of a law on the line.

    Against the exact marginal of the same time: total variation, spread, mode weights,
    hallucinated masses; and W1 from the posterior itself, at time 0. What stopping there
    would give; times are closest together near the data. They are by the trapezoidal rule
    on the grids that carried the law, finer where the exact law is narrow (up to 65,536
    nodes, fewer with more than 64 components), to 1e-3. The hallucinated mass of a
    likelihood, whose region ends inside cells and knows the part of the prior on the grid
    only, is good to 2e-2 of itself, and to .1 for a law far wider than the exact one.
    """
    share = np.linspace(1.0, 0.0, FOLLOWED) ** 2
    index = np.unique(np.round(law.num_steps * (1.0 - share)).astype(int))
    times = np.asarray(law.times)[index]
    truth = exact(target, times)
    rows, profile = [], law.profile  # bound once: each time walks every state
    for row, i in enumerate(index):
        x, density = profile(int(i))
        rows.append(_in_step(x, law.states[i].grid.spacing, density, truth.at(row)))
    return times, {name: np.asarray([row[name] for row in rows]) for name in rows[0]}


def _in_step(x, cell, law, truth: Exact) -> dict[str, float]:
    prior, posterior, data = truth
    mean = cell * float(law @ x)
    variance = cell * float(law @ (x - mean) ** 2)
    finer = _finer(len(x), cell, posterior, data)
    x, cell = x[0] + cell / finer * np.arange(finer * len(x)), cell / finer
    # The law ends in zeros at both ends: it is its own Fourier series.
    law = finer * np.fft.irfft(np.fft.rfft(law), len(x))
    log_exact, own_modes = shares(posterior.log_parts(x))
    log_prior, modes = shares(prior.log_parts(x))
    density = np.exp(log_exact)
    escaped = max(1.0 - cell * float(law.sum()), 0.0)
    outside = math.exp(posterior.log_outside(x[0], x[-1]))
    gaps = np.abs(cell * (own_modes @ law) - np.exp(posterior.log_weights)).sum()
    ruled_out = _exact_masses(prior, posterior) < failures.THRESHOLD
    likely = law @ _region(log_prior, log_exact, cell)
    return {
        "tv": 0.5 * (cell * float(np.abs(law - density).sum()) + outside + escaped),
        "spread_ratio": variance / posterior.variance(),
        "mode_weight_error": 0.5 * float(gaps + escaped),
        "hallucinated_prior_mass": cell * float((modes @ law)[ruled_out].sum()),
        "hallucinated_likelihood_mass": cell * float(likely),
        "w1_to_data": _plain_w1(x, cell, law, data),
    }


def _finer(count: int, cell: float, posterior: Parts, data: Parts) -> int:
    """Parts of a cell, so that the narrowest of what is exact spans a few."""
    scales = np.concatenate([posterior.scales, data.scales])
    needed = math.ceil(_A_SCALE * cell / scales[scales > 0].min())
    most = min(_MOST, _AT_ONCE // len(posterior.means)) // count
    return max(_FINER, min(needed, most))


def _exact_masses(prior: Parts, posterior: Parts) -> np.ndarray:
    """Exact mass of each mode of the prior, (K,), by Gauss-Hermite rules."""
    z, weights = _HERMITE
    x = posterior.means[:, None] + posterior.scales[:, None] * z
    masses = np.exp(posterior.log_weights)[:, None] * weights
    return shares(prior.log_parts(x.ravel()))[1] @ masses.ravel()


def _plain_w1(x, cell, law, data: Parts) -> float:
    """Integral of the distance of the two distribution functions."""
    below = cell * (np.cumsum(law) - 0.5 * law)
    if not data.atomic:
        beyond = data.integrated(x[0]) + data.integrated(x[-1], -1.0)
        return cell * float(np.abs(below - data.tail(x)).sum()) + beyond
    ends = np.sort(np.concatenate([x, data.means]))  # between nodes and atoms
    below = np.interp(ends, x, below)
    middle = (0.5 * (ends[1:] + ends[:-1]))[:, None]
    level = (data.means < middle) @ np.exp(data.log_weights)
    left, right = np.abs(below[:-1] - level), np.abs(below[1:] - level)
    return float(np.diff(ends) @ (left + right) / 2)


@eqx.filter_jit
def _parts(target, times):
    def parts(law):
        return law.log_weights, law.means[:, 0], jnp.sqrt(law.covariances()[:, 0, 0])

    return (
        jax.vmap(lambda t: parts(target.marginal(t)))(times),
        jax.vmap(lambda t: parts(target.posterior(t)))(times),
        parts(target.problem.posterior()),
    )


def exact(target: Target, times: np.ndarray) -> Exact:
    """What is exact on the line at the times (n,), sigma > 0 there."""
    dtype = target.problem.y.dtype
    padded = np.pad(times, (0, -len(times) % FOLLOWED), mode="edge").astype(dtype)
    found = [_parts(target, some) for some in padded.reshape(-1, FOLLOWED)]
    prior, posterior = (
        Parts(*(np.concatenate(same) for same in zip(*parts, strict=True)))
        for parts in zip(*(some[:2] for some in found), strict=True)
    )
    return Exact(prior, posterior, Parts(*map(np.asarray, found[0][2])))
