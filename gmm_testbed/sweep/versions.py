"""The version of an experiment's code: a hash of what its function uses of its own file.

Cells are computed again when it changes, so it leaves out what cannot change numbers. What
counts is the function and, at the top of its file, the functions, classes, assignments and
imported names that it mentions, directly or through one another; and, whatever they may
mention, statements of other kinds, as `TABLE.update(a=1)` or one under a condition. An
assignment counts by the name that it is to, even if it changes another on the way. So
`claims`, `figures` and `tables`, and what only they use, may change freely. Comments,
docstrings, layout, the order of definitions, the experiment's own declaration, and
`if __name__ == "__main__"` do not count. Of what is imported, local files count as a whole
(`sources`); installed packages do not: give `version=`, or `force`, when one of them
changes the numbers.
"""

import ast
import hashlib
import inspect
import json
import symtable
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .._checks import fail
from . import sources

_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_IMPORTS = ast.Import | ast.ImportFrom


def version_of(function: Callable) -> str:
    """Hash of a function's source, of what it uses of its file, and of its closure.

    Raises:
        InputError: if the source cannot be had, or the function holds on to more of the
            function around it than plain values.
    """
    function = inspect.unwrap(function)
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
    own.decorator_list = [d for d in own.decorator_list if not _declares(d)]
    waiting = [node for node in _statements(function) if own.name not in _bound(node)]
    used, kept = {"*", *_names(own)}, []  # a star may import whatever is used
    while more := [n for n in waiting if not _bound(n) or used & _bound(n)]:
        kept += more
        used = used.union(*map(_names, more))
        waiting = [node for node in waiting if node not in more]
    kept.sort(key=lambda node: node.lineno)
    placed = [node for node in kept if not isinstance(node, _DEFINITIONS | _IMPORTS)]
    fixed = sorted(_text(node) for node in kept if node not in placed)
    others = [_text(node) for node in placed]
    held = [f"{name} = {text}" for name, text in _held(function)]
    local = _local(function, ast.Module([own, *kept], []), used)
    text = "\n".join([_text(own), *fixed, *others, *held, *local])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _local(function: Callable, code: ast.Module, used: set[str]) -> list[str]:
    """Code of the other local files that the code imports, directly or not."""
    found = sources.local_modules(code, function.__globals__, used)
    own = Path(inspect.getsourcefile(function) or "").resolve()
    others = sources.closure(pair for pair in found if pair[1] != own)
    files = [Path(one.file) for one in others if Path(one.file) != own]
    return [f"{file.name}: {_text(ast.parse(file.read_bytes()))}" for file in files]


def _statements(function: Callable) -> list[ast.stmt]:
    """What stands at the top of the function's file, each imported name by itself."""
    try:
        text = Path(inspect.getsourcefile(function)).read_text(encoding="utf-8")
        nodes = ast.parse(text).body
    except (OSError, TypeError, SyntaxError):  # a notebook: no file
        return []
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            parts = [ast.Import([alias]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = [ast.ImportFrom(node.module, [a], node.level) for a in node.names]
        elif isinstance(node, ast.If) and "__name__" in _names(node.test):
            parts = []  # only of a script
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            parts = []  # the docstring
        else:
            parts = [node]
        found += [ast.copy_location(part, node) for part in parts]
    return found


def _bound(node: ast.stmt) -> set[str]:
    """Names that a definition, an import or a plain assignment is all about.

    None for any other statement: it may change what any name stands for.
    """
    if isinstance(node, _DEFINITIONS):
        return {node.name}
    if isinstance(node, _IMPORTS):
        return {a.asname or a.name.partition(".")[0] for a in node.names}
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        parts = [part for target in targets for part in ast.walk(target)]
        if not any(isinstance(p, ast.Attribute | ast.Subscript) for p in parts):
            return {part.id for part in parts if isinstance(part, ast.Name)}
    return set()


def _names(node: ast.AST) -> set[str]:
    """Names in a piece of code but those of local variables, and of fields of classes."""
    tables, found = [symtable.symtable(ast.unparse(node), "", "exec")], set()
    for table in tables:
        tables += table.get_children()
        kind = table.get_type()
        for symbol in table.get_symbols():
            read = symbol.is_referenced() and kind != "function"  # as in `x = x`
            if kind == "module" or read or symbol.is_global():
                found.add(symbol.get_name())
    return found


def _declares(decorator: ast.expr) -> bool:
    """Whether it is `gt.experiment(...)`, of which the store knows what it says."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(called, "attr", getattr(called, "id", "")) == "experiment"


def _held(function: Callable) -> Iterator[tuple[str, str]]:
    """Names and values of the function around this one; none for a function at the top."""
    if "<locals>" not in function.__qualname__:
        return
    names, cells = function.__code__.co_freevars, function.__closure__ or ()
    for name, cell in zip(names, cells, strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # a name that is given its value later
            value = cell
        yield name, _written(name, value)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.default is not parameter.empty:
            yield parameter.name, _written(parameter.name, parameter.default)


def _written(name: str, value: Any) -> str:
    """A value as text that is the same in every process."""
    try:
        return json.dumps(value, sort_keys=True, default=_as_json)
    except (TypeError, ValueError):
        fail(
            "the version of the function cannot be told",
            got=f"{name!r} of the function around it: {type(value).__name__}",
            expected="numbers, strings, None, arrays, or lists, sets and dictionaries of"
            " them",
            hint="write the function at the top of a file, or give version=, and another"
            " one whenever the code changes",
        )


def _as_json(value: Any) -> list:
    """A set or an array as what JSON has; both hold plain values."""
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        array = np.asarray(value)
        if not array.dtype.hasobject:
            digest = hashlib.blake2b(array.tobytes(), digest_size=16).hexdigest()
            return [array.dtype.str, array.shape, digest]
    raise TypeError(type(value).__name__)


def _text(tree: ast.AST) -> str:
    """Its code, without comments, docstrings and layout."""
    for node in ast.walk(tree):
        if isinstance(node, _DEFINITIONS | ast.Module) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
