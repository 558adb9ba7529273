"""The W2 ablation table of Pierret & Galerne: the printed cells, and laws against NumPy."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed import study

from .oracles import gaussian_schemes as oracle

FILE = Path(__file__).parents[1] / "experiments" / "gaussian_schemes.py"
FEW = np.array([150.0, 1.3, 0.02, 3e-5])


@pytest.fixture(scope="module")
def inside():
    return study.read(FILE).inside


@pytest.mark.parametrize(
    "scheme",
    [
        "EI",
        "Heun",
        *(
            pytest.param(s, marks=pytest.mark.slow)
            for s in ("EM", "Euler", "Heun in u")
        ),
    ],
)
def test_each_scheme_against_its_recursion(inside, scheme):
    problem = gt.laws.EigenProblem(gt.VP(), FEW)
    times = gt.time_grid(problem.path, 30, t_min=1e-3)
    sampler = gt.Guided(gt.approximations.Unguided(), inside.SCHEMES[scheme])
    for start, initial in inside.starts(problem).items():
        law = gt.laws.spectral(sampler, problem, times, initial=initial)
        by_hand = oracle.steps(scheme, FEW, 30, 1e-3, start)
        np.testing.assert_allclose(law.variance(), by_hand, rtol=1e-9)


def test_laws_without_steps_are_limits_of_many():
    """The formulas of the paper against 40000 steps from N(0, I)."""
    for kind, scheme in (("SDE", "EM"), ("ODE", "Euler")):
        exact = oracle.continuous(kind, FEW[:3], 1e-3, "N(0, I)")
        many = oracle.steps(scheme, FEW[:3], 40000, 1e-3, "N(0, I)")
        np.testing.assert_allclose(many, exact, rtol=2e-3)


def test_expected_values_are_those_of_the_recursion(inside):
    values, expected = inside.eigenvalues("power law"), study.read(FILE).expected
    for eps, N in ((0.0, 50), (1e-3, 1000)):
        for scheme in inside.SCHEMES:
            found = oracle.w2(oracle.steps(scheme, values, N - 1, eps, "p_T"), values)
            claim = expected[f"{scheme}, eps {eps:g}, N {N}"]
            assert found == pytest.approx(claim.value, rel=1e-8)
    for kind in ("SDE", "ODE"):
        law = oracle.continuous(kind, values, 0.0, "N(0, I)")
        claim = expected[f"{kind} from N(0, I), eps 0"]
        assert oracle.w2(law, values) == pytest.approx(claim.value, rel=1e-8)


def test_the_published_table(inside):
    """All 160 cells, to the digits that are printed, where the eigenvalues are at hand."""
    if not inside.CIFAR.exists():
        pytest.skip(f"no {inside.CIFAR.name}: see the docstring of the experiment")
    values = inside.eigenvalues("CIFAR-10")
    assert values.sum() == pytest.approx(761.62, abs=0.01)
    for (scheme, eps, N, start), printed in inside.published().items():
        if N == "continuous":
            kind = "SDE" if scheme in ("EM", "EI") else "ODE"
            law = oracle.continuous(kind, values, eps, start)
        else:
            law = oracle.steps(scheme, values, int(N) - 1, eps, start)
        found = oracle.w2(law, values)
        assert agrees(found, printed), (scheme, eps, N, start, found, printed)


def agrees(value, printed):
    """Whether a value rounds to what is printed: within half of its last digit."""
    digits, _, power = printed.partition("E")
    last = 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
    return abs(value - float(printed)) <= 0.505 * last


def test_the_weight_of_the_frozen_score_has_its_closed_forms():
    """2 (alpha_s / alpha_t - 1) on VP, sigma_t^2 - sigma_s^2 on VE, over a long step."""
    kernel = gt.kernels.ExponentialIntegrator()
    t, s, x = jnp.asarray(0.93), jnp.asarray(0.04), jnp.asarray([0.7])
    for path in (gt.VP(), gt.VE(0.02, 30.0)):
        target = gt.laws.EigenProblem(path, jnp.asarray([0.6])).some(jnp.asarray([0]))
        field = gt.GuidedField(gt.approximations.Unguided(), target)
        step = kernel.transition(field, x, t, s)
        ratio = float(path.alpha(s) / path.alpha(t))
        sigmas = float(path.sigma(t)) ** 2, float(path.sigma(s)) ** 2
        vp = isinstance(path, gt.VP)
        weight = 2 * (ratio - 1) if vp else sigmas[0] - sigmas[1]
        score = -0.7 / (float(path.alpha(t)) ** 2 * 0.6 + sigmas[0])
        assert float(step.mean[0]) == pytest.approx(0.7 * ratio + weight * score, 1e-9)
        variance = ratio**2 * sigmas[0] - sigmas[1]
        assert float(step.covariance()[0, 0]) == pytest.approx(variance, rel=1e-9)
