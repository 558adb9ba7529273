r"""Lecture 03, the likelihood at time t: what guidance needs, and what stands in its place.

\(p(y | x_t) = \int p(y | x_0)\, p(x_0 | x_t)\, dx_0\) is a mixture in y, and its
gradient is the difference of two denoisers. Methods differ in the law that they take
for x0 given x_t.
"""

from ..exercise import Exercise
from . import gains, guidance, refute

EXERCISES: dict[str, Exercise] = {
    "likelihood": guidance.LIKELIHOOD,
    "guidance-from-two-denoisers": guidance.GUIDANCE,
    "gains": gains.GAINS,
    "refute": refute.REFUTE,
}
