r"""Spread, mode weights and hallucinations of guided samplers on the way to the data.

Four findings of Burns & Fridovich-Keil (arXiv:2605.30330) on one problem, `gap`: four
separated modes and an observation between two of them. All are laws, none is sampled;
1000 Euler-Maruyama steps, but DDPM steps for the published update (zeta = 0.1). All hold:

- spread is wrong at intermediate times, both ways: the variance of DPS is 0.04 of the exact
  one at worst and that of ZetaDPS 3.9 times it; PiGDM and TMPD are too narrow in between;
- relative weights of modes are wrong: DPS gives 0.35 to the mode that has 0.54;
- modes of the prior that are ruled out come back: ZetaDPS leaves 0.17 in them, exact 8e-8;
- modes of the likelihood appear where the prior has nothing: 0.54 of the published update
  sits between the modes and 0.031 of DPS, but 0.0037 of the exact posterior.
"""

import numpy as np

import gmm_testbed as gt

PROBLEM, STEPS, ROWS = "gap", 1000, 48
METHODS = ("Exact", "DPS", "ZetaDPS", "PiGDM", "TMPD")
SAMPLERS = {
    name: gt.Guided(gt.approximations.CATALOGUE[name](), gt.kernels.EulerMaruyama())
    for name in METHODS
} | {"DPS update": gt.Published(gt.approximations.ZetaDPS(0.1))}
POINTS = np.linspace(-4.0, 4.0, 161)
LEFT = 1  # the mode at -0.7, of weight 0.54
MEASURES = {
    "spread": "variance / exact",
    "weight": "weight of the left mode",
    "prior": "mass in modes ruled out",
    "likelihood": "mass where only p(y|x) is high",
}


@gt.experiment(grid={"method": SAMPLERS, "steps": [STEPS]})
def mode_failures(key, method, steps):
    """All measures at some fifty times, most of them near the data."""
    target = gt.problems.get(PROBLEM)
    times = gt.time_grid(target.path, steps, t_min=gt.problems.T_MIN)
    law = gt.laws.grid(SAMPLERS[method], target, times)
    share = np.linspace(1.0, 0.0, ROWS) ** 2
    index = np.unique(np.round(law.num_steps * (1.0 - share)).astype(int))
    rows = [measured(law, target, int(i)) for i in index]
    found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    shown = gt.plotting.history(law, POINTS)  # fewer times, equally spaced
    truth = gt.plotting.exact_history(target, shown.times, POINTS)
    found |= {"time": np.asarray(times)[index]}
    found |= {"t": shown.times[::2], "x": POINTS}
    found |= {"law": shown.density[::2], "exact": truth.density[::2]}
    metrics = {name: found[name][-1] for name in MEASURES}
    metrics |= {f"{name}, exact": found[f"{name}, exact"][-1] for name in MEASURES}
    metrics |= {"spread, least": found["spread"].min()}
    metrics |= {
        "spread, most": found["spread"].max(),
        "tv": law.tv(target.posterior(times[-1])),
    }
    return gt.sweep.Found(metrics, {k: v.astype(np.float32) for k, v in found.items()})


def measured(law, target, index):
    """The measures of the law at one time, and of the exact posterior marginal."""
    t = law.times[index]
    found = gt.measures.of(law.at(index, target.marginal(t)), target, t)
    values = {name: np.asarray(e.value) for name, e in found.items()}
    return {
        "spread": float(values["spread_ratio"]),
        "spread, exact": 1.0,
        "weight": float(values["mode_weight"][LEFT]),
        "weight, exact": float(values["mode_weight_exact"][LEFT]),
        "prior": float(values["hallucinated_prior_mass"]),
        "prior, exact": float(values["hallucinated_prior_mass_exact"]),
        "likelihood": float(values["hallucinated_likelihood_mass"]),
        "likelihood, exact": float(values["hallucinated_likelihood_mass_exact"]),
    }


def claims(store):
    """Every measure of every method at t = 0.01, and the extremes of spread."""
    frame = store.frame(mode_failures)
    of_truth = frame["metric"].str.endswith("exact")
    once = (frame["method"] == "Exact") & (frame["metric"] != "spread, exact")
    told = frame[~of_truth | once]
    return dict(zip(told["method"] + ", " + told["metric"], told["value"], strict=True))


def tables(store):
    """One row a method at t = 0.01."""
    rows = store.wide(mode_failures).droplevel("steps").reset_index()
    return {f"{PROBLEM}, {STEPS} steps, t = 0.01": rows.to_dict("records")}


def figures(store):
    """The four measures against time."""
    cells = store.wide(mode_failures, "digest")["tv"].droplevel("steps")
    return {"failures": draw(cells.map(store.arrays).to_dict())}


@gt.plotting.styled
def draw(found):
    drawn = gt.plotting.figure(height=4.2)
    panels = drawn.subplots(2, 2, sharex=True)
    for axes, (name, label) in zip(panels.ravel(), MEASURES.items(), strict=True):
        shown = {"exact": found["Exact"] | {name: found["Exact"][f"{name}, exact"]}}
        shown |= {method: at for method, at in found.items() if method != "Exact"}
        for method, at in shown.items():
            colour = "black" if method == "exact" else gt.plotting.colour(method)
            values = np.where(at[name] > 1e-5, at[name], np.nan)
            axes.plot(at["time"], values, color=colour, label=method)
        axes.set(xscale="log", ylabel=label)
        axes.set_yscale("linear" if name == "weight" else "log")
        axes.grid(True, axis="y")
    panels[0, 0].invert_xaxis()
    panels[1, 0].set_ylim(1e-5, 1.0)
    panels[1, 1].set_ylim(1e-5, 1.5)
    for axes in panels[1]:
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("time $t$")
    gt.plotting.legend_below(drawn, panels[0, 0], len(found))
    title = f"{PROBLEM}, $N = {STEPS}$ steps: what goes wrong, and when"
    drawn.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    return drawn
