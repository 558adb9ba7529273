r"""The order of DDIM on a mixture: 0.58 for as long as one can see.

Brosse & Dalalyan (arXiv:2610.10190), tables 2 to 4: four modes thirteen standard deviations
apart, noise scales from 80 to 0.002, K steps of DDIM with the exact denoiser. The errors of
single steps add up to O(1/K), but the distance of the output falls more slowly: points
between modes are pushed apart by each step, the more the finer the grid. They call the
order .58 pre-asymptotic. Here the law is computed, and not sorted from 65536 points:

- their errors are right to .5 % up to K = 544, and .7 % low at 1088; those with 4096
  points (table 4) are 1.3, 2.9 and 6.5 % low;
- the order is still .58 with grids eight times finer than their finest;
- sums of biases, amplification and both bounds agree with theirs.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.special import ndtr

import gmm_testbed as gt

STEPS = (17, 34, 68, 136, 272, 544, 1088)
FINER = (4352, 8704)
CLOCKS = (2.0, 3.0)
CLOCK_STEPS = 544
HIGH, LOW, RHO = 80.0, 0.002, 7.0
UNIT, SPREAD = 0.270293958, 0.04
SPLIT = 1.84  # noise below which amplification is counted
PUBLISHED = Path(__file__).parent / "published"


def target_of(wrong=False):
    """The four modes; if wrong seen with other weights, centres 2 % out, and narrower."""
    centres = UNIT * np.array([[-3.0], [-1.0], [1.0], [3.0]])
    weights = [0.15, 0.35, 0.35, 0.15]
    prior = gt.GaussianMixture.isotropic(weights, centres, SPREAD**2)
    problem = gt.InverseProblem(prior, gt.Linear([[1.0]], 1.0), [0.0])
    target = gt.Target(problem, gt.VE(LOW, HIGH))
    if not wrong:
        return target
    other = gt.GaussianMixture.isotropic([0.2, 0.3, 0.3, 0.2], 1.02 * centres, 0.028**2)
    return target.seen_through(other)


def times_of(path, steps, rho):
    """Times (steps + 1,) with sigma^(1/rho) equally spaced from 80 to 0.002."""
    if rho == RHO:
        return gt.time_grid(path, steps, "karras", t_max=1.0, t_min=0.0)
    ends = HIGH ** (1.0 / rho), LOW ** (1.0 / rho)
    sigma = np.linspace(*ends, steps + 1) ** rho
    times = np.log(sigma / LOW) / np.log(HIGH / LOW)
    times[[0, -1]] = 1.0, 0.0
    return jnp.asarray(times)


SAMPLER = gt.Guided(gt.approximations.Unguided(), gt.kernels.DDIM(0.0))


def law_of(target, steps, rho=RHO):
    times = times_of(target.path, steps, rho)
    initial = target.marginal(times[0])
    return gt.laws.grid(SAMPLER, target, times, initial=initial)


def error(law):
    """W2 from the exact law at the last noise scale."""
    return float(law.w2(law.target.marginal(law.times[-1])))


@gt.experiment(grid={"steps": STEPS})
def ddim_steps(key, steps):
    """Error, biases of single steps, amplification, and bounds made of them."""
    law = law_of(target_of(), steps)
    return {"error": error(law)} | in_steps(law)


@gt.experiment(grid={"steps": FINER})
def ddim_finer(key, steps):
    """Error on grids finer than the published ones."""
    return {"error": error(law_of(target_of(), steps))}


@gt.experiment(grid={"rho": CLOCKS})
def ddim_clocks(key, rho):
    """Error, biases and their universal bound in other clocks."""
    law = law_of(target_of(), CLOCK_STEPS, rho)
    return {"error": error(law)} | in_steps(law)


@gt.experiment(grid={"steps": (STEPS[0], STEPS[-1])})
def ddim_wrong(key, steps):
    """The same of a denoiser of other weights, centres and widths."""
    law = law_of(target_of(wrong=True), steps)
    return {"error": error(law)} | in_steps(law)


# --- from step to step ------------------------------------------------------------------


def in_steps(law):
    """Biases, amplification and bounds, from quantile functions at common levels.

    With d_j the root mean square distance between step and flow from the exact law, and
    g_j the factor by which a step changes the distance of its two laws,
    e_(j+1) <= g_j e_j + d_j.
    """
    target, times = law.target, np.asarray(law.times)
    prior = target.problem.prior
    weights = np.exp(np.asarray(prior.log_weights))
    means = np.asarray(prior.means)[:, 0]
    variance = np.asarray(prior.covariances())[:, 0, 0]
    sigma = np.asarray(jax.vmap(target.path.sigma)(law.times))
    exact = [Marginal(weights, means, np.sqrt(variance + s**2)) for s in sigma]
    step = jax.jit(
        jax.vmap(
            lambda x, t, s: SAMPLER.transition(target, x[None], t, s).mean[0],
            in_axes=(0, None, None),
        )
    )
    positions = np.asarray(law.positions)
    start = np.exp(np.asarray(law.log_start)) * float(law.spacing)
    levels = np.cumsum(start) - 0.5 * start
    apart, bound, universal, log_gain, biases, most = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(len(times) - 1):
        before, after = exact[j], exact[j + 1]
        moved = np.asarray(step(before.nodes, times[j], times[j + 1]))
        flow = after.quantiles(before.levels)
        bias = np.sqrt(mean_square(before.levels, moved - flow))
        here = sigma[j] - sigma[j + 1] - sigma[j + 1] * np.log(sigma[j] / sigma[j + 1])
        here *= 16.0  # theorem T40, d = 1
        gain = 0.0
        if j > 0:  # two laws that start as one have no distance yet
            v = levels
            if (
                sigma[j] < SPLIT
            ):  # where a valley may be at another level than in the law
                v = np.union1d(levels, before.levels)
            own = np.interp(v, levels, positions[j])
            next_own = np.interp(v, levels, positions[j + 1])
            other = before.quantiles(v)
            other_moved = np.asarray(padded(step, other, times[j], times[j + 1]))
            apart = np.sqrt(mean_square(v, own - other))
            gain = np.sqrt(mean_square(v, next_own - other_moved)) / apart
        if sigma[j] < SPLIT:
            log_gain += np.log(max(1.0, gain))
        bound, universal = gain * bound + bias, gain * universal + here
        biases, most = biases + bias, most + here
    return {
        "sum of biases": biases,
        "sum of universal bounds": most,
        "amplification": log_gain,
        "bound of biases": bound,
        "universal bound": universal,
    }


def padded(step, x, t, s):
    """A step of points (n,), in one of few sizes."""
    spare = -len(x) % 8192
    return step(np.pad(x, (0, spare), mode="edge"), t, s)[: len(x)]


def mean_square(levels, gap):
    """Integral over levels of the square of a function that is linear between them."""
    first, second = gap[:-1], gap[1:]
    return np.diff(levels) @ (first**2 + first * second + second**2) / 3.0


class Marginal:
    """An exact law by its distribution function at nodes (n,) around every mode."""

    def __init__(self, weights, means, scales):
        self.weights, self.means, self.scales = weights, means, scales
        z = np.linspace(-8.2, 8.2, 1201)
        self.nodes = np.sort((means + scales * z[:, None]).ravel())
        self.levels = self.cdf(self.nodes)

    def cdf(self, x):
        return ndtr((x[:, None] - self.means) / self.scales) @ self.weights

    def pdf(self, x):
        z = (x[:, None] - self.means) / self.scales
        return np.exp(-0.5 * z**2) @ (self.weights / self.scales) / np.sqrt(2 * np.pi)

    def quantiles(self, levels):
        """Newton from the table, within its cells."""
        cell = np.searchsorted(self.levels, levels).clip(1, len(self.nodes) - 1)
        low, high = self.nodes[cell - 1], self.nodes[cell]
        x = np.interp(levels, self.levels, self.nodes)
        for _ in range(3):
            x = np.clip(x - (self.cdf(x) - levels) / self.pdf(x), low, high)
        return x


# --- claims, tables and figure ----------------------------------------------------------


def errors(store):
    """Errors by number of steps, the finer grids included."""
    return pd.concat([store.wide(one)["error"] for one in (ddim_steps, ddim_finer)])


def claims(store):
    """Errors, orders between doublings, sums, amplification and clocks."""
    exact, found = store.wide(ddim_steps), errors(store)
    told = {f"error, K = {steps}": value for steps, value in found.items()}
    steps = found.index.to_numpy()
    orders = -np.diff(np.log(found.to_numpy())) / np.diff(np.log(steps))
    told |= {f"order to K = {n}": v for n, v in zip(steps[1:], orders, strict=True)}
    for name in ("sum of biases", "amplification"):
        told |= {f"{name}, K = {n}": v for n, v in exact[name].items()}
    for name in ("bound of biases", "universal bound"):
        ratio = exact[name] / exact["error"]
        told |= {f"{name} over error, K = {n}": ratio[n] for n in (STEPS[0], STEPS[-1])}
    for steps, row in store.wide(ddim_wrong).iterrows():
        told[f"amplification, wrong denoiser, K = {steps}"] = row["amplification"]
    for rho, row in other_clocks(store).iterrows():
        told[f"error, rho = {rho:g}"] = row["error"]
        told[f"sum of universal bounds, rho = {rho:g}"] = row["sum of universal bounds"]
    return told


def other_clocks(store):
    """A row a clock at K = 544."""
    rows = store.wide(ddim_clocks)
    rows.loc[RHO] = store.wide(ddim_steps).loc[CLOCK_STEPS]
    return rows


def published(name):
    """Frame of a published table."""
    return pd.read_csv(PUBLISHED / f"brosse_dalalyan_{name}.csv", comment="#")


def tables(store):
    """Published and computed numbers side by side."""
    ours = store.wide(ddim_steps)
    printed = published("errors").set_index("K")
    rows = [
        {
            "K": steps,
            "W2, printed": printed["e_K"][steps],
            "W2": row["error"],
            "biases, printed": printed["sum_of_biases"][steps],
            "biases": row["sum of biases"],
            "amplification, printed": printed["Lambda_K"][steps],
            "amplification": row["amplification"],
            "bound / W2, printed": printed["bound_over_error_measured"][steps],
            "bound / W2": row["bound of biases"] / row["error"],
            "universal / W2, printed": printed["bound_over_error_universal"][steps],
            "universal / W2": row["universal bound"] / row["error"],
        }
        for steps, row in ours.iterrows()
    ]
    printed = published("clocks").set_index("rho")["final_error"]
    at_clocks = [
        {"rho": rho, "W2, printed (4096 points)": printed[rho], "W2": row["error"]}
        for rho, row in other_clocks(store).iterrows()
    ]
    return {
        "exact denoiser, rho = 7": rows,
        f"other clocks, K = {CLOCK_STEPS}": at_clocks,
    }


def figures(store):
    """Errors and sums of biases against K; orders against K."""
    biases = store.wide(ddim_steps)["sum of biases"]
    return {"ddim_order": draw(errors(store), biases, published("errors"))}


@gt.plotting.styled
def draw(found, biases, printed):
    figure = gt.plotting.figure(width=7.2, height=2.9)
    left, right = figure.subplots(1, 2)
    steps, values = found.index.to_numpy(), found.to_numpy()
    blue, orange = "#00798c", "#edae49"
    left.plot(steps, values, "-", color=blue, label="$W_2$ of the output")
    left.plot(
        printed["K"], printed["e_K"], "o", mfc="none", color=blue, label="printed"
    )
    left.plot(biases.index, biases, "-", color=orange, label="sum of biases")
    left.plot(printed["K"], printed["sum_of_biases"], "s", mfc="none", color=orange)
    left.set(xscale="log", yscale="log", xlabel="number of steps $K$")
    left.set_ylabel("distance, in units of $x$")
    left.set_title("steps err by $O(1/K)$, the output does not")
    for line, colour in ((found, blue), (biases, orange)):
        n = line.index.to_numpy()
        orders = -np.diff(np.log(line.to_numpy())) / np.diff(np.log(n))
        right.plot(np.sqrt(n[1:] * n[:-1]), orders, ".-", color=colour)
    n = printed["K"].to_numpy()
    orders = -np.diff(np.log(printed["e_K"])) / np.diff(np.log(n))
    right.plot(np.sqrt(n[1:] * n[:-1]), orders, "o", mfc="none", color=blue)
    right.axhline(1.0, color="0.7", lw=0.8)
    right.axvspan(n[0], n[-1], color="0.94", lw=0)
    right.text(n[0] * 1.1, 0.43, "published grids", fontsize=7, color="0.4")
    right.set(xscale="log", ylim=(0.4, 1.05), xlabel="number of steps $K$")
    right.set_ylabel("order between neighbouring $K$")
    right.set_title("no sign of first order")
    gt.plotting.legend_below(figure, left, 3)
    return figure
