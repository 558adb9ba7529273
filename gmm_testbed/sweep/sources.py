"""The files that an experiment's code is in: its own, and the local ones that it imports.

Local is what no package manager installed: neither Python's own library, nor a folder
`site-packages`, nor this package, of which `provenance` has the sources. Of a local file
every import counts, wherever it stands, and every module that it holds under a name.
"""

import ast
import functools
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .files import stamp
from .provenance import PACKAGE

_INSTALLED = {"site-packages", "dist-packages"}


class Source(NamedTuple):
    """A file of code as it was read.

    Attributes:
        module: its name.
        file: its path.
        digest: hash of its content.
    """

    module: str
    file: str
    digest: str


def of_function(function: Callable) -> tuple[Source, ...]:
    """Sources of a function: its own file, unless it has none, and what that imports."""
    function = inspect.unwrap(function)
    home = getattr(function, "__module__", None) or ""
    names = getattr(function, "__globals__", {})
    try:
        file = inspect.getsourcefile(function)
        text = None if file and Path(file).is_file() else inspect.getsource(function)
    except (OSError, TypeError):
        file = text = None
    if file and Path(file).is_file():
        return closure([(home, Path(file).resolve())])
    return closure(local_modules(_parsed(textwrap.dedent(text or "")), names))


def of_file(module: str, file: Path) -> tuple[Source, ...]:
    """Sources of a file that is or will be loaded under a name, and what it imports."""
    return closure([(module, file.resolve())])


def closure(found: Iterable[tuple[str, Path]]) -> tuple[Source, ...]:
    """Sources of local files, given by module and path, and of all that they import."""
    waiting, known = list(found), {}
    while waiting:
        name, file = waiting.pop()
        if file in known or file.is_relative_to(PACKAGE) or not file.is_file():
            continue
        known[file] = Source(name, str(file), digest(file))
        inside = vars(sys.modules[name]) if name in sys.modules else {}
        waiting += local_modules(tree(file), inside)
    return tuple(sorted(known.values(), key=lambda source: source.file))


def local_modules(
    tree: ast.AST, names: Mapping[str, Any], used: Iterable[str] | None = None
) -> Iterator[tuple[str, Path]]:
    """Names and files of the local modules that a piece of code imports or holds.

    Args:
        tree: the code.
        names: what it has at the top, by name.
        used: which of these count; all by default.
    """
    for name in _imported(tree, names.get("__package__") or ""):
        if (file := _file_of(name)) is not None:
            yield name, file
    for name in list(names if used is None else used):
        held = names.get(name)
        home = held if isinstance(held, ModuleType) else None
        if callable(held):
            home = sys.modules.get(getattr(held, "__module__", None) or "")
        if (file := _local(getattr(home, "__file__", None))) is not None:
            yield home.__name__, file


def here(source: Source) -> Source:
    """The same source where this machine has it: at its path, or as an installed module."""
    if Path(source.file).is_file():
        return source
    try:
        found = importlib.util.find_spec(source.module)
    except (ImportError, AttributeError, ValueError):
        found = None
    return source._replace(file=(found and found.origin) or source.file)


def digest(file: Path) -> str:
    """Hash of a file's content, which is read again only if the file has changed."""
    return _digest(file, stamp(file))


@functools.lru_cache(maxsize=1024)
def _digest(file, _):
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()


def tree(file: Path) -> ast.Module:
    """The code of a file, empty if it is none."""
    return _tree(file, stamp(file))


@functools.lru_cache(maxsize=1024)
def _tree(file, _):
    return _parsed(file.read_bytes())


def _parsed(text: str | bytes) -> ast.Module:
    try:
        return ast.parse(text)
    except (
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
    ):  # or it says so itself
        return ast.Module([], [])


def _imported(tree, package) -> Iterator[str]:
    """Full names of all modules that are or may be imported, parents first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            full = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if node.level else []
            parts = parts[: len(parts) - node.level + 1] if node.level else parts
            base = ".".join([*filter(None, parts), *filter(None, [node.module])])
            full = [f"{base}.{alias.name}" for alias in node.names] if base else []
        else:
            continue
        for name in full:
            parts = name.split(".")
            yield from (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def _file_of(name: str) -> Path | None:
    """The file of a module that is local; None of any other, and of what is no module."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        return _local(getattr(loaded, "__file__", None))
    parent, _, last = name.rpartition(".")
    if parent:  # beside its package, which is not imported only to look into it
        package = _file_of(parent)
        if package is None or package.name != "__init__.py":
            return None
        beside = package.with_name(f"{last}.py")
        inside = package.with_name(last) / "__init__.py"
        return next((file for file in (beside, inside) if file.is_file()), None)
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None
    return _local(found.origin) if found else None


@functools.lru_cache(maxsize=4096)
def _local(file: str | None) -> Path | None:
    if not isinstance(file, str) or not file.endswith(".py"):
        return None
    path = Path(file).resolve()
    library = Path(sysconfig.get_path("stdlib")).resolve()
    if _INSTALLED & set(path.parts) or path.is_relative_to(library):
        return None
    return None if path.is_relative_to(PACKAGE) else path
