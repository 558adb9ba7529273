"""The figure of the README: `python experiments/readme_figure.py`, a minute."""

import os

os.environ.setdefault("NPROC", "4")

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

jax.config.update("jax_enable_x64", True)

STEPS = (10, 20, 50, 100, 200, 500, 1000)
SHOWN = "DPS"
T_MIN = gt.problems.T_MIN


@gt.plotting.styled
def main() -> None:
    """Total variation against the number of steps, beside two heat-maps."""
    target = gt.problems.get("two-modes")
    kernel = gt.kernels.DDPM()
    laws = {
        name: [law_of(target, approximation(), kernel, steps) for steps in STEPS]
        for name, approximation in gt.approximations.CATALOGUE.items()
    }
    curves = {name: distances(found, target) for name, found in laws.items()}
    matched = [
        law_of(target, gt.approximations.Exact(), gt.kernels.DDPM("matched"), steps)
        for steps in STEPS
    ]
    figure = gt.plotting.figure(width=7.2, height=2.9)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    gt.plotting.against_steps(left, STEPS, curves)
    black = gt.plotting.colour("Exact")
    below = distances(matched, target)
    left.plot(
        STEPS,
        below,
        "o--",
        color=black,
        markersize=3.5,
        label="Exact, matched variance",
    )
    gt.plotting.reference_slope(left, (100, 1000), 0.5 * float(curves["Exact"][3]), -1)
    gt.plotting.reference_slope(left, (100, 1000), 0.4 * float(below[3]), -2)
    left.set_ylabel("total variation from the truth")
    left.set_ylim(1e-6, 1.5)
    left.set_title("DDPM steps on two-modes")
    x = gt.plotting.span(target)
    law = laws[SHOWN][STEPS.index(200)]
    truth = gt.plotting.exact_history(target, law.times, x)
    for axes, title, history in (
        (middle, r"exact $p_t(x\,|\,y)$", truth),
        (right, f"law of {SHOWN}, $N = 200$", gt.plotting.history(law, x)),
    ):
        gt.plotting.heatmap(axes, history, 0.8 * float(truth.density.max()))
        axes.set_title(title)
        axes.set_xlabel("time $t$ (noise to data)")
    middle.set_ylabel("$x_t$")
    right.set_yticklabels([])
    gt.plotting.legend_below(figure, left, 5)
    folder = Path(__file__).parent.parent / "docs"
    folder.mkdir(exist_ok=True)
    for path in gt.plotting.save(figure, folder / "figure", dpi=160)[1:]:
        path.unlink()  # the README shows the PNG


def law_of(target, approximation, kernel, steps):
    """The exact law after so many steps, or None where it cannot be resolved."""
    times = gt.time_grid(target.path, steps, t_min=T_MIN)
    try:
        return gt.laws.grid(gt.Guided(approximation, kernel), target, times)
    except gt.InputError:
        return None


def distances(laws, target):
    """Total variation of each law from the exact posterior marginal, NaN for None."""
    exact = target.posterior(jnp.asarray(T_MIN))
    return np.array([np.nan if law is None else float(law.tv(exact)) for law in laws])


if __name__ == "__main__":
    main()
