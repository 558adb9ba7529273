r"""What single precision would cost in the TMPD setting.

Every method of `tmpd_table` with the same noise and times in both precisions, in every
setting. It costs nothing for exact guidance and TMPD, but of the chains of DPS at d = 80
and 800 four in a hundred end elsewhere, as guidance amplifies roundings, and the distance
moves by up to the floor. No bias is seen: they are other samples of much the same law.
"""

from pathlib import Path

import jax
import numpy as np

import gmm_testbed as gt

cells = gt.sweep.scripts.module(
    str(Path(__file__).resolve().with_name("tmpd_cells.py"))
)
METHODS, FLOOR, STEPS = cells.METHODS, cells.FLOOR, cells.STEPS
ELSEWHERE = 1.0  # apart, a chain in two precisions: the width of a mode of the prior


@gt.experiment(grid=cells.GRID | {"noise": cells.NOISES}, seeds=3, paired="noise")
def tmpd_float32(key, dim, measurements, noise):
    """W1 in float32 - W1 in float64, and the chains that went elsewhere, of one noise."""
    case, seed = cells.drawn(key, dim, measurements, noise), cells.seed_of(key)
    spreads = {name: cells.spread(name, STEPS) for name in METHODS}
    single, double = (in_precision(case, seed, x64) for x64 in (False, True))
    w1, reference = (
        cells.distances(case, samples, spreads) for samples in (single, double)
    )
    metrics = {}
    for name in METHODS:
        error = w1[name].value - reference[name].value
        metrics[name] = gt.sweep.Measured(error, reference[FLOOR].value)
        metrics[f"{name}, error of sampling"] = float(reference[name].stderr)
        apart = np.linalg.norm(single[name] - double[name], axis=0)
        metrics[f"{name}, chains elsewhere"] = float(np.mean(apart > ELSEWHERE))
    return metrics


def in_precision(case, seed, x64):
    """The outputs (r, n) of all methods with one noise, in double precision or single."""
    times = gt.time_grid(case.target.path, STEPS, t_min=1e-3)
    times = np.asarray(times, np.float32)  # like the noise, the same in both
    rng = np.random.Generator(np.random.SFC64([seed, 3]))
    shape = STEPS, cells.NUM, case.frame.shape[1]
    noise = rng.standard_normal(shape, dtype=np.float32)
    dtype = np.float64 if x64 else np.float32

    def part(noise):
        given = METHODS, case.target, times, noise
        given = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), given)
        with jax.enable_x64(x64):
            return jax.device_get(from_noise(*given))

    return cells.joined(cells.by_two(part, np.array_split(noise, 2, axis=1)))


@jax.jit
def from_noise(methods, target, times, noise):
    """As `chains`, from noise (N, n, r), the start first."""

    def body(x, each):
        noise, t, s = each
        moved = {}
        for name, method in methods.items():
            laws = jax.vmap(lambda x, m=method: m.transition(target, x, t, s))(x[name])
            moved[name] = jax.vmap(lambda law, z: law.at(z))(laws, noise)
        return moved, None

    start = dict.fromkeys(methods, target.path.sigma(times[0]) * noise[0])
    x, _ = jax.lax.scan(body, start, (noise[1:], times[:-2], times[1:-1]))
    t, s = times[-2:]
    means = {
        n: lambda x, m=method: m.transition(target, x, t, s).mean
        for n, method in methods.items()
    }
    return {name: jax.vmap(means[name])(own) for name, own in x.items()}


def rounding(store):
    """Frame of what single precision does, by dimension and method, over all problems.

    The largest |error| over its floor, the mean error over the mean floor with its
    standard error, the root mean square of errors over those of sampling, and the share
    of chains that end elsewhere.
    """
    values, floors = store.wide(tmpd_float32), store.wide(tmpd_float32, "floor")
    found = {}
    for dim, own in values.groupby("dim", sort=False):
        for name in METHODS:
            error, floor = own[name], floors.loc[own.index, name]
            sampling = own[f"{name}, error of sampling"]
            found[dim, name] = {
                "problems": len(error),
                "largest |error| / floor": (error.abs() / floor).max(),
                "mean error / mean floor": error.mean() / floor.mean(),
                "±": error.std() / np.sqrt(len(error)) / floor.mean(),
                "error / error of sampling": np.sqrt(((error / sampling) ** 2).mean()),
                "chains elsewhere": own[f"{name}, chains elsewhere"].mean(),
            }
    return found


def claims(store):
    """The error that single precision would have, by dimension and method."""
    found = {}
    for (dim, name), row in rounding(store).items():
        place = f"float32, d = {dim}, {name}"
        found[f"{place}: largest error over the floor"] = row["largest |error| / floor"]
        found[f"{place}: chains elsewhere"] = row["chains elsewhere"]
        if name == "DPS" and row["±"]:
            z = row["mean error / mean floor"] / row["±"]
            found[f"{place}: mean error over its error"] = z
    return {name: float(value) for name, value in found.items()}


def tables(store):
    """The error that single precision would have, over all m and noise levels."""
    rows = [
        {"d": dim, "method": method, **{k: float(f"{v:.3g}") for k, v in row.items()}}
        for (dim, method), row in rounding(store).items()
    ]
    return {"Error that float32 would have, over all m and noise levels": rows}
