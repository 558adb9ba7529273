"""What attacks have found: the tightest case of every claim, with its coordinates.

`tightest.csv` is written by `experiments/attacks.py`; a row is a claim, and its case can
be computed again.
"""

import csv
import functools
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from .base import AbstractBound
from .search import placed


class Tightest(NamedTuple):
    """The tightest case that was found for one claim.

    Attributes:
        label: the part of the theorem.
        equal: whether equality is claimed.
        tightness: left / right, 1 where the bound is attained.
        where: the case in words.
        setting: parameters of `sides` that give it; empty if it is a case of the sweep.
    """

    label: str
    equal: bool
    tightness: float
    where: str
    setting: dict[str, Any]


@functools.cache
def _rows() -> tuple[dict[str, str], ...]:
    file = resources.files(__package__) / "tightest.csv"
    return tuple(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def read(name: str, bound: AbstractBound) -> list[Tightest]:
    """The rows of a theorem; none where it was not attacked."""
    return [
        Tightest(
            row["part"],
            row["relation"] == "=",
            float(row["tightness"]),
            row["where"],
            _setting(bound, np.array(row["coordinates"].split(), float)),
        )
        for row in _rows()
        if row["theorem"] == name
    ]


def _setting(bound, coordinates):
    return placed(bound, coordinates) if coordinates.size else {}
