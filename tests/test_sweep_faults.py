"""Interrupts, killed processes and full disks: for real, on a sweep that goes on after."""

import contextlib
import importlib.util
import itertools
import multiprocessing
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

import gmm_testbed as gt

CELLS = 24
SCRIPT = f"""
import os
import signal
import sys
import threading
import time
from pathlib import Path

import jax

import gmm_testbed as gt

FOLDER = Path(__file__).parent


def note(*words):
    with (FOLDER / "log").open("a") as file:  # one short line: written as a whole
        file.write(" ".join(map(str, words)) + "\\n")


@gt.experiment(grid={{"n": list(range({CELLS}))}}, version="1")
def slow(key, n):
    note("begun", n, os.getpid())
    time.sleep(0.15)
    value = jax.random.normal(key)
    note("ended", n, os.getpid())
    return {{"value": value}}


@gt.experiment(grid={{"n": [0, 1, 2]}}, version="1")
def deadly(key, n):
    if n == 1 and not (FOLDER / "harmless").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return {{"value": float(n)}}


@gt.experiment(grid={{"n": [0]}}, version="1")
def settled(key, n):
    draw = jax.random.normal(key)
    return {{
        "draw": draw,
        "words": float(jax.random.key_data(jax.random.key(0)).size),
        "bits": float(8 * draw.dtype.itemsize),
        "threads": float(os.environ["NPROC"]),
        "prepared": float((FOLDER / "prepared").exists()),
    }}


def main(workers):
    with gt.sweep.Store(FOLDER / "s.sqlite") as store:
        if not workers:
            gt.sweep.run(slow, store, show=False)
            return
        with gt.sweep.cluster(workers=workers) as executor:
            print(gt.sweep.run(slow, store, executor=executor), flush=True)


if __name__ == "__main__":
    # A process of a background job ignores Ctrl-C until it says otherwise.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(int(sys.argv[1]))
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "study.py"
    path.write_text(SCRIPT)
    return path


def start(script, *arguments):
    """A driver in a process of its own, in the precision of the tests."""
    x64 = "1" if jax.config.read("jax_enable_x64") else "0"
    root = str(Path(gt.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        env={**os.environ, "JAX_ENABLE_X64": x64, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines(script, what):
    log = script.parent / "log"
    written = log.read_text().splitlines() if log.exists() else []
    return [line.split()[1:] for line in written if line.startswith(what)]


def most_at_once(script):
    """Largest number of cells that were begun and not ended; only of those that ended."""
    log = [line.split() for line in (script.parent / "log").read_text().splitlines()]
    ended = {tuple(cell) for what, *cell in log if what == "ended"}
    signs = [
        1 if what == "begun" else -1 for what, *cell in log if tuple(cell) in ended
    ]
    return max(itertools.accumulate(signs))


def wait_for(condition, driver):
    limit = time.monotonic() + 120
    while not (found := condition()):
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < limit
        time.sleep(0.02)
    return found


def stored(script):
    """Numbers in the store, after a look at whether SQLite finds it whole."""
    file = sqlite3.connect(script.parent / "s.sqlite")
    assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    cells = file.execute("SELECT count(*) FROM cells").fetchone()
    found = dict(file.execute("SELECT cell, value FROM results WHERE status = 'done'"))
    file.close()
    assert cells == (len(found),)  # every cell has its value
    return found


@pytest.mark.slow
def test_interrupted_and_killed_drivers_lose_nothing(script):
    """Ctrl-C, then kill -9, then to the end: each finished cell was computed once."""
    losses = 0
    for sent, enough in (signal.SIGINT, 3), (signal.SIGKILL, 7):
        driver = start(script, 0)
        wait_for(lambda enough=enough: len(lines(script, "ended")) >= enough, driver)
        driver.send_signal(sent)
        assert driver.wait(30) != 0
        driver.communicate()
        ended = {f'{{"n": {n}}}' for n, _ in lines(script, "ended")}
        lost = ended - set(stored(script))
        assert len(lost) <= 1  # between the end of the function and the transaction
        losses += len(lost)
    slow = gt.sweep.load(script)["slow"]
    before = stored(script)
    tally = gt.sweep.run(slow, script.parent / "s.sqlite", show=False)
    assert tally == gt.sweep.Tally(kept=len(before), done=CELLS - len(before))
    after = stored(script)
    assert len(after) == CELLS
    assert before.items() <= after.items()
    times = Counter(n for n, _ in lines(script, "ended"))
    assert sum(times.values()) == CELLS + losses


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="needs the extra `cluster`"
)
def test_a_dask_cluster_survives_its_driver_and_its_workers(script, tmp_path):
    """Ctrl-C and kill -9 of the driver; a third run, and kill -9 of one of its workers."""
    for sent in signal.SIGINT, signal.SIGKILL:
        old = len(lines(script, "ended"))
        driver = start(script, 2)
        ended = wait_for(
            lambda old=old: len(now := lines(script, "ended")) >= old + 4 and now,
            driver,
        )
        driver.send_signal(sent)
        _, errors = driver.communicate(timeout=60)
        assert ("KeyboardInterrupt" in errors) == (sent == signal.SIGINT)
        before = stored(script)
        # Of this run: what the last one lost may not have had its turn yet.
        lost = {f'{{"n": {n}}}' for n, _ in ended[old:]} - set(before)
        assert len(lost) <= 2  # one on its way from each worker
        assert 2 <= len(before) < CELLS
    ended = lines(script, "ended")

    driver = start(script, 2)
    old = len(lines(script, "begun"))
    begun = wait_for(lambda: lines(script, "begun")[old:], driver)
    pids = {pid for _, pid in begun} - {pid for _, pid in ended}
    killed = pids.pop()
    os.kill(int(killed), signal.SIGKILL)
    output, errors = driver.communicate(timeout=90)
    assert driver.returncode == 0, errors
    assert output.strip() == f"{len(before)} kept, {CELLS - len(before)} done"
    after = stored(script)
    assert len(after) == CELLS

    # Two workers run cells at the same time (how much faster, `tests/benchmarks` has),
    # and give the numbers of this process.
    assert most_at_once(script) >= 2
    slow = gt.sweep.load(script)["slow"]
    for job in slow.jobs():
        assert after[f'{{"n": {job.cell["n"]}}}'] == float(jax.random.normal(job.key))


def test_a_pool_that_breaks_stops_the_run_and_a_second_goes_on(script):
    deadly = gt.sweep.load(script)["deadly"]
    context = multiprocessing.get_context("spawn")
    with gt.sweep.Store(script.parent / "s.sqlite") as store:
        with ProcessPoolExecutor(1, context) as pool:
            with pytest.raises(gt.InputError, match="the workers are gone"):
                gt.sweep.run(deadly, store, executor=pool, show=False)
        assert store.status(deadly)["done"] == 1
        (script.parent / "harmless").touch()
        assert gt.sweep.run(deadly, store, show=False) == gt.sweep.Tally(1, 2)


LATE = """
'''A cell that is late.'''
import jax
import jax.numpy as jnp

import gmm_testbed as gt


@gt.experiment(grid={"n": [0, 1]})
def sleepy(key, n):
    if n == 0:
        return {"n": 0.0}
    x = jnp.ones((300, 300))
    while True:  # XLA is at work whenever the process ends
        x = jax.block_until_ready(x @ x)


def claims(store):
    return {}
"""


@pytest.mark.slow
def test_a_late_cell_does_not_abort_the_command(tmp_path):
    """The exit code is that of the command, and what it printed is there."""
    (tmp_path / "sleepy.py").write_text(LATE)
    command = "from gmm_testbed.cli import main; main()"
    given = "run", "sleepy.py", "--timeout", "0.5", "--store", "s.sqlite"
    ended = subprocess.run(
        [sys.executable, "-c", command, *given],
        env={**os.environ, "PYTHONPATH": str(Path(gt.__file__).parents[1])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, "terminate" in ended.stderr) == (1, False), ended.stderr
    assert "sleepy: 1 done, 1 timed out" in ended.stdout
    assert "More: gmm-testbed status" in ended.stdout


def test_a_new_process_computes_as_this_one_does(script, monkeypatch):
    """Precision, kind of new keys and environment are the driver's; `prepare` adds."""
    study = gt.sweep.load(script)["settled"]
    monkeypatch.setenv("NPROC", "3")
    context, here = multiprocessing.get_context("spawn"), jax.default_prng_impl("rbg")
    with gt.sweep.Store(script.parent / "s.sqlite") as store:
        with here, ProcessPoolExecutor(1, context) as pool:
            given = {"executor": pool, "prepare": Prepared(script), "show": False}
            assert gt.sweep.run(study, store, **given) == gt.sweep.Tally(done=1)
        values = {row.metric: row.value for row in store.rows(study)}
    draw = float(jax.random.normal(study.jobs()[0].key))
    bits = 64.0 if jax.config.read("jax_enable_x64") else 32.0
    same = {"draw": draw, "words": 4.0, "bits": bits, "threads": 3.0}  # rbg has 4
    assert values == {**same, "prepared": 1.0}


class Prepared:
    """What a user does in each new process."""

    def __init__(self, script):
        self.script = script

    def __call__(self):
        (self.script.parent / "prepared").touch()


@pytest.fixture
def full_disk():
    """Makes every file end where a limit of the system is; as a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("with_arrays", [False, True])
def test_a_full_disk_stops_the_run_and_a_second_goes_on(
    tmp_path, full_disk, with_arrays
):
    """What was written stays; nothing is half there."""
    cells = 20 if with_arrays else 200
    noise = np.random.default_rng(0).normal(size=(cells, 5000))

    def study(key, n):
        arrays = {"noise": noise[: n + 1]} if with_arrays else {}
        return gt.sweep.Found({"value": 1.0 + n}, arrays)

    made = gt.Experiment(study, {"n": list(range(cells))})
    path = tmp_path / "s.sqlite"
    with gt.sweep.Store(path) as store:
        full_disk(300_000)  # of the log, or of one file of arrays
        with pytest.raises(gt.InputError, match="the store cannot be written"):
            gt.sweep.run(made, store, show=False)
        full_disk(resource.RLIM_INFINITY)
    with gt.sweep.Store(path) as store:
        assert store._file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        done = store.rows(made)
        assert 5 < len(done) < cells - 5
        assert (len(done) == 7) is with_arrays  # the eighth has 320 kB
        assert [row.value for row in done] == [1.0 + n for n in range(len(done))]
        for row in done if with_arrays else []:
            assert len(store.arrays(row)["noise"]) == row.value
        assert not list(tmp_path.rglob("*.part"))
        rest = cells - len(done)
        tally = gt.sweep.run(made, store, show=False)
        assert tally == gt.sweep.Tally(kept=len(done), done=rest)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 600 kB, and a function that gives it another size; of memory, as root."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        command = ["mount", *options, str(folder)]
        return subprocess.run(command, capture_output=True, text=True)

    tried = mount("-t", "tmpfs", "-o", "size=600k", "tmpfs")
    if tried.returncode:
        pytest.skip(f"may not mount a disk here: {tried.stderr.strip()}")
    yield folder, lambda size: mount("-o", f"remount,size={size}")
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="needs the command mount")
@pytest.mark.parametrize("with_arrays", [False, True])
def test_a_disk_that_is_full_stops_the_run_and_a_second_goes_on(
    small_disk, with_arrays
):
    """For real: no byte is left for the log, the index, or a file of arrays."""
    folder, resize = small_disk
    cells = 30 if with_arrays else 3000
    noise = np.random.default_rng(1).normal(size=(cells, 4000))

    def study(key, n):
        arrays = {"noise": noise[n]} if with_arrays else {}
        return gt.sweep.Found({"value": 1.0 + n}, arrays)

    made = gt.Experiment(study, {"n": list(range(cells))})
    path = folder / "s.sqlite"
    with gt.sweep.Store(path) as store:
        with pytest.raises(gt.InputError, match="the store cannot be written"):
            gt.sweep.run(made, store, show=False)
        assert shutil.disk_usage(folder).free < 50_000
        before = store.rows(made)
    assert 5 < len(before) < cells - 5
    assert [row.value for row in before] == [1.0 + n for n in range(len(before))]
    assert resize("40m").returncode == 0
    with gt.sweep.Store(path) as store:
        assert store._file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert store.rows(made) == before
        rest = cells - len(before)
        tally = gt.sweep.run(made, store, show=False)
        assert tally == gt.sweep.Tally(kept=len(before), done=rest)
        for n, row in enumerate(store.rows(made) if with_arrays else []):
            assert store.arrays(row)["noise"].tolist() == noise[n].tolist()
    assert not list(folder.rglob("*.part"))


def test_a_full_database_stops_the_run_and_a_second_goes_on(tmp_path):
    """SQLite has no room for a page, which it finds out before the disk does."""
    cells = 300
    made = gt.Experiment(lambda key, n: {"value": 1.0 + n}, {"n": list(range(cells))},
                         name="made", version="1")  # fmt: skip
    path = tmp_path / "s.sqlite"
    with gt.sweep.Store(path) as store:
        (pages,) = store._file.execute("PRAGMA page_count").fetchone()
        store._file.execute(f"PRAGMA max_page_count = {pages + 15}")
        with pytest.raises(gt.InputError, match="disk is full"):
            gt.sweep.run(made, store, show=False)
        assert store.status(made)["done"] > 20  # it can be read where it is full
    with gt.sweep.Store(path) as store:  # the limit is that of a connection
        assert store._file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        values = [row.value for row in store.rows(made)]
        assert 20 < len(values) < cells - 50
        assert values == [1.0 + n for n in range(len(values))]
        rest = cells - len(values)
        tally = gt.sweep.run(made, store, show=False)
        assert tally == gt.sweep.Tally(kept=len(values), done=rest)


KILLS = int(os.environ.get("GMM_TESTBED_KILLS", "5"))
TINY = """
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

import gmm_testbed as gt

FOLDER = Path(__file__).parent


@gt.experiment(grid={"n": list(range(int(os.environ.get("CELLS", "400"))))}, version="1")
def tiny(key, n):
    with (FOLDER / "log").open("a") as file:
        file.write(f"begun {n} {os.getpid()}\\n")
    time.sleep(float(os.environ["SECONDS"]))
    with (FOLDER / "log").open("a") as file:
        file.write(f"ended {n} {os.getpid()}\\n")
    return gt.sweep.Found({"n": float(n)}, {"x": np.full(20, n)})


def drives():
    with gt.sweep.Store(FOLDER / "s.sqlite") as store:
        gt.sweep.run(tiny, store, show=False)


def lines():
    log = FOLDER / "log"
    return log.read_text().count("\\n") if log.exists() else 0


if __name__ == "__main__":  # a driver after another, each killed after a while
    for seconds in map(float, sys.argv[1:]):
        before, driver = lines(), os.fork()
        if not driver:
            drives()
            os._exit(0)
        while lines() == before and not os.waitpid(driver, os.WNOHANG)[0]:
            time.sleep(0.01)
        time.sleep(seconds)
        os.kill(driver, signal.SIGKILL)
        os.waitpid(driver, 0)
        print(lines(), flush=True)
"""


def whole(script):
    """Number of cells in the store, all of them with their value and their arrays."""
    tiny = gt.sweep.load(script)["tiny"]
    with gt.sweep.Store(script.parent / "s.sqlite") as store:
        assert store._file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = store.rows(tiny, "float64")
        for row in rows:
            assert row.status == "done" and row.value == row.cell["n"]
            assert np.all(store.arrays(row)["x"] == row.cell["n"])
        return {str(row.cell["n"]) for row in rows}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    path = tmp_path / "tiny.py"
    path.write_text(TINY)
    monkeypatch.setenv("CELLS", str(40 * KILLS))
    monkeypatch.setenv("SECONDS", "0.02")
    return path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_drivers_that_are_killed_lose_nothing(tiny):
    """Kill -9 at any time: each cell that is said to be done is, and one a kill is lost."""
    waits = np.random.default_rng(0).uniform(0.0, 0.5, KILLS)
    driver = start(tiny, *waits)
    output, errors = driver.communicate(timeout=60 + 20 * KILLS)
    assert driver.returncode == 0 and len(output.split()) == KILLS, errors
    ended = Counter(n for n, _ in lines(tiny, "ended"))
    before = whole(tiny)
    lost = sum(ended.values()) - len(before)  # ended, and killed before it was kept
    assert 0 < len(before) <= len(ended) and 0 <= lost <= KILLS
    made = gt.sweep.load(tiny)["tiny"]
    tally = gt.sweep.run(made, tiny.parent / "s.sqlite", show=False)
    total = 40 * KILLS
    assert tally == gt.sweep.Tally(kept=len(before), done=total - len(before))
    assert len(whole(tiny)) == total
    assert len(lines(tiny, "ended")) == total + lost
    print(f"{KILLS} drivers killed: {len(before)} of {total} cells kept, {lost} lost")


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="needs the extra `cluster`"
)
def test_workers_that_are_killed_lose_nothing(tiny, monkeypatch):
    """Kill -9 of a worker in the midst of a cell: another one computes the cell."""
    monkeypatch.setenv("SECONDS", "0.3")
    made, killed, done = gt.sweep.load(tiny)["tiny"], set(), threading.Event()

    def kills():
        while len(killed) < KILLS and not done.wait(0.1):
            begun = {pid for _, pid in lines(tiny, "begun")[-2:]}
            # Dask gives up a cell that has brought down four: none of its first cells.
            times = Counter(pid for _, pid in lines(tiny, "ended"))
            for pid in {pid for pid in begun if times[pid] >= 3} - killed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
                    killed.add(pid)
                    break

    thread = threading.Thread(target=kills)
    with gt.sweep.cluster(workers=2) as executor:
        thread.start()
        tally = gt.sweep.run(
            made, tiny.parent / "s.sqlite", executor=executor, show=False
        )
        done.set()
        thread.join()
    assert tally == gt.sweep.Tally(done=40 * KILLS) and len(killed) == KILLS
    assert len(whole(tiny)) == 40 * KILLS
    print(f"{KILLS} workers killed: {40 * KILLS} cells done")
