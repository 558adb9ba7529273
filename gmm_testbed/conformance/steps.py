"""A method or a kernel that is asked, and the steps at which it is."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..algorithms import Guided
from ..approximations import Exact
from ..gaussian import Gaussian, Implicit, Mixture
from ..kernels import AbstractKernel
from ..method import AbstractMarkov, AbstractMethod, Facts
from ..problem import Target
from ..random import Draws
from . import probes
from .probes import Memo, Program

INSIDE = probes.points(12, 3, 3)
_ENDS = probes.points(13, 2, 3)
SHARE = 0.3
_ALONG = 1e-6 * np.array([[0.6, -0.3, 0.7], [-0.6, 0.3, -0.7]])
SHORT = 1e-7


def grid(steps: int, first: float = 0.95, last: float = 0.05):
    """Times (steps + 1,), equal in the log signal-to-noise ratio."""
    levels = np.log([first / (1 - first), last / (1 - last)])
    ratios = np.exp(np.linspace(*levels, steps + 1))
    return ratios / (1 + ratios)


GRIDS = {f"grid {steps}": grid(steps) for steps in (64, 128, 256)}
_PARTS = {
    "inside": (INSIDE, [0.2, 0.5, 0.9], [0.1, 0.45, 0.6]),
    "segment": (
        np.stack([*_ENDS, SHARE * _ENDS[0] + (1 - SHARE) * _ENDS[1]]),
        [0.6] * 3,
        [0.4] * 3,
    ),
    "short": (INSIDE[:1], [0.5], [0.5 - SHORT]),
    "near": (INSIDE, [1e-5, 1e-2, 0.9999], [1e-6, 5e-3, 0.99]),
    "without signal": (INSIDE[:1], [1.0], [0.9]),
    "without noise": (INSIDE[1:2], [0.2], [0.0]),
    "kink": (INSIDE[1] + _ALONG, [0.5] * 2, [0.45] * 2),
} | {
    name: (np.zeros((len(times) - 1, 3)), times[:-1], times[1:])
    for name, times in GRIDS.items()
}
_BOUNDS = np.cumsum([0, *(len(times) for _, times, _ in _PARTS.values())])
COUNT = int(_BOUNDS[-1])
WHERE = dict(zip(_PARTS, map(slice, _BOUNDS[:-1], _BOUNDS[1:]), strict=True))
KINDS_OF_LAW = {Gaussian: "gaussian", Mixture: "mixture", Implicit: "implicit"}


def states():
    """All points (n, 3), times (n,) and next times (n,)."""
    parts = (np.concatenate([part[i] for part in _PARTS.values()]) for i in range(3))
    return tuple(jnp.asarray(part, float) for part in parts)


def streams(number: int) -> Draws:
    """Random numbers that are always the same."""
    words = jnp.asarray([number, 17 * number + 3], jnp.uint32)
    return Draws(words, jnp.asarray(5))


def _numbers(law, draws) -> dict:
    """What a law is, in arrays: its moments if it is explicit, else a draw."""
    found = {"draw": law.draw(draws)}
    if isinstance(law, Gaussian):
        found |= {"mean": law.mean, "covariance": law.covariance()}
    if isinstance(law, Mixture):
        mixture = law.law
        found |= {"mean": mixture.mean(), "covariance": mixture.covariance()}
    return found


class Stepper:
    """A method or a kernel, and its steps on the problems that questions need.

    Args:
        method: a method, or a kernel, which is then asked in the exact field.
    """

    def __init__(self, method):
        self.method = method
        self.facts: Facts = method.facts
        self.kernel = isinstance(method, AbstractKernel)
        self.program = Program(self._evaluate)
        self._memo = Memo()

    def runs(self, method=None) -> AbstractMethod:
        """The method that is run, of another value of the hyper-parameters if given."""
        method = self.method if method is None else method
        return Guided(Exact(), method) if self.kernel else method

    def first(self, target: Target, x, t, s, draws, method=None):
        """The first step from x, with the memory of the start."""
        runs = self.runs(method)
        return runs.step(target, runs.memory(target, x, t), x, t, s, draws)

    def _evaluate(self, method, target, xs, ts, ss):
        draws = streams(1)

        def at(x, t, s):
            law, memory = self.first(target, x, t, s, draws, method)
            found = _numbers(law, draws)
            if isinstance(law, Gaussian):
                found["jacobian"] = jax.jacfwd(
                    lambda x: self.first(target, x, t, s, draws, method).law.mean
                )(x)
            if not isinstance(method, AbstractMarkov) and "mean" in found:
                runs = self.runs(method)  # a second step: Adam's first is a sign
                first, other = (
                    _numbers(runs.step(target, memory, x, t, s, each).law, draws)
                    for each in (draws, streams(2))
                )
                found["other field"] = other["mean"] - first["mean"]
            return found

        single = self.first(target, xs[0], ts[0], ss[0], draws, method).law
        alone = {"alone": single.draw(draws)}
        return jax.vmap(at)(xs, ts, ss) | alone

    def evaluate(self, method, kind: str):
        """Values at all points, through the one program."""
        return self.program(method, probes.target(kind), *states())

    def values(self, kind: str):
        """Those of the method itself, on a problem by its name."""
        return self._memo(kind, lambda: self.evaluate(self.method, kind))

    def at(self, kind: str, key: str, part: str):
        """One value at a part of the points."""
        return self.values(kind)[key][WHERE[part]]

    def law(self):
        """The law of a first step, its arrays only described."""

        def shape():
            found = []
            target, (x, t, s) = probes.target("any"), self.state()

            def note(x, t, s):
                step = self.first(target, x, t, s, streams(1))
                found.append((type(step.law), step.memory))
                return step.law.draw(streams(1)), step.memory

            shapes = eqx.filter_eval_shape(note, x, t, s)
            return found[0][0], shapes

        return self._memo("law", shape)

    @property
    def explicit(self) -> bool:
        """Whether a step has moments."""
        return "mean" in self.values("any")

    def state(self):
        """One point inside, its time and the next."""
        x, t, s = states()
        return x[1], t[1], s[1]
