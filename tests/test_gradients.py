"""Gradients where eigenvalues are equal or a weight is zero, by central differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import gmm_testbed as gt
from gmm_testbed.divergences import closed_form

Mixture = gt.GaussianMixture
DIM = 3
RNG = np.random.default_rng(4)
MEANS = jnp.asarray(RNG.normal(size=(2, DIM)))
WEIGHTS = jnp.asarray([0.4, 0.6])
X = jnp.asarray([0.3, -0.7, 0.5])
SCALES = jnp.asarray(0.6), jnp.asarray(0.8)
T = jnp.asarray(0.4)
TURN = np.linalg.qr(RNG.normal(size=(DIM, DIM)))[0]
# One component has three equal variances, the other two.
COVARIANCES = np.stack([0.7 * np.eye(DIM), TURN @ np.diag([0.5, 0.5, 2.0]) @ TURN.T])
OPERATORS = {
    "m < d": RNG.normal(size=(2, DIM)),
    "identity": np.eye(DIM),
    "a row of zero": np.diag([1.0, 1.0, 0.0]),
    "m > d": RNG.normal(size=(4, DIM)),
}
Y = np.array([0.4, -0.9, 1.1, 0.2])


def assert_gradient(function, at, step=1e-4, rtol=2e-6, symmetric=False):
    """The Jacobian of a vector of answers is that of central differences (order four)."""
    at = np.asarray(at, float)
    function = jax.jit(function)
    found = np.asarray(jax.jit(jax.jacrev(function))(jnp.asarray(at)))
    for index in np.ndindex(at.shape):
        change = np.zeros_like(at)
        change[index] = step
        if symmetric:
            change = 0.5 * (change + np.swapaxes(change, -1, -2))
        values = [np.asarray(function(at + k * change)) for k in (-2, -1, 1, 2)]
        exact = np.array([1.0, -8.0, 8.0, -1.0]) @ np.array(values) / (12.0 * step)
        slope = np.tensordot(found, change / step, at.ndim)
        np.testing.assert_allclose(slope, exact, rtol=rtol, atol=rtol)


def answers(prior, A, R, y):
    """Of the prior and its posterior, some that depend on every part."""
    after = prior.conditioned(A, R, y)
    return jnp.stack(
        [
            prior.log_prob(X),
            prior.denoised_mean(X, *SCALES) @ X,
            prior.log_evidence(A, R, y),
            after.log_prob(X),
            after.covariance()[0, 1],
            after.denoised_mean(X, *SCALES) @ X,
        ]
    )


slow = pytest.mark.slow
CASES = ["identity", *(pytest.param(name, marks=slow) for name in ("m < d", "m > d"))]


@pytest.mark.parametrize("which", CASES)
@pytest.mark.slow
def test_in_covariances_with_equal_eigenvalues(which):
    A = jnp.asarray(OPERATORS[which])
    y = jnp.asarray(Y[: len(A)])

    def function(covariances):
        return answers(Mixture.full(WEIGHTS, MEANS, covariances), A, 0.3, y)

    assert_gradient(function, COVARIANCES, symmetric=True)


@pytest.mark.parametrize(
    ("form", "which"),
    [
        ("isotropic", "identity"),
        ("full", "m < d"),
        *(
            pytest.param(form, which, marks=slow)
            for form in ("isotropic", "full")
            for which in ("a row of zero", "m > d")
        ),
    ],
)
@pytest.mark.slow
def test_in_the_measurement(form, which):
    A, rows = OPERATORS[which], len(OPERATORS[which])
    prior = {
        "isotropic": lambda: Mixture.isotropic(WEIGHTS, MEANS, jnp.asarray([0.5, 0.9])),
        "full": lambda: Mixture.full(WEIGHTS, MEANS, COVARIANCES),
    }[form]()

    def function(numbers):
        A, root, y = jnp.split(numbers, [DIM, DIM + rows], axis=1)
        return answers(prior, A, root @ root.T, y[:, 0])

    at = np.concatenate([A, np.sqrt(0.3) * np.eye(rows), Y[:rows, None]], axis=1)
    assert_gradient(function, at)


@pytest.mark.slow
def test_in_the_noise_of_a_target_that_measures_everything():
    prior = Mixture.isotropic(WEIGHTS, MEANS, jnp.asarray([0.5, 0.9]))
    path = gt.VP()

    def function(R):
        measurement = gt.Linear(jnp.eye(DIM), R)
        target = gt.Target(gt.InverseProblem(prior, measurement, Y[:DIM]), path)
        pull = measurement.ridge(X, jnp.asarray(Y[:DIM]), jnp.asarray(0.5), X[0])
        guidance = target.guidance(X, T) @ X
        return jnp.stack([target.log_likelihood(X, T), guidance, pull @ X])

    assert_gradient(function, 0.3 * np.eye(DIM), symmetric=True)


@slow
def test_in_a_posterior_of_a_posterior():
    """Of rank one, and then of rank two: variances beyond the basis are all equal."""
    prior = Mixture.isotropic(WEIGHTS, MEANS, jnp.asarray([0.5, 0.9]))

    def function(A):
        first = prior.conditioned(A[:1], 0.3, Y[:1])
        return answers(first, A[1:], 0.2, Y[1:2])[1:]

    assert_gradient(function, OPERATORS["m < d"])


def test_in_the_weights_at_a_weight_of_zero():
    """The slope of log p is N_k(x) / p(x) - 1, one-sided at zero."""
    means = np.asarray([[0.1, 0.4], [-0.3, 0.2], [1.0, -0.5]])
    weights, x = np.array([0.4, 0.0, 0.6]), np.array([0.2, 0.1])
    heights = [multivariate_normal(mean, 0.5 * np.eye(2)).pdf(x) for mean in means]

    def log_prob(weights):
        return Mixture.isotropic(weights, means, 0.5).log_prob(jnp.asarray(x))

    found = jax.grad(log_prob)(jnp.asarray(weights))
    exact = heights / (weights @ np.array(heights)) - 1.0
    np.testing.assert_allclose(found, exact, rtol=1e-12)
    mean = jax.jacrev(lambda w: Mixture.isotropic(w, means, 0.5).mean())
    centred = (means - weights @ means).T
    np.testing.assert_allclose(mean(jnp.asarray(weights)), centred, rtol=1e-12)


@pytest.mark.parametrize("name", ["hellinger", "w2_squared"])
def test_of_divergences_of_gaussians(name):
    zero, other = jnp.zeros(DIM), jnp.asarray(0.7 * np.eye(DIM))

    def function(covariance):
        return getattr(closed_form, name)(X, covariance, zero, other)[None]

    assert_gradient(function, COVARIANCES[1], symmetric=True)


def test_values_that_are_not_differentiated_are_exact():
    """Eigenvalues are taken apart in derivatives alone."""
    prior = Mixture.full(WEIGHTS, MEANS, COVARIANCES)
    np.testing.assert_array_equal(prior.spectrum[0], 0.7 * np.ones(DIM))
