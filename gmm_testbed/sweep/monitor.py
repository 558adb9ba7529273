"""What a long run shows and counts: progress bars, and what XLA compiles meanwhile."""

import functools
import threading

import jax
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_COMPILED = "/jax/core/compile/backend_compile_duration"
_starting = threading.Lock()  # `functools.cache` would let two threads listen
_of_thread = threading.local()  # XLA reports in the thread that asked for the program


def progress(screen: Console, *more: ProgressColumn) -> Progress:
    """Progress bars with the time that is left.

    Args:
        screen: where to.
        more: columns to the right of the time.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        *more,
        console=screen,
    )


def compilations() -> list[float]:
    """Seconds of every program that XLA compiled since the first call; the list grows."""
    with _starting:
        return _compilations()


def compile_seconds() -> float:
    """Seconds of those of `compilations` that this thread asked for."""
    return getattr(_of_thread, "seconds", 0.0)


@functools.cache
def _compilations() -> list[float]:
    found: list[float] = []

    def heard(event: str, seconds: float, **_):
        if event == _COMPILED:
            found.append(seconds)
            _of_thread.seconds = compile_seconds() + seconds

    jax.monitoring.register_event_duration_secs_listener(heard)
    return found
