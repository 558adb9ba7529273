"""Dask as an executor: workers on this machine, or those of a scheduler elsewhere.

A scheduler may stand before any of Dask's deployments: SLURM, Kubernetes, SSH.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from multiprocessing import resource_tracker

from .._checks import fail, require

ANSWER = 10.0  # seconds in which a scheduler should
# Dask looks 15 s after a worker died whether there is another one in its place, and if that
# one has just died as well, it has none started again: a run would wait for ever.
_PATIENT = {
    "distributed.deploy.lost-worker-timeout": "10 days",
    # A cell that only waits at a worker is not to blame for its end.
    "distributed.scheduler.worker-saturation": 1.0,
}


@contextlib.contextmanager
def cluster(
    workers: int | None = None, scheduler: str | None = None
) -> Iterator[Executor]:
    """An executor for `run`, closed at the end.

    A worker that dies is replaced, and its cells are given to another; a cell that
    brings down several workers is recorded as failed. A script that starts workers must
    do so under `if __name__ == "__main__":`, since each worker imports it.

    Args:
        workers: number of processes to start on this machine, each with one cell at a
            time; they inherit the environment.
        scheduler: address of a running one, such as "tcp://host:8786", to join.

    Raises:
        InputError: unless exactly one of the two is given, if Dask is not installed, or
            if the scheduler does not answer.
    """
    require(
        (workers is None) != (scheduler is None),
        "a cluster is either started or joined",
        got=f"workers={workers}, scheduler={scheduler}",
        expected="one of the two",
        hint="give workers=2, or the address of a scheduler",
    )
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        fail(
            "Dask is not installed",
            got="no module named distributed",
            expected="the extra `cluster`",
            hint="pip install 'gmm_testbed[cluster]'",
        )
    with contextlib.ExitStack() as stack:
        if workers is not None:
            stack.enter_context(dask.config.set(_PATIENT))
            with shielding():
                started = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=None,  # a cell may need more than its share for a while
                    dashboard_address=None,
                    # Without one, a second cluster finds port 8787 taken, and warns.
                    scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                )
            stack.callback(started.close)
            stack.push(lambda kind, error, trace: kind and _kill(started))
            scheduler = started
        try:
            patience = {"timeout": ANSWER} if workers is None else {}
            client = stack.enter_context(Client(scheduler, **patience))
        except (OSError, ValueError, TypeError) as error:
            fail(
                "the scheduler does not answer",
                got=f"{scheduler} ({error})",
                expected="the address of a running Dask scheduler",
                hint="start one with `dask scheduler`, and give what it prints, such as"
                " tcp://host:8786",
            )
        # Not pure: a cell that is forced is computed again.
        executor = client.get_executor(pure=False)
        # What is under way when something fails is not waited for.
        stack.push(lambda kind, error, trace: executor.shutdown(wait=not kind))
        yield executor


@contextlib.contextmanager
def shielding() -> Iterator[None]:
    """Keeps Ctrl-C from the processes that are started inside: the driver ends them.

    A terminal sends it to every process of a command; a worker that it hits loses what it
    has just computed, and prints where it was.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # which would lift the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(cluster) -> None:
    """Ends the workers at once, in the midst of their cells, and has none started again."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(nanny.pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def slots(executor: Executor) -> int:
    """Number of calls that an executor should have at a time.

    Two for each worker, one that it computes and one that is there when it ends; a
    cluster may grow meanwhile. Of an executor whose workers nobody knows, many.
    """
    client = getattr(executor, "_client", None)  # of Dask
    if client is not None:
        return max(4, 2 * sum(client.nthreads().values()))
    return 2 * getattr(executor, "_max_workers", 128)
