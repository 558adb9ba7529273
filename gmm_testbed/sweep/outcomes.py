"""What an experiment gives for a cell, and what is kept of it."""

import enum
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .._checks import fail, require
from ..estimate import Estimate
from .provenance import Provenance


class Status(enum.StrEnum):
    """How a cell ended. `DONE` and `SKIPPED` are final, the others are tried again."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    TIMED_OUT = "timed out"


FINAL = (Status.DONE, Status.SKIPPED)


class Measured(NamedTuple):
    """A metric with its floor.

    Attributes:
        value: a float, which says nothing of its error; or an `Estimate`, of which the
            error 0 says that it is exact, as in `gt.Estimate(tv, how="quadrature")`.
        floor: what the metric would give for the truth itself, None if not known.
    """

    value: Any
    floor: Any = None


class Found(NamedTuple):
    """What an experiment may give instead of a dictionary of metrics.

    Attributes:
        metrics: as in the dictionary.
        arrays: by name; they are kept in files beside the store.
    """

    metrics: Mapping[str, Any]
    arrays: Mapping[str, Any] = {}


class Metric(NamedTuple):
    """One value as it is stored.

    Attributes:
        name: of the metric.
        value: may be infinite or NaN.
        stderr: of the `Estimate`, 0 where it is exact; None for a plain float, whether
            that is exact or not: it does not say.
        floor: None if none was given.
        how: of the `Estimate`, else "".
        dtype: of the value.
    """

    name: str
    value: float
    stderr: float | None
    floor: float | None
    how: str
    dtype: str


class Outcome(NamedTuple):
    """How a cell ended, and what it gave.

    Attributes:
        status: done, skipped, failed or timed out.
        reason: why it was skipped, the traceback of a failure, or "".
        metrics: values, if it is done.
        arrays: by name.
        wall_seconds: that it took in all, compilation included.
        compile_seconds: that XLA took of these to compile.
        provenance: what computed it; None if that is not known.
    """

    status: Status
    reason: str = ""
    metrics: tuple[Metric, ...] = ()
    arrays: dict[str, np.ndarray] = {}
    wall_seconds: float | None = None
    compile_seconds: float | None = None
    provenance: Provenance | None = None


class Ended(NamedTuple):
    """How a cell ended the last time.

    Attributes:
        status: done, skipped, failed or timed out.
        ended: time, ISO 8601, UTC.
        seconds: that it took.
        digest: of its arrays, or None.
    """

    status: str
    ended: str
    seconds: float | None
    digest: str | None


class Row(NamedTuple):
    """One value of a metric, or a cell that has none; as the store gives it.

    Attributes:
        experiment: its name.
        version: of its code.
        cell: value by label.
        seed: of the key.
        precision: "float64" or "float32".
        status: done, skipped, failed or timed out.
        reason: why it was skipped, or the traceback.
        metric: its name, None if the cell has no values.
        value: may be infinite or NaN; None if the cell has no values.
        stderr: 0 of what says that it is exact; None of a plain number.
        floor: None if none was given.
        how: what an estimate rests on.
        dtype: of the value.
        wall_seconds: of the cell, compilation included.
        compile_seconds: of the cell, in XLA.
        device: that computed it.
        jax: its version.
        package: the version of this package.
        revision: of its git checkout.
        sources: hash of its Python files.
        ended: time, ISO 8601, UTC.
        digest: under which the arrays of the cell are kept, or None.
    """

    experiment: str
    version: str
    cell: dict[str, Any]
    seed: int
    precision: str
    status: str
    reason: str
    metric: str | None
    value: float | None
    stderr: float | None
    floor: float | None
    how: str | None
    dtype: str | None
    wall_seconds: float | None
    compile_seconds: float | None
    device: str | None
    jax: str | None
    package: str | None
    revision: str | None
    sources: str | None
    ended: str
    digest: str | None

    @classmethod
    def read(cls, fields: list, parse: Callable[[str], dict]) -> "Row":
        """The row of what a file has: its cell is text, and SQLite has no NaN."""
        named = dict(zip(cls._fields, fields, strict=True))
        if named["value"] is None and named["metric"] is not None:
            named["value"] = math.nan
        named["cell"] = dict(parse(named["cell"]))
        return cls(**named)


def plain(text: object) -> str:
    """Text that any file can hold: halves of surrogate pairs are written out."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def read(result: Any) -> tuple[tuple[Metric, ...], dict[str, np.ndarray]]:
    """Metrics and arrays of what an experiment returned.

    Raises:
        InputError: if it is neither a dictionary nor a `Found`, a name is no text, a metric
            is not one real number, or an array cannot be written.
    """
    found = result if isinstance(result, Found) else Found(result)
    for what, named in ("metrics", found.metrics), ("arrays", found.arrays):
        require(
            isinstance(named, Mapping),
            f"an experiment must give its {what} by name",
            got=type(named).__name__,
            expected='a dictionary such as {"w1": 0.25}, or a gt.sweep.Found',
            hint="return a dictionary",
        )
        for name in named:
            require(
                isinstance(name, str) and name == plain(name) and "\0" not in name,
                f"a name among the {what} is no text",
                got=f"{name!r}",
                expected="a string that can be written",
                hint='join the parts of a name, as in f"w1[{k}]"',
            )
    metrics = tuple(_metric(name, value) for name, value in found.metrics.items())
    arrays = {name: np.asarray(array) for name, array in found.arrays.items()}
    for name, array in arrays.items():
        require(
            _can_be_written(array.dtype),
            f"the array {name!r} cannot be written",
            got=f"dtype {array.dtype}",
            expected="numbers, booleans or strings",
            hint="split what it holds into arrays, or convert it to float32",
        )
    return metrics, arrays


def _can_be_written(dtype: np.dtype) -> bool:
    """Whether a file gives the type back: no objects, and none that NumPy has not."""
    if dtype.hasobject:
        return False
    described = np.lib.format.dtype_to_descr(dtype)
    return np.lib.format.descr_to_dtype(described) == dtype


def _metric(name: str, given: Any) -> Metric:
    value, floor = given if isinstance(given, Measured) else (given, None)
    if isinstance(floor, Estimate):
        floor = floor.value
    error, how = None, ""
    if isinstance(value, Estimate):
        error, how, value = _number(name, value.stderr), plain(value.how), value.value
    dtype = (
        "float64" if isinstance(value, float | int) else str(np.asarray(value).dtype)
    )
    floor = None if floor is None else _number(name, floor)
    return Metric(name, _number(name, value), error, floor, how, dtype)


def _number(name: str, value: Any) -> float:
    if np.ndim(value) or np.asarray(value).dtype.kind not in "biufOV":
        fail(
            f"the metric {name!r} is not one number",
            got=f"shape {np.shape(value)} of {np.asarray(value).dtype}",
            expected="a real scalar",
            hint="name each entry, or return it among the arrays of gt.sweep.Found",
        )
    return float(value)
