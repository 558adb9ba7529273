"""What miscalibration looks like: ten samplers, three tests.

Ranks of each coordinate, coverage of regions of highest posterior density, and coverage of
balls (TARP), over 4000 fresh pairs of plane-modes. Exact draws pass. DPS is too narrow,
widened draws are too wide, shifted ones have a biased mean, draws with modes equally likely
have the wrong weights, and those of an earlier time are stopped early: each of these is
seen by every test, with p below 1e-14. Not every test sees everything as well:

- a sampler that ignores y passes the ranks, and is caught by coverage and TARP;
- a mode that is dropped is plain in the ranks, which pile up at the ends (p of 1e-199), and
  hardly changes coverage (1e-12): where the mode was, the density is like elsewhere;
- hallucinations make a sampler look cautious in coverage and TARP, as if it were too wide.
  Those in a mode of the prior that the data rule out are all but missed by the ranks of x2
  (1e-4), among which that mode lies; those that the data like are seen by every test, by
  TARP least.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

PAIRS, DRAWS, STEPS, SHOWN = 4000, 99, 200, 20_000
PROBLEM = "plane-modes"
CLEAR = 1e-7
SHARE, AWAY, STOPPED = 0.1, 6.0, 0.1
TESTS = ("ranks of x1", "ranks of x2", "coverage", "TARP")
MAKE = gt.diagnostics.deliberate
UNSEEN = MAKE.unseen(gt.problems.get(PROBLEM).problem.measurement)


def dropped(target, t):
    """The posterior without its second mode."""
    return MAKE.one_mode_dropped(target.posterior(t))


def liked_by_the_prior(target, t):
    """A share of the draws in a mode that the data rule out."""
    law = target.posterior(t)
    return MAKE.blend(law, MAKE.from_the_prior(law, target.marginal(t)), SHARE)


def liked_by_the_data(target, t):
    """A share of the draws far away where the data see nothing."""
    law = target.posterior(t)
    return MAKE.blend(law, MAKE.from_the_data(law, UNSEEN, AWAY), SHARE)


def stopped_early(target, t):
    """The noised posterior of an earlier time, given for that of t."""
    return target.posterior(jnp.asarray(STOPPED, t.dtype))


SEES_LEAST = {
    "mode dropped": "coverage",
    "prior hallucination": "ranks of x2",
    "likelihood hallucination": "TARP",
}
MODES = {
    "calibrated": ("exact draws", gt.diagnostics.PosteriorDraws()),
    "too narrow": (
        f"DPS, {STEPS} steps",
        gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM()),
    ),
    "too wide": (
        "exact draws, modes 1.4 times as wide",
        gt.diagnostics.PosteriorDraws(scale=1.4),
    ),
    "ignores y": (
        f"unguided, {STEPS} steps: the ranks cannot see it",
        gt.Guided(gt.approximations.Unguided(), gt.kernels.DDPM("matched")),
    ),
    "biased mean": (
        "exact draws, moved by 0.3 standard deviations",
        gt.diagnostics.PosteriorDraws(shift=0.3),
    ),
    "wrong weights": (
        "exact draws, modes equally likely",
        gt.diagnostics.PosteriorDraws(power=0.0),
    ),
    "mode dropped": (
        "exact draws, the second mode missing",
        gt.diagnostics.PosteriorDraws(source=dropped),
    ),
    "prior hallucination": (
        f"exact draws, {SHARE:.0%} of them in a mode that the data rule out",
        gt.diagnostics.PosteriorDraws(source=liked_by_the_prior),
    ),
    "likelihood hallucination": (
        f"exact draws, {SHARE:.0%} of them far away where the data see nothing",
        gt.diagnostics.PosteriorDraws(source=liked_by_the_data),
    ),
    "stopped early": (
        f"exact draws of t = {STOPPED:g}, as if they were of the last time",
        gt.diagnostics.PosteriorDraws(source=stopped_early),
    ),
}


@gt.experiment(grid={"mode": MODES, "pairs": [PAIRS]}, paired="mode")
def calibration(key, mode, pairs):
    """p-values of every test, the levels that they judge, and draws for one observation."""
    target = gt.problems.get(PROBLEM)
    problem, sampler = target.problem, MODES[mode][1]
    afresh = isinstance(sampler, gt.diagnostics.PosteriorDraws)  # its last step is all
    steps = 1 if afresh else STEPS
    times = gt.time_grid(target.path, steps, t_min=gt.problems.T_MIN)
    key_pairs, key_shown = jax.random.split(key)
    given = problem.prior, problem.measurement, target.path, sampler, times
    found = gt.diagnostics.calibrate(key_pairs, *given, pairs, DRAWS)
    p = [*found.sbc.chi_square_p, found.coverage.distance_p, found.tarp.distance_p]
    shown = gt.sample(key_shown, sampler, target, times, SHOWN).x[:, 0]
    levels = [*found.sbc.levels, found.coverage.levels, found.tarp.levels]
    return gt.sweep.Found(
        {f"p, {test}": float(value) for test, value in zip(TESTS, p, strict=True)},
        {"levels": np.stack(levels).astype(np.float32), "shown": np.float32(shown)},
    )


def claims(store):
    """How many tests see each mode, the one that sees least, and p where none should."""
    p = p_values(store)
    numbers = {
        f"{mode}: tests below {CLEAR:g}": sum(v < CLEAR for v in p[mode].values())
        for mode in MODES
    }
    for mode, test in SEES_LEAST.items():
        numbers[f"{mode}: log10 p of {test}"] = math.log10(max(p[mode][test], 1e-300))
    ranks = [p["ignores y"][test] for test in TESTS[:2]]
    return numbers | {
        "calibrated: smallest p": min(p["calibrated"].values()),
        "ignores y: smallest p of the ranks": min(ranks),
    }


def tables(store):
    """The p-values, a row a mode."""
    p = p_values(store)
    return {
        "p-values": [{"mode": mode, "how": MODES[mode][0], **p[mode]} for mode in p]
    }


def p_values(store):
    """By mode and test."""
    cells = store.wide(calibration).droplevel("pairs")
    tests = cells.rename(columns=lambda metric: metric.removeprefix("p, "))
    return tests.to_dict("index")


def figures(store):
    """One figure a mode."""
    digests = store.frame(calibration).groupby("mode", sort=False)["digest"].first()
    return {m.replace(" ", "_"): drawn(m, store.arrays(d)) for m, d in digests.items()}


@gt.plotting.styled
def drawn(mode, arrays):
    """What one observation looks like, and the tests."""
    figure = gt.plotting.figure(gt.plotting.FULL_WIDTH, 1.75)
    panels = figure.subplots(1, 1 + len(TESTS))
    gt.plotting.one_observation(panels[0], example(arrays["shown"]))
    drawers = (gt.plotting.rank_histogram,) * 2 + (gt.plotting.coverage_curve,) * 2
    names = "rank of $x_1$", "rank of $x_2$", "level of densest region", "level of ball"
    for axes, draw, name, levels in zip(
        panels[1:], drawers, names, arrays["levels"], strict=True
    ):
        draw(axes, gt.diagnostics.uniformity(jnp.asarray(levels, float)))
        axes.set_xlabel(name)
    title = f"{mode.capitalize()}: {MODES[mode][0]}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=8.5)
    return figure


def example(draws):
    """Exact density of the first coordinate at the last time, and the draws."""
    target = gt.problems.get(PROBLEM)
    x = jnp.linspace(-3.2, 3.2, 400)
    t = jnp.asarray(gt.problems.T_MIN)
    law = target.posterior(t).affine(jnp.eye(target.problem.prior.dim)[:1])
    exact = jnp.exp(jax.vmap(law.log_prob)(x[:, None]))
    return gt.plotting.Example(x, exact, jnp.asarray(draws))
