"""The version of an experiment's code: a hash of whatever its own file says of it."""

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from .._checks import fail

_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_PLAIN = type(None), bool, int, float, complex, str, bytes
_STAR = "*"  # an import of whatever there is may be of use to everything


class Statement(NamedTuple):
    """A statement at the top of a file.

    Attributes:
        text: of it, without comments and docstrings.
        names: that it mentions.
        binds: names that it defines.
        alters: names of which it may change what they stand for.
        fixed: whether its place in the file does not matter.
    """

    text: str
    names: set[str]
    binds: set[str]
    alters: set[str]
    fixed: bool


def version_of(function: Callable) -> str:
    """Hash of a function's source, of what it uses of its file, and of its closure.

    It uses, directly or not, what it mentions: functions, classes, values and imports at
    the top of the file. A statement there that may change one of these counts too, such
    as `TABLE.update(a=1)` or one under a condition. What is imported does not count, nor
    do its experiment's decorator, docstrings, comments, layout, and what is under
    `if __name__ == "__main__"`.

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
    statements = [s for s in _statements(function) if own.name not in s.binds]
    used, kept = {_STAR, *_names(own)}, []
    waiting = statements
    while more := [s for s in waiting if used & (s.binds | s.alters)]:
        kept += more
        used = used.union(*(s.names for s in more))
        waiting = [s for s in waiting if s not in more]
    fixed = sorted(s.text for s in kept if s.fixed)
    others = [s.text for s in statements if s in kept and not s.fixed]
    held = [f"{name} = {text}" for name, text in _held(function)]
    text = "\n".join([ast.unparse(_without_docstrings(own)), *fixed, *others, *held])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _statements(function: Callable) -> list[Statement]:
    """What stands at the top of the function's file."""
    try:
        text = Path(inspect.getsourcefile(function)).read_text(encoding="utf-8")
        nodes = [part for node in ast.parse(text).body for part in _single(node)]
    except (OSError, TypeError, SyntaxError):  # a notebook: no file
        return []
    inside = {n.name: _names(n) for n in nodes if isinstance(n, _DEFINITIONS)}
    bound = [_bound(node) for node in nodes]
    top = set().union(*bound)  # other names are local ones, of some function
    imports = [isinstance(node, ast.Import | ast.ImportFrom) for node in nodes]
    modules = set().union(*(b for b, i in zip(bound, imports, strict=True) if i))
    found = []
    for node, binds in zip(nodes, bound, strict=True):
        if isinstance(node, _DEFINITIONS | ast.Import | ast.ImportFrom):
            alters, fixed = set(), True
        elif _assigns(node):
            # As in `OLD = TABLE.pop("a")`; but a call of a module changes no module.
            calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
            alters = _reached(set().union(*map(_names, calls)), inside) - modules
            fixed = False
        else:
            alters, fixed = _reached(_names(node), inside), False
        # By its definitions too: `change()` is what the function `change` does.
        names, alters = _names(node) & top, alters & top
        text = ast.unparse(_without_docstrings(node))
        found.append(Statement(text, names, binds, alters, fixed))
    return found


def _single(node: ast.stmt) -> Iterator[ast.stmt]:
    """The statement; an import name by name; nothing of what only a script does."""
    if isinstance(node, ast.Import):
        yield from (ast.Import([alias]) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield ast.ImportFrom(node.module, [alias], node.level)
    elif not (isinstance(node, ast.If) and "__name__" in _names(node.test)):
        yield node


def _assigns(node: ast.stmt) -> bool:
    """Whether it only gives values to names."""
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.target, ast.Name)
    if not isinstance(node, ast.Assign):
        return False
    parts = [part for target in node.targets for part in ast.walk(target)]
    return not any(isinstance(p, ast.Attribute | ast.Subscript) for p in parts)


def _names(node: ast.AST) -> set[str]:
    """Every name in a piece of code."""
    found = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return found | _bound(node)


def _bound(node: ast.AST) -> set[str]:
    """Names that a piece of code defines, at whatever depth but inside definitions."""
    if isinstance(node, _DEFINITIONS):
        return {node.name}
    if isinstance(node, ast.alias):
        return {node.asname or node.name.partition(".")[0]}
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Load) else {node.id}
    return set().union(*map(_bound, ast.iter_child_nodes(node)))


def _reached(names: set[str], inside: dict[str, set[str]]) -> set[str]:
    """With the names in the definitions of these names, and in theirs."""
    found, waiting = set(names), list(names)
    while waiting:
        more = inside.get(waiting.pop(), set()) - found
        found |= more
        waiting += more
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
    parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        if parameter.default is not parameter.empty:
            yield parameter.name, _written(parameter.name, parameter.default)


def _written(name: str, value: Any) -> str:
    """A value as text that is the same in every process."""
    if type(value) in _PLAIN:
        return repr(value)
    if type(value) in (list, tuple):
        return f"{type(value).__name__}{[_written(name, part) for part in value]}"
    if type(value) in (set, frozenset):
        return f"set{sorted(_written(name, part) for part in value)}"
    if type(value) is dict:
        return f"dict{[_written(name, pair) for pair in value.items()]}"
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        array = np.asarray(value)
        if not array.dtype.hasobject:
            digest = hashlib.blake2b(array.tobytes(), digest_size=16).hexdigest()
            return f"{array.dtype}{array.shape}{digest}"
    fail(
        "the version of the function cannot be told",
        got=f"{name!r} of the function around it: {type(value).__name__}",
        expected="numbers, strings, None, arrays, or lists, sets and dictionaries of them",
        hint="write the function at the top of a file, or give version=, and another one"
        " whenever the code changes",
    )


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, _DEFINITIONS) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return tree
