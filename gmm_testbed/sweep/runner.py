"""Runs the cells of an experiment that a store does not have yet."""

import contextlib
import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import TextColumn

from .._checks import InputError, fail, require
from .declare import Experiment, Job, precision_in_use
from .monitor import progress
from .outcomes import FINAL, Outcome, Status
from .store import Store
from .work import Settings, compute, reference


class Tally(NamedTuple):
    """Numbers of cells of a run.

    Attributes:
        kept: that were in the store, and were not computed.
        done: with values.
        skipped: that cannot be had.
        failed: with a traceback in the store.
        timed_out: that took too long.
    """

    kept: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    timed_out: int = 0

    def and_one(self, status: Status) -> "Tally":
        """With one more cell that ended so."""
        name = status.name.lower()
        return self._replace(**{name: getattr(self, name) + 1})

    def __str__(self) -> str:
        counts = self._asdict().items()
        parts = [f"{n} {name.replace('_', ' ')}" for name, n in counts if n]
        return ", ".join(parts) or "no cells"


def run(
    experiment: Experiment,
    store: Store | str | Path,
    *,
    executor: Executor | None = None,
    force: bool = False,
    retry: bool = True,
    timeout: float | None = None,
    prepare: Callable[[], Any] | None = None,
    show: bool = True,
) -> Tally:
    """Computes what is missing, and puts each cell into the store as it ends.

    The driver alone writes to the store. An interrupt, a killed process or a full disk
    loses the cells that had not ended; the same call again goes on from there.

    Args:
        experiment: what to compute.
        store: where to; a path is opened and closed.
        executor: of processes or threads; `cluster` gives one of Dask. In this process
            if there is none.
        force: also cells that are done or skipped.
        retry: also cells that failed or timed out before.
        timeout: seconds that a cell may take, compilation included. What is late is
            left behind in its thread, since XLA cannot be interrupted: a script should
            end with `os._exit` while `left_behind` counts any.
        prepare: called once in every process of the executor, before the first cell.
            Precision, and other settings of JAX that change numbers (`work.SETTINGS`),
            NPROC and XLA_FLAGS are those of this process without it.
        show: a progress bar on the standard error.

    Returns:
        How many cells ended how.

    Raises:
        InputError: if the store cannot be written, or a worker cannot do its work.
    """
    require(
        timeout is None or 0.0 < timeout < math.inf,
        "a cell cannot take so long",
        got=f"timeout={timeout}",
        expected="a positive number of seconds",
        hint="leave it out for as long as it takes",
    )
    if not isinstance(store, Store):
        with Store(store) as opened:
            return run(
                experiment,
                opened,
                executor=executor,
                force=force,
                retry=retry,
                timeout=timeout,
                prepare=prepare,
                show=show,
            )
    precision = precision_in_use()
    jobs = experiment.jobs(precision)
    final = FINAL if retry else tuple(Status)
    kept = set() if force else store.kept(experiment, precision, final)
    missing = [job for job in jobs if job.identity not in kept]
    tally = Tally(kept=len(jobs) - len(missing))
    settings = Settings.here(precision, prepare, timeout)

    with _counted(experiment.name, len(missing), show) as advance:

        def keep(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
            nonlocal tally
            for job, outcome in zip(jobs, outcomes, strict=True):
                _put(store, experiment, precision, job, outcome)
                tally = tally.and_one(outcome.status)
                advance(tally)

        groups = _groups(experiment, missing)
        if executor is None:
            here = settings._replace(prepare=None)
            for group in groups:
                where, vmapped = experiment.function, experiment.vmapped
                keep(group, compute(where, group, vmapped, here))
        else:
            _through(executor, experiment, groups, settings, keep)
    return tally


def _groups(experiment, jobs) -> list[list[Job]]:
    """What is computed by one call: a job, or the seeds of a cell."""
    if not experiment.vmapped:
        return [[job] for job in jobs]
    groups = []
    for job in jobs:
        if groups and groups[-1][0].cell == job.cell:
            groups[-1].append(job)
        else:
            groups.append([job])
    return groups


def _through(executor, experiment, groups, settings, keep) -> None:
    where = reference(experiment)
    waiting: dict[Future, list[Job]] = {}
    try:
        for group in groups:
            args = where, group, experiment.vmapped, settings
            waiting[executor.submit(compute, *args)] = group
        for future in as_completed(list(waiting)):
            outcomes = _result(future, waiting[future])
            keep(waiting[future], outcomes)
            del waiting[future]  # kept: nothing to save below
    except KeyboardInterrupt:
        for future, group in waiting.items():
            if future.done() and not future.cancelled() and not future.exception():
                keep(group, future.result())
        raise
    finally:
        for future in waiting:
            future.cancel()


def _result(future, group) -> list[Outcome]:
    """The outcomes; a failure if the group alone brought its workers down."""
    try:
        return future.result()
    except InputError:
        raise
    except BrokenExecutor as error:
        fail(
            "the workers are gone",
            got=f"{type(error).__name__}: {error}",
            expected="an executor that outlives the run",
            hint="what had ended is in the store: run again, with fewer workers if"
            " memory ran out",
        )
    except Exception as error:  # Dask's, after it tried on several workers
        reason = f"{type(error).__name__}: {error}"
        return [Outcome(Status.FAILED, reason)] * len(group)


def _put(store, experiment, precision, job, outcome) -> None:
    try:
        try:
            store.put(experiment, precision, job, outcome)
        except KeyboardInterrupt:  # the cell has ended: it is not to be lost
            store.put(experiment, precision, job, outcome)
            raise
    except (sqlite3.Error, OSError) as error:
        fail(
            "the store cannot be written",
            got=f"{store.path} ({error})",
            expected="room on a local disk",
            hint="make room and run again: what was written is kept",
        )


@contextlib.contextmanager
def _counted(name: str, total: int, show: bool) -> Iterator[Callable[[Tally], None]]:
    """A progress bar with the time that is left."""
    if not show or not total:
        yield lambda tally: None
        return
    counts = TextColumn("{task.fields[tally]}", style="dim")
    with progress(Console(stderr=True), counts) as bar:
        task = bar.add_task(name, total=total, tally="")
        yield lambda tally: bar.update(task, advance=1, tally=str(tally))
