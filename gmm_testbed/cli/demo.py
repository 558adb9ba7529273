"""`gmm-testbed demo`: the main job."""

from pathlib import Path
from typing import Annotated

import typer

from ..study import demo
from .app import STORE, Paper, Store, app, polite
from .run import run_study


@app.command("demo")
@polite
def demo_command(
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the results.", show_default="results/demo"),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only a few cases.")] = False,
    store: Store = STORE,
    paper: Paper = None,
) -> None:
    """Exact laws and all their measures on two testbeds: tables, figures and a CSV.

    It goes on where it was interrupted. `run demo` is the same, with more options.
    """
    run_study(demo.study(quick), store, output, paper=paper)
