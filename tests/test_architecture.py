"""What keeps the package readable, checked on its source.

Imports go down, or stay on a floor; nothing is hidden from a reader of one file;
experiments and notebooks use public names only.
"""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gmm_testbed"
MODULES = sorted(PACKAGE.rglob("*.py"))
LIMIT = 350

# A module or sub-package may import from its own floor and from those below.
FLOORS = {
    "_types": 0,
    "_arguments": 0,
    "_checks": 0,
    "_display": 0,
    "_linalg": 0,
    "_weights": 0,
    "_decompositions": 0,
    "estimate": 1,
    "paths": 1,
    "mixture": 1,
    "random": 1,
    "gaussian": 1,
    "_compiling": 1,
    "_loading": 1,
    "_samples": 1,
    "sweep": 1,
    "densities": 2,
    "divergences": 2,
    "problem": 3,
    "method": 4,
    "approximations": 4,
    "testbeds": 4,
    "sampling": 5,
    "kernels": 5,
    "algorithms": 6,
    "estimators": 6,
    "smc": 6,
    "laws": 6,
    "budget": 6,
    "learning": 6,
    "external": 6,
    "diagnostics": 7,
    "bounds": 7,
    "measures": 8,
    "plotting": 8,
    "comparison": 8,
    "compare": 8,
    "conformance": 8,
    "methods": 8,
    "study": 9,
    "verdict": 9,
    "cli": 9,
    "__init__": 10,
    "exercises": 10,  # written as their readers write, with `gt`
}
# `sweep` runs any experiment; it knows no mathematics.
SWEEP_MAY_IMPORT = {"sweep", "estimate", "_checks", "_types"}
# Factorisations happen where a problem is built, never per step or per particle.
MAY_FACTORISE = {
    "_decompositions",
    "mixture/conditioning",
    "gaussian",  # `Lower.spectral`, of a law that a chain starts from
    "mixture/mixture",
    "problem/measurements",
    "problem/likelihood",
    "problem/inverse",
    "problem/target",
    "laws/affine",
    "divergences/closed_form",
    "diagnostics/deliberate",  # once an observation: it builds mixtures
    "bounds/denoising_lipschitz",  # matrices of points, on the host
    "bounds/mixture_landscape",
    "bounds/posterior_covariance",
    "bounds/prior_baseline",  # here and below once a case, small matrices
    "bounds/tools/radial",
    "bounds/tools/split_gibbs_space",
    "exercises/lecture_01/weights",  # here and below formulas as a student writes them
    "exercises/lecture_03/gains",
    "exercises/lecture_06/maps",
    "exercises/lecture_10/gibbs",
    "exercises/lecture_10/own_method",
}


def name_of(path: Path) -> str:
    """The dotted-by-slash name inside the package: `laws/affine`, `__init__`."""
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def floor_of(name: str) -> str:
    """The row of FLOORS that a module belongs to."""
    return name.split("/")[0]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path, tree: ast.Module) -> set[str]:
    """Rows of FLOORS that a module imports from, at the top or inside a function."""
    package = path.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base = [*base, *(node.module or "").split(".")]
            names = [[*filter(None, base), alias.name] for alias in node.names]
        else:
            continue
        for parts in names:
            if parts[0] == PACKAGE.name:
                inside = parts[1] if len(parts) > 1 else "__init__"
                found.add(inside if inside in FLOORS else "__init__")
    return found


def uses(tree: ast.Module) -> set[str]:
    """Every dotted name in the source, imports written out: `jax.numpy.linalg.svd`."""
    known, found = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.add(alias.name)
                known[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                found.add(f"{node.module}.{alias.name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            found.add(f"{known.get(first, first)}.{rest}")
    return found


@cache
def classes() -> frozenset[str]:
    """Names of all classes of the package."""
    trees = map(tree_of, MODULES)
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return frozenset(node.name for node in nodes if isinstance(node, ast.ClassDef))


def strings(tree: ast.Module) -> set[str]:
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def source_of_notebook(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    lines = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    return re.sub(r"^\s*[%!].*$", "", lines, flags=re.MULTILINE)


def private_uses(source: str) -> list[str]:
    """What a script takes from the package otherwise than as `gt.public.name`."""
    found, tree = [], ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [
                f"import {alias.name} as {alias.asname}"
                for alias in node.names
                if alias.name.split(".")[0] == PACKAGE.name
                and (alias.name, alias.asname) != (PACKAGE.name, "gt")
            ]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] == PACKAGE.name:
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Attribute):
            chain = ast.unparse(node).split(".")
            if chain[0] == "gt" and any(part.startswith("_") for part in chain):
                found += [] if chain[1] == "__version__" else [".".join(chain)]
    return found


def wrong(fault) -> dict:
    """What `fault` finds in each module, by its name, where it finds anything."""
    found = {name_of(module): fault(module) for module in MODULES}
    return {name: what for name, what in found.items() if what}


def test_imports_go_down():
    owners = {floor_of(name_of(module)) for module in MODULES}
    assert owners <= FLOORS.keys(), "give each of these a floor in FLOORS"

    def above(module):
        own = FLOORS[floor_of(name_of(module))]
        names = imported(module, tree_of(module))
        return {name for name in names if FLOORS[name] > own}

    assert not wrong(above)


def test_sweep_knows_no_mathematics():
    def other(module):
        inside = floor_of(name_of(module)) == "sweep"
        return imported(module, tree_of(module)) - SWEEP_MAY_IMPORT if inside else None

    assert not wrong(other)


def test_torch_is_asked_for_by_the_bridge_only():
    """Nobody else needs it, or waits for it."""
    others = {"torch", "azula", "deepinv"}

    def asked(module):
        inside = name_of(module).startswith("external/torch/")
        found = {name.split(".")[0] for name in uses(tree_of(module))} & others
        return None if inside else found

    assert not wrong(asked)


def test_modules_are_short():
    def long(module):
        lines = len(module.read_text(encoding="utf-8").splitlines())
        return lines if lines > LIMIT else None

    assert not wrong(long)


def test_no_module_is_a_drawer():
    drawers = {"util", "utils", "helpers", "misc", "common"}
    assert not [name_of(m) for m in MODULES if m.stem.strip("_") in drawers]


def test_precision_is_set_by_the_command_line_only():
    """And passed on by a sweep: a new process of a worker has that of the driver."""

    def switches(module):
        if name_of(module) in ("cli/app", "sweep/work"):
            return None
        tree = tree_of(module)
        settings = {s for s in strings(tree) if s.lower() == "jax_enable_x64"}
        return settings | {name for name in uses(tree) if name.endswith("enable_x64")}

    assert not wrong(switches)


def test_factorisations_are_at_construction():
    def calls(module):
        if name_of(module) in MAY_FACTORISE:
            return None
        pattern = r"jax\.(numpy|scipy|lax)\.linalg\b"
        return {name for name in uses(tree_of(module)) if re.match(pattern, name)}

    assert not wrong(calls), "see _linalg"


def test_a_class_is_abstract_or_final():
    """Its bases inside the package are abstract, errors apart."""
    ours = classes()

    def concrete(module):
        return [
            f"{node.name}({ast.unparse(base)})"
            for node in ast.walk(tree_of(module))
            if isinstance(node, ast.ClassDef) and not node.name.endswith("Error")
            for base in node.bases
            if (name := ast.unparse(base).split("[")[0].split(".")[-1]) in ours
            and not name.lstrip("_").startswith("Abstract")
        ]

    assert not wrong(concrete)


def test_nothing_asks_what_it_is():
    def asks(module):
        return {"super", "hasattr"} & {
            node.func.id
            for node in ast.walk(tree_of(module))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }

    assert not wrong(asks)


@pytest.mark.parametrize("folder", ["experiments", "notebooks"])
def test_scripts_use_public_names(folder):
    sources = {p: p.read_text(encoding="utf-8") for p in (ROOT / folder).rglob("*.py")}
    for path in (ROOT / folder).rglob("*.ipynb"):
        sources[path] = source_of_notebook(path)
    taken = {p.name: found for p, s in sources.items() if (found := private_uses(s))}
    assert not taken, "write `import gmm_testbed as gt`, then gt.name"


def test_no_machine_path_in_the_tree():
    folder = "|".join(["work", "tmp", "root", "home", "Users"])
    pattern = re.compile(rf"(?<![\w.])/(?:{folder})/")
    kinds = {".py", ".md", ".toml", ".cff", ".ipynb", ".csv", ".mplstyle"}
    folders = [PACKAGE, ROOT / "tests", ROOT / "experiments", ROOT / "notebooks"]
    files = [p for f in folders for p in f.rglob("*") if p.suffix in kinds]
    files += [p for p in ROOT.glob("*") if p.suffix in kinds or p.name == "Makefile"]
    files += list((ROOT / ".ci").glob("*"))
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in files
        if (match := pattern.search(path.read_text(encoding="utf-8")))
    }
    assert not found


# The rules above, on sources that break them.


def test_imports_are_found_wherever_they_stand():
    source = (
        "from . import base\nfrom .. import mixture\nfrom ..paths import VP\n"
        "import gmm_testbed.cli\nimport jax\n"
        "def late():\n    from gmm_testbed.bounds import CATALOGUE\n"
    )
    found = imported(PACKAGE / "kernels" / "heun.py", ast.parse(source))
    assert found == {"kernels", "mixture", "paths", "cli", "bounds"}
    whole = ast.parse("import gmm_testbed as gt\nfrom gmm_testbed import VP")
    assert imported(PACKAGE / "paths.py", whole) == {"__init__"}


def test_names_are_written_out():
    source = (
        "import jax\nimport jax.numpy as jnp\nfrom jax.scipy import linalg as la\n"
        "jnp.linalg.svd(a)\nla.solve(a, b)\njax.config.update(c)\n"
    )
    found = uses(ast.parse(source))
    assert {"jax.numpy.linalg.svd", "jax.scipy.linalg.solve"} <= found
    assert "jax.config.update" in found


@pytest.mark.parametrize(
    "line",
    [
        "from gmm_testbed import VP",
        "from gmm_testbed.paths import VP",
        "import gmm_testbed",
        "import gmm_testbed.paths as gt",
        "gt._linalg.solve(a, b)",
        "gt.laws.grid(x)._points",
    ],
)
def test_private_uses_are_found(line):
    assert private_uses(line)


def test_public_uses_are_not():
    assert not private_uses("import gmm_testbed as gt\ngt.kernels.DDIM(eta=gt.VP())")
