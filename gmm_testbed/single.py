"""One case: the law of one sampler where it can be computed, samples where not."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from . import (
    approximations,
    demo,
    diagnostics,
    divergences,
    kernels,
    laws,
    measures,
    named,
    plotting,
    problems,
)
from ._checks import InputError
from .algorithms import Guided
from .divergences import PlaneDensity
from .estimate import Estimate
from .laws import AbstractLaw, AffineLaw, ReducedLaw
from .problem import Target
from .sampling import sample
from .time_grids import time_grid

EXACT_GRID = "exact law, by quadrature"
EXACT_AFFINE = "exact law, in closed form"
EXACT_REDUCED = "exact law, by reduction"
DIRECTIONS = 100  # of the sliced distance
PARTNERS = 50  # of each sample, where all pairs would be more
REPEATS = 10  # sets of exact samples, for the floors


class Case(NamedTuple):
    """What the command line asks for.

    Attributes:
        problem: name in the catalogue.
        approximation: name, or name:option=value.
        kernel: name, or name:option=value.
        steps: number of steps.
        t_min: where it stops.
        samples: how many, where no law can be computed.
        seed: of the samples.
    """

    problem: str
    approximation: str = "DPS"
    kernel: str = "DDPM"
    steps: int = 100
    t_min: float = problems.T_MIN
    samples: int = 100_000
    seed: int = 0


class Found(NamedTuple):
    """Measures of one case.

    Attributes:
        how: what they rest on.
        values: value and standard error by name; no error where the value is exact.
        remarks: what else should be known, a line each.
        law: the law, None if there are only samples.
        floors: of what was sampled: mean and spread over sets of as many exact samples.
    """

    how: str
    values: dict[str, tuple[float, float | None]]
    remarks: list[str]
    law: Any
    floors: Mapping[str, tuple[float, float]] = MappingProxyType({})


def show(case: Case, screen: Console, output: Path | None) -> None:
    """Prints every measure of a case; writes a CSV and a figure into a folder, if any."""
    target = problems.get(case.problem)
    sampler = Guided(
        named.from_text(case.approximation, approximations.CATALOGUE, "approximation"),
        named.from_text(case.kernel, kernels.CATALOGUE, "kernel"),
    )
    times = time_grid(target.path, case.steps, t_min=case.t_min)
    found = measured(sampler, target, times, case.samples, case.seed)
    what = f"{case.problem}: {case.approximation} with {case.kernel}"
    title = f"{what}, N = {case.steps}, t = {case.t_min:g}"
    how, values, floors = found.how, found.values, found.floors
    screen.print(plotting.tables.measures(title, how, values, floors))
    for line in found.remarks:
        screen.print(line)
    if output is not None:
        floors = {_of_floor(name): pair for name, pair in floors.items()}
        rows = [
            demo.Row(
                *case[:4],
                name,
                case.t_min,
                value,
                error if error is None else f"{error:.3g}",
            )
            for name, (value, error) in (values | floors).items()
        ]
        demo.write(rows, output / "measures.csv")
        files = ["measures.csv", *draw(found, target, title, output)]
        screen.print(f"Written to {output}: {', '.join(files)}")


def measured(sampler: Guided, target: Target, times, samples: int, seed: int) -> Found:
    """A law on a grid (d at most 2), in closed form or by reduction, or else samples.

    Args:
        sampler: `Guided(approximation, kernel)`.
        target: with an exact posterior.
        times: (N + 1,).
        samples: how many to draw where there is no law.
        seed: of their key.

    Raises:
        UnsupportedError: if the sampler cannot serve the problem at all, or there is no
            exact posterior to compare with.
    """
    target.posterior(times[-1])  # raises if there is none
    beyond = target.problem.prior.dim > 2
    remarks = []
    for compute in (_in_closed_form, _by_reduction) if beyond else (_on_a_grid,):
        try:
            return compute(sampler, target, times)
        except InputError as error:
            lines = (" ".join(line.split()) for line in str(error).splitlines()[:-1])
            remarks.append(f"no exact law: {'; '.join(lines)}")
    found = _by_samples(sampler, target, times, samples, seed)
    return found._replace(remarks=remarks + found.remarks)


def draw(found: Found, target: Target, title: str, output: Path) -> list[str]:
    """Writes a figure of the law, in d = 1 and 2; the names of its files."""
    if not isinstance(found.law, AbstractLaw):
        return []
    t = found.law.times[-1]
    posterior, density = target.posterior(t), found.law.at(-1)
    if isinstance(density, PlaneDensity):
        drawn = plotting.plane_pair(posterior, density, title)
    else:
        x = plotting.span(target)
        exact = plotting.exact_history(target, found.law.times, x)
        drawn = plotting.line_pair(exact, plotting.history(found.law, x), title)
    return [path.name for path in plotting.save(drawn, output / "law")]


def _on_a_grid(sampler, target, times) -> Found:
    law = laws.grid(sampler, target, times)
    truth = measures.reference(target, times[-1])
    values = measures.final(measures.own_grids(law.at(-1)), truth)
    return Found(EXACT_GRID, _exact(values), [], law)


def _in_closed_form(sampler, target, times) -> Found:
    law: AffineLaw = laws.affine(sampler, target, times)
    posterior, data = target.posterior(times[-1]), target.problem.posterior()
    found = {
        "kl": law.kl(posterior),
        "kl_from": law.kl_from(posterior),
        "w2": law.w2(posterior),
        "w2_to_data": law.w2(data),
        "fisher": law.fisher(posterior),
        "mean_error": law.mean() - posterior.mean(),
        "variance_error": jnp.diagonal(law.covariance() - posterior.covariance()),
        "spread_ratio": jnp.trace(law.covariance()) / posterior.total_variance(),
    }
    return Found(EXACT_AFFINE, _exact(found), [], law)


def _by_reduction(sampler, target, times) -> Found:
    law: ReducedLaw = laws.reduced(sampler, target, times)
    posterior, t = target.posterior(times[-1]), times[-1]
    lower, upper = law.tv(posterior)
    found = {
        "kl": law.kl(posterior),
        "kl_from": law.kl_from(posterior),
        "tv_lower": lower,
        "tv_upper": upper,
        "fisher": law.fisher(posterior),
    }
    if law.frame.shape[1] == 1:
        found["w2"] = law.w2(posterior)
    beyond = law.num_beyond * law.variances[-1]
    total = jnp.trace(law.inside.covariance()) + beyond
    found["mean_error"] = law.mean() - posterior.mean()
    found["spread_ratio"] = total / posterior.total_variance()
    # Beyond the frame the components are alike: modes are those of the law inside.
    density, modes = law.inside.at(-1), law.inside.target.posterior(t)
    found["mode_weight"] = diagnostics.mode_weights(density, modes)
    found["mode_weight_exact"] = jnp.exp(modes.log_weights)
    found["escaped_mass"] = law.escaped_mass
    return Found(EXACT_REDUCED, _exact(found), [], law)


def _by_samples(sampler, target, times, num, seed) -> Found:
    key, posterior = jax.random.key(seed), target.posterior(times[-1])
    drawn = sample(key, sampler, target, times, num)
    key_metric, key_floor = jax.random.split(jax.random.fold_in(key, num))
    entry = _furthest(divergences.covariance_error(drawn.x, posterior))

    def metrics(x, mixture):
        return _flat(_of_samples(key_metric, x, mixture, entry))

    found = _of_samples(key_metric, drawn.x, posterior, entry)
    level = divergences.floor(metrics, key_floor, posterior, num, REPEATS)
    names = [name for part, e in found.items() for name in _names(part, e.value)]
    values = dict(zip(names, _pairs(_flat(found)), strict=True))
    floors = dict(
        zip(names, _pairs(Estimate(level.mean.value, level.spread)), strict=True)
    )
    if not posterior.atomic:
        exact = jnp.exp(posterior.log_weights)
        values |= _exact({"mode_weight_exact": exact})
    remarks = [
        f"floor: mean ± spread of {REPEATS} sets of {num} exact samples",
        f"{drawn.info.nonfinite} of {num} samples are not finite",
    ]
    return Found(f"{num} samples", values, remarks, None, floors)


def _of_samples(key, x, posterior, entry) -> dict[str, Estimate]:
    """Everything that is measured of samples; `entry` of the covariance."""
    partners = PARTNERS if x.shape[0] > 2 * PARTNERS else None
    covariance = divergences.covariance_error(x, posterior)
    spread = jnp.sum((x - jnp.mean(x, axis=0, keepdims=True)) ** 2, axis=1)
    found = {
        "sliced_w2": divergences.sliced_wasserstein(
            key, x, posterior, directions=DIRECTIONS
        ),
        "mmd_squared": divergences.mmd_squared(x, posterior, partners=partners),
        "mean_error": divergences.mean_error(x, posterior),
        "variance_error": _at(covariance, jnp.diag_indices(x.shape[1])),
        "spread_ratio": Estimate.mean_of(spread) / posterior.total_variance(),
    }
    if entry is not None:
        i, j = entry
        found[f"covariance_error[{i},{j}]"] = _at(covariance, entry)
    if not posterior.atomic:
        found["mode_weight"] = divergences.mode_weights(x, posterior).weights
    return found


def _furthest(covariance: Estimate) -> tuple[int, int] | None:
    """Of the entries below the diagonal, the one most standard errors from zero."""
    below = np.tril_indices(covariance.value.shape[0], -1)
    if below[0].size == 0:
        return None
    z = (
        np.abs(np.asarray(covariance.value)[below])
        / np.asarray(covariance.stderr)[below]
    )
    worst = int(np.argmax(z))
    return int(below[0][worst]), int(below[1][worst])


def _at(estimate: Estimate, index) -> Estimate:
    return Estimate(estimate.value[index], estimate.stderr[index], estimate.how)


def _flat(found: dict[str, Estimate]) -> Estimate:
    """All numbers in one row."""
    values = jnp.concatenate([jnp.ravel(e.value) for e in found.values()])
    errors = jnp.concatenate([jnp.ravel(e.stderr) for e in found.values()])
    return Estimate(values, errors)


def _names(name: str, value) -> list[str]:
    return [name] if value.ndim == 0 else [f"{name}[{i}]" for i in range(len(value))]


def _pairs(estimate: Estimate) -> list[tuple[float, float]]:
    rows = zip(np.asarray(estimate.value), np.asarray(estimate.stderr), strict=True)
    return [(float(value), float(error)) for value, error in rows]


def _exact(values) -> dict[str, tuple[float, None]]:
    """Numbers without an error, by name."""
    return {name: (value, None) for name, value in measures.scalars(values).items()}


def _of_floor(name: str) -> str:
    """mean_error[3] becomes mean_error_floor[3]."""
    head, bracket, index = name.partition("[")
    return f"{head}_floor{bracket}{index}"
