"""Digits restored: inpainting, blur and super-resolution by every method, beside the truth.

Images of 8 x 8 pixels under a mixture fitted to handwritten digits (`gt.problems.digits`),
so that the exact posterior can be sampled and pictured. Each method takes 100 DDPM steps.
Pictures: what was measured, the true digit, the mean and samples of each law. Table:
distances of 200 samples to the exact posterior (sliced W1, squared error of the mean,
spread, weights of the modes), beside 200 exact samples, which are the floor, and the
metrics that are usually printed, as means over six sets of samples; and by how much each
method is worse than exact guidance, set by set from the same noise. The higher PSNR of DPS
in blur and super-resolution is that of samples that are too narrow, not of better ones.
DDNM takes y for free of noise, and on the blur, which all but loses some directions, it
inverts the noise with the rest. The weight 5 of ZetaDPS was chosen for residuals near the
noise, as one would tune it: their chi-square is 1.1 to 2.1 a measurement. One digit a task.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

TASKS = {
    "inpainting": "Lower half missing",
    "blur": "Blur",
    "superresolution": "2 x super-resolution",
}
METHODS = {
    "exact samples": None,
    "Exact": gt.approximations.Exact(),
    "DPS": gt.approximations.DPS(),
    "ZetaDPS": gt.approximations.ZetaDPS(5.0),
    "PiGDM": gt.approximations.PiGDM(),
    "TMPD": gt.approximations.TMPD(),
    "DDNM": gt.approximations.DDNM(),
    "DiffPIR": gt.approximations.DiffPIR(),
}
STEPS, NUM, SETS, SHOWN = 100, 200, 6, 7
HOW = f"{SETS} sets of {NUM} samples"
COLUMNS = {
    "sliced_w1": "sliced W1",
    "mean_error": "squared error of mean",
    "spread": "spread / exact",
    "mode_weights": "error of mode weights",
    "psnr": "PSNR",
    "psnr_of_mean": "PSNR of mean",
    "residual": "residual chi-square",
    "log_prior": "log prior",
}


@gt.experiment(grid={"task": tuple(TASKS), "method": tuple(METHODS)}, paired="method")
def restored(key, task, method):
    """Distances of a method's samples, and the pictures."""
    target, digit = gt.problems.digits(task), gt.problems.TASKS[task][1]
    truth = jnp.asarray(gt.problems.digit_images()[digit])
    times = gt.time_grid(target.path, STEPS, t_min=gt.problems.T_MIN)
    exact, prior = target.posterior(times[-1]), target.marginal(times[-1])
    if METHODS[method] is None:
        x = exact.sample(key, SETS * NUM)
    else:
        sampler = gt.Guided(METHODS[method], gt.kernels.DDPM())
        x = gt.sample(key, sampler, target, times, SETS * NUM).x
    sets = x.reshape(SETS, NUM, -1)
    found = [measured(one, exact, prior, truth, target.problem) for one in sets]
    distances = np.asarray([float(distance(one, exact)) for one in sets])
    values = {name: jnp.stack([one[name] for one in found]) for name in found[0]}
    metrics = {
        name: gt.Estimate.mean_of(each, how=HOW) for name, each in values.items()
    }
    floor = exact.sample(jax.random.key(1), SETS * NUM).reshape(sets.shape)
    least = np.mean([float(distance(one, exact)) for one in floor])
    w1 = gt.Estimate.mean_of(distances, how=HOW)
    metrics["sliced_w1"] = gt.sweep.Measured(w1, least)
    metrics["nonfinite"] = float(np.sum(~np.isfinite(np.asarray(x)).all(axis=1)))
    return gt.sweep.Found(
        metrics,
        {
            "truth": np.asarray(truth, np.float32),
            "y": np.asarray(target.problem.y, np.float32),
            "mean": np.asarray(x, np.float32).mean(axis=0),
            "samples": np.asarray(x[:SHOWN], np.float32),
            "sliced_w1": distances,
            "psnr": np.asarray(values["psnr"]),
        },
    )


@eqx.filter_jit
def distance(x, exact):
    """Sliced W1, along the same directions for everything."""
    directions = jax.random.key(0)
    found = gt.divergences.sliced_wasserstein
    return found(directions, x, exact, p=1, directions=128).value


@eqx.filter_jit
def measured(x, exact, prior, truth, problem):
    """The other metrics of one set of samples."""
    seen = gt.diagnostics
    shares = jnp.mean(jax.vmap(exact.responsibilities)(x), axis=0)
    weights = jnp.exp(exact.log_weights)
    of_pixels = exact.total_variance() / exact.dim
    return {
        "mean_error": mean_square(gt.divergences.mean_error(x, exact)),
        "spread": seen.coordinate_variance(x).value / of_pixels,
        "mode_weights": 0.5 * jnp.sum(jnp.abs(shares - weights)),
        "psnr": seen.psnr(x, truth).value,
        "psnr_of_mean": seen.psnr_of_mean(x, truth).value,
        "residual": seen.residual_chi2(x, problem).value,
        "log_prior": seen.log_density(x, prior).value,
    }


def mean_square(gap):
    """Over pixels, less what the noise of the samples adds: unbiased."""
    return jnp.mean(gap.value**2 - gap.stderr**2)


def values(store):
    """Estimates by task, method and metric."""
    frame = store.frame(restored).dropna(subset="metric")
    frame["stderr"] = frame["stderr"].where(frame["how"].notna(), 0.0)  # a plain number
    found = frame.set_index(["task", "method", "metric"])[["value", "stderr"]]
    return {place: gt.Estimate(*number) for place, *number in found.itertuples()}


def gaps(store, metric):
    """A method's metric less that of exact guidance, set by set, by task and method."""
    digests = store.wide(restored, "digest")[metric].dropna()
    sets = digests.map(lambda digest: store.arrays(digest)[metric])
    return {
        (task, method): gt.Estimate.mean_of(each - sets[task, "Exact"], how=HOW)
        for (task, method), each in sets.items()
        if (task, "Exact") in sets and method != "Exact"
    }


def claims(store):
    """Where each method ends, and that the best PSNR is not the best posterior."""
    found, numbers = values(store), {}
    worse, louder = gaps(store, "sliced_w1"), gaps(store, "psnr")
    for task in TASKS:
        for method in METHODS:
            name = f"{task}, {method}: sliced W1"
            numbers[name] = float(found[task, method, "sliced_w1"].value)
            if (task, method) in worse:
                name = f"{task}, {method} minus Exact: sliced W1"
                numbers[name] = float(worse[task, method].value)
        for method in ("exact samples", "DPS"):
            name = f"{task}, {method}: PSNR"
            numbers[name] = float(found[task, method, "psnr"].value)
            name = f"{task}, {method}: spread over exact"
            numbers[name] = float(found[task, method, "spread"].value)
        name = f"{task}, DPS minus Exact: PSNR"
        numbers[name] = float(louder[task, "DPS"].value)
    bad = sum(float(found[t, m, "nonfinite"].value) for t in TASKS for m in METHODS)
    numbers["samples that are not finite"] = bad
    numbers["tasks where DPS has a higher PSNR than exact guidance"] = sum(
        float(louder[task, "DPS"].value) > 0.0 for task in TASKS
    )
    return numbers


def tables(store):
    """One table a task, a row for each law."""
    found, worse = values(store), gaps(store, "sliced_w1")
    floors = store.wide(restored, "floor")["sliced_w1"].groupby("task").last()
    shown = {}
    for task, title in TASKS.items():
        rows = []
        for method in METHODS:
            row = {"law": method}
            for metric, label in COLUMNS.items():
                row |= columns(label, found[task, method, metric])
                if metric == "sliced_w1":
                    row["floor"] = float(f"{floors[task]:.3g}")
                    row |= columns("minus Exact", worse.get((task, method)))
            row["not finite"] = round(float(found[task, method, "nonfinite"].value))
            rows.append(row)
        shown[f"{title}: means over {SETS} sets of {NUM} samples"] = rows
    return shown


def columns(label, number):
    """A number and its standard error, or two empty columns."""
    if number is None:
        return {label: "", f"{label} ±": ""}
    error = float(number.stderr)
    return {
        label: float(f"{float(number.value):.4g}"),
        f"{label} ±": float(f"{error:.2g}"),
    }


def figures(store):
    """A sheet of pictures for each task."""
    return {f"digits_{task}": sheet(store, task) for task in TASKS}


@gt.plotting.styled
def sheet(store, task):
    """Rows: a law each. Columns: its mean, then samples; above, the truth and y."""
    cells = store.wide(restored, "digest")["sliced_w1"].loc[task].dropna()
    rows = cells.map(store.arrays).to_dict()
    found = values(store)
    drawn = gt.plotting.figure(
        0.92 * gt.plotting.FULL_WIDTH, 0.62 * (len(rows) + 1) + 0.4
    )
    drawn.suptitle(f"{TASKS[task]}: {STEPS} steps", fontsize=8.5)
    grid = drawn.subplots(len(rows) + 1, SHOWN + 1)
    first = next(iter(rows.values()))
    picture(grid[0, 0], first["truth"].reshape(8, 8), "truth")
    picture(grid[0, 1], observed(first["y"]), "y")
    for axes in grid[0, 2:]:
        axes.axis("off")
    for number, (method, arrays) in enumerate(rows.items()):
        line, top = grid[number + 1], number == 0
        picture(line[0], arrays["mean"].reshape(8, 8), "mean" if top else "")
        for k, (axes, image) in enumerate(
            zip(line[1:], arrays["samples"], strict=True)
        ):
            picture(axes, image.reshape(8, 8), "samples" if top and k == 0 else "")
        psnr = float(found[task, method, "psnr"].value)
        distance = float(found[task, method, "sliced_w1"].value)
        text = f"{method}\n$SW_1$ {distance:.3f}\nPSNR {psnr:.1f} dB"
        line[0].set_ylabel(text, rotation=0, ha="right", va="center", fontsize=7)
    return drawn


def observed(y):
    """y as a picture; missing pixels are left out."""
    if y.size == 32:
        return np.concatenate([y, np.full(32, np.nan)]).reshape(8, 8)
    side = int(np.sqrt(y.size))
    return y.reshape(side, side)


def picture(axes, image, title):
    axes.set_facecolor("#e8d9b5")
    axes.imshow(image, cmap="gray_r", vmin=-1.0, vmax=1.0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.set_title(title, fontsize=7)
