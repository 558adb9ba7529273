"""Floors, and rankings that are refused where nothing can be told."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gmm_testbed as gt
from gmm_testbed.compare import Method, Ranking, _pair
from gmm_testbed.sampling.sample_set import SampleInfo

MIXTURE = gt.GaussianMixture.isotropic([0.4, 0.6], [[-2.0], [1.5]], [0.5, 0.8])
METRIC = partial(gt.divergences.line_wasserstein, p=1)
COUNT = 400


@jax.jit
def drawn(key, shift=0.0):
    return MIXTURE.sample(key, COUNT) + shift


@pytest.fixture(scope="module")
def samples():
    keys = jax.random.split(jax.random.key(3), 5)
    return {
        "far": drawn(keys[0], 1.0),
        "exact": drawn(keys[1]),
        "near": drawn(keys[2], 0.45),
        "near too": drawn(keys[3], 0.46),
        "exact too": drawn(keys[4]),
    }


@pytest.mark.slow
def test_the_floor_is_that_of_exact_samples(key, tolerance):
    """E W1 = int E|F_n - F|, the mean deviation of a binomial number (de Moivre)."""
    found = gt.divergences.floor(METRIC, key, MIXTURE, COUNT, repeats=60)
    x = np.linspace(-9.0, 9.0, 2001)
    F = stats.norm.cdf((x[:, None] - [-2.0, 1.5]) / np.sqrt([0.5, 0.8])) @ [0.4, 0.6]
    above = np.floor(COUNT * F) + 1
    deviation = 2 * above * (1 - F) * stats.binom.pmf(above, COUNT, F) / COUNT
    exact = np.trapezoid(deviation, x)
    assert abs(float(found.mean.distance(exact))) < tolerance.z
    for level in (0.5, 0.95):
        quantile = np.quantile(np.asarray(found.values), level)
        np.testing.assert_allclose(found.quantile(level), quantile, rtol=1e-12)
    assert found.quantile() == found.quantile(0.95) > found.quantile(0.5)


def test_ranks_what_differs_and_nothing_else(samples, key):
    found = gt.compare(samples, MIXTURE, metric=METRIC, key=key)
    inside = {method.name for method in found.methods if method.inside}
    assert inside == {"exact", "exact too"}
    rankings = {frozenset(pair[:2]): pair.ranking for pair in found.pairs}
    assert len(rankings) == 10
    assert rankings[frozenset(["exact", "exact too"])] == Ranking.FLOOR
    assert rankings[frozenset(["near", "near too"])] == Ranking.ERROR
    for other in ("near", "near too", "exact", "exact too"):
        assert rankings[frozenset(["far", other])] in (Ranking.BETTER, Ranking.WORSE)
    assert found.methods[-1].name == "far"
    text = str(found)
    assert "is better than far" in text
    assert "not ranked: both inside the floor" in text
    assert "not ranked: within the error" in text


def test_cases_are_paired(key, tolerance):
    """A small difference in every case is seen, though cases differ by more."""
    keys = jax.random.split(key, 6)
    base = [
        drawn(k, shift) for k, shift in zip(keys, np.linspace(4, 7, 6), strict=True)
    ]
    pairs = {"a": base, "b": [x + 0.5 for x in base]}
    found = gt.compare(pairs, MIXTURE, metric=METRIC, key=key, repeats=3)
    (pair,) = found.pairs
    np.testing.assert_allclose(pair.difference.value, -0.5, rtol=tolerance.identity)
    assert (pair.ranking, pair.wins, found.cases) == (Ranking.BETTER, 6, 6)


def test_weights_and_broken_samples(samples, key):
    """A weighted `SampleSet` gets a floor of its own; NaN is never ranked."""
    log_weights = jnp.where(jnp.arange(COUNT) < 40, 0.0, -jnp.inf)
    info = SampleInfo(0, 1, None)
    nan = jnp.asarray(jnp.nan)
    few = gt.SampleSet(samples["exact"], log_weights, nan, info)
    broken = samples["exact"].at[0].set(jnp.nan)
    found = gt.compare(
        {"few": few, "all": samples["exact"], "broken": broken},
        MIXTURE,
        metric=METRIC,
        key=key,
    )
    methods = {method.name: method for method in found.methods}
    floors = [float(methods[name].floor.value) for name in ("few", "all")]
    assert floors[0] > 2.0 * floors[1]
    assert found.methods[-1].name == "broken"
    for pair in found.pairs:
        if "broken" in pair[:2]:
            assert pair.ranking == Ranking.NONFINITE
    assert not methods["broken"].inside


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_broken_samples_are_never_near(samples, key, bad):
    """By the default metric, a root of squares: one value that is not finite is enough."""
    broken = {"far": samples["far"], "broken": samples["far"].at[7, 0].set(bad)}
    found = gt.compare(broken, MIXTURE, key=key, repeats=3)
    assert found.methods[-1].name == "broken" and not found.methods[-1].inside
    assert np.isnan(found.methods[-1].value.value)
    assert [pair.ranking for pair in found.pairs] == [Ranking.NONFINITE]


@pytest.mark.parametrize("weight", [jnp.nan, -jnp.inf])
def test_a_filter_that_died_is_not_ranked(samples, key, weight):
    """Weights that are no weights are not left out as if they were uniform."""
    dead = cloud(samples["exact"], jnp.full(COUNT, weight))
    some = {"dead": dead, "far": samples["far"]}
    found = gt.compare(some, MIXTURE, metric=METRIC, key=key, repeats=3)
    assert [pair.ranking for pair in found.pairs] == [Ranking.NONFINITE]
    assert not {method.name: method.inside for method in found.methods}["dead"]


def cloud(x, log_weights=None):
    """Particles of one run of a filter."""
    info = SampleInfo(0, 1, None, ess=jnp.full(2, float(COUNT)))
    if log_weights is None:
        log_weights = jnp.full(COUNT, -np.log(COUNT))
    return gt.SampleSet(x, log_weights, jnp.asarray(0.0), info)


def test_particles_of_one_run_have_no_error(key):
    """Copies of few ancestors: a run says nothing of its error, and six runs do."""

    def runs(key, shift):
        keys = jax.random.split(key, 6)
        few = [drawn(k, shift)[:20] for k in keys]  # twenty ancestors
        return [cloud(jnp.tile(x, (COUNT // 20, 1))) for x in few]

    first, second, third = (
        runs(k, shift)
        for k, shift in zip(jax.random.split(key, 3), (2.0, 2.0, 9.0), strict=True)
    )
    options = {"metric": METRIC, "key": key, "repeats": 3}
    single = gt.compare({"a": first[0], "b": third[0]}, MIXTURE, **options)
    assert [pair.ranking for pair in single.pairs] == [Ranking.ONE_RUN]
    assert np.isnan(single.methods[0].value.stderr)
    same = gt.compare({"a": first, "b": second}, MIXTURE, **options)
    assert [pair.ranking for pair in same.pairs] == [Ranking.ERROR]
    apart = gt.compare({"a": first, "b": third}, MIXTURE, **options)
    assert [pair.ranking for pair in apart.pairs] == [Ranking.BETTER]
    values = [float(METRIC(x.x, MIXTURE).value) for x in first]
    np.testing.assert_allclose(
        {m.name: m for m in apart.methods}["a"].value.stderr,
        np.std(values, ddof=1) / np.sqrt(6),
    )


def test_runs_of_a_filter_are_not_ranked_above_others_of_their_own():
    """Pairs of equal methods by Student's threshold: one in twenty, not six."""
    rng = np.random.default_rng(5)
    ranked = 0
    for _ in range(400):
        values = {
            name: np.stack([rng.normal(2.0, 0.3, 3), *np.full((2, 3), np.inf)], 1)
            for name in "ab"
        }
        methods = [_plain(name, values[name]) for name in "ab"]
        ranking = _pair(*methods, values, 0.025).ranking
        ranked += ranking in (Ranking.BETTER, Ranking.WORSE)
    assert abs(ranked - 20) < 4.5 * np.sqrt(400 * 0.05 * 0.95)


def _plain(name, values):
    return Method(name, gt.Estimate(values[:, 0].mean()), gt.Estimate(0.0), 0.0, False)


def test_the_worst_direction_is_ranked(samples, key):
    """What `max_sliced_wasserstein` returns is a distance with a direction."""

    def worst(*args, **kw):
        return gt.divergences.MaxSliced(METRIC(*args, **kw), jnp.ones(1))

    some = {name: samples[name] for name in ("far", "exact")}
    found, plain = (
        gt.compare(some, MIXTURE, metric=metric, key=key, repeats=3)
        for metric in (worst, METRIC)
    )
    assert str(found) == str(plain)
    assert [pair.ranking for pair in found.pairs] == [Ranking.BETTER]


def test_a_floor_has_the_shape_of_its_metric(samples, key, tolerance):
    """Several numbers at once; what ranks must be one, and an estimate."""
    mean_error = gt.divergences.mean_error
    found = gt.divergences.floor(mean_error, key, MIXTURE, COUNT, repeats=40)
    assert found.quantile().shape == (1,)
    assert np.abs(found.mean.distance(0.0)).max() < tolerance.z
    # The standard deviation of 40 values errs by 1 / sqrt(78).
    exact = np.sqrt(float(MIXTURE.total_variance()) / COUNT)
    np.testing.assert_allclose(found.spread, exact, rtol=tolerance.z / np.sqrt(78))
    with pytest.raises(gt.InputError, match="does not give an estimate"):
        gt.divergences.floor(lambda x, law: x.mean(), key, MIXTURE, COUNT)
    with pytest.raises(gt.InputError, match="one number"):
        gt.compare(samples, MIXTURE, metric=mean_error)


def test_what_cannot_be_paired_is_refused(samples):
    with pytest.raises(gt.InputError, match="as many samples"):
        gt.compare({"a": samples["far"], "b": samples["near"][:-1]}, MIXTURE)
    with pytest.raises(gt.InputError, match="paired"):
        gt.compare({"a": samples["far"]}, MIXTURE)


def test_assignment_of_shifted_samples(key, tolerance):
    """Moving the reference by a shift costs the shift squared, exactly."""
    x = jax.random.normal(key, (120, 3))
    shift = jnp.asarray([1.0, -2.0, 0.5])
    found = gt.divergences.w2_squared_by_assignment(x + shift[None], x, batch_size=40)
    np.testing.assert_allclose(found.value, 5.25, rtol=tolerance.identity)


def test_an_assignment_has_no_weights(key):
    x = jax.random.normal(key, (20, 2))
    assignment = gt.divergences.w2_squared_by_assignment
    plain = assignment(x, x[::-1], batch_size=10)
    equal = assignment(x, x[::-1], batch_size=10, log_weights=jnp.full(20, 3.0))
    assert float(plain.value) == float(equal.value) > 0
    with pytest.raises(gt.UnsupportedError, match="sinkhorn_divergence"):
        assignment(x, x, batch_size=10, log_weights=jnp.arange(20.0))


def test_weights_of_sinkhorn_are_repeated_points(key, tolerance):
    """Twice the weight is the point twice; no weight is no point; a batch by its share."""
    pytest.importorskip("ot")
    sinkhorn = partial(gt.divergences.sinkhorn_divergence, regularisation=3.0)
    a, b, z = (jax.random.normal(each, (6, 2)) for each in jax.random.split(key, 3))
    shares = jnp.asarray([2.0, 2.0, 1.0, 1.0, 0.0, 0.0])
    twice = jnp.concatenate([a[:2], a[:4]])
    first, second = (
        float(sinkhorn(*(jnp.tile(s, (2, 1)) for s in pair), batch_size=6).value)
        for pair in ((twice, z), (b, z))
    )
    found = sinkhorn(
        jnp.concatenate([a, b]),
        jnp.concatenate([z, z]),
        batch_size=6,
        log_weights=jnp.log(jnp.concatenate([shares, jnp.full(6, 3.0)])),
    )  # 6 of the weight in the first batch, 18 in the second
    exact = 0.25 * first + 0.75 * second
    np.testing.assert_allclose(found.value, exact, rtol=1e-6)  # of POT's iteration
    assert abs(first - second) > 0.01
    with pytest.raises(gt.InputError, match="no weight"):
        sinkhorn(
            a, z, batch_size=3, log_weights=jnp.where(shares == 2.0, 0.0, -jnp.inf)
        )


def test_sinkhorn_of_points(tolerance):
    """Two points from two: the plan has one unknown, and the divergence a closed form."""
    pytest.importorskip("ot")
    # All of x at 0, all of z at 3: every plan is the product, T = 9, own terms 0.
    x, z = jnp.zeros((8, 1)), jnp.full((8, 1), 3.0)
    found = gt.divergences.sinkhorn_divergence(x, z, regularisation=1.0, batch_size=4)
    np.testing.assert_allclose(found.value, 9.0, rtol=tolerance.identity)


# --- thresholds, by hand ---------------------------------------------------------------

POINT = gt.GaussianMixture.isotropic([1.0], [[0.0]], 1e-12)  # whose floor is zero


def given(errors, freedom=np.inf):
    """A metric that is the first sample, with the second sample's place in `errors`."""

    def metric(x, mixture, **weights):
        place = jnp.clip(jnp.round(x[1, 0]), 0, len(errors) - 1).astype(int)
        error = jnp.asarray(errors)[place]
        return gt.Estimate(x[0, 0], error, freedom=freedom)

    return metric


def pair_of(value, place=0):
    return jnp.asarray([[value], [float(place)]])


def verdicts(found):
    return {frozenset(pair[:2]): pair.ranking for pair in found.pairs}


@pytest.mark.parametrize("freedom", [np.inf, 4.0])
def test_the_threshold_is_bonferronis(key, freedom):
    """Two methods: the quantile at .975; three: at 1 - .05/6. Student's, of few."""
    law = stats.norm() if np.isinf(freedom) else stats.t(2 * freedom)  # of two errors
    alone, together = law.ppf(0.975), law.ppf(1 - 0.05 / 6)
    error = 0.1 * np.sqrt(2)
    metric = given([0.1], freedom)
    for factor, expected in (
        (0.99 * alone, Ranking.ERROR),
        (1.01 * alone, Ranking.BETTER),
    ):
        two = {"a": pair_of(1.0), "b": pair_of(1.0 + factor * error)}
        found = gt.compare(two, POINT, metric=metric, key=key, repeats=3)
        assert verdicts(found)[frozenset("ab")] == expected
    for factor in (0.99, 1.01):
        gap = factor * together * error
        three = {"a": pair_of(1.0), "b": pair_of(1.0 + gap), "c": pair_of(99.0)}
        found = gt.compare(three, POINT, metric=metric, key=key, repeats=3)
        expected = Ranking.ERROR if factor < 1 else Ranking.BETTER
        assert verdicts(found)[frozenset("ab")] == expected
    np.testing.assert_allclose(found.z, stats.norm.ppf(1 - 0.05 / 6), rtol=1e-12)


def test_errors_over_cases(key):
    """Of a mean: the root of the sum of squares, over their number; or the spread."""
    errors = [0.1, 0.3, 0.2, 0.4]
    first = [pair_of(1.0, 0), pair_of(2.0, 1)]
    second = [pair_of(1.5, 2), pair_of(2.6, 3)]
    both = {"a": first, "b": second}
    found = gt.compare(both, POINT, metric=given(errors), key=key, repeats=3)
    stderr = [method.value.stderr for method in found.methods]
    np.testing.assert_allclose(stderr, np.hypot([0.1, 0.2], [0.3, 0.4]) / 2, rtol=1e-9)
    (pair,) = found.pairs
    np.testing.assert_allclose(pair.difference.value, -0.55, rtol=1e-9)
    np.testing.assert_allclose(pair.difference.stderr, np.sqrt(0.3) / 2, rtol=1e-9)
    assert pair.ranking == Ranking.BETTER or 0.55 < 1.96 * np.sqrt(0.3) / 2
    found = gt.compare(both, POINT, metric=given([0.01] * 4), key=key, repeats=3)
    spread = np.std([-0.5, -0.6], ddof=1) / np.sqrt(2)
    np.testing.assert_allclose(found.pairs[0].difference.stderr, spread, rtol=1e-9)


def test_a_single_run_without_an_error_is_not_ranked(key):
    both = {"a": pair_of(1.0), "b": pair_of(5.0)}
    found = gt.compare(both, POINT, metric=given([np.nan]), key=key, repeats=3)
    assert found.pairs[0].ranking == Ranking.ONE_RUN


def test_floors_are_of_as_many_samples(key):
    """A metric that counts: of every case its own number, and the mean of both."""

    def counted(x, mixture, **weights):
        return gt.Estimate(float(x.shape[0]), 0.1)

    cases = [jnp.zeros((5, 1)), jnp.zeros((9, 1))]
    found = gt.compare(
        {"a": cases, "b": cases}, MIXTURE, metric=counted, key=key, repeats=3
    )
    assert [float(method.floor.value) for method in found.methods] == [7.0, 7.0]


def test_the_quantile_of_a_floor_is_at_its_level(key):
    """Of a metric that is the first sample: quantiles of the values, as NumPy has them."""

    def first(x, mixture):
        return gt.Estimate(x[0, 0], 0.1)

    found = gt.divergences.floor(first, key, MIXTURE, 3, repeats=21)
    draws = [MIXTURE.sample(k, 3)[0, 0] for k in jax.random.split(key, 21)]
    for level in (0.05, 0.3, 0.95):
        exact = np.sort(draws)[round(20 * level)]
        np.testing.assert_allclose(found.quantile(level), exact, rtol=1e-12)
    np.testing.assert_allclose(found.quantile(), np.sort(draws)[19], rtol=1e-12)
    np.testing.assert_allclose(found.spread, np.std(draws, ddof=1), rtol=1e-12)
