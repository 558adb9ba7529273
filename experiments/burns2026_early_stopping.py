r"""Where a sampler is stopped: its distance from the posterior against the last time.

Burns & Fridovich-Keil (arXiv:2605.30330) find results sensitive to t_min. Here samplers
take 200 steps down to each t_min, and W1 from the posterior itself, at time 0, is exact.
Stopping alone costs no more than the coupling of T36 says, here for x_t as it is:
W1(p_t, p_0) <= ((1 - alpha)^2 E x_0^2 + sigma^2)^{1/2}, and a sampler's distance from p_0
exceeds its distance from p_t by no more than that. No cell violates it.

- exact guidance: the distance falls with t_min, below the bound, and there is no best time;
- DPS, PiGDM and TMPD: the distance falls and is level, within 10 %, from t = 0.01; later is
  never worse. The finding does not hold for them: what is wrong was made before;
- ZetaDPS is best when stopped at t = 0.2 or 0.3, by a factor of 1.2;
- the published update, on `gap`: it holds. Stopped at t = 0.1 it is 2.3 times nearer to the
  posterior than at t = 0.001 (W1 of 0.22 against 0.50). On two-modes it levels off.
"""

import numpy as np

import gmm_testbed as gt

METHODS = ("Exact", "DPS", "ZetaDPS", "PiGDM", "TMPD")
SAMPLERS = {
    name: gt.Guided(gt.approximations.CATALOGUE[name](), gt.kernels.EulerMaruyama())
    for name in METHODS
} | {"DPS update": gt.Published(gt.approximations.ZetaDPS(0.1))}
PROBLEMS = ("two-modes", "gap")
LAST = (0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.003, 0.001)
STEPS = 200


@gt.experiment(grid={"problem": PROBLEMS, "method": SAMPLERS, "t_min": LAST})
def stopped(key, problem, method, t_min):
    """W1 from the posterior and from its marginal at t_min, and how far these can be."""
    target = gt.problems.get(problem)
    times = gt.time_grid(target.path, STEPS, t_min=t_min)
    law = gt.laws.grid(SAMPLERS[method], target, times)
    alpha, sigma = target.path.alpha(times[-1]), target.path.sigma(times[-1])
    posterior = target.problem.posterior()
    square = posterior.total_variance() + posterior.mean()[0] ** 2
    return {
        "w1": law.w1(posterior),
        "w1, marginal": law.w1(target.posterior(times[-1])),
        "bound": np.sqrt((1.0 - alpha) ** 2 * square + sigma**2),
    }


def claims(store):
    """The distance at the last t_min, the best t_min, what stopping there gains; T36."""
    found, above, violated = {}, 0, 0
    cells = store.wide(stopped)
    for (problem, method), at in cells.groupby(["problem", "method"], sort=False):
        w1, marginal, bound = at[["w1", "w1, marginal", "bound"]].to_numpy().T
        best, name = int(np.argmin(w1)), f"{problem}, {method}"
        violated += np.sum(np.abs(w1 - marginal) > bound)
        above += np.sum(w1 > bound) if method == "Exact" else 0
        found[f"{name}: W1, t_min = {LAST[-1]:g}"] = float(w1[-1])
        found[f"{name}: best t_min"] = LAST[best]
        found[f"{name}: gain of stopping there"] = float(w1[-1] / w1[best])
        if LAST[best] == LAST[-1]:
            level = w1[LAST.index(0.01)] / w1[-1]
            found[f"{name}: W1, t_min = 0.01, over the last"] = float(level)
    found["Exact: cells with W1 above the bound of T36"] = float(above)
    return found | {"cells that violate T36": float(violated)}


def figures(store):
    """W1 against t_min, a panel a problem."""
    return {"early_stopping": draw(store.wide(stopped))}


@gt.plotting.styled
def draw(found):
    drawn = gt.plotting.figure(height=2.9)
    panels = drawn.subplots(1, len(PROBLEMS), sharey=True)
    for axes, problem in zip(panels, PROBLEMS, strict=True):
        here = {
            name: (np.array(LAST), found.loc[problem, name]["w1"].to_numpy())
            for name in SAMPLERS
        }
        gt.plotting.against_time(axes, here, "")
        bound = found.loc[problem, "Exact"]["bound"]
        axes.plot(LAST, bound, color="0.5", ls=":", lw=1.0, label="T36: bound, exact")
        for name, (_, w1) in here.items():
            best = int(np.argmin(w1))
            if best < len(LAST) - 1:
                marked = {"marker": "o", "color": gt.plotting.colour(name), "ms": 5}
                axes.plot(LAST[best], w1[best], **marked)
        axes.set_title(problem)
        axes.set_xlabel("time $t_{min}$ at which the sampler is stopped")
    panels[0].set_ylabel("$W_1$ from the posterior")
    gt.plotting.legend_below(drawn, panels[0], len(SAMPLERS) + 1)
    title = f"Early stopping, $N = {STEPS}$: a dot where stopping early is best"
    drawn.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    return drawn
