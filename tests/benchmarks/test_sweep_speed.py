"""Two Dask workers against one: `pytest tests/benchmarks --benchmark-only -q`."""

import os
import subprocess
import sys
import time

import jax
import pytest

import gmm_testbed as gt

CELLS, ROUNDS = 16, 5
SCRIPT = f"""
import gmm_testbed as gt


@gt.experiment(grid={{"n": list(range({CELLS}))}})
def busy(key, n):  # one core for some .15 s, however many threads JAX has
    total = 0
    for i in range(2_500_000):
        total += i % 7 * n
    return {{"total": float(total)}}
"""
LOOP = "sum(i % 7 for i in range(20_000_000))"


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_two_workers_against_one(benchmark, tmp_path):
    """At least 1.6 times as fast on equal cells, the workers being there already.

    The best of some rounds. A smaller ratio is no finding where other work on the machine
    leaves less than 1.8 to two processes without Dask.
    """
    pytest.importorskip("distributed")
    (tmp_path / "study.py").write_text(SCRIPT)
    busy = gt.sweep.load(tmp_path / "study.py")["busy"]
    x64 = jax.config.read("jax_enable_x64")

    def prepare():
        jax.config.update("jax_enable_x64", x64)

    def sweep(executor):
        begun = time.perf_counter()
        with gt.sweep.Store(tmp_path / "s.sqlite") as store:
            options = {"prepare": prepare, "force": True, "show": False}
            tally = gt.sweep.run(busy, store, executor=executor, **options)
        assert tally == gt.sweep.Tally(done=CELLS)
        return time.perf_counter() - begun

    def bare(processes):
        begun = time.perf_counter()
        running = [
            subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(processes)
        ]
        assert not any(process.wait() for process in running)
        return time.perf_counter() - begun

    with gt.sweep.cluster(workers=1) as alone, gt.sweep.cluster(workers=2) as pair:
        sweep(alone), sweep(pair)  # each worker loads JAX and the file
        rounds = [(sweep(alone), sweep(pair), bare(1), bare(2)) for _ in range(ROUNDS)]
        one, two, single, double = map(min, zip(*rounds, strict=True))
        ratios = {"ratio": one / two, "without Dask": 2 * single / double}
        benchmark.extra_info.update(one_s=one, two_s=two, **ratios)
        benchmark.pedantic(lambda: sweep(pair), rounds=1)
    if ratios["ratio"] < 1.6 and ratios["without Dask"] < 1.8:
        pytest.skip(f"other work on the machine: {ratios}")
    assert ratios["ratio"] >= 1.6, rounds
