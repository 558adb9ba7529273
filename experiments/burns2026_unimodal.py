r"""Failures with a linear measurement and one posterior mode.

Burns & Fridovich-Keil (arXiv:2605.30330) find that guided samplers fail without nonlinear
measurements or multimodal posteriors. On `one-sided`, four separated modes of the prior and
an observation that leaves one, with 1000 Euler-Maruyama steps, it holds for every method:

- all are 0.036 (DiffPIR) to 0.43 (ZetaDPS) away from the truth, the exact field 0.0009;
- all but DPS leave 0.03 to 0.43 in modes that the observation has ruled out (exact 0.0004),
  so that their variance is 2 to 41 times the exact one; DPS is too narrow (0.81);
- for TMPD the prior's modes are the cause: with one Gaussian it is exact (0.0009, what 1000
  steps leave). PiGDM (0.016), DPS (0.16) and ZetaDPS (0.41) are wrong there too.
"""

import numpy as np

import gmm_testbed as gt

METHODS = ("Exact", "TMPD", "PiGDM", "DiffPIR", "DPS", "ZetaDPS")
PROBLEMS = ("one-sided", "one-gaussian")
STEPS = 1000
POINTS = np.linspace(-4.0, 4.0, 801)


@gt.experiment(grid={"problem": PROBLEMS, "method": METHODS})
def unimodal_laws(key, problem, method):
    """All measures of the law at t = 0.01, and its density."""
    target = gt.problems.get(problem)
    times = gt.time_grid(target.path, STEPS, t_min=gt.problems.T_MIN)
    approximation = gt.approximations.CATALOGUE[method]()
    sampler = gt.Guided(approximation, gt.kernels.EulerMaruyama())
    law = gt.laws.grid(sampler, target, times)
    density, t = law.at(-1, target.marginal(times[-1])), times[-1]
    truth = gt.plotting.exact_history(target, [t], POINTS).density[0]
    prior = gt.diagnostics.hallucinated_prior_mass(density, target, t)
    metrics = {
        "tv": gt.divergences.tv(density, target.posterior(t)),
        "spread": gt.diagnostics.spread_ratio(density, target.posterior(t)),
        "mass in modes ruled out": prior.law,
        "mass in modes ruled out, exact": prior.exact,
        "posterior modes": modes(truth),
    }
    at_points = np.exp(np.asarray(density.log_density))
    position = np.asarray(density.position)
    found = {
        "density": np.interp(POINTS, position, at_points, 0.0, 0.0),
        "truth": truth,
    }
    return gt.sweep.Found(metrics, found)


def modes(density):
    """Number of local maxima above a thousandth of the largest."""
    inner = density[1:-1]
    top = (inner > density[:-2]) & (inner > density[2:])
    return float(np.sum(top & (inner > 1e-3 * density.max())))


def claims(store):
    """Total variation, spread and mass in ruled-out modes of every method."""
    frame = store.frame(unimodal_laws)
    metric = frame["metric"]
    shared = metric.isin(["posterior modes", "mass in modes ruled out, exact"])
    of_method = ~shared & ((metric == "tv") | (frame["problem"] == "one-sided"))
    frame["of"] = (", " + frame["method"]).where(of_method, "")
    told = frame[of_method | (shared & (frame["method"] == "Exact"))]
    names = told["problem"] + told["of"] + ": " + told["metric"]
    return dict(zip(names, told["value"], strict=True))


def tables(store):
    """One row a method and problem."""
    rows = store.wide(unimodal_laws).reset_index().to_dict("records")
    return {f"{STEPS} steps, t = 0.01": rows}


def figures(store):
    """The laws on one-sided, as they are and on a logarithmic scale."""
    cells = store.wide(unimodal_laws, "digest")["tv"].loc[PROBLEMS[0]]
    return {"unimodal": draw(cells.map(store.arrays).to_dict())}


@gt.plotting.styled
def draw(found):
    drawn = gt.plotting.figure(height=2.8)
    panels = drawn.subplots(1, 2)
    truth = found["Exact"]["truth"]
    for axes in panels:
        axes.fill_between(
            POINTS, 1e-9, truth, color="0.88", lw=0, label="exact posterior"
        )
        for method, at in found.items():
            if method != "Exact":
                axes.plot(
                    POINTS,
                    at["density"],
                    color=gt.plotting.colour(method),
                    label=method,
                )
        axes.set_xlabel("$x$")
    panels[0].set(ylim=(0, None), xlim=(-1.6, 2.2), ylabel="density of the output")
    panels[1].set(yscale="log", ylim=(1e-5, 6.0), xlim=(-3.4, 3.6))
    panels[1].set_title("the same, logarithmic: modes that y has ruled out")
    gt.plotting.legend_below(drawn, panels[0], len(found))
    title = f"{PROBLEMS[0]}, linear measurement, one posterior mode, $N = {STEPS}$"
    drawn.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    return drawn
