"""Assumptions of theorems: each is refused by a case that breaks it."""

import pytest

import gmm_testbed as gt
from gmm_testbed.bounds import assumptions

EQUAL = gt.GaussianMixture.isotropic([0.3, 0.7], [[0.0, 1.0], [2.0, 0.5]], 0.4)
ROUND = gt.GaussianMixture.isotropic([0.3, 0.7], [[0.0, 1.0], [2.0, 0.5]], [0.4, 0.5])
LONG = gt.GaussianMixture.diagonal([1.0], [[0.0, 1.0]], [[0.4, 0.5]])
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
