"""One SQLite file that keeps what every cell gave, and how each ended.

A cell is written in one transaction, as soon as it has ended. The journal is a
write-ahead log: a process that is killed, or a disk that is full, loses the transaction
that it was in and no other. The file must be on a local disk.
"""

import contextlib
import datetime
import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from .._checks import fail
from .declare import Experiment, Job, precision_in_use
from .files import load_arrays, save_arrays
from .outcomes import FINAL, Outcome, Row, Status
from .provenance import Provenance, provenance

SCHEMA = 2
TABLES = """
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


class Store:
    """The cells in a file; it is made if it is not there.

    Attributes:
        path: of the file.
        folder: of the arrays, beside it.

    Raises:
        InputError: if the file is no store, or one of another layout, or cannot be made.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.folder = self.path.with_suffix(".arrays")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Transactions are begun and ended here, and not by the sqlite3 module.
            self._file = sqlite3.connect(self.path, timeout=60.0, isolation_level=None)
        except (sqlite3.Error, OSError) as error:
            self._refuse(error)
        try:
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.execute("PRAGMA wal_autocheckpoint = 4000")  # pages of 4 kB
            with self._transaction():
                layout = self._file.execute("PRAGMA user_version").fetchone()[0]
                empty = not self._file.execute("SELECT 1 FROM sqlite_master").fetchone()
                if empty:
                    for statement in TABLES.split(";"):
                        self._file.execute(statement)
                    self._file.execute(f"PRAGMA user_version = {SCHEMA}")
        except sqlite3.DatabaseError as error:
            self._file.close()
            self._refuse(error)
        if not empty and layout != SCHEMA:
            self._file.close()
            fail(
                "the store has another layout",
                got=f"{self.path} with layout {layout}",
                expected=f"layout {SCHEMA}",
                hint="export it with the version that wrote it, and begin another",
            )

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _refuse(self, error: Exception) -> NoReturn:
        fail(
            "the store cannot be opened",
            got=f"{self.path} ({error})",
            expected="a file made by this package on a disk with room, or none yet",
            hint="choose another path, or make room",
        )

    def close(self) -> None:
        """Closes the file; what was put is kept."""
        self._file.close()

    def put(self, experiment: Experiment, precision: str, job: Job, outcome: Outcome):
        """Keeps how a job ended, in place of what there was of it.

        Raises:
            sqlite3.Error: if it cannot be written; the store is as it was.
            OSError: if the arrays cannot be written; the store is as it was.
        """
        code = experiment.name, experiment.version
        what = json.dumps(job.cell), job.seed, precision
        took = outcome.wall_seconds, outcome.compile_seconds
        by = outcome.provenance or (None,) * len(Provenance._fields)
        ended = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        row = (job.identity, *code, *what, outcome.status, outcome.reason, *took, *by)
        metrics = [(job.identity, *metric) for metric in outcome.metrics]
        of_cell = "SELECT digest FROM arrays WHERE identity = ?"
        with self._transaction():
            old = self._file.execute(of_cell, (job.identity,)).fetchone()
            if self._delete("cells", job.identity):
                self._delete("metrics", job.identity)
                self._delete("arrays", job.identity)
            self._insert("cells", (*row, ended))
            for metric in metrics:
                self._insert("metrics", metric)
            if outcome.arrays:
                digest = save_arrays(self.folder, outcome.arrays)
                self._insert("arrays", (job.identity, digest))
        if old:
            self._forget(*old)

    def kept(
        self, experiment: Experiment, precision: str, statuses: tuple[Status, ...]
    ) -> set[str]:
        """Identities of an experiment's cells that ended so, with its present version."""
        found = self._file.execute(
            "SELECT identity FROM cells WHERE experiment = ? AND version = ?"
            " AND precision = ? AND status IN (SELECT value FROM json_each(?))",
            (experiment.name, experiment.version, precision, json.dumps(statuses)),
        )
        return {identity for (identity,) in found}

    def rows(
        self, experiment: Experiment | str | None = None, precision: str | None = None
    ) -> list[Row]:
        """Values and cells without values, in the order of the labels and seeds.

        Args:
            experiment: what it declares now, its cells and seeds, paired labels, version
                and precision; by its name, everything there is of it; None for all.
            precision: other than the one in use.
        """
        where, given = [], []
        if experiment is not None:
            name = experiment if isinstance(experiment, str) else experiment.name
            where, given = ["experiment = ?"], [name]
        if isinstance(experiment, Experiment):
            where += ["version = ?"]
            given += [experiment.version]
            precision = precision or precision_in_use()
        if precision is not None:
            where += ["precision = ?"]
            given += [precision]
        condition = " AND ".join(where) or "1"
        found = self._file.execute(f"SELECT * FROM results WHERE {condition}", given)
        if not isinstance(experiment, Experiment):
            return [_row(fields) for _, *fields in found]
        jobs = experiment.jobs(precision)
        groups = {job.identity: [] for job in jobs}
        for identity, *fields in found:
            if identity in groups:  # else of a declaration that is no longer this one
                groups[identity].append(_row(fields))
        return [row for group in groups.values() for row in group]

    def frame(
        self, *experiments: Experiment | str, precision: str | None = None
    ) -> "pandas.DataFrame":
        """Long pandas frame: a row a value, a column a label.

        Columns: "experiment"; each label; "seed", "metric", "value", "stderr", "floor",
        and the other fields of `Row`, as in `gmm_testbed.sweep.frame.FIELDS`. Rows are in
        the order of the experiments, then of labels and seeds as declared. A cell that has
        no values, as one that was skipped, has one row, in which "metric" is missing:
        `frame.dropna(subset="metric")` leaves these out. "stderr" is 0 of what says that
        it is exact, NaN of a plain number; "floor" NaN if none was given.

        A label of whole numbers is int64, of numbers float64, of booleans bool, of strings
        what pandas has for these. What an experiment of several does not have, or declares
        as None, is missing: whole numbers are "Int64" then, booleans "boolean", numbers
        NaN; group these with `dropna=False`. A label of several kinds is of objects.

        Args:
            experiments: what each declares now; or names, of which all there is, as with
                `rows`. None for everything.
            precision: other than the one in use.

        Raises:
            InputError: if a label has the name of another column, such as "value".

        Example:
            >>> store.frame(made).query("steps == 100")["value"]  # doctest: +SKIP
        """
        from .frame import long

        rows = [
            row for one in experiments or (None,) for row in self.rows(one, precision)
        ]
        declared = [e.grid for e in experiments if isinstance(e, Experiment)]
        return long(rows, [label for grid in declared for label in grid])

    def wide(
        self,
        experiment: Experiment | str,
        values: str = "value",
        precision: str | None = None,
    ) -> "pandas.DataFrame":
        """Pandas frame of one experiment: a row a cell and seed, a column a metric.

        Its index is the labels, and "seed" if there are several, with values in the order
        in which they are declared; a cell without values, as one that was skipped, is a
        row of NaN. So `store.wide(made)["w1"].unstack("steps")` has a column a number of
        steps, and `store.wide(made, "digest")["w1"].map(store.arrays)` is the arrays.

        Args:
            experiment: what it declares now; or a name, of which all there is.
            values: what fills it: "value", "stderr", "floor", or another column of `frame`.
            precision: other than the one in use.

        Raises:
            InputError: if a value is there twice, as in two versions of the code.
        """
        from .frame import wide

        several = (
            len(experiment.seeds) > 1 if isinstance(experiment, Experiment) else None
        )
        return wide(self.frame(experiment, precision=precision), values, several)

    def arrays(self, cell: Row | str | float | None) -> dict[str, np.ndarray]:
        """The arrays of a cell, by name; none if it has no arrays.

        Args:
            cell: a row of it, or its "digest" in a frame, missing if there are none:
                `frame["digest"].map(store.arrays)`.
        """
        digest = cell.digest if isinstance(cell, Row) else cell
        return load_arrays(self.folder, digest) if isinstance(digest, str) else {}

    def status(self, experiment: Experiment, precision: str = "") -> dict[str, int]:
        """Number of cells by status, "missing" among them; of the present version."""
        jobs = {j.identity for j in experiment.jobs(precision or precision_in_use())}
        found = self._file.execute(
            "SELECT identity, status FROM cells WHERE experiment = ? AND version = ?",
            (experiment.name, experiment.version),
        )
        counts = Counter(status for identity, status in found if identity in jobs)
        missing = len(jobs) - sum(counts.values())
        return {**{s.value: counts[s] for s in Status}, "missing": missing}

    def stale(self, experiment: Experiment) -> int:
        """Number of final cells that other Python files of this package gave.

        Of the experiment as it is declared and the precision in use. Its version is that
        of its own file: it does not show that what the file imports has changed. Files
        are compared and not revisions: most commits change none of them, and what is
        not committed changes no revision.
        """
        jobs = {job.identity for job in experiment.jobs()}
        found = self._file.execute(
            "SELECT identity FROM cells WHERE experiment = ? AND version = ? AND status"
            " IN (SELECT value FROM json_each(?)) AND sources IS NOT ?",
            (experiment.name, experiment.version, json.dumps(FINAL),
             provenance().sources),
        )  # fmt: skip
        return sum(identity in jobs for (identity,) in found)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._file.execute("COMMIT")
        except BaseException:
            if self._file.in_transaction:  # SQLite may have ended it
                self._file.execute("ROLLBACK")
            raise

    def _forget(self, digest: str) -> None:
        """Removes arrays that no cell has any more; no other process can take them up."""
        others = "SELECT 1 FROM arrays WHERE digest = ?"
        with self._transaction():
            if not self._file.execute(others, (digest,)).fetchone():
                (self.folder / f"{digest}.npz").unlink(missing_ok=True)

    def _delete(self, table, identity) -> int:
        where = "WHERE identity = ?"
        return self._file.execute(f"DELETE FROM {table} {where}", (identity,)).rowcount

    def _insert(self, table, values):
        marks = ", ".join("?" * len(values))
        self._file.execute(f"INSERT INTO {table} VALUES ({marks})", tuple(values))


def _row(fields) -> Row:
    row = Row(*fields)
    value = row.value
    if row.metric is not None and value is None:  # SQLite has no NaN
        value = math.nan
    return row._replace(cell=json.loads(fields[2]), value=value)
