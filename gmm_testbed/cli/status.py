"""`gmm-testbed status`, `statement` and `report`: what a store has."""

from pathlib import Path
from typing import Annotated

import typer

from .. import plotting, study
from ..study import report
from .app import STORE, Store, app, polite, require_no_folder, require_writable, warn

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Experiments, or files of them; all if there are none."),
]


@app.command("status")
@polite
def status_command(
    names: Names = None,
    store: Store = STORE,
    reasons: Annotated[
        bool, typer.Option("--reasons", help="Why cells failed or were skipped.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="Every value of them as one table, .csv or .parquet."),
    ] = None,
) -> None:
    """Which cells of the experiments are done, skipped, failed, late or missing.

    Exit code 1 if a file cannot be run.
    """
    if export is not None:
        require_no_folder(export, "--export")
    screen = plotting.tables.console()
    with study.existing(store) as opened:
        chosen = study.find(names or [], opened)
        screen.print(study.status(chosen, opened))
        warn(study.stale(chosen, opened))
        for one in chosen if reasons else ():
            for line in study.unfinished(one, opened, whole=True):
                screen.print(line)
        if export is not None:
            require_writable(export.parent, "--export")
            lines = study.export(chosen, opened, export)
            screen.print(f"Written to {export}: {lines} rows")
        broken = study.broken(chosen)
    for line in broken:
        warn(line)
    if broken:
        raise typer.Exit(1)


@app.command("statement")
@polite
def statement_command(
    name: Annotated[str, typer.Argument(help="An experiment, or a file of them.")],
    store: Store = STORE,
) -> None:
    """How the numbers of an experiment were made: a paragraph for an appendix.

    Cells, seeds, precision, device, minutes, versions, and which numbers are exact.
    """
    with study.existing(store) as opened:
        (chosen,) = study.find([name], opened)
        warn(study.stale([chosen], opened))
        typer.echo(study.statement(chosen, opened))


@app.command("report")
@polite
def report_command(
    names: Names = None,
    store: Store = STORE,
    output: Annotated[Path, typer.Option(help="The page.")] = Path(
        "results/report.html"
    ),
) -> None:
    """One HTML page of figures, claims, tables and laws over time, from the store.

    It ends with exit code 1 if a function of a file failed; the page says so too.
    """
    require_no_folder(output, "--output")
    require_writable(output.parent)
    screen = plotting.tables.console()
    with study.existing(store) as opened:
        written = report.write(study.find(names or [], opened), opened, output)
    screen.print(f"Written to {output}: {written.size / 1e6:.1f} MB")
    for line in written.broken:
        warn(line)
    if written.broken:
        raise typer.Exit(1)
