"""The catalogue of bounds: verdicts, and every theorem over its sweep."""

import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.bounds import Claim, Verdict, judge


def claim(left, right, errors=(0.0, 0.0), **rest):
    sides = gt.Estimate(left, errors[0]), gt.Estimate(right, errors[1])
    return Claim("", *sides, **rest)


@pytest.mark.parametrize(
    "given, verdict",
    [
        (claim(1.0, 2.0), Verdict.HOLDS),
        (claim(1.0, 1.0), Verdict.HOLDS),
        (claim(2.0, 1.0), Verdict.VIOLATED),
        (claim(1.0, 1.3, (0.06, 0.08)), Verdict.UNDECIDED),
        (claim(1.3, 1.0, (0.06, 0.08)), Verdict.UNDECIDED),
        (claim(1.0, 1.5, (0.06, 0.08)), Verdict.HOLDS),
        (claim(1.5, 1.0, (0.06, 0.08)), Verdict.VIOLATED),
        (claim(np.nan, 1.0), Verdict.NAN),
        (claim(1.0, np.nan, equal=True), Verdict.NAN),
        (claim(1.0, 2.0, (np.nan, 0.0)), Verdict.NAN),
        (claim(1.0, np.inf), Verdict.UNDECIDED),
        (claim(-np.inf, 1.0), Verdict.UNDECIDED),
        (claim(1.0, 2.0, (0.0, np.inf)), Verdict.UNDECIDED),
        (claim(np.inf, 1.0), Verdict.VIOLATED),
        (claim(1.0, -np.inf), Verdict.VIOLATED),
        (claim(np.inf, np.inf), Verdict.UNDECIDED),
        (claim(1.0, np.inf, equal=True), Verdict.VIOLATED),
        (claim(np.inf, np.inf, equal=True), Verdict.UNDECIDED),
        (claim(1.0, 1.1, equal=True, tolerance=0.2), Verdict.HOLDS),
        (claim(1.0, 1.1, equal=True), Verdict.VIOLATED),
        (claim(1.0, 1.1, (0.1, 0.0), equal=True), Verdict.UNDECIDED),
        (claim(1.0, 1.01, (0.01, 0.0), equal=True), Verdict.HOLDS),
        (claim(2.0, 1.0, assumptions=(True, False)), Verdict.OUTSIDE),
        (claim(1.0 + 1e-10, 1.0), Verdict.HOLDS),  # rounding
        (claim(1.0 + 1e-7, 1.0), Verdict.VIOLATED),
        (claim(1.0, 1.0 + 1e-7, equal=True), Verdict.VIOLATED),
    ],
)
def test_verdicts(given, verdict):
    assert judge(given) is verdict


def test_an_unknown_bound_names_the_nearest():
    with pytest.raises(gt.InputError, match="T6-initialisation"):
        gt.bounds.check("T6-initialization")
    with pytest.raises(gt.InputError, match="did you mean 'T12-dps-density'"):
        gt.bounds.check("T12")


SLOW = {  # four to twenty seconds each, nearly all of it compilation
    "C18-prior-baseline",
    "C21-components",
    "C23-transport",
    "T1-path-identity",
    "T2-reverse-paths",
    "T3-information",
    "T4-relative-score",
    "T5-frozen-score",
    "T13-residual",
    "T14-residual-divergence",
    "T15-two-ways",
    "T16-particle-filters",
    "T17-importance-sampling",
    "T18-jeffreys",
    "T19-density-sandwich",
    "T20-training-prior",
    "T21-training-posterior",
    "T22-collapse",
    "T23-training-score",
    "T25-flow-density",
    "T26-orders",
    "T31-split-gibbs",
    "T36-early-stopping",
    "T37-guided-density",
    "T38-guided-modes",
    "T38-guided-modes-corrected",
    "T39-guided-dimension",
    "T39-guided-dimension-corrected",
    "T40-flow-curvature",
    "T41-plain-start",
    "T42-tan-schedule",
    "T43-condition-number",
    "T44-schedule",
    "T49-log-concave-start",
    "T50-dps-ratio",
    "T50-dps-ratio-corrected",
    "T51-reference-start",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
        for name in gt.bounds.CATALOGUE
    ],
)
def test_every_theorem_over_its_sweep(name, key):
    bound = gt.bounds.CATALOGUE[name]
    reports = gt.bounds.check(name, key)
    found = {report.holds for report in reports}
    assert (Verdict.VIOLATED in found) == bound.facts.refuted, reports
    assert Verdict.HOLDS in found, "nothing was decided"


def test_line_rule_of_moments():
    mixture = gt.GaussianMixture.isotropic([0.3, 0.7], [[-1.2], [0.9]], [0.3, 2.5])
    second = gt.divergences.line_expectation(mixture, lambda x: jnp.sum(x**2))
    exact = 0.3 * (0.3 + 1.44) + 0.7 * (2.5 + 0.81)
    np.testing.assert_allclose(second, exact, rtol=1e-13)
