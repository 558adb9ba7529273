"""What four methods spend on two-modes: initialisation, approximation, discretisation.

The path divergence of DDPM steps by the chain rule, in nats, as bars that grow from noise
to data; beside them the measured divergence of the law at every time, which by data
processing they bound. With 64 steps DPS spends some hundred times as much as PiGDM and
TMPD, 99 % of it on its approximation; exact guidance spends on discretisation alone. The
path divergences are 10 to 80 times those of the laws at the end.
"""

import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

METHODS = ("DPS", "PiGDM", "TMPD", "Exact")
STEPS = (16, 64, 128)
SHOWN = 64
POINTS = np.linspace(-4.0, 4.0, 161)
SPENT = ("initialisation", "approximation", "discretisation")
ROWS = 65  # of a heat-map
PARTS = ("initialisation", "approximation", "score", "cross", "discretisation", "total")


@gt.experiment(grid={"method": METHODS, "steps": STEPS})
def budgets(key, method, steps):
    """Each part of the budget, the divergences at every time, and the law over time."""
    target = gt.problems.get("two-modes")
    times = gt.time_grid(target.path, steps, "log_snr", t_min=gt.problems.T_MIN)
    method = gt.approximations.CATALOGUE[method]()
    sampler = gt.Guided(method, gt.kernels.DDPM())
    found = gt.budget(key, sampler, target, times)
    law = gt.laws.grid(sampler, target, times)
    rows = np.unique(np.rint(np.linspace(0, steps, min(steps + 1, ROWS))).astype(int))
    measured = [
        float(gt.divergences.kl_from(law.at(i), target.posterior(times[i])))
        for i in rows.tolist()
    ]
    metrics = {name: float(jnp.sum(getattr(found, name).value)) for name in SPENT}
    metrics["total"] = found.total
    arrays = {name: getattr(found, name).value for name in PARTS}
    pictures = {
        "law": gt.plotting.history(law, POINTS).density,
        "exact": gt.plotting.exact_history(target, times, POINTS).density,
    }
    return gt.sweep.Found(
        metrics | {"measured": measured[-1]},
        arrays
        | {"times": times, "measured": np.asarray(measured)}
        | {"t": times[rows], "x": POINTS}
        | {
            name: density[rows].astype(np.float32) for name, density in pictures.items()
        },
    )


def claims(store):
    """Totals and measured divergences, and by how much the worst bound is loose."""
    cells, numbers = store.wide(budgets), {}
    found = cells.xs(SHOWN, level="steps")
    for method in METHODS:
        for name in ("total", "measured"):
            numbers[f"{method}, {name}, N = {SHOWN}"] = found.at[method, name]
    parts = sum(found.at["DPS", name] for name in SPENT)
    numbers["DPS, total minus its parts"] = found.at["DPS", "total"] - parts
    numbers["Exact, approximation"] = found.at["Exact", "approximation"]
    violated = cells["measured"] > cells["total"]
    return numbers | {"bounds that are violated": violated.sum()}


def figures(store):
    """One panel of bars a method."""
    found, measured = {}, {}
    cells = store.wide(budgets, "digest")["total"].xs(SHOWN, level="steps")
    for method, arrays in cells.map(store.arrays).items():
        parts = (gt.Estimate(arrays[name]) for name in PARTS)
        found[method] = gt.Budget(jnp.asarray(arrays["times"]), *parts)
        measured[method] = arrays["measured"]
    path = gt.problems.get("two-modes").path
    times = next(iter(found.values())).times
    title = f"two-modes, DDPM, geometric noise levels, $N = {SHOWN}$"
    drawn = gt.plotting.budgets(title, path.log_snr(times), found, measured)
    return {"error_budget": drawn}
