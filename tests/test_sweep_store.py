"""What a store keeps and refuses: odd cells, damaged files, other drivers, interrupts."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import Executor, Future

import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.sweep import claims
from gmm_testbed.sweep.work import compute


@pytest.fixture(autouse=True)
def interrupts_are_heard():
    """As in a terminal: what a shell runs in the background ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def run(experiment, store, **options):
    return gt.sweep.run(experiment, store, show=False, **options)


def experiment(function, cells=3, **given):
    return gt.Experiment(
        function, {"n": list(range(cells))}, name="made", version="1", **given
    )


def with_arrays(key, n):
    return gt.sweep.Found({"n": float(n)}, {"x": np.full(100, n)})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "run.1"


@pytest.fixture
def store(path):
    with gt.sweep.Store(path) as opened:
        yield opened


# Odd cells.


class Odd(BaseException):
    """No Exception."""


ODD = {
    "surrogate in a message": "raises",
    "no Exception": "raises",
    "exit": "raises",
    "surrogate in how": "done",
    "tuple": "a name among the metrics is no text",
    "None": "a name among the metrics is no text",
    "surrogate": "a name among the metrics is no text",
    "name of an array": "a name among the arrays is no text",
    "complex": "not one number",
    "text": "not one number",
    "bfloat16": "the array 'x' cannot be written",
    "no arrays": "must give its arrays by name",
    "too large": "too large",
    "reserved": "done",
    "fine": "done",
}


def odd(key, n):
    if n == "surrogate in a message":
        raise ValueError("broken \ud800 half")
    if n == "no Exception":
        raise Odd
    if n == "exit":
        raise SystemExit(0)
    arrays = {
        "reserved": {"file": np.ones(2), "allow_pickle": np.ones(3), "a/../b": 1.0},
        "bfloat16": {"x": jnp.ones(2, jnp.bfloat16)},
        "name of an array": {("x", 1): np.ones(2)},
        "no arrays": [np.ones(2)],
    }
    metrics = {
        "tuple": {("w1", 1): 1.0},
        "None": {None: 1.0},
        "surrogate": {"\udfff": 1.0},
        "complex": {"w1": np.complex128(1 + 2j)},
        "text": {"w1": "0.5"},
        "surrogate in how": {"w1": gt.Estimate(1.0, 0.5, "by \ud800")},
        "too large": {"w1": 10**400},
    }
    return gt.sweep.Found(metrics.get(n, {"w1": 0.25}), arrays.get(n, {}))


def test_one_odd_cell_stops_no_other(store):
    made = gt.Experiment(odd, {"n": list(ODD)}, version="1")
    fine = sum(message == "done" for message in ODD.values())
    tally = run(made, store)
    assert tally == gt.sweep.Tally(done=fine, failed=len(ODD) - fine)
    rows = {row.cell["n"]: row for row in store.rows(made)}
    for name, message in ODD.items():
        assert rows[name].status == ("done" if message == "done" else "failed")
        if message not in ("done", "raises"):
            assert message in rows[name].reason, rows[name].reason
    assert r"ValueError: broken \ud800 half" in rows["surrogate in a message"].reason
    assert (
        "SystemExit: 0" in rows["exit"].reason and "Odd" in rows["no Exception"].reason
    )
    assert rows["surrogate in how"].how == r"by \ud800"
    arrays = store.arrays(rows["reserved"])
    assert {name: array.size for name, array in arrays.items()} == {
        "file": 2, "allow_pickle": 3, "a/../b": 1
    }  # fmt: skip
    assert run(made, store) == gt.sweep.Tally(kept=fine, failed=len(ODD) - fine)


def test_what_the_store_itself_refuses_is_a_failure_of_the_cell(store, monkeypatch):
    """Whatever else is odd: here a value that SQLite cannot bind."""
    put = store.put

    def strange(*given):
        *rest, outcome = given
        if outcome.metrics and outcome.metrics[0].value == 1.0:
            metric = outcome.metrics[0]._replace(how=object())
            outcome = outcome._replace(metrics=(metric,))
        put(*rest, outcome)

    monkeypatch.setattr(store, "put", strange)
    made = experiment(lambda key, n: {"n": float(n)})
    assert run(made, store) == gt.sweep.Tally(done=2, failed=1)
    assert "it cannot be kept" in store.rows(made)[1].reason


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1])
def test_a_seed_that_no_store_can_hold_is_refused(seed):
    with pytest.raises(gt.InputError, match="a seed is too large"):
        experiment(odd, seeds=[0, seed])


def test_the_largest_seeds_are_kept(store):
    seeds = [2**63 - 1, -(2**63)]
    made = experiment(lambda key, n: {"n": 1.0}, cells=1, seeds=seeds)
    assert run(made, store) == gt.sweep.Tally(done=2)
    assert [row.seed for row in store.rows(made)] == seeds
    assert store.frame(made)["seed"].tolist() == seeds


@pytest.mark.parametrize(
    "given",
    [
        {"grid": {1: [2]}},
        {"grid": {"n": ["\ud800"]}},
        {"name": "\ud800"},
        {"version": "a\0b"},
    ],
)
def test_names_that_cannot_be_written_are_refused(given, without_shape_checks):
    given = {"function": odd, "grid": {"n": [1]}, "version": "1"} | given
    with pytest.raises(gt.InputError, match="is no text"):
        gt.Experiment(**given)


# Arrays.


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def empty(file):
    file.write_bytes(b"")


def flip(file):
    """One byte of the numbers, with size and time as they were."""
    before, content = file.stat(), bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def other(file):
    """Arrays that are whole, and are those of another cell."""
    (one,) = [f for f in file.parent.iterdir() if f != file][:1]
    shutil.copyfile(one, file)


def link(file):
    """To a device that never ends: it is no file."""
    file.unlink()
    file.symlink_to("/dev/zero")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "damage", [cut, empty, flip, other, link, os.remove], ids=lambda f: f.__name__
)
def test_damaged_arrays_are_seen_and_computed_again(path, damage, force):
    made = experiment(with_arrays)
    with gt.sweep.Store(path) as store:
        run(made, store)
        row = store.rows(made)[1]
        file = store.folder / f"{row.digest}.npz"
        damage(file)
        with pytest.raises(gt.InputError, match="cannot be read"):
            store.arrays(row)
        assert store.status(made)["missing"] == 1 and store.status(made)["done"] == 2
    with gt.sweep.Store(path, readonly=True) as store:
        assert store.status(made)["missing"] == 1
    with gt.sweep.Store(path) as store:
        tally = run(made, store, force=force)
        assert tally == gt.sweep.Tally(kept=0 if force else 2, done=3 if force else 1)
        assert [store.arrays(r)["x"][-1] for r in store.rows(made)] == [0, 1, 2]
        assert run(made, store) == gt.sweep.Tally(kept=3)


def test_whole_files_are_read_once_and_not_at_each_run(store, monkeypatch):
    made = experiment(with_arrays)
    run(made, store)
    monkeypatch.setattr(np.lib.format, "read_array", None)
    assert run(made, store) == gt.sweep.Tally(kept=3)


@pytest.mark.parametrize("digest", ["../secret", "/etc/passwd", "", "A" * 32, "a" * 33])
def test_a_digest_is_never_a_path(path, digest):
    made = experiment(with_arrays)
    with gt.sweep.Store(path) as store:
        run(made, store)
        secret = path.parent / "secret.npz"
        np.savez(secret, x=np.ones(2))
        whole = secret.read_bytes()
        identity = made.jobs()[0].identity
        change = "UPDATE arrays SET digest = ? WHERE identity = ?"
        store._file.execute(change, (digest, identity))
        with pytest.raises(gt.InputError, match="name that they cannot have"):
            store.arrays(store.rows(made)[0])
        assert run(made, store) == gt.sweep.Tally(kept=2, done=1)
        store._file.execute(change, (digest, identity))
        assert run(made, store, force=True) == gt.sweep.Tally(done=3)
        assert secret.read_bytes() == whole


def test_each_store_has_its_own_folder(tmp_path):
    made = experiment(with_arrays)
    level = [0]
    stores = [gt.sweep.Store(tmp_path / name) for name in ("run.1", "run.2")]
    shifted = experiment(
        lambda key, n: gt.sweep.Found({}, {"x": np.full(9, n + level[0])})
    )
    for store in stores:
        run(made, store), run(shifted, store)
    assert stores[0].folder != stores[1].folder
    level[0] = 7
    run(shifted, stores[0], force=True)
    assert run(shifted, stores[1]) == gt.sweep.Tally(kept=3)
    assert [stores[1].arrays(r)["x"][0] for r in stores[1].rows(shifted)] == [0, 1, 2]
    for store in stores:
        store.close()


def test_a_store_of_layout_2_opens_with_its_arrays(tmp_path):
    """As the version before wrote it: no claims, and a folder that two stores share."""
    made, path = experiment(with_arrays), tmp_path / "old.sqlite"
    with gt.sweep.Store(path) as store:
        run(made, store)
        folder = store.folder
    folder.rename(tmp_path / "old.arrays")
    file = sqlite3.connect(path)
    file.executescript("DROP TABLE claims; DROP TABLE files; PRAGMA user_version = 2")
    file.close()
    for readonly in True, False:
        with gt.sweep.Store(path, readonly=readonly) as store:
            assert store.status(made)["done"] == 3
            assert [store.arrays(r)["x"][0] for r in store.rows(made)] == [0, 1, 2]
    with gt.sweep.Store(path) as store:
        assert run(made, store) == gt.sweep.Tally(kept=3)
        assert run(made, store, force=True) == gt.sweep.Tally(done=3)
        assert len(list(folder.iterdir())) == 3
    assert len(list((tmp_path / "old.arrays").iterdir())) == 3  # another may have them


# Places.


def test_a_store_stays_where_it_was_opened(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)

    def moves(key, n):
        os.chdir(tmp_path / "elsewhere")
        return with_arrays(key, n)

    with gt.sweep.Store("s.sqlite") as store:
        assert run(experiment(moves), store) == gt.sweep.Tally(done=3)
        assert store.path == tmp_path / "s.sqlite"
        assert (
            store.folder.parent == tmp_path and len(list(store.folder.iterdir())) == 3
        )
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("replaced", [False, True])
def test_a_store_that_is_removed_during_a_run_stops_it(path, replaced):
    def removes(key, n):
        if n == 1:
            shutil.rmtree(path.parent)
            if replaced:
                gt.sweep.Store(path).close()
        return {"n": float(n)}

    with gt.sweep.Store(path) as store:
        with pytest.raises(gt.InputError, match="the store is gone"):
            run(experiment(removes), store)
    last = experiment(removes, cells=2)
    with gt.sweep.Store(path.parent / "other") as store:
        with pytest.raises(gt.InputError, match="the store is gone"):
            run(last, store)


@pytest.mark.parametrize("name", ["a?mode=memory&x=#1%41[b]", "ü \u00a0.sqlite"])
def test_any_name_of_a_file_will_do(tmp_path, name):
    made = experiment(with_arrays)
    assert run(made, tmp_path / name) == gt.sweep.Tally(done=3)
    assert {f.name for f in tmp_path.iterdir()} == {name, f"{name}.arrays"}
    with gt.sweep.Store(tmp_path / name, readonly=True) as store:
        assert len(store.rows(made)) == 3


@pytest.mark.parametrize("place", ["/", "a\0b", ""])
def test_what_is_no_place_for_a_store_is_refused(place):
    with pytest.raises(gt.InputError, match="no place|cannot be opened"):
        gt.sweep.Store(place)


def test_looking_changes_nothing(path):
    made = experiment(with_arrays)
    run(made, path)
    before = {f.name: f.read_bytes() for f in path.parent.iterdir() if f.is_file()}
    with gt.sweep.Store(path, readonly=True) as store:
        assert store.status(made)["done"] == 3 and len(store.frame(made)) == 3
        with pytest.raises(gt.InputError, match="cannot be written"):
            run(made, store, force=True)
    assert {
        f.name: f.read_bytes() for f in path.parent.iterdir() if f.is_file()
    } == before
    with pytest.raises(gt.InputError, match="cannot be opened"):
        gt.sweep.Store(path.with_name("none"), readonly=True)
    assert not path.with_name("none").exists()


@pytest.mark.skipif(shutil.which("mount") is None, reason="needs the command mount")
@pytest.mark.parametrize("killed", [False, True])
def test_a_store_on_a_disk_that_cannot_be_written_is_looked_at(tmp_path, killed):
    """Also one whose driver was killed, so that the log has what the file has not."""
    made, disk = experiment(with_arrays), tmp_path / "disk"
    disk.mkdir()
    run(made, tmp_path / "s.sqlite")
    with gt.sweep.Store(tmp_path / "s.sqlite") as store:
        store._file.execute("UPDATE cells SET reason = 'from the log'")
        mount = ["mount", "-t", "tmpfs", "tmpfs", str(disk)]
        if (tried := subprocess.run(mount, capture_output=True)).returncode:
            pytest.skip(f"may not mount a disk here: {tried.stderr}")
        try:
            if not killed:
                store.close()
            for name in "s.sqlite", "s.sqlite-wal":
                if (tmp_path / name).exists():
                    shutil.copyfile(tmp_path / name, disk / name)
            shutil.copytree(tmp_path / "s.sqlite.arrays", disk / "s.sqlite.arrays")
            assert (disk / "s.sqlite-wal").exists() is killed
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            with gt.sweep.Store(disk / "s.sqlite", readonly=True) as found:
                assert [row.value for row in found.rows(made)] == [0.0, 1.0, 2.0]
                assert {row.reason for row in found.rows(made)} == {"from the log"}
                assert found.status(made)["done"] == 3
            with pytest.raises(gt.InputError, match="readonly=True"):
                gt.sweep.Store(disk / "s.sqlite")
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


# Several drivers.


@pytest.mark.parametrize("force", [False, True])
def test_two_drivers_share_the_cells(path, force):
    calls, both = [], threading.Barrier(2, timeout=60.0)

    def slow(key, n):
        calls.append(n)
        if len(calls) <= 2:
            both.wait()  # both have begun: forced cells are those that were there before
        time.sleep(0.02)
        return {"n": float(n)}

    made, tallies = experiment(slow, cells=20), []
    if force:
        run(experiment(lambda key, n: {"n": 0.5}, cells=20), path)

    def drive():
        with gt.sweep.Store(path) as store:
            tallies.append(run(made, store, force=force))

    threads = [threading.Thread(target=drive) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(calls) == list(range(20))
    assert [tally.kept + tally.done for tally in tallies] == [20, 20]
    assert min(tally.done for tally in tallies) > 0
    with gt.sweep.Store(path) as store:
        assert [row.value for row in store.rows(made)] == list(range(20))


def held(store, made, owner, seconds, cell=1):
    row = made.jobs()[cell].identity, owner, time.time() + seconds
    store._file.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", row)


def test_claims_of_a_process_that_is_no_more_lapse_at_once(store):
    made = experiment(with_arrays)
    ended = subprocess.Popen(["true"])
    ended.wait()
    for cell, owner in enumerate(
        [f"{claims._host()} {ended.pid} 1 ab", "another 1 1 b"]
    ):
        held(store, made, owner, 50.0 if cell == 0 else -1.0, cell)
    begun = time.monotonic()
    assert run(made, store) == gt.sweep.Tally(done=3)
    assert time.monotonic() - begun < 5.0
    assert not store._file.execute("SELECT * FROM claims").fetchall()


def test_claims_of_another_machine_are_waited_for_until_they_lapse(store):
    made = experiment(with_arrays)
    held(store, made, "another 1 1 ab", 1.0)
    begun = time.monotonic()
    assert run(made, store) == gt.sweep.Tally(done=3)
    assert time.monotonic() - begun > 0.9


def test_a_claim_is_prolonged_while_its_run_lives(store):
    made = experiment(with_arrays)
    (first, *_) = [job.identity for job in made.jobs()]
    with claims.claiming(store.path, lease=0.2) as owner:
        assert claims.claim(store._file, owner, [first], lease=0.2) == {first}
        time.sleep(0.6)
        assert claims.claim(store._file, "another 1 1 b", [first], lease=0.2) == set()
    time.sleep(0.3)
    assert claims.claim(store._file, "another 1 1 b", [first], lease=0.2) == {first}


# Interrupts.


class Stops(Executor):
    """Two cells end, and Ctrl-C comes with the third."""

    def submit(self, function, *given):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 3:
            raise KeyboardInterrupt
        found = Future()
        found.set_result(function(*given))
        return found


def test_cells_that_have_ended_are_kept_at_an_interrupt(store):
    made = experiment(with_arrays)
    with pytest.raises(KeyboardInterrupt):
        run(made, store, executor=Stops())
    assert store.status(made)["done"] == 2
    assert not store._file.execute("SELECT * FROM claims").fetchall()


def test_an_interrupt_while_a_cell_is_kept_waits_for_it(store, monkeypatch):
    put = store.put

    def interrupted(*given):
        os.kill(os.getpid(), signal.SIGINT)
        put(*given)

    monkeypatch.setattr(store, "put", interrupted)
    made = experiment(with_arrays)
    with pytest.raises(KeyboardInterrupt):
        run(made, store)
    assert store.status(made)["done"] == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_a_cell_swallows_is_not_lost(store):
    def swallows(key, n):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1.0)
        except BaseException:
            return {"n": 1.0}

    made = experiment(swallows)
    with pytest.raises(KeyboardInterrupt):
        run(made, store)
    assert store.status(made)["done"] == 1


def test_an_interrupt_inside_a_cell_ends_it_at_once(store):
    def waits(key, n):
        if n == 1:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            time.sleep(30.0)
        return {"n": 1.0}

    made, begun = experiment(waits), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(made, store)
    assert time.monotonic() - begun < 5.0 and store.status(made)["done"] == 1


@pytest.mark.parametrize(("limit", "ended"), [(0.2, "done"), (0.05, "timed_out")])
def test_the_time_of_seeds_under_vmap_is_that_of_all(store, limit, ended):
    """Four seeds that take .4 s together: .1 s each."""

    def sleeps(key, n):
        time.sleep(0.4)  # once, while it is traced
        return {"n": 1.0}

    made = experiment(sleeps, cells=1, seeds=4, vmapped=True)
    compute(lambda key, n: {"n": 1.0}, made.jobs(), True, settings(made))  # warms up
    assert run(made, store, timeout=limit) == gt.sweep.Tally(**{ended: 4})


def settings(made):
    from gmm_testbed.sweep.declare import precision_in_use
    from gmm_testbed.sweep.work import Settings

    return Settings.here(made, precision_in_use(), None, None)


def test_a_store_says_what_it_holds(store):
    """The names of its tables, which other programs may read."""
    names = store._file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    assert json.dumps(sorted(name for (name,) in names)) == json.dumps(
        ["arrays", "cells", "claims", "files", "metrics"]
    )
