r"""Public implementations on trial: samplers of five packages, and their formulas.

Every posterior sampler that azula, deepinv, diffusionjax, diffuse-jax and diffusers ship is
given the exact denoiser of a Gaussian, of two mixtures and of digits. First, at states of
three noise levels, what it computes is compared with the formula of its paper
(`public_code`): the largest difference over the largest number. Where they differ, a second
formula says by what, and to which digits that explains it. Also: whether a state in a
batch gets what it gets alone, and whether it gets the same if the origin of the data moves
(a method that clips does not). Then whole samplers run on `gap` beside the nearest method
of this package, and beside exact guidance, on the same fresh observations: energy distance
from the exact posterior. The versions are pinned; a convention is not a fault.

The extra `trial` has the packages; what is not installed is skipped, with the reason.
"""

import functools
import importlib.metadata
import warnings
from pathlib import Path

import jax
import numpy as np

import gmm_testbed as gt

HERE = Path(__file__).resolve()
azula, deepinv, chains, others = (
    gt.sweep.scripts.module(str(HERE.with_name(f"public_{name}.py")))
    for name in ("azula", "deepinv", "chains", "jax")
)
code = azula.code
VERSIONS = {
    "azula": "0.11.1",
    "deepinv": "0.5.0",
    "diffusers": "0.42.1",
    "diffusionjax": "0.1.8",
    "diffuse-jax": "0.1.0",
}
ENTRIES = {
    entry.label: entry
    for module in (azula, deepinv, chains, others)
    for entry in module.entries()
}
PROBLEMS = "one-gaussian", "gap", "ten", "digits-inpainting"
RUN_ON = ("gap",)
LEVELS, AHEAD, POINTS = (0.2, 0.5, 0.8), 0.02, 4  # times, and the next ones
STEPS, NUM, OBSERVATIONS = 40, 200, 3
EXACT = "Guided(Exact, DDPM)"
BATCHES = 1, 4, 16, 64
AGREE = {False: 1e-9, True: 5e-4}  # in double and in single precision
RUN = tuple(label for label, entry in ENTRIES.items() if entry.program)


def installed(package):
    """Refuses a package that is not there, or not of the version that is meant."""
    try:
        found = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        found = "not installed"
    if found != VERSIONS[package]:
        raise gt.UnsupportedError(
            f"{package} {VERSIONS[package]} is meant, found: {found}; "
            "pip install 'gmm_testbed[trial]'"
        )


@functools.cache
def known(name):
    """A named problem in NumPy."""
    return azula.code.plain(gt.problems.get(name))


@functools.cache
def states(name):
    """Cases at three noise levels, each with its states of the noisy prior."""
    problem = known(name)
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(problem.weights), POINTS, p=problem.weights)
    laws = [(problem.means[k], problem.covariances[k]) for k in chosen]
    x0 = np.stack([rng.multivariate_normal(*law) for law in laws])
    cases = []
    for t in LEVELS:
        a, s = float(problem.path.alpha(t)), float(problem.path.sigma(t))
        x = a * x0 + s * rng.standard_normal(x0.shape)
        cases.append(code.Case.at(problem, t, t - AHEAD, x))
    return cases


@gt.experiment(grid={"code": tuple(ENTRIES), "problem": PROBLEMS}, version="1")
def held_to_formulas(key, code, problem):
    """Relative differences from the formula, of a batch from single points, far away."""
    entry = ENTRIES[code]
    installed(entry.package)
    cases = states(problem)
    found = [entry.found(case) for case in cases]

    def worst(other):
        return max(
            gap(mine, other(case)) for mine, case in zip(found, cases, strict=True)
        )

    first = [entry.found(case.alone(0)) for case in cases]
    metrics = {
        "difference": worst(entry.expected),
        "batch": max(
            gap(one, many[:1]) for one, many in zip(first, found, strict=True)
        ),
    }
    if not entry.chain:
        metrics["moved"] = worst(lambda case: entry.found(case.moved()))
    if entry.explained:
        metrics["explained"] = worst(entry.explained)
    return metrics


def gap(found, expected):
    """The largest difference over the largest number."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@gt.experiment(
    grid={"problem": RUN_ON, "sampler": (*RUN, EXACT)}, paired="sampler", version="1"
)
def samplers(key, problem, sampler):
    """Energy distances of a sampler and of the nearest here, on fresh observations."""
    entry = ENTRIES.get(sampler)
    if entry:
        installed(entry.package)
    found = {"theirs": [], "ours": []}
    for i, part in enumerate(jax.random.split(key, OBSERVATIONS)):
        plain = known(problem).remeasured(np.random.default_rng(i))
        target = plain.target
        times = gt.time_grid(target.path, STEPS, t_min=azula.code.T_MIN)
        both = {"ours": gt.methods.get(entry.ours if entry else EXACT)}
        if entry:
            both["theirs"] = external(entry, plain)
        for name, each in both.items():
            found[name].append(distance(part, each, target, times))
    how = f"{OBSERVATIONS} observations, {NUM} samples each"
    metrics = {
        name: gt.Estimate.mean_of(np.asarray(values), how=how)
        for name, values in found.items()
        if values
    }
    if entry:
        gaps = np.subtract(found["theirs"], found["ours"])
        metrics["theirs minus ours"] = gt.Estimate.mean_of(gaps, how=how)
    return metrics


def external(entry, problem):
    """A sampler of a package, with tensors or in NumPy."""
    program = entry.program(problem)
    if entry.package == "diffusionjax":
        return gt.External(program, level=entry.level)
    return gt.External(program, level=entry.level, views=gt.torch.Views())


def distance(key, sampler, target, times):
    """Energy distance from the exact law at the level of the samples; NaN if some are."""
    with warnings.catch_warnings():  # what is not finite is told by the distance
        warnings.simplefilter("ignore")
        found = gt.sample(key, sampler, target, times, NUM)
    truth = target.exact_posterior if found.info.clean else target.posterior(times[-1])
    if found.info.nonfinite:
        return np.nan
    metric = gt.divergences.energy_distance
    return float(metric(found.x, truth, log_weights=found.log_weights).value)


@gt.experiment(grid={"batch": BATCHES}, seeds=1, version="1")
def batches(key, batch):
    """DPS of azula with samples drawn so many at a time, on the mixture of the line."""
    installed("azula")
    label = "azula: DPSSampler (zeta = 1)"
    plain = known("gap")
    sampler = external(ENTRIES[label], plain)
    target, total = plain.target, max(BATCHES)
    times = gt.time_grid(target.path, STEPS, t_min=azula.code.T_MIN)
    keys = jax.random.split(key, total // batch)
    x = np.concatenate(
        [np.asarray(gt.sample(k, sampler, target, times, batch).x) for k in keys]
    )
    truth = target.posterior(times[-1])
    return {"distance": gt.divergences.energy_distance(x, truth)}


def formulas(store):
    """Metrics by entry and problem, without what was skipped."""
    return store.wide(held_to_formulas).dropna(subset="difference")


def agrees(label, row):
    return row["difference"] < AGREE[ENTRIES[label].single]


def judged(label, rows):
    """In words: whether an entry is its formula, and if not what it is."""
    entry = ENTRIES[label]
    if all(agrees(label, row) for _, row in rows.iterrows()):
        return "agrees"
    return f"differs: {entry.because}" if entry.because else "differs"


def claims(store):
    """How many agree; every difference, and what explains it."""
    rows, found, count = formulas(store), {}, 0
    for label in rows.index.get_level_values("code").unique():
        of_it = rows.loc[label]
        words = judged(label, of_it)
        count += words == "agrees"
        for problem, row in of_it.iterrows():
            if words != "agrees":
                found[f"{label}, {problem}: difference"] = row["difference"]
            if np.isfinite(row.get("explained", np.nan)):
                found[f"{label}, {problem}: explained to"] = row["explained"]
        if words == "agrees":
            found[f"{label}: difference"] = of_it["difference"].max()
        found[f"{label}: batch"] = of_it["batch"].max()
    found["implementations that agree with their formula"] = count
    laws = store.wide(samplers)
    for (problem, sampler), row in laws.dropna(subset="ours").iterrows():
        for name in ("theirs", "theirs minus ours"):
            if np.isfinite(row.get(name, np.nan)):
                found[f"{problem}, {sampler}: {name}"] = row[name]
    for problem in RUN_ON:
        found[f"{problem}, exact guidance"] = laws.loc[(problem, EXACT), "ours"]
    for batch, row in store.wide(batches).dropna(subset="distance").iterrows():
        found[f"DPS of azula, {batch} at a time"] = row["distance"]
    return found


def tables(store):
    """What each is held to, and what came of it; and distances beside ours."""
    rows, laws = formulas(store), store.wide(samplers)
    held = []
    for label in rows.index.get_level_values("code").unique():
        of_it, entry = rows.loc[label], ENTRIES[label]
        held.append(
            {
                "implementation": label,
                "version": VERSIONS[entry.package],
                "formula": entry.formula,
                "verdict": judged(label, of_it),
                "difference": short(of_it["difference"].max()),
                "explained to": short(of_it["explained"].max()),
                "in a batch": short(of_it["batch"].max()),
                "origin moved": short(of_it["moved"].max()),
            }
        )
    beside = [
        {
            "problem": problem,
            "implementation": sampler,
            "nearest here": ENTRIES[sampler].ours if sampler in ENTRIES else "",
            "theirs": short(row["theirs"]),
            "ours": short(row["ours"]),
            "theirs minus ours": short(row["theirs minus ours"]),
        }
        for (problem, sampler), row in laws.dropna(subset="ours").iterrows()
    ]
    return {"Held to formulas": held, "Energy distance from the exact law": beside}


def short(value):
    return "" if not np.isfinite(value) else f"{value:.2g}"


def figures(store):
    """Differences from formulas, distances beside ours, and DPS against the batch."""
    return {"public_implementations": drawn(store)}


@gt.plotting.styled
def drawn(store):
    rows, laws = formulas(store), store.wide(samplers)
    labels = list(rows.index.get_level_values("code").unique())
    figure = gt.plotting.figure(gt.plotting.FULL_WIDTH, 6.6)
    figure.suptitle(
        "Public implementations: formulas, and distances from the posterior"
    )
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.0))
    for i, label in enumerate(labels):
        of_it = rows.loc[label]
        good = judged(label, of_it) == "agrees"
        worst = max(float(of_it["difference"].max()), 1e-16)
        left.plot(worst, i, "o" if good else "X", color="C0" if good else "C3", ms=4)
        explained = float(of_it["explained"].max())
        if np.isfinite(explained):
            left.plot(max(explained, 1e-16), i, "|", color="C3", ms=7)
    left.set(xscale="log", xlabel="relative difference; | once explained")
    left.set_yticks(range(len(labels)), labels, fontsize=5.5)
    left.invert_yaxis()
    both = laws.dropna(subset=["ours", "theirs"])
    for problem, marker in zip(RUN_ON, "o", strict=True):
        part = both[both.index.get_level_values("problem") == problem]
        right.plot(part["ours"], part["theirs"], marker, ms=4, label=problem)
    ends = [1e-3, max(float(both[["ours", "theirs"]].to_numpy().max()), 1.0)]
    right.plot(ends, ends, color="0.7", lw=0.8, zorder=0)
    right.set_xscale("symlog", linthresh=1e-3)
    right.set_yscale("symlog", linthresh=1e-3)
    right.set(xlabel="energy distance of the nearest here", ylabel="of the package")
    right.legend(fontsize=6)
    return figure
