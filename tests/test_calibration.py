"""Calibration: levels, their tests against SciPy and closed forms, and failure modes."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gmm_testbed as gt
from gmm_testbed.compare import Ranking
from gmm_testbed.diagnostics import (
    PosteriorDraws,
    calibrate,
    deliberate,
    tarp,
    uniformity,
)
from gmm_testbed.diagnostics.uniformity import (
    ecdf_band,
    histogram_band,
    kolmogorov_tail,
    ranked,
)
from gmm_testbed.gaussian import isotropic, point
from gmm_testbed.smc.base import AbstractFeynmanKac, no_look_ahead, nothing_shared

PATH = gt.VP()
MEASUREMENT = gt.Linear([[1.0, 0.4]], 0.25)
COVARIANCES = [[[0.3, 0.1], [0.1, 0.2]], [[0.2, -0.05], [-0.05, 0.4]]]
MODES = gt.GaussianMixture.full([0.3, 0.7], [[-0.9, 1.1], [1.0, 0.2]], COVARIANCES)
# One Gaussian, in two equal parts: the same compiled program.
GAUSSIAN = gt.GaussianMixture.full([0.3, 0.7], [[0.4, -0.2]] * 2, [COVARIANCES[0]] * 2)
ONE_STEP = jnp.asarray([1.0, 0.05])
PAIRS, DRAWS = 2000, 39


def run(key, sampler, prior=MODES, times=ONE_STEP):
    return calibrate(key, prior, MEASUREMENT, PATH, sampler, times, PAIRS, DRAWS)


def in_ten(levels):
    return uniformity(levels, 10)


def p_values(found):
    tests = found.sbc, found.coverage, found.tarp
    return np.concatenate(
        [np.ravel(p) for t in tests for p in (t.chi_square_p, t.distance_p)]
    )


def assert_mean(found, share, z):
    """The mean level, for draws that are below the truth with this probability."""
    expected = (DRAWS * share + 0.5) / (DRAWS + 1)
    assert np.abs(found.distance(expected)).max() < z
    assert abs(expected - 0.5) > 0.03


# --- levels and their tests -----------------------------------------------------------


def test_a_rank_is_spread_over_its_cell_and_over_ties():
    draws = jnp.asarray([1.0, 5.0, 2.0, 2.0, jnp.nan])
    for uniform, level in ((0.0, 1 / 6), (0.5, 2.5 / 6), (1.0, 4 / 6)):
        found = ranked(jnp.asarray(uniform), jnp.asarray(2.0), draws)
        np.testing.assert_allclose(found, level, rtol=1e-12)


def test_both_tests_agree_with_scipy(key):
    levels = jax.random.uniform(key, (200,)) ** (1 / 1.5)
    found = in_ten(levels)
    counts = np.histogram(np.asarray(levels), 10, (0.0, 1.0))[0]
    np.testing.assert_array_equal(found.counts, counts)
    expected = stats.chisquare(counts)
    np.testing.assert_allclose(found.chi_square, expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(found.chi_square_p, expected.pvalue, rtol=1e-9)
    distance, p = stats.kstest(np.asarray(levels), "uniform")
    np.testing.assert_allclose(found.distance, distance, rtol=1e-12)
    np.testing.assert_allclose(found.distance_p, p, rtol=1e-9)
    assert 1e-8 < p < 0.1
    assert float(found.mean.value) == pytest.approx(float(levels.mean()))


def test_kolmogorov_tail_is_near_its_limit_law_and_exact_for_one_number():
    """The limit at a corrected argument (Vrbik 2018) is within 4e-4 from n = 40 on."""
    distance = jnp.linspace(0.002, 0.4, 60)
    for count in (40, 1000):
        x = np.sqrt(count) * np.asarray(distance)
        x = x + 1 / (6 * np.sqrt(count)) + (x - 1) / (4 * count)
        limit = stats.kstwobign.sf(x)
        assert np.abs(kolmogorov_tail(distance, count) - limit).max() < 4e-4
    # max(u, 1 - u) exceeds D with probability 2 - 2 D.
    one = jnp.asarray([0.5, 0.8, 1.0])
    np.testing.assert_allclose(kolmogorov_tail(one, 1), 2 - 2 * one, atol=1e-14)
    assert float(kolmogorov_tail(jnp.zeros(()), 40)) == 1.0


def test_every_row_of_levels_is_a_test_of_its_own(key):
    levels = jax.random.uniform(key, (2, 3, 70))
    found, alone = in_ten(levels), in_ten(levels[1, 2])
    assert found.distance_p.shape == (2, 3) and found.counts.shape == (2, 3, 10)
    np.testing.assert_allclose(found.distance_p[1, 2], alone.distance_p, rtol=1e-12)
    np.testing.assert_allclose(found.mean.stderr[1, 2], alone.mean.stderr, rtol=1e-12)
    with pytest.raises(gt.InputError, match="computed on the host"):
        jax.jit(in_ten)(levels)


def test_bands_hold_what_they_say():
    low, high = histogram_band(2000, 20, 0.99)
    law = [math.comb(2000, k) * 19 ** (2000 - k) / 20**2000 for k in range(high + 1)]
    below = np.cumsum(law)  # the binomial law in whole numbers
    assert below[low - 1] < 0.005 <= below[low]
    assert below[high - 1] < 0.995 <= below[high]
    for count in (50, 2000):
        outside = stats.kstwo.sf(ecdf_band(count, 0.99), count)
        assert 0.005 < outside <= 0.01


def test_too_few_levels_are_refused():
    with pytest.raises(gt.InputError, match="too few levels"):
        uniformity(jnp.linspace(0.0, 1.0, 99), 20)


# --- exact draws, and known distortions -----------------------------------------------


@pytest.fixture(scope="module")
def exact():
    return run(jax.random.key(41), PosteriorDraws())


@pytest.mark.slow
def test_exact_draws_are_calibrated(exact):
    assert exact.sbc.levels.shape == (2, PAIRS)
    assert p_values(exact).min() > 1e-4 and exact.pairs.nonfinite == 0


@pytest.mark.slow
def test_p_values_are_uniform_over_repetitions(exact):
    levels = [*exact.sbc.levels, exact.coverage.levels, exact.tarp.levels]
    blocks = jnp.stack(levels).reshape(4, 40, PAIRS // 40)
    found = in_ten(blocks)
    for row in (*found.distance_p, *found.chi_square_p):
        assert stats.kstest(np.asarray(row), "uniform").pvalue > 1e-4


def test_truths_are_draws_of_the_noised_joint_law(exact, tolerance):
    """Not of the data: at t the truth is alpha x0 + sigma noise."""
    weights, means = np.array([0.3, 0.7]), np.asarray(MODES.means)
    mean = weights @ means
    centred = means - mean
    covariance = np.einsum("k,kij->ij", weights, np.asarray(COVARIANCES))
    covariance += (weights[:, None] * centred).T @ centred
    alpha, sigma = float(PATH.alpha(ONE_STEP[-1])), float(PATH.sigma(ONE_STEP[-1]))
    A = np.asarray(MEASUREMENT.A)
    laws = (
        (alpha * mean, alpha**2 * covariance + sigma**2 * np.eye(2)),
        (A @ mean, A @ covariance @ A.T + 0.25),
    )
    samples = np.asarray(exact.pairs.truth), np.asarray(exact.pairs.y)
    for sample, (centre, spread) in zip(samples, laws, strict=True):
        for terms, value in (
            (sample, centre),
            ((sample - centre) ** 2, np.diagonal(spread)),
        ):
            errors = terms.std(axis=0) / np.sqrt(PAIRS)
            assert np.abs((terms.mean(axis=0) - value) / errors).max() < tolerance.z


def test_references_agree_with_the_observation(exact):
    back = exact.pairs.references / PATH.alpha(ONE_STEP[-1])
    np.testing.assert_allclose(back @ MEASUREMENT.A.T, exact.pairs.y, rtol=1e-9)


def test_references_and_truths_share_no_noise(key):
    """Along what A does not see, where the first do not depend on y; at a late time."""
    case = GAUSSIAN, MEASUREMENT, PATH, PosteriorDraws(), jnp.asarray([1.0, 0.5])
    pairs = gt.diagnostics.simulate(key, *case, PAIRS, DRAWS)
    unseen = np.array([0.4, -1.0])
    both = np.stack([pairs.truth @ unseen, pairs.references @ unseen])
    assert abs(np.corrcoef(both)[0, 1]) < 4.5 / np.sqrt(PAIRS)
    draws = np.asarray(pairs.draws)[:, 0] @ unseen
    assert abs(np.corrcoef(both[1], draws)[0, 1]) < 4.5 / np.sqrt(PAIRS)


@pytest.mark.parametrize("scale, shift", [(0.5, 0.0), (1.6, 0.0), (1.0, -0.4)])
def test_levels_of_a_gaussian_have_their_closed_forms(key, tolerance, scale, shift):
    r"""Rank: \(\Phi(-b/\sqrt{1 + s^2})\); density in the plane: \(1/(1 + s^2)\)."""
    found = run(key, PosteriorDraws(scale, shift), GAUSSIAN)
    below = stats.norm.cdf(-shift / np.sqrt(1 + scale**2))
    far = jnp.broadcast_to(jnp.asarray([-1e7, 0.0]), found.pairs.truth.shape)
    ball = tarp(key, found.pairs, far)  # so large that it is a half-plane
    if shift:
        assert_mean(found.sbc.mean, below, tolerance.z)  # both coordinates
        assert_mean(ball.mean, below, tolerance.z)
    else:
        assert_mean(found.coverage.mean, 1 / (1 + scale**2), tolerance.z)
        share = np.asarray(found.sbc.counts)[:, [0, -1]].sum(axis=1) / PAIRS
        assert ((share > 0.1) == (scale < 1)).all()  # ends of the histogram


@pytest.mark.parametrize(
    "change, direction",
    [
        ({"scale": 0.7}, 1),
        ({"scale": 1.4}, -1),
        ({"power": 0.0}, -1),
        ({"shift": 0.4}, 0),
    ],
)
def test_distortions_are_found(key, change, direction):
    found = run(key, PosteriorDraws(**change))
    assert float(found.coverage.chi_square_p) < 1e-6
    if direction:  # of the level: above 1/2 the draws are overconfident
        assert direction * (float(found.coverage.mean.value) - 0.5) > 0.05
    else:
        assert np.asarray(found.sbc.distance_p).max() < 1e-6
        assert np.asarray(found.sbc.mean.value).max() < 0.45


def without_the_second_mode(target, t):
    return deliberate.one_mode_dropped(target.posterior(t))


def stretched(target, t):
    return deliberate.spread_scaled(target.posterior(t), jnp.eye(2), 1.6)


@pytest.mark.slow
def test_failures_made_on_purpose_have_their_closed_forms(key, tolerance):
    """The mode that is missing is on one side, far away, and the data do not see it."""
    away = 30.0 * np.array([0.4, -1.0])
    apart = gt.GaussianMixture.full([0.3, 0.7], [away, -away], [COVARIANCES[0]] * 2)
    levels = run(key, PosteriorDraws(source=without_the_second_mode), apart).sbc.mean
    ends = (np.array([DRAWS, 0.0]) + 0.5) / (DRAWS + 1)  # of x1 and of x2
    expected = 0.7 * 0.5 + 0.3 * ends
    assert np.abs(levels.distance(expected)).max() < tolerance.z
    assert np.abs(levels.value - 0.5).min() > 0.1
    wide = run(key, PosteriorDraws(source=stretched), GAUSSIAN)
    assert_mean(wide.coverage.mean, 1 / (1 + 1.6**2), tolerance.z)


@pytest.mark.slow
def test_guided_samplers(key):
    """Without guidance the ranks see nothing; with too much of it draws are narrow."""
    times = gt.time_grid(PATH, 60, t_min=0.05)

    def guided(strength):
        sampler = gt.Guided(gt.approximations.ZetaDPS(strength), gt.kernels.DDIM(1.0))
        return run(key, sampler, times=times)

    blind = guided(0.0)
    ranks = np.stack([blind.sbc.chi_square_p, blind.sbc.distance_p])
    away = tarp(key, blind.pairs, jnp.zeros_like(blind.pairs.references))
    assert ranks.min() > 1e-4 and float(away.chi_square_p) > 1e-4
    assert float(blind.coverage.chi_square_p) < 1e-30
    assert float(blind.tarp.chi_square_p) < 1e-30
    assert float(blind.coverage.mean.value) < 0.4
    narrow = guided(2.0)
    assert float(narrow.coverage.mean.value) > 0.55
    assert float(narrow.coverage.chi_square_p) < 1e-6


class Marked(AbstractFeynmanKac):
    """Particles that stay, of weight 3 where their first coordinate is positive."""

    facts: ClassVar = gt.smc.Bootstrap.facts
    shared = nothing_shared
    look_ahead = no_look_ahead
    dead: jax.Array

    def check(self, target, times):
        pass

    def start(self, target, shared, t):
        return gt.smc.Move(
            isotropic(jnp.zeros(2), jnp.ones(())), lambda x: jnp.zeros(())
        )

    def move(self, target, shared, x, t, s, last):
        likelihood = jnp.where(x[0] > 0, 3.0, 1.0)
        weight = jnp.where(self.dead, jnp.nan, jnp.log(likelihood))
        return gt.smc.Move(point(x), lambda new: weight)


def test_one_particle_of_a_population_is_drawn_by_weight(key, tolerance):
    """Two particles, of weight 3 where positive: P(+) = 1/4 + 3/4 * 1/2 = 5/8."""
    problem = gt.InverseProblem(MODES, MEASUREMENT, [0.4])

    @jax.jit
    def drawn(dead):
        sampler = gt.smc.ParticleFilter(Marked(dead), "multinomial", 0.0)
        case = gt.Target(problem, PATH), ONE_STEP, jnp.asarray(1), 2
        return sampler.draws(jax.random.split(key, 2000), *case)

    share = float(np.mean(np.asarray(drawn(jnp.asarray(False)))[:, 0] > 0))
    assert abs(share - 0.625) < tolerance.z * np.sqrt(0.625 * 0.375 / 2000)
    assert np.isnan(drawn(jnp.asarray(True))).all()  # every particle died


@pytest.mark.slow
def test_filters_give_one_draw_a_run(key):
    """The prior proposes: with one particle it is drawn, with many the posterior."""
    times = gt.time_grid(PATH, 2, "log_snr", t_max=0.9, t_min=0.05)

    def filtered(particles):
        sampler = gt.smc.Bootstrap()
        options = {"bins": 10, "particles": particles}
        return calibrate(
            key, MODES, MEASUREMENT, PATH, sampler, times, 400, 19, **options
        )

    one, many = filtered(1), filtered(200)
    assert one.sbc.distance_p.min() > 1e-4 > 1e-9 > float(one.coverage.distance_p)
    assert p_values(many).min() > 1e-4 and many.pairs.nonfinite == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:these weights are too uneven")  # of some filters
@pytest.mark.parametrize(
    "sampler",
    [
        gt.smc.TDS(gt.approximations.DPS()),
        gt.algorithms.DAPS("mean"),
        gt.algorithms.SplitGibbs(),
    ],
    ids=["TDS", "DAPS", "SplitGibbs"],
)
def test_whole_algorithms_are_calibrated_and_compared(key, sampler):
    """They run through both as they are."""
    times = gt.time_grid(PATH, 4, "log_snr", t_max=0.9, t_min=0.05)
    found = calibrate(
        key, MODES, MEASUREMENT, PATH, sampler, times, 50, 19, bins=5, particles=8
    )
    assert found.pairs.draws.shape == (50, 19, 2) and found.pairs.nonfinite == 0
    assert np.isfinite(p_values(found)).all()
    problem = gt.InverseProblem(MODES, MEASUREMENT, [0.4])
    target = gt.Target(problem, PATH)
    drawn = gt.sample(key, sampler, target, times, 100)
    exact = target.posterior(times[-1])
    others = {"sampler": drawn, "far": drawn.x + 5.0}
    judged = gt.compare(others, exact, metric=gt.divergences.mmd_squared, repeats=3)
    assert judged.methods[0].name == "sampler"
    ranking = Ranking.ONE_RUN if isinstance(sampler, gt.smc.TDS) else Ranking.BETTER
    assert judged.pairs[0].ranking == ranking


# --- figures ---------------------------------------------------------------------------


def test_the_figure_shows_counts_and_coverage(exact):
    x = jnp.linspace(-1.0, 1.0, 11)
    example = gt.plotting.Example(x, 0.5 * jnp.ones(11), jnp.asarray([0.3, 0.4]))
    drawn = gt.plotting.calibration("title", exact, example)
    one, first, _, curve, _ = drawn.axes
    np.testing.assert_allclose(one.lines[0].get_ydata(), 0.5)
    steps = first.patches[-1].get_data()
    np.testing.assert_array_equal(steps.values, exact.sbc.counts[0])
    level, share = curve.lines[-1].get_data()
    inside = np.asarray(exact.coverage.levels) <= level[500]
    assert share[500] == pytest.approx(inside.mean()) and 0.2 < share[500] < 0.3
    assert first.get_title(loc="left") == f"$p = {exact.sbc.chi_square_p[0]:.2f}$"
    texts = [gt.plotting.p_value(p) for p in (0.02, 3e-5, 0.0)]
    assert texts == ["$p = 0.02$", "$p = 10^{-5}$", "$p < 10^{-16}$"]


# --- refusals -------------------------------------------------------------------------


def test_what_cannot_be_calibrated_says_why(key, without_shape_checks):
    atoms = gt.GaussianMixture.empirical([[0.0, 1.0], [1.0, -1.0]])
    with pytest.raises(gt.InputError, match="atoms have no density"):
        run(key, PosteriorDraws(), atoms, jnp.asarray([1.0, 0.0]))
    square = gt.Nonlinear(jnp.square, 0.1, dim_y=2)
    with pytest.raises(gt.UnsupportedError, match="linear measurement"):
        calibrate(key, MODES, square, PATH, PosteriorDraws(), ONE_STEP)


def test_references_of_another_shape_are_refused(key, exact):
    with pytest.raises(gt.InputError, match="one point a pair"):
        tarp(key, exact.pairs, jnp.zeros((1, 2)))
