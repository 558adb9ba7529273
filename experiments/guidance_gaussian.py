r"""Classifier-free guidance of a Gaussian: neither the tilted law nor a sharper class.

The counter-example of Bradley & Nakkiran (arXiv:2408.09000): c ~ N(0, 1) and
x | c ~ N(c, 1), exact scores, guided score \(\gamma s(x|c) + (1 - \gamma) s(x)\). What is
meant is the tilt \(p(x|c)^\gamma p(x)^{1-\gamma}\); what comes out after many steps is

- DDIM: variance \(2^{1-\gamma}\), a mean that overshoots its limit 2c (2.345 c at scale 10)
  and comes back, .43 nats from the tilt at scale 5;
- DDPM: variance \((2 - 2^{2-2\gamma})/(2\gamma - 1)\), .036 nats from the tilt there.

Here every law is exact at every number of steps too, and so it is for the DDIM steps
between the two. At scale 5 DDIM is 1.24 nats from the tilt with 20 steps, .54 with 100 and
.43 without steps, DDPM .34, .085 and .036: more steps do not lead to the tilt. Of the path
divergence of DDPM with 500 steps, 1.88 nats, guidance is 1.66 and the steps are .22.
"""

import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

SCALES = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0)
TOLD = (1.5, 2.0, 3.0, 5.0, 10.0)
ETAS = {"DDIM": 0.0, "DDIM, eta = 0.5": 0.5, "DDPM": 1.0}
STEPS = (10, 20, 50, 100, 200, 500, 1000, 2000, 4000)
SHOWN = 5.0  # scale
PATH = gt.VE(1e-3, 1e5)
FREE = gt.GaussianMixture.isotropic([1.0], [[0.0]], 2.0)
CLASS = gt.GaussianMixture.isotropic([1.0], [[1.0]], 1.0)  # c = 1
COLOURS = {"DDIM": "#d1495b", "DDIM, eta = 0.5": "#edae49", "DDPM": "#00798c"}


def tilt(scale):
    """p(x|c)^scale p(x)^(1 - scale) at c = 1, normalised."""
    mean, variance = 2.0 * scale / (scale + 1.0), 2.0 / (scale + 1.0)
    return gt.GaussianMixture.isotropic([1.0], [[mean]], variance)


def guided(prior, scale):
    """A problem without information, seen through guidance: the truth is the prior."""
    blind = gt.InverseProblem(prior, gt.Linear([[0.0]], 1.0), [0.0])
    guidance = gt.denoisers.ClassGuidance(FREE, CLASS, scale)
    return gt.Target(blind, PATH).seen_through(guidance)


@gt.experiment(grid={"sampler": tuple(ETAS), "scale": SCALES, "steps": STEPS})
def gaussian_laws(key, sampler, scale, steps):
    """Moments of the law, which is one Gaussian, and its divergence from the tilt.

    The mean is linear in c and the variance does not depend on it, so that c = 1 tells
    the mean over c, and the divergence at c = 0 is that of the variances.
    """
    kernel = gt.kernels.DDIM(ETAS[sampler])
    times = gt.time_grid(PATH, steps, "log_snr", t_min=0.0)
    method = gt.Guided(gt.approximations.Unguided(), kernel)
    law = gt.laws.affine(method, guided(FREE, scale), times)
    variance = law.covariance()
    truth, zero = tilt(scale).covariance(), jnp.zeros(1)
    found = {
        "variance": float(variance[0, 0]),
        "mean / c": float(law.mean()[0]),
        "KL from the tilt, c = 0": gt.divergences.closed_form.kl(
            zero, variance, zero, truth
        ),
        "KL from the tilt, c = 1": law.kl(tilt(scale)),
    }
    return {
        name: gt.Estimate(value, how="closed form") for name, value in found.items()
    }


@gt.experiment(grid={"scale": TOLD, "steps": (50, 500)})
def gaussian_budget(key, scale, steps):
    """The path divergence of DDPM from the tilt: what guidance and what steps cost."""
    target = guided(tilt(scale), scale)
    times = gt.time_grid(PATH, steps, "log_snr", t_min=0.0)
    method = gt.Guided(gt.approximations.Unguided(), gt.kernels.DDPM())
    found = gt.budget(key, method, target, times)
    parts = ("initialisation", "score", "cross", "discretisation")
    spent = {name: jnp.sum(getattr(found, name).value) for name in parts}
    spent["total"] = found.total.value
    return {name: gt.Estimate(value, how="quadrature") for name, value in spent.items()}


def limits(laws, sampler, scale):
    """The moments without steps: those of the three finest grids, extrapolated."""
    coarse, middle, fine = (laws.loc[sampler, scale, steps] for steps in STEPS[-3:])
    return (8.0 * fine - 6.0 * middle + coarse) / 3.0  # errors of orders 1 and 2 leave


def claims(store):
    """Moments without steps; where guidance outweighs the steps; the parts add up."""
    laws, told = store.wide(gaussian_laws), {}
    divergence = "KL from the tilt, c = 0"
    for sampler in ("DDIM", "DDPM"):
        for scale in TOLD:
            found = limits(laws, sampler, scale)
            for metric in ("variance", "mean / c", divergence):
                told[f"{sampler}, scale {scale:g}: {metric}"] = found[metric]
    means = [limits(laws, "DDIM", scale)["mean / c"] for scale in SCALES]
    told["DDIM: scale of the largest mean"] = SCALES[int(np.argmax(means))]
    for sampler in ETAS:
        for steps in (20, 100):
            name = f"{sampler}, scale {SHOWN:g}, {steps} steps: {divergence}"
            told[name] = laws.loc[sampler, SHOWN, steps][divergence]
    budget = store.wide(gaussian_budget)
    parts = budget[["initialisation", "score", "cross", "discretisation"]].sum(axis=1)
    told["largest total minus its parts"] = (budget["total"] - parts).abs().max()
    for steps in (50, 500):
        for part in ("score", "discretisation"):
            name = f"DDPM, scale {SHOWN:g}, {steps} steps: path KL of the {part}"
            told[name] = budget.loc[SHOWN, steps][part]
    return told


def tables(store):
    """Without steps, at each scale; and the budget."""
    laws = store.wide(gaussian_laws)
    rows = []
    for scale in TOLD:
        row = {"scale": scale, "variance, tilt": 2.0 / (scale + 1.0)}
        row |= {"mean / c, tilt": 2.0 * scale / (scale + 1.0)}
        for sampler in ("DDIM", "DDPM"):
            found = limits(laws, sampler, scale)
            row |= {f"{name}, {sampler}": found[name] for name in found.index[:3]}
        rows.append(row)
    spent = store.wide(gaussian_budget).reset_index().to_dict("records")
    return {"laws without steps": rows, "path divergence from the tilt (nats)": spent}


def figures(store):
    """Densities at one scale, the mean against the scale, the error against the steps."""
    return {"guidance_gaussian": drawn(store.wide(gaussian_laws))}


@gt.plotting.styled
def drawn(laws):
    figure = gt.plotting.figure(width=7.2, height=2.9)
    left, middle, right = figure.subplots(1, 3)
    densities(left, laws)
    for sampler, colour in COLOURS.items():
        means = [limits(laws, sampler, scale)["mean / c"] for scale in SCALES]
        middle.plot(SCALES, means, "o-", color=colour, label=sampler)
    scales = np.linspace(1.0, SCALES[-1], 200)
    middle.plot(scales, 2 * scales / (scales + 1), "k--", label="tilt")
    middle.axhline(2.0, color="0.6", lw=0.8, zorder=0)
    middle.set(xlabel=r"guidance scale $\gamma$", ylabel="mean of the output, over $c$")
    middle.set_title("The mean, without steps")
    for sampler, colour in COLOURS.items():
        errors = laws.loc[sampler, SHOWN]["KL from the tilt, c = 0"]
        right.plot(errors.index, errors, "o-", color=colour)
        limit = limits(laws, sampler, SHOWN)["KL from the tilt, c = 0"]
        right.axhline(limit, color=colour, lw=0.8, ls=":", zorder=0)
    right.set(xscale="log", yscale="log", xlabel="number of steps $N$")
    right.set(ylabel="KL from the tilt, nats")
    right.set_title(rf"The variance, $\gamma = {SHOWN:g}$")
    gt.plotting.legend_below(figure, middle, 4)
    return figure


def densities(axes, laws):
    """The class, its tilt and the two outputs without steps, c = 1."""
    x = np.linspace(-1.5, 4.5, 500)

    def density(mean, variance):
        return np.exp(-0.5 * (x - mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)

    axes.fill_between(x, density(1.0, 1.0), color="0.88", lw=0)
    axes.annotate("$p(x|c)$", (-0.5, 0.17), color="0.45", ha="right")
    scale = SHOWN
    axes.plot(x, density(2 * scale / (scale + 1), 2 / (scale + 1)), "k--")
    for sampler, colour in COLOURS.items():
        found = limits(laws, sampler, scale)
        axes.plot(x, density(found["mean / c"], found["variance"]), color=colour)
    axes.set(xlabel="$x$", ylabel="density", ylim=(0, None))
    axes.set_title(rf"Outputs at $c = 1$, $\gamma = {scale:g}$")
