"""Tables as files, CSV or Parquet (extra `parquet`): the writer of the whole package."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .._checks import fail, require
from ..estimate import Estimate
from .files import replacing


def write(table: pd.DataFrame | Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Writes a table as a file that is there as a whole or not at all.

    What is missing, or None, is empty in a CSV; NaN is "nan" among rows, and in the column
    "value" of a frame that has a "metric" there, which is how a store's frame says that a
    run gave NaN. Floats have all their digits.

    Args:
        table: a frame, without its index, as `Store.frame` gives; or rows, each a value by
            column, of which some may lack some. An `Estimate` of a row has two columns,
            its own and one with " stderr" at the end.
        path: that ends in ".csv" or ".parquet".

    Raises:
        InputError: for another ending, or without pyarrow for Parquet.
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
    if not isinstance(table, pd.DataFrame):
        table = [_apart(row) for row in table]
        names = list(dict.fromkeys(name for row in table for name in row))
        columns = {name: [row.get(name) for row in table] for name in names}
        table = pd.DataFrame(columns, dtype=object)
    content = kinds[path.suffix](table)
    with replacing(path) as file:
        file.write(content)


def _apart(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose estimates are two numbers each."""
    found = {}
    for name, value in row.items():
        if isinstance(value, Estimate):
            found |= {name: float(value.value), f"{name} stderr": float(value.stderr)}
        else:
            found[name] = value
    return found


def _csv(table: pd.DataFrame) -> bytes:
    shown = table.copy()
    for name, column in table.items():
        if column.dtype == object:
            texts = [_text(value) for value in column]
            shown[name] = pd.Series(texts, column.index, dtype=object)
    if {"metric", "value"} <= set(table):
        given = table["metric"].notna() & table["value"].isna()
        shown["value"] = table["value"].astype(object).mask(given, "nan")
    return shown.to_csv(index=False, lineterminator="\n").encode()


def _text(value: Any) -> Any:
    return "nan" if isinstance(value, float) and math.isnan(value) else value


def _parquet(table: pd.DataFrame) -> bytes:
    kept = {name: _one_kind(column) for name, column in table.items()}
    file = io.BytesIO()
    try:
        pd.DataFrame(kept).to_parquet(file, engine="pyarrow", index=False)
    except ImportError:
        fail(
            "pyarrow is not installed",
            got="no module named pyarrow",
            expected="the extra `parquet`",
            hint="pip install 'gmm_testbed[parquet]', or write a CSV",
        )
    return file.getvalue()


def _one_kind(column: pd.Series) -> pd.Series:
    """A label may be a number here and a string there; a column may not."""
    kinds = {type(value) for value in column if value is not None}
    if column.dtype != object or len(kinds) <= 1 or kinds == {int, float}:
        return column
    return column.map(lambda value: None if value is None else str(value))
