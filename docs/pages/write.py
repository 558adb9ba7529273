"""Writing pages: text goes to a file only where it differs, so that Sphinx reads less."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "generated"
_WRITTEN: set[Path] = set()


def page(name: str, text: str) -> None:
    """Writes generated/NAME, unless it is there with the same text."""
    path = FOLDER / name
    _WRITTEN.add(path)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(f".{os.getpid()}")  # two builds may write at once
    whole.write_text(text, encoding="utf-8")
    whole.replace(path)


def copy(name: str, file: Path) -> None:
    """The same of a file of the tree."""
    page(name, file.read_text(encoding="utf-8"))


def forget_others() -> None:
    """Removes pages that nobody wrote this time: of methods that are gone."""
    for kind in ("*.rst", "*.md", "*.ipynb", "*.txt"):
        for path in FOLDER.rglob(kind):
            if path not in _WRITTEN:
                path.unlink(missing_ok=True)


def title(text: str, line: str = "=") -> str:
    """A heading in reStructuredText."""
    return f"{text}\n{line * max(len(text), 3)}\n"


def leaf(text: str, up: str) -> str:
    """The head of a page that its index lists, and no sidebar: there are too many.

    Args:
        text: its title.
        up: name of the index, which is in the same folder.
    """
    return f":orphan:\n\n{title(text)}\n:doc:`{up} <index>`\n"


def table(rows: Iterable[Sequence[str]], heads: Sequence[str] = (), widths="") -> str:
    """A list-table; cells are reStructuredText of one paragraph."""
    lines = [".. list-table::", f"   :header-rows: {1 if heads else 0}"]
    lines += [f"   :widths: {widths}"] if widths else []
    lines.append("")
    for row in [*([heads] if heads else []), *rows]:
        first, *rest = row
        lines += [f"   * - {first}".rstrip(), *(f"     - {c}".rstrip() for c in rest)]
    return "\n".join(lines) + "\n"


def tree(names: Iterable[str], caption: str = "", hidden: bool = False, depth=1) -> str:
    """A toctree."""
    lines = [".. toctree::", f"   :maxdepth: {depth}"]
    lines += [f"   :caption: {caption}"] if caption else []
    lines += ["   :hidden:"] if hidden else []
    return "\n".join([*lines, "", *(f"   {name}" for name in names)]) + "\n"
