r"""Means over seeds, and differences of two methods on the same problems, as frames.

Intervals are Student's, \(\bar x \pm t_{n-1} s / \sqrt{n}\), over the n seeds of a cell;
the errors of single values are part of what varies from seed to seed. Values that are not
finite are counted and stay in: with one of them the mean is not finite either, and there is
no interval. To average over the others would favour whatever fails most.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from .._checks import require
from .frame import check_once, labels_of


def means(frame: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Frame of the mean and interval over seeds, a row a cell and metric.

    Columns: "experiment", the labels and "metric"; "mean", over the seeds, NaN or infinite
    if one of the values is; "low" and "high", the ends of the interval, NaN where the mean
    is not finite, or of one seed; "seeds", the number of values that the mean is over;
    "left_out", the number of seeds that ended without a value, as those that failed;
    "floor", the mean of the floors, NaN if none is known; "nonfinite", the number of values
    that are not finite.

    Args:
        frame: of one version of each experiment, as `Store.frame(experiment)` gives; other
            columns than it has are labels too.
        level: of the intervals.

    Raises:
        InputError: if a seed occurs twice, in two versions or precisions.
    """
    check_once(frame)
    cell = ["experiment", *labels_of(frame)]
    ended = frame.groupby(cell, dropna=False)["seed"].transform("nunique")
    known = frame.assign(of_seeds=ended).dropna(subset="metric")
    return _means(known, [*cell, "metric"], level)


def differences(
    frame: pd.DataFrame, label: str, baseline: Any, level: float = 0.95
) -> pd.DataFrame:
    """Frame of every other value of a label minus the baseline, seed by seed.

    The label is one of the experiment's `paired`, so that both sides saw one problem and
    one noise: what they share falls out of the difference. Columns are those of `means`;
    "left_out" counts the seeds of either side that are not in both, as both means are over
    the same problems, and there is no floor.

    Args:
        frame: as for `means`.
        label: such as "method".
        baseline: its value that is subtracted.
        level: of the intervals.

    Raises:
        InputError: if no cell has that value of the label, or a seed occurs twice.
    """
    check_once(frame)
    known, cell = frame["metric"].notna(), ["experiment", *labels_of(frame)]
    chosen = has = pd.Series(False, frame.index)
    if label in cell:
        values = frame[label]
        has = values.notna().groupby(frame["experiment"]).transform("any")
        same = values.isna() if baseline is None else values == baseline
        chosen = has & same.fillna(False).astype(bool)
    require(
        (known & chosen).any(),
        "there is nothing to compare with",
        got=f"{label} = {baseline!r}",
        expected="a value of a label of the experiment, with results",
        hint="run the baseline first",
    )
    rest = [name for name in cell if name != label]
    others = frame[has & ~chosen]
    ended = others[[*cell, "seed"]]
    of_base = frame.loc[chosen, [*rest, "seed"]]
    either = pd.concat([ended, ended[cell].drop_duplicates().merge(of_base, on=rest)])
    either = either.drop_duplicates().groupby(cell, sort=False, dropna=False).size()
    base = frame.loc[known & chosen, [*rest, "metric", "seed", "value"]]
    ours = others[others["metric"].notna()]
    ours = ours.merge(either.rename("of_seeds").reset_index(), on=cell)
    pairs = ours.merge(
        base, "left", [*rest, "metric", "seed"], suffixes=("", "_base"), indicator=True
    )
    pairs["value"] -= pairs.pop("value_base")
    return _means(
        pairs.assign(floor=np.nan), [*cell, "metric"], level, pairs["_merge"] == "both"
    )


def _means(
    values: pd.DataFrame,
    place: list[str],
    level: float,
    paired: pd.Series | None = None,
) -> pd.DataFrame:
    """Means of "value" by place; a place without a paired row has a row too, of 0 seeds."""
    found = values if paired is None else values[paired]
    found = found.assign(
        nonfinite=~np.isfinite(found["value"]),
        finite=found["value"].where(np.isfinite(found["value"])),
    )
    groups = found.groupby(place, sort=False, dropna=False)
    found = groups.agg(
        mean=("value", _mean),
        spread=("finite", "std"),
        seeds=("value", "size"),
        floor=("floor", "mean"),
        nonfinite=("nonfinite", "sum"),
    ).reset_index()
    every = values[[*place, "of_seeds"]].drop_duplicates(place)
    found = every.merge(found, "left", place)
    counts = ["seeds", "nonfinite"]
    found[counts] = found[counts].fillna(0).astype(int)
    finite = found["nonfinite"] == 0
    freedom = (found["seeds"] - 1).where(found["seeds"] > 1)
    student = stdtrit(freedom, 0.5 + 0.5 * level)
    reach = (student * found["spread"] / np.sqrt(found["seeds"])).where(finite)
    found["low"], found["high"] = found["mean"] - reach, found["mean"] + reach
    found["left_out"] = found["of_seeds"] - found["seeds"]
    names = "mean", "low", "high", "seeds", "left_out", "floor", "nonfinite"
    return found[[*place, *names]].reset_index(drop=True)


def _mean(values: pd.Series) -> float:
    """With what is not finite; pandas would leave NaN out."""
    with np.errstate(invalid="ignore"):  # of infinities of both signs
        return values.to_numpy().mean()
