"""What a guidance is: exact or not, which method's, and with which mistakes."""

import functools

import jax.numpy as jnp
import numpy as np

from ..approximations import AbstractApproximation
from ..conformance import probes
from ..conformance.probes import KINDS, VARIANTS, Numbers, gap, tolerance
from ..method import Facts
from .conventions import (
    NOISES,
    POINTS,
    TIMES,
    by_reference,
    by_time,
    guidances,
    match,
    references,
    states,
)
from .given import Given
from .record import Finding, percent

_SHIFT = np.array([6.0, -7.0, 8.0])  # of the origin, far outside [-1, 1]
_SMALL = 0.1  # the problem in this size lies within [-1, 1]
_MOVED = 1e-6  # relative, of what depends on a thing


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


class Probe:
    """A guidance, and its values on the problems that questions need.

    Args:
        field: whose guidance it is.
    """

    def __init__(self, field: AbstractApproximation):
        self.field = field

    def at(self, numbers: Numbers, shift=0.0, size=1.0) -> np.ndarray:
        """Guidances by time, (T, n)."""
        points = states(shift, size)
        return by_time(guidances(self.field, probes.build(numbers), *points))

    def error(self, kind: str) -> tuple[float, float]:
        """Largest relative error of all times on a problem, and its time."""
        exact = _exact(kind, jnp.zeros(()).dtype)
        rest = np.linalg.norm(self.at(KINDS[kind]) - exact, axis=1)
        errors = rest / np.linalg.norm(exact, axis=1)
        return float(errors.max()), float(TIMES[np.argmax(errors)])


@functools.cache
def _exact(kind: str, dtype) -> np.ndarray:
    del dtype
    exact = references()["Exact"]
    return by_time(guidances(exact, probes.target(kind), *states()))


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
    if not usual.any():
        status = "failed" if facts is None or facts.uses_noise else "noted"
        words = "none: there is no guidance, it ignores y."
        return [*found, Finding("Which method is it?", words, status)]
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
    found = match(usual, 10 * tolerance())
    if found is None:
        known = by_reference("R", jnp.zeros(()).dtype)
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
    if facts is None:
        alike = match(usual, 10 * tolerance())
        known = alike is not None and not references()[alike.reference].facts.uses_noise
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
    target, (xs, ts) = probes.target("any"), states()
    rows, t = xs[2 * POINTS : 2 * POINTS + 4], ts[2 * POINTS]
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
