"""Single precision, NumPy and lists at every door: the numbers are those of doubles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt

from .conftest import FLOAT32

pytestmark = [
    pytest.mark.usefixtures("without_shape_checks"),
    pytest.mark.skipif(FLOAT32, reason="there is no double precision to promote to"),
]

diagnostics, divergences, laws = gt.diagnostics, gt.divergences, gt.laws
KEY = jax.random.key(0)
T = [0.9375, 0.5, 0.25]
RNG = np.random.default_rng(0)
X = RNG.integers(-8, 8, (12, 2)) / 4
LOG_WEIGHTS = -RNG.integers(1, 8, 12) / 8
PRIOR = gt.GaussianMixture.isotropic([0.25, 0.75], [[0.0, 1.0], [1.5, -0.5]], 0.25)
ONE = gt.GaussianMixture.isotropic([1.0], [[0.0, 1.0]], 0.25)
LINEAR = gt.Linear([[1.0, 0.5]], 0.125)
TARGET = gt.Target(gt.InverseProblem(PRIOR, LINEAR, [0.5]), gt.VP())
AFFINE = gt.Target(gt.InverseProblem(ONE, LINEAR, [0.5]), gt.VP())
GUIDED = gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM())


def _single(tree):
    """The same tree in single precision, as one that was made before x64 was enabled."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tree)


def _start(to):
    return gt.GaussianMixture.isotropic(to([1.0]), to([[0.0, 0.0]]), to(1.0))


# Numbers are eighths and the like: the same in both precisions.
DOORS = {
    "sample": lambda to: gt.sample(KEY, GUIDED, TARGET, to(T), 4).x,
    "initial law": lambda to: (
        gt.sample(KEY, GUIDED, TARGET, to(T), 4, initial=_start(to)).x
    ),
    "filter": lambda to: (
        gt.sample(KEY, gt.smc.Bootstrap(), TARGET, to(T), 4, initial=_start(to)).x
    ),
    "affine": lambda to: (
        laws.affine(GUIDED, AFFINE, to(T), initial=_start(to)).covariances
    ),
    "energy": lambda to: divergences.energy_distance(to(X), PRIOR).value,
    "MMD": lambda to: divergences.mmd_squared(to(X), PRIOR, to(0.5)).value,
    "KSD": lambda to: divergences.kernel_stein_discrepancy(to(X), PRIOR).value,
    "sliced": lambda to: (
        divergences.sliced_wasserstein(
            KEY, to(X), PRIOR, directions=4, log_weights=to(LOG_WEIGHTS)
        ).value
    ),
    "max-sliced": lambda to: (
        divergences.max_sliced_wasserstein(
            KEY, to(X), PRIOR, starts=4, steps=2
        ).distance.value
    ),
    "compare": lambda to: (
        gt.compare(
            {"a": [to(X)], "b": [to(X[::-1] / 2)]},  # a list is one of cases
            [PRIOR],
            metric=divergences.energy_distance,
            repeats=3,
        )
        .pairs[0]
        .difference.value
    ),
    "simulate": lambda to: (
        diagnostics.simulate(KEY, PRIOR, LINEAR, gt.VP(), GUIDED, to(T), 2, 3).draws
    ),
    "karras": lambda to: gt.time_grid(gt.VP(), 4, "karras", to(0.9375), to(0.125)),
    "path": lambda to: gt.CosineVP().alpha(to([0.125, 0.5])),
    "mixture": lambda to: (
        (
            gt.GaussianMixture.full(
                to([0.25, 0.75]), to([[0.0, 1.0], [1.5, -0.5]]), to([np.eye(2) / 4] * 2)
            ).conditioned(to([[1.0, 0.5]]), to(0.125), to([0.5]))
        ).means
    ),
    "forward model": lambda to: gt.Nonlinear(lambda x: x[:1] ** 2, to(0.125), 1).sample(
        KEY, to([0.5, 0.25])
    ),
}
FORMS = {
    "jax": lambda value: jnp.asarray(np.asarray(value), jnp.float32),
    "numpy": lambda value: np.asarray(value, np.float32),
    "list": lambda value: np.asarray(value).tolist(),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_form_of_the_arguments_gives_the_same_numbers(door):
    expected = DOORS[door](lambda value: jnp.asarray(np.asarray(value), jnp.float64))
    assert expected.dtype == jnp.float64
    for form in FORMS.values():
        found = DOORS[door](form)
        assert found.dtype == jnp.float64
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("part", ["initial", "target", "mixture"])
def test_trees_of_single_precision_are_promoted(part):
    start = _start(jnp.asarray)
    ask = {
        "initial": lambda to: (
            gt.sample(KEY, GUIDED, TARGET, jnp.asarray(T), 4, initial=to(start)).x
        ),
        "target": lambda to: gt.sample(KEY, GUIDED, to(TARGET), jnp.asarray(T), 4).x,
        "mixture": lambda to: divergences.energy_distance(X, to(PRIOR)).value,
    }[part]
    found, expected = ask(_single), ask(lambda tree: tree)
    assert found.dtype == jnp.float64
    np.testing.assert_allclose(found, expected, rtol=1e-5)  # of parts that were rounded


def test_a_network_may_return_single_precision():
    network = gt.denoisers.Network(lambda x, alpha, sigma: x.astype(jnp.float32) / 2)
    seen = TARGET.seen_through(network).denoise([1.0, 2.0], 0.5)
    np.testing.assert_array_equal(seen.mean, [0.5, 1.0])
    assert seen.times_covariance([1.0, 0.0]).dtype == jnp.float64
