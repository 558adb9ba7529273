"""The figure of the README: `python experiments/readme_figure.py`, a minute or two."""

import os

os.environ.setdefault("NPROC", "4")

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

jax.config.update("jax_enable_x64", True)

STEPS = (10, 20, 50, 100, 200, 500)
SHOWN = "TMPD"


def main() -> None:
    """KL divergence against the number of steps, beside two heat-maps."""
    target = gt.problems.get("two-modes")
    exact = target.posterior(jnp.asarray(gt.problems.T_MIN))
    A, K = gt.approximations, gt.kernels
    methods = {name: (A.CATALOGUE[name](), K.DDPM()) for name in A.CATALOGUE}
    methods["Exact:matched"] = (A.Exact(), K.DDPM("matched"))
    curves, shown = {}, None
    for name, (approximation, kernel) in methods.items():
        curves[name] = []
        for steps in STEPS:
            times = gt.time_grid(target.path, steps, t_min=gt.problems.T_MIN)
            try:
                law = gt.laws.grid(gt.Guided(approximation, kernel), target, times)
                curves[name].append(float(law.kl(exact)))
            except gt.InputError:
                curves[name].append(np.nan)
            if (name, steps) == (SHOWN, 100):
                shown = law
    figure = gt.plotting.figure(width=7.2, height=2.9)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    gt.plotting.against_steps(left, STEPS, curves)
    gt.plotting.reference_slope(left, (100, 500), 0.6 * curves["Exact"][3], -2)
    matched = curves["Exact:matched"]
    gt.plotting.reference_slope(left, (100, 500), 0.5 * matched[3], -4)
    left.set_ylabel("KL(law | exact), nats")
    x = gt.plotting.span(target)
    truth = gt.plotting.exact_history(target, shown.times, x)
    panels = ("exact $p_t(x\\,|\\,y)$", truth), (SHOWN, gt.plotting.history(shown, x))
    for axes, (title, history) in zip((middle, right), panels, strict=True):
        gt.plotting.heatmap(axes, history, 0.8 * float(truth.density.max()))
        axes.set_title(title)
        axes.set_xlabel("time $t$")
    right.sharey(middle)
    middle.set_ylabel("$x_t$")
    gt.plotting.legend_below(figure, left, 5)
    folder = Path(__file__).parent.parent / "docs"
    folder.mkdir(exist_ok=True)
    gt.plotting.save(figure, folder / "figure", dpi=150)
    (folder / "figure.pdf").unlink()


if __name__ == "__main__":
    main()
