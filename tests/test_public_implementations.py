"""The trial of public implementations: its formulas, and what the packages compute."""

import importlib.metadata
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt
from gmm_testbed import study

FOLDER = Path(__file__).parents[1] / "experiments"
trial = study.read(FOLDER / "public_implementations.py").inside
code, ENTRIES = trial.code, trial.ENTRIES
pytestmark = [
    pytest.mark.skipif(
        jnp.zeros(()).dtype != jnp.float64, reason="formulas are compared to 1e-9"
    ),
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
]

RNG = np.random.default_rng(4)
ROOTS = RNG.normal(size=(2, 3, 3))
PROBLEM = code.Problem(
    np.array([0.3, 0.7]),
    RNG.normal(size=(2, 3)),
    ROOTS @ ROOTS.transpose(0, 2, 1) + 0.1 * np.eye(3),
    np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]]),
    0.2,
    np.array([0.4, -0.3]),
    gt.VP(),
)


CATALOGUE = {
    "dps": gt.approximations.DPS(),
    "pigdm": gt.approximations.PiGDM(),
    "tmpd": gt.approximations.TMPD(),
    "diffpir": gt.approximations.DiffPIR(10.0),
    "dps_norm": gt.approximations.ZetaDPS(0.5),
}


def test_a_formula_in_numpy_is_that_of_the_catalogue():
    case = code.Case.at(PROBLEM, 0.4, 0.38, RNG.normal(size=(4, 3)))
    target, t = PROBLEM.target, jnp.asarray(0.4)

    @jax.jit
    @jax.vmap
    def all_of_them(x):
        return {name: a.guidance(target, x, t) for name, a in CATALOGUE.items()}

    for name, found in all_of_them(jnp.asarray(case.x)).items():
        expected = getattr(code, name)(case)
        assert_allclose(expected, found, rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_norm_of_a_batch_is_that_of_a_point_alone():
    """Of four equal states the norm over all is twice that of one."""
    case = code.Case.at(PROBLEM, 0.4, 0.38, np.ones((4, 3)))
    assert_allclose(code.dps_norm_of_all(case), code.dps_norm(case) / 2)
    alone = case.alone(0)
    assert_allclose(code.dps_norm_of_all(alone), code.dps_norm(alone))


def test_a_problem_is_whitened_and_moved():
    """The likelihood of `ten`, whose R is full, is the same, and moves with the prior."""
    target = gt.problems.get("ten")
    plain, seen = code.plain(target), target.problem.measurement
    moved = plain.moved()
    inverse = np.linalg.inv(seen.R)
    assert_allclose(plain.A.T @ plain.A / plain.v, seen.A.T @ inverse @ seen.A)
    pulled = seen.A.T @ inverse @ (target.problem.y - seen.b)
    assert_allclose(plain.A.T @ plain.y / plain.v, pulled)
    residuals = (each.y - each.A @ each.means[1] for each in (plain, moved))
    assert_allclose(*residuals)
    assert_allclose(moved.means - plain.means, code.SHIFT)


def test_what_is_not_installed_is_skipped_with_the_reason(monkeypatch, key):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    for label in ("azula: TMPDenoiser", "deepinv: DDRM", "diffuse-jax: FPSDenoiser"):
        with pytest.raises(gt.UnsupportedError, match=r"pip install.*\[trial\]"):
            trial.held_to_formulas(key, code=label, problem="gap")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.1")
    with pytest.raises(
        gt.UnsupportedError, match=r"azula 0.11.1 is meant, found: 0.0.1"
    ):
        trial.batches(key, batch=1)


def test_a_verdict_says_what_differs():
    import pandas as pd

    label = "azula: PGDMSampler (eta = 1)"
    close, far = (pd.DataFrame({"difference": [d]}, ["gap"]) for d in (1e-12, 0.95))
    assert trial.judged(label, close) == "agrees"
    assert trial.judged(label, far) == "differs: the weight is alpha_s alpha_t"


# --- with the packages ------------------------------------------------------------------


def _entry(label):
    entry = ENTRIES[label]
    try:
        trial.installed(entry.package)
    except gt.UnsupportedError as error:
        pytest.skip(str(error).splitlines()[0])
    return entry


@pytest.mark.slow
@pytest.mark.parametrize("label", ENTRIES)
def test_an_implementation_is_its_formula_or_what_explains_it(label):
    """In three dimensions with two measurements, none of which is a coordinate."""
    entry = _entry(label)
    case = code.Case.at(
        PROBLEM, 0.4, 0.38, np.random.default_rng(1).normal(size=(4, 3))
    )
    try:
        with jax.numpy_rank_promotion("allow"):  # the packages promote
            found, first = entry.found(case), entry.found(case.alone(0))
    except gt.UnsupportedError as error:
        pytest.skip(str(error).splitlines()[0])
    allowed = trial.AGREE[entry.single]
    away = trial.gap(found, entry.expected(case))
    if entry.explained:
        assert trial.gap(found, entry.explained(case)) < allowed
        assert away > 10 * allowed
    elif entry.because and "m <= 3" not in entry.because:  # here m = 2
        assert away > 10 * allowed
    else:
        assert away < allowed
    assert (trial.gap(first, found[:1]) > 0.1) == ("batch" in entry.because)


@pytest.mark.slow
def test_dps_of_azula_changes_with_the_batch():
    """The smallest example: one state, alone and twice, which halves the square."""
    entry = _entry("azula: DPSSampler (zeta = 1)")
    one = code.Case.at(PROBLEM, 0.4, 0.38, np.ones((1, 3)))
    two = code.Case.at(PROBLEM, 0.4, 0.38, np.ones((2, 3)))
    assert_allclose(entry.found(two)[:1], entry.found(one) / np.sqrt(2), rtol=1e-12)
