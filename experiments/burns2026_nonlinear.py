"""Nonlinear measurements with finite-sample references: x^2, |x|, radius and angle.

A prior of atoms has an exact posterior for any measurement, so that samplers can be judged
where no closed form exists (Burns & Fridovich-Keil, arXiv:2605.30330); how fast such
references converge is in `burns2026_finite_sample`. The finding holds:

- y = x^2: the laws are 0.18 (TMPD, PiGDM), 0.34 (DPS) and 0.45 (ZetaDPS) away from the
  posterior, exact guidance 0.010; all prefer the right mode, the less likely one of 0.48:
  0.77 (DPS), 0.65 (PiGDM, TMPD), 0.57 (ZetaDPS);
- y = |x|: DPS gives 0.99 of the mass to one sign, which has 0.54;
- the radius of a ring: DPS puts one sample in 10,000 at x_1 > 0, where 0.29 of the mass is,
  PiGDM and TMPD 0.18 and 0.19;
- the angle on a Swiss roll: ZetaDPS leaves a quarter of its mass on turns not seen.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

import gmm_testbed as gt

METHODS = ("Exact", "DPS", "ZetaDPS", "PiGDM", "TMPD")
PLANE = "ring-radius", "roll-angle"
LAW_STEPS, STEPS = 200, 100
SAMPLES, SHOWN = 10_000, 1000
T_MIN = 0.03  # of samples: neighbouring atoms still overlap
DIRECTION = (np.cos(0.7), np.sin(0.7))
HALVES = {  # masses of {x : u . x > c}, exact for a mixture: u, c
    "absolute": {"right mode": ((1.0,), 0.0)},
    "ring-radius": {"right half": ((1.0, 0.0), 0.0)},
    "roll-angle": {"outer turn": (DIRECTION, 1.5), "seen turns": (DIRECTION, 0.4)},
}


def sampler(method):
    """Euler-Maruyama with the field of a method."""
    approximation = gt.approximations.CATALOGUE[method]()
    return gt.Guided(approximation, gt.kernels.EulerMaruyama())


@gt.experiment(grid={"problem": ["square"], "method": METHODS, "steps": [LAW_STEPS]})
def nonlinear_laws(key, problem, method, steps):
    """The law at t = 0.01 against the reference of the same atoms, and its heat-map.

    Where y = |x| the fields jump, and a law costs minutes: `samples` has that problem.
    """
    target = gt.problems.get(problem)
    times = gt.time_grid(target.path, steps, t_min=gt.problems.T_MIN)
    law = gt.laws.grid(sampler(method), target, times)
    points = np.linspace(-4.0, 4.0, 161)
    shown = gt.plotting.history(law, points)
    truth = gt.plotting.exact_history(target, shown.times, points)
    rows = np.unique(np.linspace(0, len(shown.times) - 1, 81).astype(int))
    found = {"t": shown.times[rows], "x": points}
    found |= {"law": shown.density[rows], "exact": truth.density[rows]}
    found = {name: np.asarray(array, np.float32) for name, array in found.items()}
    exact = target.posterior(times[-1])
    metrics = {"tv": law.tv(exact), "right mode": right(law.at(-1, exact))}
    metrics["right mode, exact"] = beyond(exact, jnp.ones(1), 0.0)
    return gt.sweep.Found(metrics, found)


def right(density):
    """Mass at x > 0."""
    return density.expectation(lambda x: (x[0] > 0.0).astype(x.dtype))


def beyond(mixture, direction, level):
    """Mass of {x : u . x > c} under equal round components."""
    offset = (mixture.means @ direction - level) / jnp.sqrt(mixture.base)
    return jnp.exp(mixture.log_weights) @ norm.cdf(offset)


@gt.experiment(grid={"problem": HALVES, "method": METHODS}, paired="method")
def samples(key, problem, method):
    """Masses of half-spaces under samples and under the reference of the same atoms."""
    target = gt.problems.get(problem)
    times = gt.time_grid(target.path, STEPS, t_min=T_MIN)
    drawn = gt.sample(key, sampler(method), target, times, SAMPLES)
    exact, metrics = target.posterior(times[-1]), {"nonfinite": drawn.info.nonfinite}
    for name, (direction, level) in HALVES[problem].items():
        along = jnp.asarray(direction)
        inside = (drawn.x @ along > level).astype(drawn.x.dtype)
        metrics[name] = gt.Estimate.mean_of(inside)
        metrics[f"{name}, exact"] = beyond(exact, along, level)
    found = {"x": drawn.x, "exact": exact.sample(jax.random.key(0), len(drawn.x))}
    return gt.sweep.Found(
        metrics, {k: np.asarray(v, np.float32) for k, v in found.items()}
    )


def claims(store):
    """Distances and masses on the line, masses of half-spaces."""
    frame = store.frame(nonlinear_laws, samples)
    of_truth = frame["metric"].str.endswith("exact")
    frame["of"] = (", " + frame["method"]).where(~of_truth, "")
    told = frame[~of_truth | (frame["method"] == "Exact")]
    names = told["problem"] + told["of"] + ": " + told["metric"]
    return dict(zip(names, told["value"], strict=True))


def figures(store):
    """Laws and histograms on the line; samples in the plane over the prior's atoms."""
    frame = store.frame(nonlinear_laws, samples)
    cells = frame.drop_duplicates(["experiment", "problem", "method"])
    arrays = cells.set_index(["experiment", "problem", "method"])["digest"]
    known, drawn = (
        arrays[e.name].map(store.arrays).to_dict() for e in (nonlinear_laws, samples)
    )
    return {"lines": draw_lines(known, drawn), "planes": draw_planes(drawn)}


@gt.plotting.styled
def draw_lines(known, samples):
    drawn = gt.plotting.figure(height=2.8)
    panels = drawn.subplots(1, 2)
    square = {method: known["square", method] for method in METHODS}
    x, bins = square["Exact"]["x"], np.linspace(-2.3, 2.3, 47)
    exact = {"color": "0.88", "lw": 0, "label": "exact posterior"}
    panels[0].fill_between(x, square["Exact"]["exact"][-1], **exact)
    heights = samples["absolute", "Exact"]["exact"][:, 0]
    panels[1].hist(heights, bins, density=True, color="0.88")
    for method in METHODS[1:]:
        shade = gt.plotting.colour(method)
        panels[0].plot(x, square[method]["law"][-1], color=shade, label=method)
        shown = {"density": True, "histtype": "step", "color": shade, "lw": 1.1}
        panels[1].hist(samples["absolute", method]["x"][:, 0], bins, **shown)
    for axes, title in zip(
        panels, ("$y = x^2$, laws", "$y = |x|$, samples"), strict=True
    ):
        axes.set(xlim=(-2.3, 2.3), ylim=(0, None), xlabel="$x$")
        axes.set_title(title)
    panels[0].set_ylabel("density of the output")
    gt.plotting.legend_below(drawn, panels[0], len(METHODS))
    return drawn


@gt.plotting.styled
def draw_planes(samples):
    drawn = gt.plotting.figure(height=3.1)
    panels = drawn.subplots(len(PLANE), len(METHODS), sharex=True, sharey=True)
    for row, problem in zip(panels, PLANE, strict=True):
        atoms = np.asarray(gt.problems.get(problem).problem.prior.means)
        for axes, method in zip(row, METHODS, strict=True):
            axes.plot(*atoms.T, ".", ms=1.0, color="0.8", mew=0)
            x = samples[problem, method]["exact" if method == "Exact" else "x"]
            shade = gt.plotting.colour(method)
            axes.plot(*x[:SHOWN].T, ".", ms=1.6, color=shade, mew=0, alpha=0.5)
            axes.set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), aspect="equal")
            axes.set_xticks([-2, 0, 2])
            axes.set_yticks([-2, 0, 2])
        row[0].set_ylabel(
            {"ring-radius": "radius seen", "roll-angle": "angle seen"}[problem]
        )
    for axes, method in zip(panels[0], METHODS, strict=True):
        axes.set_title("exact posterior" if method == "Exact" else method)
    return drawn
