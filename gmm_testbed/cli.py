"""The command line: `gmm-testbed demo | list | run`."""

import os

os.environ.setdefault("NPROC", "4")  # jaxlib 0.10 can deadlock on few cores without it

import functools
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import typer

from . import approximations, demo, kernels, laws, measures, named, plotting, problems
from ._checks import InputError
from .sampling import Guided, sample
from .time_grids import time_grid

jax.config.update("jax_enable_x64", True)  # the library itself never sets it

app = typer.Typer(
    help="Diffusion posterior samplers against the truth, on Gaussian mixtures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_SAMPLES = 100_000


def main() -> None:
    """Entry point of `gmm-testbed`."""
    app()


def _clean(command):
    """An error in what was asked for is a message and exit code 2, not a traceback."""

    @functools.wraps(command)
    def inside(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except InputError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None

    return inside


@app.command("demo")
@_clean
def demo_command(
    output: Annotated[Path, typer.Option(help="Folder for figures and table.")] = Path(
        "results/demo"
    ),
    quick: Annotated[bool, typer.Option(help="A few cases only.")] = False,
) -> None:
    """Exact laws and all measures on two testbeds: table, figures and CSV."""
    folder = demo.prepared(output)
    plan = demo.QUICK if quick else demo.FULL
    console = plotting.tables.console()
    outcome = demo.run(plan, folder, console)
    for table in demo.tables(plan, outcome.rows):
        console.print(table)
    reasons = demo.unresolved(outcome.rows)
    if reasons:
        console.print("No law on a grid (a dash in the table):")
        for reason in reasons:
            console.print(f"  {reason}")
    files = sorted(path.name for path in folder.iterdir() if path.suffix != ".pdf")
    console.print(f"Written to {folder}: {', '.join(files)}; each PNG also as PDF")


@app.command("list")
@_clean
def list_command() -> None:
    """Problems, approximations and kernels, one line each."""
    console = plotting.tables.console()
    rows = []
    for name, build in problems.CATALOGUE.items():
        prior = build().problem.prior
        size = f"{prior.dim}", f"{prior.num_components}"
        rows.append((name, *size, build.__doc__.splitlines()[0]))
    console.print(plotting.tables.listing("Problems", ("name", "d", "K", "what"), rows))
    for title, catalogue in (
        ("Approximations", approximations.CATALOGUE),
        ("Kernels", kernels.CATALOGUE),
    ):
        rows = [
            (name, chosen.facts.summary + "; " + chosen.facts.reference)
            for name, chosen in catalogue.items()
        ]
        console.print(plotting.tables.listing(title, ("name", "what; reference"), rows))


@app.command("run")
@_clean
def run_command(
    problem: Annotated[str, typer.Argument(help="A name of `gmm-testbed list`.")],
    approximation: Annotated[
        str, typer.Option(help="Name, or name:option=value.")
    ] = "DPS",
    kernel: Annotated[str, typer.Option(help="Name, or name:option=value.")] = "DDPM",
    steps: Annotated[int, typer.Option(help="Number of steps N.")] = 100,
    t_min: Annotated[float, typer.Option(help="Last time.")] = problems.T_MIN,
    output: Annotated[Path | None, typer.Option(help="Folder for a CSV.")] = None,
) -> None:
    """One case, with every measure that can be had."""
    target = problems.get(problem)
    sampler = Guided(
        named.from_text(approximation, approximations.CATALOGUE, "approximation"),
        named.from_text(kernel, kernels.CATALOGUE, "kernel"),
    )
    times = time_grid(target.path, steps, t_min=t_min)
    folder = None if output is None else demo.prepared(output)
    how, values = _measured(sampler, target, times)
    console = plotting.tables.console()
    title = f"{problem}: {approximation} with {kernel}, N = {steps}, t_min = {t_min:g}"
    rows = [(name, value) for name, value in values.items()]
    table = plotting.tables.listing(title, ("measure", how), rows)
    console.print(table)
    if folder is not None:
        key = problem, approximation, kernel, steps
        measures.write(
            [
                measures.Row(*key, name, t_min, float(value.split()[0]), value)
                for name, value in values.items()
            ],
            folder / "measures.csv",
        )
        console.print(f"Written to {folder}: measures.csv")


def _measured(sampler, target, times) -> tuple[str, dict[str, str]]:
    """How the case was measured, and each measure as text."""
    prior = target.problem.prior
    if prior.dim <= 2:
        density = laws.grid(sampler, target, times).at(-1)
        found = measures.scalars(measures.final(density, target, times[-1]))
        return "exact law, by quadrature", {k: f"{v:.6g}" for k, v in found.items()}
    exact = target.posterior(times[-1])
    if prior.num_components == 1:
        law = laws.affine(sampler, target, times)
        found = {
            "kl": law.kl(exact),
            "kl_from": law.kl_from(exact),
            "w2": law.w2(exact),
        }
        return "exact law, closed form", {
            k: f"{float(v):.6g}" for k, v in found.items()
        }
    drawn = sample(jax.random.key(0), sampler, target, times, _SAMPLES)
    x = np.asarray(drawn.x)
    mean, deviation = np.asarray(exact.mean()), x.std(axis=0) / np.sqrt(len(x))
    values = {
        f"mean_error[{i}]": f"{x[:, i].mean() - mean[i]:.4g} +- {deviation[i]:.1g}"
        for i in range(prior.dim)
    }
    squares = ((x - x.mean(axis=0)) ** 2).sum(axis=1)
    ratio = squares / float(jnp.trace(exact.covariance()))
    spread = f"{ratio.mean():.4g} +- {ratio.std() / np.sqrt(len(x)):.1g}"
    values |= {"spread_ratio": spread, "nonfinite": str(drawn.info.nonfinite)}
    return f"{_SAMPLES} samples, with standard errors", values
