"""Pages of the lectures, and what an instructor wants to know of their exercises."""

import importlib.util
import json
from collections import Counter
from pathlib import Path

import gmm_testbed as gt

from .formulas import words
from .write import copy, page, table, title, tree

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def lectures() -> None:
    """Pages generated/lectures/NAME, the notebooks as they stand, and their index."""
    files = sorted(NOTEBOOKS.glob("*.ipynb"))
    for file in files:
        copy(f"lectures/{file.name}", file)
    parts = [
        title("Lectures"),
        "A tour and ten lectures, each a notebook of `notebooks/` with exercises that "
        "check themselves: predict, do it by hand, code it, check it, use it, notice. "
        "How to teach with them: :doc:`../../teach`.\n",
    ]
    if files:
        rows = [(f":doc:`{_title(f)} <{f.stem}>`", f"``{f.name}``") for f in files]
        parts += [table(rows, ("lecture", "notebook"), "70 30")]
        parts.append(tree((file.stem for file in files), hidden=True))
    else:
        parts.append("There are none in this version.\n")
    page("lectures/index.rst", "\n".join(parts))


def exercises() -> None:
    """The tables generated/exercises.rst: what each tests, and the mistakes it knows."""
    if importlib.util.find_spec("gmm_testbed.exercises") is None:
        page(
            "exercises.rst", f":orphan:\n\n{title('Exercises')}\nThere are none yet.\n"
        )
        return
    lectures_of = gt.exercises.LECTURES
    counts = Counter(
        label for e in gt.exercises.CATALOGUE.values() for label in e.slips
    )
    total = sum(len(e.slips) for e in gt.exercises.CATALOGUE.values())
    parts = [
        f":orphan:\n\n{title('Exercises and their mistakes')}",
        f"{len(gt.exercises.CATALOGUE)} exercises know {total} mistakes by name. Each is a "
        "function that the tests run: it must be found wrong, and named as what it is.\n",
        title("What each tests", "-"),
    ]
    for lecture, rows in lectures_of.items():
        cells = [
            (
                f"``{name}``",
                str(e.kind),
                words(e.title),
                words(e.asks),
                str(len(e.slips)),
            )
            for name, e in rows.items()
        ]
        heads = "exercise", "kind", "about", "asks", "slips"
        parts += [
            title(f"Lecture {lecture}", "~"),
            table(cells, heads, "20 12 20 40 8"),
        ]
    parts += [title("Typical mistakes", "-")]
    common = [(f"``{label}``", str(n)) for label, n in counts.most_common() if n > 1]
    if common:
        parts += [
            "Mistakes that several exercises know:\n",
            table(common, ("slip", "exercises"), "60 40"),
        ]
    for lecture, rows in lectures_of.items():
        cells = [
            (f"``{name}``", f"``{label}``", words(hint))
            for name, e in rows.items()
            for label, (_, hint) in e.slips.items()
        ]
        heads = "exercise", "slip", "what the student is told"
        parts += [title(f"In lecture {lecture}", "~"), table(cells, heads, "22 22 56")]
    page("exercises.rst", "\n".join(parts))


def _title(file: Path) -> str:
    """The first heading of a notebook."""
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        for line in "".join(cell["source"]).splitlines():
            if cell["cell_type"] == "markdown" and line.startswith("# "):
                return line.removeprefix("# ").replace("`", "").strip()
    return file.stem
