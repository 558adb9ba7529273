"""What was run: the version of an experiment's code, and of what computed it."""

import ast
import functools
import hashlib
import importlib.metadata
import inspect
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax

from .._checks import fail

PACKAGE = Path(__file__).parents[1]


class Provenance(NamedTuple):
    """What computed a cell.

    Attributes:
        device: platform and kind of the default device.
        jax: version.
        package: version of this package; "" where it is not installed.
        revision: of the package's git checkout, "-dirty" after it if files differ; ""
            where there is none.
    """

    device: str
    jax: str
    package: str
    revision: str


@functools.cache
def provenance() -> Provenance:
    """Of this process."""
    device = jax.devices()[0]
    try:
        package = importlib.metadata.version(PACKAGE.name)
    except importlib.metadata.PackageNotFoundError:
        package = ""
    kind = f"{device.platform} {device.device_kind}"
    return Provenance(kind, jax.__version__, package, _revision())


def version_of(function: Callable) -> str:
    """Hash of a function's source and of what it uses of the same file.

    Decorators of the function, docstrings, comments and layout do not count.

    Raises:
        InputError: if the source cannot be had.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        own = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    except (OSError, TypeError, SyntaxError, StopIteration):
        fail(
            "the version of the function cannot be told",
            got=f"{function!r}, which has no source of its own",
            expected="a function that is written with def in a file or notebook",
            hint="give version=, and another one whenever the code changes",
        )
    own.decorator_list = []
    defined, used, waiting = _definitions(function), {}, [own]
    while waiting:
        for node in ast.walk(waiting.pop()):
            name = node.id if isinstance(node, ast.Name) else ""
            if name in defined and name not in {*used, own.name}:
                used[name] = defined[name]
                waiting += defined[name]
    nodes = [own, *(node for name in sorted(used) for node in used[name])]
    text = "\n".join(ast.unparse(_without_docstrings(node)) for node in nodes)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _definitions(function: Callable) -> dict[str, list[ast.stmt]]:
    """Statements at the top of the function's file, by the name that they define."""
    try:
        text = Path(inspect.getsourcefile(function)).read_text(encoding="utf-8")
        statements = ast.parse(text).body
    except (OSError, TypeError, SyntaxError):  # a notebook: no file
        return {}
    found = {}
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            inside = [part for target in targets for part in ast.walk(target)]
            names = [part.id for part in inside if isinstance(part, ast.Name)]
        else:
            continue
        for name in names:
            found.setdefault(name, []).append(node)
    return found


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _revision() -> str:
    if not (PACKAGE.parent / ".git").exists():  # else it is another project's checkout
        return ""
    command = ["git", "-C", str(PACKAGE.parent), "describe", "--always", "--dirty"]
    try:
        command += ["--abbrev=40", "--exclude=*"]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
