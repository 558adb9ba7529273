"""One table of everything that samples, and methods from text."""

import equinox as eqx
import numpy as np
import pytest

import gmm_testbed as gt

A, K, M = gt.approximations, gt.kernels, gt.algorithms


@pytest.mark.parametrize(
    "text, made",
    [
        ("DPS", gt.Guided(A.DPS(), K.DDPM())),
        ("PiGDM(r2=flat)", gt.Guided(A.PiGDM("flat"), K.DDPM())),
        ("ZetaDPS:zeta=0.5", gt.Guided(A.ZetaDPS(0.5), K.DDPM())),
        ("Guided(TMPD, DDIM(eta=0.25))", gt.Guided(A.TMPD(), K.DDIM(0.25))),
        (
            "Guided(approximation=DiffPIR(2), kernel=DDPM(matched))",
            gt.Guided(A.DiffPIR(2.0), K.DDPM("matched")),
        ),
        ("Published(ZetaDPS(zeta=.1))", gt.Published(A.ZetaDPS(0.1))),
        ("DAPS(endpoint=mean, r2=snr)", M.DAPS("mean", "snr")),
        ("TDS(twist=DPS)", gt.smc.TDS(A.DPS())),
        ("TimeTravel(DPS)", M.TimeTravel(gt.Guided(A.DPS(), K.DDPM()))),
        (
            "ParticleFilter(Bootstrap, resampling='residual', threshold=0.9)",
            gt.smc.ParticleFilter(gt.smc.Bootstrap(), "residual", 0.9),
        ),
    ],
)
def test_text_and_object_are_the_same(text, made):
    assert eqx.tree_equal(gt.methods.get(text), made)


@pytest.mark.parametrize(
    "text, words",
    [
        ("TMPDD", "TMPD"),
        ("DDPM", "Guided(DPS, DDPM)"),
        ("TDS", "TDS(twist)"),
        ("ZetaDPS(zet=1)", "zeta"),
        ("ZetaDPS(zeta=sharp)", "zeta"),
        ("DPS(1)", "too many options"),
        ("PiGDM(r2=sharp)", "snr"),
        ("SplitGibbs(sweeps=0)", "sweeps"),
        ("import os", "not the name of a method"),
        ("__import__('os')", "unknown method"),
        ("Guided(DPS, DDIM(eta=os.sep))", "eta"),
    ],
)
def test_what_is_wrong_is_said(text, words):
    with pytest.raises(gt.InputError) as caught:
        gt.methods.get(text)
    assert words in str(caught.value)


def test_every_row_says_what_it_is():
    for name, entry in gt.methods.CATALOGUE.items():
        if entry.complete:
            facts = entry.facts
            assert facts.summary and facts.reference, name
            assert min(facts.cost) >= 0
        else:
            assert name in {"Guided", "Published", "ParticleFilter"} or (
                entry.family in {"filter", "method"}
            )


def test_any_method_samples(key):
    target = gt.problems.get("two-modes")
    times = gt.time_grid(target.path, 3, t_min=0.1)
    for text in ("DPS", "Jump", "ParticleFilter(Bootstrap)"):
        out = gt.sample(key, gt.methods.get(text), target, times, 16)
        assert np.isfinite(out.x).all()
