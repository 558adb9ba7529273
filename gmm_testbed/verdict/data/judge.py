"""`gt.diagnose`: a sampler on somebody's own data, against the finite-sample posterior."""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from rich.console import Console

from ... import sweep
from ..._checks import check_count, require, unsupported
from ...external import External
from ...method import AbstractDescribed
from ...mixture import GaussianMixture
from ...paths import VP, AbstractPath
from ...paths.grids import time_grid
from ...problem import Linear
from ..ask_box import prepared
from ..forms import load, recognised
from ..record import Verdict
from . import forward, points, words
from .atoms import Atoms
from .trial import Case, Trial, tried

_DRAWN, _HALVINGS = 32, 12  # of the search for the time of collapse
_FEW = 2.0  # points in effect, below which the noised training set has collapsed
_LARGEST = 2**27  # numbers of a training set: a gigabyte


class Collapse(NamedTuple):
    """How many training points are in play at a time, by T22: exp of the mean entropy.

    Attributes:
        times: (k,), increasing.
        effective: (k,), training points in effect at points of the noised training set.
        below: the time below which they are fewer than two; 0 if there is none.
    """

    times: Float[np.ndarray, " k"]
    effective: Float[np.ndarray, " k"]
    below: float


class Diagnosis(NamedTuple):
    """A verdict on a sampler and a training set; `print` shows it.

    Attributes:
        verdict: the findings in words, with their numbers.
        trials: one an observation.
        collapse: of the training set.
        shape: of one point.
        forward: in words.
    """

    verdict: Verdict
    trials: tuple[Trial, ...]
    collapse: Collapse
    shape: tuple[int, ...]
    forward: str

    @property
    def passed(self) -> bool:
        """Whether no finding failed."""
        return self.verdict.passed

    def __str__(self) -> str:
        return str(self.verdict)


def diagnose(
    data: Any,
    forward_model: Any,
    sampler: Any,
    noise: Any = None,
    *,
    shape: tuple[int, ...] | None = None,
    bandwidth: float | int = 0.0,
    observations: int = 12,
    draws: int = 64,
    steps: int = 50,
    t_min: float | int = 0.01,
    path: AbstractPath | None = None,
    within: float | int | None = None,
    seed: int = 0,
    seconds: float | int = 600.0,
    show: bool = False,
) -> Diagnosis:
    r"""How far a sampler is from the posterior that a training set has, on fresh y.

    Some points are held out; the prior is the others, each an atom. The truth of an
    observation is a held-out point. The sampler is given the exact denoiser of this prior,
    so that what is wrong is its own, and its samples are compared with exact draws.

    Args:
        data: training points as `points.read` takes them: an array (N, ...), or a file.
        forward_model: as `forward.build` takes it: "downsampling(2)", a matrix, a function
            of JAX, or a `gt.Linear` or `gt.Nonlinear`.
        sampler: as `gt.verdict` takes it, or its name as `gmm-testbed run --method` does.
        noise: standard deviation () or (m,); None if the forward model has it.
        shape: of one point, for pictures; as the data has it by default.
        bandwidth: standard deviation that is given to every training point, so that
            held-out points have a density too; for linear forward models.
        observations: held-out points that are measured, at least 3.
        draws: of the sampler for each, at least 10.
        steps: N.
        t_min: time at which it ends, where the laws are compared.
        path: `gt.VP()` by default.
        within: energy distance, over the mean distance of two exact draws, that is
            tolerated; by default the samples must not be told from exact draws.
        seed: of all choices and draws.
        seconds: that a program of the host may take for one observation.
        show: a progress bar on the standard error.

    Returns:
        A `Diagnosis`; `.passed` is false if samples are not finite, or can be told from
        exact draws, or are surely beyond `within` where it is given.

    Raises:
        InputError: if something does not fit; the message says what to do.
    """
    begun = time.perf_counter()
    observations = check_count(observations, "observations", least=3)
    draws, steps = check_count(draws, "draws", least=10), check_count(steps, "steps")
    path = VP() if path is None else path
    times = time_grid(path, steps, t_min=t_min)
    found = points.read(data, shape)
    _check_room(found)
    _check_end(path, float(times[-1]))
    kept, truths = points.split(found, observations, seed)
    found = found._replace(values=truths)  # else all points are held twice
    model = forward.build(forward_model, noise, kept, found.shape)
    zero = _seen(model, truths)
    prior = _prior(kept, bandwidth, model)
    chosen = load(sampler) if isinstance(sampler, str) else sampler
    atoms = Atoms(np.asarray(prior.means), np.asarray(prior.log_weights))
    case = Case(
        prior, len(kept), atoms, model.measurement, path, times, None, draws, seconds
    )
    subject = recognised(chosen, target := case.target(zero))
    case = case._replace(sampler=_ready(subject.sampler, target, times, seconds))
    trials = []
    screen = Console(stderr=True, quiet=not show)
    with sweep.progress(screen) as bar:
        task = bar.add_task("observations", total=observations)
        for index, truth in enumerate(truths):
            trials.append(tried(case, truth, index, seed))
            bar.advance(task)
    collapse = collapsed(atoms, path, float(times[-1]), bandwidth, seed)
    told = [
        *words.reference(found, kept, model.words, case, trials, bandwidth),
        words.collapse(collapse),
        *words.of_sampler(trials, case, within),
    ]
    took = time.perf_counter() - begun
    verdict = Verdict(subject.name, subject.form, tuple(told), (), took)
    return Diagnosis(verdict, tuple(trials), collapse, found.shape, model.words)


def collapsed(
    atoms: Atoms,
    path: AbstractPath,
    t_min: float,
    bandwidth: float | int,
    seed: int,
) -> Collapse:
    """Training points in effect against time, and the time of collapse.

    Args:
        atoms: of the training set.
        path: of the diffusion.
        t_min: first time.
        bandwidth: of every training point.
        seed: of the points and their noise, the same at every time.
    """
    rng = np.random.default_rng(seed)
    weights = np.exp(atoms.log_weights)
    chosen = rng.choice(len(weights), _DRAWN, p=weights / weights.sum())
    own = atoms.points[chosen]
    normal = rng.standard_normal((_DRAWN, own.shape[1]))

    def effective(t: float) -> float:
        alpha, sigma = float(path.alpha(t)), float(path.sigma(t))
        variance = (alpha * bandwidth) ** 2 + sigma**2
        x = alpha * own + np.sqrt(variance) * normal
        return float(np.exp(atoms.entropy(x, alpha, variance).mean()))

    times = np.linspace(t_min, 1.0, 16)
    found = np.asarray([effective(t) for t in times])
    if found[0] >= _FEW:
        return Collapse(times, found, 0.0)
    low, high = t_min, 1.0
    if found[-1] >= _FEW:
        last = int(np.flatnonzero(found < _FEW)[-1])
        low, high = times[last], times[last + 1]
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if effective(middle) >= _FEW else (middle, high)
    return Collapse(times, found, high)


def _prior(kept: np.ndarray, bandwidth: float | int, model: forward.Forward):
    """The training points as a mixture."""
    require(
        isinstance(bandwidth, int | float) and 0 <= bandwidth < np.inf,
        "the bandwidth is a standard deviation",
        got=repr(bandwidth),
        expected="a number, 0 or positive",
        hint="0 leaves the training points as they are",
    )
    atoms = GaussianMixture.empirical(jnp.asarray(kept))
    if bandwidth == 0:
        return atoms
    if not isinstance(model.measurement, Linear):
        unsupported(
            "points with a bandwidth need a linear forward model",
            got=f"bandwidth {bandwidth:g} with {model.words}",
            expected="bandwidth 0, for which every forward model is exact",
            hint="leave out the bandwidth",
        )
    variance = jnp.full(atoms.num_components, float(bandwidth) ** 2)
    weights = jnp.exp(atoms.log_weights)
    return GaussianMixture.isotropic(weights, atoms.means, variance)


def _ready(sampler: AbstractDescribed, target, times, seconds) -> AbstractDescribed:
    """The sampler, once it can be run on this problem."""
    if sampler.facts.output == "point":
        unsupported(
            "this asks whether draws have the law of the posterior",
            got=f"{type(sampler).__name__}, which gives a point estimate",
            expected="a sampler of draws",
            hint="judge a point by its error, |x - E[x0 | y]|",
        )
    if isinstance(sampler, External):
        return prepared(sampler, target, seconds)
    return sampler


def _seen(model: forward.Forward, truths: np.ndarray) -> np.ndarray:
    """What is seen of the first held-out point, (m,), once all of them are seen."""
    seen = np.asarray(jax.vmap(model.measurement.apply)(jnp.asarray(truths)))
    bad = ~np.isfinite(seen).all(axis=1)
    require(
        not bad.any(),
        "the forward model is not finite at training points",
        got=f"NaN or infinity at {bad.sum()} of {len(truths)} that are held out",
        expected="finite numbers wherever the data are",
        hint="look for a root or a logarithm of what may be negative",
    )
    return seen[0]


def _check_end(path: AbstractPath, t: float) -> None:
    require(
        float(path.sigma(t)) > 0,
        "training points have no density without noise",
        got=f"t_min = {t:g}, where sigma is 0",
        expected="a last time with sigma > 0",
        hint="stop a little earlier: t_min=0.01",
    )


def _check_room(found: points.Points) -> None:
    require(
        found.values.size <= _LARGEST,
        "the training set is too large for the exact reference",
        got=f"{found.values.shape[0]:,} points of {found.values.shape[1]:,} numbers",
        expected=f"{_LARGEST:,} numbers at most, a gigabyte",
        hint="take fewer points, or smaller pictures",
    )
