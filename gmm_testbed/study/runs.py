"""Studies over a store: their cells are run, counted, and exported."""

import contextlib
import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from .. import plotting, sweep
from .._checks import require
from ..sweep import Row, Status, Store, Tally
from ..sweep.cluster import shielding
from . import files
from .files import Study

STORE = Path("results/experiments.sqlite")
# Threads of NumPy's matrix products, by the library that it was built with.
_THREADS_OF_BLAS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
_UNFINISHED = (Status.FAILED, Status.TIMED_OUT)


def find(names: Sequence[str], store: Store | None = None) -> list[Study]:
    """The studies of these names.

    If there are none, every one of ./experiments, and those of the package that have
    cells in the store. A file that cannot be run is a study with an `error`.

    Raises:
        InputError: for an unknown name, or if there are no studies at all.
    """
    if names:
        return [_named(name) for name in dict.fromkeys(names)]
    chosen = [files.attempt(file) for file in files.found().values()]
    for name in files.OF_PACKAGE if store else ():
        study = files.get(name)
        if any(store.rows(experiment) for experiment in study.experiments.values()):
            chosen.append(study)
    require(
        chosen,
        "there are no experiments here",
        got=f"no file with claims in {files.FOLDER.resolve()}",
        expected=f"a folder {str(files.FOLDER)!r} with files of experiments",
        hint="go to the folder that has it, or give the path of a file",
    )
    return chosen


def _named(name: str) -> Study:
    if name in files.OF_PACKAGE:
        return files.get(name)
    return files.attempt(files.locate(name))


def existing(path: Path) -> Store:
    """A store that is there, to look at: what only looks makes none, and changes none."""
    require(
        path.is_file(),
        "there is no store",
        got=str(path),
        expected="the file that `gmm-testbed run` wrote",
        hint="run an experiment first, or choose the store with --store",
    )
    return Store(path, readonly=True)


def run(
    study: Study,
    store: Store,
    prepare: Callable[[], Any],
    workers: int | None = None,
    scheduler: str | None = None,
    force: bool = False,
    timeout: float | None = None,
    executor: Executor | None = None,
) -> dict[str, Tally]:
    """Computes the cells that are missing.

    Args:
        study: whose.
        store: where to.
        prepare: makes JAX's settings in a new process.
        workers: processes to start; none, and no scheduler, for what the study asks for:
            this process, some threads of it, or a process for each value of a label.
        scheduler: address of one of Dask's.
        force: also cells that are done.
        timeout: seconds that a cell may take.
        executor: what `executing` gave, to be used again after this.
    """
    with contextlib.ExitStack() as stack:
        if executor is None:
            executor = stack.enter_context(executing(study, workers, scheduler))
        return {
            name: sweep.run(
                experiment,
                store,
                executor=executor,
                force=force,
                timeout=timeout,
                prepare=prepare,
            )
            for name, experiment in study.experiments.items()
        }


@contextlib.contextmanager
def executing(
    study: Study, workers: int | None = None, scheduler: str | None = None
) -> Iterator[Executor | None]:
    """Executor of the cells of a study; None for this process alone.

    Args:
        study: whose.
        workers: as for `run`.
        scheduler: as for `run`.
    """
    if workers is not None or scheduler is not None:
        with sweep.cluster(workers, scheduler) as executor:
            yield executor
        return
    executor = None
    if study.apart:
        executor = Apart(study)
    elif study.threads > 1:
        executor = ThreadPoolExecutor(study.threads)
    try:
        yield executor
    except BaseException:
        # What is under way is not waited for: processes can be ended, threads cannot.
        if isinstance(executor, Apart):
            executor.kill()
        elif executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
        raise
    if isinstance(executor, Apart):
        executor.kill()  # all is done, and a process of JAX takes a second to end itself
    elif executor is not None:
        executor.shutdown()


class Apart(Executor):
    """Processes that each compute the cells of one value of a label, `Study.apart`.

    NumPy has one thread in each, unless the environment says otherwise: they share the
    cores already, and more threads of small products only wait for each other.
    """

    def __init__(self, study: Study):
        self._label = study.apart
        experiments = study.experiments.values()
        values = {value for one in experiments for value in one.grid[self._label]}
        context = multiprocessing.get_context("spawn")  # JAX does not survive a fork
        self._pools = {
            value: ProcessPoolExecutor(1, context, _end_with_parent) for value in values
        }
        self._turns = itertools.cycle(self._pools.values())
        with shielding(), _one_thread():
            for pool in self._pools.values():
                pool.submit(_import)

    def submit(self, function, where, jobs, *rest):
        """Has the jobs of a cell computed by the process of its value."""
        pool = self._pools[jobs[0].cell[self._label]]
        return pool.submit(function, where, jobs, *rest)

    def by_turns(self, function: Callable, *given: Any) -> Future:
        """Has anything done by one of the processes, each in its turn."""
        return next(self._turns).submit(function, *given)

    def kill(self):
        """Ends the processes at once, in the midst of what they do."""
        managers = [pool._executor_manager_thread for pool in self._pools.values()]
        processes = [
            process
            for pool in self._pools.values()
            for process in (pool._processes or {}).values()
        ]
        self.shutdown(wait=False, cancel_futures=True)
        for manager in filter(None, managers):  # it falls over what is cancelled
            limit = time.monotonic() + 1.0
            while time.monotonic() < limit and any(
                item.future.cancelled()
                for item in list(manager.pending_work_items.values())
            ):
                time.sleep(0.01)
        for process in processes:
            process.kill()
        for manager in filter(None, managers):
            manager.join(1.0)

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Ends the processes."""
        for pool in self._pools.values():
            pool.shutdown(wait, cancel_futures=cancel_futures)


def _import() -> None:
    """Does nothing: a process that is asked for it has the package when cells come."""


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that are started inside have one thread of NumPy, if none was asked for."""
    missing = [name for name in _THREADS_OF_BLAS if name not in os.environ]
    os.environ.update(dict.fromkeys(missing, "1"))
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]


def _end_with_parent() -> None:
    """Has this process end when the driver does, even if that is killed."""

    def follow():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def status(studies: Sequence[Study], store: Store) -> Table:
    """A row an experiment: how many of its cells ended how."""
    states = [*map(str, Status), "missing"]
    table = Table(title=Text("Cells", style="bold"), **plotting.tables.LOOK)
    for name in ("file", "experiment"):
        table.add_column(name, no_wrap=True)
    for state in states:
        table.add_column(state, justify="right", no_wrap=True)
    table.add_column("", ratio=1)
    for study in studies:
        name = study.name
        for experiment, counts in study.counts(store).items():
            numbers = [str(counts[state] or "-") for state in states]
            table.add_row(Text(name), Text(experiment), *numbers)
            name = ""
        if study.error:
            table.add_row(Text(name), Text("cannot be run", style="bold"))
    return table


def broken(studies: Sequence[Study]) -> list[str]:
    """Why files cannot be run, a text a file."""
    return [study.error for study in studies if study.error]


def export(studies: Sequence[Study], store: Store, path: Path) -> int:
    """Writes every value as a table, and gives the number of its rows."""
    frame = store.frame(*(e for s in studies for e in s.experiments.values()))
    sweep.write(frame, path)
    return len(frame)


def stale(studies: Sequence[Study], store: Store) -> str:
    """What to know of cells that other files of the package gave; "" if there are none."""
    counts = {
        study.name: sum(map(store.stale, study.experiments.values()))
        for study in studies
    }
    listed = ", ".join(f"{n} of {name}" for name, n in counts.items() if n)
    if not listed:
        return ""
    return (
        f"cells that gmm_testbed computed before its code changed: {listed};"
        " `run NAME --force` computes them again"
    )


def unfinished(study: Study, store: Store, whole: bool = False) -> list[str]:
    """Why cells failed or were late, one paragraph a reason.

    Args:
        study: the file.
        store: where its cells are.
        whole: the traceback, and also the reasons of cells that were skipped.
    """
    states = (*_UNFINISHED, Status.SKIPPED) if whole else _UNFINISHED
    rows = [
        row
        for experiment in study.experiments.values()
        for row in store.rows(experiment)
        if row.status in states
    ]
    rows.sort(key=lambda row: (row.experiment, row.status, _short(row)))
    lines = []
    for (name, state, short), same in itertools.groupby(
        rows, key=lambda row: (row.experiment, row.status, _short(row))
    ):
        same = list(same)
        cell = ", ".join(f"{label}={x}" for label, x in same[0].cell.items())
        lines += [
            f"{name}: {len(same)} {state}: {short}",
            f"  such as: {cell or 'the only cell'}, seed {same[0].seed}",
        ]
        if whole and same[0].reason != short:
            lines += [f"  {line}" for line in same[0].reason.splitlines()]
    return lines


def _short(row: Row) -> str:
    """The first line of a reason, or of the error under a traceback."""
    lines = row.reason.strip().splitlines() or [""]
    if not lines[0].startswith("Traceback"):
        return lines[0]
    outside = [line for line in lines if line and not line[0].isspace()]
    return outside[-1]
