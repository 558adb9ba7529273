"""Both sides of every theorem against oracles that share no code with the package.

`python -m tests.oracles.bounds` prints the table: theorem, case, code, oracle, relative
difference, and whether a right side that is 10 % off would be noticed.
"""

import pytest

import gmm_testbed as gt

from .catalogue import PINS
from .pins import rows

FAST = {  # without much compilation, here or in the oracle
    "T6-initialisation",
    "T7-contraction",
    "T8-gronwall",
    "T11-dps-limit",
    "T12-dps-density",
    "T12-dps-density-corrected",
    "T24-speciation",
    "T27-log-sobolev",
    "T28-stein",
    "T29-tilted-transport",
    "T32-replacement",
    "T44-schedule",
    "T41-plain-start",
    "T52-interpolants",
    "T52-interpolants-corrected",
    "T53-euler-moments",
    "C20-entropy",
    "C22-score-lipschitz",
    "C24-divergences",
}


def named(pin):
    return "-".join([pin.name, *(f"{k}={v}" for k, v in pin.case.items())])


def is_slow(pin):
    compiled = pin.case.get("dim", 1) > 1 or pin.case.get("law") == "two modes"
    return pin.name not in FAST or compiled


@pytest.mark.parametrize(
    "pin",
    [
        pytest.param(pin, id=named(pin), marks=[pytest.mark.slow] * is_slow(pin))
        for pin in PINS
    ],
)
def test_both_sides_and_a_tenth_more_or_less(pin):
    """Every claim is pinned; the right sides so tightly that a factor of 1.1 is seen."""
    found, missing = rows(pin)
    assert not missing, f"without an oracle: {missing}"
    for row in found:
        assert row.oracle.agrees(row.found), row
    pinned = {row.label for row in found if row.which == "right"}
    assert pinned, "no right side is pinned"
    for row in found:
        if (
            row.which == "right"
            and abs(row.oracle.value) > 1e-12
            and not row.oracle.free
        ):
            assert row.notices, f"10 % more or less would not be seen: {row}"


def test_every_theorem_has_a_pin():
    assert {pin.name for pin in PINS} == set(gt.bounds.CATALOGUE)
