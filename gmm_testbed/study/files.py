"""Experiments as files: what a file declares and claims, and what is expected of it.

A study is one Python file. Its docstring begins with the title of a figure or table. It
has experiments, and a function `claims(store)` that gives numbers by name. It may have
`figures(store)`, by file stem; `tables(store)`, lists of rows by title; `files(store)`, by
file stem, of rows that are too many to be shown; and `screen(store)`, what a terminal shows
in place of the tables. Expected values stand beside it, in `expected/NAME.csv`, with a
tolerance and a source each.
"""

import ast
import contextlib
import csv
import importlib
import inspect
import math
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

from .._checks import InputError, choose, fail, require
from ..estimate import Estimate
from ..sweep import Experiment, Store, load
from ..sweep.outcomes import FINAL
from ..sweep.scripts import module

FOLDER = Path("experiments")
OF_PACKAGE = ("demo", "verify")  # studies that are modules beside this one
COLUMNS = ("claim", "expected", "tolerance", "source")


class Expected(NamedTuple):
    """What a claim should give.

    Attributes:
        value: the number.
        tolerance: how far from it the claim may be.
        source: where the number comes from.
    """

    value: float
    tolerance: float
    source: str


class Judged(NamedTuple):
    """A claim beside its expectation; one of the two may be missing.

    Attributes:
        claim: its name.
        value: what was found, None if the file does not claim it.
        expected: what should be, None if nothing is written of it.
        stderr: of a claim that is an `Estimate`; None of a plain number, which says
            nothing of its error.
    """

    claim: str
    value: float | None
    expected: Expected | None
    stderr: float | None = None

    @property
    def problem(self) -> str:
        """What is wrong, or ""."""
        if self.expected is None:
            return "no expectation"
        if self.value is None:
            return "not claimed"
        return "" if abs(self.deviation) <= 1.0 else "outside"

    @property
    def deviation(self) -> float:
        """Value minus expectation, in tolerances; NaN if one is missing."""
        if self.expected is None or self.value is None:
            return math.nan
        off = self.value - self.expected.value
        if self.value == self.expected.value:  # also where both are infinite
            return 0.0
        tolerance = self.expected.tolerance
        return off / tolerance if tolerance else math.copysign(math.inf, off)


class Study(NamedTuple):
    """A file of experiments that says what they show.

    Attributes:
        name: stem of the file.
        file: its path.
        title: first line of its docstring.
        text: the rest of it.
        experiments: by name, in the order of the file.
        expected: by claim; empty if there is no file of them.
        inside: the module, or what has its functions.
        threads: how many cells are computed at a time, where no workers are asked for:
            JAX leaves the interpreter free while it compiles and computes.
        apart: a label of all experiments, each value of which gets a process of its own
            in place of the threads; "" for none. For programs that serve one value only.
        error: why the file cannot be run, so that there are no experiments; or "".
    """

    name: str
    file: Path
    title: str
    text: str
    experiments: dict[str, Experiment]
    expected: dict[str, Expected]
    inside: ModuleType | SimpleNamespace
    threads: int = 1
    apart: str = ""
    error: str = ""

    @property
    def expectations(self) -> Path:
        """Where the expected values stand, or should."""
        return _expectations(self.file)

    def judged(self, store: Store) -> list[Judged]:
        """Every claim and every expectation; in the order of the claims, then the rest."""
        found = {n: _with_error(x) for n, x in self.inside.claims(store).items()}
        names = [*found, *(name for name in self.expected if name not in found)]
        none = None, None
        return [
            Judged(
                n, found.get(n, none)[0], self.expected.get(n), found.get(n, none)[1]
            )
            for n in names
        ]

    def figures(self, store: Store) -> dict[str, Any]:
        """Matplotlib figures by file stem."""
        return dict(self.each_figure(store))

    def each_figure(self, store: Store) -> Iterator[tuple[str, Any]]:
        """File stems and figures; each is drawn when it is asked for, if the study can."""
        found = self._optional("figures", store)
        yield from found.items() if isinstance(found, Mapping) else found

    def tables(self, store: Store) -> dict[str, Sequence[Mapping[str, Any]]]:
        """Rows by title of a table; a row is a dictionary from column to value."""
        return self._optional("tables", store)

    def files(self, store: Store) -> dict[str, Sequence[Mapping[str, Any]]]:
        """Rows by stem of a file, which nothing shows."""
        return self._optional("files", store)

    def screen(self, store: Store) -> Iterator[Any] | None:
        """What a terminal shows in place of the tables; None if these will do."""
        return self._optional("screen", store) or None

    def counts(self, store: Store) -> dict[str, dict[str, int]]:
        """Number of cells by status, of each experiment; "missing" is one."""
        return {name: store.status(e) for name, e in self.experiments.items()}

    def complete(self, store: Store) -> bool:
        """Whether every cell is done, or skipped for good."""
        if self.error:
            return False
        counts = self.counts(store).values()
        return all(n == 0 or s in FINAL for count in counts for s, n in count.items())

    def _optional(self, name, store):
        function = vars(self.inside).get(name)
        return {} if function is None else function(store)


@contextlib.contextmanager
def noting(errors: dict[str, str], what: str) -> Iterator[None]:
    """Keeps the traceback of what fails inside, and goes on after it.

    A function of one study that fails is to be seen there, and stops no other study; nor
    does one that ends the program.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException:
        errors[what] = traceback.format_exc()


def found(folder: Path = FOLDER) -> dict[str, Path]:
    """The studies of a folder, by name; none of them is run.

    A file that cannot be read as Python is one too: it may be meant to be.
    """
    files = sorted(file for file in folder.glob("*.py") if not file.is_dir())
    return {file.stem: file for file in files if _may_claim(file)}


def title(file: Path) -> str:
    """First line of a file's docstring, or why there is none; the file is not run."""
    tree, problem = _parsed(file)
    if problem:
        return f"cannot be read: {problem}"
    return (ast.get_docstring(tree) or file.stem).partition("\n")[0]


def get(name: str, folder: Path = FOLDER) -> Study:
    """The study of this name, or of this file.

    Args:
        name: one of `OF_PACKAGE`, the name of a study of the folder, or a path that ends
            in ".py".
        folder: where those with a name are.

    Raises:
        InputError: if there is none, with the nearest name; or it cannot be read.
    """
    if name in OF_PACKAGE:
        return importlib.import_module(f".{name}", __package__).study()
    return read(locate(name, folder))


def locate(name: str, folder: Path = FOLDER) -> Path:
    """The file of a study.

    Args:
        name: a path that ends in ".py", or the name of a study of the folder.
        folder: where those with a name are.

    Raises:
        InputError: if there is none; the message has the nearest name.
    """
    if name.endswith(".py"):
        return Path(name)
    known = found(folder)
    require(
        known,
        "there are no experiments here",
        got=f"{name!r}, and no file with claims in {folder.resolve()}",
        expected=f"a folder {str(folder)!r} with files of experiments",
        hint="go to the folder that has it, or give the path of a file",
    )
    return choose(name, known | dict.fromkeys(OF_PACKAGE), "experiment")


def read(file: Path) -> Study:
    """Runs a file, and reads what is expected of it.

    Raises:
        InputError: if it is no study, or its expected values cannot be read.
    """
    experiments = load(file)
    inside = module(str(file.resolve()))
    require(
        callable(vars(inside).get("claims")),
        "the file claims nothing",
        got=str(file),
        expected="a function claims(store) that gives numbers by name",
        hint="see the other files of `experiments`",
    )
    title, text = head(inside.__doc__, file.stem)
    expected = expected_beside(file)
    return Study(file.stem, file, title, text, experiments, expected, inside)


def attempt(file: Path) -> Study:
    """The study of a file, or one without experiments that says why it cannot be run."""
    try:
        return read(file)
    except InputError as error:
        what = error.args[0].partition("\n")[0]
        inside = SimpleNamespace()
        return Study(file.stem, file, what, "", {}, {}, inside, error=str(error))


def head(docstring: str | None, name: str) -> tuple[str, str]:
    """The title and the rest of a docstring; the name is the title of none."""
    title, _, text = inspect.cleandoc(docstring or name).partition("\n")
    return title, text.strip()


def expected_beside(file: Path) -> dict[str, Expected]:
    """Expected values by claim, from `expected/NAME.csv`; none if there is no such file.

    Raises:
        InputError: if it cannot be read.
    """
    return _expected(_expectations(file))


def _expectations(file: Path) -> Path:
    return file.parent / "expected" / f"{file.stem}.csv"


def _expected(file: Path) -> dict[str, Expected]:
    if not file.is_file():
        return {}
    with file.open(newline="", encoding="utf-8") as opened:
        reader = csv.DictReader(opened)
        rows = list(reader)
    names = list(reader.fieldnames or ())
    _require_readable(sorted(names) == sorted(COLUMNS), file, 1, names)
    expected = {}
    for line, row in enumerate(rows, 2):
        try:
            numbers = float(row["expected"]), float(row["tolerance"])
        except (TypeError, ValueError):
            numbers = math.nan, math.nan
        fine = None not in row and row["source"] and row["claim"] not in expected
        _require_readable(
            fine and not math.isnan(numbers[0]) and numbers[1] >= 0,
            file,
            line,
            list(row.values()),
        )
        expected[row["claim"]] = Expected(*numbers, row["source"])
    return expected


def _with_error(claimed: Any) -> tuple[float, float | None]:
    """Value of a claim, and its standard error if it says one."""
    if isinstance(claimed, Estimate):
        return float(claimed.value), float(claimed.stderr)
    return float(claimed), None


def _require_readable(ok, file, line, got):
    if not ok:
        fail(
            "expected values cannot be read",
            got=f"{got}, in line {line} of {file}",
            expected=f"columns {','.join(COLUMNS)}: every claim once, two numbers, the"
            " tolerance not negative, and a source",
            hint="quote a source that has commas",
        )


def _may_claim(file: Path) -> bool:
    tree, problem = _parsed(file)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return bool(problem) or "claims" in functions


def _parsed(file: Path) -> tuple[ast.Module, str]:
    """What a file has, and why that cannot be told, or ""."""
    try:
        return ast.parse(file.read_bytes()), ""
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return ast.Module([], []), f"{type(error).__name__}: {error}"
