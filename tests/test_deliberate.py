"""Failures made on purpose: exactly what they say, and of a divergence that is known."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.diagnostics import deliberate

from .oracles import numpy_mixture as oracle
from .oracles.library import to_mixture
from .oracles.problems import SPACE

# Three modes in the plane, far apart beside their spread.
LAW = oracle.mixture(
    [0.5, 0.3, 0.2],
    [[-8.0, 0.5], [7.0, 1.0], [0.0, -9.0]],
    [[[0.4, 0.1], [0.1, 0.3]], [[0.2, 0.0], [0.0, 0.5]], [[0.3, -0.1], [-0.1, 0.2]]],
)


@pytest.fixture(scope="module")
def law():
    return to_mixture(LAW)


def weights(mixture):
    return np.exp(np.asarray(mixture.log_weights))


def test_weights_are_dropped_swapped_and_shared(law):
    dropped = deliberate.one_mode_dropped(law)
    assert np.allclose(weights(dropped), [5 / 7, 0.0, 2 / 7], rtol=1e-12)
    swapped = deliberate.weights_swapped(law)
    assert np.allclose(weights(swapped), [0.3, 0.5, 0.2], rtol=1e-12)
    for other in (dropped, swapped):
        assert np.allclose(other.means, law.means)
        assert np.allclose(other.covariances(), law.covariances(), atol=1e-12)


def test_one_gaussian_of_the_same_moments(law):
    merged = deliberate.modes_merged(law)
    assert merged.num_components == 1
    assert np.allclose(merged.means[0], oracle.mean(LAW), rtol=1e-12)
    assert np.allclose(merged.covariances()[0], oracle.covariance(LAW), rtol=1e-12)


def test_spread_is_scaled_where_the_data_do_not_see():
    measurement = gt.Linear(SPACE.A, SPACE.R)
    hidden = np.asarray(deliberate.unseen(measurement))
    assert hidden.shape == (3, 1)
    assert np.allclose(SPACE.A @ hidden, 0.0, atol=1e-12)
    assert np.allclose(hidden.T @ hidden, 1.0, rtol=1e-12)
    wide = deliberate.spread_scaled(to_mixture(SPACE.prior), hidden, 2.0)
    covariances = np.asarray(wide.covariances())
    for before, after in zip(np.asarray(SPACE.prior[2]), covariances, strict=True):
        seen = SPACE.A @ before @ SPACE.A.T
        assert np.allclose(SPACE.A @ after @ SPACE.A.T, seen, rtol=1e-10)
        assert np.allclose(hidden.T @ after @ hidden, 4 * hidden.T @ before @ hidden)
    with pytest.raises(gt.UnsupportedError, match="every direction"):
        deliberate.unseen(gt.Linear(np.eye(2), 1.0))


def test_hallucinations_are_of_the_prior_or_like_the_data(law):
    posterior = to_mixture(LAW._replace(log_weights=np.log([0.7, 0.004, 0.296])))
    found = deliberate.from_the_prior(posterior, law)
    assert np.allclose(found.means[0], [7.0, 1.0])
    direction = np.array([[0.6], [0.8]])
    moved = deliberate.from_the_data(law, direction, 5.0)
    covariance = np.array([[0.4, 0.1], [0.1, 0.3]])
    length = 5.0 * np.sqrt((direction.T @ covariance @ direction).item())
    shift = np.array([-8.0, 0.5]) + length * direction[:, 0]
    assert np.allclose(moved.means[0], shift, rtol=1e-12)
    mixed = deliberate.blend(law, moved, 0.1)
    assert np.allclose(weights(mixed), [0.45, 0.27, 0.18, 0.1], rtol=1e-12)
    with pytest.raises(gt.UnsupportedError, match="ruled out no component"):
        deliberate.from_the_prior(law, law)


@pytest.mark.slow
def test_divergences_are_known(key, law, tolerance):
    """Modes apart: KL is that of the weights."""
    dropped = deliberate.log_ratio(key, deliberate.one_mode_dropped(law), law, 500)
    assert np.isclose(dropped.value, np.log(1 / 0.7), rtol=1e-9)
    swapped = deliberate.log_ratio(key, deliberate.weights_swapped(law), law, 500)
    expected = 0.3 * np.log(0.3 / 0.5) + 0.5 * np.log(0.5 / 0.3)
    assert swapped.stderr > 0
    assert abs(swapped.distance(expected)) < tolerance.z


@pytest.mark.slow
def test_traced_failures_are_the_same(law):
    """So that they can be made for every observation afresh."""
    direction = jnp.asarray([[0.6], [0.8]])

    def made(law, other):
        return [
            deliberate.one_mode_dropped(law),
            deliberate.weights_swapped(law),
            deliberate.spread_scaled(law, direction, 1.7),
            deliberate.modes_merged(law),
            deliberate.blend(law, other, 0.2),
            deliberate.from_the_prior(other, law),
            deliberate.from_the_data(law, direction, 5.0),
        ]

    ruling_out = to_mixture(LAW._replace(log_weights=np.log([0.7, 0.004, 0.296])))
    pairs = made(law, ruling_out), eqx.filter_jit(made)(law, ruling_out)
    for known, traced in zip(*pairs, strict=True):
        for one, other in (
            (weights(known), weights(traced)),
            (known.means, traced.means),
            (known.covariances(), traced.covariances()),
        ):
            assert np.allclose(one, other, rtol=1e-12, atol=1e-12)
    least = eqx.filter_jit(deliberate.from_the_prior)(law, law)  # none is ruled out
    assert np.allclose(least.means[0], [0.0, -9.0])
