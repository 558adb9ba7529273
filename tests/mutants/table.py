"""The table of faults: plausible mistakes, one a row of the TOML files beside this one.

A row has the file (within the package), what the fault means, the text before and after,
and the tests that should notice: files, or single tests of one. A fault that leaves every
result as it is (to rounding) is none, and is not in the table.
"""

import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = "gmm_testbed"


class Fault(NamedTuple):
    """One mistake.

    Attributes:
        file: in the package, "kernels/ddim.py".
        means: what is wrong, in a phrase.
        before: the right text, which the file has exactly once.
        after: the wrong one.
        tests: that should notice, from the folder of tests: "test_golden.py::test_bridge".
        slow: whether some of these are marked slow.
    """

    file: str
    means: str
    before: str
    after: str
    tests: tuple[str, ...]
    slow: bool = False

    def planted(self, text: str) -> str:
        """The text of the file with the fault in it.

        Raises:
            ValueError: unless the right text is there once.
        """
        found = text.count(self.before)
        if found != 1 or self.before == self.after:
            raise ValueError(f"{self.file}: {self.before!r} is there {found} times")
        return text.replace(self.before, self.after)


def read() -> list[Fault]:
    """All faults, by file."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        for row in tomllib.loads(path.read_text(encoding="utf-8"))["fault"]:
            found.append(Fault(**row | {"tests": tuple(row["tests"])}))
    return sorted(found, key=lambda fault: fault.file)
