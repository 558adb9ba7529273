"""Tables as files: the rows of a store as CSV or Parquet (extra `parquet`); any as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._checks import fail, require
from .files import replacing
from .outcomes import Row


def write(rows: Sequence[Row], path: str | Path) -> None:
    """Writes a file that is there as a whole or not at all; by its name, which kind.

    One line a row, one column a field; the labels of the cells stand in columns of their
    own, and are empty where an experiment has no such label.

    Args:
        rows: of `Store.rows`.
        path: that ends in ".csv" or ".parquet".

    Raises:
        InputError: for another ending, if a label has the name of a field, or without
            pyarrow for Parquet.
    """
    path = Path(path)
    kinds = {".csv": _csv, ".parquet": _parquet}
    require(
        path.suffix in kinds,
        "unknown kind of file",
        got=str(path),
        expected="a name that ends in " + " or ".join(kinds),
        hint="write results.csv",
    )
    labels = list(dict.fromkeys(label for row in rows for label in row.cell))
    fields = [name for name in Row._fields if name != "cell"]
    both = sorted(set(labels) & set(fields))
    require(
        not both,
        "a label has the name of a column",
        got=", ".join(both),
        expected="labels other than " + ", ".join(fields),
        hint="rename the label",
    )
    columns = {name: [getattr(row, name) for row in rows] for name in fields}
    cells = {label: [row.cell.get(label) for row in rows] for label in labels}
    columns = {"experiment": columns["experiment"], **cells, **columns}
    content = kinds[path.suffix](columns)
    with replacing(path) as file:
        file.write(content)


def write_table(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Writes rows of label and value as CSV; what a row lacks is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    with replacing(Path(path)) as file:
        file.write(_csv(columns))


def _csv(columns: dict[str, list[Any]]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return file.getvalue().encode()


def _parquet(columns: dict[str, list[Any]]) -> bytes:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        fail(
            "pyarrow is not installed",
            got="no module named pyarrow",
            expected="the extra `parquet`",
            hint="pip install 'gmm_testbed[parquet]', or write a CSV",
        )
    table = pyarrow.table({name: _one_kind(values) for name, values in columns.items()})
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    return file.getvalue()


def _one_kind(values: list[Any]) -> list[Any]:
    """A label may be a number here and a string there; a column may not."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1 or kinds == {int, float}:
        return values
    return [None if value is None else str(value) for value in values]
