"""Every measure of one law, in one compiled program; and the rows they become."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Array

from . import diagnostics, divergences
from ._types import Scalar
from .divergences import AbstractDensity, LineDensity
from .laws.line_steps import mixture_log_prob
from .mixture import GaussianMixture
from .problem import Target

_EMPTY = 1e-12  # of the largest: a frequency that is not there


class Row(NamedTuple):
    """One number of one case: a line of the table that `write` writes.

    Attributes:
        problem: its name.
        approximation: its name, with options.
        kernel: its name, with options.
        steps: N.
        measure: what was measured; "unresolved" if nothing could be.
        t: the time of the law.
        value: the number, NaN for an unresolved case.
        note: the reason why a case is unresolved, or how a number was found.
    """

    problem: str
    approximation: str
    kernel: str
    steps: int
    measure: str
    t: float
    value: float
    note: str = ""


UNRESOLVED = "unresolved"


def write(rows: Iterable[Row], path: Path) -> None:
    """Writes a CSV, one row a value."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)


def scalars(values: Mapping[str, Array]) -> dict[str, float]:
    """Numbers by name; the entries of an array become name[0], name[1], ..."""
    found = {}
    for name, value in values.items():
        host = np.asarray(value)
        if host.ndim == 0:
            found[name] = float(host)
        else:
            entries = np.ndenumerate(host)
            found |= {f"{name}[{','.join(map(str, i))}]": float(v) for i, v in entries}
    return found


@eqx.filter_jit
def final(density: AbstractDensity, target: Target, t: Scalar) -> dict[str, Array]:
    """All measures of the law of a sampler's output, on the line or in the plane.

    Divergences are from the exact posterior marginal at the same time t; those named
    `..._to_data` from the posterior itself, at time 0. Errors are law minus exact.

    Args:
        density: the law at time t; its grid must cover the posterior.
        target: with an exact posterior.
        t: (), positive.
    """
    posterior, data = target.posterior(t), target.problem.posterior()
    spurious = diagnostics.hallucinated_prior_mass(density, target, t)
    overshot = diagnostics.hallucinated_likelihood_mass(density, target, t)
    found = {
        "kl": divergences.kl_to(density, posterior),
        "kl_from": divergences.kl_from(density, posterior),
        "tv": divergences.tv(density, posterior),
        "fisher": divergences.fisher(density, posterior),
        **_moment_errors(density, posterior, ""),
        **_moment_errors(density, data, "_to_data"),
        "spread_ratio": diagnostics.spread_ratio(density, posterior),
        "mode_weight": diagnostics.mode_weights(density, posterior),
        "mode_weight_error": diagnostics.mode_weight_error(density, posterior),
        "hallucinated_prior_mass": spurious.law,
        "hallucinated_prior_mass_exact": spurious.exact,
        "hallucinated_likelihood_mass": overshot.law,
        "hallucinated_likelihood_mass_exact": overshot.exact,
        "escaped_mass": density.escaped_mass,
    }
    if isinstance(density, LineDensity):
        found |= {
            "w1": divergences.w1(density, posterior),
            "w2": divergences.w2(density, posterior),
            "w1_to_data": divergences.w1(density, data),
            "w2_to_data": divergences.w2(density, data),
        }
    return found


def passing(density: LineDensity, posterior: GaussianMixture) -> dict[str, float]:
    """The measures that are followed in time, by the plain trapezoidal rule.

    Good to about 1e-4, which is enough for a curve; `final` is the accurate version.

    Args:
        density: the law at a time, as `LineLaw.native` gives it.
        posterior: the exact marginal at that time.
    """
    x = np.asarray(density.position)[:, None]
    weights = np.asarray(density.weights())
    variances = np.asarray(posterior.base)[None, :]
    means = np.asarray(posterior.means)[None, :, 0]
    heights = np.exp(
        np.asarray(posterior.log_weights)[None] - 0.5 * (x - means) ** 2 / variances
    )
    parts = heights / np.sqrt(2 * np.pi * variances)
    exact = parts.sum(axis=1)
    volumes = float(density.spacing) * np.asarray(density.jacobian)
    inside = float((volumes * exact).sum())
    mean = float(weights @ x[:, 0])
    shares = parts / np.where(exact > 0, exact, 1.0)[:, None]
    modes = weights @ shares
    missing = np.abs(modes - np.exp(np.asarray(posterior.log_weights))).sum()
    return {
        "tv": 0.5
        * float(np.abs(weights - volumes * exact).sum() + max(1.0 - inside, 0.0)),
        "spread_ratio": float(weights @ (x[:, 0] - mean) ** 2)
        / float(posterior.total_variance()),
        "mode_weight_error": 0.5 * float(missing),
    }


def thinned(
    density: LineDensity, least: int, mixture: GaussianMixture | None = None
) -> LineDensity:
    """The law on every second node, again and again, where that loses nothing.

    A grid follows the kernel, which is narrower than the law it makes when steps are
    short. Halving stops at `least` nodes, or where the highest frequencies of the root of
    the law, or of the mixture, are more than 1e-12 of all.
    """
    roots = [np.exp(0.5 * np.asarray(density.log_density))]
    if mixture is not None:
        log_prob = mixture_log_prob(mixture, density.points())
        roots.append(np.exp(0.5 * np.asarray(log_prob)))
    spectra = [np.abs(np.fft.rfft(root)) for root in roots]
    count, stride = density.position.shape[0], 1
    while count // (2 * stride) >= least and not any(
        spectrum[count // (4 * stride) :].max() > _EMPTY * spectrum.max()
        for spectrum in spectra
    ):
        stride *= 2
    return LineDensity(
        density.position[::stride],
        density.jacobian[::stride],
        density.spacing * stride,
        density.log_density[::stride],
        density.escaped_mass,
    )


def _moment_errors(
    density: AbstractDensity, mixture: GaussianMixture, suffix: str
) -> dict[str, Any]:
    mean = divergences.mean(density) - mixture.mean()
    variance = divergences.variance(density) - mixture.total_variance()
    name = "mean_error" + suffix
    return {
        name: mean[0] if mean.shape == (1,) else mean,
        "variance_error" + suffix: variance,
    }
