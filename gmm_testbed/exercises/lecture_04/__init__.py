r"""Lecture 04, where DPS goes: its limit without steps, for one Gaussian, in closed form.

Prior \(N(0, s^2)\), \(y = x_0 + N(0, g^2)\), \(\kappa = s^2/g^2\). The error of DPS
does not vanish with the step: the law that it tends to has another mean and another
variance.
"""

from ..exercise import Exercise
from . import limits, weights

EXERCISES: dict[str, Exercise] = {
    "dps-limit-mean": limits.MEAN,
    "dps-limit-variance": limits.VARIANCE,
    "overshoot": limits.OVERSHOOT,
    "fix-the-mean": weights.MEAN,
    "fix-the-variance": weights.VARIANCE,
}
