"""Printed values of one problem in d = 3 with m = 2, to all ten decimals."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt
from gmm_testbed.kernels.base import bridge

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


@eqx.filter_jit
def _evaluate(target, x, t, s):
    exact, unguided = gt.approximations.Exact(), gt.approximations.Unguided()
    samplers = {
        "small": gt.Guided(exact, gt.kernels.DDPM("small")),
        "large": gt.Guided(exact, gt.kernels.DDPM("large")),
        "matched": gt.Guided(exact, gt.kernels.DDPM("matched")),
        "DDIM": gt.Guided(unguided, gt.kernels.DDIM(0.0)),
        "DPSUpdate": gt.Published(gt.approximations.ZetaDPS(1.0)),
        "Langevin": gt.algorithms.Langevin(exact, 0.1),
    }
    values = {
        "scales": jnp.stack(
            [PATH.alpha(t), PATH.sigma(t), PATH.alpha(s), PATH.sigma(s)]
        ),
        "m": target.prior_mean(x, t),
        "C": target.prior_covariance(x, t),
        "log_prob": target.marginal(t).log_prob(x),
        "log_likelihood": target.log_likelihood(x, t),
        "guidance": target.guidance(x, t),
        "m_y": target.posterior_mean(x, t),
        "C_y": target.posterior_covariance(x, t),
        "DiffPIR": gt.approximations.DiffPIR(1.0).posterior_mean(target, x, t),
        "DDNM": gt.approximations.DDNM().posterior_mean(target, x, t),
    }
    step = bridge(PATH, t, s)
    values["bridge"] = jnp.stack([jnp.sqrt(1.0 - step.fresh), step.a, step.c])
    added = PATH.sigma(t) ** 2 * step.fresh
    gain = PATH.sigma(t) ** 2 / PATH.alpha(t)
    values["added"] = jnp.stack([added, step.c * gain])
    # N(m, nu^2 I) for x0 given x_t, seen through the measurement: its covariance V_y.
    variance = PATH.sigma(t) ** 2 / (PATH.sigma(t) ** 2 + PATH.alpha(t) ** 2)
    one = jnp.ones(1, x.dtype)
    ball = gt.GaussianMixture.isotropic(one, values["m"][None], variance)
    measurement = target.problem.measurement
    seen = ball.conditioned(measurement.A, measurement.R, target.problem.y)
    values["V_y"] = seen.covariance()
    fields = {name: a.guidance(target, x, t) for name, a in APPROXIMATIONS.items()}
    steps = {name: k.transition(target, x, t, s) for name, k in samplers.items()}
    return values, fields, steps


@pytest.fixture(scope="module")
def evaluated():
    """Everything that is printed, at the point and the two times of the example."""
    t, s = time_of(PATH, *SCALES_T), time_of(PATH, *SCALES_S)
    return _evaluate(to_target(golden(), PATH), jnp.asarray(POINT), t, s)


@pytest.fixture(scope="module")
def values(evaluated):
    return evaluated[0]


@pytest.fixture(scope="module")
def steps(evaluated):
    return evaluated[2]


def test_path_passes_through_the_scales(values, printed):
    printed(values["scales"], 0.8, 0.6, 0.9, np.sqrt(0.19))


def test_denoiser(values, printed):
    C = values["C"]
    printed(values["m"], *DENOISED)
    printed(jnp.diagonal(C), 0.5651707756, 0.3926990415, 0.5392822809)
    printed((C[0, 1], C[0, 2], C[1, 2]), -0.0105872408, -0.1838442584, -0.1747654368)
    printed(values["log_prob"], -3.6538807956)


def test_posterior_at_time_t(values, printed):
    printed(values["log_likelihood"], -1.9886945482)
    printed(values["guidance"], *GUIDANCE["Exact"])
    printed(values["m_y"], 0.4436766546, -0.1443534608, -0.0431829758)
    printed(jnp.diagonal(values["C_y"]), 0.2090631609, 0.1741737250, 0.2198357221)


@pytest.mark.parametrize("name", GUIDANCE)
def test_guidance_of_the_approximations(name, evaluated, printed):
    printed(evaluated[1][name], *GUIDANCE[name])


def test_mean_of_diffpir(values, printed):
    printed(values["DiffPIR"], 0.3859167999, -0.1217674137, 0.1702290231)


def test_mean_of_ddnm(values, printed):
    printed(values["DDNM"], 0.4543326201, -0.1086652402, 0.1913347598)


def test_kalman_update_of_a_ball(values, printed):
    printed(jnp.diagonal(values["V_y"]), 0.1433273234, 0.2166136699, 0.2219242747)


def test_bridge(values, printed):
    printed(values["bridge"], 0.6457628065, A_COEFFICIENT, C_COEFFICIENT)
    printed(values["added"], 0.2098765432, 0.2361111111)


def test_ancestral_step(steps, printed):
    for name in ("small", "large", "matched"):
        printed(steps[name].mean, 0.3735340472, -0.1695681739, 0.2119101670)
    printed(steps["small"].covariance()[0, 0], 0.1107681756)
    printed(steps["large"].covariance()[0, 0], 0.2098765432)
    factor = steps["matched"].root.factor
    printed(jnp.diagonal(factor @ factor.T), 0.1683234773, 0.1587183799, 0.1712891744)


def test_deterministic_step(steps, printed):
    printed(steps["DDIM"].mean, 0.2695896818, -0.2031303052, 0.4008300959)
    assert steps["DDIM"].root.most() == 0


def test_published_dps_step_adds_the_printed_gradient(steps, printed, tolerance):
    step = steps["DPSUpdate"]
    unguided = A_COEFFICIENT * POINT + C_COEFFICIENT * np.array(DENOISED)
    # Three printed numbers add up, so the last digit is uncertain by three units.
    slack = 1e-4 if tolerance.identity > 1e-6 else 2e-10
    assert_allclose(step.mean - unguided, GUIDANCE["ZetaDPS"], rtol=0, atol=slack)
    printed(step.covariance()[0, 0], 0.1107681756)


def test_langevin_step_at_the_later_time(steps, printed):
    printed(steps["Langevin"].mean, 0.3024200032, -0.1949531727, 0.4802086374)
    printed(steps["Langevin"].covariance()[0, 0], 0.0190000000)
