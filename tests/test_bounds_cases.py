"""Cases that a caller may ask for: rounding, labels, assumptions that fail, extremes."""

import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.bounds import Claim, Verdict, base, judge


def verdict(left, right, errors=(0.0, 0.0), **rest):
    sides = gt.Estimate(left, errors[0]), gt.Estimate(right, errors[1])
    return judge(Claim("", *sides, **rest))


# --- rounding and errors --------------------------------------------------------------


@pytest.mark.parametrize("size", [1.0, 1e4, 1e-3])
def test_rounding_is_a_billionth_of_the_sides(size):
    """Relative 1e-9, beside the absolute 1e-13."""
    for equal in (False, True):
        assert verdict(size * (1.0 + 0.9e-9), size, equal=equal) is Verdict.HOLDS
        assert verdict(size * (1.0 + 1.3e-9), size, equal=equal) is Verdict.VIOLATED
    assert verdict(size, size * (1.0 + 1.3e-9), equal=True) is Verdict.VIOLATED


@pytest.mark.parametrize("right", [0.0, 1e-17, -1e-17])
def test_rounding_of_sides_that_are_0(right):
    assert verdict(0.9e-13, right) is Verdict.HOLDS
    assert verdict(1.2e-13, right) is Verdict.VIOLATED


def test_four_standard_errors():
    errors = 0.03, 0.04  # together 0.05
    assert verdict(1.0, 1.201, errors) is Verdict.HOLDS
    assert verdict(1.0, 1.199, errors) is Verdict.UNDECIDED
    assert verdict(1.199, 1.0, errors) is Verdict.UNDECIDED
    assert verdict(1.201, 1.0, errors) is Verdict.VIOLATED
    assert verdict(1.199, 1.0, errors, equal=True) is Verdict.HOLDS
    assert verdict(1.201, 1.0, errors, equal=True) is Verdict.VIOLATED


def test_a_tolerance_is_of_equalities_and_absolute():
    same = {"equal": True, "tolerance": 0.01}
    for size in (1.0, 1e3):
        assert verdict(size + 0.0099, size, **same) is Verdict.HOLDS
        assert verdict(size + 0.0101, size, **same) is Verdict.VIOLATED
    assert verdict(1.0101, 1.0, tolerance=0.01) is Verdict.VIOLATED


def test_an_equality_within_a_large_error_is_undecided():
    """A quarter of the larger side, at four standard errors."""
    assert base.RESOLVED == 0.25 and base.Z == 4.0
    assert verdict(1.0, 1.0, (0.062, 0.0), equal=True) is Verdict.HOLDS
    assert verdict(1.0, 1.0, (0.063, 0.0), equal=True) is Verdict.UNDECIDED


# --- labels ---------------------------------------------------------------------------


def sides_of(name, **case):
    return {r.label: r for r in gt.bounds.check(name, **case)}


def test_whole_numbers_are_no_other_problem():
    """KL(posterior || prior) at noise 1, by quadrature 0.331165."""
    for noise in (1, 1.0, np.int64(1), np.float32(1.0)):
        found = sides_of("C18-prior-baseline", noise=noise, dim=1)
        assert float(found["closed form"].left.value) == pytest.approx(
            0.33116493608, rel=1e-9
        )


@pytest.mark.parametrize(
    "name, case, expected",
    [
        ("T20-training-prior", {"points": 256}, "at most 128"),
        ("T20-training-prior", {"sigma": 0.01}, "at least 0.03"),
        ("T21-training-posterior", {"points": 1024}, "at most 512"),
        ("T22-collapse", {"dim": 32}, "at most 16"),
        ("T16-particle-filters", {"num": 64}, "at most 32"),
        ("T11-dps-limit", {"kappa": 100.0}, "at most 10"),
        ("T12-dps-density-corrected", {"dim": 2}, "1 or 3"),
        ("C18-prior-baseline", {"dim": 2}, "1 or 3"),
        ("T31-split-gibbs", {"dim": 2}, "1 or 3"),
    ],
)
def test_labels_beyond_what_is_computed_are_refused(name, case, expected):
    with pytest.raises(gt.InputError, match=expected):
        gt.bounds.check(name, **case)


# --- assumptions that fail, and extremes ----------------------------------------------


@pytest.mark.parametrize(
    "name, case",
    [
        ("T6-initialisation", {"alpha": 1.0}),
        ("T7-contraction", {"kappa": 0}),
        ("T8-gronwall", {"kappa": -1.0}),
        ("T11-dps-limit", {"kappa": 0.0}),
        ("T12-dps-density", {"noise": 0}),
        ("T12-dps-density-corrected", {"noise": 0.0}),
        ("T24-speciation", {"weight": 1.0}),
        ("T29-tilted-transport", {"share": 1}),
        ("T31-split-gibbs", {"coupling": 0.0}),
        ("T32-replacement", {"correlation": 1}),
        ("T32-replacement", {"correlation": -2.0}),
        ("T36-early-stopping", {"v": 0.0}),
        ("T49-log-concave-start", {"v": 0.0}),
        ("T51-reference-start", {"share": 0.0}),
        ("C18-prior-baseline", {"noise": 0.0}),
        ("C21-components", {"snr": 0.0}),
    ],
)
@pytest.mark.filterwarnings("error")
def test_outside_is_said_and_not_computed(name, case):
    assert {r.holds for r in gt.bounds.check(name, **case)} == {Verdict.OUTSIDE}


def test_the_right_side_of_the_ode_at_known_values():
    """By adaptive quadrature; Gauss-Legendre in s^2 / w gave 0.69231, and a violation."""
    found = sides_of("T8-gronwall", kappa=4.0)["ODE"]
    assert float(found.right.value) == pytest.approx(0.695214536, rel=1e-8)
    report = sides_of("T8-gronwall", kappa=0.1)["ODE"]
    assert report.holds is Verdict.HOLDS and report.tightness > 0.997


def test_the_printed_density_bound_fails_most_for_little_noise():
    for noise in (0.01, 0.003):
        (report,) = gt.bounds.check("T12-dps-density", noise=noise)
        assert report.holds is Verdict.VIOLATED and report.left.value > 0.1
        assert report.right.value == 0.0


def test_laws_far_apart_are_no_counterexample():
    """TV rounds to 1; Jeffreys' left side is -2 log(1 - TV) there, log(1 + chi^2) 2142."""
    found = sides_of("C24-divergences", shift=30.0)
    assert {report.holds for report in found.values()} == {Verdict.HOLDS}
    assert float(found["Jeffreys"].left.value) == pytest.approx(692.9, abs=1.0)


def test_a_rare_mode_parts_where_the_others_do():
    found = sides_of("T24-speciation", weight=1e-6)
    assert {report.holds for report in found.values()} == {Verdict.HOLDS}


@pytest.mark.slow
def test_steps_that_mirror_space_have_a_density():
    """DPS in three steps for one Gaussian: determinants are negative, and nothing folds."""
    found = sides_of("T25-flow-density", steps=3)
    assert {report.holds for report in found.values()} == {Verdict.HOLDS}


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_a_law_below_the_smallest_number_is_decomposed():
    found = sides_of("T35-labels", approximation="DPS", num_steps=10)
    assert {report.holds for report in found.values()} == {Verdict.HOLDS}
