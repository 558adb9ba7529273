"""The SQLite file of a store: its layout, and how it is opened to write or to look."""

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from .._checks import fail, require

LAYOUT = 3
_CELLS = """
CREATE TABLE cells (
    identity TEXT PRIMARY KEY, experiment TEXT NOT NULL, version TEXT NOT NULL,
    cell TEXT NOT NULL, seed INTEGER NOT NULL, precision TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL,
    wall_seconds REAL, compile_seconds REAL,
    device TEXT, jax TEXT, package TEXT, revision TEXT, sources TEXT,
    ended TEXT NOT NULL);
CREATE TABLE metrics (
    identity TEXT NOT NULL, metric TEXT NOT NULL, value REAL, stderr REAL, floor REAL,
    how TEXT NOT NULL, dtype TEXT NOT NULL,
    PRIMARY KEY (identity, metric)) WITHOUT ROWID;
CREATE TABLE arrays (identity TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
CREATE VIEW results AS
    SELECT identity, experiment, version, cell, seed, precision, status, reason,
        metric, value, stderr, floor, how, dtype, wall_seconds, compile_seconds,
        device, jax, package, revision, sources, ended, digest
    FROM cells LEFT JOIN metrics USING (identity) LEFT JOIN arrays USING (identity);
"""
# What layout 2 has not. `files`: what a file of arrays was when it was last found whole.
_SINCE_2 = """
CREATE TABLE files (
    digest TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE claims (
    identity TEXT PRIMARY KEY, owner TEXT NOT NULL, expires REAL NOT NULL
    ) WITHOUT ROWID;
"""


def to_write(path: Path) -> sqlite3.Connection:
    """Opens a store; it is made if it is not there, and layout 2 gets the new tables.

    Raises:
        InputError: if the file is no store, or one of another layout, or cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Transactions are begun and ended here, and not by the sqlite3 module.
        file = connected(path, "rwc")
    except (sqlite3.Error, OSError) as error:
        _refuse(path, error)
    with _closing_if_refused(path, file):
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = NORMAL")
        file.execute("PRAGMA wal_autocheckpoint = 4000")  # pages of 4 kB
        with transaction(file):
            layout = _layout(file)
            if not file.execute("SELECT 1 FROM sqlite_master").fetchone():
                layout = _make(file, _CELLS + _SINCE_2)
            elif layout == 2:
                layout = _make(file, _SINCE_2)
        _require_known(path, layout == LAYOUT, layout)
    return file


def to_read(path: Path) -> sqlite3.Connection:
    """Opens a store that is there, only to look: also where nothing can be written.

    Raises:
        InputError: if there is none, or one of an unknown layout.
    """
    file = None
    # Without the right to write, SQLite reads only what needs no recovery.
    for mode in "rw", "ro", "immutable", "copy":
        try:
            if mode == "immutable" and _log_of(path).exists():
                continue
            file = _copied(path) if mode == "copy" else connected(path, mode)
            file.execute("PRAGMA query_only = 1")
            file.execute("SELECT count(*) FROM sqlite_master")
            break
        except (sqlite3.OperationalError, OSError) as error:
            problem = error
        except sqlite3.DatabaseError as error:
            _refuse(path, error)
    else:
        _refuse(path, problem)
    with _closing_if_refused(path, file):
        layout = _layout(file)
        _require_known(path, layout in (2, LAYOUT), layout)
    return file


def connected(path: Path, mode: str) -> sqlite3.Connection:
    """A connection to a file, without transactions of its own.

    Args:
        path: absolute.
        mode: "rwc" to make the file, "rw" or "ro" for one that is there, or "immutable".
    """
    wanted = "ro&immutable=1" if mode == "immutable" else mode
    place = f"{path.as_uri()}?mode={wanted}"
    return sqlite3.connect(place, uri=True, timeout=60.0, isolation_level=None)


@contextlib.contextmanager
def transaction(file: sqlite3.Connection) -> Iterator[None]:
    """One transaction that writes, as a whole or not at all."""
    file.execute("BEGIN IMMEDIATE")
    try:
        yield
        file.execute("COMMIT")
    except BaseException:
        if file.in_transaction:  # SQLite may have ended it
            file.execute("ROLLBACK")
        raise


def inode(path: Path) -> tuple[int, int] | None:
    """What tells a file from another of its name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make(file, tables) -> int:
    for statement in tables.split(";"):
        file.execute(statement)
    file.execute(f"PRAGMA user_version = {LAYOUT}")
    return LAYOUT


def _layout(file) -> int | None:
    """Number of the layout; None of a file that is no store."""
    (found,) = file.execute("PRAGMA user_version").fetchone()
    names = "SELECT 1 FROM sqlite_master WHERE name = 'cells'"
    return found if file.execute(names).fetchone() else None


def _copied(path) -> sqlite3.Connection:
    """What a file and its log hold, in memory."""
    found = sqlite3.connect(":memory:", isolation_level=None)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite"
        shutil.copyfile(path, copy)
        if _log_of(path).exists():
            shutil.copyfile(_log_of(path), _log_of(copy))
        with contextlib.closing(connected(copy, "rw")) as file:
            file.backup(found)
    return found


def _log_of(path) -> Path:
    return path.with_name(f"{path.name}-wal")


@contextlib.contextmanager
def _closing_if_refused(path, file):
    try:
        yield
    except sqlite3.DatabaseError as error:
        file.close()
        _refuse(path, error)
    except BaseException:
        file.close()
        raise


def _require_known(path, known, layout):
    require(
        known,
        "the store has another layout",
        got=f"{path} with layout {layout}"
        if layout is not None
        else f"{path}, which is no store",
        expected=f"layout {LAYOUT}, or 2, to which is added what it lacks",
        hint="export it with the version that wrote it, and begin another",
    )


def _refuse(path, error) -> NoReturn:
    fail(
        "the store cannot be opened",
        got=f"{path} ({error})",
        expected="a file made by this package on a disk with room, or none yet",
        hint="choose another path, or make room; to look at one that cannot be written,"
        " Store(path, readonly=True)",
    )
