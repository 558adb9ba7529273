r"""Lecture 08, particles: weights, evidence, and KL from both sides.

\(\hat Z\), the mean of the weights, is unbiased for p(y). On the space of all random
numbers of a filter the posterior has the density \(\hat Z/p(y)\), which bounds the
divergence of one particle both ways.
"""

from ..exercise import Exercise
from . import filters, importance

EXERCISES: dict[str, Exercise] = {
    "ess": importance.ESS,
    "sir-bound": importance.SIR_BOUND,
    "unbiased-evidence": filters.UNBIASED_EVIDENCE,
    "two-sides": filters.TWO_SIDES,
}
