"""The TMPD setting: `python experiments/tmpd_table.py`, about fifteen minutes on two cores.

The 25-mode mixture in d = 8, 80, 800 with m = 1, 2, 4 measurements and noise 0.01, 0.1, 1,
VP from 0.1 to 25, 1000 Euler-Maruyama steps whose last returns the mean, 1000 samples, 20
problems a cell (Boys et al., TMLR 2024). Sliced W1 to the exact posterior, beside exact
samples (floor), prior samples (ceiling) and published values. All methods share problems
and noise; what was computed is not computed again. `--dims 8 --problems 3 --fast` for a
look. Everything happens in m + 2 dimensions; the rest is an exact Gaussian.
"""

import os

os.environ.setdefault("NPROC", "4")

import argparse
import csv
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import jax
import numpy as np
import tmpd_sampler as fast
from rich.progress import Progress

import gmm_testbed as gt

jax.config.update("jax_enable_x64", True)  # chains in float32 unless --float64

FOLDER = Path(__file__).parent
SETS = (*fast.SAMPLERS, "exact samples", "prior samples")
FIELDS = ("dim", "measurements", "noise", "problem", "method", "w1", "nonfinite")
DROPPED = 1e-12  # posterior weight of modes that the metric leaves out
SIZES = (4, 10, 25)  # modes: one program each


class Setting:
    """The grid, its steps and what lies beyond the frame: the same for every problem."""

    def __init__(self, options):
        self.options = options
        path = gt.problems.grid25(8, 1, 1.0, 0).path
        times = gt.time_grid(path, options.steps, t_min=1e-3)
        self.dtype = np.float64 if options.float64 else np.float32
        self.steps = self.cast(fast.steps_of(path, times))
        self.beyond = fast.spread_beyond(path, times) | dict.fromkeys(SETS[-2:], 1.0)

    def cast(self, tree):
        return jax.tree.map(lambda leaf: leaf.astype(self.dtype), tree)

    def rows(self, dim, m, noise, seed):
        """The distances of one problem, a row for each method."""
        num, directions = self.options.num, self.options.directions
        frame = gt.problems.grid25_frame(dim, m, seed)
        target = gt.problems.grid25(dim, m, noise, seed, frame=frame)
        rng = np.random.Generator(np.random.SFC64([seed, dim, m, 1]))
        shape = (self.options.steps + 1, frame.shape[1], num)
        noises = rng.standard_normal(shape, dtype=self.dtype)
        out = fast.simulate(self.cast(fast.problem_of(target)), self.steps, noises)
        out = {name: np.asarray(x, np.float64) for name, x in out.items()}
        keys = jax.random.split(jax.random.fold_in(jax.random.key(dim), seed))
        posterior, prior = target.exact_posterior, target.problem.prior
        out["exact samples"] = np.asarray(posterior.sample(keys[0], num)).T
        out["prior samples"] = np.asarray(prior.sample(keys[1], num)).T
        theta = rng.standard_normal((directions, dim))
        theta /= np.linalg.norm(theta, axis=1, keepdims=True)
        rest = rng.standard_normal((num, dim), dtype=np.float32)
        out = {name: out[name] for name in SETS}  # JAX sorts the keys of a dictionary
        found = distances(posterior, frame, theta, out, rest, self.beyond)
        for name, value in zip(SETS, found, strict=True):
            bad = int((~np.isfinite(out[name])).any(axis=0).sum())
            yield dim, m, noise, seed, name, f"{value:.6g}", bad


def distances(posterior, frame, theta, samples, rest, beyond):
    """Sliced W1 of every set along directions theta (L, d), to a posterior in the frame.

    Args:
        posterior: of dimension r, its modes of one covariance; 1 beyond the frame.
        frame: (d, r).
        samples: (r, n) for every name.
        rest: (n, d) standard normal, of which the part beyond the frame is used.
        beyond: standard deviation there, for every name.
    """
    inside = theta @ frame
    across = (theta - inside @ frame.T) @ rest.T  # (L, n)
    points = [inside @ x + beyond[name] * across for name, x in samples.items()]
    covariance = np.asarray(posterior.covariances()[0])
    variances = np.sum((inside @ covariance) * inside, axis=1)
    variances += np.clip(1.0 - np.sum(inside**2, axis=1), 0.0, None)
    weights = np.exp(np.asarray(posterior.log_weights))
    size = next(size for size in SIZES if np.sum(weights > DROPPED) <= size)
    kept = np.argsort(-weights)[:size]
    weights = weights[kept] / weights[kept].sum()
    means = inside @ np.asarray(posterior.means)[kept].T
    return np.asarray(
        fast.sliced_w1(np.stack(points, axis=1), np.log(weights), means, variances)
    )


def interval(values):
    """Mean and half-width of the 95 % interval over problems."""
    reach = gt.sweep.student(0.95, len(values) - 1) if len(values) > 1 else np.nan
    return np.mean(values), reach * np.std(values, ddof=1) / np.sqrt(len(values))


def published(dim, m, noise, method):
    """Mean, half-width and source of the published values of a cell."""
    with open(FOLDER / "published" / "tmpd_setting.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cell = int(row["dim"]), int(row["measurements"]), row["method"]
            if cell == (dim, m, method) and row["noise"] in ("any", str(noise)):
                yield float(row["mean"]), float(row["half_width"]), row["source"]


def report(store, cells):
    """One line a cell and method."""
    with open(store, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    head = f"{'d':>4} {'m':>2} {'noise':>5}  {'method':14} {'sliced W1':>15}"
    print(f"{head} {'minus exact':>15} {'bad':>4}  published (do the intervals meet?)")
    for dim, m, noise in cells:
        cell = (str(dim), str(m), str(noise))
        mine = [r for r in rows if (r["dim"], r["measurements"], r["noise"]) == cell]
        values = {name: {} for name in SETS}
        for row in mine:
            values[row["method"]][row["problem"]] = float(row["w1"])
        for name, found in values.items():
            pairs = [found[k] - values["exact"][k] for k in found]
            mean, half = interval(list(found.values()))
            gap, gap_half = interval(pairs)
            bad = sum(int(row["nonfinite"]) for row in mine if row["method"] == name)
            line = f"{dim:4} {m:2} {noise:5}  {name:14} {mean:7.3f} ± {half:5.3f}"
            line += f" {gap:7.3f} ± {gap_half:5.3f} {bad:4} "
            for theirs, reach, source in published(dim, m, noise, name):
                meet = "yes" if abs(mean - theirs) <= half + reach else "NO"
                line += f" {theirs:.3f} ± {reach:.3f} {source} ({meet})"
            print(line)


def main() -> None:
    """Computes what is missing, row by row, and prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dims", type=int, nargs="+", default=[8, 80, 800])
    parser.add_argument("--measurements", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--noises", type=float, nargs="+", default=[0.01, 0.1, 1.0])
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--num", type=int, default=1000)
    parser.add_argument("--directions", type=int, default=100)
    parser.add_argument("--fast", action="store_true", help="100 steps, 200 samples")
    parser.add_argument("--float64", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.fast:
        options.steps, options.num, options.directions = 100, 200, 20
    precision = "_float64" if options.float64 else ""
    name = f"steps{options.steps}_num{options.num}_directions{options.directions}"
    store = FOLDER.parent / "results" / "tmpd" / f"{name}{precision}.csv"
    store.parent.mkdir(parents=True, exist_ok=True)
    if not store.exists():
        store.write_text(",".join(FIELDS) + "\n", encoding="utf-8")
    with open(store, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    known = {tuple(row[:4]) for row in rows if row[4:5] == [SETS[-1]] and len(row) == 7}
    cells = [
        (dim, m, noise)
        for dim in options.dims
        for m in options.measurements
        for noise in options.noises
    ]
    todo = [(*cell, seed) for cell in cells for seed in range(options.problems)]
    todo = [case for case in todo if tuple(map(str, case)) not in known]
    begun, spent = time.perf_counter(), time.process_time()
    with Progress() as progress, open(store, "a", encoding="utf-8", newline="") as file:
        setting, writer = Setting(options) if todo else None, csv.writer(file)
        task = progress.add_task("problems", total=len(todo))
        with ThreadPoolExecutor(options.workers) as pool:
            running = [pool.submit(lambda c: list(setting.rows(*c)), c) for c in todo]
            for done in as_completed(running):
                writer.writerows(done.result())
                file.flush()
                progress.advance(task)
    report(store, cells)
    wall, cpu = time.perf_counter() - begun, time.process_time() - spent
    print(
        f"{len(todo)} problems in {wall:.0f} s, {cpu:.0f} s of processor time; {store}"
    )


if __name__ == "__main__":
    main()
