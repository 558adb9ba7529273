"""A black box that is watched: at which noise levels it asks, and what it does then."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

_LEVELS = {  # of what the denoiser is asked, as alpha and sigma
    "x0": lambda alpha, sigma: (alpha, sigma),
    "edm": lambda sigma: (1.0, sigma),
    "flow": lambda t: (1.0 - t, t),
    "ddpm": lambda bar: (np.sqrt(bar), np.sqrt(1.0 - bar)),
}
_LEVELS |= dict.fromkeys(("eps", "score", "v"), _LEVELS["x0"])
BUMP = 0.37  # added to what the first point is told


class Call(NamedTuple):
    """One question to the denoiser.

    Attributes:
        ratio: sigma / alpha, of the first point.
        x: (n, d), in units of x0: divided by alpha.
    """

    ratio: float
    x: np.ndarray


class Watch:
    """A function fn(problem, denoiser, num, seed) with a denoiser that is watched.

    Args:
        fn: in NumPy or PyTorch.
        bumped: whether the answers about the first point are changed.
    """

    def __init__(self, fn: Callable, bumped: bool = False):
        self.fn, self.bumped = fn, bumped
        self.calls: list[Call] = []
        self.products = 0
        self.returned = None
        self.__name__ = getattr(fn, "__name__", type(fn).__name__)

    def __call__(self, problem, denoiser, num: int, seed: int) -> Any:
        made = self.fn(problem, _Watched(denoiser, self), num, seed)
        self.returned = _host(made)
        return made

    @property
    def cost(self) -> int:
        """Questions to the denoiser, with products with its Jacobian."""
        return len(self.calls) + self.products

    def visited(self) -> list[Call]:
        """The calls, without those that repeat the noise level of the one before."""
        found: list[Call] = []
        for call in self.calls:
            if not found or not np.isclose(call.ratio, found[-1].ratio, rtol=1e-9):
                found.append(call)
        return found


class _Watched:
    """A denoiser whose questions are noted; it answers as the one inside."""

    def __init__(self, inside: Any, watch: Watch):
        self._inside, self._watch = inside, watch

    def __call__(self, *arguments, **named):
        return self._answered("x0", self._inside, arguments, named)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inside, name)
        if name.removesuffix("_vjp") not in _LEVELS:
            return found
        return lambda *arguments, **named: self._answered(name, found, arguments, named)

    def _answered(self, name, found, arguments, named):
        answer = found(*arguments, **named)
        if name.endswith("_vjp"):
            self._watch.products += 1
            return answer
        given = [_host(each) for each in (*arguments, *named.values())]
        scales = [float(np.ravel(each)[0]) for each in given[1:]]
        alpha, sigma = _LEVELS[name](*scales)
        x = given[0].reshape(len(given[0]), -1) / alpha
        self._watch.calls.append(Call(float(sigma / alpha), np.array(x)))
        if self._watch.bumped:
            bump = answer * 0.0
            bump[0] = BUMP
            answer = answer + bump
        return answer


def _host(value: Any) -> np.ndarray:
    """A NumPy array of an array or a tensor."""
    detach = getattr(value, "detach", None)
    return np.asarray(value if detach is None else detach().cpu().double())
