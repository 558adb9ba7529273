r"""Lecture 09, finite training sets: an exact posterior of the wrong prior.

With N training points in the place of the prior everything is a sum over points, a mixture
with zero covariances. It errs by a constant over \(\sqrt N\), and it has memorised its
points where \(I(x_0; x_t) > \log N\).
"""

from ..exercise import Exercise
from . import noise_levels, training_sets

EXERCISES: dict[str, Exercise] = {
    "fsr-weights": training_sets.FSR_WEIGHTS,
    "tv-limit": training_sets.TV_LIMIT,
    "collapse-level": noise_levels.COLLAPSE_LEVEL,
    "half-denoise": noise_levels.HALF_DENOISE,
}
