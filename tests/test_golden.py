"""Printed values of one problem in d = 3 with m = 2, to all ten decimals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt

from .oracles.library import time_of, to_target
from .oracles.problems import POINT, SCALES_S, SCALES_T, golden

PATH = gt.VP()
APPROXIMATIONS = {
    "DPS": gt.approximations.DPS(),
    "ZetaDPS": gt.approximations.ZetaDPS(1.0),
    "PiGDM snr": gt.approximations.PiGDM("snr"),
    "PiGDM flat": gt.approximations.PiGDM("flat"),
    "TMPD": gt.approximations.TMPD(),
    "Exact": gt.approximations.Exact(),
}
GUIDANCE = {
    "DPS": (2.0235410542, 0.3447160516, -0.5766523827),
    "ZetaDPS": (2.4867072217, 0.8202692086, -1.1987323042),
    "PiGDM snr": (0.6360739695, 0.0697666626, -0.1335821239),
    "PiGDM flat": (0.4594769605, 0.0470239487, -0.0923273710),
    "TMPD": (0.5339290137, 0.0035210732, -0.0441223945),
    "Exact": (0.6259693684, 0.0823319826, -0.3579650171),
}
DENOISED = (0.1619904388, -0.1814028530, 0.1179012819)
A_COEFFICIENT, C_COEFFICIENT = 0.4691358025, 0.5246913580

pytestmark = pytest.mark.float32


@pytest.fixture
def printed(tolerance):
    """Agreement with numbers printed to ten decimals, or to single precision."""
    single = tolerance.identity > 1e-6
    kinds = {"rtol": tolerance.identity if single else 0}
    kinds["atol"] = 1e-5 if single else 6e-11

    def check(value, *digits):
        assert_allclose(np.ravel(value), digits, **kinds)

    return check


@pytest.fixture(scope="module")
def state():
    """Target, point, time and the time stepped to."""
    target = to_target(golden(), PATH)
    t, s = time_of(PATH, *SCALES_T), time_of(PATH, *SCALES_S)
    return target, jnp.asarray(POINT), t, s


def test_path_passes_through_the_scales(state, printed):
    _, _, t, s = state
    printed((PATH.alpha(t), PATH.sigma(t)), 0.8, 0.6)
    printed((PATH.alpha(s), PATH.sigma(s)), 0.9, np.sqrt(0.19))


def test_denoiser(state, printed):
    target, x, t, _ = state
    C = target.prior_covariance(x, t)
    printed(target.prior_mean(x, t), *DENOISED)
    printed(jnp.diagonal(C), 0.5651707756, 0.3926990415, 0.5392822809)
    printed((C[0, 1], C[0, 2], C[1, 2]), -0.0105872408, -0.1838442584, -0.1747654368)
    printed(target.marginal(t).log_prob(x), -3.6538807956)


def test_posterior_at_time_t(state, printed):
    target, x, t, _ = state
    printed(target.log_likelihood(x, t), -1.9886945482)
    printed(target.guidance(x, t), *GUIDANCE["Exact"])
    printed(target.posterior_mean(x, t), 0.4436766546, -0.1443534608, -0.0431829758)
    printed(
        jnp.diagonal(target.posterior_covariance(x, t)),
        *(0.2090631609, 0.1741737250, 0.2198357221),
    )


@pytest.mark.parametrize("name", GUIDANCE)
def test_guidance_of_the_approximations(name, state, printed):
    target, x, t, _ = state
    printed(APPROXIMATIONS[name].guidance(target, x, t), *GUIDANCE[name])


def test_mean_of_diffpir(state, printed):
    target, x, t, _ = state
    mean = gt.approximations.DiffPIR(1.0).posterior_mean(target, x, t)
    printed(mean, 0.3859167999, -0.1217674137, 0.1702290231)


def test_mean_of_ddnm(state, printed):
    target, x, t, _ = state
    mean = gt.approximations.DDNM().posterior_mean(target, x, t)
    printed(mean, 0.4543326201, -0.1086652402, 0.1913347598)


def _step(approximation, kernel, state):
    target, x, t, s = state
    return gt.Guided(approximation, kernel).transition(target, x, t, s)


def test_ancestral_step(state, printed):
    small, large, matched = (
        _step(gt.approximations.Exact(), gt.kernels.DDPM(name), state)
        for name in ("small", "large", "matched")
    )
    for step in (small, large, matched):
        printed(step.mean, 0.3735340472, -0.1695681739, 0.2119101670)
    printed(small.scale**2, 0.1107681756)
    printed(large.scale**2, 0.2098765432)
    printed(
        jnp.diagonal(matched.scale @ matched.scale.T),
        *(0.1683234773, 0.1587183799, 0.1712891744),
    )


def test_deterministic_step(state, printed):
    step = _step(gt.approximations.Unguided(), gt.kernels.DDIM(0.0), state)
    printed(step.mean, 0.2695896818, -0.2031303052, 0.4008300959)
    assert step.scale == 0


def test_published_dps_step_adds_the_printed_gradient(state, printed, tolerance):
    step = _step(gt.approximations.Unguided(), gt.kernels.DPSUpdate(1.0), state)
    unguided = A_COEFFICIENT * POINT + C_COEFFICIENT * np.array(DENOISED)
    # Three printed numbers add up, so the last digit is uncertain by three units.
    slack = 1e-4 if tolerance.identity > 1e-6 else 2e-10
    assert_allclose(step.mean - unguided, GUIDANCE["ZetaDPS"], rtol=0, atol=slack)
    printed(step.scale**2, 0.1107681756)


def test_values_do_not_change_under_jit(state, printed):
    target, x, t, _ = state
    guidance = jax.jit(lambda target, x, t: target.guidance(x, t))(target, x, t)
    printed(guidance, *GUIDANCE["Exact"])
