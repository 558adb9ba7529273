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
The methods are written out here, with the particles as last axis and products with the
(25, r) means. `gt.sample`, whose steps these are (a test compares them in all d dimensions,
to 1e-9), took more than ten times as long in the same frame and precision.
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
ZETA_STEP, ZETA, T_MIN = 0.1, 0.3, 1e-3
DROPPED = 1e-12  # posterior weight of modes that the metric leaves out
SIZES = (4, 10, 25)  # modes that it keeps: one program each
ELSEWHERE = 1.0  # apart, a chain in two precisions: the width of a mode of the prior
FEW = 20  # steps of Cardoso et al.
SHOWN = (8, 4, 0.1), (80, 2, 0.1), (800, 1, 0.01)
METHODS = {
    "Exact": gt.Guided(gt.approximations.Exact(), gt.kernels.EulerMaruyama()),
    "TMPD": gt.Guided(gt.approximations.TMPD(), gt.kernels.EulerMaruyama()),
    "PiGDM": gt.Guided(gt.approximations.PiGDM(), gt.kernels.EulerMaruyama()),
    "DPS": gt.Published(gt.approximations.ZetaDPS(ZETA_STEP)),
    "ZetaDPS": gt.Guided(gt.approximations.ZetaDPS(ZETA), gt.kernels.EulerMaruyama()),
}
FLOOR, CEILING = "exact samples", "prior samples"
DIFFERENT = [  # from what is done here
    {"source": "Dowling 2024", "differs in": text}
    for text in ("VP from 0.01 to 20", "5 problems, others than these")
] + [
    {"source": "Cardoso et al. 2024", "differs in": text}
    for text in (
        "20 steps",
        "weights of the modes: squares of normal numbers, one draw a problem",
        "betas that decrease, from 0.02 to 1e-4, in 999 steps of which 20 are kept",
        "20 problems, others than these",
    )
]


@gt.experiment(
    grid={"dim": DIMS, "measurements": MEASUREMENTS, "noise": NOISES},
    seeds=PROBLEMS,
    paired="noise",
)
def tmpd_setting(key, dim, measurements, noise):
    """Sliced W1 of every method on one problem."""
    case = drawn(key, dim, measurements, noise)
    samples = outputs(case, np.float64)
    found = scored(case, samples, np.float64)
    floor, exact = found[FLOOR].value, found["Exact"].value
    metrics = {name: gt.sweep.Measured(w1, floor) for name, w1 in found.items()}
    metrics |= {f"{name} minus Exact": w1.value - exact for name, w1 in found.items()}
    bad = {n: np.sum(~np.isfinite(x).all(axis=0)) for n, x in samples.items()}
    return metrics | {f"{name}, not finite": float(n) for name, n in bad.items()}


@gt.experiment(
    grid={"dim": DIMS, "measurements": MEASUREMENTS, "noise": NOISES},
    seeds=3,
    paired="noise",
)
def tmpd_float32(key, dim, measurements, noise):
    """W1 in float32 - W1 in float64, and the chains that went elsewhere, of one noise."""
    case = drawn(key, dim, measurements, noise)
    single, double = (outputs(case, dtype) for dtype in (np.float32, np.float64))
    w1, reference = scored(case, single, np.float32), scored(case, double, np.float64)
    floor, metrics = reference[FLOOR].value, {}
    for name in METHODS:
        error = w1[name].value - reference[name].value
        metrics[name] = gt.sweep.Measured(error, floor)
        metrics[f"{name}, error of sampling"] = float(reference[name].stderr)
        apart = np.linalg.norm(single[name] - double[name], axis=0)
        metrics[f"{name}, chains elsewhere"] = float(np.mean(apart > ELSEWHERE))
    return metrics


@gt.experiment(grid={"dim": DIMS, "measurements": MEASUREMENTS}, seeds=PROBLEMS)
def tmpd_random_noise(key, dim, measurements):
    """DPS where the noise is U(0, 1) times the largest singular value of A."""
    seed = int(jax.random.bits(key))
    frame = gt.problems.grid25_frame(dim, measurements, seed)
    A = gt.problems.grid25(
        dim, measurements, 1.0, seed, frame=frame
    ).problem.measurement.A
    share = np.random.default_rng([seed, 2]).uniform()
    case = drawn(key, dim, measurements, share * np.linalg.norm(A, 2))
    samples = {n: outputs(case, np.float64, n)["DPS"] for n in (STEPS, FEW)}
    found = scored(case, samples, np.float64)
    metrics = {
        n if isinstance(n, str) else f"{n} steps": gt.sweep.Measured(w1, found[FLOOR])
        for n, w1 in found.items()
    }
    bad = {n: np.sum(~np.isfinite(x).all(axis=0)) for n, x in samples.items()}
    return metrics | {f"{n} steps, not finite": float(b) for n, b in bad.items()}


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


def outputs(case, dtype, num=None):
    """The outputs (r, n) of every method after `num` steps in this precision."""
    path, num = case.target.path, num or STEPS
    steps = steps_of(path, gt.time_grid(path, num, t_min=T_MIN))
    given = problem_of(case.target), steps
    given = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), given)

    def simulated(noise):
        return jax.device_get(simulate(*given, noise.astype(dtype)))

    parts = by_two(simulated, np.array_split(case.noise[: num + 1], 2, axis=2))
    return {
        name: np.concatenate([part[name] for part in parts], axis=1).astype(np.float64)
        for name in METHODS
    }


def scored(case, samples, dtype):
    """Sliced W1 of the outputs of chains in this precision, and of the references.

    Args:
        case: the problem.
        samples: (r, n) by name of a method; a number of steps is a name of DPS.
        dtype: of the chains: the metric itself is in double precision.
    """
    nums = {name: STEPS if name in METHODS else name for name in samples}
    spreads = {num: spreads_beyond(case.target.path, num) for num in set(nums.values())}
    beyond = {name: spreads[num][name in ("DPS", num)] for name, num in nums.items()}
    beyond |= {FLOOR: 1.0, CEILING: 1.0}
    posterior, given = case.target.exact_posterior, samples | case.references
    parts = case.frame, case.directions, given, case.rest, beyond
    found = distances(posterior, *parts)
    chains = f", chains in {np.dtype(dtype).name}"
    return {
        name: gt.Estimate(w1.value, w1.stderr, w1.how + chains * (name in samples))
        for name, w1 in found.items()
    }


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


def spreads_beyond(path, num):
    """Of Euler-Maruyama and of DDPM after so many steps."""
    steps = steps_of(path, gt.time_grid(path, num, t_min=T_MIN))
    return [spread_beyond(steps, kernel) for kernel in (steps.euler, steps.ddpm)]


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


def means(store, experiment=None):
    """Mean and interval over problems of every metric, by the labels and its name."""
    found = {}
    experiment = experiment or tmpd_setting
    for one in gt.sweep.means(store.frame(experiment)).itertuples():
        cell = tuple(getattr(one, label) for label in experiment.grid)
        found.setdefault(cell, {})[one.metric] = one
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


def beside(dim, m, noise, method, ours):
    """The published mean, half-width and source, and whether the intervals meet."""
    known = published().get((dim, m, str(noise), method))
    if known is None:
        return None
    return *known, bool(abs(ours.mean - known[0]) <= reach(ours) + known[1])


def meetings(store):
    """Whether our interval meets the published one, in lists, by what is compared."""
    counted = {}
    for cell, metrics in means(store).items():
        for method in METHODS:
            theirs = beside(*cell, method, metrics[method])
            if theirs:
                counted.setdefault((theirs[2], method, STEPS), []).append(theirs[3])
    for cell, metrics in means(store, tmpd_random_noise).items():
        for steps in (STEPS, FEW):
            theirs = beside(*cell, "any", "DPS", metrics[f"{steps} steps"])
            if theirs:
                counted.setdefault((theirs[2], "DPS", steps), []).append(theirs[3])
    return counted


def lost(found):
    """Number of samples that are not finite, of all problems and methods."""
    each = [c[f"{name}, not finite"] for c in found.values() for name in METHODS]
    return sum(one.mean * one.seeds for one in each)


def rounding(store):
    """Of float32, by dimension and method, over all settings and problems.

    Problems, the largest |error| over its floor, the mean error over the mean floor with
    its standard error, the root mean square of errors over those of sampling, and the
    share of chains that end elsewhere.
    """
    kinds = "", ", error of sampling", ", chains elsewhere"
    found = {}
    for dim in DIMS:
        rows = [r for r in store.rows(tmpd_float32) if r.cell["dim"] == dim]
        for name in METHODS if rows else ():
            error, sampling, elsewhere = (
                np.asarray([r.value for r in rows if r.metric == name + kind])
                for kind in kinds
            )
            floor = np.asarray([r.floor for r in rows if r.metric == name])
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
    table, counts = means(store), {}
    for (source, _, steps), meet in meetings(store).items():
        name = f"intervals of {steps} steps that meet those of {source}"
        counts.setdefault(name, []).extend(meet)
    found = {f"{name}, of {len(meet)}": sum(meet) for name, meet in counts.items()}
    smallest = [min(METHODS, key=lambda n, c=c: c[n].mean) for c in table.values()]
    found["settings where exact guidance is nearest"] = smallest.count("Exact")
    found["samples that are not finite"] = lost(table)
    for dim, m, noise in SHOWN:
        place, cell = f"d = {dim}, m = {m}, noise {noise:g}", table[dim, m, noise]
        for name in (*METHODS, FLOOR, CEILING, f"{FLOOR} minus Exact"):
            found[f"{place}: {name}"] = cell[name].mean
    for (dim, m), cell in means(store, tmpd_random_noise).items():
        for steps in (STEPS, FEW):
            name = f"d = {dim}, m = {m}, random noise: DPS, {steps} steps"
            found[name] = cell[f"{steps} steps"].mean
    for (dim, name), row in rounding(store).items():
        place = f"float32, d = {dim}, {name}"
        found[f"{place}: largest error over the floor"] = row["largest |error| / floor"]
        found[f"{place}: chains elsewhere"] = row["chains elsewhere"]
        if name == "DPS" and row["±"]:
            z = row["mean error / mean floor"] / row["±"]
            found[f"{place}: mean error over its error"] = z
    return {name: float(value) for name, value in found.items()}


def line_of(ours, metrics, bad, theirs):
    """What every row says of a method in a setting."""
    row = {"sliced W1": ours.mean, "±": reach(ours), "problems": ours.seeds}
    row |= {"floor": ours.floor, "ceiling": metrics[CEILING].mean}
    row |= {"not finite": round(bad.mean * bad.seeds)}
    if theirs:
        row |= {"published": theirs[0], "± published": theirs[1]}
        row |= {"source": theirs[2], "meet": "yes" if theirs[3] else "no"}
    return row


def tables(store):
    """Every setting and method; which intervals meet; float32; what it took."""
    rows, random = [], []
    for cell, metrics in means(store).items():
        for method in METHODS:
            ours, gap = metrics[method], metrics[f"{method} minus Exact"]
            row = dict(zip(("d", "m", "noise"), cell, strict=True)) | {"method": method}
            theirs = beside(*cell, method, ours)
            row |= line_of(ours, metrics, metrics[f"{method}, not finite"], theirs)
            rows.append(row | {"minus exact": gap.mean, "± of that": reach(gap)})
    for cell, metrics in means(store, tmpd_random_noise).items():
        for steps in (f"{STEPS} steps", f"{FEW} steps"):
            row = dict(zip(("d", "m"), cell, strict=True)) | {"DPS": steps}
            theirs = beside(*cell, "any", "DPS", metrics[steps])
            bad = metrics[f"{steps}, not finite"]
            random.append(row | line_of(metrics[steps], metrics, bad, theirs))
    meet = [
        {"source": source, "method": name, "steps": n, "meet": sum(m), "of": len(m)}
        for (source, name, n), m in meetings(store).items()
    ]
    checked = [
        {"d": dim, "method": method, **{k: float(f"{v:.3g}") for k, v in row.items()}}
        for (dim, method), row in rounding(store).items()
    ]
    return {
        "Sliced W1 to the exact posterior, with 95 % intervals over problems": rows,
        "DPS with random noise, beside Cardoso et al., whose table is of 20 steps": random,
        "How many intervals meet the published ones": meet,
        "Why published values need not agree": DIFFERENT,
        "Error that float32 would have, over all m and noise levels": checked,
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
    """All settings, a panel a dimension; DPS by number of steps, beside the published."""
    return {
        "tmpd_table": draw(means(store)),
        "tmpd_steps": draw_steps(means(store, tmpd_random_noise)),
    }


@gt.plotting.styled
def draw(found):
    drawn = gt.plotting.figure(height=3.2)
    dims = list(dict.fromkeys(cell[0] for cell in found))
    panels = drawn.subplots(1, len(dims), sharey=True, squeeze=False)[0]
    for axes, dim in zip(panels, dims, strict=True):
        cells = [cell for cell in found if cell[0] == dim]
        place = np.arange(len(cells))
        draw_references(axes, place, [found[cell] for cell in cells])
        for i, name in enumerate(METHODS):
            shift = 0.15 * (i - 2)
            ours = [found[cell][name] for cell in cells]
            draw_ours(axes, place + shift, ours, name, gt.plotting.marker(name))
            theirs = [beside(*c, name, one) for c, one in zip(cells, ours, strict=True)]
            draw_theirs(axes, place + shift + 0.07, theirs, name)
        axes.set(yscale="log", title=f"d = {dim}", ylim=(0.01, 20.0))
        axes.set_xticks(
            place, [f"{m}, {noise:g}" for _, m, noise in cells], rotation=60
        )
        axes.set_xlabel("measurements, noise")
        axes.grid(True, axis="y")
    panels[0].set_ylabel("sliced $W_1$ (pale: Dowling)")
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return drawn


@gt.plotting.styled
def draw_steps(found):
    drawn = gt.plotting.figure(height=2.8)
    axes, place = drawn.subplots(), np.arange(len(found))
    draw_references(axes, place, list(found.values()))
    for shift, steps, mark in ((-0.2, STEPS, "s"), (0.0, FEW, "o")):
        ours = [metrics[f"{steps} steps"] for metrics in found.values()]
        draw_ours(axes, place + shift, ours, "DPS", mark, f"DPS, {steps} steps")
    theirs = [beside(*c, "any", "DPS", one) for c, one in zip(found, ours, strict=True)]
    draw_theirs(axes, place + 0.2, theirs, "DPS", "DPS, Cardoso et al., 20 steps")
    axes.set(yscale="log", ylim=(0.01, 20.0), ylabel="sliced $W_1$")
    axes.set_xticks(place, [f"{dim}, {m}" for dim, m in found])
    axes.set_xlabel("dimension, measurements; noise U(0, 1) times the norm of A")
    axes.grid(True, axis="y")
    drawn.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return drawn


def draw_references(axes, place, metrics):
    """Ceiling and floor as steps."""
    for name, line in ((CEILING, ":"), (FLOOR, "--")):
        values = [each[name].mean for each in metrics]
        axes.step(place, values, where="mid", color="0.6", ls=line, label=name)


def draw_ours(axes, place, ours, name, mark, label=""):
    """Means and intervals of a method."""
    axes.errorbar(
        place,
        [one.mean for one in ours],
        [reach(one) for one in ours],
        marker=mark,
        label=label or ("exact guidance" if name == "Exact" else name),
        color=gt.plotting.colour(name),
        ls="",
        ms=3,
    )


def draw_theirs(axes, place, theirs, name, label=None):
    """Published means and intervals, pale."""
    known = [(x, *one[:2]) for x, one in zip(place, theirs, strict=True) if one]
    if known:
        axes.errorbar(
            *zip(*known, strict=True),
            marker="_",
            label=label,
            color=gt.plotting.colour(name),
            ls="",
            ms=6,
            alpha=0.45,
        )
