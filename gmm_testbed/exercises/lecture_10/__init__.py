r"""Lecture 10, Gibbs, tilted transport, and a method of one's own.

Split Gibbs stands still at the posterior with noise \(R + \rho^2 AA^T\), a bias that is
known; up to \(v^* = 1/\lambda_{max}(A^T R^{-1} A)\) noise of y can be moved into x, and
what is left needs no guidance. A method is a formula for the correction of the denoised
mean, and everything that was measured in these lectures is measured of it.
"""

from ..exercise import Exercise
from . import gibbs, own_method

EXERCISES: dict[str, Exercise] = {
    "inflated-noise": gibbs.INFLATED_NOISE,
    "bias-order": gibbs.BIAS_ORDER,
    "v-star": gibbs.V_STAR,
    "capstone": own_method.CAPSTONE,
}
