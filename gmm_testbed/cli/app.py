"""The application that the commands are of, and what they share."""

import functools
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import jax
import typer

from .. import plotting, study, sweep
from .._checks import InputError, choose, fail, require
from ..sweep.outcomes import plain

app = typer.Typer(
    help="Diffusion posterior samplers against the truth, on Gaussian mixtures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Store = Annotated[
    Path,
    typer.Option(help="SQLite file of the cells: what it has is not computed again."),
]
Paper = Annotated[
    str | None,
    typer.Option(
        help="Figures at the width of a venue, in serif, and LaTeX of tables and claims:"
        f" {', '.join(plotting.VENUES)}. OUTPUT is results/NAME/VENUE then.",
        show_default=False,
    ),
]
STORE = study.STORE
INTERRUPTED = 130  # exit code of a shell for Ctrl-C, and of typer


def main() -> None:
    """Entry point of `gmm-testbed`."""
    try:
        app()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            typer.echo("interrupted: what had ended is in the store", err=True)
        # Else XLA aborts the process, and the code is lost; and an interrupt would wait
        # for the threads that compute.
        others = set(threading.enumerate()) - {threading.main_thread()}
        computing = not all(thread.daemon for thread in others)
        if sweep.left_behind() or (ended.code == INTERRUPTED and computing):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.code if isinstance(ended.code, int) else bool(ended.code))
        raise


@app.callback()
def settings() -> None:
    """Sets JAX as every command has it; each new process calls it too."""
    jax.config.update("jax_enable_x64", True)  # the library itself never sets it
    if (
        jax.config.jax_compilation_cache_dir is None
    ):  # JAX_COMPILATION_CACHE_DIR sets it
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def cache_folder() -> Path:
    """Where compiled programs are kept for the next run: a cache folder of the user."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "gmm_testbed" / "compiled"


def polite(command: Callable) -> Callable:
    """Decorates a command: what cannot be done is a message and exit code 2."""

    @functools.wraps(command)
    def inside(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except InputError as error:
            refuse(error)

    return inside


def refuse(error: InputError) -> None:
    """Prints what is wrong, and ends the command.

    Exit code 2 where something else should be asked for; 1 where a file of experiments
    failed.
    """
    typer.echo(f"error: {plain(error)}", err=True)
    raise typer.Exit(1 if isinstance(error, sweep.FileError) else 2) from None


def venue_of(name: str | None) -> plotting.Venue | None:
    """The venue of an option, None if it is not given.

    Raises:
        InputError: for an unknown one; the message has the nearest name.
    """
    return None if name is None else choose(name.lower(), plotting.VENUES, "venue")


def warn(words: str) -> None:
    """Prints a warning, unless there is nothing to say."""
    if words:
        typer.echo(f"warning: {plain(words)}", err=True)


def require_no_folder(file: Path, option: str) -> None:
    """Refuses a folder where a file is to be written."""
    require(
        not file.is_dir(),
        "a file is to be written, and this is a folder",
        got=str(file),
        expected="the path of a file",
        hint=f"give {option} {file / 'name'}, with the ending that it should have",
    )


def require_writable(folder: Path, option: str = "--output") -> None:
    """Makes the folder, and refuses one that cannot be written: before computing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        fail(
            "the folder cannot be written",
            got=f"{folder} ({error.strerror})",
            expected="a folder, or a place where one can be made",
            hint=f"choose another with {option}",
        )
