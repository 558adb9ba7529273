"""The law of a sampler on the line, plainly: one fixed fine grid, dense sums, NumPy."""

import numpy as np

from . import numpy_mixture as oracle


def ddpm_law(problem, scales, rule, start, grid):
    """Density after DDPM steps with the small variance.

    Args:
        problem: an oracle problem on the line.
        scales: list of (alpha, sigma), decreasing noise.
        rule: posterior-mean rule (problem, x, alpha, sigma) -> (1,).
        start: (n,) density on the grid at the first time.
        grid: (n,) uniform nodes, fine and wide enough for every step.
    """
    step = grid[1] - grid[0]
    density = start
    for (alpha_t, sigma_t), (alpha_s, sigma_s) in zip(
        scales[:-1], scales[1:], strict=True
    ):
        means = np.array(
            [
                oracle.ddpm_mean(
                    x,
                    rule(problem, np.array([x]), alpha_t, sigma_t)[0],
                    alpha_t,
                    sigma_t,
                    alpha_s,
                    sigma_s,
                )
                for x in grid
            ]
        )
        small, _ = oracle.ddpm_variances(alpha_t, sigma_t, alpha_s, sigma_s)
        offsets = grid[:, None] - means[None, :]
        kernel = np.exp(-0.5 * offsets**2 / small) / np.sqrt(2 * np.pi * small)
        density = kernel @ (density * step)
    return density
