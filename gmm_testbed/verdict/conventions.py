"""Which method a guidance is that of, and by which convention."""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import approximations
from ..approximations import AbstractApproximation
from ..conformance import probes
from ..conformance.probes import KINDS

TIMES = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
POINTS = 6  # at each time


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


def states(shift=0.0, size=1.0):
    """Points (n, 3) and times (n,) for x0 of a size, moved as the origin is."""
    noise = probes.points(21, len(TIMES), POINTS, 3)
    centres = probes.points(22, len(TIMES), POINTS, 3)
    alpha, sigma = ((1 - TIMES)[:, None, None], TIMES[:, None, None])
    x = alpha * (size * centres + shift) + sigma * noise
    t = np.repeat(TIMES, POINTS)
    return jnp.asarray(x.reshape(-1, 3), float), jnp.asarray(t, float)


@eqx.filter_jit
def guidances(field, target, xs, ts):
    """Guidances (n, d) at points (n, d) and times (n,); compiled once a field."""
    return jax.vmap(lambda x, t: field.guidance(target, x, t))(xs, ts)


@eqx.filter_jit
def _of_references(references, target, xs, ts):
    return {name: guidances(each, target, xs, ts) for name, each in references.items()}


def by_time(values) -> np.ndarray:
    """Numbers of all points in rows of one time, (T, n)."""
    return np.asarray(values, np.float64).reshape(len(TIMES), -1)


@functools.cache
def by_reference(noise: str, dtype) -> dict[str, np.ndarray]:
    """Guidances of all references by time, (T, n), with another noise for R."""
    del dtype  # of the session: a key of the cache
    xs, ts = states()
    constant = np.allclose(_noise(noise, 0.2), _noise(noise, 0.8))
    rows = {name: [] for name in references()}
    for index, t in enumerate(TIMES):
        if index == 0 or not constant:
            changed = KINDS["any"]._replace(R=_noise(noise, t))
            found = _of_references(references(), probes.build(changed), xs, ts)
            # (R + f H C H^T)^{-1} is 1 / f times (R / f + H C H^T)^{-1}
            scale = 1.0 if constant else _noise(noise, t)[0, 0] / _noise("R", t)[0, 0]
            found = {name: scale * by_time(value) for name, value in found.items()}
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
        for name, known in by_reference(noise, jnp.zeros(()).dtype).items():
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
    levels = np.stack([np.ones_like(TIMES), np.log(1 - TIMES), np.log(TIMES)], axis=1)
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
        f"with a weight of its own ({weights[0]:.2g} at t = {TIMES[0]:g}, "
        f"{weights[-1]:.2g} at {TIMES[-1]:g}), ",
        3,
        float("nan"),
    )
