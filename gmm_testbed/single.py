"""One case: the law of one sampler where it can be computed, samples where not."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from . import approximations, demo, kernels, laws, measures, named, plotting, problems
from ._checks import InputError
from .divergences import PlaneDensity
from .laws import AbstractLaw, AffineLaw
from .problem import Target
from .sampling import Guided, sample
from .time_grids import time_grid

EXACT_GRID = "exact law, by quadrature"
EXACT_AFFINE = "exact law, in closed form"


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
    """

    how: str
    values: dict[str, tuple[float, float | None]]
    remarks: list[str]
    law: Any


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
    screen.print(plotting.tables.measures(title, found.how, found.values))
    for line in found.remarks:
        screen.print(line)
    if output is not None:
        rows = [
            demo.Row(
                *case[:4],
                name,
                case.t_min,
                value,
                error if error is None else f"{error:.3g}",
            )
            for name, (value, error) in found.values.items()
        ]
        demo.write(rows, output / "measures.csv")
        files = ["measures.csv", *draw(found, target, title, output)]
        screen.print(f"Written to {output}: {', '.join(files)}")


def measured(sampler: Guided, target: Target, times, samples: int, seed: int) -> Found:
    """The law on a grid (d at most 2), an affine law, or else samples.

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
    dim = target.problem.prior.dim
    compute = _on_a_grid if dim <= 2 else _in_closed_form
    try:
        return compute(sampler, target, times)
    except InputError as error:
        reason = "; ".join(
            " ".join(line.split()) for line in str(error).splitlines()[:-1]
        )
    found = _by_samples(sampler, target, times, samples, seed)
    return found._replace(remarks=[f"no exact law: {reason}", *found.remarks])


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
    return Found(EXACT_GRID, {k: (v, None) for k, v in values.items()}, [], law)


def _in_closed_form(sampler, target, times) -> Found:
    law: AffineLaw = laws.affine(sampler, target, times)
    posterior, data = target.posterior(times[-1]), target.problem.posterior()
    values = measures.scalars(
        {
            "kl": law.kl(posterior),
            "kl_from": law.kl_from(posterior),
            "w2": law.w2(posterior),
            "w2_to_data": law.w2(data),
            "fisher": law.fisher(posterior),
            "mean_error": law.mean() - posterior.mean(),
            "variance_error": jnp.diagonal(law.covariance() - posterior.covariance()),
            "spread_ratio": jnp.trace(law.covariance()) / posterior.total_variance(),
        }
    )
    return Found(EXACT_AFFINE, {k: (v, None) for k, v in values.items()}, [], law)


def _by_samples(sampler, target, times, num, seed) -> Found:
    drawn = sample(jax.random.key(seed), sampler, target, times, num)
    posterior, x = target.posterior(times[-1]), np.asarray(drawn.x)
    exact_mean = np.asarray(posterior.mean())
    exact_covariance = np.asarray(posterior.covariance())
    values = _estimates("mean_error", x - exact_mean)
    offset = x - x.mean(axis=0)
    values |= _estimates("variance_error", offset**2 - np.diag(exact_covariance))
    squares = (offset**2).sum(axis=1) / np.trace(exact_covariance)
    values["spread_ratio"] = _estimate(squares)
    values |= _largest_covariance_error(offset, exact_covariance)
    if not posterior.atomic:
        shares = np.asarray(_responsibilities(posterior, drawn.x))
        for k, weight in enumerate(np.exp(np.asarray(posterior.log_weights))):
            values[f"mode_weight[{k}]"] = _estimate(shares[:, k])
            values[f"mode_weight_exact[{k}]"] = float(weight), None
    remarks = [f"{drawn.info.nonfinite} of {num} samples are not finite"]
    return Found(f"{num} samples", values, remarks, None)


@jax.jit
def _responsibilities(mixture, x):
    return jax.lax.map(mixture.responsibilities, x, batch_size=4096)


def _estimate(terms) -> tuple[float, float | None]:
    """Mean and its standard error."""
    return float(terms.mean()), float(terms.std() / np.sqrt(len(terms)))


def _estimates(name, terms):
    return {f"{name}[{i}]": _estimate(terms[:, i]) for i in range(terms.shape[1])}


def _largest_covariance_error(offset, exact):
    """Off the diagonal: the one that is most standard errors away."""
    found = {
        f"covariance_error[{i},{j}]": _estimate(
            offset[:, i] * offset[:, j] - exact[i, j]
        )
        for i in range(len(exact))
        for j in range(i)
    }
    if not found:
        return {}
    worst = max(found, key=lambda name: abs(found[name][0]) / found[name][1])
    return {worst: found[worst]}
