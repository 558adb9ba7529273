"""The command line: `gmm-testbed demo | list | run | status | report | verify`."""

import os

os.environ.setdefault("NPROC", "4")  # before JAX starts its threads: see the README

import functools
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import jax
import typer

from . import (
    catalogue,
    demo,
    plotting,
    report,
    single,
    studies,
    sweep,
    verify,
)
from ._checks import InputError, fail, require

app = typer.Typer(
    help="Diffusion posterior samplers against the truth, on Gaussian mixtures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point of `gmm-testbed`."""
    try:
        app()
    except SystemExit as ended:
        if sweep.left_behind():  # else XLA aborts the process, and the code is lost
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.code if isinstance(ended.code, int) else bool(ended.code))
        raise


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
    with sweep.progress(screen) as bar:
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
    """Problems, methods, bounds and the experiments of this folder, one line each."""
    screen = plotting.tables.console()
    for table in catalogue.tables():
        screen.print(table)


_Store = Annotated[Path, typer.Option(help="SQLite file of the cells.")]


def _of_problem(words: str, field: str) -> Any:
    default = str(single.Case._field_defaults[field])
    panel = "For a problem"
    return typer.Option(help=words, rich_help_panel=panel, show_default=default)


def _of_experiment(words: str, *names, **options) -> Any:
    panel = "For an experiment"
    return typer.Option(*names, help=words, rich_help_panel=panel, **options)


@app.command("run")
@_polite
def run_command(
    name: Annotated[
        str,
        typer.Argument(
            help="A problem or an experiment that `list` prints, or a file of"
            " experiments."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder of figures and of tables as CSV. For an experiment"
            " results/NAME by default."
        ),
    ] = None,
    approximation: Annotated[
        str | None,
        _of_problem(
            "A name, or name:option=value, as ZetaDPS:zeta=0.5.", "approximation"
        ),
    ] = None,
    kernel: Annotated[
        str | None,
        _of_problem("A name, or name:option=value, as DDIM:eta=0.5.", "kernel"),
    ] = None,
    steps: Annotated[int | None, _of_problem("Number of steps N.", "steps")] = None,
    t_min: Annotated[float | None, _of_problem("Where it stops.", "t_min")] = None,
    samples: Annotated[
        int | None, _of_problem("How many, where no law can be computed.", "samples")
    ] = None,
    seed: Annotated[int | None, _of_problem("Of the samples.", "seed")] = None,
    store: Annotated[
        Path | None,
        _of_experiment(
            "SQLite file of the cells: what it has is not computed again.",
            show_default=str(studies.STORE),
        ),
    ] = None,
    workers: Annotated[
        int | None,
        _of_experiment("Processes to start, each with one cell at a time.", min=1),
    ] = None,
    scheduler: Annotated[
        str | None, _of_experiment("Address of a Dask scheduler to use.")
    ] = None,
    force: Annotated[
        bool, _of_experiment("Also cells that are done.", "--force")
    ] = False,
    timeout: Annotated[
        float | None, _of_experiment("Seconds that a cell may take.")
    ] = None,
) -> None:
    """One problem, with every measure there is; or an experiment, against its claims.

    An experiment ends with exit code 1 if a claim is not as expected or a cell failed.
    """
    screen = plotting.tables.console()
    of_problems = _given(
        approximation=approximation,
        kernel=kernel,
        steps=steps,
        t_min=t_min,
        samples=samples,
        seed=seed,
    )
    of_experiments = _given(
        store=store,
        workers=workers,
        scheduler=scheduler,
        force=force or None,
        timeout=timeout,
    )
    if not studies.is_one(name):
        _require_none(of_experiments, f"the problem {name}")
        if output is not None:
            _require_writable(output)
        single.show(single.Case(name, **of_problems), screen, output)
        return
    _require_none(of_problems, f"the experiment {name}")
    study = sweep.study.read(sweep.study.locate(name))
    output = output or Path("results") / study.name
    _require_writable(output)
    path = of_experiments.pop("store", studies.STORE)
    _require_writable(path.parent)
    with sweep.Store(path) as opened:
        tallies = studies.run(study, opened, _settings, **of_experiments)
        _warn(studies.stale([study], opened))
        fine = studies.show(study, opened, tallies, screen, output)
    if not fine:
        raise typer.Exit(1)


def _given(**options) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _require_none(options, what) -> None:
    """Refuses options that the other meaning of `run` has."""
    require(
        not options,
        "an option does not apply",
        got=", ".join("--" + n.replace("_", "-") for n in options) + f" for {what}",
        expected="those that `gmm-testbed run --help` has for it",
        hint="leave it out",
    )


@app.command("status")
@_polite
def status_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Experiments, or files of them; all if there are none."),
    ] = None,
    store: _Store = studies.STORE,
    reasons: Annotated[
        bool, typer.Option("--reasons", help="Why cells failed or were skipped.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="Every value of them as one table, .csv or .parquet."),
    ] = None,
) -> None:
    """Which cells of the experiments are done, skipped, failed, late or missing."""
    chosen = studies.find(names or [])
    screen = plotting.tables.console()
    with studies.existing(store) as opened:
        screen.print(studies.status(chosen, opened))
        _warn(studies.stale(chosen, opened))
        for study in chosen if reasons else ():
            for line in studies.unfinished(study, opened, whole=True):
                screen.print(line, markup=False)
        if export is not None:
            _require_writable(export.parent)
            lines = studies.export(chosen, opened, export)
            screen.print(f"Written to {export}: {lines} rows", markup=False)


@app.command("report")
@_polite
def report_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Experiments, or files of them; all if there are none."),
    ] = None,
    store: _Store = studies.STORE,
    output: Annotated[Path, typer.Option(help="The page.")] = Path(
        "results/report.html"
    ),
) -> None:
    """One HTML page of figures, claims, tables and laws over time, from the store.

    It ends with exit code 1 if a function of a file failed; the page says so too.
    """
    chosen = studies.find(names or [])
    _require_writable(output.parent)
    screen = plotting.tables.console()
    with studies.existing(store) as opened:
        written = report.write(chosen, opened, output)
    screen.print(f"Written to {output}: {written.size / 1e6:.1f} MB", markup=False)
    for line in written.broken:
        _warn(line)
    if written.broken:
        raise typer.Exit(1)


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
    with sweep.progress(screen) as bar:
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


def _warn(words: str) -> None:
    if words:
        typer.echo(f"warning: {words}", err=True)


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
