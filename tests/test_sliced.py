"""Wasserstein distances of samples: on the line, over directions, along the worst one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, optimize, stats

import gmm_testbed as gt
from gmm_testbed.divergences.samples import sorting

divergences = gt.divergences
WEIGHTS = np.array([0.3, 0.5, 0.2])
MEANS = np.array([-2.0, 1.0, 30.0])
SCALES = np.array([0.5, 1.5, 0.01])  # disparate, and one far away
MIXTURE = gt.GaussianMixture.isotropic(WEIGHTS, MEANS[:, None], SCALES**2)


def cdf(x):
    return stats.norm.cdf((x - MEANS) / SCALES) @ WEIGHTS


def quantile(level):
    return optimize.brentq(lambda x: cdf(x) - level, -20.0, 40.0, xtol=1e-14)


@pytest.fixture(scope="module")
def points():
    """Sorted points (40,) and weights."""
    rng = np.random.default_rng(0)
    mass = rng.uniform(0.1, 1.0, 40)
    return np.sort(rng.normal(0.0, 3.0, 40)), mass / mass.sum()


def w1_by_quadrature(x, mass):
    """int |F_n - F|, split at points, crossings, and around the components."""
    splits = (MEANS[:, None] + SCALES[:, None] * np.array([-6, 0, 6])).ravel()
    levels, total = np.concatenate([[0.0], np.cumsum(mass)]), 0.0
    ends = np.concatenate([[-20.0], x, [40.0]])
    for low, high, level in zip(ends[:-1], ends[1:], levels, strict=True):
        places = [*splits]
        if 0 < level < 1 - 1e-12:
            places.append(quantile(level))
        places = sorted([low, high, *(s for s in places if low < s < high)])
        for a, b in zip(places[:-1], places[1:], strict=True):
            total += integrate.quad(lambda z, v=level: abs(cdf(z) - v), a, b)[0]
    return total


def w2_squared_by_moments(x, mass):
    """Partial moments of the mixture between the cuts (C13, C14)."""
    cuts = [-np.inf, *(quantile(v) for v in np.cumsum(mass)[:-1]), np.inf]
    z = (np.array(cuts)[:, None] - MEANS) / SCALES
    below, peak = stats.norm.cdf(z), stats.norm.pdf(z)
    edge = np.where(np.isfinite(cuts), cuts, 0.0)[:, None]
    zeroth, first = below @ WEIGHTS, (MEANS * below - SCALES * peak) @ WEIGHTS
    second = (MEANS**2 + SCALES**2) * below - SCALES * (edge + MEANS) * peak
    moments = np.diff(second @ WEIGHTS) - 2 * x * np.diff(first)
    return np.sum(moments + x**2 * np.diff(zeroth))


@pytest.mark.parametrize(
    "p, exact", [(1, w1_by_quadrature), (2, w2_squared_by_moments)], ids=["w1", "w2"]
)
def test_on_the_line_against_quadrature(p, exact, points, tolerance):
    x, mass = points
    found = divergences.line_wasserstein(
        x[::-1, None], MIXTURE, p=p, rooted=False, log_weights=np.log(mass[::-1])
    )
    np.testing.assert_allclose(found.value, exact(*points), rtol=tolerance.identity)


def test_the_error_is_the_derivative_in_the_weights(points):
    """Moves a little mass between samples: the potential says what that costs."""
    x, mass = points

    def cost(mass):
        return float(
            divergences.line_wasserstein(
                x[:, None], MIXTURE, rooted=False, log_weights=np.log(mass)
            ).value
        )

    small = 1e-4 * mass.min()
    moved = [np.where(np.arange(40) == i, mass + small, mass) for i in range(40)]
    potential = np.array([(cost(m) - cost(mass)) / small for m in moved])
    potential -= mass @ potential  # the weights are normalised inside
    kept = (1 - mass) ** 2 + np.sum(mass**2) - mass**2
    error = np.sqrt(np.sum((mass * potential) ** 2 / kept))
    found = divergences.line_wasserstein(
        x[:, None], MIXTURE, rooted=False, log_weights=np.log(mass)
    )
    np.testing.assert_allclose(found.stderr, error, rtol=1e-3)


def test_atoms_are_welcome(points):
    """All atoms against SciPy; some atoms against components that are nearly so."""
    x, mass = points
    atoms, weights = np.array([2.0, -1.0, 0.5]), np.array([0.2, 0.5, 0.3])
    empirical = gt.GaussianMixture.empirical(atoms[:, None], weights)
    found = divergences.line_wasserstein(
        x[:, None], empirical, p=1, log_weights=np.log(mass)
    )
    exact = stats.wasserstein_distance(x, atoms, mass, weights)
    np.testing.assert_allclose(found.value, exact, rtol=1e-12)
    variances = np.array([1.5, 0.0, 0.0])[:, None, None]
    costs = [
        divergences.line_wasserstein(
            x[:, None],
            gt.GaussianMixture.full(WEIGHTS, MEANS[:, None], variances + tiny),
            log_weights=np.log(mass),
        ).value
        for tiny in (0.0, 1e-16)
    ]
    np.testing.assert_allclose(*costs, atol=1e-7)


def test_samples_that_are_the_atoms_are_at_zero():
    atoms = jnp.asarray([[0.3], [-1.1], [2.7], [0.9]])
    mixture = gt.GaussianMixture.empirical(atoms)
    for p in (1, 2):
        found = divergences.line_wasserstein(atoms[::-1], mixture, p=p)
        assert 0.0 <= float(found.value) < 1e-7  # the root of a rounding
        assert not float(found.stderr) == 0.0  # of an estimate


def test_sorting_by_bits_is_that_of_numpy():
    values = np.array([0.3, 0.0, -1.5, np.inf, 1e-300, -0.2, -np.inf, 7.0, -1e-300])
    expected = np.sort(values)
    np.testing.assert_array_equal(sorting.ascending(jnp.asarray(values)), expected)
    order = np.asarray(sorting.order(jnp.asarray(values)))
    np.testing.assert_array_equal(values[order], expected)


@pytest.fixture(scope="module")
def plane():
    """A mixture in three dimensions, and 300 samples of another."""
    covariances = np.stack([np.diag([1.0, 0.5, 0.2]) + 0.1, np.eye(3) * 0.7 - 0.2])
    means = np.array([[0.0, 1.0, -1.0], [1.0, 0.0, 2.0]])
    mixture = gt.GaussianMixture.full([0.3, 0.7], means, covariances)
    other = gt.GaussianMixture.full([0.5, 0.5], means + 0.2, covariances)
    return mixture, other


@pytest.mark.slow
def test_sliced_is_the_mean_over_directions(plane, key, tolerance):
    """The same along few directions one by one; powers are averaged before the root."""
    from gmm_testbed.divergences.samples.sliced import draw_directions

    mixture, other = plane
    samples = other.sample(key, 40)
    found = divergences.sliced_wasserstein(
        key, samples, mixture, directions=4, kind="gaussian"
    )
    directions = draw_directions(key, 3, 4, "gaussian", samples.dtype)
    weights, covariances = np.exp(mixture.log_weights), mixture.covariances()
    powers = []
    for u in np.asarray(directions):
        line = gt.GaussianMixture.isotropic(
            weights, (mixture.means @ u)[:, None], u @ np.asarray(covariances) @ u
        )
        found_there = divergences.line_wasserstein(
            samples @ u[:, None], line, rooted=False
        )
        powers.append(found_there.value)
    exact = np.sqrt(np.mean(powers))
    np.testing.assert_allclose(found.value, exact, rtol=tolerance.identity)


def pick(find):
    return lambda *args, **options: find(*args, **options).distance


@pytest.mark.parametrize(
    "metric, options",
    [
        (divergences.sliced_wasserstein, {"directions": 4, "kind": "gaussian"}),
        (divergences.sliced_wasserstein, {"directions": 4, "p": 1}),
        (pick(divergences.max_sliced_wasserstein), {"starts": 3, "steps": 5}),
    ],
    ids=["sliced W2", "sliced W1", "max-sliced W2"],
)
@pytest.mark.slow
def test_twice_the_weight_is_the_point_twice(metric, options, plane, key, tolerance):
    """And no weight is no point, wherever it lies."""
    mixture, other = plane
    x = other.sample(key, 40)
    shares = np.repeat([2.0, 1.0, 0.0], [10, 20, 10])
    weighted = x.at[30:].add(9.0), jnp.log(jnp.asarray(shares))
    repeated = jnp.concatenate([x[:10], x[:30]])
    found = metric(key, weighted[0], mixture, log_weights=weighted[1], **options)
    plain = metric(key, repeated, mixture, **options)
    np.testing.assert_allclose(found.value, plain.value, rtol=1e-12)
    assert 0.1 < float(found.value) and float(found.stderr) > float(plain.stderr)


@pytest.mark.slow
def test_two_threads_find_what_one_does(plane, key, tolerance, monkeypatch):
    from gmm_testbed.divergences.samples import sliced

    mixture, other = plane
    samples, options = other.sample(key, 40), {"directions": 6, "rooted": False}
    found = []
    for many in (10**9, 1):
        monkeypatch.setattr(sliced, "_MANY", many)
        found.append(divergences.sliced_wasserstein(key, samples, mixture, **options))
    for part in ("value", "stderr"):
        both = [getattr(each, part) for each in found]
        np.testing.assert_allclose(*both, rtol=tolerance.identity)


@pytest.mark.slow
def test_the_error_of_sliced_is_calibrated(plane, key, tolerance):
    """Directions and samples are both drawn anew: the error covers both."""
    mixture, other = plane

    def repeat(key):
        keys = jax.random.split(key)
        found = divergences.sliced_wasserstein(
            keys[0], other.sample(keys[1], 100), mixture, directions=30
        )
        return found.value, found.stderr

    found = jax.jit(jax.vmap(repeat))(jax.random.split(key, 300))
    values, errors = map(np.asarray, found)
    covered = np.mean(np.abs(values - values.mean()) < 1.96 * errors)
    assert abs(covered - 0.95) < tolerance.z * np.sqrt(0.05 * 0.95 / 300)
    ratio = np.log(np.sqrt(np.mean(errors**2)) / values.std(ddof=1))
    assert abs(ratio) < tolerance.z / np.sqrt(2 * 300)  # of a standard deviation


@pytest.mark.slow
def test_a_shift_is_found(key, tolerance):
    """N(m, I) from N(0, I): SW2^2 = |m|^2 / d on average, |m| at most, along m."""
    mean = jnp.asarray([0.8, -0.6, 1.2])
    mixture = gt.GaussianMixture.isotropic([1.0], jnp.zeros((1, 3)), 1.0)
    samples = mean[None] + jax.random.normal(key, (4000, 3))
    squared = divergences.sliced_wasserstein(
        key, samples, mixture, directions=300, rooted=False
    )
    bias = 0.001  # of W2^2 on the line at this n: log log n / n
    assert abs(squared.value - mean @ mean / 3) < tolerance.z * squared.stderr + bias
    length = jnp.sqrt(mean @ mean)
    for p in (1, 2):
        largest, direction = divergences.max_sliced_wasserstein(
            key, samples, mixture, p=p, starts=12
        )
        assert abs(largest.value - length) < tolerance.z * largest.stderr + bias
        assert abs(direction @ mean) / length > 0.998
        assert float(largest.value) > float(jnp.sqrt(squared.value))


def test_what_cannot_be_used_is_refused(plane, key):
    samples = jnp.zeros((5, 3))
    with pytest.raises(gt.InputError, match="p = 1 or p = 2"):
        divergences.sliced_wasserstein(key, samples, plane[0], p=3)
    with pytest.raises(gt.InputError, match="orthogonal"):
        divergences.sliced_wasserstein(key, samples, plane[0], kind="orthogonl")
    with pytest.raises(gt.InputError, match="sliced"):
        divergences.line_wasserstein(samples, plane[0])


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.slow
def test_several_sets_that_are_projected_already(p):
    """The averages over lines of the distance on the line, and their error, by NumPy."""
    rng = np.random.default_rng(4)
    lines, num = 3, 20
    sets = {"wide": rng.normal(0.0, 4.0, (lines, num)), "far": np.full((lines, 1), 9.0)}
    sets["far"] = sets["far"] + rng.normal(size=(lines, num))
    means = MEANS + np.arange(lines)[:, None]
    scales = np.tile(SCALES, (lines, 1))
    found = divergences.projected_wasserstein(sets, WEIGHTS, means, scales, p=p)
    for name, points in sets.items():
        each = []
        for x, mean in zip(points, means, strict=True):
            law = gt.GaussianMixture.isotropic(WEIGHTS, mean[:, None], SCALES**2)
            one = divergences.line_wasserstein(x[:, None], law, p=p, rooted=False)
            each.append(float(one.value))
        assert np.isclose(found[name].value, np.mean(each), rtol=1e-10)
        assert found[name].stderr > np.std(each, ddof=1) / np.sqrt(lines)
    assert found["far"].value != found["wide"].value


def test_projections_that_do_not_fit_are_refused():
    sets = {"a": np.zeros((3, 5)), "b": np.zeros((3, 6))}
    for given, lines in ((sets, 3), ({"a": sets["a"]}, 2), ({}, 3)):
        with pytest.raises(gt.InputError, match="do not fit"):
            divergences.projected_wasserstein(
                given, WEIGHTS, np.zeros((lines, 3)), SCALES[None]
            )
