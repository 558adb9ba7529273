"""Questions to a program of the host, on one Gaussian on the line."""

import sys
import warnings
from collections.abc import Callable, Iterator

import jax.numpy as jnp
import numpy as np

from .._checks import InputError, fail
from ..conformance.probes import gap
from ..external.sampler import External, checked_samples, in_numpy
from ..paths.grids import time_grid
from ..problem import Target
from . import response
from .box import Watch
from .limits import limited
from .phrases import FINITE
from .record import Finding, percent

_NUM, _STEPS, _SEED = 2000, 40, 7
_LIMIT = 60.0  # seconds of one run
_HINT = (
    "problem has dim, y, R, A, times, alpha, sigma, forward; "
    "denoiser.x0(x, alpha, sigma) is E[x0 | x], (n, d), or denoiser(x, alpha, sigma) "
    "with tensors"
)


def prepared(
    sampler: External, target: Target | None = None, seconds: float = _LIMIT
) -> External:
    """The sampler with arrays of the library that its program speaks.

    Args:
        sampler: as it was given.
        target: on which it is tried; a Gaussian on the line by default.
        seconds: that 8 samples in 4 steps may take.

    Raises:
        InputError: if the program fails with NumPy's arrays and with PyTorch's, hangs,
            or returns no samples (num, d).
    """
    where = "a problem on the line" if target is None else "this problem"
    target, problems = response.problem() if target is None else target, []
    times = time_grid(target.path, 4, t_min=response.END)
    hint = _HINT
    for views in _kinds(sampler):
        tried = External(
            sampler.fn, sampler.level, sampler.needs, sampler.reference, views
        )
        try:
            with limited(seconds, f"{_name(sampler.fn)} for 8 samples in 4 steps"):
                made = views(sampler.fn, target, times, 8, _SEED)
        except InputError:
            raise
        except Exception as error:  # whatever another person's program raises
            hint = _missing(error) or hint
            problems.append(
                f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            )
            continue
        with warnings.catch_warnings():  # what is not finite is counted later
            warnings.simplefilter("ignore")
            checked_samples(made, 8, target.problem.prior)
        return tried
    fail(
        f"{_name(sampler.fn)} fails on 8 samples of {where}, in 4 steps",
        got="; ".join(problems),
        expected="sample(problem, denoiser, num, seed) -> (num, d)",
        hint=hint,
    )


def _kinds(sampler: External) -> Iterator[Callable]:
    """The arrays to be tried in turn; PyTorch's once the program has imported it."""
    if sampler.views is not in_numpy:
        yield sampler.views
        return
    first = "torch" in sys.modules and _speaks_torch(sampler.fn)
    if first:
        yield _tensors()
    yield in_numpy
    if not first and "torch" in sys.modules:  # perhaps by the call itself
        yield _tensors()


def _tensors() -> Callable:
    from ..external.torch import Views  # only where the program has imported PyTorch

    return Views()


def _missing(error: Exception) -> str:
    """What to install, if that is what is wrong."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    if error.name == "torch":
        return "install PyTorch: pip install 'gmm-testbed[torch]'"
    return f"install {error.name.partition('.')[0]} beside gmm_testbed"


def _name(fn: Callable) -> str:
    return getattr(fn, "__name__", type(fn).__name__)


def _speaks_torch(fn: Callable) -> bool:
    torch = sys.modules["torch"]
    return any(value is torch for value in getattr(fn, "__globals__", {}).values())


class Box:
    """A program and its runs on one Gaussian, all with the same seed.

    Args:
        sampler: its views fit the program.
    """

    def __init__(self, sampler: External):
        self.sampler = sampler

    def samples(self, **case) -> np.ndarray:
        """Samples (n,) of a changed problem, on the grid of `response`."""
        times = response.grid(response.problem())
        return self._run(times, **case).returned[:, 0]

    def watched(self, steps: int = _STEPS, bumped: bool = False) -> Watch:
        """A run of so many equal steps."""
        path = response.problem().path
        return self._run(time_grid(path, steps, t_min=response.END), bumped)

    def _run(self, times, bumped: bool = False, **case) -> Watch:
        target, watch = response.problem(**case), Watch(self.sampler.fn, bumped)
        with warnings.catch_warnings(), limited(_LIMIT, f"a run of {watch.__name__}"):
            warnings.simplefilter("ignore")
            self.sampler.views(watch, target, times, _NUM, _SEED)
        return watch


def findings(sampler: External) -> list[Finding]:
    """What there is to say of a program by watching it.

    Args:
        sampler: as `prepared` gives it.
    """
    box = Box(sampler)
    found = response.findings(box.samples, sampler.facts)
    if found[0].question in FINITE:
        return found
    found.insert(0, _coupling(box))
    base = box.watched()
    if base.calls:
        found += [_levels(base), *_last_step(base, sampler.level)]
    else:
        found.append(Finding("Where does it ask the denoiser?", "nowhere."))
    return found


def _coupling(box: Box) -> Finding:
    """Whether what the denoiser says of one point changes the others."""
    question = "Does a sample depend on the others of its batch?"
    base, bumped = (box.watched(10, bumped=each) for each in (False, True))
    if not base.calls:
        return Finding(question, "not asked: it does not use the denoiser.")
    error = gap(bumped.returned[1:], base.returned[1:])
    if not error > response.SAME:
        return Finding(question, "no.", "passed", {"error": error})
    words = "yes: it couples the particles of a batch. Another answer of the denoiser "
    words += (
        f"about the first changes the rest by {percent(error)}. Look for a norm or a "
    )
    words += "mean over the whole batch; only a particle filter does so on purpose."
    return Finding(question, words, "failed", {"error": error})


def _ratios() -> np.ndarray:
    """sigma / alpha on the grid, (N + 1,)."""
    path = response.problem().path
    times = time_grid(path, _STEPS, t_min=response.END)
    return np.asarray(path.sigma(times)) / np.asarray(path.alpha(times))


def _levels(base: Watch) -> Finding:
    """At which of the times of the grid it asks the denoiser."""
    question, grid = "Where does it ask the denoiser?", np.log(_ratios())
    asked = np.log([call.ratio for call in base.visited()])
    away = np.abs(asked[:, None] - grid[None])
    index = np.unique(away.argmin(axis=1))
    known = away.min(axis=1) < 1e-3
    numbers = {
        "calls": len(base.calls),
        "products": base.products,
        "levels": len(asked),
    }
    if not known.all():
        words = f"at {len(asked)} noise levels, {int((~known).sum())} of them its own."
        return Finding(question, words, "noted", numbers)
    if len(index) <= 0.6 * _STEPS:
        words = (
            f"at {len(index)} of the {_STEPS} steps that it is given: it makes fewer "
        )
        words += f"steps, {len(index) / _STEPS:.2g} of their number."
        return Finding(question, words, "failed", numbers)
    if index[0] == 1 and index[-1] == _STEPS:
        words = "at the wrong end of each step: at times[1], ..., times[N], while x is "
        words += "still at the time before."
        return Finding(question, words, "failed", numbers)
    words = f"at {len(index)} times of the grid of {_STEPS} steps, {base.cost} calls."
    return Finding(question, words, "noted", numbers)


def _last_step(base: Watch, level: str) -> list[Finding]:
    """Whether the last step has noise where the one before has it."""
    visited = base.visited()
    if level == "data" or len(visited) < 3:
        return []
    ratios, alpha_end = (
        _ratios(),
        float(response.problem().path.alpha(jnp.asarray(response.END, float))),
    )
    if abs(np.log(visited[-1].ratio / ratios[-1])) < 1e-3:
        return []  # asked at the end too: what is returned need not be a step
    states = [call.x[:, 0] for call in visited[-3:]] + [base.returned[:, 0] / alpha_end]
    levels = [call.ratio for call in visited[-3:]] + [ratios[-1]]
    if any(len(state) != _NUM for state in states):
        return []
    rests = [
        _unexplained(states[i], states[i + 1]) / levels[i + 1] ** 2 for i in range(3)
    ]
    question, numbers = "Has the last step its noise?", {"last": rests[-1]}
    if rests[-1] < 1e-4 and min(rests[:-1]) > 1e-2:
        words = (
            "no: the last step returns the mean, the steps before it have noise. Add "
        )
        words += 'it, or say gt.External(fn, level="data") if x0 is what is returned.'
        return [Finding(question, words, "failed", numbers)]
    words = "yes." if rests[-1] >= 1e-4 else "no step has: it is deterministic."
    return [Finding(question, words, "noted", numbers)]


def _unexplained(x, following) -> float:
    """Variance of the next state that is no affine function of the state."""
    slope, offset = np.polyfit(x, following, 1)
    return float(np.var(following - slope * x - offset))
