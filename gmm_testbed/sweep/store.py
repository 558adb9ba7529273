"""One SQLite file that keeps what every cell gave, and how each ended.

A cell is written in one transaction, as soon as it has ended. The journal is a
write-ahead log: a process that is killed, or a disk that is full, loses the transaction
that it was in and no other. The file must be on a local disk.
"""

import datetime
import functools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._checks import fail, require
from . import claims, database
from .arrays import Arrays
from .declare import Experiment, Job, precision_in_use
from .outcomes import FINAL, Ended, Outcome, Row, Status, plain
from .provenance import Provenance, provenance


class Taken(NamedTuple):
    """What a run may compute now.

    Attributes:
        mine: identities of the cells that it has claimed.
        held: of those that another run is computing; the rest has ended meanwhile.
    """

    mine: set[str]
    held: set[str]


class _Frames(NamedTuple):
    """Frames of a store, kept for as long as it does not change: studies ask often."""

    state: tuple[int, int]
    made: dict


class Store:
    """The cells in a file; it is made if it is not there.

    Attributes:
        path: of the file, absolute: it stays the same when the process changes folders.
        readonly: whether it can only be looked at.

    Raises:
        InputError: if the file is no store, or one of another layout, or cannot be made.
    """

    def __init__(self, path: str | Path, readonly: bool = False):
        try:
            self.path = Path(path).resolve()
            self.path.with_name("other")  # of a file, which "/" is not
        except (OSError, ValueError, RuntimeError) as error:
            fail(
                "this is no place for a store",
                got=f"{path!r} ({error})",
                expected="the path of a file",
                hint="choose another, such as results/experiments.sqlite",
            )
        self.readonly = readonly
        opened = database.to_read if readonly else database.to_write
        self._file = opened(self.path)
        self._inode = database.inode(self.path)
        self._arrays = Arrays(self.path, self._file)
        self._frames = _Frames((-1, -1), {})

    @property
    def folder(self) -> Path:
        """Where the arrays are: beside the file, under its whole name."""
        return self._arrays.folder

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; what was put is kept."""
        self._file.close()

    def require_there(self) -> None:
        """Refuses to go on without the file: what is written would be nowhere.

        Raises:
            InputError: if it was removed or replaced since it was opened.
        """
        require(
            self._inode is not None and database.inode(self.path) == self._inode,
            "the store is gone",
            got=f"{self.path}, which was removed or replaced while it was open",
            expected="the file that was opened",
            hint="run again: what is not in the file is computed",
        )

    def put(self, experiment: Experiment, precision: str, job: Job, outcome: Outcome):
        """Keeps how a job ended, in place of what there was of it.

        Raises:
            InputError: if the file was removed.
            sqlite3.Error: if it cannot be written; the store is as it was.
            OSError: if the arrays cannot be written; the store is as it was.
        """
        code = experiment.name, experiment.version
        what = json.dumps(job.cell), job.seed, precision
        ended = outcome.status, plain(outcome.reason)
        took = outcome.wall_seconds, outcome.compile_seconds
        by = outcome.provenance or (None,) * len(Provenance._fields)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        row = (job.identity, *code, *what, *ended, *took, *by, now)
        metrics = [(job.identity, *metric) for metric in outcome.metrics]
        of_cell = "SELECT digest FROM arrays WHERE identity = ?"
        with database.transaction(self._file):
            self.require_there()
            old = self._file.execute(of_cell, (job.identity,)).fetchone()
            if self._delete("cells", job.identity):
                self._delete("metrics", job.identity)
                self._delete("arrays", job.identity)
            self._delete("claims", job.identity)
            self._insert("cells", row)
            for metric in metrics:
                self._insert("metrics", metric)
            if outcome.arrays:
                digest = self._arrays.save(outcome.arrays)
                self._insert("arrays", (job.identity, digest))
        if old:  # no other process can take them up meanwhile
            with database.transaction(self._file):
                self._arrays.forget(*old)

    def ended(self, experiment: Experiment, precision: str) -> dict[str, Ended]:
        """How cells of an experiment ended, with its present version, by identity."""
        found = self._file.execute(
            "SELECT identity, status, ended, wall_seconds, digest"
            " FROM cells LEFT JOIN arrays USING (identity)"
            " WHERE experiment = ? AND version = ? AND precision = ?",
            (experiment.name, experiment.version, precision),
        )
        return {identity: Ended(*fields) for identity, *fields in found}

    def damaged(self, ended: Mapping[str, Ended]) -> set[str]:
        """Identities of the cells whose arrays are gone, or are not what was written.

        A file that has the size and time of change with which it was found whole is not
        read again.
        """
        digests = [one.digest for one in ended.values() if one.digest is not None]
        broken = self._arrays.damaged(digests, noting=not self.readonly)
        return {name for name, one in ended.items() if one.digest in broken}

    def claim(
        self, owner: str, identities: Sequence[str], before: Mapping[str, Ended]
    ) -> Taken:
        """Takes cells for a run, all but those that another has or has computed.

        Args:
            owner: what `claims.claiming` gave.
            identities: of the cells.
            before: how they had ended when the run began: one that has ended since is
                not computed again.
        """
        now = (
            "SELECT status, ended, wall_seconds, digest"
            " FROM cells LEFT JOIN arrays USING (identity) WHERE identity = ?"
        )
        with database.transaction(self._file):
            self.require_there()
            free = []
            for identity in identities:
                found = self._file.execute(now, (identity,)).fetchone()
                if found is None or Ended(*found) == before.get(identity):
                    free.append(identity)
            mine = claims.claim(self._file, owner, free)
        return Taken(mine, set(free) - mine)

    def release(self, owner: str) -> None:
        """Gives back what a run has claimed and not computed."""
        claims.release(self._file, owner)

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
        parse = functools.cache(json.loads)  # once a cell, which has many rows
        if not isinstance(experiment, Experiment):
            return [Row.read(fields, parse) for _, *fields in found]
        jobs = experiment.jobs(precision)
        groups = {job.identity: [] for job in jobs}
        for identity, *fields in found:
            if identity in groups:  # else of a declaration that is no longer this one
                groups[identity].append(Row.read(fields, parse))
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
        asked = experiments, precision, precision_in_use()
        if self._frames.state != (state := self._state()):
            self._frames = _Frames(state, {})
        if asked not in self._frames.made:
            self._frames.made[asked] = self._frame(experiments, precision)
        return self._frames.made[asked].copy()

    def _frame(self, experiments, precision):
        from .frame import long

        rows = [
            row for one in experiments or (None,) for row in self.rows(one, precision)
        ]
        declared = [e.grid for e in experiments if isinstance(e, Experiment)]
        return long(rows, [label for grid in declared for label in grid])

    def _state(self) -> tuple[int, int]:
        """Differs after every change: through this connection, and through others."""
        (others,) = self._file.execute("PRAGMA data_version").fetchone()
        return self._file.total_changes, others

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

        Raises:
            InputError: if they are gone or damaged; the next run computes such a cell.
        """
        digest = cell.digest if isinstance(cell, Row) else cell
        return self._arrays.load(digest) if isinstance(digest, str) else {}

    def status(self, experiment: Experiment, precision: str = "") -> dict[str, int]:
        """Number of cells by status, of the present version.

        "missing" are those that were not computed, or whose arrays are gone or damaged.
        """
        precision = precision or precision_in_use()
        jobs = {job.identity for job in experiment.jobs(precision)}
        ended = self.ended(experiment, precision)
        fine = jobs & ended.keys() - self.damaged(ended)
        counts = Counter(ended[identity].status for identity in fine)
        missing = len(jobs) - len(fine)
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

    def _delete(self, table, identity) -> int:
        where = "WHERE identity = ?"
        return self._file.execute(f"DELETE FROM {table} {where}", (identity,)).rowcount

    def _insert(self, table, values):
        marks = ", ".join("?" * len(values))
        self._file.execute(f"INSERT INTO {table} VALUES ({marks})", tuple(values))
