"""Small cells of the experiments on classifier-free guidance, against NumPy and SciPy."""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import norm

from gmm_testbed import study

FOLDER = Path(__file__).parents[1] / "experiments"


def experiment(file, name):
    return study.read(FOLDER / f"{file}.py").experiments[name]


def test_a_guided_gaussian_after_ten_steps(key):
    """The moments step by step, and the divergence of two variances."""
    cell = experiment("guidance_gaussian", "gaussian_laws")
    found = cell(key, sampler="DDIM, eta = 0.5", scale=3.0, steps=10)
    levels = 1e5 * 10.0 ** (-0.8 * np.arange(11))
    mean, variance = 0.0, levels[0] ** 2
    for v, w in zip(levels[:-1] ** 2, levels[1:] ** 2, strict=True):
        fresh = 0.25 * w * (1.0 - w / v)
        share = np.sqrt((w - fresh) / v)
        gain = 3.0 / (1.0 + v) - 2.0 * 2.0 / (2.0 + v)
        mean = share * mean + (1.0 - share) * (gain * mean + 3.0 * v / (1.0 + v))
        variance = (share + (1.0 - share) * gain) ** 2 * variance + fresh
    kl = 0.5 * (variance / 0.5 - 1.0 - np.log(variance / 0.5))
    expected = (variance, mean, kl, kl + (mean - 1.5) ** 2 / (2.0 * 0.5))
    values = [float(one.value) for one in found.values()]
    np.testing.assert_allclose(values, expected, rtol=1e-9)


def test_a_guided_class_after_ten_steps(key):
    cell = experiment("guidance_two_modes", "few_steps")
    found = cell(key, w=1, steps=10).metrics
    log_snr = [-36.0 * t - np.log(-np.expm1(-36.0 * t)) for t in (1.0, 1e-7)]
    snr = np.exp(np.linspace(*log_snr, 11))
    alphas, sigmas = np.sqrt(snr / (1.0 + snr)), 1.0 / np.sqrt(1.0 + snr)
    start = np.linspace(-9.0, 9.0, 20_001)
    weight, x = norm.pdf(start) * (start[1] - start[0]), sigmas[0] * start
    for a, s, b, r in zip(
        alphas[:-1], sigmas[:-1], alphas[1:], sigmas[1:], strict=True
    ):
        score = 2.0 * (a - x) - (a * np.tanh(a * x) - x)
        clean = (x + s**2 * score) / a
        x = b * clean + r * (x - a * clean) / s
    mean = weight @ x
    values = [float(one.value) for one in found.values()]
    expected = mean, np.sqrt(weight @ (x - mean) ** 2)
    np.testing.assert_allclose(values[:2], expected, rtol=1e-7)
    masses = [norm.sf(np.interp(level, x, start)) for level in (1.0, 0.0)]
    np.testing.assert_allclose(values[2:], (masses[0], 1.0 - masses[1]), atol=1e-6)


@pytest.mark.slow
def test_the_law_without_noise_in_four_dimensions(key):
    """As the flow of q - sqrt d has it, less what 500 steps and the start leave."""
    cell = experiment("guidance_high_dimension", "projected_laws")
    found = cell(key, sampler="ODE", d=4, omega=1, power=0.0, finer=0).metrics
    x = np.linspace(-9.0, 9.0, 4001)

    def rates(a, z):
        return 1.0 - np.tanh(a * (z + a))

    z = solve_ivp(rates, (0.0, 2.0), x, "DOP853", rtol=1e-10, atol=1e-10).y[:, -1]
    weight = norm.pdf(x) * (x[1] - x[0])
    mean = weight @ z
    gap = norm.cdf(x) - norm.cdf(z)
    expected = mean, np.sqrt(weight @ (z - mean) ** 2), 0.5 * np.abs(np.diff(gap)).sum()
    values = [float(one.value) for one in found.values()]
    np.testing.assert_allclose(values, expected, rtol=2e-3)


def test_the_tree_of_autoguidance():
    """Its weights by level, the way to its first fork, and where B grows."""
    inside = study.read(FOLDER / "autoguidance_tree.py").inside
    means, sds, weights, levels = inside.A
    shares = [weights[levels == level].sum() for level in range(5)]
    powers = 1.1 ** np.arange(5)  # twice as many segments, .55 of the weight
    np.testing.assert_allclose(shares, powers / powers.sum(), rtol=1e-12)
    assert means.shape == (93, 2) and np.ptp(sds[levels == 3]) == 0.0
    np.testing.assert_allclose(means[1], [0.25 * np.cos(0.9), 0.25 * np.sin(0.9)])
    turned = 0.9 - 0.5 + 0.06
    first = np.array([0.5 * np.cos(0.9), 0.5 * np.sin(0.9)])
    first = first + 0.06 * np.array([np.cos(turned), np.sin(turned)])
    np.testing.assert_allclose(means[3], first)
    assert 0.42 < weights[inside.beside].sum() < 0.43
