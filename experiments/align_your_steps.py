r"""Optimal schedules for a Gaussian: the best for the law is not the best for the paths.

Sabour, Fidler and Kreis (arXiv:2404.14507, ICML 2024) find the time grid with the least KL
for data N(0, c^2 I), sigma from 80 to .002, and n Euler steps of the probability flow:
equal steps of arctan(sigma/c) (Theorem 3.1; `gt.time_grid(target, n, "tan")`). Here it is
beside EDM's grid (rho = 7), equal steps of log-SNR, and the grid that minimises the path
divergence of ancestral steps to leading order (their KLUB; `gt.time_grid(target, n,
"optimal")`), for the deterministic sampler and for the ancestral one, per dimension.

- The tan grid is 5 to 10 times better than EDM's and log-SNR at n = 10, and by the theorem
  no grid is better: KL = (f - 1 - log f)/2 with f = cos(angle/n)^(-2n).
- The grid that is best for the paths is the worst for the deterministic sampler's law in
  all 12 settings, and the tan grid the worst for the paths in 10. At c = .5, n = 10 (tan,
  EDM, log-SNR, paths): .016, .098, .084, .554 nats for the law, 791, 46.6, 11.7, 4.56 for
  the paths.
- The ancestral sampler's own law is best on the tan grid too, though its paths are not: a
  bound by the divergence of paths does not tell grids apart by what they are used for.

The paper prints curves of this, no numbers, and a table of likelihoods for mixtures whose
parameters are not printed, so that it cannot be computed.
"""

import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

SPREADS = (0.1, 0.5, 1.0)
STEPS = (8, 10, 20, 50)
GRIDS = {"tan": "tan", "EDM": "karras", "log-SNR": "log_snr", "paths": "optimal"}
LOOKS = {
    "tan": ("#000000", "o", "best for the law: equal $\\arctan(\\sigma/c)$"),
    "EDM": ("#b3541e", "^", r"EDM, $\rho = 7$"),
    "log-SNR": ("#0b6e8f", "s", "equal log-SNR"),
    "paths": ("#e39b2d", "v", "best for the paths"),
}
PATH = gt.VE(0.002, 80.0)
SHOWN = 0.5
MEASURES = {
    "KL": "KL of the law, deterministic",
    "path KL": "KL of the paths, ancestral",
    "ancestral KL": "KL of the law, ancestral",
}


@gt.experiment(grid={"c": SPREADS, "grid": tuple(GRIDS), "steps": STEPS})
def grid_divergences(key, c, grid, steps):
    """KL of the exact law from that of both samplers, and of the paths, in nats."""
    problem = gt.laws.EigenProblem(PATH, [c**2])
    target = problem.some(jnp.asarray([0]))
    times = gt.time_grid(target, steps, GRIDS[grid], t_min=0.0)
    start, truth = problem.marginal(times[0]), problem.marginal(times[-1])
    found = {}
    for name, kernel in (
        ("KL", gt.kernels.DDIM(0.0)),
        ("ancestral KL", gt.kernels.DDPM()),
    ):
        sampler = gt.Guided(gt.approximations.Exact(), kernel)
        law = gt.laws.spectral(sampler, problem, times, initial=start)
        found[name] = gt.Estimate(law.kl_from(truth), how="closed form")
    spent = gt.budget(key, sampler, target, times, initial=target.marginal(times[0]))
    found["path KL"] = spent.total
    return gt.sweep.Found(found, {"sigma": np.asarray(PATH.sigma(times))})


def claims(store):
    """The three divergences at n = 10, the closed form, and who is best and worst."""
    wide, numbers = store.wide(grid_divergences), {}
    for c in SPREADS:
        for grid in GRIDS:
            for measure in MEASURES:
                name = f"c {c:g}, {grid}, n 10: {measure}"
                numbers[name] = wide.at[(c, grid, 10), measure]
    kl = wide["KL"].unstack("grid")
    angles = np.asarray([by_formula(c, n) for c, n in kl.index])
    numbers["tan, from the closed form, relative"] = np.abs(
        kl["tan"] / angles - 1
    ).max()
    numbers["cells where tan is best for the law"] = (kl.idxmin(axis=1) == "tan").sum()
    paths = wide["path KL"].unstack("grid")
    numbers["cells where it is worst for the paths"] = (
        paths.idxmax(axis=1) == "tan"
    ).sum()
    numbers["cells where paths is best for them"] = (
        paths.idxmin(axis=1) == "paths"
    ).sum()
    numbers["cells where that is worst for the law"] = (
        kl.idxmax(axis=1) == "paths"
    ).sum()
    return numbers


def by_formula(c, n):
    """KL on the tan grid, per dimension."""
    first, last = np.arctan(80.0 / c), np.arctan(0.002 / c)
    log_f = -2.0 * n * np.log(np.cos((first - last) / n))
    return 0.5 * (np.expm1(log_f) - log_f)


def tables(store):
    """One row a spread and number of steps, all grids beside each other."""
    wide = store.wide(grid_divergences)[list(MEASURES)].unstack("grid")
    wide.columns = [f"{measure}, {grid}" for measure, grid in wide.columns]
    return {"KL in nats per dimension": wide.reset_index().to_dict("records")}


def figures(store):
    """Three divergences against n at c = 1/2, and the grids."""
    wide = store.wide(grid_divergences).xs(SHOWN, level="c")
    digests = store.wide(grid_divergences, "digest")["KL"].xs(SHOWN, level="c")
    grids = {grid: store.arrays(digests[grid, 20])["sigma"] for grid in GRIDS}
    return {"align_your_steps": drawn(wide, grids)}


@gt.plotting.styled
def drawn(wide, grids):
    figure = gt.plotting.figure(width=7.2, height=2.9)
    left, middle, right = figure.subplots(1, 3)
    for axes, measure in ((left, "KL"), (middle, "path KL")):
        for grid, (colour, marker, label) in LOOKS.items():
            values = wide[measure].loc[grid].to_numpy()
            look = {"color": colour, "marker": marker, "markersize": 3.5}
            axes.plot(STEPS, values, label=label, **look)
        axes.set(xscale="log", yscale="log", title=MEASURES[measure])
        axes.set_xticks(STEPS, [str(n) for n in STEPS])
        axes.minorticks_off()
        axes.grid(True, axis="y")
        axes.set_xlabel("number of steps $n$")
    left.set_ylabel("nats per dimension")
    for grid, sigma in grids.items():
        colour, marker, _ = LOOKS[grid]
        right.plot(
            range(len(sigma)), sigma, color=colour, marker=marker, markersize=2.5
        )
    right.axhline(SHOWN, color="0.6", linewidth=0.8, linestyle="--", zorder=1)
    right.annotate("$c$", (20, SHOWN), xytext=(0, 2), textcoords="offset points",
                   color="0.4", ha="right")  # fmt: skip
    right.set(
        yscale="log", title="the grids, $n = 20$", xlabel="step", ylabel=r"$\sigma$"
    )
    right.minorticks_off()
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=4
    )
    title = f"One Gaussian of standard deviation $c = {SHOWN:g}$"
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    return figure
