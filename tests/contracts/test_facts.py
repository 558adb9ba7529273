"""Every row of the table of methods is asked whether its facts are true."""

import pytest

import gmm_testbed as gt

A, K, M, S = gt.approximations, gt.kernels, gt.algorithms, gt.smc
# Approximations and kernels are asked beside their references.
ROWS = {
    name: entry.kind
    for name, entry in gt.methods.CATALOGUE.items()
    if entry.family not in {"approximation", "kernel"}
}
VARIANTS = {
    "DAPS mean": M.DAPS("mean", "snr"),
    "DAPS sample": M.DAPS("sample"),
    "SplitGibbs twice": M.SplitGibbs(2),
    "PosteriorDraws": M.PosteriorDraws(),
    "Heun of DPS": gt.Guided(A.DPS(), K.Heun()),
    "published DPS": gt.Published(A.ZetaDPS(1.0)),
    "TDS of DPS": S.TDS(A.DPS()),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS | VARIANTS)
def test_the_facts_are_true(name):
    report = gt.conformance((ROWS | VARIANTS)[name])
    assert report.ok, str(report)
