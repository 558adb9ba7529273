"""Divergence against the number of steps, and a law over time: the figure of the README.

Left, the total variation between the output of DDPM steps on two-modes and the exact
posterior marginal, by quadrature. Exact guidance falls like 1/N with the small variance of
DDPM, and with the matched one like 1/N^2 until the error of the start is left, of N(0, I)
for the exact marginal at t = 1; every other method levels off at the error of its
approximation. Right, the exact marginals over time, and the law of DPS beside them. A copy
of the figure is `docs/figure.png`.
"""

import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

STEPS = (10, 20, 50, 100, 200, 500, 1000)
MATCHED = "Exact, matched variance"
FIELDS = ("Exact", "Unguided", "DPS", "ZetaDPS", "PiGDM", "TMPD", "DDNM", "DiffPIR")
METHODS = (*FIELDS, MATCHED)
SHOWN, SHOWN_STEPS = "DPS", 200
ROWS, COLUMNS = 100, 161  # of a heat-map
T_MIN = gt.problems.T_MIN


@gt.experiment(grid={"method": METHODS, "steps": STEPS})
def by_steps(key, method, steps):
    """Total variation of the law at the end, and the law over time of a few cells."""
    target = gt.problems.get("two-modes")
    approximation = gt.approximations.CATALOGUE[method.partition(",")[0]]()
    kernel = gt.kernels.DDPM("matched" if method == MATCHED else "small")
    times = gt.time_grid(target.path, steps, t_min=T_MIN)
    try:
        law = gt.laws.grid(gt.Guided(approximation, kernel), target, times)
    except gt.InputError as error:  # a step that no grid resolves
        raise gt.UnsupportedError(str(error)) from error
    tv = law.tv(target.posterior(jnp.asarray(T_MIN)))
    if steps != SHOWN_STEPS:
        return {"tv": float(tv)}
    span = gt.plotting.span(target)
    found = gt.plotting.history(law, np.linspace(span[0], span[-1], COLUMNS))
    chosen = np.unique(np.rint(np.linspace(0, len(found.times) - 1, ROWS)).astype(int))
    exact = gt.plotting.exact_history(target, found.times[chosen], found.x)
    shown = {"t": exact.times, "x": found.x}
    shown |= {"law": found.density[chosen], "exact": exact.density}
    shown = {name: np.asarray(array, np.float32) for name, array in shown.items()}
    return gt.sweep.Found({"tv": float(tv)}, shown)


def claims(store):
    """Orders of exact guidance, and where every method ends."""
    found = curves(store)
    slopes = {
        f"{name}: order": slope(found[name], *ends)
        for name, ends in (("Exact", (200, 1000)), (MATCHED, (50, 200)))
    }
    ends = {f"{name}: at N = {STEPS[-1]}": found[name][-1] for name in METHODS}
    return slopes | {name: tv for name, tv in ends.items() if np.isfinite(tv)}


def slope(values, first, last):
    """How fast values fall with N."""
    first, last = STEPS.index(first), STEPS.index(last)
    return np.log(values[first] / values[last]) / np.log(STEPS[last] / STEPS[first])


def curves(store):
    """Total variation by method, (n,), NaN where there is no law."""
    table = store.wide(by_steps)["tv"].unstack("steps")
    return {method: tv.to_numpy() for method, tv in table.iterrows()}


def figures(store):
    """Curves on the left, two heat-maps on the right."""
    shown = store.wide(by_steps, "digest")["tv"][SHOWN, SHOWN_STEPS]
    return {"figure": drawn(curves(store), store.arrays(shown))}


@gt.plotting.styled
def drawn(found, shown):
    figure = gt.plotting.figure(width=7.2, height=2.9)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    below = found.pop(MATCHED)
    gt.plotting.against_steps(left, STEPS, found)
    black = gt.plotting.colour("Exact")
    left.plot(STEPS, below, "o--", color=black, markersize=3.5, label=MATCHED)
    start = STEPS.index(100)
    for values, share, power in ((found["Exact"], 0.5, -1), (below, 0.4, -2)):
        value = share * float(values[start])
        gt.plotting.reference_slope(left, (100, 1000), value, power)
    left.set_ylabel("total variation from the truth")
    left.set_ylim(1e-6, 1.5)
    left.set_title("DDPM steps on two-modes")
    brightest = 0.8 * float(shown["exact"].max())
    for axes, title, name in (
        (middle, r"exact $p_t(x\,|\,y)$", "exact"),
        (right, f"law of {SHOWN}, $N = {SHOWN_STEPS}$", "law"),
    ):
        history = gt.plotting.History(shown["t"], shown["x"], shown[name])
        gt.plotting.heatmap(axes, history, brightest)
        axes.set_title(title)
        axes.set_xlabel("time $t$ (noise to data)")
    middle.set_ylabel("$x_t$")
    right.set_yticklabels([])
    gt.plotting.legend_below(figure, left, 5)
    return figure
