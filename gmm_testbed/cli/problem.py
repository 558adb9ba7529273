"""One problem and one sampler: its law where it can be computed, samples where not."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from .. import divergences, laws, methods, plotting, sweep
from .. import testbeds as problems
from .._checks import InputError, require
from ..divergences import PlaneDensity
from ..estimate import Estimate
from ..laws import AbstractLaw
from ..measures import measures
from ..method import AbstractDescribed, AbstractMethod
from ..paths.grids import time_grid
from ..problem import Target
from ..sampling import sample
from ..study.statement import write_sidecar
from ..sweep.provenance import provenance

EXACT_GRID = "exact law, by quadrature"
EXACT_AFFINE = "exact law, in closed form"
EXACT_REDUCED = "exact law, by reduction"
NODES = {1: 4_000, 2: 60_000}  # of a law after one step, at most as a rule
REPEATS = 10  # sets of exact samples, for the floors


class Case(NamedTuple):
    """What the command line asks for.

    Attributes:
        problem: name in the catalogue.
        method: as `gt.methods.get` takes it.
        steps: number of steps.
        t_min: where it stops.
        samples: how many, where no law can be computed.
        seed: of the samples.
    """

    problem: str
    method: str = "Guided(DPS, DDPM)"
    steps: int = 100
    t_min: float = problems.T_MIN
    samples: int = 100_000
    seed: int = 0


class Found(NamedTuple):
    """Measures of one case.

    Attributes:
        how: what they rest on.
        values: by name, the entries of arrays one by one.
        remarks: what else should be known, a line each.
        law: the law, None if there are only samples.
        floors: of what was sampled: mean and spread over sets of as many exact samples.
    """

    how: str
    values: dict[str, Estimate]
    remarks: list[str]
    law: Any
    floors: Mapping[str, Estimate] = MappingProxyType({})


def show(case: Case, screen: Console, output: Path | None) -> None:
    """Prints every measure of a case; writes a CSV and a figure into a folder, if any."""
    target = problems.get(case.problem)
    sampler = methods.get(case.method)
    require_room(case, target)
    times = time_grid(target.path, case.steps, t_min=case.t_min)
    found = measured(sampler, target, times, case.samples, case.seed)
    title = f"{case.problem}: {case.method}, N = {case.steps}, t = {case.t_min:g}"
    how, values, floors = found.how, found.values, found.floors
    screen.print(plotting.tables.measures(title, how, values, floors))
    for line in found.remarks:
        screen.print(line)
    if output is not None:
        labels = dict(zip(Case._fields[:3], case[:3], strict=True))
        floors = {_of_floor(name): floor for name, floor in floors.items()}
        rows = [
            labels
            | {"measure": name, "t": case.t_min, "value": float(e.value)}
            | {"stderr": float(e.stderr), "how": e.how}
            for name, e in (values | floors).items()
        ]
        sweep.write(rows, output / "measures.csv")
        files = ["measures.csv", *draw(found, target, title, output)]
        written = [output / name for name in files]
        write_sidecar(written, output, [provenance()], f"gmm-testbed run {title}")
        screen.print(f"Written to {output}: {', '.join(files)}")


def require_room(case: Case, target: Target) -> None:
    """Refuses what does not fit into memory, where XLA would abort the process."""
    prior = target.problem.prior
    of_law = case.steps * NODES.get(prior.dim, prior.dim)
    needed = 8 * (of_law + 4 * case.samples * (prior.dim + prior.num_components))
    memory = memory_of_machine()
    require(
        needed < memory,
        "this would take more memory than there is",
        got=f"{case.steps} steps, {case.samples} samples: some {needed / 1e9:.3g} GB",
        expected=f"at most {memory / 1e9:.3g} GB",
        hint="give fewer --steps or --samples",
    )


def memory_of_machine() -> float:
    """Bytes of memory of this machine; infinity where the system does not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return math.inf


def measured(
    sampler: AbstractDescribed, target: Target, times, samples: int, seed: int
) -> Found:
    """A law on a grid (d at most 2), in closed form or by reduction, or else samples.

    Args:
        sampler: any that `gt.sample` runs.
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
    ways = {EXACT_AFFINE: laws.affine, EXACT_REDUCED: laws.reduced}
    remarks = []
    if not beyond:
        ways = {EXACT_GRID: laws.grid}
    if not isinstance(sampler, AbstractMethod):
        ways = {}
        remarks.append("no exact law: particles meet, or run in another program")
    for how, compute in ways.items():
        try:
            law = compute(sampler, target, times)
            values = measures.scalars(measures.of(law, target, times[-1]))
            return Found(how, values, [], law)
        except InputError as error:
            lines = (" ".join(line.split()) for line in str(error).splitlines()[:-1])
            remarks.append(f"no exact law: {'; '.join(lines)}")
    found = by_samples(sampler, target, times, samples, seed)
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


def by_samples(
    sampler: AbstractDescribed, target: Target, times, num: int, seed: int
) -> Found:
    """Measures of `num` samples, each beside that of exact samples."""
    key, t = jax.random.key(seed), times[-1]
    posterior = target.posterior(t)
    drawn = sample(key, sampler, target, times, num)
    key_metric, key_floor = jax.random.split(jax.random.fold_in(key, num))
    log_weights = drawn.log_weights if sampler.facts.output == "weighted" else None
    entry = measures.furthest(drawn.x, posterior, log_weights)

    def of(x, log_weights=None):
        case = key_metric, x, target, t, entry
        found = measures.of_samples(*case, log_weights=log_weights)
        return {name: e for name, e in found.items() if name != "mode_weight_exact"}

    def flat(x, mixture):
        values = [(jnp.ravel(e.value), jnp.ravel(e.stderr)) for e in of(x).values()]
        return Estimate(*map(jnp.concatenate, zip(*values, strict=True)))

    values = measures.scalars(of(drawn.x, log_weights))
    level = divergences.floor(flat, key_floor, posterior, num, REPEATS)
    pairs = zip(np.asarray(level.mean.value), np.asarray(level.spread), strict=True)
    how = f"{REPEATS} sets of {num} exact samples"
    floors = {
        name: Estimate(*pair, how) for name, pair in zip(values, pairs, strict=True)
    }
    if not posterior.atomic:
        exact = {"mode_weight_exact": Estimate(jnp.exp(posterior.log_weights))}
        values |= measures.scalars(exact)
    remarks = [
        f"floor: mean ± spread of {how}",
        f"{drawn.info.nonfinite} of {num} samples are not finite",
    ]
    return Found(f"{num} samples", values, remarks, None, floors)


def _of_floor(name: str) -> str:
    """mean_error[3] becomes mean_error_floor[3]."""
    head, bracket, index = name.partition("[")
    return f"{head}_floor{bracket}{index}"
