"""One cell, or the seeds of one, computed in whatever process this is.

A worker gets a reference to the experiment and not the function: it loads the module, or
the file of a script, itself. Only where there is neither, as in a notebook, does the
function travel.
"""

import functools
import importlib
import json
import operator
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._checks import UnsupportedError, require
from .declare import Experiment, Job, precision_in_use
from .monitor import compilations, compile_seconds
from .outcomes import Outcome, Status, read
from .provenance import provenance
from .scripts import module, refresh
from .sources import Source, digest, here

# Settings of JAX that change keys or numbers; a new process has JAX's own.
SETTINGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
)


class Reference(NamedTuple):
    """Where a function is to be found.

    Attributes:
        module: on the driver.
        file: of a script; "" for a module that can be imported.
        name: in it: of the function, or of the experiment around it.
    """

    module: str
    file: str
    name: str


class Settings(NamedTuple):
    """What a worker must have, and the driver has.

    Attributes:
        precision: that was asked for.
        environment: variables that must stand before JAX starts.
        jax: values of `SETTINGS`.
        driver: host and process where these hold already.
        prepare: called once in each process before anything is computed.
        timeout: seconds a cell may take, or None.
        package: hash of the Python files of this package.
        code: local files that the code of the experiment is in.
        version: of that code.
    """

    precision: str
    environment: Mapping[str, str]
    jax: Mapping[str, Any]
    driver: str
    prepare: Callable[[], Any] | None
    timeout: float | None
    package: str
    code: tuple[Source, ...]
    version: str

    @classmethod
    def here(cls, experiment, precision, prepare, timeout) -> "Settings":
        """With those of this process, for an experiment that is declared in it."""
        known = {k: os.environ[k] for k in ("NPROC", "XLA_FLAGS") if k in os.environ}
        values = {name: getattr(jax.config, name) for name in SETTINGS}
        given = precision, known, values, _process(), prepare, timeout
        code = provenance().sources, experiment.sources, experiment.version
        return cls(*given, *code)


def reference(experiment: Experiment) -> Reference | Callable[..., Any]:
    """Where a worker finds the function; the function itself if it is nowhere."""
    function = experiment.function
    home, name = function.__module__, function.__qualname__
    inside = vars(sys.modules[home]) if home in sys.modules else {}
    if _function(inside.get(name)) is not function:
        return function
    # A module of a package is installed; any other is a script, known by its file.
    package, _, rest = home.partition(".")
    if rest and getattr(sys.modules.get(package), "__file__", None):
        return Reference(home, "", name)
    file = inside.get("__file__")
    return Reference(home, str(Path(file).resolve()), name) if file else function


def compute(
    where: Reference | Callable[..., Any],
    jobs: Sequence[Job],
    vmapped: bool,
    settings: Settings,
) -> list[Outcome]:
    """How each of the jobs ended; they are seeds of one cell.

    Raises:
        InputError: if this process cannot compute any cell as asked.
    """
    _prepare(settings)
    if _process() != settings.driver:
        _require_same_code(settings, isinstance(where, Reference))
    function = where
    if isinstance(where, Reference):
        found = find(where)
        _require_same_version(found, settings)
        function = _function(found)
    require(
        precision_in_use() == settings.precision,
        "a worker has another precision than the driver",
        got=precision_in_use(),
        expected=settings.precision,
        hint="set jax_enable_x64 for the whole process, and nowhere else: not in"
        " `prepare`, at the top of the experiment's file, or for one thread",
    )
    compilations()  # are listened to from here on
    provenance()  # of the files as they are now, and not after an edit during the cell
    groups = [jobs] if vmapped else [[job] for job in jobs]
    return [
        outcome
        for group in groups
        for outcome in _within(settings.timeout, function, group, vmapped)
    ]


def _require_same_code(settings, can_load) -> None:
    """Refuses files that are not those of the driver; forgets what was loaded of others.

    A worker may outlive a driver and the files it has loaded: what it has in memory is
    then not what is in the files.
    """
    package = provenance().sources
    require(
        package == settings.package,
        "a worker has other code of gmm_testbed than the driver",
        got=f"sources {package}",
        expected=f"sources {settings.package}",
        hint="start the workers again, with the package as it is now",
    )
    code = [here(source) for source in settings.code]
    for source in code:
        file = Path(source.file)
        require(
            file.is_file() and digest(file) == source.digest,
            "a file of the experiment is not what it was when the run began",
            got=f"{file}, which was edited meanwhile, or is not here",
            expected="the file that the driver has read",
            hint="run again: what was computed of the old code is kept as that",
        )
    require(
        not refresh(code) or can_load,
        "a worker has old code of the experiment",
        got="a local file that has changed since the worker imported it",
        expected="the code of the driver",
        hint="start the workers again",
    )


def _require_same_version(found, settings) -> None:
    version = found.version if isinstance(found, Experiment) else settings.version
    require(
        version == settings.version,
        "a worker has another version of the experiment than the driver",
        got=f"version {version}",
        expected=f"version {settings.version}",
        hint="give both the same Python, packages and files, and start them again",
    )


def find(where: Reference) -> Experiment | Callable[..., Any]:
    """What a reference names: a function, or the experiment around it.

    Raises:
        InputError: if the file is not here.
    """
    if not where.file:
        inside = importlib.import_module(where.module)
    elif _is_file(sys.modules.get(where.module), where.file):  # a thread, or spawned
        inside = sys.modules[where.module]
    else:
        inside = module(where.file)
    return vars(inside)[where.name]


def _is_file(found, file):
    return str(Path(getattr(found, "__file__", None) or "").resolve()) == file


def _function(found):
    return found.function if isinstance(found, Experiment) else found


def _ended(function, jobs, keys, vmapped) -> list[Outcome]:
    cell = jobs[0].cell
    compiled = compile_seconds()
    begun = time.perf_counter()
    try:
        if vmapped:
            results = _several(function, keys, cell)
        else:
            results = [function(*keys, **cell)]
        found = [(Status.DONE, "", *read(result)) for result in results]
    except UnsupportedError as error:
        found = [(Status.SKIPPED, str(error), (), {})] * len(jobs)
    except KeyboardInterrupt:
        raise
    except BaseException:  # also SystemExit: it is the cell's end, and no other's
        with _parsing:
            reason = traceback.format_exc()
        found = [(Status.FAILED, reason, (), {})] * len(jobs)
    seconds = time.perf_counter() - begun
    took = seconds / len(jobs), (compile_seconds() - compiled) / len(jobs)
    return [Outcome(*ended, *took, provenance()) for ended in found]


def _several(function, keys, cell):
    fractions = {label: x for label, x in cell.items() if isinstance(x, float)}
    rest = {label: x for label, x in cell.items() if label not in fractions}
    # As text, since 1 and True are one key of a cache.
    over_seeds = _program(function, json.dumps(rest))
    found = jax.device_get(over_seeds(jnp.stack(keys), fractions))
    return [jax.tree.map(operator.itemgetter(n), found) for n in range(len(keys))]


@functools.lru_cache(maxsize=64)  # a program takes memory that XLA does not give back
def _program(function, rest: str):
    """A function over keys, compiled once for all cells that differ in fractions."""
    fixed = json.loads(rest)
    return jax.jit(
        jax.vmap(
            lambda key, fractions: function(key, **fixed, **fractions),
            in_axes=(0, None),
        )
    )


def _within(timeout, function, jobs, vmapped) -> list[Outcome]:
    """The outcomes, or `TIMED_OUT` once the limit of all of them has passed.

    XLA cannot be interrupted: what is late is left alone in its thread (`left_behind`).
    """
    keys = [job.key for job in jobs]  # outside the clock, as this compiles once
    given = function, jobs, keys, vmapped
    if timeout is None:
        return _ended(*given)
    found = []
    thread = threading.Thread(target=lambda: found.append(_ended(*given)), daemon=True)
    begun = time.perf_counter()
    thread.start()
    thread.join(min(timeout * len(jobs), threading.TIMEOUT_MAX))
    if found:
        return found[0]
    _late.append(thread)
    took = (time.perf_counter() - begun) / len(jobs)
    reason = f"not ended after {took:.3g} s"
    late = Outcome(Status.TIMED_OUT, reason, (), {}, took, None, provenance())
    return [late] * len(jobs)


_late: list[threading.Thread] = []


def left_behind() -> int:
    """Number of late cells that this process is still computing.

    If there are any, a process that ends as usual is aborted by XLA, whatever its exit
    code was to be: leave it with `os._exit`, once everything is written.
    """
    return sum(thread.is_alive() for thread in _late)


_parsing = threading.Lock()  # `traceback` parses; CPython 3.11 cannot in two threads
_prepared: list[int] = []  # the processes that are prepared: a fork is another one


def _prepare(settings: Settings) -> None:
    if _process() != settings.driver:  # for each run: a worker may outlive one
        os.environ.update(settings.environment)
        for name, value in settings.jax.items():
            if getattr(jax.config, name) != value:
                jax.config.update(name, value)
    if os.getpid() in _prepared:
        return
    if settings.prepare is not None:
        settings.prepare()
    _prepared.append(os.getpid())


def _process() -> str:
    return f"{platform.node()} {os.getpid()}"
