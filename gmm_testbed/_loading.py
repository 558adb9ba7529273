"""What `my_module:name` stands for, on a command line."""

import importlib
import os
import sys
from typing import Any

from ._checks import choose, fail


def load(text: str) -> Any:
    """The public name of a module, as "my_module:name"; the current folder counts too.

    Raises:
        InputError: if there is no such module or name, or the module cannot be run.
    """
    module, _, name = text.partition(":")
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found = importlib.import_module(module)
    except Exception as error:
        absent = isinstance(error, ModuleNotFoundError) and (error.name or "") == module
        fail(
            f"there is no module {module}"
            if absent
            else f"{module} cannot be imported",
            got=f"{type(error).__name__}: {error}",
            expected="my_module:name, of a file my_module.py",
            hint=_how_to_import(module, error),
        )
    public = {n: value for n, value in vars(found).items() if not n.startswith("_")}
    return choose(name, public, f"name in {module}")


def _how_to_import(module: str, error: Exception) -> str:
    """What to do about a module that is not there, or cannot be run."""
    missing = (getattr(error, "name", None) or "").partition(".")[0]
    if missing == module.partition(".")[0]:
        return f"run the command in the folder of {missing}.py, or install it"
    if missing == "torch":
        return "install PyTorch: pip install 'gmm-testbed[torch]'"
    return f'see what `python -c "import {module}"` says'
