"""`gmm-testbed verify`: both sides of every theorem."""

import functools
import time
from pathlib import Path
from typing import Annotated

import typer

from .. import plotting, sweep
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
    problem: Annotated[
        str | None,
        typer.Option(
            help="A testbed on which to ask them, in place of their sweeps.",
            show_default=False,
        ),
    ] = None,
    attack: Annotated[
        bool,
        typer.Option("--attack", help="Search for the tightest case of each."),
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=1.0, help="Of an attack on one theorem.")
    ] = 60.0,
    paper: Paper = None,
) -> None:
    """Theorems with both sides computed; exit code 1 if one is not as it should be.

    NAMES are of the catalogue, as T36-early-stopping or T36, or my_module:my_bound of your
    own: a function that gives both sides, or a class as those of gmm_testbed.bounds.
    """
    from .. import bounds  # not at the top: other commands would wait for it
    from ..study import verify

    if attack:
        attacked(names or list(bounds.CATALOGUE), seconds)
        return
    chosen = verify.study(names or [], problem)
    begun, before = time.perf_counter(), len(sweep.compilations())
    try:
        run_study(chosen, store, output, force=force, paper=paper)
    finally:
        programs = len(sweep.compilations()) - before
        seconds = time.perf_counter() - begun
        screen = plotting.tables.console()
        screen.print(f"{programs} programs compiled; {seconds:.0f} s in all")


def attacked(names: list[str], seconds: float) -> None:
    """Attacks theorems one after another, and says what was found.

    Exit code 1 if one is violated that should hold, or one that is refuted as printed has
    survived.
    """
    from .. import bounds

    screen, wrong = plotting.tables.console(), []
    for name in names:
        full, bound = bounds.find(name)
        with sweep.monitor.progress(screen) as bar:
            task = bar.add_task(full, total=100)
            watch = functools.partial(_shown, bar, task)
            found = bounds.attack(name, seconds=seconds, watch=watch)
        screen.print(plotting.bounds.attack_table(found))
        if bool(found.violated) is not bound.facts.refuted or not found.evaluations:
            wrong.append(full)
    if wrong:
        screen.print(f"not as it should be: {', '.join(wrong)}")
        raise typer.Exit(1)


def _shown(bar, task, share) -> None:
    """Hundredths of the budget on a bar."""
    bar.update(task, completed=round(100 * share))
