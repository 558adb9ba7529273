r"""The TMPD setting: five methods on the 25-mode mixture, beside published values.

d = 8, 80, 800 with m = 1, 2, 4 measurements and noise 0.01, 0.1, 1; VP from 0.1 to 25, 1000
Euler-Maruyama steps whose last returns the mean, 1000 samples, 20 problems (Boys et al.,
TMLR 2024, arXiv:2310.06721). Sliced W1 to the exact posterior over 100 directions, with
exact samples as the floor and prior samples as the ceiling. All methods of a problem share
its noise, directions and samples beyond the frame. Exact, TMPD and PiGDM are fields under
Euler-Maruyama; DPS is the published update with Cardoso's step 0.1; ZetaDPS (0.3) is its
consistent counterpart, a field. Published values were made with other schedules, step
counts and numbers of problems: Dowling (2024), and Cardoso et al. (ICLR 2024,
arXiv:2308.07983), whose noise level is random, one a problem.

Everything happens in the r = m + 2 dimensions of a frame; beyond it all is an independent
Gaussian. Chains run in float32: `tmpd_float32` shows what that costs, which is most for DPS
and ZetaDPS, whose guidance over the norm of the residual amplifies roundings. The methods
are written out here, with the particles as last axis and products with the (25, r) means.
`gt.sample`, whose steps these are (a test compares them in all d dimensions, to 1e-9), took
13 to 18 seconds of processor time a problem in the same frame and precision, for 0.8 to 1.1
here: more than two hours for the table instead of nine minutes.
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
PROBLEMS, NUM, STEPS, DIRECTIONS = 20, 1000, 1000, 100
ZETA_STEP, ZETA = 0.1, 0.3
DROPPED = 1e-12  # posterior weight of modes that the metric leaves out
SIZES = (4, 10, 25)  # modes that it keeps: one program each
CHECKED = {  # what is computed in both precisions
    "d = 8, m = 1, noise 0.01": (8, 1, 0.01),
    "d = 8, m = 4, noise 0.01": (8, 4, 0.01),
    "d = 8, m = 4, noise 0.1": (8, 4, 0.1),
    "d = 800, m = 4, noise 1.0": (800, 4, 1.0),
}
SHOWN = (8, 4, 0.1), (80, 2, 0.1), (800, 1, 0.01)
METHODS = {
    "Exact": gt.Guided(gt.approximations.Exact(), gt.kernels.EulerMaruyama()),
    "TMPD": gt.Guided(gt.approximations.TMPD(), gt.kernels.EulerMaruyama()),
    "PiGDM": gt.Guided(gt.approximations.PiGDM(), gt.kernels.EulerMaruyama()),
    "DPS": gt.Guided(gt.approximations.Unguided(), gt.kernels.DPSUpdate(ZETA_STEP)),
    "ZetaDPS": gt.Guided(gt.approximations.ZetaDPS(ZETA), gt.kernels.EulerMaruyama()),
}
FLOOR, CEILING = "exact samples", "prior samples"


@gt.experiment(
    grid={"dim": DIMS, "measurements": MEASUREMENTS, "noise": NOISES},
    seeds=PROBLEMS,
    paired="noise",
)
def tmpd_setting(key, dim, measurements, noise):
    """Sliced W1 of every method on one problem."""
    case = drawn(key, dim, measurements, noise)
    found, bad = measured(case, np.float32)
    floor, exact = found[FLOOR].value, found["Exact"].value
    metrics = {name: gt.sweep.Measured(w1, floor) for name, w1 in found.items()}
    metrics |= {f"{name} minus Exact": w1.value - exact for name, w1 in found.items()}
    return metrics | {f"{name}, not finite": bad[name] for name in METHODS}


@gt.experiment(grid={"setting": CHECKED}, seeds=5)
def tmpd_float32(key, setting):
    """|W1 in float32 - W1 in float64|, of the same noise."""
    case = drawn(key, *CHECKED[setting])
    single, double = (measured(case, dtype)[0] for dtype in (np.float32, np.float64))
    floor = double[FLOOR].value
    return {
        name: gt.sweep.Measured(abs(single[name].value - double[name].value), floor)
        for name in METHODS
    }


class Case(NamedTuple):
    """A problem with all that is random: in the frame, and beyond it."""

    target: gt.Target  # in the r coordinates of
    frame: np.ndarray  # (d, r)
    references: dict  # exact and prior samples (r, n)
    noise: np.ndarray  # (N + 1, r, n), the start first; float32, so that
    directions: np.ndarray  # (L, d)    both precisions can have it
    rest: np.ndarray  # (n, d), of which the part beyond the frame is used


def drawn(key, dim, measurements, noise):
    """The same for every noise level, up to the noise of the measurement."""
    seed = int(jax.random.bits(key))
    frame = gt.problems.grid25_frame(dim, measurements, seed)
    target = gt.problems.grid25(dim, measurements, noise, seed, frame=frame)
    laws = {FLOOR: target.exact_posterior, CEILING: target.problem.prior}
    keys = jax.random.split(key)
    samples = [law.sample(k, NUM) for k, law in zip(keys, laws.values(), strict=True)]
    rng = np.random.Generator(np.random.SFC64([seed, 1]))
    noises = rng.standard_normal((STEPS + 1, frame.shape[1], NUM), dtype=np.float32)
    directions = rng.standard_normal((DIRECTIONS, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rest = rng.standard_normal((NUM, dim), dtype=np.float32)
    references = {name: np.asarray(x).T for name, x in zip(laws, samples, strict=True)}
    return Case(target, frame, references, noises, directions, rest)


def measured(case, dtype):
    """Sliced W1 as estimates, and numbers of samples that are not finite, by name."""
    path = case.target.path
    steps = steps_of(path, gt.time_grid(path, STEPS, t_min=1e-3))
    given = problem_of(case.target), steps
    given = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), given)

    def outputs(noise):
        return jax.device_get(simulate(*given, noise.astype(dtype)))

    parts = by_two(outputs, np.array_split(case.noise, 2, axis=2))
    samples = {
        name: np.concatenate([part[name] for part in parts], axis=1).astype(np.float64)
        for name in METHODS
    }
    samples |= case.references
    beyond = {FLOOR: 1.0, CEILING: 1.0, "DPS": spread_beyond(steps, steps.ddpm)}
    euler = spread_beyond(steps, steps.euler)
    scales = {name: beyond.get(name, euler) for name in samples}
    posterior = case.target.exact_posterior
    parts = case.frame, case.directions, samples, case.rest, scales
    bad = {
        name: int(np.sum(~np.isfinite(x).all(axis=0))) for name, x in samples.items()
    }
    return distances(posterior, *parts), bad


def by_two(function, halves):
    """The function of both halves at once: a loop of XLA keeps one core busy."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, halves))


# --- five samplers at once ----------------------------------------------------------


class Problem(NamedTuple):
    """A problem in r coordinates: K modes of variance 1, y = A x + noise."""

    means: jax.Array  # (K, r)
    A: jax.Array  # (m, r)
    variance: jax.Array  # (), of the noise
    y: jax.Array  # (m,)
    left: jax.Array  # (m, m), and
    squares: jax.Array  # (m,): A A^T = left diag(squares) left^T
    axes: jax.Array  # (r, r), of the posterior's modes, with
    spectrum: jax.Array  # (r,) their variances there
    centre: jax.Array  # (r,), the posterior's mean
    modes: jax.Array  # (K, r), along the axes, from the centre
    log_weights: jax.Array  # (K,), of the posterior's modes


class Step(NamedTuple):
    """One time t of the grid: scales, and the coefficients of both kernels, all ()."""

    alpha: jax.Array
    sigma: jax.Array
    euler: tuple  # of x, of M, of the noise
    ddpm: tuple


def problem_of(target):
    """The arrays of a target whose prior has equal weights and variance 1."""
    problem, posterior = target.problem, target.exact_posterior
    A, R, centre = problem.measurement.A, problem.measurement.R, posterior.mean()
    squares, left = np.linalg.eigh(np.asarray(A @ A.T))
    spectrum, axes = np.linalg.eigh(np.asarray(posterior.covariances()[0]))
    modes = (posterior.means - centre[None]) @ axes
    seen = problem.prior.means, A, R[0, 0], problem.y, left, squares
    return Problem(*seen, axes, spectrum, centre, modes, posterior.log_weights)


def steps_of(path, times):
    """Every step of the grid, (N,) each."""
    t, s = times[:-1], times[1:]
    alpha, sigma, delta = path.alpha(t), path.sigma(t), t - s
    g2 = path.diffusion_squared(t)
    pull = delta * g2 / sigma**2
    euler = 1.0 - delta * path.drift(t) - pull, pull * alpha, jnp.sqrt(g2 * delta)
    fresh = -jnp.expm1(path.log_snr(t) - path.log_snr(s))
    keep = alpha / path.alpha(s) * (path.sigma(s) / sigma) ** 2
    ddpm = keep, path.alpha(s) * fresh, path.sigma(s) * jnp.sqrt(fresh)
    return Step(alpha, sigma, euler, ddpm)


@jax.jit
def simulate(p, steps, noise):
    """The outputs (r, n) of all methods with common noise (N + 1, r, n), start first."""
    start = dict.fromkeys(METHODS, steps.sigma[0] * noise[0])
    last = jnp.arange(len(noise) - 1) == len(noise) - 2

    def body(x, each):
        return advance(x, each[0], p, *each[1:]), None

    return jax.lax.scan(body, start, (noise[1:], steps, last))[0]


def advance(x, noise, p, step, final):
    """The next states (r, n) of all methods, with one noise; the means if `final`."""
    alpha, sigma = step.alpha, step.sigma
    noise = jnp.where(final, 0.0, noise)
    fields = {"Exact": exact(x["Exact"], p, alpha, sigma)}
    for name, dual_of in (("TMPD", tmpd), ("PiGDM", pigdm), ("ZetaDPS", zeta)):
        mean, product, share = denoised(x[name], p, alpha, sigma)
        dual = dual_of(p.y[:, None] - p.A @ mean, p, share, sigma**2, alpha**2)
        fields[name] = mean + product(p.A.T @ dual)
    keep, pull, scale = step.euler
    new = {
        name: keep * x[name] + pull * M + scale * noise for name, M in fields.items()
    }
    mean, product, _ = denoised(x["DPS"], p, alpha, sigma)
    dual = 2.0 * ZETA_STEP * unit(p.y[:, None] - p.A @ mean)
    keep, pull, scale = step.ddpm
    new["DPS"] = keep * x["DPS"] + pull * mean + scale * noise
    new["DPS"] += alpha / sigma**2 * product(p.A.T @ dual)
    return {name: new[name] for name in x}


def shares(log_terms):
    """Over the first axis; every exponential once."""
    terms = jnp.exp(log_terms - jnp.max(log_terms, axis=0, keepdims=True))
    return terms / jnp.sum(terms, axis=0, keepdims=True)


def exact(x, p, alpha, sigma):
    """E[x0 | x_t, y], (r, n)."""
    z = p.axes.T @ (x - alpha * p.centre[:, None])
    variance = (alpha**2 * p.spectrum + sigma**2)[:, None]
    heights = p.log_weights - 0.5 * alpha**2 * (p.modes**2 @ (1.0 / variance[:, 0]))
    share = shares(heights[:, None] + alpha * (p.modes @ (z / variance)))
    mean = alpha * p.spectrum[:, None] * z + sigma**2 * (p.modes.T @ share)
    return p.centre[:, None] + p.axes @ (mean / variance)


def denoised(x, p, alpha, sigma):
    """E[x0 | x_t] (r, n), products with Cov[x0 | x_t], and the modes' shares (K, n)."""
    total = alpha**2 + sigma**2
    height = 0.5 * alpha**2 * jnp.sum(p.means**2, axis=1)
    share = shares((alpha * (p.means @ x) - height[:, None]) / total)
    width = sigma**2 / total

    def product(vector):
        along = p.means @ vector
        along = share * (along - jnp.sum(share * along, axis=0, keepdims=True))
        return width * vector + width**2 * (p.means.T @ along)

    return alpha / total * x + width * (p.means.T @ share), product, share


def tmpd(residual, p, share, sigma2, alpha2):
    """(R + A C A^T)^{-1} r, with the m x m systems written out."""
    width, m = sigma2 / (alpha2 + sigma2), len(p.y)
    seen = p.means @ p.A.T  # (K, m)
    gaps = [seen[:, i, None] - (seen[:, i] @ share)[None] for i in range(m)]
    fixed = width * (p.A @ p.A.T) + p.variance * jnp.eye(m, dtype=seen.dtype)
    S = {
        (i, j): fixed[i, j] + width**2 * jnp.sum(share * gaps[i] * gaps[j], axis=0)
        for i in range(m)
        for j in range(i, m)
    }
    r = list(residual)
    for k in range(m):  # symmetric elimination, then back
        for i in range(k + 1, m):
            factor = S[k, i] / S[k, k]
            r[i] = r[i] - factor * r[k]
            for j in range(i, m):
                S[i, j] = S[i, j] - factor * S[k, j]
    for k in reversed(range(m)):
        r[k] = (r[k] - sum(S[k, j] * r[j] for j in range(k + 1, m))) / S[k, k]
    return jnp.stack(r)


def pigdm(residual, p, share, sigma2, alpha2):
    """(R + r_t^2 A A^T)^{-1} r."""
    r2 = sigma2 / (alpha2 + sigma2)
    return p.left @ ((p.left.T @ residual) / (p.variance + r2 * p.squares)[:, None])


def zeta(residual, p, share, sigma2, alpha2):
    """2 zeta r / |r|."""
    return 2.0 * ZETA * unit(residual)


def unit(residual):
    """r / |r|, a norm for every particle, and 0 at 0."""
    square = jnp.sum(residual**2, axis=0, keepdims=True)
    return residual / jnp.sqrt(jnp.where(square > 0, square, 1.0))


def spread_beyond(steps, kernel):
    """Standard deviation of every direction beyond the frame: N(0, 1) unguided."""
    keep, pull, scale = (np.asarray(each) for each in kernel)
    alpha, sigma = np.asarray(steps.alpha), np.asarray(steps.sigma)
    gain = keep + pull * alpha / (alpha**2 + sigma**2)
    added = np.append(scale[:-1] ** 2, 0.0)  # the last step returns the mean
    variance = sigma[0] ** 2
    for factor, noise in zip(gain, added, strict=True):
        variance = factor**2 * variance + noise
    return float(np.sqrt(variance))


# --- the metric ---------------------------------------------------------------------


def distances(posterior, frame, theta, samples, rest, beyond):
    """Sliced W1 of every set along directions theta (L, d), by name.

    Standard errors are those of `gt.divergences.sliced_wasserstein`, whose values these
    are: of the directions, and of the samples by the slope in their weights. Here one
    program serves every d and m.

    Args:
        posterior: of dimension r, its modes of one covariance; 1 beyond the frame.
        frame: (d, r).
        samples: (r, n) by name.
        rest: (n, d) standard normal, of which the part beyond the frame is used.
        beyond: standard deviation there, by name.
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
    lines = np.stack(points, axis=1), means, variances
    halves = zip(*(np.array_split(each, 2) for each in lines), strict=True)
    parts = by_two(lambda half: jax.device_get(along_lines(weights, *half)), halves)
    cost = np.concatenate([part[0] for part in parts])
    slope = sum(part[1] for part in parts) / len(theta)
    count = len(rest)
    variance = np.var(cost, axis=0, ddof=1) / len(theta)
    variance += count / (count - 1) * np.sum(slope**2, axis=1)
    how = f"{count} samples, {len(theta)} directions"
    numbers = cost.mean(axis=0), np.sqrt(variance)
    return {
        name: gt.Estimate(value, stderr, how)
        for name, value, stderr in zip(samples, *numbers, strict=True)
    }


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


def means(store):
    """Mean and interval over problems of every metric, by (dim, m, noise) and name."""
    found = {}
    for one in gt.sweep.means(store.rows(tmpd_setting)):
        found.setdefault(tuple(one.cell.values()), {})[one.metric] = one
    return found


def reach(one):
    """Half-width of the interval."""
    return 0.5 * (one.high - one.low)


@functools.cache
def published():
    """Mean, half-width and source by (dim, m, noise or "any", method)."""
    file = Path(__file__).parent / "published" / "tmpd_setting.csv"
    with open(file, encoding="utf-8", newline="") as opened:
        return {
            (int(r["dim"]), int(r["measurements"]), r["noise"], r["method"]): (
                float(r["mean"]),
                float(r["half_width"]),
                r["source"],
            )
            for r in csv.DictReader(opened)
        }


def beside(cell, method, ours):
    """The published mean, half-width and source, and whether the intervals meet."""
    *place, noise = cell
    known = published().get((*place, str(noise), method))
    known = known or published().get((*place, "any", method))
    if known is None:
        return None
    return *known, bool(abs(ours.mean - known[0]) <= reach(ours) + known[1])


def meetings(found):
    """Whether our interval meets the published one, by source and method, in lists."""
    counted = {}
    for cell, metrics in found.items():
        for method in METHODS:
            theirs = beside(cell, method, metrics[method])
            if theirs:
                counted.setdefault((theirs[2], method), []).append(theirs[3])
    return counted


def lost(found):
    """Number of samples that are not finite, of all problems and methods."""
    each = [c[f"{name}, not finite"] for c in found.values() for name in METHODS]
    return sum(one.mean * one.seeds for one in each)


def claims(store):
    """Means of some cells, counts over all, and the error of float32."""
    table, counts = means(store), {}
    for (source, _), meet in meetings(table).items():
        counts.setdefault(f"intervals that meet those of {source}", []).extend(meet)
    found = {f"{name}, of {len(meet)}": sum(meet) for name, meet in counts.items()}
    smallest = [min(METHODS, key=lambda n, c=c: c[n].mean) for c in table.values()]
    found["settings where exact guidance is nearest"] = smallest.count("Exact")
    found["samples that are not finite"] = lost(table)
    for dim, m, noise in SHOWN:
        place, cell = f"d = {dim}, m = {m}, noise {noise:g}", table[dim, m, noise]
        for name in (*METHODS, FLOOR, CEILING, f"{FLOOR} minus Exact"):
            found[f"{place}: {name}"] = cell[name].mean
    rows = store.rows(tmpd_float32)
    for name in METHODS:
        ratios = [row.value / row.floor for row in rows if row.metric == name]
        found[f"float32: largest error over the floor, {name}"] = max(ratios)
    return {name: float(value) for name, value in found.items()}


def tables(store):
    """Every setting and method; which intervals meet; float32; what it took."""
    found, rows = means(store), []
    for cell, metrics in found.items():
        for method in METHODS:
            ours, gap = metrics[method], metrics[f"{method} minus Exact"]
            bad = metrics[f"{method}, not finite"]
            theirs = beside(cell, method, ours)
            row = dict(zip(("d", "m", "noise"), cell, strict=True))
            row |= {"method": method, "sliced W1": ours.mean, "±": reach(ours)}
            row |= {"floor": ours.floor, "ceiling": metrics[CEILING].mean}
            row |= {"minus exact": gap.mean, "± of that": reach(gap)}
            row |= {"not finite": round(bad.mean * bad.seeds)}
            if theirs:
                row |= {"published": theirs[0], "± published": theirs[1]}
                row |= {"source": theirs[2], "meet": "yes" if theirs[3] else "no"}
            rows.append(row)
    meet = [
        {"source": source, "method": method, "meet": sum(each), "of": len(each)}
        for (source, method), each in meetings(found).items()
    ]
    checked = [
        {**one.cell, "method": one.metric, "mean error": one.mean, "floor": one.floor}
        for one in gt.sweep.means(store.rows(tmpd_float32))
    ]
    return {
        "Sliced W1 to the exact posterior, with 95 % intervals over problems": rows,
        "How many intervals meet the published ones": meet,
        "Error of float32": checked,
        "What it took": [took(store)],
    }


def took(store):
    """Seconds of all problems, as they were stored."""
    seconds = {
        (tuple(row.cell.values()), row.seed): (row.wall_seconds, row.compile_seconds)
        for row in store.rows(tmpd_setting)
    }
    wall, compiling = map(sum, zip(*seconds.values(), strict=True))
    return {"problems": len(seconds), "seconds": wall, "compiling": compiling}


def figures(store):
    """All settings, a panel a dimension."""
    return {"tmpd_table": draw(means(store))}


@gt.plotting.styled
def draw(found):
    drawn = gt.plotting.figure(height=3.2)
    dims = list(dict.fromkeys(cell[0] for cell in found))
    panels = drawn.subplots(1, len(dims), sharey=True, squeeze=False)[0]
    for axes, dim in zip(panels, dims, strict=True):
        cells = [cell for cell in found if cell[0] == dim]
        place = np.arange(len(cells))
        for name, line in ((CEILING, ":"), (FLOOR, "--")):
            values = [found[cell][name].mean for cell in cells]
            axes.step(place, values, where="mid", color="0.6", ls=line, label=name)
        for i, name in enumerate(METHODS):
            shift = 0.13 * (i - 2)
            ours = [found[cell][name] for cell in cells]
            look = {"color": gt.plotting.colour(name), "ls": "", "ms": 3}
            axes.errorbar(
                place + shift,
                [one.mean for one in ours],
                [reach(one) for one in ours],
                marker=gt.plotting.marker(name),
                label="exact guidance" if name == "Exact" else name,
                **look,
            )
            theirs = map(beside, cells, [name] * len(cells), ours)
            heights = [np.nan if one is None else one[0] for one in theirs]
            axes.plot(place + shift, heights, marker="_", **look | {"ms": 6})
        axes.set(yscale="log", title=f"d = {dim}", ylim=(0.01, 20.0))
        axes.set_xticks(
            place, [f"{m}, {noise:g}" for _, m, noise in cells], rotation=60
        )
        axes.set_xlabel("measurements, noise")
        axes.grid(True, axis="y")
    panels[0].set_ylabel("sliced $W_1$ (bars: published)")
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return drawn
