"""Laws made of one Gaussian that is given: escaped mass, and products in d = 5.

Nothing is propagated, so every number has a closed form.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import sqrtm
from scipy.stats import norm

import gmm_testbed as gt
from gmm_testbed.laws.line import gaussian_steps
from gmm_testbed.laws.line import state as line_state
from gmm_testbed.laws.plane import state as plane_state
from gmm_testbed.laws.plane import sums as plane_sums
from gmm_testbed.laws.reduction.check import StepsBeyond
from gmm_testbed.laws.reduction.law import _accumulated
from gmm_testbed.measures import measures

SAMPLER = gt.Guided(gt.approximations.Exact(), gt.kernels.DDPM())
TIMES = jnp.asarray([0.5, 0.2])


def gaussian(mean, covariance):
    return gt.GaussianMixture.full([1.0], [mean], [covariance])


def problem(mean, covariance, row):
    """One Gaussian seen along a row."""
    prior = gaussian(mean, covariance)
    return gt.Target(
        gt.InverseProblem(prior, gt.Linear([row], 0.3), [0.4]), gt.VP(0.1, 8.0)
    )


def on_the_line(target, mass, mean, variance):
    """The law of mass times N(mean, variance), after no step."""
    parts = (np.array([value]) for value in (mass, mean, np.sqrt(variance)))
    sources = line_state.Sources(*parts)
    grid = line_state.fitting(sources, 1)
    density = line_state.evaluate(sources, grid.nodes(float), grid.count)
    state = line_state.State(grid, density, sources)
    first = target.posterior(TIMES[-1])
    return gt.laws.LineLaw(SAMPLER, (), target, TIMES[-1:], first, 1, [state])


# --- mass that is not on the grid -----------------------------------------------------


@pytest.fixture(scope="module")
def line():
    return problem([0.4], [[0.6]], [1.2])


def test_mass_that_left_the_line_is_reported_and_counts(line):
    """Nine tenths of a law, against the whole of it: a total variation of a tenth."""
    law = on_the_line(line, 0.9, 0.3, 0.25)
    for density in (law.at(0), law.native(0)):
        assert_allclose(density.escaped_mass, 0.1, atol=1e-11)
    assert_allclose(law.escaped_mass, 0.1, atol=1e-11)
    assert_allclose(law.tv(gaussian([0.3], [[0.25]])), 0.1, atol=1e-9)
    whole, other = on_the_line(line, 1.0, 0.3, 0.25), gaussian([0.5], [[0.4]])
    assert abs(float(whole.at(0).escaped_mass)) < 1e-11
    forward = 0.5 * (0.25 / 0.4 - 1.0 - np.log(0.25 / 0.4) + 0.2**2 / 0.4)
    back = 0.5 * (0.4 / 0.25 - 1.0 - np.log(0.4 / 0.25) + 0.2**2 / 0.25)
    assert_allclose(whole.kl(other), forward, rtol=1e-9)
    assert_allclose(whole.kl_from(other), back, rtol=1e-9)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.slow
def test_mass_that_left_the_plane_is_reported(turned):
    target = problem([0.4, -0.3], [[0.5, 0.2], [0.2, 0.3]], [1.0, 0.5])
    mean, covariance = np.array([0.2, -0.4]), np.array([[0.3, 0.1], [0.1, 0.2]])
    frame = np.array([[0.8, -0.6], [0.6, 0.8]]) if turned else np.eye(2)
    here = frame.T @ mean, frame.T @ covariance @ frame
    found = plane_sums.sources([0.9], here[0][None], here[1][None])
    grids = plane_state.fitting(found, 1, 128)
    state = plane_state.summed(found, grids, np.dtype(float))
    law = gt.laws.PlaneLaw(target, TIMES[-1:], 1, frame, [state])
    for density in (law.at(0), law.native(0)):
        assert_allclose(density.escaped_mass, 0.1, atol=1e-8)
        moments = gt.divergences.mean(density), gt.divergences.covariance(density)
        assert_allclose(moments[0], mean, atol=1e-7)
        assert_allclose(moments[1], covariance, atol=1e-7)


class Drifting(NamedTuple):
    """A run whose every step is N(x + drift, 1/4)."""

    drift: float
    jumping: None = None
    refine: int = 1

    def transitions(self, points, before, after):
        return points + self.drift, np.full_like(points, 0.5)


def test_steps_that_leave_their_common_grid_are_not_taken(without_shape_checks):
    """Two steps on [-12, 12]: by a half each they stay, by four each some is lost."""
    grid = line_state.spanning(-12.0, 12.0, 384)
    start = line_state.Sources(*(np.array([value]) for value in (1.0, 0.0, 1.0)))
    window = np.array([0.9, 0.6, 0.3])
    given = window, grid, start, np.dtype(float)
    states = gaussian_steps._onto(Drifting(0.5), *given)
    for number, state in enumerate(states):
        scale = np.sqrt(1.0 + 0.25 * number)
        exact = norm.pdf(grid.nodes(float), 0.5 * number, scale)
        assert_allclose(state.density, exact, atol=1e-12)
    assert gaussian_steps._onto(Drifting(4.0), *given) is None
    assert gaussian_steps._onto(Drifting(-4.0), *given) is None


# --- products in five dimensions ------------------------------------------------------

DIM, VARIANCE = 5, 0.6
ROW = np.array([0.5, -0.1, 0.7, 0.1, 0.49])
FRAME = (ROW / np.linalg.norm(ROW))[:, None]
BEYOND = np.eye(DIM) - FRAME @ FRAME.T


@pytest.fixture(scope="module")
def product():
    """N(-0.2, 0.35) along the row, and N(g m0 + h c, 0.8 I) beyond; and its moments."""
    prior_mean = np.array([0.3, -0.4, 0.2, 0.5, -0.1])
    target = problem(prior_mean, VARIANCE * np.eye(DIM), ROW)
    along = problem(FRAME.T @ prior_mean, [[VARIANCE]], ROW @ FRAME)
    inside = on_the_line(along, 1.0, -0.2, 0.35)
    start, centre = BEYOND @ [1.0, 0.0, -1.0, 0.4, 0.2], BEYOND @ prior_mean
    numbers = (jnp.asarray([value]) for value in (0.3, 0.6, 0.8))
    law = gt.laws.ReducedLaw(
        target, TIMES[-1:], jnp.asarray(FRAME), inside,
        jnp.asarray(start), jnp.asarray(centre), *numbers,
    )  # fmt: skip
    mean = FRAME[:, 0] * -0.2 + 0.3 * start + 0.6 * centre
    return law, mean, 0.35 * FRAME @ FRAME.T + 0.8 * BEYOND


def kl(mean, covariance, other_mean, other):
    """KL of two Gaussians, as it is written in textbooks."""
    inverse, gap = np.linalg.inv(other), mean - other_mean
    ratio = np.linalg.slogdet(other)[1] - np.linalg.slogdet(covariance)[1]
    square = np.trace(inverse @ covariance) + gap @ inverse @ gap
    return 0.5 * (square - len(mean) + ratio)


def test_steps_beyond_the_frame_follow_one_another():
    """x = g m0 + h c + noise: g and the variance are multiplied, by the factor squared."""
    keep, drift, scale = np.array([[0.9, 0.5], [0.2, 0.3], [0.4, 0.1]])
    steps = StepsBeyond(*map(jnp.asarray, (keep, drift, scale, np.zeros(2))))
    gains, shifts, variances = _accumulated([steps], 0.7, jnp.float64)
    second = 0.9**2 * 0.7 + 0.4**2
    assert_allclose(gains, [1.0, 0.9, 0.45], rtol=1e-12)
    assert_allclose(shifts, [0.0, 0.2, 0.5 * 0.2 + 0.3], rtol=1e-12)
    assert_allclose(variances, [0.7, second, 0.25 * second + 0.01], rtol=1e-12)
    with pytest.raises(gt.InputError, match="not affine"):
        bent = steps._replace(deviation=jnp.array([0.0, 1e-6]))
        _accumulated([bent], 0.7, jnp.float64)


@pytest.mark.slow
def test_divergences_of_a_product_count_every_direction(product):
    law, mean, covariance = product
    posterior = law.target.posterior(TIMES[-1])
    exact = np.asarray(posterior.mean()), np.asarray(posterior.covariance())
    assert_allclose(law.mean(), mean, rtol=1e-9)
    assert_allclose(law.covariance(), covariance, rtol=1e-8, atol=1e-10)
    forward, back = kl(mean, covariance, *exact), kl(*exact, mean, covariance)
    assert abs(forward - back) > 0.05
    assert_allclose(law.kl(posterior), forward, rtol=1e-7)
    assert_allclose(law.kl_from(posterior), back, rtol=1e-7)
    slope = np.linalg.inv(exact[1]) - np.linalg.inv(covariance)
    shift = np.linalg.solve(exact[1], mean - exact[0])
    fisher = np.trace(slope @ covariance @ slope) + shift @ shift
    assert_allclose(law.fisher(posterior), fisher, rtol=1e-7)
    root = sqrtm(covariance)
    bures = covariance + exact[1] - 2 * sqrtm(root @ exact[1] @ root).real
    w2 = np.sqrt(np.sum((mean - exact[0]) ** 2) + np.trace(bures))
    assert_allclose(law.w2(posterior), w2, rtol=1e-7)


@pytest.mark.slow
def test_measures_of_a_product_are_those_in_all_dimensions(product):
    law, mean, covariance = product
    t = float(TIMES[-1])
    posterior = law.target.posterior(TIMES[-1])
    exact = np.asarray(posterior.mean()), np.asarray(posterior.covariance())
    found = measures.of(law, law.target, t)
    expected = {
        "kl": kl(mean, covariance, *exact),
        "kl_from": kl(*exact, mean, covariance),
        "mean_error": mean - exact[0],
        "spread_ratio": np.trace(covariance) / np.trace(exact[1]),
    }
    for name, value in expected.items():
        assert_allclose(found[name].value, value, rtol=1e-6, err_msg=name)
    lower, upper = float(found["tv_lower"].value), float(found["tv_upper"].value)
    rng = np.random.default_rng(3)
    x = rng.multivariate_normal(mean, covariance, 20_000)
    logs = (
        -0.5 * np.einsum("ni,ij,nj->n", x - m, np.linalg.inv(c), x - m)
        - 0.5 * np.linalg.slogdet(c)[1]
        for m, c in ((mean, covariance), exact)
    )
    terms = np.maximum(1.0 - np.exp(-np.subtract(*logs)), 0.0)
    error = terms.std() / np.sqrt(len(terms))
    assert lower - 4.5 * error < terms.mean() < upper + 4.5 * error
    assert 0.1 < lower < upper < 1.0


def test_measures_of_an_affine_law_are_closed_forms():
    """And those named `to_data` are from the posterior at time 0."""
    target = problem([0.3, -0.4], [[0.5, 0.2], [0.2, 0.3]], [1.0, 0.5])
    mean, covariance = np.array([0.6, 0.1]), np.array([[0.3, -0.1], [-0.1, 0.4]])
    law = gt.laws.AffineLaw(
        target, TIMES[-1:], jnp.asarray([mean]), jnp.asarray([covariance])
    )
    found = measures.of(law, target, float(TIMES[-1]))
    values = {}
    for name, t in (("w2", TIMES[-1]), ("w2_to_data", jnp.zeros(()))):
        posterior = target.posterior(t)
        m, c = np.asarray(posterior.mean()), np.asarray(posterior.covariance())
        root = sqrtm(covariance)
        bures = np.trace(covariance + c - 2 * sqrtm(root @ c @ root).real)
        values[name] = np.sqrt(np.sum((mean - m) ** 2) + bures)
    assert abs(values["w2"] - values["w2_to_data"]) > 0.02
    posterior = target.posterior(TIMES[-1])
    m, c = np.asarray(posterior.mean()), np.asarray(posterior.covariance())
    values |= {
        "kl": kl(mean, covariance, m, c),
        "kl_from": kl(m, c, mean, covariance),
        "mean_error": mean - m,
        "variance_error": np.diag(covariance - c),
        "spread_ratio": np.trace(covariance) / np.trace(c),
    }
    for name, value in values.items():
        assert_allclose(found[name].value, value, rtol=1e-9, err_msg=name)
