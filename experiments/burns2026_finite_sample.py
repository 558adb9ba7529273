r"""How far the finite-sample reference is from the truth, and the theorem that says so.

The finite-sample reference (FSR) of Burns & Fridovich-Keil (arXiv:2605.30330) replaces the
prior by N of its draws, which makes the posterior marginal exact for any measurement. The
paper shows that it converges, by Monte Carlo; T21 gives the curve, with no fitted constant:

\[ \sqrt N\, E\, TV(\hat p_t(\cdot|y), p_t(\cdot|y)) \to (2\pi)^{-1/2} \int \sqrt{\rho_y
   [(4\pi u^2)^{-1/2} \tilde p^h - 2 p_t(x|y) p^h_t(x) + p_t(x|y)^2]}\, dx , \]

u the noise-to-signal ratio at t; the notation is that of `gt.bounds.training_posterior`.

The finding holds, and needs a number beside it. On two-modes a reference of 1024 atoms is
0.094 away from the truth at t = 0.01, further than TMPD with 1000 steps (0.079), and 0.27
at the paper's own t = 0.001. It is a reference from t = 0.1 up, where 142 atoms give 0.05.
One atom in seven is in effect: the observation leaves no more.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

TIMES = (0.001, 0.01, 0.1, 0.3)
ATOMS = (16, 64, 256, 1024)
DATA_SETS = {0.001: 100, 0.01: 200, 0.1: 400, 0.3: 400}
NODES = {0.001: 2048, 0.01: 512, 0.1: 128, 0.3: 128}  # two a noise level, or more
WANTED = 0.05  # a total variation that could be called small


@gt.experiment(grid={"t": TIMES, "atoms": ATOMS})
def total_variation(key, t, atoms):
    """E TV over data sets, and the two constants of T21 over the root of N."""
    exact = constants(t)
    keys = jax.random.split(key, DATA_SETS[t])
    target = gt.problems.get("two-modes")
    found = distances(keys, target, jnp.asarray(t), grid_at(t), exact.density, atoms)
    root = np.sqrt(atoms)
    return {
        "tv": gt.Estimate.mean_of(found),
        "limit": gt.Estimate(exact.limit / root, how="quadrature"),
        "bound": gt.Estimate(exact.bound / root, how="quadrature"),
        "rho": gt.Estimate(exact.rho),
    }


@functools.cache
def grid_at(t):
    """Nodes for x_t / alpha_t that cover the posterior."""
    target = gt.problems.get("two-modes")
    noise = ratio(target.path, t)
    covered = target.problem.posterior().noised(jnp.ones_like(noise), noise)
    return gt.bounds.training_sets.grid_of(covered, NODES[t])


def ratio(path, t):
    """sigma / alpha."""
    return path.sigma(jnp.asarray(t)) / path.alpha(jnp.asarray(t))


def constants(t):
    """Both constants of T21 and the exact density, on the grid of time t."""
    target = gt.problems.get("two-modes")
    problem, noise = target.problem, ratio(target.path, t)
    A, R = problem.measurement.A, problem.measurement.R[0, 0]
    arguments = problem.prior, A, R, problem.y, noise, grid_at(t)
    return gt.bounds.training_posterior.rates(*arguments)


@eqx.filter_jit
def distances(keys, target, t, grid, density, atoms: int):
    """TV of the references of independent data sets, (sets,)."""
    problem, alpha = target.problem, target.path.alpha(t)

    def one(key):
        drawn = gt.GaussianMixture.empirical(problem.prior.sample(key, atoms))
        posed = gt.InverseProblem(drawn, problem.measurement, problem.y)
        reference = gt.Target(posed, target.path).posterior(t)
        at_nodes = jax.vmap(lambda x: reference.log_prob(alpha * x[None]))(grid.points)
        return 0.5 * grid.integral(jnp.abs(alpha * jnp.exp(at_nodes) - density))

    return jax.lax.map(one, keys)


def curves(store):
    """By t and metric: values at ATOMS, (n,); "stderr" is that of the total variation."""
    found = {}
    for row in store.rows(total_variation):
        here = found.setdefault(row.cell["t"], {})
        here.setdefault(row.metric, []).append(row.value)
        if row.metric == "tv":
            here.setdefault("stderr", []).append(row.stderr)
    return {
        t: {name: np.array(values) for name, values in here.items()}
        for t, here in found.items()
    }


def claims(store):
    """The measured E TV over its closed-form limit, and what the theorem implies."""
    found, violated = {}, 0
    for t, at in curves(store).items():
        last, limit = at["tv"][-1], at["limit"][-1]
        found[f"E TV, t = {t:g}, N = {ATOMS[-1]}"] = last
        found[f"E TV over its limit, t = {t:g}, N = {ATOMS[-1]}"] = last / limit
        needed = ATOMS[-1] * (limit / WANTED) ** 2
        found[f"atoms for E TV = {WANTED:g}, t = {t:g}"] = needed
        found["drawn atoms for one in effect"] = at["rho"][-1]
        violated += np.sum(at["tv"] - 4.5 * at["stderr"] > at["bound"])
    found["bounds that are violated"] = violated
    return {name: float(value) for name, value in found.items()}


def figures(store):
    """Monte Carlo points, and the closed-form curves through them."""
    return {"total_variation": draw(curves(store))}


@gt.plotting.styled
def draw(found):
    """One shade a time, from noise (light) to data (dark)."""
    drawn = gt.plotting.figure(width=4.2, height=3.2)
    axes = drawn.subplots()
    shades = ("#05192b", "#12679b", "#3f97d4", "#8fb4cc")
    for (t, at), shade in zip(found.items(), shades, strict=True):
        inside = at["limit"] < 1.0
        atoms, limit = np.array(ATOMS)[inside], at["limit"][inside]
        axes.plot(atoms, limit, color=shade, zorder=1)
        bars = {"fmt": "o", "markersize": 3.5, "color": shade}
        axes.errorbar(ATOMS, at["tv"], 2.0 * at["stderr"], **bars)
        axes.annotate(
            f"$t = {t:g}$",
            (ATOMS[-1], limit[-1]),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=shade,
            annotation_clip=False,
        )
    axes.plot([], [], color="0.3", label="T21: limit for large $N$, closed form")
    axes.errorbar([], [], [], fmt="o", ms=3.5, color="0.3", label="measured, 2 errors")
    axes.set(xscale="log", yscale="log", xlabel="atoms $N$ of the reference")
    axes.set_xticks(ATOMS, [str(n) for n in ATOMS])
    axes.minorticks_off()
    axes.set_ylabel(r"expected total variation from $p_t(x\,|\,y)$")
    axes.grid(True, axis="y")
    axes.legend(loc="lower left")
    axes.set_title("Finite-sample reference, two-modes", fontweight="bold")
    return drawn
