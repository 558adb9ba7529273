"""Plants faults one by one, and asks the tests that should notice: `make mutants`.

The working tree is not touched: its files are copied to a scratch folder, and the faults
are planted there. First the named tests must pass without a fault. Then each fault is
caught if a test fails, or has survived if all pass; what cannot be told (no test was
found, the time was over) counts as neither, and is an error of the table.

pytest runs in a fork of this process, which has imported what the package needs and not
the package: half of the time of a short test is spent on these imports.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("NPROC", "4")  # before jax is imported

from tests.mutants.table import PACKAGE, ROOT, Fault, read

PASSED, FAILED = 10, 11  # exit codes of pytest plus ten: that of an exception is 1
WORDS = {PASSED: "survived", FAILED: "caught"}
PATIENCE = 600.0  # seconds a fault
LOG = "pytest.log"


def main() -> int:
    """Runs the faults that are asked for; 0 if all were caught."""
    asked = given()
    faults = chosen(asked)
    _import_ahead()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        scratch = Path(folder)
        _copy(scratch)
        print(f"{len(faults)} faults; first, their tests must pass without one")
        if not asked.trusting and not _all_pass(scratch, faults):
            print("the tests fail without a fault: mend them first")
            return 2
        counts = {"caught": [], "survived": [], "unknown": []}
        for number, fault in enumerate(faults, 1):
            code, seconds = _planted(scratch, fault)
            word = WORDS.get(code, "unknown")
            counts[word].append(fault)
            place = f"{number}/{len(faults)}"
            print(f"{place:>8} {word:<9}{seconds:5.0f} s  {_line(fault)}", flush=True)
            if word == "caught":
                print(f"{'':>24}by {_first_failure(scratch)}", flush=True)
    return _summary(counts)


def given(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--all", action="store_true", help="every fault of the table")
    parser.add_argument("--sample", type=int, default=20, help="how many, at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--only", help="faults whose file or meaning has this in it")
    parser.add_argument(
        "--trusting", action="store_true", help="the tests pass without a fault"
    )
    return parser.parse_args(arguments)


def chosen(asked: argparse.Namespace) -> list[Fault]:
    """The faults that are asked for."""
    faults = read()
    if asked.only:
        faults = [f for f in faults if asked.only in f.file or asked.only in f.means]
    elif not asked.all:
        size = min(asked.sample, len(faults))
        faults = random.Random(asked.seed).sample(faults, size)
    return faults


def _import_ahead() -> None:
    """What takes long to import, and has no fault in it."""
    import equinox  # noqa: F401
    import jax  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import optax  # noqa: F401
    import pandas  # noqa: F401
    import pytest  # noqa: F401
    import rich.console  # noqa: F401
    import scipy.stats  # noqa: F401
    import typer.testing  # noqa: F401


def _copy(scratch: Path) -> None:
    """The files of the working tree that git knows or would take up."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, scratch / name)
    programs = ROOT / ".jax_cache"  # compiled, by what they compute: shared
    programs.mkdir(exist_ok=True)
    (scratch / programs.name).symlink_to(programs.resolve())


def _all_pass(scratch: Path, faults: list[Fault]) -> bool:
    """Whether the tests pass without a fault, those that may be slow by themselves."""
    codes = []
    for slow in (False, True):
        some = (fault.tests for fault in faults if fault.slow is slow)
        tests = sorted({test for tests in some for test in tests})
        codes += [_tested(scratch, tests, slow)[0]] if tests else []
    return set(codes) == {PASSED}


def _planted(scratch: Path, fault: Fault) -> tuple[int | None, float]:
    path = scratch / PACKAGE / fault.file
    right = path.read_text(encoding="utf-8")
    try:
        path.write_text(fault.planted(right), encoding="utf-8")
        return _tested(scratch, fault.tests, fault.slow)
    finally:
        path.write_text(right, encoding="utf-8")


def _tested(scratch: Path, tests, slow: bool) -> tuple[int | None, float]:
    """Exit code, None if it took too long, and seconds."""
    start = time.perf_counter()
    arguments = ["-x", "-q", "--tb=line", "-p", "no:cacheprovider"]
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # jaxtyping's
    arguments += [] if slow else ["-m", "not slow"]
    arguments += [f"tests/{test}" for test in tests]
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=_pytest, args=(scratch, arguments))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jax warns of forks: it has no threads yet
        process.start()
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None, time.perf_counter() - start
    return process.exitcode, time.perf_counter() - start


def _pytest(scratch: Path, arguments: list[str]) -> None:
    import pytest

    os.chdir(scratch)
    sys.path[:] = [str(scratch), *(p for p in sys.path if Path(p or ".") != ROOT)]
    for name in [n for n in sys.modules if n.split(".")[0] in ("tests", PACKAGE)]:
        del sys.modules[name]
    sys.dont_write_bytecode = True  # a fault may leave size and time of a file alone
    log = scratch / LOG
    with log.open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        code = 10 + int(pytest.main(["--rootdir", str(scratch), *arguments]))
    if code not in WORDS:
        print(log.read_text(encoding="utf-8")[-3000:], flush=True)
    os._exit(code)


def _first_failure(scratch: Path) -> str:
    lines = (scratch / LOG).read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line.startswith(("FAILED", "ERROR"))]
    return words[0][1].removeprefix("tests/") if words else "an error"


def _line(fault: Fault) -> str:
    return f"{fault.file}: {fault.means}"


def _summary(counts: dict[str, list[Fault]]) -> int:
    caught, rest = len(counts["caught"]), counts["survived"] + counts["unknown"]
    print(f"\n{caught} of {caught + len(rest)} faults are caught")
    for word in ("survived", "unknown"):
        for fault in counts[word]:
            print(f"  {word}: {_line(fault)}")
            print(f"    {fault.before!r}\n    {fault.after!r}")
    return 1 if rest else 0


if __name__ == "__main__":
    sys.exit(main())
