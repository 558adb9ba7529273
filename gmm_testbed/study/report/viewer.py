"""Laws over time that a reader can move through: heat-maps with two sliders.

Shown are the cells of an experiment that store the arrays `t` (n,), `x` (k,), `law` (n, k)
and `exact` (n, k). One slider is the label `steps`, the other is t; every other label of
more than one value is a choice.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ...plotting.style import colour, is_method
from ...sweep import Experiment, Store
from .pictures import quantised

STEPS = "steps"
ARRAYS = ("t", "x", "law", "exact")
MOST_TIMES, MOST_POINTS = 100, 161


class Cell(NamedTuple):
    """One law and what it is compared with.

    Attributes:
        labels: value by label, as text; the seed among them where there are several.
        steps: value of the label `steps`, or None.
        arrays: by the names in `ARRAYS`, times decreasing.
        metrics: (name, value and standard error as text).
    """

    labels: dict[str, str]
    steps: Any
    arrays: dict[str, np.ndarray]
    metrics: list[tuple[str, str]]


class Scene(NamedTuple):
    """The cells of an experiment that can be shown.

    Attributes:
        identity: of the element in the page.
        cells: at least one.
    """

    identity: str
    cells: list[Cell]

    @property
    def points(self) -> int:
        """Number of values of all its densities, those that are equal counted once."""
        sizes = {}
        for cell in self.cells:
            for name in ("law", "exact"):
                sizes[_digest(cell.arrays[name])] = cell.arrays[name].size
        return sum(sizes.values())


class View(NamedTuple):
    """A scene as the page shows it.

    Attributes:
        identity: of the element in the page.
        fixed: labels of a single value, in words.
        choices: values by label, of which a reader takes one.
        steps: how many values the label `steps` has.
        content: what the script reads, as JSON has it.
    """

    identity: str
    fixed: str
    choices: dict[str, list[str]]
    steps: int
    content: dict


def scene(identity: str, experiment: Experiment, store: Store) -> Scene | None:
    """What there is to show of an experiment; None if there is nothing."""
    cells = list(_cells(experiment, store))
    return Scene(identity, cells) if cells else None


def viewer(shown: Scene, bits: int) -> View:
    """Controls and data of a scene, which the page and its script lay out.

    Args:
        shown: the scene.
        bits: 8 or 16, of each value of a density.
    """
    labels = _values(cell.labels for cell in shown.cells)
    steps = _distinct(cell.steps for cell in shown.cells)
    fixed = [f"{name} = {v[0]}" for name, v in labels.items() if len(v) == 1]
    choices = {name: values for name, values in labels.items() if len(values) > 1}
    content = _content(shown, labels, steps, bits)
    return View(shown.identity, ", ".join(fixed), choices, len(steps), content)


def _cells(experiment, store) -> Iterator[Cell]:
    rows = [row for row in store.rows(experiment) if row.digest]
    several = len({row.seed for row in rows}) > 1
    ended = {}
    for row in rows:
        ended.setdefault((row.digest, str(row.cell), row.seed), []).append(row)
    for same in ended.values():
        arrays = store.arrays(same[0])
        if not _is_history(arrays):
            continue
        labels = {k: str(v) for k, v in same[0].cell.items() if k != STEPS}
        if several:
            labels["seed"] = str(same[0].seed)
        metrics = [
            (row.metric, _number(row.value, row.stderr)) for row in same if row.metric
        ]
        yield Cell(labels, same[0].cell.get(STEPS), _thinned(arrays), metrics)


def _is_history(arrays) -> bool:
    """Whether they are there, and of shapes that fit."""
    if not set(ARRAYS) <= set(arrays):
        return False
    shape = arrays["law"].shape
    sides = *arrays["t"].shape, *arrays["x"].shape
    return (
        len(shape) == 2 and min(shape) > 1 and shape == arrays["exact"].shape == sides
    )


def _thinned(arrays) -> dict[str, np.ndarray]:
    """With few enough times and points, times decreasing; the ends are kept."""
    times = np.argsort(-arrays["t"], kind="stable")
    times = times[_spread(len(times), MOST_TIMES)]
    points = _spread(len(arrays["x"]), MOST_POINTS)
    found = {"t": arrays["t"][times], "x": arrays["x"][points]}
    return found | {n: arrays[n][np.ix_(times, points)] for n in ("law", "exact")}


def _spread(count: int, most: int) -> np.ndarray:
    return np.unique(np.rint(np.linspace(0, count - 1, min(count, most))).astype(int))


def _content(shown, labels, steps, bits) -> dict:
    """What the script reads: arrays that occur twice are written once."""
    axes, densities, cells = {}, {}, []

    def axis(values):
        name = _digest(values)
        axes[name] = [float(f"{value:.6g}") for value in values.tolist()]
        return name

    def density(values):
        name = _digest(values)
        if name not in densities:
            densities[name] = quantised(values, bits)
        return name

    for cell in shown.cells:
        cells.append(
            {
                "labels": [cell.labels[name] for name in labels],
                "steps": steps.index(cell.steps),
                "t": axis(cell.arrays["t"]),
                "x": axis(cell.arrays["x"]),
                "law": density(cell.arrays["law"]),
                "exact": density(cell.arrays["exact"]),
                "metrics": cell.metrics,
                "colour": _colour(cell.labels),
            }
        )
    named = [{"name": name, "values": values} for name, values in labels.items()]
    return {
        "bits": bits,
        "labels": named,
        "steps": [None if value is None else str(value) for value in steps],
        "axes": axes,
        "densities": densities,
        "cells": cells,
    }


def _values(labels) -> dict[str, list[str]]:
    """Every value of each label, in the order of the grid."""
    found: dict[str, dict[str, None]] = {}
    for each in labels:
        for name, value in each.items():
            found.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in found.items()}


def _distinct(values) -> list:
    """In increasing order, if they have one."""
    found = list(dict.fromkeys(values))
    numbers = all(isinstance(value, int | float) for value in found)
    return sorted(found) if numbers else found


def _colour(labels: dict[str, str]) -> str | None:
    """That of the method in the figures; None if no label names one of the catalogue."""
    names = [value for value in labels.values() if is_method(value)]
    return colour(names[0]) if names else None


def _digest(array: np.ndarray) -> str:
    content = np.ascontiguousarray(array).tobytes()
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def _number(value: float, error: float | None) -> str:
    if error:
        return f"{value:.4g} ± {error:.1g}"
    return f"{value:.4g}"
