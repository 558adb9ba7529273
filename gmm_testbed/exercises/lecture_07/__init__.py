r"""Lecture 07, what metrics see: divergences, floors and tests of calibration.

\(KL(q\|p) = E_q \log(q/p)\) sees wrong weights of far modes, and
\(E_q |\nabla\log(q/p)|^2\) does not; a metric of samples has a floor and a spread; residual
and squared error are functions of two moments; ranks never look at y.
"""

from ..exercise import Exercise
from . import blindness, divergences

EXERCISES: dict[str, Exercise] = {
    "fisher-and-kl": divergences.FISHER_AND_KL,
    "floor": divergences.FLOOR,
    "invisible": blindness.INVISIBLE,
    "who-flags-what": blindness.WHO_FLAGS_WHAT,
}
