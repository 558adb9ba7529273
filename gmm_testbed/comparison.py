"""What a comparison of methods says, and how it prints."""

from enum import StrEnum
from typing import NamedTuple

from . import _display
from .estimate import Estimate


class Ranking(StrEnum):
    """What a comparison of two methods shows."""

    BETTER = "better"  # the first of the pair
    WORSE = "worse"
    FLOOR = "not ranked: both inside the floor"
    ERROR = "not ranked: within the error"
    ONE_RUN = "not ranked: one run, without an error; give several runs"
    NONFINITE = "not ranked: not finite"


_RANKED = Ranking.BETTER, Ranking.WORSE


class Method(NamedTuple):
    """One method, on average over the cases.

    Attributes:
        name: of the method.
        value: `Estimate` of the metric; from one run of a filter its error is NaN.
        floor: `Estimate` of the metric of exact samples, as many and as weighted.
        ceiling: the largest value inside the floor.
        inside: whether the value is.
    """

    name: str
    value: Estimate
    floor: Estimate
    ceiling: float
    inside: bool


class Pair(NamedTuple):
    """Two methods on the same cases.

    Attributes:
        first: a name.
        second: another.
        difference: `Estimate` of the metric of the first minus that of the second.
        wins: cases in which the first has the smaller value.
        ranking: the `Ranking` of the first against the second.
    """

    first: str
    second: str
    difference: Estimate
    wins: int
    ranking: Ranking


class Comparison(NamedTuple):
    """Methods from the smallest value up, and a verdict on every pair of them.

    Attributes:
        methods: the `Method`s.
        pairs: the `Pair`s.
        cases: number of problems, or of repetitions.
        z: standard errors a difference must exceed, where they are known from many
            samples; more where they are known from a few, or from a few runs.
    """

    methods: tuple[Method, ...]
    pairs: tuple[Pair, ...]
    cases: int
    z: float

    @_display.guarded
    def __str__(self) -> str:
        rows = [("method", "value", "floor", "")]
        for method in self.methods:
            words = "inside the floor" if method.inside else ""
            rows.append(
                (method.name, _number(method.value), _number(method.floor), words)
            )
        verdicts = [
            f"{pair.first} - {pair.second}: {_number(pair.difference)}, smaller in "
            f"{pair.wins} of {self.cases}: {_sentence(pair)}"
            for pair in self.pairs
        ]
        return "\n".join([*_display.aligned(rows), "", *verdicts])

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """The values, and which pairs are ranked."""
        values = [(one.name, _number(one.value)) for one in self.methods]
        rows = [
            (*value, _number(one.floor), "inside the floor" if one.inside else "")
            for value, one in zip(values, self.methods, strict=True)
        ]
        pairs = [
            (f"{one.first} - {one.second}", _number(one.difference), _sentence(one))
            for one in self.pairs
        ]
        ranked = sum(one.ranking in _RANKED for one in self.pairs)
        words = ", ".join(map(" ".join, values))
        line = f"Comparison on {_display.counted(self.cases, 'case')}: {words}; "
        line += f"{ranked} of {_display.counted(len(pairs), 'pair')} ranked"
        heads = ("method", "value", "floor", ""), ("pair", "difference", "verdict")
        return _display.Shown(
            line, (_display.table(heads[0], rows), _display.table(heads[1], pairs))
        )


def _sentence(pair):
    if pair.ranking in _RANKED:
        return f"{pair.first} is {pair.ranking} than {pair.second}"
    return str(pair.ranking)


def _number(estimate):
    return str(estimate).rsplit(" (", 1)[0]
