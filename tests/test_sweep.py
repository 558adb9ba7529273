"""Declared experiments, what a store keeps, and what a second run computes."""

import csv
import hashlib
import importlib.util
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import gmm_testbed as gt
from gmm_testbed.sweep import outcomes
from gmm_testbed.sweep.declare import precision_in_use

CALLS = []


def record(*call):
    CALLS.append(call)


@gt.experiment(
    grid={"method": ["near", "far"], "size": [1, 2]}, seeds=3, paired="method"
)
def noisy(key, method, size):
    record(method, size)
    if (method, size) == ("far", 2):
        raise gt.UnsupportedError("far is for size 1")
    shift = {"near": 0.25, "far": 1.5}[method]
    noise = jax.random.normal(key)
    estimate = gt.Estimate(shift + noise, 0.125, "100 samples")
    return {"error": gt.sweep.Measured(estimate, 0.0625), "size": float(size)}


@pytest.fixture
def store(tmp_path):
    CALLS.clear()
    with gt.sweep.Store(tmp_path / "results" / "all.sqlite") as opened:
        yield opened


def run(experiment, store, **options):
    return gt.sweep.run(experiment, store, show=False, **options)


# Identity, key and version.


def test_same_seed_is_same_key_for_paired_labels_only():
    bits = {
        (job.cell["method"], job.cell["size"], job.seed): tuple(
            jax.random.key_data(job.key).tolist()
        )
        for job in noisy.jobs()
    }
    for (_, size, seed), found in bits.items():
        assert found == bits["near", size, seed]
    assert len(set(bits.values())) == 2 * 3  # sizes and seeds
    words = {job.words for job in noisy.jobs()}
    renamed = gt.Experiment(noisy.function, noisy.grid, 3, "method", name="other")
    assert not words & {job.words for job in renamed.jobs()}


def test_key_is_folded_from_the_words():
    job = noisy.jobs()[0]
    expected = jax.random.key(np.uint32(job.words[0]))
    for word in job.words[1:]:
        expected = jax.random.fold_in(expected, np.uint32(word))
    assert jnp.all(jax.random.key_data(job.key) == jax.random.key_data(expected))


def test_an_identity_is_the_same_in_every_process_and_differs_by_every_part():
    def identities(precision="float64", **changed):
        given = {"grid": {"n": [1, 2.0, "1", True, None]}, "name": "a", "version": "1"}
        made = gt.Experiment(noisy.function, **{**given, **changed})
        return {job.identity for job in made.jobs(precision)}

    first = identities()
    assert len(first) == 5
    words = hashlib.blake2b(b'["a",{"n":2.0},0]', digest_size=16).digest()
    words = json.dumps(np.frombuffer(words, np.uint32).tolist(), separators=(",", ":"))
    text = f'["a","1",{words},false,{{"n":2.0}},0,"float64"]'.encode()
    assert hashlib.blake2b(text, digest_size=16).hexdigest() in first
    assert not first & identities("float32")
    assert not first & identities(name="b")
    assert not first & identities(version="2")
    assert not first & identities(paired="n")
    assert not first & identities(vmapped=True)
    assert not first & identities(seeds=[1])
    assert first < identities(seeds=2)
    assert first < identities(grid={"n": [1, 2.0, "1", True, None, 3]})


FILE = '''
from math import e as base, tau
import gmm_testbed as gt
SCALE = 2.0
if True:
    SCALE = SCALE + 1.0
SHIFTS = {"a": 0.5}
SHIFTS.update(b=1.5)
SHIFTS["c"] = 2.5
TITLES = {"a": "A"}
UNUSED = 1
def change():
    SHIFTS["d"] = 3.5
change()
def helper(x):
    """A docstring."""
    return SCALE * base**x + SHIFTS["a"]
@gt.experiment(grid={"n": [1, 2]})
def study(key, n):
    shown = n  # no use of the function of this name
    return {"value": helper(shown)}
def claims(store):
    return {"a": SCALE + shown(SHIFTS["a"]) + tau}
def figures(store):
    return {}
def shown(x):
    return round(x, 3)
if __name__ == "__main__":
    SHIFTS["z"] = 0
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("[1, 2]", "[1, 2, 3]", True),
        ("A docstring", "Another", True),
        ("SCALE * b", "SCALE  *  b", True),
        ("import gmm_testbed as gt", "# A comment.\nimport gmm_testbed as gt", True),
        ("UNUSED = 1", "UNUSED = 2", True),
        ("SCALE = 2.0", "SCALE = 3.0", False),
        ("SCALE * b", "SCALE + b", False),
        ("helper(shown)}", "helper(shown + 1)}", False),
        ("e as base", "pi as base", False),
        ("SCALE + 1.0", "SCALE + 2.0", False),
        ("b=1.5", "b=2.5", False),
        ('["c"] = 2.5', '["c"] = 4.5', False),
        ('["d"] = 3.5', '["d"] = 4.5', False),
        (", tau\n", ", tau, inf\n", True),
        ("import gmm_testbed as gt\n", "import os, gmm_testbed as gt\n", True),
        ('"A"}', '"B"}', True),
        ("+ tau}", "- tau}", True),
        ("return {}\n", "return {'a': shown(SCALE)}\n", True),
        ("def figures", "def tables", True),
        ("round(x, 3)", "round(x, 4)", True),  # of claims alone
        ('["z"] = 0', '["z"] = 1', True),
        ("@gt.experiment", "import functools\n@gt.experiment", True),
        ("]})\n", "]})\n@(lambda function: function)\n", False),
    ],
)
def test_version_follows_the_code_and_what_it_uses(tmp_path, old, new, same):
    (tmp_path / "before.py").write_text(FILE)
    (tmp_path / "after.py").write_text(FILE.replace(old, new))
    before, after = (
        gt.sweep.load(tmp_path / f"{name}.py")["study"] for name in ("before", "after")
    )
    assert (before.version == after.version) is same


def test_version_has_the_values_of_the_function_around():
    def version(scale, other=1):
        @gt.experiment(grid={"n": [1]})
        def study(key, n, power=other):
            return {"value": scale * n**power}

        return study.version

    assert version(1.0) == version(1.0) != version(2.0)
    assert version(1) != version(True) != version(1, 2)
    both = {"a": [0.5, (None, "x")], "b": {3, 4}}
    assert (
        version(both) == version({**both, "b": {4, 3}}) != version({**both, "b": {3}})
    )
    assert version(np.arange(3.0)) == version(np.arange(3.0))
    assert version(np.arange(3.0)) != version(np.arange(3)) != version(jnp.ones(()))
    for value in (len, object(), [np.array([object()])]):
        with pytest.raises(gt.InputError, match="'scale' of the function around it"):
            version(value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"grid": {"n": [jnp.ones(())]}}, "has no identity"),
        ({"grid": {"n": [math.nan]}}, "not a number"),
        ({"grid": {"n": [1, 1]}}, "told apart"),
        ({"grid": {"n": []}}, "told apart"),
        ({"paired": "m"}, "not in the grid"),
        ({"seeds": 0}, "seeds are none"),
        ({"seeds": -1}, "seeds are none"),
        ({"seeds": [0, 1, 0]}, "seeds are none, or .* told apart"),
        ({"seeds": [0, 0.5]}, "or not whole numbers"),
        ({"function": lambda key, n: {}, "version": "", "name": "f"}, None),
        ({"function": len, "version": ""}, "cannot be told"),
    ],
)
def test_a_wrong_declaration_is_refused(without_shape_checks, changed, message):
    given = {"function": noisy.function, "grid": {"n": [1]}, "version": "1"}
    given |= changed
    if message is None:  # a lambda has no definition of its own
        message = "cannot be told"
    with pytest.raises(gt.InputError, match=message):
        gt.Experiment(**given)


# Runs.


def test_a_run_keeps_values_errors_floors_and_provenance(store):
    tally = run(noisy, store)
    assert tally == gt.sweep.Tally(done=9, skipped=3)
    rows = store.rows(noisy)
    assert len(rows) == 9 * 2 + 3
    by = {(*row.cell.values(), row.seed, row.metric): row for row in rows}
    for job in noisy.jobs():
        method, size = job.cell.values()
        if (method, size) == ("far", 2):
            row = by[method, size, job.seed, None]
            assert (row.status, row.value) == ("skipped", None)
            assert row.reason == "far is for size 1"
            continue
        row = by[method, size, job.seed, "error"]
        noise = float(jax.random.normal(job.key))
        shift = {"near": 0.25, "far": 1.5}[method]
        assert row.value == pytest.approx(shift + noise, rel=1e-6)
        assert (row.stderr, row.floor, row.how) == (0.125, 0.0625, "100 samples")
        assert row.dtype == row.precision == precision_in_use()
        plain = by[method, size, job.seed, "size"]
        assert (plain.value, plain.stderr, plain.floor) == (float(size), None, None)
        assert row.jax == jax.__version__
        assert row.device.startswith(jax.devices()[0].platform)
        assert row.wall_seconds >= row.compile_seconds >= 0
    # The first cell compiles the normal draw, the others use it.
    assert rows[0].version == noisy.version


def test_what_is_final_is_not_computed_again_unless_forced(store):
    run(noisy, store)
    CALLS.clear()
    assert run(noisy, store) == gt.sweep.Tally(kept=12)
    assert not CALLS
    more = gt.Experiment(noisy.function, noisy.grid, 4, "method")
    assert run(more, store) == gt.sweep.Tally(kept=12, done=3, skipped=1)
    newer = gt.Experiment(noisy.function, noisy.grid, 3, "method", version="new")
    assert run(newer, store).kept == 0
    assert store.status(newer)["done"] == 9
    before = len(store.rows())
    assert run(noisy, store, force=True) == gt.sweep.Tally(done=9, skipped=3)
    assert len(store.rows()) == before


def test_other_paired_labels_are_other_numbers(store):
    """What is kept for one choice of them is not given for another."""
    labels = {"method": ["near", "far"], "size": [1]}
    values = []
    for paired in (), "method":
        made = gt.Experiment(noisy.function, labels, 2, paired, "pairs", "1")
        assert run(made, store) == gt.sweep.Tally(done=4)
        found = {
            (row.cell["method"], row.seed): row.value
            for row in store.rows(made)
            if row.metric == "error"
        }
        assert len(found) == 4 and store.status(made)["done"] == 4
        values.append([found["far", n] - found["near", n] for n in range(2)])
        far = {**labels, "method": ["far"]}
        declared = gt.Experiment(noisy.function, far, 2, paired, "pairs", "1")
        less = gt.sweep.means(store.frame(declared))
        assert less[["method", "seeds"]].to_numpy().tolist() == [["far", 2]] * 2
    apart, together = values
    assert together == pytest.approx([1.25, 1.25])
    assert min(abs(gap - 1.25) for gap in apart) > 1e-3
    assert len(store.rows("pairs")) == 16


def test_failures_are_kept_with_their_traceback_and_tried_again(store):
    broken = {1}

    @gt.experiment(grid={"n": [1, 2]})
    def fragile(key, n):
        if n in broken:
            raise ZeroDivisionError("by this")
        return {"value": 1.0}

    assert run(fragile, store) == gt.sweep.Tally(done=1, failed=1)
    (failed,) = (row for row in store.rows(fragile) if row.status == "failed")
    assert "ZeroDivisionError: by this" in failed.reason
    assert "in fragile" in failed.reason
    assert run(fragile, store, retry=False) == gt.sweep.Tally(kept=2)
    broken.clear()
    assert run(fragile, store) == gt.sweep.Tally(kept=1, done=1)
    assert store.status(fragile) == {
        "done": 2, "skipped": 0, "failed": 0, "timed out": 0, "missing": 0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (1.0, "by name"),
        ({"value": jnp.ones(2)}, "not one number"),
        (gt.sweep.Found({}, {"a": np.array([object()])}), "cannot be written"),
    ],
)
def test_what_cannot_be_kept_is_a_failure(store, result, message):
    wrong = gt.Experiment(lambda key, n: result, {"n": [1]}, name="w", version="1")
    assert run(wrong, store).failed == 1
    assert message in store.rows(wrong)[0].reason


def test_what_is_late_is_left_behind(store):
    def waits(key, n):
        time.sleep(0.6 * n)
        return {"value": float(n)}

    late = gt.Experiment(waits, {"n": [1, 0]})
    assert run(late, store, timeout=0.2) == gt.sweep.Tally(done=1, timed_out=1)
    row, other = store.rows(late)
    assert (row.status, other.value) == ("timed out", 0.0)
    assert row.reason.startswith("not ended after 0.2")
    assert run(late, store, timeout=5.0) == gt.sweep.Tally(kept=1, done=1)


@pytest.mark.parametrize("timeout", [0.0, -1.0, math.nan, math.inf])
def test_a_time_that_cannot_be_is_refused(store, timeout):
    with pytest.raises(gt.InputError, match="positive number of seconds"):
        run(noisy, store, timeout=timeout)
    assert not CALLS


def test_not_a_number_and_infinity_are_kept(store):
    odd = gt.Experiment(
        lambda key, n: {"nan": math.nan, "inf": -math.inf},
        {"n": [1]},
        name="odd",
        version="1",
    )
    run(odd, store)
    values = {row.metric: row.value for row in store.rows(odd)}
    assert math.isnan(values["nan"])
    assert values["inf"] == -math.inf


def test_seeds_under_vmap_are_the_seeds_one_by_one(store):
    run(noisy, store)
    function = noisy.function
    made = gt.Experiment(
        function, noisy.grid, 3, "method", noisy.name, "under vmap", vmapped=True
    )
    CALLS.clear()
    assert run(made, store) == gt.sweep.Tally(done=9, skipped=3)
    assert len(CALLS) == 4  # one a cell
    one_by_one, together = store.rows(noisy), store.rows(made)
    for left, right in zip(one_by_one, together, strict=True):
        assert (left.cell, left.seed, left.metric) == (
            right.cell, right.seed, right.metric
        )  # fmt: skip
        if left.value is not None:
            assert left.value == pytest.approx(right.value, rel=1e-6)
        assert (left.stderr, left.how) == (right.stderr, right.how)


@gt.experiment(
    grid={"shift": [0.25, 1.5, -2.0], "size": [1, 2, True]}, seeds=2, vmapped=True
)
def shifted(key, shift, size):
    record(size)
    return {"value": shift + jnp.sum(jax.random.normal(key, (int(size),)))}


def test_cells_that_differ_in_floats_share_a_program(store, tmp_path):
    def check(kept):
        rows = kept.rows(shifted)
        for row, job in zip(rows, shifted.jobs(), strict=True):
            shift, size = job.cell.values()
            noise = float(jnp.sum(jax.random.normal(job.key, (int(size),))))
            assert row.value == pytest.approx(shift + noise, rel=1e-6)

    assert run(shifted, store) == gt.sweep.Tally(done=18)
    assert CALLS == [(1,), (2,), (True,)]  # traced once for each size, not nine times
    assert type(CALLS[-1][0]) is bool
    check(store)
    with ThreadPoolExecutor(2) as threads, gt.sweep.Store(tmp_path / "b") as other:
        assert run(shifted, other, executor=threads) == gt.sweep.Tally(done=18)
        check(other)
    assert len(CALLS) == 3  # the programs are those of before


@pytest.mark.slow
def test_ten_thousand_trivial_cells_cost_little(store, without_shape_checks):
    """Less than 1 ms of the processor a cell, and 2 s to see that all are there.

    Measured: .34 ms and .3 s; the clock leaves out what other processes take.
    """

    def trivial(key, n):
        return {"value": float(n)}

    cells = 10_000
    many = gt.Experiment(trivial, {"n": list(range(cells))})
    begun = time.process_time()
    assert run(many, store) == gt.sweep.Tally(done=cells)
    ended = time.process_time()
    assert ended - begun < 1e-3 * cells
    assert run(many, store) == gt.sweep.Tally(kept=cells)
    assert time.process_time() - ended < 2.0


def test_threads_give_the_same_numbers(store, tmp_path):
    run(noisy, store)
    with ThreadPoolExecutor(2) as threads, gt.sweep.Store(tmp_path / "b") as other:
        CALLS.clear()
        assert run(noisy, other, executor=threads) == gt.sweep.Tally(done=9, skipped=3)
        assert len(CALLS) == 12  # in this process, the module not loaded again
        values = [[row.value for row in s.rows(noisy)] for s in (store, other)]
    assert values[0] == values[1]


def test_a_compilation_is_of_the_thread_that_asked_for_it():
    from gmm_testbed.sweep.monitor import compile_seconds

    def compiled(shift):
        before = compile_seconds()
        jax.jit(lambda x: x * 1.25 - shift)(1.0).block_until_ready()
        return compile_seconds() - before

    listed = gt.sweep.compilations()
    before, here = len(listed), compile_seconds()
    with ThreadPoolExecutor(1) as thread:
        there = thread.submit(compiled, 7.125).result()
    assert compile_seconds() == here < here + there
    assert sum(listed[before:]) >= there
    assert compiled(8.125) > 0.0


def test_a_worker_of_another_precision_is_refused(store):
    other = "float32" if precision_in_use() == "float64" else "float64"
    from gmm_testbed.sweep.work import Settings, compute

    settings = Settings.here(noisy, other, None, None)
    with pytest.raises(gt.InputError, match="another precision"):
        compute(noisy.function, noisy.jobs()[:1], False, settings)


# Files.


def test_arrays_are_kept_once_by_content(store):
    given = {"x": np.arange(6.0).reshape(2, 3), "name": np.array("a")}
    found = gt.sweep.Found({"value": 1.0}, given)
    both = gt.Experiment(lambda key, n: found, {"n": [1, 2]}, name="a", version="1")
    run(both, store)
    first, second = store.rows(both)
    assert first.digest == second.digest
    assert [path.name for path in store.folder.iterdir()] == [f"{first.digest}.npz"]
    loaded = store.arrays(first)
    assert loaded["x"].tolist() == given["x"].tolist()
    assert loaded["name"] == "a"
    transposed = gt.sweep.Found({}, {**given, "x": given["x"].reshape(3, 2)})
    other = gt.Experiment(lambda key, n: transposed, {"n": [1]}, name="b", version="1")
    run(other, store)
    assert len(list(store.folder.iterdir())) == 2


def test_arrays_that_no_cell_has_any_more_are_removed(store):
    level = {1: 1.0, 2: 1.0, 3: 3.0}

    def study(key, n):
        return gt.sweep.Found({"n": float(n)}, {"x": np.full(5, level[n])})

    made = gt.Experiment(study, {"n": [1, 2, 3]}, version="1")

    def files():
        return {path.stem for path in store.folder.iterdir()}

    run(made, store)
    first, second, third = (row.digest for row in store.rows(made))
    assert first == second and files() == {first, third}
    level[1] = 4.0  # the second cell still has the old ones
    run(made, store, force=True)
    fourth = store.rows(made)[0].digest
    assert files() == {first, third, fourth}
    level.update({2: 4.0, 3: 5.0})
    run(made, store, force=True)
    rows = store.rows(made)
    assert files() == {row.digest for row in rows} and len(files()) == 2
    assert [store.arrays(row)["x"][0] for row in rows] == [4.0, 4.0, 5.0]


def test_an_exact_value_has_the_error_0_and_a_plain_one_none(store):
    given = {
        "plain": 0.5,
        "exact": gt.Estimate(0.5, how="quadrature"),
        "sampled": gt.sweep.Measured(gt.Estimate(0.5, 0.25, "9 samples"), 0.125),
        "floored": gt.sweep.Measured(0.5, gt.Estimate(0.125)),
    }
    one = gt.Experiment(lambda key, n: given, {"n": [1]}, name="one", version="1")
    run(one, store)
    found = {row.metric: (row.stderr, row.floor, row.how) for row in store.rows(one)}
    assert found == {
        "plain": (None, None, ""),
        "exact": (0.0, None, "quadrature"),
        "sampled": (0.25, 0.125, "9 samples"),
        "floored": (None, 0.125, ""),
    }


def test_csv_has_a_column_a_label(store, tmp_path):
    run(noisy, store)
    frame = store.frame(noisy)
    gt.sweep.write(frame, tmp_path / "out" / "all.csv")
    with (tmp_path / "out" / "all.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == list(frame)
    rows = store.rows(noisy)
    assert [line["method"] for line in read] == [row.cell["method"] for row in rows]
    assert [line["size"] for line in read] == [str(row.cell["size"]) for row in rows]
    assert [line["value"] for line in read] == [
        "" if row.value is None else repr(row.value) for row in rows
    ]
    assert {line["stderr"] for line in read} == {"", "0.125"}
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "all.csv"]
    with pytest.raises(gt.InputError, match="unknown kind"):
        gt.sweep.write(frame, tmp_path / "all.txt")


def test_csv_of_rows_keeps_kinds_and_tells_nan_from_nothing(store, tmp_path):
    rows = [
        {"n": 1, "x": 0.1, "name": 'a "b", c'},
        {"n": 2, "x": math.nan, "y": 1e-300},
    ]
    rows += [{"x": -math.inf, "y": None, "n": True}, {"x": np.float64(1 / 3)}]
    gt.sweep.write(rows, tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_bytes() == (
        b'n,x,name,y\n1,0.1,"a ""b"", c",\n2,nan,,1e-300\nTrue,-inf,,\n'
        b",0.3333333333333333,,\n"
    )
    odd = gt.Experiment(
        lambda key, n: {"v": math.nan}, {"n": [1]}, name="odd", version="1"
    )
    run(odd, store)
    frame = store.frame(odd)[["n", "metric", "value", "stderr"]]
    gt.sweep.write(frame, tmp_path / "odd.csv")
    assert (tmp_path / "odd.csv").read_text() == "n,metric,value,stderr\n1,v,nan,\n"


@pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="needs the extra `parquet`"
)
def test_parquet_has_the_same_columns(store, tmp_path):
    import pyarrow.parquet

    run(noisy, store)
    frame = store.frame(noisy)
    frame["size"] = ["one", *frame["size"].astype(object)[1:]]
    gt.sweep.write(frame, tmp_path / "all.parquet")
    gt.sweep.write(frame, tmp_path / "all.csv")
    table = pyarrow.parquet.read_table(tmp_path / "all.parquet")
    header = (tmp_path / "all.csv").read_text(encoding="utf-8").splitlines()[0]
    assert table.column_names == header.split(",")
    assert table["value"].to_pylist() == [row.value for row in store.rows(noisy)]
    assert table["size"].to_pylist()[:3] == ["one", "1", "1"]


def test_another_file_is_no_store(tmp_path):
    (tmp_path / "text").write_text("not a database" * 100)
    with pytest.raises(gt.InputError, match="cannot be opened"):
        gt.sweep.Store(tmp_path / "text")
    for place in tmp_path, tmp_path / "text" / "inside.sqlite":  # a folder; no folder
        with pytest.raises(gt.InputError, match="cannot be opened"):
            gt.sweep.Store(place)
    made = gt.sweep.Store(tmp_path / "newer")
    made._file.execute("PRAGMA user_version = 99")
    made.close()
    with pytest.raises(gt.InputError, match="another layout"):
        gt.sweep.Store(tmp_path / "newer")


def test_a_file_without_experiments_is_refused(tmp_path):
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(gt.InputError, match="declares no experiment"):
        gt.sweep.load(tmp_path / "empty.py")
    with pytest.raises(gt.InputError, match="no such file"):
        gt.sweep.load(tmp_path / "missing.py")


# Summaries.


def frame_of(values, method="a", metric="w1", floor=math.nan):
    """A frame with what a summary reads; without a metric if there is no value."""
    return pd.DataFrame(
        [
            {"experiment": "e", "method": method, "seed": seed, "floor": floor,
             "metric": None if value is None else metric, "value": value,
             "ended": "2026-01-01T00:00:00+00:00"}
            for seed, value in values.items()
        ]
    ).astype({"value": float})  # fmt: skip


def test_mean_and_interval_over_seeds():
    values = {0: 1.0, 1: 2.5, 2: 4.0, 3: None}
    found = gt.sweep.means(frame_of(values, floor=0.5))
    assert list(found) == [
        "experiment", "method", "metric", "mean", "low", "high", "seeds", "left_out",
        "floor", "nonfinite",
    ]  # fmt: skip
    (found,) = found.itertuples()
    low, high = scipy.stats.t.interval(0.95, 2, 2.5, 1.5 / math.sqrt(3))
    assert (found.experiment, found.method, found.metric) == ("e", "a", "w1")
    assert (found.mean, found.seeds, found.left_out, found.nonfinite) == (2.5, 3, 1, 0)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert found.floor == 0.5
    (half,) = gt.sweep.means(frame_of(values), 0.5).itertuples()
    low, high = scipy.stats.t.interval(0.5, 2, 2.5, 1.5 / math.sqrt(3))
    assert (half.low, half.high) == pytest.approx((low, high), rel=1e-9)
    (alone,) = gt.sweep.means(frame_of({0: 1.0})).itertuples()
    assert (alone.mean, alone.seeds) == (1.0, 1)
    assert math.isnan(alone.low) and math.isnan(alone.floor)


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([2.0, math.inf, math.inf], math.inf),
        ([2.0, -math.inf], -math.inf),
        ([2.0, math.nan, 1.0], math.nan),
        ([math.inf, 1.0, -math.inf], math.nan),
        ([math.nan], math.nan),
    ],
)
def test_what_is_not_finite_is_not_dropped_from_a_mean(values, mean):
    bad = sum(not math.isfinite(value) for value in values)
    frame = frame_of(dict(enumerate(values)))
    zero = frame_of(dict.fromkeys(range(len(values)), 0.0), "b")
    (found,) = gt.sweep.means(frame).itertuples()
    both = pd.concat([frame, zero], ignore_index=True)
    (gap,) = gt.sweep.differences(both, "method", "b").itertuples()
    for one in found, gap:
        assert one.mean == pytest.approx(mean, nan_ok=True)
        assert math.isnan(one.low) and math.isnan(one.high)
        assert (one.seeds, one.left_out, one.nonfinite) == (len(values), 0, bad)


def test_paired_differences_lose_what_is_shared():
    base = {0: 10.0, 1: -30.0, 2: 500.0, 4: 2.0, 5: 3.0}
    better = {0: 9.0, 1: -31.5, 2: 498.0, 3: 1.0}
    frames = [frame_of(base), frame_of(better, "b"), frame_of({7: 1.0}, "c")]
    found = gt.sweep.differences(pd.concat(frames, ignore_index=True), "method", "a")
    found, apart = found.itertuples()
    both = [[side[seed] for seed in range(3)] for side in (better, base)]
    interval = scipy.stats.ttest_rel(*both).confidence_interval(0.95)
    assert (found.mean, found.seeds, found.left_out) == (-1.5, 3, 3)  # 3, 4 and 5
    assert (found.low, found.high) == pytest.approx(tuple(interval), rel=1e-9)
    assert found.method == "b" and math.isnan(found.floor)
    assert (apart.method, apart.seeds, apart.left_out) == ("c", 0, 6)
    assert math.isnan(apart.mean)
    with pytest.raises(gt.InputError, match="nothing to compare"):
        gt.sweep.differences(frame_of(base), "method", "d")
    with pytest.raises(gt.InputError, match="nothing to compare"):
        gt.sweep.differences(frame_of(base), "kernel", "d")


def test_differences_are_of_cells_that_agree_in_all_other_labels():
    frames = [
        frame_of({0: 1.0 * n, 1: 3.0 * n}, method).assign(steps=n, t=t)
        for n, t in ((5, 0.5), (7, math.nan))
        for method, n in (("a", n), ("b", n + n))
    ]
    for frame in frames[1::2]:
        frame["steps"] //= 2
    found = gt.sweep.differences(pd.concat(frames, ignore_index=True), "method", "a")
    assert found["steps"].tolist() == [5, 7]
    assert found["mean"].tolist() == [10.0, 14.0]  # of 5, 15 and of 7, 21
    assert found["left_out"].tolist() == [0, 0]


def test_two_versions_are_not_one_sample():
    frame = frame_of({0: 1.0})
    with pytest.raises(gt.InputError, match="occurs twice"):
        gt.sweep.means(pd.concat([frame, frame.assign(version="2")]).drop(
            columns="version"))  # fmt: skip


def test_read_and_final_statuses():
    assert json.dumps(outcomes.FINAL) == '["done", "skipped"]'
