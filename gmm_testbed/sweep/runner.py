"""Runs the cells of an experiment that a store does not have yet."""

import collections
import contextlib
import functools
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import TextColumn

from .._checks import InputError, fail, require
from .claims import claiming
from .cluster import slots
from .declare import Experiment, Job, precision_in_use
from .interrupts import deferring
from .monitor import progress
from .outcomes import FINAL, Outcome, Status
from .store import Store
from .work import Settings, compute, reference

PAUSE = 0.3  # seconds between two looks for an interrupt, and at cells of other runs
GRACE = 0.3  # seconds, at an interrupt, for what a worker has just ended


class Tally(NamedTuple):
    """Numbers of cells of a run.

    Attributes:
        kept: that were in the store, or that another run put there, and were not computed.
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
    loses the cells that had not ended; the same call again goes on from there. Several
    drivers on one store share the cells: each claims what it computes, waits at the end
    for what others compute, and takes over from one that is no more.

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
        InputError: if the store cannot be written or was removed, or a worker cannot do
            its work.
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
    with _writing(store):  # which files of arrays are whole is noted
        before = store.ended(experiment, precision)
        damaged = store.damaged(before)
    final = FINAL if retry else tuple(Status)
    kept = {name for name, one in before.items() if one.status in final} - damaged
    kept = set() if force else kept
    missing = [job for job in jobs if job.identity not in kept]
    tally = Tally(kept=len(jobs) - len(missing))
    settings = Settings.here(experiment, precision, prepare, timeout)
    if executor is None:
        settings = settings._replace(prepare=None)

    with _counted(experiment.name, len(missing), show) as advance:

        def keep(jobs: Sequence[Job], outcomes: Sequence[Outcome] | None) -> None:
            nonlocal tally
            for n, job in enumerate(jobs):
                if outcomes is None:  # another run has computed it
                    tally = tally._replace(kept=tally.kept + 1)
                else:
                    status = _put(store, experiment, precision, job, outcomes[n])
                    tally = tally.and_one(status)
                advance(tally)

        groups = _groups(experiment, missing)
        submit = _submitting(executor, experiment, settings)
        if groups:
            alone = executor is None
            most = (lambda: 1) if alone else functools.partial(slots, executor)
            _share(store, groups, before, submit, most, keep)
    store.require_there()
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


def _submitting(executor, experiment, settings) -> Callable[..., Future]:
    """What has a group of jobs computed: by the executor, or here and at once."""
    if executor is None:
        here = experiment.function

        def submit(group, interrupts):
            found = Future()
            try:
                with interrupts.inside():
                    found.set_result(compute(here, group, experiment.vmapped, settings))
            except KeyboardInterrupt:
                if not found.done():
                    raise
                interrupts.waiting = True  # it came just after the end: kept before
            return found

        return submit
    where, vmapped = reference(experiment), experiment.vmapped
    return lambda group, _: executor.submit(compute, where, group, vmapped, settings)


def _share(store, groups, before, submit, most, keep) -> None:
    """Has the groups computed that no other run on this store has or computes.

    Args:
        store: of both.
        groups: that were missing at the beginning.
        before: how their cells had ended then.
        submit: has a group computed.
        most: how many groups may be on their way; what is not yet is for other runs too.
        keep: is called with jobs and their outcomes, None for those of another run.
    """
    todo, held = collections.deque(groups), []
    waiting: dict[Future, list[Job]] = {}
    with claiming(store.path) as owner, deferring() as interrupts:
        try:
            while todo or held or waiting:
                while todo and len(waiting) < most():
                    interrupts.take()
                    group = todo.popleft()
                    with _writing(store):
                        names = [job.identity for job in group]
                        taken = store.claim(owner, names, before)
                    known = taken.mine | taken.held
                    keep([job for job in group if job.identity not in known], None)
                    if taken.held:
                        held.append([j for j in group if j.identity in taken.held])
                    if mine := [job for job in group if job.identity in taken.mine]:
                        waiting[submit(mine, interrupts)] = mine
                for future in wait(waiting, PAUSE, FIRST_COMPLETED).done:
                    keep(waiting[future], _result(future, waiting[future]))
                    del waiting[future]  # kept: nothing to save below
                interrupts.take()
                if held and not todo:
                    if not waiting:
                        time.sleep(PAUSE)
                    todo, held = collections.deque(held), []
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                wait(waiting, GRACE)  # what is on its way from a worker
            with contextlib.suppress(InputError):  # there is one on its way already
                for future, group in waiting.items():
                    if future.done() and not future.cancelled():
                        if not future.exception():
                            keep(group, future.result())
            raise
        finally:
            for future in waiting:
                future.cancel()
            with contextlib.suppress(sqlite3.Error):  # it lapses with this process
                store.release(owner)


def _result(future, group) -> list[Outcome]:
    """The outcomes; a failure if the group alone brought its workers down."""
    try:
        return future.result()
    except InputError:
        raise
    except (BrokenExecutor, CancelledError) as error:
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


def _put(store, experiment, precision, job, outcome) -> Status:
    """Keeps an outcome, or that it cannot be kept; gives the status that is kept."""
    put = functools.partial(store.put, experiment, precision, job)
    with _writing(store):
        try:
            put(outcome)
        except (InputError, OSError, sqlite3.OperationalError):
            raise
        except Exception as error:  # of this cell: the others go on
            reason = f"it cannot be kept ({type(error).__name__}: {error})"
            outcome = outcome._replace(status=Status.FAILED, reason=reason)
            outcome = outcome._replace(metrics=(), arrays={})
            put(outcome)
    return outcome.status


@contextlib.contextmanager
def _writing(store) -> Iterator[None]:
    """Says what to do where the store cannot be written."""
    try:
        yield
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
    counts = TextColumn("{task.fields[tally]}", style="dim", markup=False)
    with progress(Console(stderr=True, markup=False), counts) as bar:
        task = bar.add_task(name, total=total, tally="")
        yield lambda tally: bar.update(task, advance=1, tally=str(tally))
