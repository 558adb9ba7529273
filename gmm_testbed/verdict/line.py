"""What a sampler gives on problems on the line: its law if that is explicit, or samples."""

import warnings
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import laws, measures
from .. import testbeds as problems
from .._checks import InputError
from .._types import Key
from ..approximations import AbstractApproximation
from ..densities.line_parts import shares
from ..diagnostics.failures import THRESHOLD
from ..divergences.on_the_host import HostDensity
from ..measures.on_the_line import Exact, exact
from ..method import AbstractDescribed, AbstractMethod
from ..paths.grids import time_grid
from ..problem import Target
from ..sampling import sample

_FINE, _COARSER = 4096, 32  # cells, and how many of them make a coarse one
_KOLMOGOROV = 0.8687, 0.2603  # mean and deviation of sqrt(n) sup |F_n - F|


class Outcome(NamedTuple):
    """What a sampler gives on a problem at one number of steps.

    Attributes:
        target: the problem.
        times: (N + 1,).
        distance: from the exact posterior marginal at the last time: total variation of a
            law, the largest distance of distribution functions of samples.
        error: standard error of it, 0 for a law.
        floor: what as many exact samples show, 0 for a law.
        spread: variance over the exact one.
        modes: (K,) masses of the modes of the prior.
        modes_exact: (K,) of the exact posterior.
        places: (K,) where these modes are.
        nonfinite: share of the samples that are not finite.
        law: the law, or None.
        x: samples (n,), or None.
    """

    target: Target
    times: Any
    distance: float
    error: float
    floor: float
    spread: float
    modes: np.ndarray
    modes_exact: np.ndarray
    places: np.ndarray
    nonfinite: float
    law: Any
    x: Any

    @property
    def ruled_out(self) -> dict[float, float]:
        """Masses of the modes that y rules out, by their places."""
        found = {}
        for place, mass, real in zip(
            self.places, self.modes, self.modes_exact, strict=True
        ):
            if real < THRESHOLD:
                found[float(place)] = float(mass)
        return found


def jumps(field: AbstractApproximation, target: Target) -> bool:
    """Whether a guidance on the line jumps, as one over the norm of a residual does.

    On a fine and a coarse grid at t = 0.3: the largest difference of neighbours falls
    with their distance, unless something jumps between them.
    """
    x = jnp.linspace(-4.0, 4.0, _FINE + 1)[:, None]
    values = np.asarray(_guidances(field, target, x, jnp.asarray(0.3, x.dtype)))
    fine, coarse = (np.abs(np.diff(v)).max() for v in (values, values[::_COARSER]))
    return bool(fine > 0.5 * coarse > 0.0)


@eqx.filter_jit
def _guidances(field, target, x, t):
    return jax.vmap(lambda point: field.guidance(target, point, t)[0])(x)


def outcome(
    sampler: AbstractDescribed,
    target: Target,
    steps: int,
    key: Key,
    num: int,
    *,
    smooth: bool = True,
) -> Outcome:
    """The outcome on a problem on the line, by its law if there is one.

    Args:
        sampler: any that `gt.sample` runs.
        target: a problem in d = 1.
        steps: N.
        key: of samples, where there is no law.
        num: how many.
        smooth: whether a grid can follow its law, which else is sampled.
    """
    times = time_grid(target.path, steps, t_min=problems.T_MIN)
    if smooth and isinstance(sampler, AbstractMethod):
        try:
            law = laws.grid(sampler, target, times)
        except InputError:
            pass
        else:
            return _of_law(law, target, times)
    return sampled(sampler, target, times, key, num)


def sampled(
    sampler: AbstractDescribed, target: Target, times, key: Key, num: int
) -> Outcome:
    """The outcome of samples at the last of the times (N + 1,)."""
    with warnings.catch_warnings():  # what is not finite is counted here
        warnings.simplefilter("ignore")
        found = sample(key, sampler, target, times, num)
    x = np.asarray(found.x, np.float64)[:, 0]
    weights = np.exp(np.asarray(found.log_weights, np.float64))
    finite = np.isfinite(x) & np.isfinite(weights)
    return of_samples(x[finite], weights[finite], target, times, 1.0 - finite.mean())


def of_samples(x, weights, target: Target, times, nonfinite: float = 0.0) -> Outcome:
    """The outcome of finite samples x (n,) with weights (n,)."""
    truth = exact(target, np.asarray(times)[-1:]).at(0)
    if not x.size or not weights.sum():
        none = np.full(len(truth.prior.means), np.nan)
        return _outcome(target, times, truth, np.nan, 0.0, 0.0, np.nan, none, nonfinite)
    order = np.argsort(x)
    x, weights = x[order], weights[order] / weights.sum()
    upto, level = np.cumsum(weights), truth.posterior.tail(x)
    distance = max((upto - level).max(), (level - upto + weights).max())
    root = np.sqrt(np.sum(weights**2))
    mean = weights @ x
    spread = weights @ (x - mean) ** 2 / (1 - root**2) / truth.posterior.variance()
    _, modes = shares(truth.prior.log_parts(x))
    floor, error = (number * root for number in _KOLMOGOROV)
    parts = distance, error, floor, spread, modes @ weights
    return _outcome(target, times, truth, *parts, nonfinite, x=x)


def _of_law(law, target: Target, times) -> Outcome:
    truth = exact(target, np.asarray(times)[-1:]).at(0)
    found = measures.of(law, target, times[-1])
    density = HostDensity(law.at(-1))
    _, modes = shares(truth.prior.log_parts(density.x))
    distance, spread = (float(found[name].value) for name in ("tv", "spread_ratio"))
    parts = distance, 0.0, 0.0, spread, modes @ density.mass
    return _outcome(target, times, truth, *parts, 0.0, law=law)


def _outcome(target, times, truth: Exact, *parts, law=None, x=None) -> Outcome:
    """With the exact masses of the modes, by quadrature over the posterior."""
    posterior = truth.posterior
    ends = posterior.means[:, None] + posterior.scales[:, None] * np.array([-9.0, 9.0])
    points = np.linspace(ends.min(), ends.max(), 20001)
    _, share = shares(truth.prior.log_parts(points))
    real = share @ np.exp(posterior.log_density(points)) * (points[1] - points[0])
    places = np.asarray(target.problem.prior.means)[:, 0]
    *numbers, modes, bad = parts
    numbers = map(float, numbers)
    return Outcome(target, times, *numbers, modes, real, places, float(bad), law, x)


def key_of(key: Key, name: str, steps: int) -> Key:
    """A key of its own for every problem and number of steps."""
    number = sum(ord(letter) * (i + 1) for i, letter in enumerate(name))
    return jax.random.fold_in(jax.random.fold_in(key, number % 2**31), steps)
