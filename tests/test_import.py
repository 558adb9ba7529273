"""What `import gmm_testbed` costs, and what its names mean in whatever order."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gmm_testbed as gt

SOURCE = Path(gt.__file__)
HEAVY = (
    "matplotlib", "rich", "typer", "sqlite3", "pandas", "scipy", "optax", "jinja2",
    "markdown_it", "ot", "sklearn", "distributed", "pyarrow", "torch",
)  # fmt: skip


def fresh(code: str) -> list[str]:
    """The words that a new process prints."""
    paths = [str(SOURCE.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-W", "error", "-c", code]
    output = subprocess.check_output(command, env=environment, text=True, timeout=120)
    return output.split()


def test_the_import_waits_for_nothing_heavy():
    code = "import gmm_testbed, sys; print(*sys.modules)"
    loaded = set(fresh(code))
    assert "gmm_testbed" in loaded and not loaded & {*HEAVY, "jax", "equinox"}


def test_what_every_script_uses_waits_for_nothing_heavy():
    used = (
        "gt.GaussianMixture, gt.VP, gt.Target, gt.Guided, gt.approximations, gt.kernels"
    )
    code = f"import gmm_testbed as gt, sys; {used}; gt.sample; print(*sys.modules)"
    loaded = set(fresh(code))
    assert "gmm_testbed.sampling" in loaded and not loaded & {*HEAVY}


@pytest.mark.parametrize(
    "first",
    [
        "import gmm_testbed.budget.path, gmm_testbed.compare",
        "from gmm_testbed.compare import Comparison\nfrom gmm_testbed.budget import Budget",
        "from gmm_testbed import plotting, bounds",
        "import gmm_testbed; gmm_testbed.budget; gmm_testbed.compare\n"
        "import gmm_testbed.budget.grid, gmm_testbed.compare",
    ],
    ids=["modules", "from modules", "users", "functions"],
)
def test_functions_are_never_hidden_by_modules_of_their_name(first):
    code = f"""
{first}
import types, gmm_testbed as gt
import gmm_testbed.budget.terms
from gmm_testbed import budget, compare
assert isinstance(gt.budget, types.FunctionType) and gt.budget is budget
assert isinstance(gt.compare, types.FunctionType) and gt.compare is compare
assert isinstance(gt.conformance, types.FunctionType)
print(gt.budget.__module__, gt.compare.__module__)
"""
    assert fresh(code) == ["gmm_testbed.budget.path", "gmm_testbed.compare"]


@pytest.mark.slow
def test_every_public_name_is_there_in_a_new_process():
    code = """
import types, gmm_testbed as gt
found = {name: getattr(gt, name) for name in reversed(gt.__all__)}
assert all(vars(gt)[name] is value for name, value in found.items())
from gmm_testbed import *
assert budget is found["budget"] and bounds is found["bounds"]
print(*(name for name, value in found.items() if isinstance(value, types.ModuleType)))
"""
    modules = fresh(code)
    assert sorted(modules) == list(gt._MODULES) and "bounds" in modules
    assert gt.bounds.check and gt.plotting.figure and gt.sweep.run


def test_the_bridge_says_what_it_needs():
    code = """
import sys
sys.modules["torch"] = None
import gmm_testbed as gt
assert "Denoiser" in dir(gt.torch)
try:
    gt.torch.Denoiser
except gt.UnsupportedError as error:
    print(error)
"""
    words = " ".join(fresh(code))
    assert "needs torch, which is not installed" in words
    assert words.endswith("pip install 'gmm-testbed[torch]'")


def test_type_checkers_see_the_names_that_are_found():
    block = next(n for n in ast.parse(SOURCE.read_text()).body if isinstance(n, ast.If))
    seen = {}
    for node in block.body:
        for alias in node.names:
            where = [*filter(None, [node.module]), alias.name]
            seen[alias.asname] = ".".join(where)
    expected = {name: gt._ALIASES.get(name, name) for name in gt._MODULES}
    expected |= {name: f"{module}.{name}" for name, module in gt._MODULE_OF.items()}
    assert seen == expected and gt.__all__ == sorted(expected) == dir(gt)


def test_a_name_that_is_not_there_is_said():
    with pytest.raises(AttributeError, match="no attribute 'GausianMixture'"):
        gt.GausianMixture  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from gmm_testbed import nothing  # noqa: F401
