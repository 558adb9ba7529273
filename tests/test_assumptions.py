"""Assumptions of theorems: each is refused by a case that breaks it."""

import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.bounds import Verdict, tilted_transport
from gmm_testbed.bounds.tools import assumptions
from gmm_testbed.bounds.tools.cases import complete

EQUAL = gt.GaussianMixture.isotropic([0.3, 0.7], [[0.0, 1.0], [2.0, 0.5]], 0.4)
ROUND = gt.GaussianMixture.isotropic([0.3, 0.7], [[0.0, 1.0], [2.0, 0.5]], [0.4, 0.5])
LONG = gt.GaussianMixture.diagonal([1.0], [[0.0, 1.0]], [[0.4, 0.5]])
NARROW = gt.GaussianMixture.isotropic([0.0, 1.0], [[0.0, 1.0], [2.0, 0.5]], 0.4)
ATOMS = gt.GaussianMixture.empirical([[0.0, 1.0], [2.0, 0.5]])


@pytest.mark.parametrize(
    "holds, yes, no",
    [
        (assumptions.equal_covariances, (EQUAL, LONG), (ROUND,)),
        (assumptions.isotropic, (EQUAL, ROUND), (LONG,)),
        (assumptions.has_density, (EQUAL, LONG), (ATOMS,)),
        (assumptions.geometric, ([1.0, 3.0, 9.0],), ([1.0, 3.0, 9.1],)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_breaks_it_is_refused(holds, yes, no):
    assert all(holds(case) for case in yes)
    assert not any(holds(case) for case in no)


def test_a_component_without_weight_is_none():
    assert assumptions.count(EQUAL) == 2 and assumptions.count(NARROW) == 1


@pytest.mark.parametrize(
    "name, case",
    [
        ("T6-initialisation", {"alpha": 1.3}),
        ("T12-dps-density", {"noise": -1.0}),
        ("T12-dps-density-corrected", {"noise": -1.0}),
        ("T24-speciation", {"weight": 0.0}),
        ("T26-orders", {"kernel": "DDIM", "num_steps": 8}),
        ("T29-tilted-transport", {"share": 1.1}),
        ("T29-tilted-transport", {"share": -0.1}),
        ("T32-replacement", {"correlation": 1.2}),
        ("C18-prior-baseline", {"noise": -1.0}),
    ],
)
def test_a_case_outside_the_assumptions_says_nothing(name, case):
    assert {r.holds for r in gt.bounds.check(name, **case)} == {Verdict.OUTSIDE}


def test_what_is_beyond_the_quadrature_is_undecided():
    """Modes 24 apart: the Fisher divergence is 1e-250, and found as 0."""
    found = [r.holds for r in gt.bounds.check("T27-log-sobolev", separation=12.0)]
    assert Verdict.VIOLATED not in found and Verdict.UNDECIDED in found


def test_the_largest_level_of_a_measurement():
    A, G = np.asarray([[1.0, 0.5, 0.0], [0.0, -0.4, 1.0]]), np.diag([0.2, 0.5])
    largest = tilted_transport.largest_level(A, G)
    least = np.linalg.eigvalsh(G - largest * A @ A.T)[0]  # of the noise that is left
    np.testing.assert_allclose(least, 0.0, atol=1e-12)


@pytest.mark.parametrize(
    "name, case, words",
    [
        ("T6-initialisation", {"alfa": 0.3}, "did you mean 'alpha'"),
        ("T6-initialisation", {"alpha": float("nan")}, "a finite number"),
        ("T6-initialisation", {"alpha": "small"}, "a finite number"),
        ("T17-importance-sampling", {"num": 2.5}, "an integer, at least 1"),
        ("T17-importance-sampling", {"num": 0}, "an integer, at least 1"),
        ("T26-orders", {"kernel": "DDIN"}, "did you mean 'DDIM'"),
    ],
)
def test_a_case_that_is_none_is_a_message(name, case, words):
    with pytest.raises(gt.InputError, match=words):
        gt.bounds.check(name, **case)


def test_what_is_left_out_is_as_in_the_first_case_with_the_same_words():
    sweep = {"kind": "a", "n": 3}, {"kind": "b", "n": 5, "m": 0.2}
    assert complete("T", sweep, {"kind": "b"}) == sweep[1]
    assert complete("T", sweep, {"n": 4}) == {"kind": "a", "n": 4}
