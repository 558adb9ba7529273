r"""Classifier-free guidance on two Gaussians: where the guided class goes.

The setting of Chidambaram et al. (arXiv:2409.13074): p = (N(1, 1) + N(-1, 1)) / 2, score
\((w + 1) s(x|z=1) - w s(x)\), probability flow from N(0, 1), w = 1, 3, 7, 15. With
\(s = e^{-t}\) the flow is \(dx/ds = 1 + w (1 - \tanh(x s))\), and without steps

\[ x(1) = C \sqrt w + 1 + o(1), \qquad C = 0.933295 = \xi(\infty), \quad
   \xi' = 1 - \tanh(\xi a), \ \xi(0) = 0 , \]

with a standard deviation that falls from the 1 of the class to .3887. The theorem is
quoted as: \(x(1) \ge \sqrt w\) with probability \(1 - e^{-\Omega(w)}\). That probability
grows to .92 at w = 15, and then *falls*: to .50 at w = 200, to .0025 at w = 1000, since
C < 1. With any constant below C before the root it would be right. What the paper itself
prints was not at hand: it may carry such a constant. Few DDIM steps lead further than many,
to a narrower law, and at w = 7 and above 20 of them fold the line.
"""

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.stats import norm

import gmm_testbed as gt

WEIGHTS = (0, 1, 3, 7, 15, 30, 50, 100, 200, 300, 500, 1000, 3000, 10000)
FEW = (1, 3, 7, 15)
FINE = (1000, 2000, 4000)
STEPS = (10, 20, 50, 100, 200, 500)
PATH = gt.OU(18.0)
FREE = gt.GaussianMixture.isotropic([0.5, 0.5], [[1.0], [-1.0]], 1.0)
CLASS = gt.GaussianMixture.isotropic([1.0], [[1.0]], 1.0)
T_MIN = 1e-7  # of the path: its noise has a standard deviation of 0.002
POINTS = np.linspace(-2.0, 8.0, 501)
COLOURS = ("#edae49", "#66a182", "#00798c", "#d1495b")


def law_of(kernel, w, steps):
    """The law of a deterministic sampler, by change of variables."""
    blind = gt.InverseProblem(FREE, gt.Linear([[0.0]], 1.0), [0.0])
    guidance = gt.denoisers.ClassGuidance(FREE, CLASS, 1.0 + w)
    target = gt.Target(blind, PATH).seen_through(guidance)
    times = gt.time_grid(PATH, steps, "log_snr", t_min=T_MIN)
    sampler = gt.Guided(gt.approximations.Unguided(), kernel)
    try:
        return gt.laws.grid(sampler, target, times)
    except gt.UnsupportedError:
        raise
    except gt.InputError as error:  # a step that no grid resolves
        raise gt.UnsupportedError(str(error)) from error


def above(law, level):
    """P(x >= level): of the starting points that the increasing map takes there."""
    begin, end = (np.asarray(law.at(i).position) for i in (0, -1))
    if level <= end[0]:
        return 1.0
    if level >= end[-1]:
        return 0.0
    return float(norm.sf(PchipInterpolator(end, begin)(level)))


def told(law, w):
    """Moments and masses of a law."""
    density = law.at(-1)
    found = {
        "mean": law.mean()[0],
        "sd": np.sqrt(law.covariance()[0, 0]),
        "P(x >= sqrt w)": above(law, np.sqrt(w)),
        "P(x < 0)": 1.0 - above(law, 0.0),
    }
    shown = np.interp(POINTS, density.position, np.exp(density.log_density), 0, 0)
    metrics = {name: gt.Estimate(one, how="quadrature") for name, one in found.items()}
    return gt.sweep.Found(metrics, {"density": shown})


@gt.experiment(grid={"w": WEIGHTS, "steps": FINE})
def many_steps(key, w, steps):
    """Heun, whose errors are of second order: three grids give the flow itself."""
    return told(law_of(gt.kernels.Heun(), w, steps), w)


@gt.experiment(grid={"w": (0, *FEW), "steps": STEPS})
def few_steps(key, w, steps):
    """DDIM, as it is run."""
    return told(law_of(gt.kernels.DDIM(0.0), w, steps), w)


def limit(table, w):
    """What is left without steps, from the two finest grids."""
    middle, fine = (table.loc[w, steps] for steps in FINE[-2:])
    return (4.0 * fine - middle) / 3.0


def constant(table):
    """C, from (mean - 1) / sqrt w = C + O(1/w) at the two largest w of a decade."""
    one, ten = ((limit(table, w)["mean"] - 1.0) / np.sqrt(w) for w in (1000, 10000))
    return (10.0 * ten - one) / 9.0


def claims(store):
    """The law without steps at every w, and what DDIM gives in few."""
    table, few = store.wide(many_steps), store.wide(few_steps)
    found = {}
    for w in WEIGHTS:
        at = limit(table, w)
        if w in (0, *FEW, 100, 1000, 10000):
            found[f"w = {w}: mean"], found[f"w = {w}: sd"] = at["mean"], at["sd"]
        if 3 <= w < 10000:
            found[f"w = {w}: P(x >= sqrt w)"] = at["P(x >= sqrt w)"]
    found["C of x(1) = C sqrt w + 1"] = constant(table)
    for steps in (50, 500):
        for metric in ("mean", "sd"):
            name = f"DDIM, w = 7, {steps} steps: {metric}"
            found[name] = few.loc[7, steps][metric]
    return found


def tables(store):
    """A row a weight, without steps; and a row a law of DDIM."""
    table = store.wide(many_steps)
    rows = [{"w": w} | limit(table, w).to_dict() for w in WEIGHTS]
    few = store.wide(few_steps).reset_index().to_dict("records")
    return {"without steps": rows, "DDIM": few}


def figures(store):
    """Densities, the probability that is quoted, and the mean over the root of w."""
    table = store.wide(many_steps)
    cells = store.wide(many_steps, "digest")["mean"]
    shown = {w: store.arrays(cells.loc[w, FINE[-1]])["density"] for w in (0, *FEW)}
    return {"guidance_two_modes": drawn(table, store.wide(few_steps), shown)}


@gt.plotting.styled
def drawn(table, few, shown):
    figure = gt.plotting.figure(width=7.2, height=2.8)
    left, middle, right = figure.subplots(1, 3)
    left.fill_between(POINTS, shown[0], color="0.88", lw=0)
    left.annotate("$w = 0$", (-0.35, 0.2), color="0.45", ha="right")
    for w, colour in zip(FEW, COLOURS, strict=True):
        left.plot(POINTS, shown[w], color=colour, label=f"$w = {w}$")
        ends = few.loc[w]["mean"].dropna() / limit(table, w)["mean"]
        right.plot(ends.index, ends, "o-", color=colour)
    left.set(xlabel="$x(1)$", ylabel="density", ylim=(0, None), xlim=(-2, 7))
    left.set_title("Outputs without steps")
    weights = [w for w in WEIGHTS if w]
    masses = [limit(table, w)["P(x >= sqrt w)"] for w in weights]
    middle.plot(weights, masses, "ko-")
    middle.axhline(1.0, color="0.6", lw=0.8, ls="--")
    middle.annotate("its limit as quoted", (1e4, 1.02), color="0.4", ha="right")
    middle.annotate(
        f"$x(1) \\approx {constant(table):.3f}\\sqrt{{w}} + 1$", (1, 0.08), color="0.3"
    )
    middle.set(xscale="log", xlabel="guidance weight $w$", ylim=(-0.03, 1.12))
    middle.set(ylabel=r"$P(x(1) \geq \sqrt{w})$")
    middle.set_title(r"The class beyond $\sqrt{w}$")
    right.axhline(1.0, color="0.6", lw=0.8, ls="--")
    right.set(xscale="log", xlabel="number of steps $N$", ylabel="mean / its limit")
    right.set_title("The mean after few DDIM steps")
    gt.plotting.legend_below(figure, left, 4)
    return figure
