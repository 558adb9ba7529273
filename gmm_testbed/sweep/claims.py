"""Claims of cells, so that two runs on one store share the work.

A run claims a cell before it computes it, for a while, and prolongs its claims as long as
it lives. A claim lapses with its time, or at once if its process was on this machine and is
no more. Whatever a claim says, no cell is lost by it: at worst it is computed twice.
"""

import contextlib
import os
import platform
import secrets
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import database

LEASE = 60.0  # seconds, and four times in each it is prolonged


@contextlib.contextmanager
def claiming(path: Path, lease: float = LEASE) -> Iterator[str]:
    """A name under which a run claims cells, until it ends.

    Args:
        path: of the store.
        lease: seconds for which a claim holds unless it is prolonged.
    """
    owner = f"{_process(os.getpid())} {secrets.token_hex(4)}"
    ended = threading.Event()
    given = path, owner, lease, ended
    prolonging = threading.Thread(target=_prolong, args=given, daemon=True)
    prolonging.start()
    try:
        yield owner
    finally:
        ended.set()
        prolonging.join()


def claim(
    file: sqlite3.Connection,
    owner: str,
    identities: Sequence[str],
    lease: float = LEASE,
) -> set[str]:
    """Claims cells that nobody else has, inside a transaction; which of them it got."""
    now = time.time()
    got = set()
    for identity in identities:
        of_cell = "SELECT owner, expires FROM claims WHERE identity = ?"
        held = file.execute(of_cell, (identity,)).fetchone()
        holds = held and held[0] != owner and now < held[1] < now + 2 * lease
        if holds and not _is_gone(held[0]):
            continue
        row = identity, owner, now + lease
        file.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", row)
        got.add(identity)
    return got


def release(file: sqlite3.Connection, owner: str) -> None:
    """Gives back every claim of a run."""
    file.execute("DELETE FROM claims WHERE owner = ?", (owner,))


def _prolong(path, owner, lease, ended) -> None:
    while not ended.wait(lease / 4):
        with contextlib.suppress(sqlite3.Error):  # the next time, or it lapses
            with contextlib.closing(database.connected(path, "rw")) as file:
                until = time.time() + lease
                file.execute(
                    "UPDATE claims SET expires = ? WHERE owner = ?", (until, owner)
                )


def _is_gone(owner: str) -> bool:
    """Whether a run was of this machine, and its process is no more."""
    host, pid, *_ = owner.split()
    if host != _host() or sys.platform == "win32":  # where a look would be a signal
        return False
    return not owner.startswith(f"{_process(int(pid))} ")


def _process(pid: int) -> str:
    """Machine, number and start of a process; the start tells those of one number apart."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
            start = "gone" if fields[0] in "ZX" else fields[19]
    except OSError:
        start = "?"
        with contextlib.suppress(PermissionError):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                start = "gone"
    return f"{_host()} {pid} {start}"


def _host() -> str:
    return "_".join(platform.node().split()) or "?"
