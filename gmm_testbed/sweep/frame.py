"""Rows of a store as pandas frames: long, a row a value; wide, a column a metric."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from .._checks import require
from .outcomes import Row

NUMBERS = "value", "stderr", "floor", "wall_seconds", "compile_seconds"
# After the name of the experiment and the labels: the value, how the cell ended, by what.
FIELDS = (
    "seed", "metric", "value", "stderr", "floor", "how", "dtype", "status", "reason",
    "precision", "version", "wall_seconds", "compile_seconds", "device", "jax",
    "package", "revision", "sources", "ended", "digest",
)  # fmt: skip


def long(rows: Sequence[Row], labels: Iterable[str] = ()) -> pd.DataFrame:
    """Frame of rows with the columns "experiment", the labels, and FIELDS.

    Args:
        rows: of one experiment or several.
        labels: that have a column even if there are no rows.

    Raises:
        InputError: if a label has the name of another column.
    """
    labels = list(
        dict.fromkeys([*labels, *(name for row in rows for name in row.cell)])
    )
    both = sorted({"experiment", *FIELDS} & set(labels))
    require(
        not both,
        "a label has the name of a column",
        got=", ".join(both),
        expected="labels other than experiment, " + ", ".join(FIELDS),
        hint="rename the label",
    )
    columns = {"experiment": pd.Series([row.experiment for row in rows], dtype=str)}
    for label in labels:
        columns[label] = typed([row.cell.get(label) for row in rows])
    fields = list(zip(*rows, strict=True)) or [()] * len(Row._fields)
    by_field = dict(zip(Row._fields, fields, strict=True))
    for name in FIELDS:
        values = by_field[name]
        kind = float if name in NUMBERS else int if name == "seed" else None
        columns[name] = pd.Series(values, dtype=kind)
    return pd.DataFrame(columns)


def typed(values: Sequence[Any]) -> pd.Series:
    """Series of labels: whole numbers, numbers, booleans or strings; else objects.

    Whole numbers and booleans of which some are missing are of the pandas types "Int64"
    and "boolean", which have a missing value; a missing number is NaN.
    """
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pd.Series(values, dtype=float)
    if len(kinds) > 1:
        return pd.Series(values, dtype=object)
    missing = any(value is None for value in values)
    nullable = (
        {int: "Int64", bool: "boolean"}.get(*kinds) if kinds and missing else None
    )
    return pd.Series(values, dtype=nullable if kinds else object)


def labels_of(frame: pd.DataFrame) -> list[str]:
    """Names of the labels of a long frame: of all columns that `long` does not name."""
    return [name for name in frame if name not in ("experiment", *FIELDS)]


def check_once(frame: pd.DataFrame) -> None:
    """Refuses a long frame with a value twice, of two versions or precisions."""
    place = ["experiment", *labels_of(frame), "metric", "seed"]
    twice = frame[frame.duplicated(place)]
    require(
        twice.empty,
        "a seed occurs twice",
        got="; ".join(str(row) for row in twice[place].head(1).to_dict("records")),
        expected="one version of the code, one precision, and labels that differ (1,"
        " 1.0 and True are equal)",
        hint="take them from Store.frame(experiment), or filter them",
    )


def wide(
    frame: pd.DataFrame, values: str = "value", by_seed: bool | None = None
) -> pd.DataFrame:
    """Frame of one experiment with a row a cell and seed, and a column a metric.

    Args:
        frame: long, of one experiment.
        values: which column fills it: "value", "stderr", "floor", "digest"...
        by_seed: whether seeds are in the index; if there are several, by default.

    Raises:
        InputError: if a value is there twice, as in two versions or precisions.
    """
    check_once(frame)
    labels = labels_of(frame)
    if by_seed is None:
        by_seed = frame["seed"].nunique() > 1
    index = [*labels, "seed"] if by_seed or not labels else labels
    metrics = frame["metric"].dropna().unique()
    place = frame.groupby(index, sort=False, dropna=False).ngroup()
    found = frame.assign(place=place).pivot(
        index="place", columns="metric", values=values
    )
    found = found.reindex(columns=pd.Index(metrics, name="metric"))
    cells = frame.loc[~frame.duplicated(index), index]
    # Levels in the order of the rows, and not of letters: `unstack` and `loc` keep it.
    codes, levels = zip(*(pd.factorize(cells[name]) for name in index), strict=True)
    if len(index) == 1:
        found.index = pd.Index(cells[index[0]], name=index[0])
    else:
        found.index = pd.MultiIndex(levels=levels, codes=codes, names=index)
    return found
