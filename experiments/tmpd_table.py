r"""The TMPD setting: five methods on the 25-mode mixture, beside published values.

d = 8, 80, 800 with m = 1, 2, 4 measurements and noise 0.01, 0.1, 1; VP from 0.1 to 25, 1000
Euler-Maruyama steps whose last returns the mean, 1000 samples, 20 problems (Boys et al.,
TMLR 2024, arXiv:2310.06721). Sliced W1 to the exact posterior over 100 directions, with
exact samples as the floor and prior samples as the ceiling. All methods of a problem share
its noise, directions and samples beyond the frame. Exact, TMPD and PiGDM are fields under
Euler-Maruyama; DPS is the published update with Cardoso's step 0.1; ZetaDPS (0.3) is its
consistent counterpart, a field. Published values are of Dowling (2024), made with another
schedule and 5 problems, and of Cardoso et al. (ICLR 2024, arXiv:2308.07983), whose noise
level is random, one a problem, and whose table is of 20 steps. `tmpd_random_noise` has
their noise: DPS comes near their values with 20 steps, and not with 1000, where 50 times as
many guided updates of the same length take it up to twenty times nearer.

Everything happens in the r = m + 2 dimensions of a frame; beyond it all is an independent
Gaussian. Chains run in double precision. `tmpd_float32` shows what single would cost, in
every setting: nothing for exact guidance and TMPD, but of the chains of DPS at d = 80 and
800 four in a hundred end elsewhere, as guidance amplifies roundings, and the distance moves
by up to the floor. No bias is seen: they are other samples of much the same law.
"""

import csv
import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

DIMS, MEASUREMENTS, NOISES = (8, 80, 800), (1, 2, 4), (0.01, 0.1, 1.0)
PROBLEMS, NUM, STEPS, FEW, DIRECTIONS = 20, 1000, 1000, 20, 100
DROPPED, SIZES = (
    1e-12,
    (4, 10, 25),
)  # weight of modes left out; numbers kept, a program each
ELSEWHERE = 1.0  # apart, a chain in two precisions: the width of a mode of the prior
SHOWN = (8, 4, 0.1), (80, 2, 0.1), (800, 1, 0.01)
EULER, FREE = gt.kernels.EulerMaruyama(), gt.approximations.Unguided()
METHODS = {
    "Exact": gt.Guided(gt.approximations.Exact(), EULER),
    "TMPD": gt.Guided(gt.approximations.TMPD(), EULER),
    "PiGDM": gt.Guided(gt.approximations.PiGDM(), EULER),
    "DPS": gt.Published(gt.approximations.ZetaDPS(0.1)),
    "ZetaDPS": gt.Guided(gt.approximations.ZetaDPS(0.3), EULER),
}
FLOOR, CEILING = "exact samples", "prior samples"
DIFFERENT = {  # from what is done here
    "Dowling 2024": "VP from 0.01 to 20; 5 problems, others than these",
    "Cardoso et al. 2024": "20 steps; 20 problems, others than these; weights of the modes "
    "are squares of normal numbers, one draw a problem; betas that decrease, from 0.02 to "
    "1e-4, in 999 steps of which 20 are kept",
}
GRID = {"dim": DIMS, "measurements": MEASUREMENTS}


@gt.experiment(grid=GRID | {"noise": NOISES}, seeds=PROBLEMS, paired="noise")
def tmpd_setting(key, dim, measurements, noise):
    """Sliced W1 of every method on one problem."""
    case = drawn(key, dim, measurements, noise)
    samples = chains(case, METHODS, STEPS)
    found = distances(case, samples, {name: spread(name, STEPS) for name in samples})
    metrics = with_floor(found, samples)
    gaps = {n: found[n].value - found["Exact"].value for n in found}
    return metrics | {f"{name} minus Exact": gap for name, gap in gaps.items()}


@gt.experiment(grid=GRID, seeds=PROBLEMS)
def tmpd_random_noise(key, dim, measurements):
    """DPS where the noise is U(0, 1) times the largest singular value of A."""
    A = drawn(key, dim, measurements, 1.0).target.problem.measurement.A
    share = np.random.default_rng([seed_of(key), 2]).uniform()
    case = drawn(key, dim, measurements, share * np.linalg.norm(A, 2))
    dps = {"DPS": METHODS["DPS"]}
    samples = {f"{num} steps": chains(case, dps, num)["DPS"] for num in (STEPS, FEW)}
    spreads = [spread("DPS", num) for num in (STEPS, FEW)]
    found = distances(case, samples, dict(zip(samples, spreads, strict=True)))
    return with_floor(found, samples)


@gt.experiment(grid=GRID | {"noise": NOISES}, seeds=3, paired="noise")
def tmpd_float32(key, dim, measurements, noise):
    """W1 in float32 - W1 in float64, and the chains that went elsewhere, of one noise."""
    case, spreads = (
        drawn(key, dim, measurements, noise),
        {n: spread(n, STEPS) for n in METHODS},
    )
    single, double = (in_precision(case, seed_of(key), x64) for x64 in (False, True))
    w1, reference = (distances(case, samples, spreads) for samples in (single, double))
    metrics = {}
    for name in METHODS:
        error = w1[name].value - reference[name].value
        metrics[name] = gt.sweep.Measured(error, reference[FLOOR].value)
        metrics[f"{name}, error of sampling"] = float(reference[name].stderr)
        apart = np.linalg.norm(single[name] - double[name], axis=0)
        metrics[f"{name}, chains elsewhere"] = float(np.mean(apart > ELSEWHERE))
    return metrics


def with_floor(found, samples):
    """The metrics with their floor, and how many samples are not finite."""
    metrics = {n: gt.sweep.Measured(w1, found[FLOOR].value) for n, w1 in found.items()}
    bad = {n: np.sum(~np.isfinite(x).all(axis=0)) for n, x in samples.items()}
    return metrics | {f"{name}, not finite": float(n) for name, n in bad.items()}


class Case(NamedTuple):
    """A problem with all that is random but the chains' noise."""

    target: gt.Target  # in the r coordinates of
    frame: np.ndarray  # (d, r)
    key: jax.Array  # of the chains
    references: dict  # exact and prior samples (r, n)
    directions: np.ndarray  # (L, d)
    rest: np.ndarray  # (n, d), of which the part beyond the frame is used


def seed_of(key):
    return int(jax.random.bits(key))


def drawn(key, dim, measurements, noise):
    """The same for every noise level, up to the noise of the measurement."""
    seed = seed_of(key)
    frame = gt.problems.grid25_frame(dim, measurements, seed)
    target = gt.problems.grid25(dim, measurements, noise, seed, frame=frame)
    laws = {FLOOR: target.exact_posterior, CEILING: target.problem.prior}
    *keys, own = jax.random.split(key, 3)
    references = {
        name: np.asarray(law.sample(k, NUM)).T
        for k, (name, law) in zip(keys, laws.items(), strict=True)
    }
    rng = np.random.Generator(np.random.SFC64([seed, 1]))
    directions = rng.standard_normal((DIRECTIONS, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rest = rng.standard_normal((NUM, dim), dtype=np.float32)
    return Case(target, frame, own, references, directions, rest)


def chains(case, methods, num):
    """The outputs (r, n) of methods after `num` steps with one noise."""
    times = gt.time_grid(case.target.path, num, t_min=1e-3)

    def part(key):
        found = gt.sample_together(key, methods, case.target, times[:-1], NUM // 2)
        x = {name: samples.x for name, samples in found.items()}
        return jax.device_get(last_means(methods, case.target, x, *times[-2:]))

    return joined(by_two(part, jax.random.split(case.key)))


@jax.jit
def last_means(methods, target, x, t, s):
    """The means (n, r) of the last step from x (n, r), by name."""
    means = {
        n: lambda x, m=m: m.transition(target, x, t, s).mean for n, m in methods.items()
    }
    return {name: jax.vmap(means[name])(own) for name, own in x.items()}


def in_precision(case, seed, x64):
    """The outputs (r, n) of all methods with one noise, in double precision or single."""
    times = gt.time_grid(case.target.path, STEPS, t_min=1e-3)
    rng, shape = (
        np.random.Generator(np.random.SFC64([seed, 3])),
        (STEPS, NUM, case.frame.shape[1]),
    )
    noise = rng.standard_normal(shape, dtype=np.float32)
    dtype = np.float64 if x64 else np.float32

    def part(noise):
        given = METHODS, case.target, times, noise
        given = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), given)
        with jax.enable_x64(x64):
            return jax.device_get(from_noise(*given))

    return joined(by_two(part, np.array_split(noise, 2, axis=1)))


@jax.jit
def from_noise(methods, target, times, noise):
    """As `chains`, from noise (N, n, r), the start first."""

    def body(x, each):
        noise, t, s = each
        steps = {
            n: lambda z, x, m=m: m.transition(target, x, t, s).at(z)
            for n, m in methods.items()
        }
        return {
            name: jax.vmap(steps[name])(noise, own) for name, own in x.items()
        }, None

    start = dict.fromkeys(methods, target.path.sigma(times[0]) * noise[0])
    x = jax.lax.scan(body, start, (noise[1:], times[:-2], times[1:-1]))[0]
    return last_means(methods, target, x, *times[-2:])


def by_two(function, halves):
    """The function of both halves at once: a loop of XLA keeps one core busy."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, halves))


def joined(parts):
    """Halves (n, r) as (r, n) in double precision, by name."""
    return {n: np.concatenate([p[n] for p in parts]).T.astype(float) for n in parts[0]}


@functools.cache
def spread(name, num):
    """Standard deviation of every direction beyond the frame: N(0, 1), unguided."""
    kernel = gt.kernels.DDPM() if name == "DPS" else EULER
    prior = gt.GaussianMixture.isotropic([1.0], [[0.0]], 1.0)
    problem = gt.InverseProblem(prior, gt.Linear([[1.0]], 1.0), [0.0])
    target = gt.Target(problem, gt.problems.grid25(8, 1, 1.0, 0).path)
    method, times = gt.Guided(FREE, kernel), gt.time_grid(target.path, num, t_min=1e-3)
    law = gt.laws.affine(method, target, times[:-1])
    gain = method.transition(target, jnp.ones(1), *times[-2:]).mean  # of a linear step
    return float(jnp.abs(gain[0]) * jnp.sqrt(law.covariance()[0, 0]))


# --- the metric ---------------------------------------------------------------------


def distances(case, samples, beyond):
    """Sliced W1 of samples (r, n) and of the references along the directions, by name.

    Standard errors are those of `gt.divergences.sliced_wasserstein`, whose values these
    are: of the directions, and of the samples by the slope in their weights. Here one
    program serves every d and m.

    Args:
        case: the problem; its posterior has modes of one covariance.
        samples: (r, n) by name.
        beyond: standard deviation beyond the frame, by name.
    """
    posterior, theta = case.target.exact_posterior, case.directions
    inside = theta @ case.frame
    across = (theta - inside @ case.frame.T) @ case.rest.T  # (L, n)
    given = samples | case.references
    points = [inside @ x + beyond.get(name, 1.0) * across for name, x in given.items()]
    covariance = np.asarray(posterior.covariances()[0])
    variances = np.sum((inside @ covariance) * inside, axis=1)
    variances += np.clip(1.0 - np.sum(inside**2, axis=1), 0.0, None)
    weights = np.exp(np.asarray(posterior.log_weights))
    size = next(size for size in SIZES if np.sum(weights > DROPPED) <= size)
    kept = np.argsort(-weights)[:size]
    weights = weights[kept] / weights[kept].sum()
    means = inside @ np.asarray(posterior.means)[kept].T
    lines = np.stack(points, axis=1), means, variances
    halves = zip(*(np.array_split(each, 2) for each in lines), strict=True)
    parts = by_two(lambda half: jax.device_get(along_lines(weights, *half)), halves)
    cost, count = np.concatenate([part[0] for part in parts]), NUM
    slope = sum(part[1] for part in parts) / len(theta)
    variance = np.var(cost, axis=0, ddof=1) / len(theta)
    variance += count / (count - 1) * np.sum(slope**2, axis=1)
    numbers = given, cost.mean(axis=0), np.sqrt(variance)
    how = f"{count} samples, {len(theta)} directions"
    return {n: gt.Estimate(w1, e, how) for n, w1, e in zip(*numbers, strict=True)}


@jax.jit
def along_lines(weights, points, means, variances):
    """W1 on L lines (L, sets), and the sum of its slopes in log-weights (sets, n).

    Args:
        weights: (K,), of the posterior's modes.
        points: (L, sets, n), projected samples.
        means: (L, K), of the projected modes, with
        variances: (L,).
    """

    def along(total, projected):
        points, means, variance = projected
        law = gt.GaussianMixture.isotropic(weights, means[:, None], variance)

        def cost(log_weights, x):
            found = gt.divergences.line_wasserstein
            return found(x[:, None], law, p=1, log_weights=log_weights).value

        both = jax.vmap(jax.value_and_grad(cost), in_axes=(None, 0))
        cost, slope = both(jnp.zeros(points.shape[1]), points)
        return total + slope, cost

    lines = points, means, variances
    total, cost = jax.lax.scan(along, jnp.zeros(points.shape[1:]), lines)
    return cost, total


# --- what came out ------------------------------------------------------------------


@functools.cache
def published():
    """Mean, half-width and source by (dim, m, noise or "any", method)."""
    file = Path(__file__).parent / "published" / "tmpd_setting.csv"
    with open(file, encoding="utf-8", newline="") as opened:
        every = list(csv.DictReader(opened))
    names = [
        (int(r["dim"]), int(r["measurements"]), r["noise"], r["method"]) for r in every
    ]
    numbers = [(float(r["mean"]), float(r["half_width"]), r["source"]) for r in every]
    return dict(zip(names, numbers, strict=True))


def rows_of(store, experiment):
    """A row for every setting and method: the table itself, and all that is made of it."""
    cells, found = {}, []
    for one in gt.sweep.means(store.rows(experiment)):
        cells.setdefault(tuple(one.cell.values()), {})[one.metric] = one
    for (dim, m, *noise), metrics in cells.items():
        random = [("DPS", n, f"{n} steps") for n in (STEPS, FEW)]
        for method, steps, name in (
            [(n, STEPS, n) for n in METHODS] if noise else random
        ):
            ours, bad = metrics[name], metrics[f"{name}, not finite"]
            row = {"d": dim, "m": m, "noise": noise[0] if noise else "any"}
            row |= {"method": method, "steps": steps, "problems": ours.seeds}
            row |= {"sliced W1": ours.mean, "±": reach(ours), "floor": ours.floor}
            row |= {
                "ceiling": metrics[CEILING].mean,
                "not finite": bad.mean * bad.seeds,
            }
            if gap := metrics.get(f"{name} minus Exact"):
                row |= {"minus exact": gap.mean, "± of that": reach(gap)}
            found.append(row | beside(row))
    return found


def reach(one):
    """Half-width of the interval."""
    return 0.5 * (one.high - one.low)


def beside(row):
    """The published value for a row, if any, and whether the intervals meet."""
    name = row["d"], row["m"], str(row["noise"]), row["method"]
    if name not in published():
        return {}
    mean, half, source = published()[name]
    meet = abs(row["sliced W1"] - mean) <= row["±"] + half
    theirs = {"published": mean, "± published": half, "source": source}
    return theirs | {"meet": "yes" if meet else "no"}


def meetings(rows):
    """How many intervals meet the published one, by source, method and steps."""
    counted = {}
    for row in rows:
        if "meet" in row:
            name = row["source"], row["method"], row["steps"]
            counted.setdefault(name, []).append(row["meet"] == "yes")
    return {name: (sum(meet), len(meet)) for name, meet in counted.items()}


def rounding(store):
    """Of float32, by dimension and method, over all settings and problems.

    Problems, the largest |error| over its floor, the mean error over the mean floor with
    its standard error, the root mean square of errors over those of sampling, and the
    share of chains that end elsewhere.
    """
    found, values = {}, {}
    for row in store.rows(tmpd_float32):
        values.setdefault((row.cell["dim"], row.metric), []).append(
            (row.value, row.floor)
        )
    for dim, name in [place for place in values if place[1] in METHODS]:
        error, floor = np.asarray(values[dim, name]).T
        sampling, elsewhere = (
            np.asarray([value for value, _ in values[dim, f"{name}, {kind}"]])
            for kind in ("error of sampling", "chains elsewhere")
        )
        found[dim, name] = {
            "problems": len(error),
            "largest |error| / floor": np.max(np.abs(error) / floor),
            "mean error / mean floor": np.mean(error) / np.mean(floor),
            "±": np.std(error, ddof=1) / np.sqrt(len(error)) / np.mean(floor),
            "error / error of sampling": np.sqrt(np.mean((error / sampling) ** 2)),
            "chains elsewhere": np.mean(elsewhere),
        }
    return found


def claims(store):
    """Means of some cells, counts over all, and the error that float32 would have."""
    rows, random = rows_of(store, tmpd_setting), rows_of(store, tmpd_random_noise)
    found, cells = {}, {}
    for source, steps in dict.fromkeys((s, n) for s, _, n in meetings(rows + random)):
        each = [
            c for k, c in meetings(rows + random).items() if k[::2] == (source, steps)
        ]
        meet, count = map(sum, zip(*each, strict=True))
        found[f"intervals of {steps} steps that meet those of {source}, of {count}"] = (
            meet
        )
    for row in rows:
        cells.setdefault((row["d"], row["m"], row["noise"]), {})[row["method"]] = row
    w1 = {
        place: {n: row["sliced W1"] for n, row in c.items()}
        for place, c in cells.items()
    }
    nearest = [min(cell, key=cell.get) for cell in w1.values()]
    found["settings where exact guidance is nearest"] = nearest.count("Exact")
    found["samples that are not finite"] = sum(row["not finite"] for row in rows)
    for place in SHOWN:
        floor, ceiling = (cells[place]["Exact"][name] for name in ("floor", "ceiling"))
        shown = {n: w1[place][n] for n in METHODS} | {FLOOR: floor, CEILING: ceiling}
        shown[f"{FLOOR} minus Exact"] = floor - w1[place]["Exact"]
        text = "d = {}, m = {}, noise {:g}: ".format(*place)
        found |= {text + name: value for name, value in shown.items()}
    for row in random:
        text = (
            f"d = {row['d']}, m = {row['m']}, random noise: DPS, {row['steps']} steps"
        )
        found[text] = row["sliced W1"]
    for (dim, name), row in rounding(store).items():
        place = f"float32, d = {dim}, {name}"
        found[f"{place}: largest error over the floor"] = row["largest |error| / floor"]
        found[f"{place}: chains elsewhere"] = row["chains elsewhere"]
        if name == "DPS" and row["±"]:
            z = row["mean error / mean floor"] / row["±"]
            found[f"{place}: mean error over its error"] = z
    return {name: float(value) for name, value in found.items()}


def tables(store):
    """Every setting and method; which intervals meet; float32."""
    rows, random = rows_of(store, tmpd_setting), rows_of(store, tmpd_random_noise)
    meet = [
        {"source": source, "method": name, "steps": n, "meet": meet, "of": count}
        for (source, name, n), (meet, count) in meetings(rows + random).items()
    ]
    checked = [
        {"d": dim, "method": method, **{k: float(f"{v:.3g}") for k, v in row.items()}}
        for (dim, method), row in rounding(store).items()
    ]
    differ = [{"source": s, "differs in": text} for s, text in DIFFERENT.items()]
    return {
        "Sliced W1 to the exact posterior, with 95 % intervals over problems": rows,
        "DPS with random noise, beside Cardoso et al., whose table is of 20 steps": random,
        "How many intervals meet the published ones": meet,
        "Why published values need not agree": differ,
        "Error that float32 would have, over all m and noise levels": checked,
    }


def figures(store):
    """All settings, a panel a dimension; DPS by number of steps, beside the published."""
    rows, random = rows_of(store, tmpd_setting), rows_of(store, tmpd_random_noise)
    dims = dict.fromkeys(row["d"] for row in rows)
    panels = {f"d = {dim}": [row for row in rows if row["d"] == dim] for dim in dims}
    noise = "noise U(0, 1) times the norm of A"
    return {"tmpd_table": draw(panels), "tmpd_steps": draw({noise: random})}


@gt.plotting.styled
def draw(panels):
    """A panel a title, a mark a row; published values are pale, beside ours."""
    drawn = gt.plotting.figure(height=3.2)
    found = drawn.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, rows) in zip(found, panels.items(), strict=True):
        levels = {"{d}, {m}, {noise}".format(**row): row for row in rows}
        cells, place = list(levels), np.arange(len(levels))
        for name, level, style in ((CEILING, "ceiling", ":"), (FLOOR, "floor", "--")):
            values = [row[level] for row in levels.values()]
            axes.step(place, values, where="mid", color="0.6", ls=style, label=name)
        kinds = list(dict.fromkeys((row["method"], row["steps"]) for row in rows))
        for i, (name, steps) in enumerate(kinds):
            ours = [r for r in rows if (r["method"], r["steps"]) == (name, steps)]
            shift, look = (
                0.15 * (i - 0.5 * len(kinds)),
                {"color": gt.plotting.colour(name)},
            )
            label = "exact guidance" if name == "Exact" else f"{name}, {steps} steps"
            y, error = ([row[key] for row in ours] for key in ("sliced W1", "±"))
            look |= {
                "ls": "",
                "marker": gt.plotting.marker(name) if steps == STEPS else "x",
            }
            axes.errorbar(place + shift, y, error, label=label, ms=3, **look)
            known = [
                (x + shift + 0.07, row) for x, row in zip(place, ours, strict=True)
            ]
            for x, row in [(x, row) for x, row in known if "published" in row]:
                theirs = row["published"], row["± published"]
                axes.errorbar(x, *theirs, ms=6, alpha=0.45, **(look | {"marker": "_"}))
        axes.set(yscale="log", title=title, ylim=(0.01, 20.0))
        axes.set_xlabel("d, measurements, noise")
        axes.set_xticks(place, cells, rotation=60)
        axes.grid(True, axis="y")
    found[0].set_ylabel("sliced $W_1$ (pale: published)")
    handles, labels = found[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return drawn
