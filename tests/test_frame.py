"""Frames of a store: their columns, kinds, order, and what is missing."""

import math
import sqlite3
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import gmm_testbed as gt
from gmm_testbed.sweep.frame import FIELDS


@pytest.fixture
def store(tmp_path):
    with gt.sweep.Store(tmp_path / "all.sqlite") as opened:
        yield opened


def run(experiment, store):
    return gt.sweep.run(experiment, store, show=False)


SHIFT = {"near": 0.25, "far": 1.5}


@gt.experiment(grid={"method": SHIFT, "steps": [5, 100], "t": [0, 0.5]}, version="1")
def laws(key, method, steps, t):
    """The far one has no law with 5 steps, and its other one is not a number."""
    if (method, steps) == ("far", 5):
        raise gt.UnsupportedError("too few")
    value = math.nan if (method, t) == ("far", 0.5) else SHIFT[method] * steps + t
    exact = gt.sweep.Measured(gt.Estimate(value, how="quadrature"), 0.125)
    return gt.sweep.Found({"tv": exact, "steps / 5": steps / 5}, {"x": np.ones(steps)})


@gt.experiment(grid={"kind": ["a", "b"]}, seeds=[3, 1], version="1")
def drawn(key, kind):
    return {"w1": gt.Estimate({"a": 1.0, "b": 2.0}[kind], 0.5, "9 samples")}


def test_a_long_frame_has_a_row_a_value_in_the_order_of_the_declaration(store):
    run(laws, store)
    frame = store.frame(laws)
    assert list(frame) == ["experiment", "method", "steps", "t", *FIELDS]
    cells = [(m, n, t) for m in SHIFT for n in (5, 100) for t in (0.0, 0.5)]
    expected = [
        (*cell, metric)
        for cell in cells
        for metric in ((None,) if cell[:2] == ("far", 5) else ("steps / 5", "tv"))
    ]
    found = frame[["method", "steps", "t", "metric"]].astype(object)
    found = found.where(found.notna(), None)
    assert [tuple(row) for row in found.to_numpy()] == expected
    assert frame["steps"].dtype == frame["seed"].dtype == np.int64
    assert frame["t"].dtype == frame["value"].dtype == np.float64
    assert pd.api.types.is_string_dtype(frame["method"])
    tv = frame.query("metric == 'tv' and method == 'near'")
    assert tv["value"].tolist() == [1.25, 1.75, 25.0, 25.5]
    assert set(tv["stderr"]) == {0.0} and set(tv["floor"]) == {0.125}
    assert set(tv["how"]) == {"quadrature"} and set(tv["experiment"]) == {"laws"}
    plain = frame[frame["metric"] == "steps / 5"]
    assert plain["stderr"].isna().all() and plain["floor"].isna().all()
    assert plain["value"].tolist() == [1.0, 1.0, 20.0, 20.0, 20.0, 20.0]


def test_what_was_skipped_has_a_row_without_a_metric_and_nan_has_one_with(store):
    run(laws, store)
    frame = store.frame(laws)
    skipped = frame[frame["metric"].isna()]
    assert set(skipped["status"]) == {"skipped"} and set(skipped["reason"]) == {
        "too few"
    }
    assert skipped["value"].isna().all() and skipped["digest"].isna().all()
    odd = frame[frame["metric"].notna() & frame["value"].isna()]
    assert odd[["method", "steps", "t", "status"]].to_numpy().tolist() == [
        ["far", 100, 0.5, "done"]
    ]


def test_a_wide_frame_has_a_row_a_cell_and_a_column_a_metric(store):
    run(laws, store)
    wide = store.wide(laws)
    assert list(wide.columns) == ["steps / 5", "tv"] and len(wide) == 2 * 2 * 2
    assert wide.index.names == ["method", "steps", "t"]
    assert wide.loc[("near", 100, 0.5), "tv"] == 25.5
    assert wide.loc[("far", 5, 0.0)].isna().all()
    table = wide["tv"].xs(0.0, level="t").unstack("steps")
    assert wide.loc["far", 100]["tv"].iloc[0] == 150.0  # without a warning
    assert list(table.index) == ["near", "far"]  # as declared, not by letters
    assert table.loc["near"].to_dict() == {5: 1.25, 100: 25.0}
    assert store.wide(laws, "floor")["tv"].notna().sum() == 6
    by_seed = store.wide(drawn)
    assert by_seed.empty
    run(drawn, store)
    by_seed = store.wide(drawn)
    assert list(by_seed.index) == [("a", 3), ("a", 1), ("b", 3), ("b", 1)]
    assert by_seed.index.names == ["kind", "seed"]
    assert by_seed["w1"].tolist() == [1.0, 1.0, 2.0, 2.0]
    assert store.wide(drawn, "stderr")["w1"].tolist() == [0.5] * 4


def test_one_label_is_a_plain_index_and_no_label_the_seed(store):
    one = gt.Experiment(
        lambda key, n: {"v": n / 4}, {"n": [3, 1]}, name="o", version="1"
    )
    none = gt.Experiment(lambda key: {"v": 0.5}, {}, name="n", version="1")
    run(one, store)
    run(none, store)
    assert store.wide(one)["v"].to_dict() == {3: 0.75, 1: 0.25}
    assert store.wide(one).index.name == "n"
    assert store.wide(none)["v"].to_dict() == {0: 0.5}


def test_several_experiments_have_the_labels_of_all(store):
    run(laws, store)
    run(drawn, store)
    frame = store.frame(laws, drawn)
    assert list(frame)[:5] == ["experiment", "method", "steps", "t", "kind"]
    assert frame.groupby("experiment", sort=False).size().to_dict() == {
        "laws": 6 * 2 + 2, "drawn": 4
    }  # fmt: skip
    assert frame["steps"].dtype == "Int64" and frame["steps"].isna().sum() == 4
    assert frame.loc[frame["experiment"] == "laws", "kind"].isna().all()
    assert len(store.frame()) == len(frame) == len(store.frame("laws", "drawn"))
    other = {"float64": "float32", "float32": "float64"}[frame["precision"].iloc[0]]
    assert store.frame(laws, precision=other).empty
    assert list(store.frame(laws, precision=other)) == list(store.frame(laws))


def test_kinds_of_labels_that_are_mixed_or_missing(store):
    grid = {"flag": [True, None], "count": [1, None], "share": [1, 0.5, None]}
    grid |= {"mixed": ["a", 2], "name": ["b", None]}
    made = gt.Experiment(lambda key, **cell: {"v": 1.0}, grid, name="m", version="1")
    run(made, store)
    frame = store.frame(made)
    assert (frame["flag"].dtype, frame["count"].dtype) == ("boolean", "Int64")
    assert (frame["share"].dtype, frame["mixed"].dtype) == (float, object)
    assert frame["share"].dropna().unique().tolist() == [1.0, 0.5]
    assert frame["mixed"].unique().tolist() == ["a", 2]
    assert frame["name"].isna().sum() == 24
    wide = store.wide(made)
    assert len(wide) == 48 and wide.index.is_unique


def test_what_is_there_twice_is_not_made_wide(store):
    run(drawn, store)
    newer = gt.Experiment(drawn.function, drawn.grid, [1], name="drawn", version="2")
    run(newer, store)
    assert len(store.wide(newer)) == 2
    with pytest.raises(gt.InputError, match="occurs twice"):
        store.wide("drawn")
    alike = gt.Experiment(lambda key, n: {"v": 1.0}, {"n": [1, True]}, name="a",
                          version="1")  # fmt: skip
    run(alike, store)
    with pytest.raises(gt.InputError, match="1.0 and True are equal"):
        store.wide(alike)


def test_a_label_with_the_name_of_a_column_is_refused(store):
    made = gt.Experiment(lambda key, value: {"v": 1.0}, {"value": [1]}, name="c",
                         version="1")  # fmt: skip
    run(made, store)
    with pytest.raises(gt.InputError, match="name of a column(.|\n)*got: +value"):
        store.frame(made)


def test_arrays_by_the_digest_of_a_frame(store):
    run(laws, store)
    cells = store.frame(laws).drop_duplicates(["method", "steps", "t"])
    arrays = cells.set_index(["method", "steps", "t"])["digest"].map(store.arrays)
    assert arrays["near", 5, 0.0]["x"].tolist() == [1.0] * 5
    assert arrays["far", 100, 0.5]["x"].shape == (100,)
    assert arrays["far", 5, 0.0] == {}


def test_pandas_is_not_imported_before_a_frame_is_asked_for():
    code = "import sys, gmm_testbed; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_frame_is_that_of_the_store_as_it_is_now(store):
    """After a change through this store, through another, or of a frame that was given."""
    assert len(store.frame("drawn")) == 0
    run(drawn, store)
    frame = store.frame("drawn")
    assert len(frame) == len(store.frame("drawn")) == 4
    frame["value"] = 0.0
    assert set(store.frame("drawn")["value"]) == {1.0, 2.0}
    with gt.sweep.Store(store.path) as other:
        gt.sweep.run(drawn, other, force=True, show=False)
        run(laws, other)
    assert len(store.frame()) > 4
    with sqlite3.connect(store.path) as file:
        file.execute("UPDATE cells SET precision = 'float32' WHERE seed = 3")
    assert [len(store.frame("drawn", precision=p)) for p in (None, "float64")] == [4, 2]
    assert store.frame(drawn)["wall_seconds"].tolist() == [
        row.wall_seconds for row in store.rows(drawn)
    ]
