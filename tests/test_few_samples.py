"""Errors of few effective samples: never 0, honest or NaN, and a warning of heavy tails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gmm_testbed as gt
from gmm_testbed import _weights
from gmm_testbed.divergences.samples import pairs, sliced
from gmm_testbed.divergences.samples.checks import warn_of_heavy
from gmm_testbed.estimate import student_quantile

D = gt.divergences
NORMAL = gt.GaussianMixture.isotropic([1.0], [[0.0]], 1.0)
UNEVEN = np.array([0.6, 0.25, 0.1, 0.04, 0.01])


# --- means ---------------------------------------------------------------------------


def quadratic_form(weights):
    """The matrix M of the variance f^T M f, from its definition."""
    count = len(weights)
    centring = np.eye(count) - np.outer(np.ones(count), weights)
    expected = (centring @ centring.T).diagonal()  # E (f_i - mean)^2 of unit variance
    return centring.T @ np.diag(weights**2 / expected) @ centring


@pytest.mark.parametrize("weights", [np.full(4, 0.25), UNEVEN])
def test_the_variance_of_a_mean_is_unbiased_for_given_weights(weights):
    """Its expectation is sum w^2, and its freedom Satterthwaite's."""
    M = quadratic_form(weights)
    np.testing.assert_allclose(np.trace(M), np.sum(weights**2), rtol=1e-12)
    freedom = np.trace(M) ** 2 / np.trace(M @ M)
    np.testing.assert_allclose(
        _weights.freedom(jnp.asarray(weights)), freedom, rtol=1e-12
    )
    f = np.random.default_rng(0).normal(size=(len(weights), 3)) + 7.0
    found = gt.Estimate.mean_of(f, jnp.asarray(weights))
    np.testing.assert_allclose(found.value, weights @ f, rtol=1e-13)
    np.testing.assert_allclose(found.stderr, np.sqrt(np.diag(f.T @ M @ f)), rtol=1e-10)
    assert f"{1 / np.sum(weights**2):.3g} effective" in found.how


def test_one_weight_that_is_almost_all_leaves_no_error():
    """Nor a small one: of 5e-7 of the spread before."""
    weights = jnp.asarray([1.0 - 1e-12, 1e-12])
    found = gt.Estimate.mean_of(jnp.asarray([3.0, 5.0]), weights)
    assert np.isnan(found.stderr) and "1 effective: too few" in found.how
    assert np.isnan(found.interval()).all()


@pytest.mark.parametrize("terms", [[1.0], [1.0, 2.0]])
def test_there_is_no_error_of_two_terms(terms):
    found = gt.Estimate.mean_of(jnp.asarray(terms))
    assert np.isnan(found.stderr) and float(found.value) == np.mean(terms)


@pytest.mark.slow
def test_equal_terms_have_rounding_as_their_error_and_equal_samples_none():
    """A constant is known to rounding; a law that gave one point every time is not."""
    for terms in ([4.0, 4.0, 4.0], [0.0, 0.0, 0.0]):
        assert 0.0 < float(gt.Estimate.mean_of(jnp.asarray(terms)).stderr) < 1e-15
    x = jnp.full((1000, 1), 0.3)
    for name in ("mean", "covariance", "w1", "mmd"):
        assert np.isnan(ESTIMATORS[name](x, NORMAL).stderr).all()


def test_quantiles_of_students_law():
    freedom = np.array([1.0, 1.3, 2.0, 7.5, 60.0, 999.0, 1001.0, 1e6, np.inf])
    for level in (0.5, 0.95, 0.999):
        exact = stats.t.ppf(0.5 + 0.5 * level, freedom)
        found = student_quantile(level, jnp.asarray(freedom))
        np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_freedom_of_a_sum_is_satterthwaites():
    left = gt.Estimate(1.0, 0.3, freedom=4.0)
    both = left + gt.Estimate(2.0, 0.4, freedom=9.0) + 5.0
    np.testing.assert_allclose(
        both.freedom, 0.5**4 / (0.3**4 / 4 + 0.4**4 / 9), rtol=1e-12
    )
    low, high = left.interval(0.9)
    reach = 0.3 * stats.t.ppf(0.95, 4)
    np.testing.assert_allclose([low, high], [1 - reach, 1 + reach], rtol=1e-9)
    assert float((left * 2.0).freedom) == 4.0 and float((-left).freedom) == 4.0


@pytest.mark.parametrize("spread, effective", [(0.0, None), (4.0, 2.8), (2.5, 5.3)])
def test_intervals_of_weighted_means_hold_the_truth(key, spread, effective, tolerance):
    """Of 95 %, at effective sizes about 3 and 5; of three equal weights, exactly so."""
    count, repeats = (3 if effective is None else 50), 4000

    @jax.jit
    @jax.vmap
    def covered(key):
        x, noise = jax.random.normal(key, (2, count))
        found = gt.Estimate.mean_of(x, jax.nn.softmax(spread * noise))
        low, high = found.interval()
        return low < 0.0, high > 0.0, jnp.isnan(low)

    low, high, unknown = np.asarray(covered(jax.random.split(key, repeats)))
    share = (low & high)[~unknown].mean()
    slack = tolerance.z * np.sqrt(0.05 * 0.95 / np.sum(~unknown))
    assert share > 0.95 - slack
    if effective is None:
        assert share < 0.95 + slack and not unknown.any()
    else:
        assert 0.05 < unknown.mean() < 0.45  # two effective or fewer


# --- estimators ----------------------------------------------------------------------

ESTIMATORS = {
    "mmd": D.mmd_squared,
    "energy": D.energy_distance,
    "stein": D.kernel_stein_discrepancy,
    "cvm": D.cramer_von_mises,
    "ks": D.kolmogorov,
    "mean": D.mean_error,
    "covariance": D.covariance_error,
    "weights": lambda x, p, **kw: D.mode_weights(x, p, **kw).weights,
    "w1": lambda x, p, **kw: D.line_wasserstein(x, p, p=1, **kw),
    "w2": D.line_wasserstein,
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_two_samples_have_no_error(name):
    found = ESTIMATORS[name](jnp.asarray([[0.3], [1.1]]), NORMAL)
    assert np.isnan(found.stderr).all() and "too few for an error" in found.how


def test_a_pair_of_which_one_has_all_the_weight():
    """U-statistics are those of the pair, to their digits, though 1 - sum w^2 is 2e-13."""
    x, log_weights = jnp.asarray([[0.3], [1.1]]), jnp.asarray([0.0, np.log(1e-13)])
    for name in ("mmd", "energy", "stein", "cvm"):
        with pytest.warns(UserWarning, match="too uneven"):
            found = ESTIMATORS[name](x, NORMAL, log_weights=log_weights)
        pair = ESTIMATORS[name](x, NORMAL)
        np.testing.assert_allclose(found.value, pair.value, rtol=1e-10)
        assert np.isnan(found.stderr) and "1 effective: too few" in found.how


def test_a_mode_that_no_sample_shows_is_not_excluded():
    """Twenty samples, none of a mode of weight .02: zero within one error of that."""
    law = gt.GaussianMixture.isotropic([0.98, 0.02], [[0.0], [40.0]], 1.0)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(20, 1)))
    for labels in ("soft", "hard"):
        found = D.mode_weights(x, law, labels=labels).weights
        np.testing.assert_allclose(found.stderr, 0.5 / 21, rtol=1e-9)
        np.testing.assert_allclose(found.value, [1.0, 0.0], atol=1e-12)


def test_the_variance_of_a_u_statistic_is_unbiased(key, tolerance):
    """u = x y of standard normals: Var U = 2 / (n (n - 1)) at zero, all of it `at_zero`."""

    class Product(pairs.AbstractKernel):
        def features(self, points):
            return pairs.Features((points,), ())

        def __call__(self, pairs, left, right):
            return pairs.dot(left.vectors[0], right.vectors[0])

    count = 60  # beyond those few of which the jackknife is taken

    @jax.jit
    @jax.vmap
    def one(key):
        x = 1.0 + jax.random.normal(key, (count, 1))
        weights = jnp.full(count, 1.0 / count)
        found = pairs.u_statistic(Product(), x, weights, None, None)
        return found.value, found.stderr**2

    values, variances = np.asarray(one(jax.random.split(key, 4000)))
    exact = (4 * (count - 2) + 2 * 3) / (count * (count - 1))  # zeta_1 = 1, zeta_2 = 3
    for sample, truth in ((values, 1.0), (variances, exact)):
        error = sample.std() / np.sqrt(len(sample))
        assert abs(sample.mean() - truth) < tolerance.z * error + 0.05 * exact**2


@pytest.mark.slow
@pytest.mark.parametrize("count", [5, 10])
def test_intervals_of_mmd_hold_the_truth(key, count, tolerance):
    """The closed form for normals of means 0 and .8; never fewer than they say."""
    length, shift = 1.5, 0.8
    scale = length / np.sqrt(length**2 + 2)
    truth = 2 * scale * -np.expm1(-(shift**2) / 2 / (length**2 + 2))

    @jax.jit
    @jax.vmap
    def covered(key):
        x = shift + jax.random.normal(key, (count, 1))
        low, high = D.mmd_squared(x, NORMAL, length).interval()
        return (low < truth) & (truth < high)

    share = covered(jax.random.split(key, 4000)).mean(dtype=float)
    assert share > 0.95 - tolerance.z * np.sqrt(0.05 * 0.95 / 4000)


# --- weights -------------------------------------------------------------------------


def test_the_shape_of_a_pareto_tail(tolerance):
    """Weights of shape .9, of which the mean of twenty fits errs by a fortieth."""
    rng = np.random.default_rng(3)
    found = [
        _weights.pareto_shape(
            np.log1p(stats.genpareto.rvs(0.9, size=2000, random_state=rng))
        )
        for _ in range(20)
    ]
    error = np.std(found, ddof=1) / np.sqrt(20)
    expected = (134 * 0.9 + 5) / 144  # drawn towards one half
    assert error < 0.05 and abs(np.mean(found) - expected) < tolerance.z * error
    bounded = _weights.pareto_shape(np.log(rng.uniform(0.5, 1.0, 2000)))
    assert bounded < 0.0


def test_intervals_are_compiled_once():
    """A thousand of them once filled the memory maps of a process."""
    found = gt.Estimate(1.0, 0.1, "few", freedom=7.0)
    found.interval()
    known = student_quantile._cache_size()
    found.interval(0.9)
    assert known > 0 and student_quantile._cache_size() == known


@pytest.mark.parametrize("shape, warns", [(1.2, True), (0.2, False)])
def test_heavy_weights_are_warned_of(shape, warns, recwarn):
    rng = np.random.default_rng(4)
    warn_of_heavy(np.log(1.0 + stats.genpareto.rvs(shape, size=1000, random_state=rng)))
    assert bool(recwarn.list) == warns


def test_almost_equal_weights_are_not_warned_of(recwarn):
    """What a filter has that resampled at the last step but one, whatever their tail."""
    rng = np.random.default_rng(5)
    small = 1e-3 * stats.genpareto.rvs(1.5, size=200, random_state=rng)
    log_weights = np.log1p(np.minimum(small, 0.5))
    assert _weights.pareto_shape(log_weights) > 0.6
    warn_of_heavy(log_weights)
    assert not recwarn.list


@pytest.mark.slow
def test_a_filter_that_sees_one_particle_says_so(key):
    """A bootstrap filter at a noise of 1e-4: no error of 5e-8, but none, and a warning."""
    prior = gt.GaussianMixture.isotropic([0.5, 0.5], [[-1.0], [1.0]], 0.2)
    problem = gt.InverseProblem(prior, gt.Linear([[1.0]], 1e-4), [2.9])
    target = gt.Target(problem, gt.VP())
    times = gt.time_grid(target.path, 5, "log_snr", t_max=0.9, t_min=1e-2)
    drawn = gt.sample(key, gt.smc.Bootstrap(), target, times, 100)
    effective = 1.0 / np.sum(np.exp(2.0 * np.asarray(drawn.log_weights)))
    assert effective < 2.0
    with pytest.warns(UserWarning, match="too uneven"):
        found = D.mmd_squared(
            drawn.x, target.posterior(times[-1]), log_weights=drawn.log_weights
        )
    assert np.isnan(found.stderr) and f"{effective:.3g} effective" in found.how


# --- directions ----------------------------------------------------------------------


def test_the_error_over_directions_is_that_of_whole_bases(key):
    """Costs that a quarter turn leaves alone: half as many directions as it seems.

    Samples on both axes, and round law: the two directions of a basis cost the same.
    """
    law = gt.GaussianMixture.isotropic([1.0], [[0.0, 0.0]], 0.3)
    corners = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    found = D.sliced_wasserstein(
        key, jnp.asarray(corners), law, directions=60, rooted=False
    )
    directions = sliced.draw_directions(key, 2, 60, "orthogonal", jnp.float64)
    costs, potentials = np.array(
        [exact_cost(corners @ u) for u in np.asarray(directions)], dtype=object
    ).T
    costs = costs.astype(float)
    np.testing.assert_allclose(costs[::2], costs[1::2], rtol=1e-6)
    np.testing.assert_allclose(found.value, costs.mean(), rtol=1e-6)
    potential = np.mean(np.stack(potentials), axis=0)
    by_samples = potential.var(ddof=1) / 4
    by_bases = costs[::2].var(ddof=1) / 30
    np.testing.assert_allclose(found.stderr**2, by_samples + by_bases, rtol=1e-5)


def exact_cost(x, scale=0.3**0.5):
    """W_2^2 of equal points from N(0, scale^2) on the line, and its potential."""
    order = np.argsort(x)
    cuts = scale * stats.norm.ppf(np.arange(len(x) + 1) / len(x))
    means = -scale * np.diff(stats.norm.pdf(cuts / scale))  # int z over every cell
    cost = np.mean(x**2) + scale**2 - 2 * x[order] @ means
    left, right, cuts = x[order][:-1], x[order][1:], cuts[1:-1]
    steps = (right - cuts) ** 2 - (left - cuts) ** 2
    potential = np.empty(len(x))
    potential[order] = np.concatenate([[0.0], np.cumsum(steps)])
    return cost, potential


@pytest.mark.parametrize("dim, count, size", [(5, 20, 2), (5, 200, 5), (40, 7, 1)])
def test_directions_come_in_ten_orthonormal_blocks_or_more(key, dim, count, size):
    found = np.asarray(sliced.draw_directions(key, dim, count, "orthogonal", float))
    blocks = found.reshape(-1, size, dim)
    assert found.shape[0] >= count and blocks.shape[0] >= min(10, count)
    products = blocks @ np.swapaxes(blocks, 1, 2)
    np.testing.assert_allclose(
        products, np.broadcast_to(np.eye(size), products.shape), atol=1e-12
    )
