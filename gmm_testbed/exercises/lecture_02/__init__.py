r"""Lecture 02, paths and the exact reverse kernel: only the signal-to-noise ratio matters.

For s < t the forward process is \(x_t = a x_s + \sqrt b\,\varepsilon\) with \(a =
\alpha_t/\alpha_s\) and \(b = \sigma_t^2 - a^2 \sigma_s^2\). Given the data the reverse
step is Gaussian; without them it is a mixture, which one Gaussian replaces.
"""

from ..exercise import Exercise
from . import levels, steps, suspects

EXERCISES: dict[str, Exercise] = {
    "reverse-kernel": steps.REVERSE_KERNEL,
    "same-snr": levels.SAME_SNR,
    "two-steps": steps.TWO_STEPS,
    "speciation": levels.SPECIATION,
    "which-step-is-wrong": suspects.WHICH_STEP,
}
