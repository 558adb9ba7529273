"""Dask as an executor: workers on this machine, or those of a scheduler elsewhere.

A scheduler may stand before any of Dask's deployments: SLURM, Kubernetes, SSH.
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

from .._checks import fail, require


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
            scheduler = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=None,  # a cell may need more than its share for a while
                    dashboard_address=None,
                    # Without one, a second cluster finds port 8787 taken, and warns.
                    scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                )
            )
        try:
            client = stack.enter_context(Client(scheduler))
        except OSError as error:
            fail(
                "the scheduler does not answer",
                got=f"{scheduler} ({error})",
                expected="the address of a running Dask scheduler",
                hint="start one with `dask scheduler`",
            )
        # Not pure: a cell that is forced is computed again.
        yield stack.enter_context(client.get_executor(pure=False))


def slots(executor: Executor) -> int:
    """Number of calls that an executor should have at a time.

    Two for each worker, one that it computes and one that is there when it ends; a
    cluster may grow meanwhile. Of an executor whose workers nobody knows, many.
    """
    client = getattr(executor, "_client", None)  # of Dask
    if client is not None:
        return max(4, 2 * sum(client.nthreads().values()))
    return 2 * getattr(executor, "_max_workers", 128)
