"""A sample that is not a number is in every metric: none leaves it out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt

D = gt.divergences
KEY = jax.random.key(0)
SOME = {"directions": 8}
AXIS = np.array([0.8, -0.6])
MIXTURE = gt.GaussianMixture.full(
    [0.3, 0.7], [[0.0, 1.0], [1.5, -0.5]], [[[1.0, 0.3], [0.3, 0.5]], np.eye(2)]
)
TRUE = MIXTURE.sample(jax.random.key(1), 60)


def on_line(metric, x, mixture):
    return metric(x @ AXIS[:, None], mixture.affine(AXIS[None]))


def shares(labels, x, mixture):
    return D.mode_weights(x, mixture, labels=labels).weights


def to_reference(metric, x, mixture):
    return metric(x, TRUE, batch_size=20)


def largest(p, x, mixture):
    return D.max_sliced_wasserstein(KEY, x, mixture, p=p, starts=4, steps=3).distance


METRICS = {
    "sliced W1": partial(D.sliced_wasserstein, KEY, p=1, **SOME),
    "sliced W2": partial(D.sliced_wasserstein, KEY, **SOME),
    "sliced W2^2": partial(D.sliced_wasserstein, KEY, rooted=False, **SOME),
    "max-sliced W1": partial(largest, 1),
    "max-sliced W2": partial(largest, 2),
    "line W1": partial(on_line, partial(D.line_wasserstein, p=1)),
    "line W2": partial(on_line, D.line_wasserstein),
    "MMD": D.mmd_squared,
    "MMD, partners": partial(D.mmd_squared, partners=3),
    "energy": D.energy_distance,
    "Stein": D.kernel_stein_discrepancy,
    "mean": D.mean_error,
    "covariance": D.covariance_error,
    "soft mode weights": partial(shares, "soft"),
    "hard mode weights": partial(shares, "hard"),
    "Kolmogorov-Smirnov": partial(D.kolmogorov, direction=AXIS),
    "Cramer-von Mises": partial(D.cramer_von_mises, direction=AXIS),
    "assignment": partial(to_reference, D.w2_squared_by_assignment),
    "Sinkhorn": partial(
        to_reference, partial(D.sinkhorn_divergence, regularisation=3.0)
    ),
}


@pytest.mark.parametrize("name", METRICS)
def test_one_nan_among_the_samples_is_seen(name):
    """Value and error are NaN, and finite without that sample."""
    if name == "Sinkhorn":
        pytest.importorskip("ot")
    samples = MIXTURE.sample(KEY, 60)
    plain = METRICS[name](samples, MIXTURE)
    broken = METRICS[name](samples.at[7].set(jnp.nan), MIXTURE)
    assert np.all(np.isfinite(plain.value)) and np.all(plain.stderr > 0)
    assert np.all(np.isnan(broken.value)) and np.all(np.isnan(broken.stderr))
