"""An approximation that is asked, and the points at which it is."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..problem import Target
from . import probes
from .probes import Memo, Program

# Points: inside, two ends of a segment and between, around one state, near the ends.
TIMES = np.array([0.15, 0.4, 0.6, 0.85])
INSIDE = probes.points(6, 4, 3)
_ENDS = probes.points(7, 2, 2, 3)
SHARE = 0.3
_BETWEEN = SHARE * _ENDS[0] + (1 - SHARE) * _ENDS[1]
DELTA = 1e-5
_SHIFTS = DELTA * np.concatenate([np.eye(3), -np.eye(3), np.zeros((2, 3))])
_TIME_SHIFTS = DELTA * np.array([0, 0, 0, 0, 0, 0, 1.0, -1.0])
_NEAR = np.array([1e-6, 1e-4, 1e-2, 0.99, 0.9999])
_ALONG = 1e-6 * np.array([[0.6, -0.3, 0.7], [-0.6, 0.3, -0.7]])
_PARTS = {
    "inside": (INSIDE, TIMES),
    "one": (_ENDS[0], [0.3, 0.7]),
    "other": (_ENDS[1], [0.3, 0.7]),
    "between": (_BETWEEN, [0.3, 0.7]),
    "shifted": (INSIDE[1] + _SHIFTS, TIMES[1] + _TIME_SHIFTS),
    "near": (probes.points(8, 5, 3), _NEAR),
    "without signal": (probes.points(9, 1, 3), [1.0]),
    "kink": (INSIDE[1] + _ALONG, TIMES[[1, 1]]),
}
_BOUNDS = np.cumsum([0, *(len(times) for _, times in _PARTS.values())])
COUNT = int(_BOUNDS[-1])
WHERE = dict(zip(_PARTS, map(slice, _BOUNDS[:-1], _BOUNDS[1:]), strict=True))


def _states():
    """All points (n, 3) and times (n,)."""
    xs, ts = (np.concatenate([part[i] for part in _PARTS.values()]) for i in range(2))
    return jnp.asarray(xs, float), jnp.asarray(ts, float)


def _evaluate(approximation, target, xs, ts):
    def guidance(state):
        return approximation.guidance(target, state[:3], state[3])

    def at(x, t):
        slopes = jax.jacfwd(guidance)(jnp.append(x, t))
        return {
            "guidance": approximation.guidance(target, x, t),
            "mean": approximation.posterior_mean(target, x, t),
            "covariance": approximation.covariance(target, x, t),
            "in x": slopes[:, :3],
            "in t": slopes[:, 3],
        }

    single = approximation.posterior_mean(target, xs[0], ts[0])
    return jax.vmap(at)(xs, ts) | {"single": single}


def _moments(target, xs, ts):
    means = jax.vmap(target.posterior_mean)(xs, ts), jax.vmap(target.prior_mean)(xs, ts)
    return dict(zip(("posterior", "prior"), means, strict=True))


_truths = eqx.filter_jit(_moments)


@functools.cache
def _truth(kind: str, dtype) -> dict:
    """The exact posterior mean and prior mean at all points."""
    del dtype  # of the session: a key of the cache
    values = _truths(probes.target(kind), *_states())
    return jax.tree.map(np.asarray, values)


class Field:
    """An approximation, and its values on the problems that questions need.

    Args:
        approximation: that is asked.
    """

    def __init__(self, approximation):
        self.method = approximation
        self.facts = approximation.facts
        self.program = Program(_evaluate)
        self._memo = Memo()

    def evaluate(self, approximation, kind: str):
        """Values at all points, through the one program."""
        return self.program(approximation, probes.target(kind), *_states())

    def values(self, kind: str):
        """Those of the approximation itself, on a problem by its name."""
        return self._memo(kind, lambda: self.evaluate(self.method, kind))

    def on(self, target: Target):
        """Values on another target, of the shapes of those with a name."""
        return self.program(self.method, target, *_states())

    def at(self, kind: str, key: str, part: str):
        """One value at a part of the points."""
        return self.values(kind)[key][WHERE[part]]

    def truth(self, kind: str, key: str, part: str = "inside"):
        """The exact one."""
        return _truth(kind, jnp.zeros(()).dtype)[key][WHERE[part]]
