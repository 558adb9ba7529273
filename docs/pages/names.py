"""Which names are public: those of `gmm_testbed`, and those of its public modules."""

import ast
import importlib
import importlib.util
from functools import cache
from pathlib import Path

import gmm_testbed as gt

# Public modules inside public modules.
INNER = (
    "bounds.tools.training_sets",
    "bounds.training_posterior",
    "diagnostics.deliberate",
    "divergences.closed_form",
    "plotting.bounds",
    "plotting.tables",
    "problems.nonlinear",
    "sweep.scripts",
)


@cache
def modules() -> dict[str, str]:
    """The module behind each public one: "problems" is "gmm_testbed.testbeds"."""
    found = {}
    for name in (*gt._MODULES, *INNER):
        first, dot, rest = name.partition(".")
        found[name] = f"gmm_testbed.{gt._ALIASES.get(first, first)}{dot}{rest}"
    return found


@cache
def top() -> list[str]:
    """Public names of the package that are no modules."""
    return [name for name in gt.__all__ if name not in gt._MODULES]


@cache
def inside(module: str) -> list[str]:
    """Public names of a public module: defined in it, or imported as themselves.

    Names of `gt.torch` are those of its table, since PyTorch may be missing.
    """
    if module == "torch":
        return list(gt.torch.__all__)
    found = []
    for node in tree(source(modules()[module])).body:
        if isinstance(node, ast.ImportFrom):
            found += [a.asname for a in node.names if a.asname == a.name]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [t.id for t in node.targets if isinstance(t, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append(node.target.id)
    nested = {
        name.rpartition(".")[2] for name in INNER if name.startswith(f"{module}.")
    }
    return [n for n in found if not n.startswith("_") and n not in nested]


def everything() -> list[str]:
    """Every public name, without the package's own: "Target", "kernels.DDIM"."""
    return [*top(), *(f"{m}.{n}" for m in modules() for n in inside(m))]


def source(module: str) -> Path:
    """The file of a module, which is not imported for it."""
    return Path(importlib.util.find_spec(module).origin)


@cache
def tree(path: Path) -> ast.Module:
    """What is in a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def value(name: str):
    """The object of a public name."""
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(modules()[module]) if module else gt, last)
