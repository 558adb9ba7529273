"""MCGDiff and filters that look ahead: Gaussian products and evidence by NumPy."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal, norm

import gmm_testbed as gt

from .oracles import numpy_mixture as ref
from .oracles.library import scales, to_target
from .oracles.problems import LINE, generic, standard_gaussian

smc = gt.smc
PATH = gt.VP()
WIDE = generic(3, 2, 2)
X = np.array([0.4, -0.7, 0.2])


def _twist(problem, kappa, alpha, sigma):
    """Active right vectors (r, d), centres (r,) and variances (r,)."""
    values, vectors = np.linalg.eigh(problem.R)
    whitener = vectors @ np.diag(values**-0.5) @ vectors.T
    U, singular, Vt = np.linalg.svd(whitener @ problem.A, full_matrices=False)
    ybar = (U.T @ whitener @ problem.y) / singular
    active = sigma / alpha > 1 / singular
    variance = sigma**2 - (1 - kappa) * (alpha / singular) ** 2
    return Vt[active], alpha * ybar[active], variance[active]


def _log_twist(problem, kappa, x, alpha, sigma):
    rows, centre, variance = _twist(problem, kappa, alpha, sigma)
    return norm.logpdf(rows @ x, centre, np.sqrt(variance)).sum()


@eqx.filter_jit
def _parts(model, target, x, t, s, point):
    """Of a move: mean, covariance, log-weight; the same of the start at t."""
    last = jnp.asarray(False)
    moves = model.move(target, (), x, t, s, last), model.start(target, (), t)
    found = [(m.law.mean, m.law.covariance(), m.log_weight(point)) for m in moves]
    return found, model.look_ahead(target, (), x, t, s)


def test_moves_are_gaussian_products(tolerance):
    """In information form: the prior's step, and what the twist sees of it."""
    model, kappa = smc.MCGDiff(kappa=0.3), 0.3
    t, s = jnp.asarray(0.55), jnp.asarray(0.4)
    target, point = to_target(WIDE, PATH), np.array([0.1, 0.5, -0.9])
    (move, start), ahead = _parts(model, target, jnp.asarray(X), t, s, point)
    before, after = scales(PATH, t), scales(PATH, s)
    m = ref.prior_mean(WIDE, X, *before)
    mean = ref.ddpm_mean(X, m, *before, *after)
    v = ref.ddpm_variances(*before, *after)[0]

    def product(mean, v, scales):
        rows, centre, variance = _twist(WIDE, kappa, *scales)
        precision = np.eye(3) / v + rows.T @ np.diag(1 / variance) @ rows
        pull = mean / v + rows.T @ (centre / variance)
        spread = v * np.eye(len(rows)) + np.diag(variance)
        total = multivariate_normal(rows @ mean, spread).logpdf(centre)
        return np.linalg.solve(precision, pull), np.linalg.inv(precision), total

    old = _log_twist(WIDE, kappa, X, *before)
    moved, covariance, total = product(mean, v, after)
    for found, expected in zip(move, (moved, covariance, total - old), strict=True):
        assert_allclose(found, expected, rtol=1e3 * tolerance.identity)
    assert_allclose(ahead, total - old, rtol=1e3 * tolerance.identity)
    law = product(np.zeros(3), before[1] ** 2, before)[:2]
    weight = ref.log_prob(ref.noised(WIDE.prior, *before), point)
    weight += _log_twist(WIDE, kappa, point, *before)
    weight -= multivariate_normal(*law).logpdf(point)
    for found, expected in zip(start, (*law, weight), strict=True):
        assert_allclose(found, expected, rtol=1e3 * tolerance.identity)


def test_the_last_move_leaves_the_likelihood_alone():
    """Of the weight: the twist that was put in is taken out."""
    model, target, kappa = smc.MCGDiff(kappa=0.3), to_target(WIDE, PATH), 0.3
    t, s, point = jnp.asarray(0.55), jnp.asarray(0.4), jnp.asarray([0.1, 0.5, -0.9])

    @eqx.filter_jit
    def weights(model, last):
        move = model.move(target, (), jnp.asarray(X), t, s, last)
        return move.log_weight(point), target.log_likelihood(point, s)

    plain, likelihood = weights(model, jnp.asarray(False))
    last, _ = weights(model, jnp.asarray(True))
    twist = _log_twist(WIDE, kappa, point, *scales(PATH, s))
    assert_allclose(last - plain, likelihood - twist, rtol=1e-9)


def test_both_kinds_of_coordinates_are_asked():
    before, after = (scales(PATH, jnp.asarray(t)) for t in (0.55, 0.4))
    assert len(_twist(WIDE, 1.0, *before)[1]) > len(_twist(WIDE, 1.0, *after)[1]) > 0


def _distance(values, expected):
    """In standard errors."""
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return np.abs(values.mean(axis=0) - expected) / error


def _ratios(key, model, problem, times, expected, threshold=1.0, repeats=4000):
    """Z-hat over what it estimates, and one particle of each filter."""
    model = smc.ParticleFilter(model, "multinomial", threshold)
    found = smc.filters(
        key, model, to_target(problem, PATH), jnp.asarray(times), 8, repeats
    )
    return np.exp(np.asarray(found[0]) - expected), np.asarray(found[1])


@pytest.mark.slow
def test_evidence_and_particles_are_unbiased_where_the_chain_is_exact(key, tolerance):
    """The large variance reverses the noising of N(mu, I): Z-hat is for p(y) itself."""
    problem = standard_gaussian()
    times = gt.time_grid(PATH, 12, "log_snr", t_max=0.95, t_min=0.05)
    model = smc.MCGDiff(gt.kernels.DDPM("large"), kappa=3.0)
    case = key, model, problem, times, ref.log_evidence(*problem)
    ratio, kept = _ratios(*case)
    assert _distance(ratio, 1.0) < tolerance.z
    assert ratio.std() < 10.0
    exact = ref.mean(
        ref.noised(ref.posterior(problem), *scales(PATH, jnp.asarray(0.05)))
    )
    assert np.all(_distance(ratio[:, None] * kept, exact) < tolerance.z)
    ignorant = ref.mean(ref.noised(problem.prior, *scales(PATH, jnp.asarray(0.05))))
    assert np.any(_distance(ratio[:, None] * kept, ignorant) > 2 * tolerance.z)


@pytest.mark.slow
def test_evidence_is_that_of_the_chain(key, tolerance):
    """A mixture on the line, by quadrature of DDPM's chain from the exact marginal."""
    times, nodes = np.array([0.9, 0.6, 0.4, 0.2, 0.1]), np.linspace(-9, 9, 361)
    spacing = nodes[1] - nodes[0]
    at = [scales(PATH, jnp.asarray(t)) for t in times]
    law = ref.noised(LINE.prior, *at[0])
    density = np.exp([ref.log_prob(law, x) for x in nodes[:, None]])
    for before, after in zip(at[:-1], at[1:], strict=True):
        means = [
            ref.ddpm_mean(x, ref.prior_mean(LINE, x, *before), *before, *after)[0]
            for x in nodes[:, None]
        ]
        scale = np.sqrt(ref.ddpm_variances(*before, *after)[0])
        density = spacing * norm.pdf(nodes[:, None], np.array(means), scale) @ density
    likelihood = [np.exp(ref.log_likelihood(LINE, x, *at[-1])) for x in nodes[:, None]]
    expected = np.log(spacing * np.sum(density * likelihood))
    assert abs(expected - ref.log_evidence(*LINE)) > 0.02  # the chain is not the prior
    ratio, _ = _ratios(key, smc.MCGDiff(), LINE, times, expected)
    assert _distance(ratio, 1.0) < tolerance.z
    assert _distance(ratio * np.exp(expected - ref.log_evidence(*LINE)), 1.0) > 4.5


@pytest.mark.slow
def test_the_printed_kappa_is_warned_of(key):
    target = to_target(LINE, PATH)
    times = gt.time_grid(PATH, 12, "log_snr", t_max=0.95, t_min=0.01)
    with pytest.warns(UserWarning, match="no variance"):
        gt.sample(key, smc.MCGDiff(kappa=1e-4), target, times, 10)
    out = gt.sample(key, smc.MCGDiff(), target, times, 10)  # a warning is an error
    assert out.info.nonfinite == 0


@pytest.mark.slow
def test_a_small_noise_is_the_limit_of_none(key, tolerance):
    """y is then a coordinate of x: the filter's mean against the exact posterior."""
    problem = generic(2, 1, 2)._replace(R=np.array([[1e-8]]))
    times = gt.time_grid(PATH, 60, "log_snr", t_max=0.95, t_min=0.01)
    out = gt.sample(key, smc.MCGDiff(), to_target(problem, PATH), times, 4000)
    law = ref.noised(ref.posterior(problem), *scales(PATH, times[-1]))
    weights = np.exp(np.asarray(out.log_weights))
    along = problem.A[0] / np.linalg.norm(problem.A)
    mean = weights @ np.asarray(out.x) @ along
    variance = weights @ (np.asarray(out.x) @ along - mean) ** 2
    scale = np.sqrt(along @ ref.covariance(law) @ along)
    size = 1 / np.sum(weights**2)
    assert abs(mean - along @ ref.mean(law)) < tolerance.z * scale / np.sqrt(size)
    assert abs(variance / scale**2 - 1) < tolerance.z * np.sqrt(2 / size)


def test_a_kernel_with_directions_is_refused(key):
    target = to_target(WIDE, PATH)
    model = smc.MCGDiff(gt.kernels.DDPM("matched"))
    with pytest.raises(gt.UnsupportedError, match="every direction"):
        gt.sample(key, model, target, jnp.asarray([0.9, 0.5, 0.1]), 10)
    with pytest.raises(gt.InputError, match="kappa"):
        smc.MCGDiff(kappa=-1.0)


# --- looking ahead ------------------------------------------------------------------


class Ahead(smc.AbstractFeynmanKac):
    """Another model that chooses its particles by something else."""

    model: smc.AbstractFeynmanKac = smc.Bootstrap()
    facts = smc.Bootstrap.facts

    def check(self, target, times):
        self.model.check(target, times)

    def shared(self, target, times, draws):
        return self.model.shared(target, times, draws)

    def start(self, target, shared, t):
        return self.model.start(target, shared, t)

    def look_ahead(self, target, shared, x, t, s):
        return jnp.sin(3.0 * x[0]) + 0.7 * x[0] * (t - s)

    def move(self, target, shared, x, t, s, last):
        return self.model.move(target, shared, x, t, s, last)


@pytest.mark.parametrize("threshold", [0.0, 0.7, 1.0])
@pytest.mark.slow
def test_any_look_ahead_leaves_evidence_and_particles_unbiased(
    threshold, key, tolerance
):
    """It chooses particles, and its choice is taken out of the weights again."""
    problem, times = LINE, [0.9, 0.6, 0.4, 0.2, 0.1]
    case = key, Ahead(), problem, times, ref.log_evidence(*problem)
    ratio, kept = _ratios(*case, threshold)
    assert _distance(ratio, 1.0) < tolerance.z
    exact = ref.mean(
        ref.noised(ref.posterior(problem), *scales(PATH, jnp.asarray(0.1)))
    )
    assert np.all(_distance(ratio[:, None] * kept, exact) < tolerance.z)


@pytest.mark.parametrize("threshold", [0.7, 1.0])
@pytest.mark.slow
def test_any_look_ahead_leaves_conditional_filters_unbiased(threshold, key, tolerance):
    """The mean of p(y) / Z-hat is 1 if one particle follows an exact posterior path."""
    times = jnp.asarray([0.9, 0.6, 0.4, 0.2, 0.1])
    model = smc.ParticleFilter(Ahead(), "multinomial", threshold)
    case = key, model, to_target(LINE, PATH), times, 8, 4000
    found = smc.filters(*case, follow_posterior=True).log_evidence
    inverse = np.exp(ref.log_evidence(*LINE) - np.asarray(found))
    assert inverse.std() > 0.1
    assert _distance(inverse, 1.0) < tolerance.z
    plain = np.asarray(smc.filters(*case).log_evidence)
    plain = np.minimum(np.exp(ref.log_evidence(*LINE) - plain), 10.0)  # of heavy tails
    assert _distance(plain, 1.0) > 4.5
