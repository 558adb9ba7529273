r"""Lecture 05, the error budget: what each step of a sampler costs, in nats.

For DDPM with the small variance and any denoiser \(\hat M\), a step from t to s costs
\(\tfrac12 \Delta\,(mmse_y(t) + E\|\hat M - m^y\|^2)\) less the information that it gains,
\(\Delta\) the increment of the signal-to-noise ratio. The steps add up to the divergence of
paths: an identity.
"""

from ..exercise import Exercise
from . import grids, steps

EXERCISES: dict[str, Exercise] = {
    "step-kl": steps.STEP_KL,
    "lambda-star": steps.LAMBDA_STAR,
    "optimal-grid": grids.OPTIMAL_GRID,
    "two-slopes": grids.TWO_SLOPES,
}
