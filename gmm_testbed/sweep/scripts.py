"""Experiments of a file that is not part of an installed package."""

import contextlib
import functools
import importlib.util
import sys
import threading
import traceback
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from .._checks import InputError, require
from .declare import LISTENING, Experiment
from .sources import Source, of_file


class FileError(InputError):
    """A file of experiments failed when it was run; the message has the traceback."""


def load(path: str | Path) -> dict[str, Experiment]:
    """The experiments that a Python file declares, by name; the file is run.

    It is run again if it has changed since, or a local file that it imports.

    Raises:
        InputError: if there is no such file, or no experiment in it, or two of one name.
        FileError: if it fails.
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


def module(file: str) -> ModuleType:
    """What a file defines; it is run once in a process, not as `__main__`.

    Args:
        file: its path. It is run again if it has changed, or a local file that it imports.

    Raises:
        InputError: if there is no such file, or it declares two experiments of one name.
        FileError: if it fails.
    """
    path = Path(file)
    with _loading:
        require(
            path.is_file() and path.suffix == ".py",
            "there is no such file of experiments",
            got=file,
            expected="a Python file that the driver and its workers can read",
            hint="on other machines: a shared folder, or an installed module",
        )
        refresh(of_file(_name(file), path))
        found = _run(file)
        refresh(of_file(_name(file), path))  # notes what it has imported
        return found


def refresh(code: Iterable[Source]) -> bool:
    """Forgets modules of which a file has changed since they were loaded.

    Args:
        code: the files that belong together. If one has changed, all are forgotten, so
            that they are loaded again as they are now.

    Returns:
        Whether one had changed.
    """
    code = list(code)
    with _loading:
        changed = any(_known.get(s.file, s.digest) != s.digest for s in code)
        if changed:
            files = {source.file for source in code}
            for name, loaded in list(sys.modules.items()):
                file = getattr(loaded, "__file__", None)
                if file and str(Path(file).resolve()) in files and name != "__main__":
                    del sys.modules[name]
            for file in files:  # as in `_run`
                compiled = importlib.util.cache_from_source(file)
                with contextlib.suppress(OSError):
                    Path(compiled).unlink(missing_ok=True)
            importlib.invalidate_caches()
            _run.cache_clear()
        _known.update({source.file: source.digest for source in code})
    return changed


_loading = threading.RLock()  # `functools.cache` lets two threads run the file
_known: dict[str, str] = {}  # hash of each local file as it was loaded, by path


@functools.cache
def _run(file):
    name = _name(file)
    spec = importlib.util.spec_from_file_location(name, file)
    found = importlib.util.module_from_spec(spec)
    declared: list[Experiment] = []
    sys.modules[name] = found  # where `pickle` looks
    LISTENING.append(declared)
    try:
        # Not by the loader: its compiled files miss an edit within one second.
        code = compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
        exec(code, vars(found))
        _require_apart(file, vars(found), declared)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt | InputError):
            raise
        raise FileError(_failure(file, error)) from None
    finally:
        LISTENING.pop()  # that of this file: those that it loads have ended
    return found


def _name(file) -> str:
    return f"_experiment_{Path(file).stem}_{zlib.crc32(file.encode()):x}"


def _require_apart(file, names, declared):
    """Refuses two experiments of one name: the store could not tell them apart."""
    own = [e for e in declared if e.function.__module__ == names["__name__"]]
    visible = [e for e in names.values() if isinstance(e, Experiment)]
    every = {id(e): e.name for e in [*own, *visible]}
    twice = [name for name, count in Counter(every.values()).items() if count > 1]
    require(
        not twice,
        "two experiments of the file have one name",
        got=f"{', '.join(twice)} in {file}",
        expected="names that differ",
        hint="rename one of the functions, or give name=",
    )


def _failure(file, error) -> str:
    """What went wrong in a file, from its own first line on."""
    if isinstance(error, SystemExit):
        what = "the file of experiments ends the program"
    else:
        what = "the file of experiments cannot be run"
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != file:
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace)
    text = "".join(lines).rstrip()
    return f"{what}: {file}\n{text}"
