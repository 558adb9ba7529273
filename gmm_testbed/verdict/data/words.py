"""Findings about a sampler on somebody's data, in words, from numbers."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ...diagnostics import separation, uniformity
from ...estimate import Estimate
from ..record import Finding
from .points import Points
from .trial import SETS, Case, Trial

SURELY = 6.0  # deviations of exact sets: sums of few squares are skewed
_NEARER = 0.2  # of the distance, within which another law may explain the samples,
_TOLD = 4.5  # if they are within so many deviations of its own draws
_PAIRS, _BINS = 10, 2  # truths at least of the calibration


def reference(
    found: Points, kept, model: str, case: Case, trials: Sequence[Trial], bandwidth
) -> list[Finding]:
    """What the samples are compared with, and how many training points explain y."""
    dim = kept.shape[1]
    copies = len(kept) - case.prior.num_components
    size = "x".join(map(str, found.shape))
    t = float(case.times[-1])
    words = f"the exact posterior of {len(kept)} training points of {size} numbers"
    words += f" ({len(trials)} others are held out and measured), at t = {t:.2g}, noise"
    words += f" level {float(case.path.sigma(t)):.2g}; {model}"
    if bandwidth:
        words += f"; every point has a standard deviation of {bandwidth:g}"
    if copies:
        words += f"; {copies} training points are copies of others, and count as often"
    if found.scaled:
        words += f"; {found.scaled}"
    numbers = {"points": len(kept), "dimension": dim, "copies": copies}
    told = [Finding("What is the reference?", f"{words}.", "noted", numbers)]
    size = float(np.sqrt(np.mean(kept**2)))
    if not 0.1 <= size <= 3.0:
        words = f"no: their root mean square is {size:.3g}, and a sampler starts from "
        words += (
            f"noise of {float(case.path.sigma(1.0)):.2g}, which must hide them. Scale "
        )
        words += "them to about 1, and the noise with them."
        told.append(Finding("Do the numbers fit the path?", words))
    if case.measurement.dim_y > dim:
        words = f"yes, {case.measurement.dim_y} of {dim}: y may leave a single point."
        told.append(Finding("Is more measured than a point has numbers?", words))
    told.append(_explained(trials, len(kept)))
    return told


def _explained(trials: Sequence[Trial], total: int) -> Finding:
    """N / rho_y of T21, over the observations."""
    counts = np.asarray([trial.atoms for trial in trials])
    single = int((counts < 2).sum())
    question = "How many training points explain y?"
    words = f"in effect {np.median(counts):.3g} of {total} (N / rho_y, median; from "
    words += f"{counts.min():.3g} to {counts.max():.3g})"
    numbers = {"median": float(np.median(counts)), "single": single}
    if single:
        words += f"; fewer than two for {single} of {len(trials)} observations: there "
        words += (
            "the posterior is one training point, and nothing follows for its spread. "
        )
        words += "More points, more noise, fewer measurements or a bandwidth help"
    return Finding(question, f"{words}.", "noted", numbers)


def collapse(found) -> Finding:
    """Where the noised training set is single points, and what that leaves open."""
    question = "Until when does the denoiser know more than single training points?"
    numbers = {"below": found.below}
    if found.below == 0.0:
        words = "to the end: two training points or more are in effect at every time."
        return Finding(question, words, "noted", numbers)
    words = f"until t = {found.below:.2g}. Below, fewer than two are in effect: the "
    words += "exact denoiser returns training points, as no trained network does, and "
    words += "what is found here says nothing about its new pictures at those times."
    return Finding(question, words, "noted", numbers)


def of_sampler(
    trials: Sequence[Trial], case: Case, within: float | int | None
) -> list[Finding]:
    """All that is said of the samples."""
    bad = sum(trial.nonfinite for trial in trials)
    if bad:
        total = case.num * len(trials)
        words = f"no: {100 * bad / total:.3g} % of {total} samples are NaN or infinite."
        numbers = {"nonfinite": bad / total}
        return [Finding("Are the samples finite?", words, "failed", numbers)]
    main, alarm = _distance(trials, case, within)
    found = [main]
    if alarm:
        found += [*_other(trials), *_worst(trials)]
    found += [_moments(trials), _training(trials, alarm), _fits(trials)]
    found.append(_calibrated(trials))
    return found


def _distance(trials, case: Case, within) -> tuple[Finding, bool]:
    """Whether samples and exact draws can be told apart."""
    values = np.asarray([trial.distance for trial in trials])
    floors = np.stack([trial.floors for trial in trials]).mean(axis=0)
    mean = Estimate.mean_of(values, how=f"{len(values)} observations")
    value, error = float(mean.value), float(mean.stderr)
    z = float(separation(value, floors).value)
    alarm = not z <= SURELY
    level, spread = floors.mean(), floors.std(ddof=1)
    words = f"energy distance {value:.2g} give or take {error:.1g} over {len(values)} "
    words += "observations, in units of the mean distance of two exact draws; "
    words += (
        f"{SETS} sets of as many exact draws give {level:.1g} give or take {spread:.1g}"
    )
    numbers = {"distance": value, "stderr": error, "floor": float(level), "z": z}
    status = "failed" if alarm else "passed"
    answer = f"no: {words} ({z:.0f} deviations)"
    if not alarm:
        answer = f"it cannot be told from it: {words}"
    if case.sampler.facts.output == "weighted":
        status = "noted" if alarm else status
        answer += "; the particles of one run depend on each other, which adds to it"
    if within is not None:
        far = value - 3.0 * error > within
        status = "failed" if far else "noted" if alarm else "passed"
        answer += f"; {'surely' if far else 'not surely'} beyond {within:g}"
    question = "Is it the posterior of the training points?"
    return Finding(question, f"{answer}.", status, numbers), alarm


def _other(trials) -> list[Finding]:
    """The law that the samples cannot be told from, if there is one."""
    own = float(np.mean([trial.distance for trial in trials]))
    means = {
        name: float(np.mean([trial.others[name].distance for trial in trials]))
        for name in trials[0].others
    }
    best = min(means, key=means.get)
    found = np.asarray([trial.others[best] for trial in trials])
    spread = found[:, 2].std(ddof=1) * np.sqrt(2.0 / len(found))
    z = (found[:, 1] - found[:, 2]).mean() / spread
    if means[best] > _NEARER * own or not abs(z) <= _TOLD:
        return []
    words = f"yes: it cannot be told from the law {best}, {means[best]:.1g} away where "
    words += f"the exact one is {own:.2g} away."
    return [Finding("Is it another posterior?", words, "noted", means)]


def _worst(trials) -> list[Finding]:
    values = np.asarray([trial.distance for trial in trials])
    worst, best = int(values.argmax()), int(values.argmin())
    words = (
        f"{values[worst]:.2g} for observation {worst}, {values[best]:.2g} for {best}; "
    )
    words += (
        f"there {trials[worst].atoms:.2g} and {trials[best].atoms:.2g} training points "
    )
    words += "explain y."
    return [Finding("Where is it worst?", words)]


def _moments(trials) -> Finding:
    offset = Estimate.mean_of(np.asarray([trial.offset for trial in trials]))
    spread = Estimate.mean_of(np.asarray([trial.spread for trial in trials]))
    value, error = float(offset.value), float(offset.stderr)
    root = float(np.sqrt(max(value, 0.0)))
    words = f"its mean is {root:.2g} posterior standard deviations off"
    if value < 3.0 * error:
        most = float(np.sqrt(max(value, 0.0) + 3.0 * error))
        words = f"its mean is less than {most:.1g} posterior standard deviations off"
    words += f", its variance {_told(spread)} of the exact one."
    numbers = {"offset": float(offset.value), "spread": float(spread.value)}
    return Finding("Where is it, and how wide?", words, "noted", numbers)


def _training(trials, alarm: bool) -> Finding:
    """Training points that y rules out, and the distance from them."""
    ruled, exact = np.mean([trial.ruled_out for trial in trials], axis=0)
    away, usual = np.mean([trial.away for trial in trials], axis=0)
    words = (
        f"{ruled:.2g} of the samples are nearest to a training point that y rules out "
    )
    words += f"(exact draws: {exact:.2g}); they are {away:.2g} away from the nearest, "
    words += f"exact draws {usual:.2g}"
    ratio = away / usual
    if alarm and not 0.8 < ratio < 1.25:
        words += f": {ratio:.2g} times as far, as "
        words += "with more noise than the last time has" if ratio > 1 else "without it"
        words += ", or beside the training points" if ratio > 1 else ""
    numbers = {"ruled out": ruled, "exact": exact, "away": float(ratio)}
    return Finding("Which training points does it give?", f"{words}.", "noted", numbers)


def _fits(trials) -> Finding:
    own, exact = np.mean([trial.misfit for trial in trials], axis=0)
    words = f"|y - f(x)|^2 is {own:.3g} each in units of the noise, of exact draws "
    words += f"{exact:.3g}; of the truth it is 1."
    numbers = {"misfit": float(own), "exact": float(exact)}
    return Finding("Does it fit y?", words, "noted", numbers)


def _calibrated(trials) -> Finding:
    """Held-out truths among the samples, and among exact draws."""
    question = "Do held-out points look like its draws?"
    if len(trials) < _PAIRS:
        words = f"not asked: {len(trials)} observations, and it takes {_PAIRS} or more."
        return Finding(question, words)
    parts, numbers = [], {}
    for name, levels in (
        ("its", [trial.levels for trial in trials]),
        ("exact", [trial.levels_exact for trial in trials]),
    ):
        told = uniformity(jnp.asarray(np.stack(levels).T), bins=_BINS)
        for place, what in enumerate(("distance from the mean", "misfit")):
            numbers[f"{name}, {what}"] = float(told.distance_p[place])
        levels = ", ".join(f"{float(each):.2f}" for each in told.mean.value)
        p = ", ".join(f"{float(each):.1g}" for each in told.distance_p)
        parts.append(f"among {name} draws at level {levels} (p {p})")
    words = f"by distance from the mean and by misfit, {' and '.join(parts)}, 0.5 on "
    words += (
        f"average if calibrated, over {len(trials)} points. Where exact draws miss, "
    )
    words += "the training points are too few, and not the sampler wrong."
    return Finding(question, words, "noted", numbers)


def _told(found: Estimate) -> str:
    return f"{float(found.value):.2g} give or take {float(found.stderr):.1g}"
