"""`gmm-testbed diagnose points.npy`: a sampler on somebody's own data."""

import re
from pathlib import Path
from typing import Annotated

import typer

from .. import plotting
from .._checks import require
from ..verdict import load
from ..verdict.data import diagnose, page
from .app import app, polite, require_writable


@app.command("diagnose")
@polite
def diagnose_command(
    data: Annotated[
        str,
        typer.Argument(
            help="Training points: a .npy, .npz, .csv or .parquet file, a row a point, or"
            " a folder of images."
        ),
    ],
    forward: Annotated[
        str,
        typer.Option(
            help='As "inpainting(0.5)", "blur(1)", "downsampling(2)", "fourier(0.25)",'
            ' "projection(16)"; or my_module:my_function, of one point, in JAX.'
        ),
    ],
    noise: Annotated[
        float | None,
        typer.Option(help="Standard deviation; left out if the forward model has it."),
    ] = None,
    sampler: Annotated[
        str,
        typer.Option(
            help='Any that `list` prints, as "TDS(DPS)", or my_module:name as for `check`.'
        ),
    ] = "DPS",
    shape: Annotated[
        str | None,
        typer.Option(help="Of one point, as 28x28 or 32x32x3: for pictures."),
    ] = None,
    bandwidth: Annotated[
        float, typer.Option(help="Standard deviation given to every training point.")
    ] = 0.0,
    observations: Annotated[
        int, typer.Option(help="Points that are held out and measured.")
    ] = 12,
    draws: Annotated[int, typer.Option(help="Of the sampler for each.")] = 64,
    steps: Annotated[int, typer.Option(help="Number of steps N.")] = 50,
    t_min: Annotated[float, typer.Option(help="Where it stops.")] = 0.01,
    within: Annotated[
        float | None,
        typer.Option(help="Distance up to which the exit code is 0."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="That a program may take for one observation.")
    ] = 600.0,
    output: Annotated[
        Path | None, typer.Option(help="Folder of a page, its text, figures and table.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all choices and draws.", min=0)] = 0,
) -> None:
    """How far a sampler is from the exact posterior of a training set, in plain words.

    Points are held out and measured; the sampler is given the exact denoiser of the others,
    and its samples are compared with exact draws of their posterior. Exit code 1 if
    samples are not finite, or can be told from exact draws; with --within, if they are
    surely farther from them.
    """
    if output is not None:
        require_writable(output)
    screen = plotting.tables.console()
    found = diagnose(
        data,
        load(forward) if ":" in forward else forward,
        sampler,
        noise,
        shape=None if shape is None else _sides(shape),
        bandwidth=bandwidth,
        observations=observations,
        draws=draws,
        steps=steps,
        t_min=t_min,
        within=within,
        seed=seed,
        seconds=seconds,
        show=True,
    )
    screen.print(str(found), markup=False, highlight=False)
    if output is not None:
        names = page.write(found, output)
        screen.print(f"Written to {output}: {', '.join(names)}")
    if not found.passed:
        raise typer.Exit(1)


def _sides(text: str) -> tuple[int, ...]:
    require(
        re.fullmatch(r"\d+(x\d+)*", text) is not None,
        "this is no shape",
        got=repr(text),
        expected="height x width, or height x width x channels",
        hint="write --shape 28x28",
    )
    return tuple(int(side) for side in text.split("x"))
