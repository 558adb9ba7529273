"""`gmm-testbed verify`: both sides of every theorem."""

import time
from pathlib import Path
from typing import Annotated

import typer

from .. import plotting, sweep
from ..study import verify
from .app import STORE, Paper, Store, app, polite
from .run import run_study


@app.command("verify")
@polite
def verify_command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Theorems; all if there are none.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a CSV and the figures.", show_default="results/verify"
        ),
    ] = None,
    store: Store = STORE,
    force: Annotated[
        bool, typer.Option("--force", help="Also theorems that are done.")
    ] = False,
    paper: Paper = None,
) -> None:
    """Theorems with both sides computed; exit code 1 if one is not as it should be."""
    chosen = verify.study(names or [])
    begun, before = time.perf_counter(), len(sweep.compilations())
    try:
        run_study(chosen, store, output, force=force, paper=paper)
    finally:
        programs = len(sweep.compilations()) - before
        seconds = time.perf_counter() - begun
        screen = plotting.tables.console()
        screen.print(f"{programs} programs compiled; {seconds:.0f} s in all")
