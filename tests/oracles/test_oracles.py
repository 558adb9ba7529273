"""The references themselves: printed values, finite differences, quadrature."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

from . import numpy_mixture as ref
from .problems import LINE, POINT, SCALES_S, SCALES_T, SPACE, TEN, golden

GOLDEN = golden()
STATE = (POINT, *SCALES_T)
STEP = (*SCALES_T, *SCALES_S)
NU2 = 0.6**2 / (0.6**2 + 0.8**2)


def printed(value, *digits):
    """The value agrees with numbers printed to ten decimals."""
    assert_allclose(np.ravel(value), digits, rtol=0, atol=6e-11)


def slope(fn, x, step=1e-5):
    """Derivative of `fn` at x by fourth-order central differences, last axis for x."""
    columns = []
    for e in step * np.eye(len(x)):
        near = np.asarray(fn(x + e)) - np.asarray(fn(x - e))
        far = np.asarray(fn(x + 2 * e)) - np.asarray(fn(x - 2 * e))
        columns.append((8 * near - far) / (12 * step))
    return np.stack(columns, axis=-1)


def test_denoiser_and_likelihood_have_their_printed_values():
    C = ref.prior_covariance(GOLDEN, *STATE)
    marginal = ref.noised(GOLDEN.prior, *SCALES_T)
    printed(ref.prior_mean(GOLDEN, *STATE), 0.1619904388, -0.1814028530, 0.1179012819)
    printed(np.diag(C), 0.5651707756, 0.3926990415, 0.5392822809)
    printed(C[[0, 0, 1], [1, 2, 2]], -0.0105872408, -0.1838442584, -0.1747654368)
    printed(ref.log_prob(marginal, POINT), -3.6538807956)
    printed(ref.log_likelihood(GOLDEN, *STATE), -1.9886945482)


def test_exact_guidance_has_its_printed_values():
    C_y = ref.posterior_covariance(GOLDEN, *STATE)
    m_y = ref.posterior_mean(GOLDEN, *STATE)
    printed(
        ref.exact_guidance(GOLDEN, *STATE), 0.6259693684, 0.0823319826, -0.3579650171
    )
    printed(m_y, 0.4436766546, -0.1443534608, -0.0431829758)
    printed(np.diag(C_y), 0.2090631609, 0.1741737250, 0.2198357221)


def test_approximations_have_their_printed_values():
    u2 = 0.36 / 0.64
    printed(ref.dps(GOLDEN, *STATE), 2.0235410542, 0.3447160516, -0.5766523827)
    printed(
        ref.zeta_dps(GOLDEN, *STATE, 1.0), 2.4867072217, 0.8202692086, -1.1987323042
    )
    printed(ref.pigdm(GOLDEN, *STATE, NU2), 0.6360739695, 0.0697666626, -0.1335821239)
    printed(ref.pigdm(GOLDEN, *STATE, u2), 0.4594769605, 0.0470239487, -0.0923273710)
    printed(ref.tmpd(GOLDEN, *STATE), 0.5339290137, 0.0035210732, -0.0441223945)
    printed(
        ref.diffpir_mean(GOLDEN, *STATE, 1.0),
        *(0.3859167999, -0.1217674137, 0.1702290231),
    )
    printed(ref.ddnm_mean(GOLDEN, *STATE), 0.4543326201, -0.1086652402, 0.1913347598)


def test_kernels_have_their_printed_values():
    m, m_y = ref.prior_mean(GOLDEN, *STATE), ref.posterior_mean(GOLDEN, *STATE)
    C_y = ref.posterior_covariance(GOLDEN, *STATE)
    rho, a, c, added = ref.bridge(*STEP)
    printed((rho, a, c), 0.6457628065, 0.4691358025, 0.5246913580)
    printed((added, c * 0.36 / 0.8), 0.2098765432, 0.2361111111)
    printed(ref.ddpm_mean(POINT, m_y, *STEP), 0.3735340472, -0.1695681739, 0.2119101670)
    printed(ref.ddpm_variances(*STEP), 0.1107681756, 0.2098765432)
    printed(
        np.diag(ref.matched_covariance(C_y, *STEP)),
        *(0.1683234773, 0.1587183799, 0.1712891744),
    )
    mean, std = ref.ddim(POINT, m, 0.0, *STEP)
    assert std == 0
    printed(mean, 0.2695896818, -0.2031303052, 0.4008300959)


@pytest.mark.parametrize("problem", [LINE, SPACE, TEN], ids=["d1", "d3", "d10"])
def test_derivatives_agree_with_finite_differences(problem):
    x = np.linspace(-0.7, 0.9, problem.A.shape[1])
    law = ref.noised(problem.prior, *SCALES_T)
    assert_allclose(
        ref.score(law, x), slope(lambda z: ref.log_prob(law, z), x), rtol=1e-7
    )
    assert_allclose(
        ref.hessian(law, x), slope(lambda z: ref.score(law, z), x), atol=1e-8
    )
    assert_allclose(
        ref.exact_guidance(problem, x, *SCALES_T),
        slope(lambda z: ref.log_likelihood(problem, z, *SCALES_T), x),
        rtol=1e-7,
        atol=1e-8,
    )
    assert_allclose(
        ref.denoiser_jacobian(problem, x, *SCALES_T),
        slope(lambda z: ref.prior_mean(problem, z, *SCALES_T), x),
        atol=1e-8,
    )


def integral(fn):
    """Integral over a line that holds all the mass of the 1-D problem."""
    points = [*LINE.prior.means[:, 0]]
    return quad(fn, -15, 15, points=points, limit=400, epsabs=1e-13, epsrel=1e-13)[0]


def test_one_dimensional_laws_agree_with_quadrature():
    alpha, sigma = SCALES_T
    x = np.array([0.4])

    def joint(z, with_y):
        z = np.array([z])
        value = ref.log_prob(LINE.prior, z)
        value += ref.log_normal(x, alpha * z, sigma**2 * np.eye(1))
        if with_y:
            value += ref.log_normal(LINE.y, LINE.A @ z, LINE.R)
        return np.exp(value)

    marginal, both = (integral(lambda z, w=w: joint(z, w)) for w in (False, True))
    first = integral(lambda z: z * joint(z, True)) / both
    second = integral(lambda z: (z - first) ** 2 * joint(z, True)) / both
    law = ref.noised(LINE.prior, alpha, sigma)
    assert_allclose(ref.log_prob(law, x), np.log(marginal), rtol=1e-10)
    assert_allclose(
        ref.log_likelihood(LINE, x, alpha, sigma), np.log(both / marginal), rtol=1e-10
    )
    assert_allclose(ref.posterior_mean(LINE, x, alpha, sigma), [first], rtol=1e-10)
    assert_allclose(
        ref.posterior_covariance(LINE, x, alpha, sigma), [[second]], rtol=1e-9
    )


def test_posterior_and_evidence_agree_with_quadrature():
    def joint(z):
        z = np.array([z])
        return np.exp(
            ref.log_prob(LINE.prior, z) + ref.log_normal(LINE.y, LINE.A @ z, LINE.R)
        )

    total = integral(joint)
    assert_allclose(ref.log_evidence(*LINE), np.log(total), rtol=1e-10)
    for z in (-1.3, 0.2, 1.1):
        assert_allclose(
            np.exp(ref.log_prob(ref.posterior(LINE), np.array([z]))),
            joint(z) / total,
            rtol=1e-9,
        )


def test_reverse_kernel_is_bayes_rule_for_the_forward_kernel():
    (at, st), (as_, ss) = SCALES_T, SCALES_S
    x_t, x_s = POINT, np.array([0.1, 0.4, -0.3])
    post = ref.posterior(GOLDEN)
    ratio = at / as_
    forward = ref.log_normal(x_t, ratio * x_s, (st**2 - ratio**2 * ss**2) * np.eye(3))
    bayes = (
        ref.log_prob(ref.noised(post, as_, ss), x_s)
        + forward
        - ref.log_prob(ref.noised(post, at, st), x_t)
    )
    kernel = ref.reverse_kernel(post, x_t, *STEP)
    assert_allclose(ref.log_prob(kernel, x_s), bayes, rtol=1e-11)


def test_fused_mean_is_the_posterior_mean():
    for problem in (LINE, SPACE, TEN):
        x = np.linspace(-0.7, 0.9, problem.A.shape[1])
        assert_allclose(
            ref.fused_mean(problem, x, *SCALES_T),
            ref.posterior_mean(problem, x, *SCALES_T),
            rtol=1e-9,
        )


def test_euler_steps_tend_to_the_ancestral_and_deterministic_steps():
    """One short step of each: they differ only by the square of its length."""
    t, gaps = 0.5, []
    for dt in (1e-3, 5e-4):
        a_t, s_t, drift, squared = ref.vp(t)
        a_s, s_s, _, _ = ref.vp(t - dt)
        m = ref.posterior_mean(GOLDEN, POINT, a_t, s_t)
        sde = ref.euler(POINT, m, dt, drift, squared, 1.0, a_t, s_t)
        ode = ref.euler(POINT, m, dt, drift, squared, 0.5, a_t, s_t)
        step = (a_t, s_t, a_s, s_s)
        gaps.append(
            (
                np.abs(sde - ref.ddpm_mean(POINT, m, *step)).max(),
                np.abs(ode - ref.ddim(POINT, m, 0.0, *step)[0]).max(),
            )
        )
    ratio = np.array(gaps[0]) / np.array(gaps[1])
    assert np.all(np.abs(ratio - 4) < 0.1)


def test_heun_is_second_order():
    def rule(x, alpha, sigma):
        return ref.posterior_mean(GOLDEN, x, alpha, sigma)

    def end(steps):
        levels = np.linspace(1.2, 0.3, steps + 1)
        x = POINT
        for u, v in zip(levels[:-1], levels[1:], strict=True):
            x = ref.heun(x, rule, 1.0, u, 1.0, v)
        return x

    fine = end(256)
    ratio = np.linalg.norm(end(8) - fine) / np.linalg.norm(end(16) - fine)
    assert 3.5 < ratio < 4.7


def test_heun_does_not_depend_on_the_scale_of_the_path():
    def rule(x, alpha, sigma):
        return ref.posterior_mean(GOLDEN, x, alpha, sigma)

    whole = ref.heun(POINT, rule, *STEP)
    unit = ref.heun(POINT / 0.8, rule, 1.0, 0.75, 1.0, SCALES_S[1] / 0.9)
    assert_allclose(whole, 0.9 * unit, rtol=1e-12)
