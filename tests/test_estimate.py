"""Estimates: arithmetic of errors, intervals, printing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt


def test_errors_add_in_quadrature():
    left, right = gt.Estimate(2.0, 0.3), gt.Estimate(-1.0, 0.4)
    assert float((left + right).value) == 1.0
    np.testing.assert_allclose((left - right).stderr, 0.5, rtol=1e-12)
    np.testing.assert_allclose((3.0 * left - 1.0).stderr, 0.9, rtol=1e-12)


def test_products_and_quotients_are_first_order():
    left, right = gt.Estimate(2.0, 0.3), gt.Estimate(5.0, 0.4)
    np.testing.assert_allclose((left * right).stderr, np.hypot(1.5, 0.8), rtol=1e-12)
    ratio = left / right
    np.testing.assert_allclose(ratio.value, 0.4, rtol=1e-12)
    np.testing.assert_allclose(
        ratio.stderr, 0.4 * np.hypot(0.3 / 2, 0.4 / 5), rtol=1e-12
    )
    np.testing.assert_allclose((1.0 / right).stderr, 0.4 / 25, rtol=1e-12)


def test_map_is_the_delta_method():
    root = gt.Estimate(4.0, 0.2).map(jnp.sqrt)
    np.testing.assert_allclose([root.value, root.stderr], [2.0, 0.05], rtol=1e-12)


@pytest.mark.slow
def test_the_error_of_a_mean_is_calibrated(key):
    """Weighted and unweighted 95 % intervals hold the truth 95 times in 100."""

    def repeat(key):
        x = jax.random.exponential(key, (1000,)) * 3.0
        weights = jax.nn.softmax(-0.2 * x)  # tilts the rate 1/3 to 1/3 + 0.2
        plain = gt.Estimate.mean_of(x)
        tilted = gt.Estimate.mean_of(x, weights)
        truths = jnp.asarray([3.0, 1.0 / (1.0 / 3.0 + 0.2)])
        values = jnp.stack([plain.value, tilted.value])
        errors = jnp.stack([plain.stderr, tilted.stderr])
        return jnp.abs(values - truths) < 1.96 * errors

    covered = jax.vmap(repeat)(jax.random.split(key, 4000)).mean(axis=0, dtype=float)
    assert np.all(np.abs(covered - 0.95) < 4.5 * np.sqrt(0.05 * 0.95 / 4000))


def test_distance_is_in_standard_errors():
    assert float(gt.Estimate(3.0, 0.5).distance(1.0)) == 4.0
    assert float(gt.Estimate(3.0).distance(3.0)) == 0.0
    assert float(gt.Estimate(3.0).distance(4.0)) == -np.inf


def test_interval():
    low, high = gt.Estimate(1.0, 0.1).interval(0.95)
    np.testing.assert_allclose([low, high], [0.8040036, 1.1959964], atol=1e-7)


def test_interval_of_an_error_that_grows():
    """Both ends are 1.96 of their own errors away from the value."""
    low, high = gt.Estimate(1.0, 0.3, growth=0.2).interval(0.95)
    for end in (low, high):
        error = np.sqrt(0.09 + 0.2 * (float(end) - 1.0))
        np.testing.assert_allclose(abs(end - 1.0), 1.9599640 * error, rtol=1e-6)
    assert high - 1.0 > 1.0 - low > 0.0


@pytest.mark.parametrize(
    "estimate, text",
    [
        (gt.Estimate(0.0123456, 0.00042, "500 samples"), "0.01235 ± 0.00042"),
        (gt.Estimate(1 / 3, how="quadrature"), "0.333333 (quadrature)"),
        (gt.Estimate([1.0, 2.0], [0.1, 0.0]), "[1 ± 0.1, 2]"),
    ],
)
def test_printing(estimate, text):
    assert text in str(estimate)


def test_how_names_both_sides():
    both = gt.Estimate(1.0, 0.1, "9 samples") + gt.Estimate(1.0, how="quadrature")
    assert both.how == "9 samples, quadrature"
    assert (both - 1.0).how == both.how
