r"""Means over seeds, and differences of two methods on the same problems.

Intervals are Student's, \(\bar x \pm t_{n-1} s / \sqrt{n}\), over the n seeds of a cell;
the errors of single values are part of what varies from seed to seed. Values that are not
finite are counted and stay in: with one of them the mean is not finite either, and there is
no interval. To average over the others would favour whatever fails most.
"""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .._checks import require
from .outcomes import Row


class Mean(NamedTuple):
    """A metric of a cell over its seeds, or how it differs from a baseline.

    Attributes:
        experiment: its name.
        cell: value by label.
        metric: its name.
        mean: over the seeds; NaN or infinite if one of the values is.
        low: lower end of the interval; NaN where the mean is not finite, or of one seed.
        high: upper end.
        seeds: number of values that the mean is over.
        left_out: number of seeds that ended without a value, as those that failed; in a
            difference, of either side: both means are over the same problems.
        floor: mean of the floors; None if none is known. None for differences.
        nonfinite: number of values that are not finite.
    """

    experiment: str
    cell: dict[str, Any]
    metric: str
    mean: float
    low: float
    high: float
    seeds: int
    left_out: int
    floor: float | None
    nonfinite: int


def means(rows: Iterable[Row], level: float = 0.95) -> list[Mean]:
    """Mean and interval over seeds, of every cell and metric.

    Args:
        rows: of one version of each experiment, as `Store.rows(experiment)` gives.
        level: of the intervals.

    Raises:
        InputError: if a seed occurs twice, in two versions or precisions.
    """
    groups, ended = _grouped(rows)
    found = []
    for (name, text, metric), group in groups.items():
        values = [row.value for row in group.values()]
        floors = [row.floor for row in group.values() if row.floor is not None]
        floor = sum(floors) / len(floors) if floors else None
        others = ended[name, text] - group.keys()
        found.append(_mean(name, text, metric, values, len(others), floor, level))
    return found


def differences(
    rows: Iterable[Row], label: str, baseline: Any, level: float = 0.95
) -> list[Mean]:
    """Every other value of a label minus the baseline, seed by seed.

    The label is one of the experiment's `paired`, so that both sides saw one problem and
    one noise: what they share falls out of the difference.

    Args:
        rows: as for `means`.
        label: such as "method".
        baseline: its value that is subtracted.
        level: of the intervals.

    Raises:
        InputError: if no cell has that value of the label.
    """
    groups, ended = _grouped(rows)
    cells = {key: json.loads(key[1]) for key in groups}
    require(
        any(label in c and c[label] == baseline for c in cells.values()),
        "there is nothing to compare with",
        got=f"{label} = {baseline!r}",
        expected="a value of a label of the experiment, with results",
        hint="run the baseline first",
    )
    found = []
    for (name, text, metric), group in groups.items():
        cell = cells[name, text, metric]
        if label not in cell or cell[label] == baseline:
            continue
        side = name, json.dumps({**cell, label: baseline})
        other = groups.get((*side, metric), {})
        both = [seed for seed in group if seed in other]
        values = [group[seed].value - other[seed].value for seed in both]
        left_out = len((ended[name, text] | ended.get(side, set())).difference(both))
        found.append(_mean(name, text, metric, values, left_out, None, level))
    return found


def text(found: Sequence[Mean]) -> str:
    """An aligned table: labels, metric, mean and interval, numbers of seeds, floor."""
    labels = list(dict.fromkeys(label for one in found for label in one.cell))
    counted = "seeds", "left out", "not finite"
    lines = [(*labels, "metric", "mean", "low", "high", *counted, "floor")]
    for one in found:
        cell = [str(one.cell.get(label, "")) for label in labels]
        numbers = [f"{value:.4g}" for value in (one.mean, one.low, one.high)]
        counts = str(one.seeds), str(one.left_out), str(one.nonfinite)
        floor = "" if one.floor is None else f"{one.floor:.4g}"
        lines.append((*cell, one.metric, *numbers, *counts, floor))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(part.ljust(w) for part, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def student(level: float, freedom: int) -> float:
    r"""The t with \(P(|T_\nu| \le t)\) = level, for a whole number of degrees nu.

    By bisection in \(\theta = \arctan(t / \sqrt\nu)\) of the finite sums of Abramowitz
    and Stegun, 26.7.3 and 26.7.4.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        if _within(middle, freedom) < level:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _within(angle: float, freedom: int) -> float:
    """P(|T| <= sqrt(nu) tan(angle))."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for power in range(odd, freedom - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    return (angle + sine * total) * 2 / math.pi if odd else sine * total


def _grouped(rows) -> tuple[dict[tuple, dict[int, Row]], dict[tuple, set[int]]]:
    """Rows by experiment, cell, metric and then seed; seeds by experiment and cell."""
    groups: dict = {}
    ended: dict = {}
    for row in rows:
        cell = row.experiment, json.dumps(row.cell)
        ended.setdefault(cell, set()).add(row.seed)
        if row.metric is None:
            continue
        group = groups.setdefault((*cell, row.metric), {})
        require(
            row.seed not in group,
            "a seed occurs twice",
            got=f"{row.experiment}, {row.cell}, seed {row.seed}, in two versions of the"
            " code or two precisions",
            expected="rows of one version",
            hint="take them from Store.rows(experiment), or filter them",
        )
        group[row.seed] = row
    return groups, ended


def _mean(name, text, metric, values, left_out, floor, level) -> Mean:
    count = len(values)
    nonfinite = sum(not math.isfinite(value) for value in values)
    # Not `fmean`, which refuses infinities of both signs.
    mean = sum(values) / count if count else math.nan
    reach = math.nan
    if count > 1 and not nonfinite:
        reach = student(level, count - 1) * statistics.stdev(values) / math.sqrt(count)
    ends = mean - reach, mean + reach
    counts = count, left_out, floor, nonfinite
    return Mean(name, json.loads(text), metric, mean, *ends, *counts)
