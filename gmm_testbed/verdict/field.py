"""What a guidance is: exact or not, and which method's, by which convention."""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import approximations
from ..approximations import AbstractApproximation
from ..conformance import probes
from ..conformance.probes import KINDS, VARIANTS, Numbers, gap, tolerance
from ..method import Facts
from .given import Given
from .record import Finding, percent

_TIMES = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
_POINTS = 6  # at each time
_SHIFT = np.array([6.0, -7.0, 8.0])  # of the origin, far outside [-1, 1]
_SMALL = 0.1  # the problem in this size lies within [-1, 1]
_MOVED = 1e-6  # relative, of what depends on a thing


@functools.cache
def references() -> dict[str, AbstractApproximation]:
    """The approximations that a guidance is compared with, by name.

    Built when first asked for: their numbers are in the precision of the session.
    """
    return {
        "Exact": approximations.Exact(),
        "TMPD": approximations.TMPD(),
        "DPS": approximations.DPS(),
        "PiGDM": approximations.PiGDM(),
        "PiGDM with r = sigma/alpha": approximations.PiGDM("flat"),
        "PiGDM with the variance of the data": approximations.PiGDM("data"),
        "ZetaDPS": approximations.ZetaDPS(),
        "DDNM": approximations.DDNM(),
        "DiffPIR": approximations.DiffPIR(),
        "MPGD": approximations.MPGD(),
    }


class Noise(NamedTuple):
    """A noise covariance that a program may have taken for R.

    Attributes:
        words: what it did.
        status: of the finding.
    """

    words: str
    status: str


NOISES = {
    "R": Noise("", "noted"),
    "R / 2": Noise(
        "with half of R: a noise level divided by sqrt(2), or the likelihood counted "
        "twice",
        "failed",
    ),
    "2 R": Noise("with twice R: R is counted twice", "failed"),
    "R / 4": Noise("with a quarter of R: half the noise level", "failed"),
    "4 R": Noise("with four times R: twice the noise level", "failed"),
    "R^2": Noise("with R^2 for R: a variance is squared", "failed"),
    "R^(1/2)": Noise("with the root of R for R: a scale for a variance", "failed"),
    "1": Noise("with the identity for R, whatever R is", "failed"),
    "diag R": Noise("with the diagonal of R only", "noted"),
    "R[0, 0]": Noise("with R[0, 0] for every measurement", "noted"),
    "sigma R": Noise(
        "with sigma/alpha for sigma^2/alpha in the covariance of x0", "failed"
    ),
    "R / alpha": Noise("with sigma^2 for sigma^2/alpha in the covariance", "failed"),
    "alpha R": Noise(
        "with sigma^2/alpha^2 for sigma^2/alpha in the covariance", "failed"
    ),
    "R / sigma": Noise("with sigma^3/alpha for sigma^2/alpha in it", "failed"),
}


def _noise(name: str, t: float) -> np.ndarray:
    R = KINDS["any"].R
    alpha, sigma = 1.0 - t, t  # of `PATH`
    levels, frame = np.linalg.eigh(R)
    return {
        "R": R,
        "R / 2": R / 2,
        "2 R": 2 * R,
        "R / 4": R / 4,
        "4 R": 4 * R,
        "R^2": R @ R,
        "R^(1/2)": (frame * np.sqrt(levels)) @ frame.T,
        "1": np.eye(len(R)),
        "diag R": np.diag(np.diag(R)),
        "R[0, 0]": R[0, 0] * np.eye(len(R)),
        "sigma R": sigma * R,
        "R / alpha": R / alpha,
        "alpha R": alpha * R,
        "R / sigma": R / sigma,
    }[name]


def _moved_to(numbers: Numbers, shift) -> Numbers:
    """The same problem after a shift of the origin."""
    y = numbers.y + numbers.A @ shift
    return numbers._replace(means=numbers.means + shift, y=y)


def _smaller(numbers: Numbers) -> Numbers:
    scaled = {name: _SMALL * getattr(numbers, name) for name in ("means", "y")}
    squares = {
        name: _SMALL**2 * getattr(numbers, name) for name in ("covariances", "R")
    }
    return numbers._replace(**scaled, **squares)


def _states(shift=0.0, size=1.0):
    """Points (n, 3) and times (n,) for x0 of a size, moved as the origin is."""
    noise = probes.points(21, len(_TIMES), _POINTS, 3)
    centres = probes.points(22, len(_TIMES), _POINTS, 3)
    alpha, sigma = ((1 - _TIMES)[:, None, None], _TIMES[:, None, None])
    x = alpha * (size * centres + shift) + sigma * noise
    t = np.repeat(_TIMES, _POINTS)
    return jnp.asarray(x.reshape(-1, 3), float), jnp.asarray(t, float)


@eqx.filter_jit
def _guidances(field, target, xs, ts):
    return jax.vmap(lambda x, t: field.guidance(target, x, t))(xs, ts)


@eqx.filter_jit
def _of_references(references, target, xs, ts):
    return {name: _guidances(each, target, xs, ts) for name, each in references.items()}


def _by_time(values) -> np.ndarray:
    return np.asarray(values, np.float64).reshape(len(_TIMES), -1)


@functools.cache
def _known(noise: str, dtype) -> dict[str, np.ndarray]:
    """Guidances of all references by time, (T, n), with another noise for R."""
    del dtype  # of the session: a key of the cache
    xs, ts = _states()
    constant = np.allclose(_noise(noise, 0.2), _noise(noise, 0.8))
    rows = {name: [] for name in references()}
    for index, t in enumerate(_TIMES):
        if index == 0 or not constant:
            changed = KINDS["any"]._replace(R=_noise(noise, t))
            found = _of_references(references(), probes.build(changed), xs, ts)
            found = {name: _by_time(value) for name, value in found.items()}
        for name, value in found.items():
            rows[name].append(value[index])
    return {name: np.stack(row) for name, row in rows.items()}


class Match(NamedTuple):
    """A method of the catalogue that a guidance is, up to a weight for each time.

    Attributes:
        reference: its name.
        noise: a row of `NOISES`.
        weight: in words; empty for 1.
        rank: 0 for none, 1 for a number, 2 for powers of alpha and sigma, 3 for others.
        constant: the weight if it is a number, else NaN.
        error: relative distance from it.
    """

    reference: str
    noise: str
    weight: str
    rank: int
    constant: float
    error: float


def match(found: np.ndarray, slack: float) -> Match | None:
    """The method that guidances (T, n) are those of, or None."""
    matches = []
    for noise in NOISES:
        for name, known in _known(noise, jnp.zeros(()).dtype).items():
            weights = np.sum(found * known, axis=1) / np.sum(known**2, axis=1)
            rest = np.linalg.norm(found - weights[:, None] * known, axis=1)
            error = float(np.max(rest / np.linalg.norm(found, axis=1)))
            if error < slack:
                matches.append(Match(name, noise, *_weight(weights, slack), error))
        if matches:
            return min(matches, key=lambda each: each.rank)
    return None


def _weight(weights, slack: float) -> tuple[str, int, float]:
    """A weight (T,) in words, its rank, and its value if it is a number."""
    first = float(weights[0])
    if np.ptp(weights) < slack * np.abs(weights).max():
        words = (
            "" if abs(first - 1) < slack else "minus " if abs(first + 1) < slack else ""
        )
        if not words and abs(first - 1) >= slack:
            words = f"{first:.4g} times "
        return words, 0 if abs(first - 1) < slack else 1, first
    levels = np.stack(
        [np.ones_like(_TIMES), np.log(1 - _TIMES), np.log(_TIMES)], axis=1
    )
    logs = np.log(np.abs(weights))
    fit = np.linalg.lstsq(levels, logs, rcond=None)[0]
    powers = np.round(2 * fit[1:]) / 2
    scale = np.sign(first) * np.exp(np.mean(logs - levels[:, 1:] @ powers))
    told = scale * np.exp(levels[:, 1:] @ powers)
    if np.abs(told / weights - 1).max() < 10 * slack:
        parts = [] if abs(scale - 1) < 10 * slack else [f"{scale:.4g}"]
        for name, power in zip(("alpha", "sigma"), powers, strict=True):
            if power:
                parts.append(name if power == 1 else f"{name}^{power:g}")
        return f"{' '.join(parts)} times ", 2, float("nan")
    return (
        f"with a weight of its own ({weights[0]:.2g} at t = {_TIMES[0]:g}, "
        f"{weights[-1]:.2g} at {_TIMES[-1]:g}), ",
        3,
        float("nan"),
    )


class Probe:
    """A guidance, and its values on the problems that questions need.

    Args:
        field: whose guidance it is.
    """

    def __init__(self, field: AbstractApproximation):
        self.field = field

    def at(self, numbers: Numbers, shift=0.0, size=1.0) -> np.ndarray:
        """Guidances by time, (T, n)."""
        states = _states(shift, size)
        return _by_time(_guidances(self.field, probes.build(numbers), *states))

    def error(self, kind: str) -> tuple[float, float]:
        """Largest relative error of all times on a problem, and its time."""
        exact = _exact(kind, jnp.zeros(()).dtype)
        rest = np.linalg.norm(self.at(KINDS[kind]) - exact, axis=1)
        errors = rest / np.linalg.norm(exact, axis=1)
        return float(errors.max()), float(_TIMES[np.argmax(errors)])


@functools.cache
def _exact(kind: str, dtype) -> np.ndarray:
    del dtype
    exact = references()["Exact"]
    return _by_time(_guidances(exact, probes.target(kind), *_states()))


def findings(field: AbstractApproximation, facts: Facts | None) -> list[Finding]:
    """What there is to say of a guidance at single points.

    Args:
        field: an approximation, or a function as one.
        facts: of the approximation; None for a function, of which nothing is claimed.
    """
    probe = Probe(field)
    usual = probe.at(KINDS["any"])
    bad = int((~np.isfinite(usual)).sum())
    if bad:
        return [
            Finding(
                "Are its values finite?",
                f"no: {bad} of {usual.size} numbers of the guidance are not, inside the "
                "path. Look for a division by 0, a root at 0 or an overflow; "
                'jax.config.update("jax_debug_nans", True) stops at the place.',
                "failed",
                {"nonfinite": bad},
            )
        ]
    found = [_exactness(probe, *each) for each in _PRIORS.items()]
    found += [_nearest(field, usual), *_sign(usual), _uses_noise(probe, usual, facts)]
    found += _origin(probe, usual)
    if isinstance(field, Given) and field.takes_batches:
        found.append(_coupling(field))
    return [each for each in found if each is not None]


_PRIORS = {"one gaussian": "a Gaussian prior", "any": "a mixture"}


def _exactness(probe: Probe, kind: str, words: str) -> Finding:
    error, t = probe.error(kind)
    exact = error < 100 * tolerance()
    answer = f"yes, {percent(error)}." if exact else f"no: off by {percent(error)}"
    answer += "" if exact else f" at worst, at t = {t:g} of the path alpha = 1 - t."
    return Finding(
        f"Is the guidance exact for {words}?", answer, "noted", {"error": error}
    )


def _nearest(field: AbstractApproximation, usual) -> Finding | None:
    own = {type(each) for each in references().values()}
    if type(field) in own:
        return None
    question = "Which method is it?"
    if not np.abs(usual).max():
        return Finding(question, "none: there is no guidance, y is ignored.", "noted")
    found = match(usual, 10 * tolerance())
    if found is None:
        known = _known("R", jnp.zeros(()).dtype)
        away = {name: gap(usual, value) for name, value in known.items()}
        name = min(away, key=away.get)
        words = f"none of the catalogue; the nearest is {name}, off by"
        return Finding(question, f"{words} {percent(away[name])}.", "noted", away)
    wrong = NOISES[found.noise]
    exact = bool(references()[found.reference].facts.exact_when)
    minus = found.constant < 0 or found.weight.startswith("-")
    faulty = minus or wrong.status == "failed" or (exact and found.rank == 2)
    words = f"like {found.weight}{found.reference}"
    words += f" {wrong.words}" if wrong.words else ""
    words += f", to {found.error:.0e}"
    if minus:
        words += ": the sign of the guidance is wrong"
    elif found.rank == 2 and exact:
        words += ": a mean and a score are mixed up"
    elif not faulty and (found.rank > 1 or " with " in found.reference):
        words += ": another convention of the same method"
    status = "failed" if faulty else "noted"
    return Finding(question, f"{words}.", status, {"error": found.error})


def _sign(usual) -> list[Finding]:
    exact = _exact("any", jnp.zeros(()).dtype)
    sizes = np.linalg.norm(usual, axis=1) * np.linalg.norm(exact, axis=1)
    cosines = np.sum(usual * exact, axis=1) / np.where(sizes > 0, sizes, 1.0)
    words = f"cosine with the exact guidance {cosines.min():.2f} to {cosines.max():.2f}"
    question = "Does it point to the observation?"
    numbers = {"least": float(cosines.min()), "most": float(cosines.max())}
    if cosines.mean() < -0.1 and cosines[0] < 0:
        answer = f"no, away from it ({words}): the sign of the guidance is wrong."
        return [Finding(question, answer, "failed", numbers)]
    return [Finding(question, f"{words}.", "noted", numbers)]


def _uses_noise(probe: Probe, usual, facts: Facts | None) -> Finding:
    effect = gap(probe.at(VARIANTS["twice the noise"]), usual)
    question, numbers = "Does it use the noise level R?", {"effect": effect}
    if effect > _MOVED:
        words = f"yes: twice R changes it by {percent(effect)}."
        return Finding(question, words, "noted", numbers)
    known = facts is not None and not facts.uses_noise
    zeta = facts is None and (m := match(usual, 10 * tolerance())) is not None
    known = known or (zeta and not references()[m.reference].facts.uses_noise)
    words = "no: it ignores the noise level"
    words += ", as its kind does." if known else ": twice R changes nothing."
    return Finding(question, words, "noted" if known else "failed", numbers)


def _origin(probe: Probe, usual) -> list[Finding]:
    """What a shift of the origin changes: nothing, unless something is clipped."""
    numbers, small = KINDS["any"], _smaller(KINDS["any"])
    far = gap(probe.at(_moved_to(numbers, _SHIFT), _SHIFT), usual)
    question, seen = "Does it depend on where the origin is?", {"effect": far}
    if not far > 1e3 * tolerance():
        return [Finding(question, "no.", "noted", seen)]
    near = 0.02 * _SHIFT
    inside = probe.at(small, size=_SMALL)
    effect = gap(probe.at(_moved_to(small, near), near, _SMALL), inside)
    if effect < 1e3 * tolerance():
        words = "it clips to [-1, 1], or to about that: a shift far from there changes"
        words += f" it by {percent(far)}, a shift within changes nothing."
        return [Finding(question, words, "failed", seen)]
    words = f"yes: a shift of the problem changes the guidance by {percent(far)}."
    return [Finding(question, words, "noted", seen)]


def _coupling(field: Given) -> Finding:
    """Whether points in a batch get what each gets alone."""
    target, (xs, ts) = probes.target("any"), _states()
    rows, t = xs[2 * _POINTS : 2 * _POINTS + 4], ts[2 * _POINTS]
    together = np.asarray(field.fn(target, rows, t))
    alone = np.stack([np.asarray(field.guidance(target, row, t)) for row in rows])
    question = "Is a point in a batch the same as alone?"
    error = gap(together, alone)
    if error < 100 * tolerance():
        return Finding(question, f"yes, {percent(error)}.", "passed", {"error": error})
    words = "no: it couples the particles of a batch; four together differ by "
    words += (
        f"{percent(error)} from each alone. Look for a norm or a mean over all axes."
    )
    return Finding(question, words, "failed", {"error": error})
