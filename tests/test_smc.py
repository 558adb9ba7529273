"""Particle filters against exact evidence, and the identities of conditional filters."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt
from gmm_testbed.random import Draws, key_words
from gmm_testbed.sampling.sampling import draw_starts

from .oracles import numpy_mixture as ref
from .oracles.counted import TRACES, Counted
from .oracles.library import scales, to_target
from .oracles.moments import assert_moments
from .oracles.problems import generic, standard_gaussian

A, smc = gt.approximations, gt.smc
PATH = Counted()
MIXTURE = generic(2, 1, 2)
TIMES = np.array([0.9, 0.6, 0.35, 0.15, 0.0])
TARGET = to_target(MIXTURE, PATH)
MARGINAL = TARGET.marginal(jnp.asarray(TIMES[0]))
LOG_EVIDENCE = ref.log_evidence(*MIXTURE)
WEIGHTS = np.array([0.3, 0.02, 0.25, 0.001, 0.4, 0.029])


# --- resampling ---------------------------------------------------------------------


@eqx.filter_jit
def _ancestors(uniforms):
    """Every scheme on the same weights: name to (repeats, 6)."""
    log_weights = jnp.log(jnp.asarray(WEIGHTS)) + 700.0  # need not be normalised
    return {
        name: jax.vmap(lambda u, scheme=scheme: scheme(u, log_weights))(uniforms)
        for name, scheme in smc.SCHEMES.items()
    }


@pytest.fixture(scope="module")
def resampled():
    uniforms = np.random.default_rng(3).uniform(size=(20_000, 6))
    return uniforms, _ancestors(jnp.asarray(uniforms))


def _numpy_ancestors(name, u):
    """By the definitions, one particle at a time."""
    count, expected = len(u), len(u) * WEIGHTS
    if name == "residual":
        copies = np.repeat(np.arange(count), np.floor(expected).astype(int))
        rest = expected - np.floor(expected)
        return [*copies, *_invert(rest / rest.sum(), u[len(copies) :])]
    offsets = {"multinomial": u, "stratified": u, "systematic": np.full(count, u[0])}
    points = offsets[name]
    if name != "multinomial":
        points = [(i + points[i]) / count for i in range(count)]
    return _invert(WEIGHTS, points)


def _invert(weights, points):
    return [next(k for k in range(6) if p < weights[: k + 1].sum()) for p in points]


@pytest.mark.parametrize("name", smc.SCHEMES)
def test_offspring_are_unbiased_and_those_of_the_definition(name, resampled, tolerance):
    uniforms, ancestors = resampled[0], np.asarray(resampled[1][name])
    for u, found in zip(uniforms[:200], ancestors, strict=False):
        assert list(found) == _numpy_ancestors(name, u)
    counts = (ancestors[:, :, None] == np.arange(6)).sum(axis=1)
    error = counts.std(axis=0, ddof=1) / np.sqrt(len(counts))
    assert np.all(np.abs(counts.mean(axis=0) - 6 * WEIGHTS) < tolerance.z * error)
    if name != "multinomial":
        assert counts.var(axis=0).sum() < 6 * (WEIGHTS * (1 - WEIGHTS)).sum()


def test_effective_size():
    log_weights = jnp.log(jnp.asarray(WEIGHTS))
    size = WEIGHTS.sum() ** 2 / (WEIGHTS**2).sum()
    assert_allclose(smc.effective_size(log_weights - 900.0), size, rtol=1e-12)


# --- no variance --------------------------------------------------------------------


def _assert_exact(out, log_evidence, num):
    assert_allclose(out.log_evidence, log_evidence, rtol=1e-9)
    assert_allclose(out.log_weights, -np.log(num), rtol=1e-9)
    assert_allclose(out.info.ess, num, rtol=1e-9)
    assert out.info.nonfinite == 0


@pytest.mark.slow
def test_fully_adapted_filter_has_no_variance(key, tolerance):
    start = TARGET.posterior(jnp.asarray(TIMES[0]))
    times = jnp.asarray(TIMES)
    out = gt.sample(key, smc.Optimal(), TARGET, times, 2000, initial=start)
    _assert_exact(out, LOG_EVIDENCE, 2000)
    law = ref.posterior(MIXTURE)
    assert_moments(out.x, ref.mean(law), ref.covariance(law), tolerance.z)


FILTERS = {
    name: smc.ParticleFilter(smc.TDS(A.TMPD()), name, 0.9) for name in smc.SCHEMES
}
FILTER = FILTERS["multinomial"]
COUNT, REPEATS = 40, 300


def _run(key, problem, initial=None, times=TIMES, model=FILTER):
    target, times = to_target(problem, PATH), jnp.asarray(times)
    start = target.posterior(times[0]) if initial is None else initial
    return gt.sample(key, model, target, times, COUNT, initial=start, trajectory=True)


@pytest.mark.slow
def test_twisted_filter_with_the_exact_twist_has_no_variance(key):
    """On one Gaussian, here two equal components, TMPD's twist and kernel are exact."""
    means = np.broadcast_to(MIXTURE.prior.means[1], (2, 2))
    covariances = np.broadcast_to(MIXTURE.prior.covariances[0], (2, 2, 2))
    prior = ref.Mixture(MIXTURE.prior.log_weights, means, covariances)
    problem = MIXTURE._replace(prior=prior)
    _assert_exact(_run(key, problem), ref.log_evidence(*problem), COUNT)


# --- unbiasedness -------------------------------------------------------------------


def _z_score(terms, truth):
    terms = np.asarray(terms)
    error = terms.std(axis=0, ddof=1) / np.sqrt(len(terms))
    return np.abs(terms.mean(axis=0) - truth) / error


@pytest.mark.slow
@pytest.mark.parametrize("name", FILTERS)
def test_weighted_paths_are_unbiased(name, key, tolerance):
    r"""E[Z-hat sum_i W_i phi(path_i)] = p(y) E[phi(path) | y], at every time."""
    ratios, sums, resampled = [], [], 0
    for number in range(REPEATS):
        each = jax.random.fold_in(key, number)
        out = _run(each, MIXTURE, MARGINAL, model=FILTERS[name])
        ratio = np.exp(float(out.log_evidence) - LOG_EVIDENCE)
        paths, weights = np.asarray(out.info.trajectory), np.exp(out.log_weights)
        resampled += len(np.unique(paths[:, 0, 0])) < COUNT
        values = np.concatenate([paths, paths**2], axis=2)
        ratios.append(ratio)
        sums.append(ratio * np.tensordot(np.asarray(weights), values, 1))
    assert resampled > REPEATS / 2
    assert np.array_equal(paths[:, -1], out.x)
    assert _z_score(ratios, 1.0) < tolerance.z
    for j, t in enumerate(TIMES):
        law = ref.noised(ref.posterior(MIXTURE), *scales(PATH, jnp.asarray(t)))
        mean = ref.mean(law)
        truth = np.concatenate([mean, np.diag(ref.covariance(law)) + mean**2])
        assert np.all(_z_score(np.array(sums)[:, j], truth) < tolerance.z)


@pytest.mark.slow
def test_metrics_take_the_weighted_samples_of_a_filter(key, tolerance):
    """Never resampled, so independent: the weights alone make up for a coarse grid."""
    model = smc.TDS(A.TMPD(), gt.kernels.DDPM("large"))
    model = smc.ParticleFilter(model, "multinomial", 0.0)
    out = gt.sample(key, model, TARGET, jnp.asarray(TIMES), 4000, initial=MARGINAL)
    exact, metrics = TARGET.posterior(jnp.asarray(TIMES[-1])), gt.divergences
    for metric in (
        metrics.mean_error,
        metrics.covariance_error,
        metrics.mmd_squared,
        lambda *case, **kw: (
            metrics.mode_weights(*case, **kw).weights - np.exp(exact.log_weights)
        ),
    ):
        found, plain = (
            metric(out.x, exact, log_weights=weights)
            for weights in (out.log_weights, jnp.zeros(4000))
        )
        assert np.abs(found.distance(0.0)).max() < tolerance.z
        assert np.abs(plain.distance(0.0)).max() > 2 * tolerance.z


def _chain_evidence(problem):
    """Of DDPM's chain with the large variance, for one Gaussian: y given its output."""
    law = ref.noised(problem.prior, *scales(PATH, jnp.asarray(TIMES[0])))
    mean, spread, eye = law.means[0], law.covariances[0], np.eye(2)
    for t, s in zip(TIMES[:-1], TIMES[1:], strict=True):
        before, after = scales(PATH, jnp.asarray(t)), scales(PATH, jnp.asarray(s))
        _, a, c, variance = ref.bridge(*before, *after)
        denoised = ref.prior_mean(problem, mean, *before)
        step = a * eye + c * ref.denoiser_jacobian(problem, mean, *before)
        mean, spread = a * mean + c * denoised, step @ spread @ step.T + variance * eye
    _, H, R, y = problem
    return np.exp(ref.log_normal(y, H @ mean, H @ spread @ H.T + R))


@pytest.mark.slow
def test_published_filter_finds_the_evidence_of_its_chain(key, tolerance):
    """That is p(y) where the kernel reverses the noising: the large variance, N(., I)."""
    kernel = gt.kernels.DDPM("large")
    model = smc.ParticleFilter(smc.PublishedTDS(A.DPS(), kernel), threshold=0.0)
    for problem, same in ((standard_gaussian(2, 1), True), (generic(2, 1, 1), False)):
        target, times = to_target(problem, PATH), jnp.asarray(TIMES)
        start = target.marginal(times[0])
        out = gt.sample(key, model, target, times, 8192, initial=start)
        found = 8192 * np.exp(np.asarray(out.log_weights) + float(out.log_evidence))
        evidence = np.exp(ref.log_evidence(*problem))
        assert _z_score(found, _chain_evidence(problem)) < tolerance.z
        if same:
            assert_allclose(_chain_evidence(problem), evidence, rtol=1e-9)
        else:
            assert _z_score(found, evidence) > 2 * tolerance.z


def test_published_filter_leaves_a_step_without_noise_to_the_prior():
    """To time 0, with the small variance: no weight, and x0 is E[x0 | x_t]."""
    x, t, zero = jnp.asarray([0.7, -1.1]), jnp.asarray(0.15), jnp.zeros(())
    model = smc.PublishedTDS(A.DPS())

    @jax.jit
    def last(key):
        proposal = model.propose(TARGET, x, t, zero)
        new = proposal.law.draw(Draws(key_words(key), 0))
        return new, proposal.log_ratio(new)

    new, log_ratio = last(jax.random.key(1))
    assert_allclose(new, ref.prior_mean(MIXTURE, x, *scales(PATH, t)), rtol=1e-9)
    assert log_ratio == 0.0


def _chi_squared(problem):
    """chi2(posterior || prior), in closed form (Gaussian integrals)."""
    (log_weights, means, covariances), H, R, y = problem
    terms = [
        w + ref.log_normal(y, H @ m, H @ C @ H.T + R / 2)
        for w, m, C in zip(log_weights, means, covariances, strict=True)
    ]
    size = len(y) * np.log(4 * np.pi) + np.linalg.slogdet(R)[1]
    return np.exp(terms).sum() * np.exp(-size / 2 - 2 * LOG_EVIDENCE) - 1.0


@pytest.fixture(scope="module")
def bootstrap():
    """16384 particles of the bootstrap filter, by batch size."""

    @functools.cache
    def run(batch_size):
        case = smc.Bootstrap(), TARGET, jnp.asarray(TIMES), 16_384
        options = {"initial": MARGINAL, "batch_size": batch_size}
        return gt.sample(jax.random.key(17), *case, **options)

    return run


@pytest.mark.slow
def test_bootstrap_is_importance_sampling_with_its_variance(bootstrap, tolerance):
    """Weights over p(y) have mean 1 and variance chi2(posterior || prior) (T17)."""
    out = bootstrap(4096)
    num = len(out.x)
    weights = np.exp(np.asarray(out.log_weights) + float(out.log_evidence)) * num
    weights = weights / np.exp(LOG_EVIDENCE)
    chi_squared = _chi_squared(MIXTURE)
    assert chi_squared > 1.0
    assert _z_score(weights, 1.0) < tolerance.z
    assert _z_score((weights - 1.0) ** 2, chi_squared) < tolerance.z
    law = ref.posterior(MIXTURE)
    offset = np.asarray(out.x) - ref.mean(law)
    products = offset[:, :, None] * offset[:, None, :] - ref.covariance(law)
    assert np.all(_z_score(weights[:, None] * offset, 0.0) < tolerance.z)
    assert np.all(_z_score(weights[:, None, None] * products, 0.0) < tolerance.z)
    assert_allclose(out.info.ess[:-1], num, rtol=1e-9)
    # n E[w]^2 / E[w^2] of the sample, by the derivative in both means.
    square = 1.0 + chi_squared
    terms = 2.0 * (weights - 1.0) / square - (weights**2 - square) / square**2
    error = terms.std(ddof=1) / np.sqrt(num)
    assert abs(out.info.ess[-1] / num - 1.0 / square) < tolerance.z * error


@pytest.mark.slow
def test_particles_do_not_depend_on_the_batch_size(bootstrap):
    one, other = bootstrap(4096), bootstrap(2048)
    assert_allclose(one.x, other.x, rtol=1e-9, atol=1e-9)
    assert_allclose(one.log_weights, other.log_weights, rtol=1e-9, atol=1e-9)


# --- conditional filters ------------------------------------------------------------

MULTINOMIAL = smc.ParticleFilter(
    smc.TDS(A.DPS(), gt.kernels.DDPM("large")), "multinomial", 0.9
)
SHORT = np.array([0.9, 0.5, 0.2, 0.05])


def _case(num):
    return MULTINOMIAL, TARGET, jnp.asarray(SHORT), num, 4096


@pytest.fixture(scope="module")
def filters():
    """Plain and conditional ones with four particles."""
    key = jax.random.key(11)
    return [
        smc.filters(k, *_case(4), follow_posterior=follow)
        for k, follow in zip(jax.random.split(key), (False, True), strict=True)
    ]


@pytest.fixture(scope="module")
def ratios(filters):
    """Z-hat / p(y) of both."""
    return [np.exp(np.asarray(f.log_evidence)) / np.exp(LOG_EVIDENCE) for f in filters]


@pytest.mark.slow
def test_plain_and_conditional_filters_are_two_sides_of_one_density(ratios, tolerance):
    """E[Z-hat / p(y)] = 1 plain, E[p(y) / Z-hat] = 1 conditional, and any test between.

    E_conditional f = E_plain (Z-hat / p(y)) f for every f of all the random numbers.
    """
    plain, conditional = ratios
    assert _z_score(plain, 1.0) < tolerance.z
    assert _z_score(1.0 / conditional, 1.0) < tolerance.z
    for f in (lambda r: 1.0 / (1.0 + r), lambda r: np.minimum(r, 2.0)):
        terms = f(conditional), plain * f(plain)
        gap = terms[0].mean() - terms[1].mean()
        error = np.hypot(*(term.std() for term in terms)) / np.sqrt(len(plain))
        assert abs(gap) < tolerance.z * error
        assert abs(f(plain).mean() - terms[0].mean()) > 10 * error


def test_one_particle_of_a_conditional_filter_is_exact(filters, ratios, tolerance):
    """So is one of a plain filter, weighted by Z-hat; unweighted it is not."""
    exact = np.asarray(TARGET.posterior(jnp.asarray(SHORT[-1])).mean())
    (plain, kept), weights = (np.asarray(f.drawn) for f in filters), ratios[0]
    for axis in range(2):
        assert _z_score(kept[:, axis], exact[axis]) < tolerance.z
        terms = weights * (plain[:, axis] - exact[axis])
        assert _z_score(terms, 0.0) < tolerance.z
    assert max(_z_score(plain[:, axis], exact[axis]) for axis in range(2)) > 6


@pytest.mark.slow
def test_kl_bounds_are_positive_and_those_of_the_filters(ratios, key, tolerance):
    bounds = smc.kl_bounds(key, *_case(4))
    plain, conditional = ratios
    for bound, terms in (
        (bounds.forward, np.log(conditional)),
        (bounds.reverse, -np.log(plain)),
    ):
        assert bound.value > tolerance.z * bound.stderr
        error = np.hypot(bound.stderr, terms.std() / np.sqrt(len(terms)))
        assert abs(bound.value - terms.mean()) < tolerance.z * error


@pytest.mark.slow
def test_conditional_filter_keeps_its_reference(key):
    """The other particles start where those of the plain filter do."""
    times = jnp.asarray(TIMES)
    path = smc.posterior_path(key, TARGET, times)
    assert path.shape == (5, 2)
    case = key, FILTER, TARGET, times
    out = smc.conditional(*case, path, COUNT, initial=MARGINAL)
    assert np.array_equal(out.info.trajectory[0], path)
    starts = np.asarray(draw_starts(key, MARGINAL, COUNT))
    first = np.asarray(out.info.trajectory)[:, 0]
    others = np.any(first != np.asarray(path)[0], axis=1)
    assert others.any() and np.isin(first[others], starts[1:]).all()
    assert out.log_evidence != _run(key, MIXTURE, MARGINAL).log_evidence


def test_posterior_paths_have_their_joint_law(key, tolerance):
    """Cov(x_t, x_s) = alpha_t / alpha_s Cov(x_s) for s < t: noise is added forwards."""
    times, num = jnp.asarray(SHORT), 4096
    paths = jax.jit(jax.vmap(lambda k: smc.posterior_path(k, TARGET, times)))
    x = np.asarray(paths(jax.random.split(key, num))).reshape(num, -1)
    at = [scales(PATH, t) for t in times]
    laws = [ref.noised(ref.posterior(MIXTURE), *one) for one in at]
    mean = np.concatenate([ref.mean(law) for law in laws])
    covariance = np.block(
        [
            [
                min(a, b)[0] / max(a, b)[0] * ref.covariance(laws[max(i, j)])
                for j, b in enumerate(at)
            ]
            for i, a in enumerate(at)
        ]
    )
    assert np.all(_z_score(x, mean) < tolerance.z)
    products = (x - mean)[:, :, None] * (x - mean)[:, None, :]
    assert np.all(_z_score(products, covariance) < tolerance.z)


def test_conditional_filters_refuse(key, without_shape_checks):
    case, path = (TARGET, jnp.asarray(TIMES)), jnp.zeros((4, 2))
    with pytest.raises(gt.InputError, match="reference"):
        smc.conditional(key, FILTER, *case, path, COUNT)
    with pytest.raises(gt.UnsupportedError, match="multinomial"):
        smc.log_evidences(key, smc.ParticleFilter(smc.Bootstrap()), *case, 2, 2)


# --- twists -------------------------------------------------------------------------


@eqx.filter_jit
def _twists(approximations, target, x, t):
    return [smc.log_twist(part, target, x, t) for part in approximations]


def test_twists_are_the_likelihoods_of_the_approximations():
    problem = generic(3, 2, 3)
    x, t = np.array([0.7, -1.1, 0.2]), jnp.asarray(0.4)
    alpha, sigma = scales(PATH, t)
    at = problem, x, alpha, sigma
    parts = [A.DPS(), A.PiGDM("flat"), A.TMPD(), A.Exact(), A.Unguided(), A.DDNM()]
    found = _twists(parts, to_target(problem, PATH), jnp.asarray(x), t)
    m, C, H = ref.prior_mean(*at), ref.prior_covariance(*at), problem.A
    spreads = [np.zeros((3, 3)), (sigma / alpha) ** 2 * np.eye(3), C]
    dps, pigdm, tmpd = (
        ref.log_normal(problem.y, H @ m, problem.R + H @ V @ H.T) for V in spreads
    )
    truth = [dps, pigdm, tmpd, ref.log_likelihood(*at), 0.0, dps]
    assert_allclose(found, truth, rtol=1e-9)


# --- what they refuse, and compilations ---------------------------------------------


def test_one_compilation_serves_all_grids_and_hyper_parameters(bootstrap, key):
    num = len(bootstrap(4096).x)
    target = to_target(MIXTURE._replace(y=MIXTURE.y + 1.0), PATH)
    TRACES.clear()
    model, times = (
        smc.ParticleFilter(smc.Bootstrap(), threshold=0.2),
        jnp.linspace(0.8, 0.1, 20),
    )
    out = gt.sample(key, model, target, times, num, initial=MARGINAL)
    assert not TRACES
    assert out.info.ess.shape == (20,) and out.info.nonfinite == 0


def test_refusals():
    times = jnp.asarray(TIMES)
    for model in (
        smc.TDS(A.TMPD(), gt.kernels.DDPM()),  # no noise in a step to time 0
        smc.TDS(A.TMPD(), gt.kernels.DDIM(0.0)),
    ):
        with pytest.raises(gt.UnsupportedError, match="density"):
            model.check(TARGET, times)
    with pytest.raises(gt.UnsupportedError, match="density"):
        smc.PublishedTDS(A.TMPD(), gt.kernels.DDIM(0.0)).check(TARGET, times)
    atoms = gt.GaussianMixture.empirical([[0.1], [0.9]])
    problem = gt.InverseProblem(atoms, gt.Linear([[2.0]], 0.1), [1.0])
    target = gt.Target(problem, PATH)
    for model in (smc.Bootstrap(), smc.PublishedTDS(A.DPS()), smc.Optimal()):
        model.check(target, times[:-1])
        with pytest.raises(gt.UnsupportedError, match="density"):
            model.check(target, times)
    with pytest.raises(gt.InputError, match="resampling"):
        smc.ParticleFilter(smc.Bootstrap(), "systemic")
