"""What four methods spend on two-modes: `python experiments/error_budget.py`, a minute.

The path divergence of DDPM steps, split into initialisation, approximation and
discretisation, as bars that grow from noise to data; beside them the measured divergence
of the law at every time, which they bound. Writes error_budget.png and .pdf.
"""

import os

os.environ.setdefault("NPROC", "4")

import sys
from pathlib import Path

import jax
import numpy as np

import gmm_testbed as gt

jax.config.update("jax_enable_x64", True)

METHODS = ("DPS", "PiGDM", "TMPD", "Exact")
STEPS = 64


def main(folder: Path) -> None:
    """Prints the budgets and draws them, on steps of equal width in the figure."""
    target = gt.problems.get("two-modes")
    times = gt.time_grid(target.path, STEPS, "log_snr", t_min=gt.problems.T_MIN)
    found, measured = {}, {}
    for name in METHODS:
        method = gt.approximations.CATALOGUE[name]()
        sampler = gt.Guided(method, gt.kernels.DDPM())
        found[name] = gt.budget(jax.random.key(0), sampler, target, times)
        law = gt.laws.grid(sampler, target, times)
        measured[name] = np.array(
            [
                float(gt.divergences.kl_from(law.at(i), target.posterior(times[i])))
                for i in range(len(times))
            ]
        )
        print(f"{name}: {found[name]}\n  measured        {measured[name][-1]:.6g}")
    figure = gt.plotting.budgets(
        f"two-modes, DDPM, geometric noise levels, $N = {STEPS}$",
        target.path.log_snr(times),
        found,
        measured,
    )
    folder.mkdir(parents=True, exist_ok=True)
    gt.plotting.save(figure, folder / "error_budget")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results"))
