r"""Experiments as data: a function of labels and a key, and the cells to call it on.

A cell is one choice of every label. Together with a seed it has a key, and an identity: a
hash of (name, version of the code, cell, seed, precision, key, whether vmapped), which is
all that its numbers depend on. The key is made from (name, cell without the paired labels,
seed): what differs only in paired labels gets the same key, hence the same problem and the
same noise, if the function draws them from it.
"""

import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from .._checks import require
from .._types import Key
from .outcomes import plain
from .sources import Source, of_function
from .versions import version_of

Label = str | int | float | bool | None
# Lists that get every experiment as it is declared, while a file of them is run.
LISTENING: list[list["Experiment"]] = []


class Job(NamedTuple):
    """A cell with a seed.

    Attributes:
        identity: under which the store keeps it.
        cell: value by label.
        seed: of the key.
        words: that the key is folded from, four of 32 bits.
    """

    identity: str
    cell: dict[str, Label]
    seed: int
    words: tuple[int, ...]

    @property
    def key(self) -> Key:
        """The key of the cell without its paired labels, and of the seed."""
        return _key(np.asarray(self.words, np.uint32))


@dataclasses.dataclass(frozen=True, eq=False)
class Experiment:
    """A function of a key and labels, with the labels and seeds it is to be called on.

    Attributes:
        function: `function(key, **cell)` gives a dictionary from the name of a metric to
            a float, a `gt.Estimate`, which alone has an error (0 if it is exact), or a
            `gt.sweep.Measured`, with a floor; or a `gt.sweep.Found`, with arrays too.
            `gt.UnsupportedError` means that the cell is to be skipped.
        grid: values by label; the cells are their product, the last label fastest.
            Strings, numbers, booleans and None: objects are looked up by the function,
            so the values may be a dictionary, of which the names count.
        seeds: a number n for 0, ..., n - 1, or the seeds.
        paired: labels that do not enter the key, such as the method. Other ones give
            other keys: the cells are computed again.
        name: of the function by default. Two experiments in a store must not share one.
        version: of the code. By default a hash of the function's source, of whatever
            it uses, directly or not, of the same file, and of plain values of a function
            around it, and of the local files that it imports; comments, docstrings and
            the declaration itself do not count. Installed packages do not count either:
            give a version, or `force`, when one of them changes the numbers.
        vmapped: all seeds of a cell are computed by one `jax.vmap`, by a program that is
            shared by cells that differ in floats alone. The function must be traceable
            in its key and its floats; strings, whole numbers, which may be shapes,
            booleans and None reach it as they are.
        sources: the files that its code is in, as they were when it was declared. A
            worker that has others refuses.
    """

    function: Callable[..., Any]
    grid: Mapping[str, Collection[Label]]
    seeds: int | Iterable[int] = 1
    paired: str | Sequence[str] = ()
    name: str = ""
    version: str = ""
    vmapped: bool = False
    sources: tuple[Source, ...] = dataclasses.field(init=False, repr=False)

    def __post_init__(self):
        paired = (self.paired,) if isinstance(self.paired, str) else self.paired
        for label in self.grid:
            _require_text("a label", label)
        grid = {label: _values(label, found) for label, found in self.grid.items()}
        unknown = sorted(set(paired) - set(grid))
        require(
            not unknown,
            "a paired label is not in the grid",
            got=", ".join(unknown),
            expected="one of " + ", ".join(grid),
            hint="pair the labels that must see the same problem, such as the method",
        )
        changed = {
            "grid": grid,
            "seeds": _seeds(self.seeds),
            "paired": tuple(paired),
            "name": self.name or self.function.__name__,
            "version": self.version or version_of(self.function),
            "sources": of_function(self.function),
        }
        for name in "name", "version":
            _require_text(f"the {name} of an experiment", changed[name])
        for name, value in changed.items():
            object.__setattr__(self, name, value)
        for listening in LISTENING:
            listening.append(self)

    def __call__(self, key: Key, **cell: Label) -> Any:
        """What the function gives for one cell."""
        return self.function(key, **cell)

    @property
    def cells(self) -> Iterator[dict[str, Label]]:
        """Every choice of the labels."""
        for values in itertools.product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))

    def jobs(self, precision: str | None = None) -> list[Job]:
        """Every cell with every seed; the seeds of a cell stand together.

        Args:
            precision: "float64" or "float32"; the one in use by default.
        """
        precision = precision or precision_in_use()
        found = []
        for cell in self.cells:
            problem = {k: v for k, v in cell.items() if k not in self.paired}
            for seed in self.seeds:
                digest = _digest(self.name, problem, seed)
                words = np.frombuffer(digest, np.uint32).tolist()
                # The words too: another choice of paired labels gives another key.
                code = self.name, self.version, words, self.vmapped
                whole = _digest(*code, cell, seed, precision)
                found.append(Job(whole.hex(), cell, seed, tuple(words)))
        return found


def experiment(
    grid: Mapping[str, Collection[Label]],
    seeds: int | Iterable[int] = 1,
    paired: str | Sequence[str] = (),
    name: str = "",
    version: str = "",
    vmapped: bool = False,
) -> Callable[[Callable[..., Any]], Experiment]:
    """Declares a function as an experiment: the arguments are those of `Experiment`.

    Example:
        >>> import gmm_testbed as gt
        >>> @gt.experiment(grid={"method": ["DPS", "TMPD"]}, seeds=5, paired="method")
        ... def distances(key, method):
        ...     return {"w1": 0.25}
        >>> [job.seed for job in distances.jobs()]  # doctest: +SKIP
        [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    """
    return lambda function: Experiment(
        function, grid, seeds, paired, name, version, vmapped
    )


def precision_in_use() -> str:
    """Name of the floating-point type that JAX gives to a Python number."""
    return jax.dtypes.canonicalize_dtype(float).name


def _values(label: str, values: Collection[Label]) -> tuple[Label, ...]:
    """The values as plain numbers and strings."""
    values = [v.item() if isinstance(v, np.generic) else v for v in values]
    for value in values:
        require(
            value is None or isinstance(value, str | int | float),
            f"a value of the label {label!r} has no identity",
            got=f"{type(value).__name__}",
            expected="a string, number, boolean or None",
            hint="use a name, and look the object up inside the function",
        )
        if isinstance(value, str):
            _require_text(f"a value of the label {label!r}", value)
        require(
            not isinstance(value, float) or not math.isnan(value),
            f"a value of the label {label!r} is not a number",
            got="NaN",
            expected="a value that equals itself",
            hint="use None where there is no value",
        )
    require(
        len({json.dumps(value) for value in values}) == len(values) > 0,
        f"the values of the label {label!r} cannot be told apart, or are none",
        got=f"{values}",
        expected="one value or more, all different",
        hint="leave the repetitions out",
    )
    return tuple(values)


def _seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    """Whole numbers, all different, at least one."""
    found = list(range(seeds) if isinstance(seeds, int | np.integer) else seeds)
    whole = [isinstance(seed, int | np.integer) for seed in found]
    require(
        found and all(whole) and len(set(found)) == len(found),
        "the seeds are none, or not whole numbers, or cannot be told apart",
        got=f"{seeds}",
        expected="a number of seeds, one or more; or whole numbers, all different",
        hint="give seeds=5 for 0 to 4",
    )
    large = [seed for seed in found if not -(2**63) <= seed < 2**63]
    require(
        not large,
        "a seed is too large",
        got=", ".join(map(str, large)),
        expected="whole numbers from -2**63 to 2**63 - 1, as a store can hold",
        hint="take a remainder, as seed % 2**63",
    )
    return tuple(int(seed) for seed in found)


def _require_text(what: str, text: Any) -> None:
    """Refuses what no store, table or terminal can hold."""
    require(
        isinstance(text, str) and plain(text) == text and "\0" not in text,
        f"{what} is no text",
        got=f"{text!r}",
        expected="a string that can be written in UTF-8",
        hint="write a plain name",
    )


def _digest(*parts: Any) -> bytes:
    """128 bits that depend on nothing but the parts."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


@jax.jit
def _key(words):
    # Of one kind, since the identity of a cell does not have JAX's default in it.
    key = jax.random.key(words[0], impl="threefry2x32")
    for word in words[1:]:
        key = jax.random.fold_in(key, word)
    return key
