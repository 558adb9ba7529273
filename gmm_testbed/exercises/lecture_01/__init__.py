r"""Lecture 01, mixtures and Tweedie: everything exact is conditioning of Gaussians.

A mixture \(\sum_k w_k N(\mu_k, \Sigma_k)\), noised by
\(x_t = \alpha x_0 + \sigma\varepsilon\), is the mixture of
\(N(\alpha\mu_k, \alpha^2\Sigma_k + \sigma^2 I)\). Its responsibilities, score, denoised
mean and posterior follow from the product of two Gaussians.
"""

from ..exercise import Exercise
from . import denoising, weights

EXERCISES: dict[str, Exercise] = {
    "responsibilities": weights.RESPONSIBILITIES,
    "tweedie": denoising.TWEEDIE,
    "jacobian-is-covariance": denoising.JACOBIAN,
    "posterior-weights": weights.POSTERIOR,
}
