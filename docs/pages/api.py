"""A page for each public name of the package, and one for each public module."""

import ast
import importlib
import inspect
import types

import gmm_testbed as gt

from . import names
from .formulas import restructured, words
from .write import leaf, page, table, title

TOPICS = {
    "Problems": (
        "GaussianMixture", "Linear", "Nonlinear", "InverseProblem", "Target", "blur",
        "downsampling", "inpainting", "random_projection",
    ),
    "Paths and time": (
        "AbstractPath", "VP", "CosineVP", "VE", "Rectified", "OU", "TabulatedPath",
        "time_grid", "optimal_grid",
    ),
    "Methods": (
        "Guided", "Published", "PosteriorDraws", "External", "GuidedField",
        "AbstractMethod", "AbstractMarkov", "AbstractComposed", "Facts", "ExactWhen",
        "Cost", "Step", "Leg", "standard_start",
    ),
    "Laws of a step": ("Gaussian", "Mixture", "Implicit", "isotropic", "point"),
    "Running and judging": (
        "sample", "sample_together", "SampleSet", "compare", "Comparison", "conformance",
        "verdict", "Estimate", "Experiment", "experiment",
    ),
    "The error budget": (
        "budget", "Budget", "leading_order", "path_log_ratio", "reverse_kernel",
    ),
    "Errors": ("InputError", "UnsupportedError"),
}  # fmt: skip


def pages() -> None:
    """Pages generated/api/gt.NAME and their index."""
    known = names.top()
    placed = [name for group in TOPICS.values() for name in group]
    topics = {
        topic: [n for n in group if n in known] for topic, group in TOPICS.items()
    }
    rest = [name for name in known if name not in placed]
    topics |= {"More": rest} if rest else {}
    parts = [
        title("API"),
        "``import gmm_testbed as gt``: every public name has a page.\n",
    ]
    for topic, group in topics.items():
        rows = [(f":py:obj:`gt.{n} <gmm_testbed.{n}>`", _first(n)) for n in group]
        parts += [title(topic, "-"), table(rows, widths="30 70")]
    modules = [
        (f":doc:`gt.{m} <gt.{m}>`", _first_of_module(m)) for m in names.modules()
    ]
    parts += [title("Modules", "-"), table(modules, widths="30 70")]
    page("api/index.rst", "\n".join(parts))
    for name in known:
        page(f"api/gt.{name}.rst", f"{leaf(f'gt.{name}', 'API')}\n{_entry(name)}")
    for module in names.modules():
        page(f"api/gt.{module}.rst", _module(module))


def covered() -> set[str]:
    """The full names that the pages describe."""
    return {f"gmm_testbed.{name}" for name in names.everything()}


def _module(module: str) -> str:
    parts = [leaf(f"gt.{module}", "API")]
    if module == "torch":
        text = inspect.getdoc(module_of(module))
        parts.append(restructured(text) + "\n")
        parts += [_unseen(name) for name in names.inside(module)]
        return "\n".join(parts)
    parts.append(f".. automodule:: {names.modules()[module]}\n   :no-index:\n")
    inside = [f"{module}.{name}" for name in names.inside(module)]
    kinds = [name for name in inside if not _constant(name)]
    rows = [(f":py:obj:`{n} <gmm_testbed.{n}>`", _first(n)) for n in kinds]
    parts += [table(rows, widths="35 65")] if len(rows) > 3 else []
    return "\n".join([*parts, *map(_entry, inside)])


def _entry(name: str) -> str:
    """The directive that describes a name."""
    module, _, last = name.rpartition(".")
    full, thing = f"gmm_testbed.{name}", names.value(name)
    first = next(n for n in names.everything() if _same(n, thing))
    where = f"   :module: gmm_testbed{module and '.'}{module}\n"
    if _constant(name):
        keys = thing if isinstance(thing, dict) else ()
        rows = f"\n   Rows: {', '.join(f'``{k}``' for k in keys)}.\n" if keys else ""
        shown = repr(thing) if isinstance(thing, int | float | str | tuple) else ""
        where += f"   :value: {shown}\n" if 0 < len(shown) < 60 else ""
        return f".. py:data:: {last}\n{where}\n   {_comment(name)}\n{rows}"
    if first != name:
        kind = "class" if inspect.isclass(thing) else "function"
        same = f"The same as :py:obj:`gt.{first} <gmm_testbed.{first}>`."
        return f".. py:{kind}:: {last}\n{where}\n   {same}\n"
    if inspect.isclass(thing):
        return f".. autoclass:: {full}\n   :members:\n"
    return f".. autofunction:: {full}\n"


def _same(name: str, thing) -> bool:
    return not name.startswith("torch.") and names.value(name) is thing


def _constant(name: str) -> bool:
    thing = names.value(name)
    return not callable(thing) or isinstance(thing, types.GenericAlias)


def _comment(name: str) -> str:
    """The string below an assignment, which is its docstring."""
    module, _, last = name.rpartition(".")
    for path in _files(module):
        body = names.tree(path).body
        for node, following in zip(body, body[1:], strict=False):
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            named = any(getattr(target, "id", None) == last for target in targets)
            text = getattr(getattr(following, "value", None), "value", None)
            if named and isinstance(text, str):
                return words(text)
    return "A constant."


def _files(module: str):
    first = names.source(names.modules()[module])
    return [first, *sorted(first.parent.glob("*.py"))]


def _first(name: str) -> str:
    if name.startswith("torch.") or _constant(name):
        return ""
    text = inspect.getdoc(names.value(name)) or ""
    return words(text.partition("\n\n")[0])


def _first_of_module(module: str) -> str:
    return words((inspect.getdoc(module_of(module)) or "").partition("\n\n")[0])


def module_of(module: str):
    """The module object."""
    return importlib.import_module(names.modules()[module])


def _unseen(name: str) -> str:
    """A name of `gt.torch` from its source: PyTorch need not be there."""
    table_of = gt.torch._LAZY
    path = names.source("gmm_testbed.external.torch").parent / f"{table_of[name]}.py"
    node = next(n for n in names.tree(path).body if getattr(n, "name", None) == name)
    makers = [
        n for n in getattr(node, "body", []) if getattr(n, "name", "") == "__init__"
    ]
    function = makers[0] if makers else node
    signature = "()"
    if isinstance(function, ast.FunctionDef):
        given = ast.unparse(function.args).removeprefix("self").lstrip(", ")
        signature = f"({given})"
    kind = "class" if isinstance(node, ast.ClassDef) else "function"
    text = restructured(inspect.cleandoc(ast.get_docstring(node) or ""))
    body = "\n".join(f"   {line}".rstrip() for line in _sections(text).splitlines())
    return f".. py:{kind}:: gmm_testbed.torch.{name}{signature}\n\n{body}\n"


def _sections(text: str) -> str:
    from sphinx.ext.napoleon import Config, GoogleDocstring

    return str(GoogleDocstring(text, Config(napoleon_use_ivar=True)))
