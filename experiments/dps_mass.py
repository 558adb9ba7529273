r"""Where DPS puts its mass: the ratio of its law to the posterior, without Monte Carlo.

Delgadino, Motsch, Parulekar, Porteous & Shakkottai (arXiv:2605.06538, Figure 2): four equal
Gaussians in the plane, x2 seen as y = -2.5 with noise of variance 1/4. They estimate the
ratio of the law nu of DPS to the posterior mu by 20 paths a point, beside 500,000 samples:
modes extreme in x1 are nearly absent, and there is too much below y and too little above.
Their means are not printed; ours are (-6, -0.5), (6, -0.5), (-0.8, -2.2) and (1, -3.4),
standard deviations 1. The law of DPS is computed with 25, 50 and 100 steps of DDPM, equal
in log-SNR from t = 1 to 0.01, by quadrature, so that nu / mu is known wherever mu is not
tiny.

- the outer modes have 0.019 and 0.057 of the mass, each 0.097 in the posterior, and what is
  left sits nearer to the middle. Steps make a part of it: 0.012 and 0.036 with 25 of them,
  0.015 and 0.047 with 50;
- below y there is 0.50 for 0.47, as they found; but not because low x2 is favoured. The
  spread of x2 is 0.34 for 0.49: nu / mu is largest in a band about y, and farther than one
  below it there is a tenth of what should be.
"""

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.colors import TwoSlopeNorm
from scipy.interpolate import CubicSpline

import gmm_testbed as gt

MEANS = np.array([[-6.0, -0.5], [6.0, -0.5], [-0.8, -2.2], [1.0, -3.4]])
SEEN, STEPS, T_MIN = -2.5, (25, 50, 100), 0.01
SHOWN = STEPS[-1]
BOX = np.linspace(-9.0, 9.0, 181), np.linspace(-5.5, 1.5, 141)


def target():
    """Four modes in the plane, of which x2 is seen."""
    prior = gt.GaussianMixture.isotropic(np.full(4, 0.25), MEANS, 1.0)
    seen = gt.Linear(np.array([[0.0, 1.0]]), np.array([[0.25]]))
    return gt.Target(gt.InverseProblem(prior, seen, np.array([SEEN])), gt.VP())


@gt.experiment(grid={"steps": STEPS})
def dps_masses(key, steps):
    """Masses of modes and half planes, and the two densities on a box."""
    problem = target()
    times = gt.time_grid(problem.path, steps, "log_snr", t_min=T_MIN)
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM())
    law = gt.laws.grid(sampler, problem, times)
    exact = problem.posterior(times[-1])
    density = law.at(-1, exact)
    points = density.points()
    nu = np.asarray(density.weights())
    mu = np.exp(np.asarray(jax.vmap(exact.log_prob)(points))) * float(
        density.volumes()[0]
    )
    values = {"tv": float(law.tv(exact)), "escaped": float(law.escaped_mass)}
    shares = np.asarray(gt.diagnostics.mode_weights(density, exact))
    for k, share in enumerate(shares):
        values[f"mode {k + 1}"] = float(share)
        values[f"mode {k + 1}, exact"] = float(np.exp(exact.log_weights[k]))
    for name, mass in (("", nu), (", exact", mu)):
        mean = mass @ np.asarray(points)[:, 1]
        square = mass @ (np.asarray(points)[:, 1] - mean) ** 2
        values[f"sd of x2{name}"] = np.sqrt(square)
    grid = jnp.stack(jnp.meshgrid(*map(jnp.asarray, BOX), indexing="ij"), -1)
    truth = jax.vmap(jax.vmap(exact.log_prob))(grid)
    found = {
        name: gt.Estimate(float(v), how="quadrature") for name, v in values.items()
    }
    return gt.sweep.Found(found, {"law": onto(density), "exact": np.exp(truth)})


def onto(density):
    """The density at the nodes of the box, by bilinear interpolation."""
    x, y = np.asarray(density.x), np.asarray(density.y)
    values = np.exp(np.asarray(density.log_density))
    rows = np.stack([np.interp(BOX[1], y, row, 0.0, 0.0) for row in values])
    return np.stack([np.interp(BOX[0], x, c, 0.0, 0.0) for c in rows.T], axis=1)


def share_below(density, level):
    """Share of the mass on the box with x2 below a level."""
    marginal = CubicSpline(BOX[1], density.sum(axis=0))
    low, high = BOX[1][0], BOX[1][-1]
    return marginal.integrate(low, level) / marginal.integrate(low, high)


def claims(store):
    """Masses and spreads, with the most steps; total variation at each number."""
    cells = store.wide(dps_masses)
    last = cells.loc[SHOWN]
    found = {f"{name}, N = {SHOWN}": last[name] for name in last.index}
    arrays = store.arrays(store.wide(dps_masses, "digest")["tv"][SHOWN])
    for name, density in (("", arrays["law"]), (", exact", arrays["exact"])):
        found[f"below y{name}, N = {SHOWN}"] = share_below(density, SEEN)
        found[f"below y - 1{name}, N = {SHOWN}"] = share_below(density, SEEN - 1.0)
    return found | {f"tv, N = {n}": cells.at[n, "tv"] for n in STEPS[:-1]}


def tables(store):
    """Every number of steps."""
    return {
        "Masses of DPS and of the posterior": store.wide(dps_masses)
        .reset_index()
        .to_dict("records")
    }


def figures(store):
    """Both densities, and the ratio."""
    return {
        "dps_mass": draw(store.arrays(store.wide(dps_masses, "digest")["tv"][SHOWN]))
    }


@gt.plotting.styled
def draw(found):
    figure = gt.plotting.figure(height=2.6)
    panels = figure.subplots(1, 3, sharey=True)
    extent = (*BOX[0][[0, -1]], *BOX[1][[0, -1]])
    top = float(found["exact"].max())
    shared = {"origin": "lower", "extent": extent, "aspect": "auto"}
    for axes, name, title in (
        (panels[0], "exact", r"posterior $\mu$"),
        (panels[1], "law", r"law of DPS $\nu$"),
    ):
        axes.imshow(found[name].T ** 0.5, cmap="Greys", vmax=top**0.5, **shared)
        axes.set_title(title)
    seen = found["exact"] > 1e-6 * top
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(seen, np.log2(found["law"] / found["exact"]), np.nan)
    norm = TwoSlopeNorm(0.0, -4.0, 2.0)
    image = panels[2].imshow(ratio.T, cmap="RdBu_r", norm=norm, **shared)
    panels[2].set_title(r"$\log_2 \nu / \mu$")
    figure.colorbar(image, ax=panels[2], ticks=[-4, -2, 0, 1, 2])
    for axes in panels:
        axes.axhline(SEEN, color="0.4", lw=0.8, ls=":")
        axes.plot(*MEANS.T, "+", color="black", ms=5)
        axes.set_xlabel("$x_1$")
    panels[0].set_ylabel("$x_2$ (dotted: $y$)")
    title = f"DPS, {SHOWN} DDPM steps: where its mass is (crosses: means of the prior)"
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
    return figure
