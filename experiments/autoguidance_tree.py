r"""Autoguidance on a tree without a network: what it keeps and what guidance drops.

Karras et al. (arXiv:2406.02507, Figures 1 and 2) guide a model of a tree-like class in the
plane by a bad version of itself, and find that it stays on the branches as classifier-free
guidance does and, unlike it, keeps them all. There both effects are of trained networks.
Here every denoiser is exact, on a tree of our own: class A (93 Gaussians), A with its
mirror-like class B for classifier-free guidance, and A blurred by .05 for autoguidance;
Heun, 64 steps from sigma = 5, exact start. The law is known at each sample.

- Both effects are of guidance itself, without any error of a network: against A and B, the
  half of A next to B falls from .42 to .12 at scale 4, the trunk from .16 to .004, and the
  tips have .51 for .24; against the blurred A every branch keeps its mass at scale 3.
- Neither samples A: the laws are .99 and 1.16 nats away from it. Autoguidance narrows the
  branches (the mean of log p_A is 1.53 for .86), classifier-free guidance moves along them.
- Nothing is off the tree that was on it: .5 % beyond three standard deviations of every
  Gaussian without guidance and against A and B, none in 4000 against the blurred A.
"""

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.collections import EllipseCollection

import gmm_testbed as gt

GUIDES = {
    "none": ("CFG", 1.0),
    "CFG, 2": ("CFG", 2.0),
    "CFG, 4": ("CFG", 4.0),
    "auto, 2": ("auto", 2.0),
    "auto, 3": ("auto", 3.0),
}
LEVELS = 5
BLUR = 0.05
NUM, STEPS = 4000, 64
PATH = gt.VE(0.002, 5.0)
COLOURS = {"none": "0.35", "CFG, 4": "#d1495b", "auto, 3": "#00798c"}


def tree(angle, bend):
    """Means (93, 2), standard deviations (93,), weights and levels of a class.

    A segment has three Gaussians along it, and at its end two segments, .72 as long and
    turned by -.5 and .42 and the bend.
    """
    rows, alive = [], [(np.zeros(2), angle, 0.5)]
    for level in range(LEVELS):
        following = []
        for origin, turned, length in alive:
            step = length * np.array([np.cos(turned), np.sin(turned)])
            for share in (1 / 6, 1 / 2, 5 / 6):
                rows.append((*(origin + share * step), 0.045 * 0.72**level, level))
            for more in (-0.5 + bend, 0.42 + bend):
                following.append((origin + step, turned + more, 0.72 * length))
        alive = following
    x, y, sd, levels = np.array(rows).T
    weights = 0.55**levels
    return np.stack([x, y], axis=1), sd, weights / weights.sum(), levels.astype(int)


A, B = tree(0.9, 0.06), tree(2.3, -0.04)


def mixture(*classes):
    """The law of one class, or of two that are equally likely."""
    means, sds, weights = (np.concatenate([c[i] for c in classes]) for i in range(3))
    return gt.GaussianMixture.isotropic(weights / weights.sum(), means, sds**2)


def guided(guide, scale):
    """A without a measurement, through the guided denoiser."""
    own = mixture(A)
    blurred = own.noised(jnp.asarray(1.0), jnp.asarray(BLUR))
    other = {"CFG": mixture(A, B), "auto": blurred}[guide]
    blind = gt.InverseProblem(own, gt.Linear([[0.0, 0.0]], 1.0), [0.0])
    guidance = gt.denoisers.ClassGuidance(other, own, scale)
    return gt.Target(blind, PATH).seen_through(guidance)


@gt.experiment(grid={"guide": tuple(GUIDES)})
def trees(key, guide):
    """Samples with the density of their law, and which branches they are on."""
    target = guided(*GUIDES[guide])
    times = gt.time_grid(PATH, STEPS, "karras", t_min=0.0)
    start = target.marginal(times[0])
    sampler = gt.Guided(gt.approximations.Unguided(), gt.kernels.Heun())
    truth = target.marginal(times[-1])
    try:
        found = gt.laws.flow_samples(key, sampler, target, times, NUM, initial=start)
        x, log_q = found.x, found.log_density
    except gt.UnsupportedError:  # a step folds the plane: there is no such density
        x = gt.sample(key, sampler, target, times, NUM, initial=start).x
        log_q = None
    log_p = jax.jit(jax.vmap(truth.log_prob))(x)
    shares = np.asarray(jax.jit(jax.vmap(truth.responsibilities))(x))
    means, sds, _, levels = A
    apart = np.linalg.norm(np.asarray(x)[:, None] - means, axis=-1)
    outside = np.all(apart > 3.0 * np.hypot(sds, 0.002), axis=1)
    metrics = {
        "log p of the class": gt.Estimate.mean_of(log_p),
        "outside": gt.Estimate.mean_of(jnp.asarray(outside, float)),
        "tips": gt.Estimate.mean_of(
            jnp.asarray(shares[:, levels == LEVELS - 1].sum(1))
        ),
        "trunk": gt.Estimate.mean_of(jnp.asarray(shares[:, levels == 0].sum(1))),
        "half next to B": gt.Estimate.mean_of(jnp.asarray(shares[:, beside].sum(1))),
    }
    if log_q is not None:
        metrics["KL"] = gt.Estimate.mean_of(log_q - log_p)
    return gt.sweep.Found(metrics, {"x": np.asarray(x, np.float32)})


# Components of A that are at the left of its axis, where B is.
beside = A[0] @ np.array([-np.sin(0.9), np.cos(0.9)]) > 0.02


def claims(store):
    """What is on the tree, on its tips and beside B, and the divergence."""
    table = store.wide(trees)
    told = {
        f"{guide}: {metric}": value
        for guide in GUIDES
        for metric, value in table.loc[guide].items()
        if np.isfinite(value)
    }
    weights = A[2]
    told["class A: tips"] = weights[A[3] == LEVELS - 1].sum()
    told["class A: half next to B"] = weights[beside].sum()
    return told


def tables(store):
    """A row a guide."""
    return {"guides": store.wide(trees).reset_index().to_dict("records")}


def figures(store):
    """The samples of three guides over the class."""
    cells = store.wide(trees, "digest")["outside"]
    return {"autoguidance_tree": drawn({g: store.arrays(cells[g]) for g in COLOURS})}


@gt.plotting.styled
def drawn(found):
    figure = gt.plotting.figure(width=7.2, height=2.0)
    words = {
        "none": "No guidance",
        "CFG, 4": r"Against A and B, $\gamma = 4$",
        "auto, 3": r"Against A blurred, $\gamma = 3$",
    }
    panels = figure.subplots(1, 3)
    for axes, (guide, arrays) in zip(panels, found.items(), strict=True):
        for (means, sds, *_), colour in ((A, "0.82"), (B, "#f3dfb5")):
            wide = 4.0 * sds  # two standard deviations each way
            sizes = dict(widths=wide, heights=wide, angles=0.0 * wide, units="xy")
            circles = EllipseCollection(
                **sizes,
                offsets=means,
                transOffset=axes.transData,
                facecolors=colour,
                zorder=0,
            )
            axes.add_collection(circles)
        axes.plot(*arrays["x"][:1500].T, ".", color=COLOURS[guide], markersize=1.0)
        axes.set_aspect("equal")
        axes.set(xlabel="$x_1$", xlim=(-1.4, 1.4), ylim=(-0.15, 1.4))
        axes.set_title(words[guide])
    panels[0].set_ylabel("$x_2$")
    return figure
