"""`gmm-testbed check my_module:MyMethod`: is this sampler right?"""

from pathlib import Path
from typing import Annotated

import jax
import typer

from .. import plotting
from ..verdict import load, page, verdict
from .app import app, polite, require_writable


@app.command("check")
@polite
def check_command(
    thing: Annotated[
        str,
        typer.Argument(
            help="my_module:name, of this folder or installed; or a name that `list`"
            ' prints, as "TDS(DPS)".'
        ),
    ],
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer problems and steps.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder of a page, its text, figure and table.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all samples.", min=0)] = 0,
) -> None:
    """Whether a sampler is right, and if not, how it is wrong, in plain words.

    It takes a method of this package, guidance(target, x, t) in JAX, or
    sample(problem, denoiser, num, seed) in NumPy or PyTorch. Exit code 1 if a claim of
    its facts is not true, or a probe finds a mistake.
    """
    if output is not None:
        require_writable(output)
    screen = plotting.tables.console()
    found = verdict(load(thing), quick=quick, key=jax.random.key(seed))
    screen.print(str(found), markup=False, highlight=False)
    if output is not None:
        names = page.write(found, output)
        screen.print(f"Written to {output}: {', '.join(names)}")
    if not found.passed:
        raise typer.Exit(1)
