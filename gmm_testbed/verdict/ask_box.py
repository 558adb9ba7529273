"""Questions to a program of the host, on one Gaussian on the line."""

import sys
import warnings
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from .._checks import InputError, fail
from ..conformance.probes import gap
from ..external import External, checked_samples, in_numpy
from ..mixture import GaussianMixture
from ..paths import VP
from ..paths.grids import time_grid
from ..problem import InverseProblem, Linear, Target
from .box import Watch
from .limits import limited
from .record import Finding, percent

_MEAN, _VARIANCE, _NOISE, _Y = 0.3, 1.0, 0.5, 1.1
_FAR = 5.0  # a shift of the origin
_NUM, _STEPS, _SEED, _END = 2000, 40, 7, 0.01
_LONG = 200  # steps, at which the width is known to some percent
_SAME = 1e-6  # relative
_SCALES = {
    0.25: "a quarter of R: half the noise level",
    0.5: "half of R: a noise level divided by sqrt(2), or the likelihood counted twice",
    2.0: "twice R: R is counted twice",
    4.0: "four times R: twice the noise level",
}
_LIMIT = 60.0  # seconds of one run


def _target(y=_Y, noise=_NOISE, shift=0.0) -> Target:
    prior = GaussianMixture.isotropic(
        jnp.ones(1), jnp.full((1, 1), _MEAN + shift), jnp.asarray(_VARIANCE)
    )
    measurement = Linear(jnp.ones((1, 1)), jnp.asarray(noise))
    problem = InverseProblem(prior, measurement, jnp.full(1, y + shift))
    return Target(problem, VP(beta_min=0.01, beta_max=20.0))


def prepared(sampler: External) -> External:
    """The sampler with arrays of the library that its program speaks.

    Raises:
        InputError: if the program fails with NumPy's arrays and with PyTorch's, hangs,
            or returns no samples (num, d).
    """
    given = sampler.views is not in_numpy
    kinds = [sampler.views]
    if not given and "torch" in sys.modules:
        from ..torch import Views  # only where the program has imported PyTorch

        kinds.insert(0 if _speaks_torch(sampler.fn) else 1, Views())
    target, problems = _target(), []
    times = time_grid(target.path, 4, t_min=_END)
    for views in kinds:
        tried = External(
            sampler.fn, sampler.level, sampler.needs, sampler.reference, views
        )
        try:
            with limited(_LIMIT, f"{_name(sampler.fn)} for 8 samples in 4 steps"):
                made = views(sampler.fn, target, times, 8, _SEED)
        except InputError:
            raise
        except Exception as error:  # whatever another person's program raises
            problems.append(
                f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            )
            continue
        with warnings.catch_warnings():  # what is not finite is counted later
            warnings.simplefilter("ignore")
            checked_samples(made, 8, target.problem.prior)
        return tried
    fail(
        f"{_name(sampler.fn)} fails on 8 samples of a problem on the line, in 4 steps",
        got="; ".join(problems),
        expected="sample(problem, denoiser, num, seed) -> (num, d)",
        hint="problem has dim, y, R, A, times, alpha, sigma, forward; "
        "denoiser.x0(x, alpha, sigma) is E[x0 | x], (n, d), or denoiser(x, alpha, sigma) "
        "with tensors",
    )


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

    def run(self, steps: int = _STEPS, bumped: bool = False, **case) -> Watch:
        """One run, watched."""
        target, watch = _target(**case), Watch(self.sampler.fn, bumped)
        times = time_grid(target.path, steps, t_min=_END)
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
    base = box.run()
    x = base.returned[:, 0]
    bad = int((~np.isfinite(x)).sum())
    if bad:
        words = (
            f"no: {bad} of {_NUM} samples are not, on one Gaussian in {_STEPS} steps."
        )
        words += " Look for a division by 0, or steps that are too long at the start."
        return [Finding("Are the samples finite?", words, "failed", {"nonfinite": bad})]
    found = [_coupling(box), *_response(box), _origin(box, x)]
    if base.calls:
        found += [_levels(base), *_last_step(base, sampler.level)]
    else:
        found.append(Finding("Where does it ask the denoiser?", "nowhere."))
    return found


def _coupling(box: Box) -> Finding:
    """Whether what the denoiser says of one point changes the others."""
    question = "Does a sample depend on the others of its batch?"
    base, bumped = (box.run(10, bumped=each) for each in (False, True))
    if not base.calls:
        return Finding(question, "not asked: it does not use the denoiser.")
    error = gap(bumped.returned[1:], base.returned[1:])
    if not error > _SAME:
        return Finding(question, "no.", "passed", {"error": error})
    words = "yes: it couples the particles of a batch. Another answer of the denoiser "
    words += (
        f"about the first changes the rest by {percent(error)}. Look for a norm or a "
    )
    words += "mean over the whole batch; only a particle filter does so on purpose."
    return Finding(question, words, "failed", {"error": error})


def _response(box: Box) -> list[Finding]:
    """How the mean follows y and how wide the samples are: the noise level it takes."""
    x = box.run(_LONG).returned[:, 0]
    gain = float(np.mean(box.run(_LONG, y=_Y + 1.0).returned[:, 0] - x))
    variance = float(np.var(x, ddof=1))
    target = _target()
    alpha, sigma = (
        float(scale(jnp.asarray(_END, float)))
        for scale in (target.path.alpha, target.path.sigma)
    )
    gain, variance = gain / alpha, max((variance - sigma**2) / alpha**2, 0.0)
    exact = _VARIANCE / (_VARIANCE + _NOISE)
    numbers = {"gain": gain, "gain_exact": exact, "variance": variance}
    numbers["variance_exact"] = exact * _NOISE
    seen = f"{gain:.2f} for each unit of y, exactly {exact:.2f}"
    question = "Does the mean follow y?"
    if not np.isfinite(gain) or gain < -0.02:
        words = f"the wrong way ({seen}): the sign of the guidance is wrong."
        return [Finding(question, words, "failed", numbers)]
    if gain < 0.02:
        return [Finding(question, f"no: it ignores y ({seen}).", "failed", numbers)]
    found = [Finding(question, f"yes: {seen}.", "noted", numbers)]
    question = "Does it use the noise level R?"
    effect = gap(box.run(_LONG, noise=2 * _NOISE).returned[:, 0], x)
    if not effect > _SAME:
        words = "no: it ignores the noise level, twice R changes nothing."
        return [*found, Finding(question, words, "failed", {"effect": effect})]
    words = (
        f"yes; its variance on one Gaussian is {variance / (exact * _NOISE):.2f} of "
    )
    words += "the exact one."
    taken = _noise_taken(gain, variance)
    for scale, meaning in _SCALES.items():
        by_mean, by_width = (abs(np.log(each / scale)) for each in taken)
        if by_mean < 0.12 and by_width < 0.25:
            words = f"not as it is: mean and width are those of {meaning} (measured "
            words += f"{taken[0]:.2f} and {taken[1]:.2f} of R)."
            return [*found, Finding(question, words, "failed", numbers)]
    return [*found, Finding(question, words, "noted", numbers)]


def _noise_taken(gain: float, variance: float) -> tuple[float, float]:
    """The noise variance over R that would give this mean, and this width."""
    by_mean = _VARIANCE * (1.0 / gain - 1.0) / _NOISE if gain < 1 else 0.0
    wide = variance >= _VARIANCE
    by_width = (
        0.0 if not variance else 1.0 / (1.0 / variance - 1.0 / _VARIANCE) / _NOISE
    )
    return max(by_mean, 1e-9), np.inf if wide else max(by_width, 1e-9)


def _origin(box: Box, x) -> Finding:
    """Whether it works as well far from the origin."""
    question = "Does it work far from the origin?"
    far = box.run(shift=_FAR).returned[:, 0]
    exact = _MEAN + (_Y - _MEAN) * _VARIANCE / (_VARIANCE + _NOISE)
    near_error, far_error = abs(x.mean() - exact), abs(far.mean() - exact - _FAR)
    numbers = {"near": near_error, "far": far_error, "mean": float(far.mean())}
    seen = f"mean {far.mean():.2f} where the posterior has {exact + _FAR:.2f}"
    if not far_error > 3.0 * near_error + 1.0:
        return Finding(question, f"yes: {seen}.", "noted", numbers)
    words = (
        f"no: {seen}, and {x.mean():.2f} for {exact:.2f} near it. It clips to [-1, 1], "
    )
    words += "or to about that: data need not lie there."
    return Finding(question, words, "failed", numbers)


def _ratios() -> np.ndarray:
    """sigma / alpha on the grid, (N + 1,)."""
    path = _target().path
    times = time_grid(path, _STEPS, t_min=_END)
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
    ratios, alpha_end = _ratios(), float(_target().path.alpha(jnp.asarray(_END, float)))
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
