r"""Langevin dynamics misses the weights of modes; annealing finds most of them, not all.

Figure 3 of Song & Ermon (arXiv:1907.05600), the reason for their noise levels, with exact
scores and exact laws: 0.8 N((5, 5), I) + 0.2 N((-5, -5), I), chains from the uniform law of
[-8, 8]^2, 1000 Langevin steps of size 0.1, or 100 at each of ten levels whose standard
deviation of the components falls from 20 to 1, of size 0.1 sigma^2 (the settings of their
program, runners/toy_runner.py; the paper shows points and no number). Along the diagonal
through the means the law is computed:

- Langevin dynamics has 0.5089 of its mass in the larger mode after 100, 1000 and 10,000
  steps: that of the start which lies on its side of the valley;
- annealed it has 0.782, not 0.8. This is no noise of 1280 points, whose standard deviation
  is 0.011, but what 100 steps a level leave: the weights follow the levels with a lag, and
  from the seventh level on, sigma = 2.7, nothing moves between the modes any more;
- ten steps a level leave 0.678, a thousand 0.797. A larger step mixes sooner and widens the
  modes: within one the variance is 1/(1 - h/4) for a step h, and total variation is least
  between. Chains that begin at a level with equal weights end with more of them in
  the right place the earlier it is: that is where weights are decided.
"""

import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.stats import norm

import gmm_testbed as gt

WEIGHTS, MEAN, SIDE = (0.8, 0.2), 5.0, 8.0
LEVELS, LARGEST = 10, 20.0
REPEATS, STEPS, EPSILONS = (10, 100, 1000), (100, 1000, 10_000), (0.01, 0.05, 0.2, 0.5)
EPSILON, SHOWN, POINTS = 0.1, 100, 1280
X = np.linspace(-12.0, 12.0, 481)
RATIO = LARGEST ** (1.0 / (LEVELS - 1))
PATH = gt.VE(1.0, LARGEST * RATIO)  # the level before the first is the start
RUNGS = np.linspace(1.0, 0.0, LEVELS + 1)
SIGMAS = LARGEST / RATIO ** np.arange(LEVELS)


def problem(dim):
    """The mixture in the plane, or along its diagonal; its noise is that of the path."""
    means = MEAN * np.sqrt(2.0 / dim) * np.ones(dim)
    prior = gt.GaussianMixture.empirical(np.stack([means, -means]), np.array(WEIGHTS))
    unused = gt.Linear(np.ones((1, dim)), np.eye(1))
    return gt.Target(gt.InverseProblem(prior, unused, np.zeros(1)), PATH)


def start(dim, width=0.05):
    """The uniform law of a square, or of its points along the diagonal, of narrow modes."""
    if dim == 1:  # a triangle
        end = SIDE * np.sqrt(2.0)
        at = np.arange(-end + width, end, width)[:, None]
        weights = 1.0 - np.abs(at[:, 0]) / end
    else:
        line = np.linspace(-SIDE, SIDE, 33)[:-1] + SIDE / 32
        at = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
        weights, width = np.ones(len(at)), 0.15
    return gt.GaussianMixture.isotropic(weights / weights.sum(), at, width**2)


def sampler(epsilon=EPSILON, levels=RUNGS):
    """Langevin steps in the exact score."""
    return gt.algorithms.Langevin(gt.approximations.Unguided(), epsilon, levels)


def right_of_zero(density):
    """Mass of a law in the half of the larger mode."""
    x = np.asarray(density.position)
    smooth = CubicSpline(x, np.exp(np.asarray(density.log_density)))
    return float(smooth.integrate(0.0, x[-1]))


def measured(law, target):
    """Weight, total variation and W1 at the end, and the law there."""
    density, truth = law.at(-1), target.marginal(jnp.zeros(()))
    values = {
        "weight": right_of_zero(density),
        "tv": float(gt.divergences.tv(density, truth)),
        "W1": float(gt.divergences.w1(density, truth)),
    }
    found = {name: gt.Estimate(v, how="quadrature") for name, v in values.items()}
    shown = np.exp(np.asarray(density.log_density))
    return found, {"law": np.interp(X, np.asarray(density.position), shown, 0.0, 0.0)}


def after_levels(epsilon, repeats):
    """The law of annealed dynamics, and its weight after every level."""
    target = problem(1)
    times = gt.algorithms.ladder(RUNGS, repeats)
    law = gt.laws.grid(sampler(epsilon), target, times, initial=start(1))
    ends = [law.at(k * repeats) for k in range(1, LEVELS + 1)]
    metrics, arrays = measured(law, target)
    return gt.sweep.Found(metrics, arrays | {"weights": [*map(right_of_zero, ends)]})


@gt.experiment(grid={"repeats": REPEATS})
def annealed_by_repeats(key, repeats):
    """Annealed dynamics, by the number of steps at a level."""
    return after_levels(EPSILON, repeats)


@gt.experiment(grid={"epsilon": EPSILONS})
def annealed_by_size(key, epsilon):
    """Annealed dynamics, by the size of a step."""
    return after_levels(epsilon, SHOWN)


@gt.experiment(grid={"steps": STEPS})
def langevin_at_one_level(key, steps):
    """Langevin dynamics in the score of the data."""
    target, times = problem(1), jnp.linspace(1.0, 0.0, steps + 1)
    plain = sampler(levels=RUNGS[-1:])
    law = gt.laws.grid(plain, target, times, initial=start(1))
    return gt.sweep.Found(*measured(law, target))


@gt.experiment(grid={"level": range(1, LEVELS + 1)})
def annealed_from_level(key, level):
    """Annealed dynamics that begin in the law of a level, with equal weights."""
    target = problem(1)
    even = target.problem.prior.means, SIGMAS[level - 1] ** 2
    initial = gt.GaussianMixture.isotropic(np.full(2, 0.5), *even)
    times = gt.algorithms.ladder(RUNGS[level - 1 :], SHOWN)
    law = gt.laws.grid(sampler(), target, times, initial=initial)
    return gt.sweep.Found(*measured(law, target))


@gt.experiment(grid={"dynamics": ("Langevin", "annealed")})
def langevin_points(key, dynamics):
    """As many points as in the published figure."""
    target, annealed = problem(2), dynamics == "annealed"
    times = gt.algorithms.ladder(RUNGS, SHOWN)
    chosen = sampler() if annealed else sampler(levels=RUNGS[-1:])
    found = gt.sample(key, chosen, target, times, POINTS, initial=start(2))
    x = np.asarray(found.x)
    share = np.mean(x.sum(axis=1) > 0.0)
    error = np.sqrt(share * (1.0 - share) / POINTS)
    return gt.sweep.Found({"weight": gt.Estimate(share, error)}, {"x": x})


def exact_weights():
    """Mass of the larger half at every level, (L,)."""
    above = norm.cdf(MEAN * np.sqrt(2.0) / SIGMAS)
    return WEIGHTS[0] * above + WEIGHTS[1] * (1.0 - above)


def claims(store):
    """Weights, total variation and W1 of both dynamics; the lag of every level."""
    found = {}
    for name, cells in runs(store):
        for label, row in cells.iterrows():
            for metric in ("weight", "tv", "W1"):
                found[f"{name.format(label)}: {metric}"] = row[metric]
    after = lag(store)[SHOWN]
    for level, (weight, exact) in enumerate(zip(after, exact_weights(), strict=True)):
        found[f"annealed, after level {level + 1}: weight"] = weight
        found[f"annealed, after level {level + 1}: exact weight"] = exact
    moved = store.wide(annealed_from_level)["weight"]
    for level in (1, 4, 7, 10):
        found[f"equal weights at level {level}: weight"] = moved[level]
    return found


def runs(store):
    """A name and the cells of each sweep."""
    return (
        ("Langevin, {} steps", store.wide(langevin_at_one_level)),
        ("annealed, {} steps a level", store.wide(annealed_by_repeats)),
        ("annealed, size {:g}", store.wide(annealed_by_size)),
    )


def lag(store):
    """Weights (L,) after every level, by the number of steps at one."""
    digests = store.wide(annealed_by_repeats, "digest")["tv"]
    return {n: store.arrays(digest)["weights"] for n, digest in digests.items()}


def tables(store):
    """Both dynamics, and the weight after every level."""
    ends = [
        {"dynamics": name.format(label)} | row[["weight", "tv", "W1"]].to_dict()
        for name, cells in runs(store)
        for label, row in cells.iterrows()
    ]
    after, moved = lag(store), store.wide(annealed_from_level)["weight"]
    levels = [
        {"level": k + 1, "sigma": SIGMAS[k], "exact": exact_weights()[k]}
        | {f"{n} steps": weights[k] for n, weights in after.items()}
        | {"end, from equal weights here": moved[k + 1]}
        for k in range(LEVELS)
    ]
    return {"Where chains end (truth: weight 0.8)": ends, "After every level": levels}


def figures(store):
    """The points of the published figure, the laws, and the weights by level."""
    arrays = {}
    for name, cell, label in (
        ("Langevin", langevin_at_one_level, 1000),
        ("annealed", annealed_by_repeats, SHOWN),
    ):
        digest = store.wide(cell, "digest")["tv"][label]
        arrays[name] = store.arrays(digest)["law"]
    digests = store.wide(langevin_points, "digest")["weight"]
    drawn = {name: store.arrays(digest)["x"] for name, digest in digests.items()}
    moved = store.wide(annealed_from_level)["weight"].to_numpy()
    shares = store.wide(langevin_points)["weight"]
    return {"annealed_langevin": draw(drawn, shares, arrays, lag(store), moved)}


@gt.plotting.styled
def draw(found, shares, laws, after, moved):
    figure = gt.plotting.figure(height=4.6)
    grid = figure.add_gridspec(2, 6, height_ratios=(1.0, 1.05))
    colours = {"Langevin": gt.plotting.colour("DPS")}
    colours["annealed"] = gt.plotting.colour("TMPD")
    label = np.random.default_rng(0).random(POINTS) < WEIGHTS[0]
    noise = np.random.default_rng(1).normal(size=(POINTS, 2))
    scatter = {"data": np.where(label[:, None], MEAN, -MEAN) + noise} | found
    for k, (name, x) in enumerate(scatter.items()):
        axes = figure.add_subplot(grid[0, 2 * k : 2 * k + 2])
        axes.plot(*x.T, ".", ms=1.5, color=colours.get(name, "0.25"), rasterized=True)
        axes.set(xlim=(-9, 9), ylim=(-9, 9), aspect="equal", xlabel="$x_1$")
        share = f"{WEIGHTS[0]:g}" if name == "data" else f"{shares[name]:.3f}"
        axes.set_title(f"{name}: {share} upper right")
        if k == 0:
            axes.set_ylabel("$x_2$")
    density(figure.add_subplot(grid[1, :3]), laws, colours)
    weights(figure.add_subplot(grid[1, 3:]), after, moved)
    title = (
        f"Langevin dynamics in exact scores, {POINTS} chains above, exact laws below"
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    return figure


def density(axes, laws, colours):
    """Laws along the diagonal, beside that of the data."""
    means = MEAN * np.sqrt(2.0) * np.array([1.0, -1.0])
    truth = norm.pdf(X[:, None], means) @ np.array(WEIGHTS)
    axes.fill_between(X, 0.0, truth, color="0.85", lw=0, label="data")
    for name, law in laws.items():
        axes.plot(X, law, color=colours[name], label=name)
    axes.set(xlabel=r"$(x_1 + x_2)/\sqrt{2}$", ylabel="density", ylim=(0.0, None))
    axes.legend(loc="upper center")


def weights(axes, after, moved):
    """Mass of the larger mode after every level."""
    blues = gt.plotting.colour("TMPD"), gt.plotting.colour("PiGDM")
    blues = (*blues, gt.plotting.colour("DiffPIR"))
    axes.plot(SIGMAS, exact_weights(), color="black", label="exact, of the level")
    for (repeats, found), colour in zip(after.items(), blues, strict=True):
        axes.plot(SIGMAS, found, "o-", ms=3, color=colour, label=f"{repeats} steps")
    axes.plot(SIGMAS, moved, "s:", ms=3, color="0.5", label="end, if .5 here")
    axes.set(xscale="log", xlabel=r"level $\sigma$ (noise to data)", xlim=(24.0, 0.85))
    axes.set_xticks([20, 10, 5, 2, 1], ["20", "10", "5", "2", "1"])
    axes.minorticks_off()
    axes.set(ylabel="mass of the larger mode", ylim=(0.38, 0.82))
    axes.legend(loc="lower left", fontsize=6, ncols=3)
