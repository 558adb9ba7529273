"""The command line: `gmm-testbed demo | list | run | verify`."""

import os

os.environ.setdefault("NPROC", "4")  # before JAX starts its threads: see the README

import functools
import tempfile
import time
from pathlib import Path
from typing import Annotated

import jax
import typer

from . import (
    algorithms,
    approximations,
    bounds,
    demo,
    kernels,
    named,
    plotting,
    problems,
    single,
    smc,
    verify,
)
from ._checks import InputError, fail
from .sampling import Guided
from .time_grids import time_grid

app = typer.Typer(
    help="Diffusion posterior samplers against the truth, on Gaussian mixtures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point of `gmm-testbed`."""
    app()


@app.callback()
def _settings() -> None:
    jax.config.update("jax_enable_x64", True)  # the library itself never sets it


def _polite(command):
    """What cannot be done is a message and exit code 2, not a traceback."""

    @functools.wraps(command)
    def inside(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except InputError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None

    return inside


@app.command("demo")
@_polite
def demo_command(
    output: Annotated[Path, typer.Option(help="Folder of the results.")] = Path(
        "results/demo"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Only a few cases.")] = False,
) -> None:
    """Exact laws and all their measures on two testbeds: tables, figures and a CSV."""
    _require_writable(output)
    plan = demo.QUICK if quick else demo.FULL
    screen = plotting.tables.console()
    with plotting.tables.progress(screen) as bar:
        tasks = {
            demo.LAWS: bar.add_task("exact laws", total=plan.size),
            demo.FIGURES: bar.add_task(
                "figures", total=demo.FIGURES_EACH * len(plan.problems)
            ),
        }
        rows = demo.run(plan, output, lambda what: bar.advance(tasks[what]), _settings)
        demo.write(rows, output / "measures.csv")
    for table in demo.tables(plan, rows):
        screen.print(table)
    screen.print(plotting.tables.LEGEND)
    missing = demo.unresolved(rows)
    if missing:
        screen.print("- no law on a grid:")
        for line in missing:
            screen.print(f"  {line}")
    screen.print(f"\nWritten to {output}: measures.csv, and as PNG and PDF")
    for problem in plan.problems:
        names = sorted(path.stem for path in output.glob(f"*_{problem}.png"))
        screen.print("  " + ", ".join(names))


@app.command("list")
@_polite
def list_command() -> None:
    """Problems, approximations, kernels, samplers and bounds, one line each."""
    screen, listing = plotting.tables.console(), plotting.tables.listing
    rows = []
    for name, build in problems.CATALOGUE.items():
        size = map(str, problems.SIZES[name])
        rows.append((name, *size, (build.__doc__ or "").splitlines()[0]))
    screen.print(listing("Problems", ("name", "d", "K", "what it is"), rows))
    rows = [
        (name, facts.cost, f"{facts.summary} [{facts.reference}]")
        for name, facts in _facts(approximations.CATALOGUE)
    ]
    columns = ("name", "cost a point", "what it is [reference]")
    screen.print(listing("Approximations of E[x0 | x_t, y]", columns, rows))
    rows = [
        (name, str(facts.order), f"{facts.summary} [{facts.reference}]")
        for name, facts in _facts(kernels.CATALOGUE)
    ]
    columns = ("name", "order", "what it is [reference]")
    screen.print(listing("Kernels from time t to s < t", columns, rows))
    rows = [
        (name, f"{facts.summary}; exact: {facts.exact_when} [{facts.reference}]")
        for name, facts in _facts(algorithms.CATALOGUE | smc.CATALOGUE)
    ]
    columns = ("name", "what it is [reference]")
    screen.print(listing("Samplers that are neither", columns, rows))
    rows = [
        (name, bound.facts.status, f"{bound.facts.statement} [{bound.facts.source}]")
        for name, bound in bounds.CATALOGUE.items()
    ]
    columns = ("name", "status", "what it says [source]")
    screen.print(listing("Bounds, which `verify` checks", columns, rows))


@app.command("run")
@_polite
def run_command(
    problem: Annotated[str, typer.Argument(help="A name that `list` prints.")],
    approximation: Annotated[
        str, typer.Option(help="A name, or name:option=value, as ZetaDPS:zeta=0.5.")
    ] = "DPS",
    kernel: Annotated[
        str, typer.Option(help="A name, or name:option=value, as DDIM:eta=0.5.")
    ] = "DDPM",
    steps: Annotated[int, typer.Option(help="Number of steps N.")] = 100,
    t_min: Annotated[float, typer.Option(help="Where it stops.")] = problems.T_MIN,
    samples: Annotated[
        int, typer.Option(help="How many, where no law can be computed.")
    ] = 100_000,
    seed: Annotated[int, typer.Option(help="Of the samples.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Folder of a CSV and a figure.")
    ] = None,
) -> None:
    """One case: its law where it can be computed, and every measure there is."""
    if output is not None:
        _require_writable(output)
    target = problems.get(problem)
    sampler = Guided(
        named.from_text(approximation, approximations.CATALOGUE, "approximation"),
        named.from_text(kernel, kernels.CATALOGUE, "kernel"),
    )
    times = time_grid(target.path, steps, t_min=t_min)
    found = single.measured(sampler, target, times, samples, seed)
    screen = plotting.tables.console()
    title = f"{problem}: {approximation} with {kernel}, N = {steps}, t = {t_min:g}"
    screen.print(plotting.tables.measures(title, found.how, found.values))
    for line in found.remarks:
        screen.print(line)
    if output is not None:
        key = problem, approximation, kernel, steps
        rows = [
            demo.Row(
                *key, name, t_min, value, error if error is None else f"{error:.3g}"
            )
            for name, (value, error) in found.values.items()
        ]
        demo.write(rows, output / "measures.csv")
        files = ["measures.csv", *single.draw(found, target, title, output)]
        screen.print(f"Written to {output}: {', '.join(files)}")


@app.command("verify")
@_polite
def verify_command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Theorems; all if there are none.")
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Folder of a CSV and the figures.")
    ] = Path("results/verify"),
) -> None:
    """Theorems with both sides computed; exit code 1 if one is not as it should be."""
    chosen = verify.chosen(names or [])
    _require_writable(output)
    screen, begun = plotting.tables.console(), time.perf_counter()
    compiled = verify.compilations()
    before = len(compiled)
    with plotting.tables.progress(screen) as bar:
        task = bar.add_task("cases", total=verify.size(chosen))
        found, drawn = [], []
        for checked in verify.run(chosen, lambda: bar.advance(task)):
            found.append(checked)  # drawn while the next are computed
            if verify.draw(checked, output):
                drawn.append(checked.name)
    verify.write(found, output / "bounds.csv")
    programs = len(compiled) - before
    for table in verify.tables(found):
        screen.print(table)
        screen.print()
    for line in verify.summary(found):
        screen.print(line, markup=False)
    seconds = time.perf_counter() - begun
    screen.print(f"\n{programs} programs compiled; {seconds:.0f} s in all")
    screen.print(f"Written to {output}: bounds.csv, and as PNG and PDF")
    screen.print("  " + ", ".join(drawn))
    if any(checked.problem for checked in found):
        raise typer.Exit(1)


def _facts(catalogue):
    return [(name, chosen.facts) for name, chosen in catalogue.items()]


def _require_writable(folder: Path) -> None:
    """Makes the folder, and refuses one that cannot be written: before computing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        fail(
            "the output folder cannot be written",
            got=f"{folder} ({error.strerror})",
            expected="a folder, or a place where one can be made",
            hint="choose another with --output",
        )
