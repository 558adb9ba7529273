"""What miscalibration looks like: `python experiments/calibration_modes.py`, five minutes.

One figure a failure mode, in results/calibration: ranks of each coordinate, coverage of
regions of highest posterior density, and coverage of balls (TARP), over 2000 fresh pairs.
"""

import os

os.environ.setdefault("NPROC", "4")

from pathlib import Path

import jax
import jax.numpy as jnp

import gmm_testbed as gt

jax.config.update("jax_enable_x64", True)

PAIRS, DRAWS, STEPS, SHOWN = 2000, 99, 200, 50_000
PROBLEM = "plane-modes"
MODES = {
    "calibrated": ("exact draws", gt.diagnostics.PosteriorDraws()),
    "too_narrow": (
        f"DPS, {STEPS} steps",
        gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM()),
    ),
    "too_wide": (
        "exact draws, modes 1.4 times as wide",
        gt.diagnostics.PosteriorDraws(scale=1.4),
    ),
    "ignores_y": (
        f"unguided, {STEPS} steps: the ranks cannot see it",
        gt.Guided(gt.approximations.Unguided(), gt.kernels.DDPM("matched")),
    ),
    "biased_mean": (
        "exact draws, moved by 0.3 standard deviations",
        gt.diagnostics.PosteriorDraws(shift=0.3),
    ),
    "wrong_weights": (
        "exact draws, modes equally likely",
        gt.diagnostics.PosteriorDraws(power=0.0),
    ),
}


def main() -> None:
    """Calibrates every mode, prints p-values and writes the figures."""
    target = gt.problems.get(PROBLEM)
    problem = target.problem
    times = gt.time_grid(target.path, STEPS, t_min=gt.problems.T_MIN)
    folder = Path(__file__).parent.parent / "results" / "calibration"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{'':15} {'ranks':>17} {'coverage':>9} {'TARP':>9}")
    for name, (what, sampler) in MODES.items():
        found = gt.diagnostics.calibrate(
            jax.random.key(5),
            problem.prior,
            problem.measurement,
            target.path,
            sampler,
            times,
            PAIRS,
            DRAWS,
        )
        ranks = " ".join(f"{p:8.1e}" for p in found.sbc.chi_square_p)
        rest = [f"{t.distance_p:9.1e}" for t in (found.coverage, found.tarp)]
        print(f"{name:15} {ranks} {' '.join(rest)}")
        title = f"{name.replace('_', ' ').capitalize()}: {what}"
        example = one_observation(target, sampler, times)
        drawn = gt.plotting.calibration(title, found, example)
        gt.plotting.save(drawn, folder / name)
    print(f"\nFigures as PNG and PDF in {folder}")


def one_observation(target, sampler, times):
    """Exact density of the first coordinate at the last time, and draws of it."""
    first = jnp.eye(target.problem.prior.dim)[:1]
    x = jnp.linspace(-3.2, 3.2, 400)
    law = target.posterior(times[-1]).affine(first)
    exact = jnp.exp(jax.vmap(law.log_prob)(x[:, None]))
    key = jax.random.key(6)
    draws = gt.sample(key, sampler, target, times, SHOWN).x
    return gt.plotting.Example(x, exact, draws[:, 0])


if __name__ == "__main__":
    main()
