"""Experiments of a file that is not part of an installed package."""

import functools
import importlib.util
import sys
import threading
import zlib
from pathlib import Path
from types import ModuleType

from .._checks import require
from .declare import Experiment


def load(path: str | Path) -> dict[str, Experiment]:
    """The experiments that a Python file declares, by name; the file is run.

    Raises:
        InputError: if there is no such file, or no experiment in it.
    """
    found = vars(module(str(Path(path).resolve()))).values()
    experiments = {e.name: e for e in found if isinstance(e, Experiment)}
    require(
        experiments,
        "the file declares no experiment",
        got=str(path),
        expected="a function at the top of the file under @gt.experiment(...)",
        hint="see `Experiment`",
    )
    return experiments


_loading = threading.RLock()  # `functools.cache` lets two threads run the file


def module(file: str) -> ModuleType:
    """What the file defines; it is run once in a process, not as `__main__`."""
    with _loading:
        return _module(file)


@functools.cache
def _module(file):
    path = Path(file)
    require(
        path.is_file() and path.suffix == ".py",
        "there is no such file of experiments",
        got=file,
        expected="a Python file that the driver and its workers can read",
        hint="on other machines: a shared folder, or an installed module",
    )
    name = f"_experiment_{path.stem}_{zlib.crc32(file.encode()):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found  # where `pickle` looks
    try:
        spec.loader.exec_module(found)
    except BaseException:
        del sys.modules[name]
        raise
    return found
