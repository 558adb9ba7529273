"""A page for each public name of the package, and one for each public module."""

import inspect

import gmm_testbed as gt

from . import names
from .formulas import restructured, words
from .write import page, table, title, tree

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
    listed = [*(n for group in topics.values() for n in group), *names.modules()]
    parts.append(tree((f"gt.{name}" for name in listed), hidden=True))
    page("api/index.rst", "\n".join(parts))
    for name in known:
        page(f"api/gt.{name}.rst", f"{title(f'gt.{name}')}\n{_entry(name)}")
    for module in names.modules():
        page(f"api/gt.{module}.rst", _module(module))


def covered() -> set[str]:
    """The full names that the pages describe."""
    return {f"gmm_testbed.{name}" for name in names.everything()}


def _module(module: str) -> str:
    parts = [title(f"gt.{module}")]
    if module == "torch":
        text = inspect.getdoc(names_module(module))
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
    full, thing = f"gmm_testbed.{name}", names.value(name)
    if inspect.isclass(thing):
        return f".. autoclass:: {full}\n   :members:\n"
    if inspect.isfunction(thing):
        return f".. autofunction:: {full}\n"
    if inspect.ismodule(thing):
        return f".. py:data:: {full}\n\n   See :doc:`gt.{name}`.\n"
    shown = repr(thing) if isinstance(thing, int | float | str | tuple) else ""
    value = f"\n   :value: {shown}" if 0 < len(shown) < 60 else ""
    rows = f"\n   Rows: {', '.join(f'``{key}``' for key in thing)}.\n" * isinstance(
        thing, dict
    )
    return f".. py:data:: {full}{value}\n\n   {_comment(name)}\n{rows}"


def _constant(name: str) -> bool:
    thing = names.value(name)
    return not (inspect.isclass(thing) or inspect.isroutine(thing))


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
    return words((inspect.getdoc(names_module(module)) or "").partition("\n\n")[0])


def names_module(module: str):
    """The module object."""
    import importlib

    return importlib.import_module(names.modules()[module])


def _unseen(name: str) -> str:
    """A name of `gt.torch` from its source: PyTorch need not be there."""
    import ast

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
