r"""Noise schedules in high dimension: which error does not fade with the dimension.

Aranguri, Biroli, Mezard & Vanden-Eijnden (arXiv:2501.00988) follow
0.8 N(m, s^2 I) + 0.2 N(-m, s^2 I), m = (1, ..., 1) in dimension d, s = 0.5, along
c (1 - tau) z + tau a by N Euler steps of the exact velocity, with c = 1 (VP) or sqrt(d)
(VE), and tau uniform or dilated: half of the steps for tau below k/sqrt(d) (VP, where the
mode is chosen), or above 1 - k/sqrt(d) (VE, where the spread is), k = 3. Their claim, as
quoted: undilated, VP gets the spread and not the weights, VE the reverse; dilated, a fixed
number of steps does. They show paths; here are the laws, on the line through the means and
across it, where a step is linear. (Divided by c the path is `Rectified`, and the Euler
step that of DDIM.)

With 50 steps and d = 10^6 the claim holds, and the failures are total: uniform VP gives the
larger mode a weight of 1.0000 for 0.8, uniform VE 0.025 of the spread. Dilated, weights are
within 0.007 and spreads across within 6 % (VP) and 10 % (VE): errors that do not fade with
d, only with N. But dilated VP has another, which grows: along the means the spread of the
larger mode, of single coordinates invisible, is 0.99 s at d = 10^4, 1.7 s at 10^6 and 13 s
at 10^8, like sqrt(d), and so does W2; dilated VE keeps 0.95.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

import gmm_testbed as gt

WEIGHT, SPREAD, K = 0.8, 0.5, 3.0
DIMS, STEPS = (100, 10_000, 1_000_000, 100_000_000), (50, 200, 1000)
NOISES, SCHEDULES = ("VP", "VE"), ("uniform", "dilated")
SHOWN = 50
TRUTH = {"weight": WEIGHT, "across": 1.0, "along": 1.0, "mean": 1.0}
METHOD = gt.Guided(gt.approximations.Unguided(), gt.kernels.DDIM(0.0))
PANELS, ORDER = 240, 8


def grid(noise, schedule, d, steps):
    """Times (N + 1,) from noise to data, 1 - tau."""
    t = np.linspace(0.0, 1.0, steps + 1)
    if schedule == "uniform":
        return 1.0 - t
    share = K / np.sqrt(d) if noise == "VP" else 1.0 - K / np.sqrt(d)
    later = (1.0 - share) * (2.0 - 2.0 * t)
    return np.where(t < 0.5, 1.0 - 2.0 * share * t, later)


def target(means, variance):
    """A mixture on the line along straight paths; nothing is measured."""
    weights = np.array([WEIGHT, 1.0 - WEIGHT])
    prior = gt.GaussianMixture.isotropic(weights, np.array(means)[:, None], variance)
    unused = gt.Linear(np.ones((1, 1)), np.eye(1))
    return gt.Target(gt.InverseProblem(prior, unused, np.zeros(1)), gt.Rectified())


@eqx.filter_jit
def carried(problem, times, x):
    """Points (n,) at the first time, after all steps."""

    def step(x, window):
        def move(x):
            return METHOD.transition(problem, x[None], *window).mean[0]

        return jax.vmap(move)(x), None

    return jax.lax.scan(step, x, (times[:-1], times[1:]))[0]


def parted(problem, times):
    """The starting point between those that end in either mode, by halving."""
    reach = 60.0 + 2.0 * float(problem.problem.prior.means[0, 0])
    low, high = -reach, reach
    for _ in range(8):
        x = np.linspace(low, high, 513)
        ends = np.asarray(carried(problem, times, jnp.asarray(x)))
        first = int(np.argmax(ends > 0.0))
        low, high = x[first - 1], x[first]
    return 0.5 * (low + high)


@gt.experiment(grid={"noise": NOISES, "schedule": SCHEDULES, "d": DIMS, "steps": STEPS})
def schedule_laws(key, noise, schedule, d, steps):
    """Weight of the larger mode, and its spread across and along the means over s."""
    c = 1.0 if noise == "VP" else np.sqrt(d)
    times = jnp.asarray(grid(noise, schedule, d, steps))
    end, spread = np.sqrt(d) / c, SPREAD / c
    along = target([end, -end], spread**2)
    begin = parted(along, times)
    near = begin + np.concatenate([[0.0], np.geomspace(1e-13, 1.0, PANELS)])
    far = np.linspace(max(near[-1], -12.0), 12.0, PANELS)
    edges = np.unique(np.concatenate([near, far]))  # the map is steep at its beginning
    nodes, rule = np.polynomial.legendre.leggauss(ORDER)
    half = 0.5 * np.diff(edges)[:, None]
    x = (edges[:-1, None] + half * (nodes + 1.0)).ravel()
    mass = (half * rule).ravel() * norm.pdf(x)
    ends = np.asarray(carried(along, times, jnp.asarray(x))) / end
    weight = norm.sf(begin)
    mean = mass @ ends / weight
    deviation = np.sqrt(mass @ (ends - mean) ** 2 / weight) * end / spread
    across = target([0.0, 0.0], spread**2)
    ends = np.asarray(carried(across, times, jnp.asarray([1.0, 0.0] * 256 + [0.0])))
    values = {"weight": weight, "across": ends[0] / spread}
    values |= {"along": deviation, "mean": mean}
    return {name: gt.Estimate(float(v), how="quadrature") for name, v in values.items()}


def claims(store):
    """Weights and spreads with 50 steps, and what 1000 leave."""
    cells, found = store.wide(schedule_laws), {}
    for noise in NOISES:
        for schedule in SCHEDULES:
            for d in DIMS[:3]:
                row = cells.loc[(noise, schedule, d, SHOWN)]
                for name in ("weight", "across", "along"):
                    place = f"{noise}, {schedule}, d = {d}, N = {SHOWN}"
                    found[f"{place}: {name}"] = row[name]
            row = cells.loc[(noise, schedule, DIMS[2], STEPS[-1])]
            place = f"{noise}, {schedule}, d = {DIMS[2]}, N = {STEPS[-1]}"
            found[f"{place}: weight"] = row["weight"]
            found[f"{place}: across"] = row["across"]
    for noise, steps in (("VP", SHOWN), ("VP", STEPS[-1]), ("VE", SHOWN)):
        row = cells.loc[(noise, "dilated", DIMS[3], steps)]
        found[f"{noise}, dilated, d = {DIMS[3]}, N = {steps}: along"] = row["along"]
    return found


def tables(store):
    """Every cell."""
    cells = store.wide(schedule_laws).reset_index()
    return {"The larger mode: weight, spread over s": cells.to_dict("records")}


def figures(store):
    """Errors against the dimension."""
    return {"high_dimension_schedules": draw(store.wide(schedule_laws))}


@gt.plotting.styled
def draw(cells):
    figure = gt.plotting.figure(height=2.9)
    panels = figure.subplots(1, 3)
    titles = {
        "weight": "weight of the larger mode",
        "across": "spread across / $s$",
        "along": "spread along / $s$",
    }
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        for noise, colour in (("VP", "DPS"), ("VE", "PiGDM")):
            for schedule, style in (("uniform", "s--"), ("dilated", "o-")):
                values = [cells.at[(noise, schedule, d, SHOWN), name] for d in DIMS]
                label = f"{noise}, {schedule}"
                colours = {"color": gt.plotting.colour(colour), "label": label}
                axes.plot(DIMS, values, style, ms=3.5, **colours)
        axes.axhline(TRUTH[name], color="black", lw=0.8, ls=":", label="exact")
        axes.set(xscale="log", xlabel="dimension $d$", title=title)
        axes.set_xticks(DIMS)
        axes.minorticks_off()
    for axes in panels[1:]:
        axes.set_yscale("log")
        axes.minorticks_off()
    gt.plotting.legend_below(figure, panels[0], 5)
    title = f"$N = {SHOWN}$ Euler steps of the exact velocity, weight 0.8, $s = 0.5$"
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    return figure
