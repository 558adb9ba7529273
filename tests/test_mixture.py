"""GaussianMixture against dense NumPy: every constructor, every closed operation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

import gmm_testbed as gt
from gmm_testbed.mixture import components, products

from .oracles import numpy_mixture as ref
from .oracles.library import from_mixture, to_mixture
from .oracles.problems import LINE, SPACE

WEIGHTS = np.array([0.2, 0.5, 0.3])
ALPHA, SIGMA = 0.7, 0.6
FLOAT32 = not jnp.zeros(()).dtype == jnp.float64


def _isotropic(dim):
    means = np.random.default_rng(dim).normal(size=(3, dim))
    variances = np.array([0.3, 1.1, 0.6])
    mix = gt.GaussianMixture.isotropic(WEIGHTS, means, variances)
    return mix, ref.mixture(WEIGHTS, means, variances[:, None, None] * np.eye(dim))


def _one_variance(dim):
    means = np.random.default_rng(dim).normal(size=(3, dim))
    mix = gt.GaussianMixture.isotropic(WEIGHTS, means, np.float64(0.4))
    return mix, ref.mixture(WEIGHTS, means, 0.4 * np.eye(dim)[None].repeat(3, 0))


def _diagonal(dim):
    rng = np.random.default_rng(dim)
    means, variances = rng.normal(size=(3, dim)), rng.uniform(0.1, 2, size=(3, dim))
    covariances = np.stack([np.diag(row) for row in variances])
    mix = gt.GaussianMixture.diagonal(WEIGHTS, means, variances)
    return mix, ref.mixture(WEIGHTS, means, covariances)


def _full(problem):
    return to_mixture(problem.prior), problem.prior


def _seen_once(dim):
    """Isotropic, conditioned on two measurements: rank 2 plus a base."""
    mix, oracle = _isotropic(dim)
    A, R, y = np.random.default_rng(5).normal(size=(2, dim)), 0.3 * np.eye(2), [1, -1]
    seen = (jnp.asarray(A), jnp.asarray(R), jnp.asarray(y, mix.means.dtype))
    return mix.conditioned(*seen), ref.conditioned(oracle, A, R, np.array(y))


MIXTURES = {
    "isotropic line": lambda: _isotropic(1),
    "isotropic": lambda: _isotropic(3),
    "one variance": lambda: _one_variance(3),
    "diagonal": lambda: _diagonal(3),
    "full line": lambda: _full(LINE),
    "full": lambda: _full(SPACE),
    "rank two of five": lambda: _seen_once(5),
    # one basis, or none, in more than 16 dimensions: by matrix products
    "isotropic in 20": lambda: _isotropic(20),
    "diagonal in 20": lambda: _diagonal(20),
    "rank two of 20": lambda: _seen_once(20),
}


@eqx.filter_jit
def _everything(mix, x, alpha, sigma):
    law = mix.denoised(x, alpha, sigma)
    return {
        "log_prob": mix.log_prob(x),
        "score": mix.score(x),
        "gradient": jax.grad(mix.log_prob)(x),
        "responsibilities": mix.responsibilities(x),
        "mean": mix.mean(),
        "covariance": mix.covariance(),
        "product": mix.covariance_product(x),
        "total": mix.total_variance(),
        "noised": mix.noised(alpha, sigma).log_prob(x),
        "denoised weights": jnp.exp(law.log_weights),
        "denoised means": law.means,
        "denoised covariances": law.covariances(),
        "denoised mean": mix.denoised_mean(x, alpha, sigma),
    }


@pytest.fixture(scope="module", params=MIXTURES)
def case(request):
    """Package's mixture, oracle's mixture, a point and everything at that point."""
    mix, oracle = MIXTURES[request.param]()
    x = np.linspace(-0.8, 1.1, mix.dim)
    values = _everything(mix, jnp.asarray(x), jnp.asarray(ALPHA), jnp.asarray(SIGMA))
    return mix, oracle, x, values


@pytest.mark.float32
def test_density_score_and_responsibilities(case, tolerance):
    _, oracle, x, values = case
    rtol = tolerance.identity
    assert_allclose(values["log_prob"], ref.log_prob(oracle, x), rtol)
    assert_allclose(
        values["responsibilities"], ref.responsibilities(oracle, x), rtol, rtol
    )
    assert_allclose(values["score"], ref.score(oracle, x), rtol, rtol)
    assert_allclose(values["gradient"], ref.score(oracle, x), rtol, rtol)


@pytest.mark.float32
def test_moments(case, tolerance):
    _, oracle, x, values = case
    rtol = tolerance.identity
    covariance = ref.covariance(oracle)
    assert_allclose(values["mean"], ref.mean(oracle), rtol, rtol)
    assert_allclose(values["covariance"], covariance, rtol, rtol)
    assert_allclose(values["product"], covariance @ x, rtol, rtol)
    assert_allclose(values["total"], np.trace(covariance), rtol)


def test_components(case):
    mix, oracle, _, _ = case
    again = from_mixture(mix)
    assert mix.num_components == len(oracle.means)
    assert_allclose(np.exp(again.log_weights), np.exp(oracle.log_weights), rtol=1e-12)
    assert_allclose(again.means, oracle.means, rtol=1e-12, atol=1e-12)
    assert_allclose(again.covariances, oracle.covariances, rtol=1e-12, atol=1e-12)


@pytest.mark.float32
def test_noising_and_denoising(case, tolerance):
    _, oracle, x, values = case
    rtol = tolerance.identity
    noised = ref.log_prob(ref.noised(oracle, ALPHA, SIGMA), x)
    law = ref.denoised(oracle, x, ALPHA, SIGMA)
    assert_allclose(values["noised"], noised, rtol)
    assert_allclose(values["denoised weights"], np.exp(law.log_weights), rtol, rtol)
    assert_allclose(values["denoised means"], law.means, rtol, rtol)
    assert_allclose(values["denoised covariances"], law.covariances, rtol, rtol)
    assert_allclose(values["denoised mean"], ref.mean(law), rtol, rtol)


@eqx.filter_jit
def _conditioned(mix, A, R, y):
    return mix.conditioned(A, R, y), mix.log_evidence(A, R, y)


@eqx.filter_jit
def _affine(mix, A, b=None, R=None):
    return mix.affine(A, b, R)


@eqx.filter_jit
def _density(mix, x):
    return mix.log_prob(x), mix.score(x), jax.grad(mix.log_prob)(x)


@eqx.filter_jit
def _noised_density(mix, x):
    return _density(mix.noised(jnp.asarray(ALPHA), jnp.asarray(SIGMA)), x)


def _assert_same_law(mix, oracle, rtol=1e-9):
    """Equal component by component."""
    again = from_mixture(mix)
    for mine, theirs in zip(again, oracle, strict=True):
        assert_allclose(mine, theirs, rtol, rtol)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("isotropic", 2),
        ("diagonal", 4),
        ("full", 2),
        ("rank two of five", 2),
        ("rank two of five", 4),
    ],
)
def test_conditioning_on_fewer_and_on_more_measurements_than_dimensions(name, rows):
    mix, oracle = MIXTURES[name]()
    rng = np.random.default_rng(rows)
    A, y = rng.normal(size=(rows, mix.dim)), rng.normal(size=rows)
    R = 0.2 * np.eye(rows) + 0.1 * np.ones((rows, rows))
    law, evidence = _conditioned(mix, *map(jnp.asarray, (A, R, y)))
    _assert_same_law(law, ref.conditioned(oracle, A, R, y))
    assert_allclose(evidence, ref.log_evidence(oracle, A, R, y), rtol=1e-9)


@pytest.mark.parametrize("R", [0.3, np.array([0.3, 0.7])])
def test_noise_may_be_a_variance_or_variances(R):
    mix, oracle = MIXTURES["full"]()
    full = np.diag(np.broadcast_to(R, 2))
    law, evidence = _conditioned(mix, *map(jnp.asarray, (SPACE.A, R, SPACE.y)))
    _assert_same_law(law, ref.conditioned(oracle, SPACE.A, full, SPACE.y))
    truth = ref.log_evidence(oracle, SPACE.A, full, SPACE.y)
    assert_allclose(evidence, truth, rtol=1e-9)
    noisy = _affine(mix, jnp.asarray(SPACE.A), None, jnp.asarray(R))
    _assert_same_covariances(noisy, ref.affine(oracle, SPACE.A, np.zeros(2), full))


def _assert_same_covariances(mix, oracle):
    assert_allclose(mix.covariances(), oracle.covariances, rtol=1e-9, atol=1e-12)
    assert_allclose(mix.means, oracle.means, rtol=1e-9, atol=1e-12)


def test_two_measurements_one_after_the_other_are_the_two_at_once():
    mix, oracle = MIXTURES["isotropic"]()
    rng = np.random.default_rng(3)
    A, y = rng.normal(size=(3, 3)), rng.normal(size=3)
    first, evidence_first = _conditioned(
        mix, jnp.asarray(A[:1]), jnp.asarray(0.2), jnp.asarray(y[:1])
    )
    both, evidence_second = _conditioned(
        first, jnp.asarray(A[1:]), jnp.asarray(0.2), jnp.asarray(y[1:])
    )
    _assert_same_law(both, ref.conditioned(oracle, A, 0.2 * np.eye(3), y))
    total = ref.log_evidence(oracle, A, 0.2 * np.eye(3), y)
    assert_allclose(evidence_first + evidence_second, total, rtol=1e-9)


@pytest.mark.parametrize("name", ["full", "rank two of five"])
def test_denoising_is_conditioning_on_the_noisy_point(name):
    mix, _ = MIXTURES[name]()
    x = jnp.linspace(-0.8, 1.1, mix.dim)
    law = eqx.filter_jit(mix.denoised)(x, jnp.asarray(ALPHA), jnp.asarray(SIGMA))
    A, R = ALPHA * jnp.eye(mix.dim), SIGMA**2 * jnp.eye(mix.dim)
    _assert_same_law(law, from_mixture(_conditioned(mix, A, R, x)[0]))


def test_noising_twice_is_noising_once():
    mix, _ = MIXTURES["diagonal"]()
    a, s, b, u = (jnp.asarray(value) for value in (0.8, 0.3, 0.5, 0.7))
    twice = mix.noised(a, s).noised(b, u)
    once = mix.noised(a * b, jnp.sqrt(b**2 * s**2 + u**2))
    _assert_same_law(twice, from_mixture(once), rtol=1e-12)


def test_affine_map_to_fewer_and_to_more_dimensions():
    mix, oracle = MIXTURES["full"]()
    rng = np.random.default_rng(7)
    for rows in (2, 5):
        A, b = rng.normal(size=(rows, 3)), rng.normal(size=rows)
        law = _affine(mix, jnp.asarray(A), jnp.asarray(b))
        _assert_same_covariances(law, ref.affine(oracle, A, b, 0.0))
        # In more dimensions the law has no density, but its noised law has.
        x = rng.normal(size=rows)
        noised, *_ = _noised_density(law, jnp.asarray(x))
        truth = ref.noised(ref.affine(oracle, A, b, 0.0), ALPHA, SIGMA)
        assert_allclose(noised, ref.log_prob(truth, x), rtol=1e-9)


@pytest.mark.parametrize(
    "R", [0.0, np.array([0.0, 0.7]), np.array([[0.4, 0.6], [0.6, 0.9]])]
)
def test_noise_of_an_affine_map_may_be_singular(R):
    mix, oracle = MIXTURES["full"]()
    full = R if np.ndim(R) == 2 else np.diag(np.broadcast_to(R, 2))
    noisy = mix.affine(jnp.asarray(SPACE.A), R=jnp.asarray(R))
    _assert_same_covariances(noisy, ref.affine(oracle, SPACE.A, np.zeros(2), full))


def test_density_integrates_to_one():
    mix, _ = MIXTURES["isotropic line"]()
    density = jax.jit(lambda x: jnp.exp(mix.log_prob(x[None])))
    total = quad(lambda x: float(density(jnp.asarray(x))), -12, 12, epsabs=1e-11)[0]
    assert_allclose(total, 1, rtol=1e-9)


def test_semi_definite_covariance_is_accepted():
    direction = np.array([0.6, -0.8, 0.0])
    covariances = np.stack([np.outer(direction, direction), np.diag([1.0, 0.5, 0.2])])
    means = np.array([[1.0, 0, 2], [0, -1, 0]])
    oracle = ref.mixture([0.3, 0.7], means, covariances)
    mix = gt.GaussianMixture.full(*(jnp.asarray(p) for p in ([0.3, 0.7], *oracle[1:])))
    x = np.array([0.2, 0.1, -0.4])
    truth = ref.noised(oracle, ALPHA, SIGMA)
    _, score, _ = _noised_density(mix, jnp.asarray(x))
    assert_allclose(score, ref.score(truth, x), rtol=1e-9)
    law, _ = _conditioned(mix, *(jnp.asarray(part) for part in SPACE[1:]))
    _assert_same_law(law, ref.conditioned(oracle, *SPACE[1:]))


LINES = np.array([[1.0, 2.0, -0.5], [0.6, -0.8, 0.1]])
SINGULAR = {
    "rank one": LINES[:1, :, None] * LINES[:1, None, :],
    "rank two": (LINES.T @ LINES)[None],
    "rank none": np.zeros((1, 3, 3)),
    "second of two": np.stack([np.eye(3), np.outer(LINES[1], LINES[1])]),
}


@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.parametrize("ask", ["log_prob", "score", "responsibilities"])
def test_singular_covariances_have_no_density(name, ask):
    covariances = SINGULAR[name]
    count = len(covariances)
    weights = jnp.asarray([[1.0], [0.3, 0.7]][count - 1])
    mix = gt.GaussianMixture.full(weights, LINES[:count], jnp.asarray(covariances))
    x = jnp.asarray([0.3, 0.3, -0.2])
    for law in (mix, mix.noised(jnp.asarray(0.5), jnp.asarray(0.0))):
        with pytest.raises(gt.InputError, match="singular"):
            getattr(law, ask)(x)
        with pytest.raises(gt.InputError, match="singular"):
            jax.jit(lambda x, law=law: getattr(law, ask)(x))(x)  # only x is unknown
    noised = mix.noised(jnp.asarray(0.5), jnp.asarray(1e-3))
    assert np.all(np.isfinite(getattr(noised, ask)(x)))


def test_atoms_with_noise_in_one_direction_have_no_density():
    law = gt.GaussianMixture.empirical(ATOMS).affine(np.eye(2), R=np.diag([0.5, 0.0]))
    with pytest.raises(gt.InputError, match="singular"):
        law.log_prob(jnp.zeros(2))


def test_component_of_weight_zero_does_not_count():
    means = jnp.asarray([[0.0, 1.0], [5.0, 5.0]])
    mix = gt.GaussianMixture.isotropic(jnp.asarray([1.0, 0.0]), means, 0.5)
    alone = gt.GaussianMixture.isotropic(jnp.asarray([1.0]), means[:1], 0.5)
    x = jnp.asarray([4.0, 4.5])
    for mine, theirs in zip(_density(mix, x), _density(alone, x), strict=True):
        assert_allclose(mine, theirs, rtol=1e-12)


# --- atoms --------------------------------------------------------------------------

ATOMS = np.array([[0.0, 1.0], [2.0, -1.0], [0.0, 1.0], [-1.5, 0.5]])
ATOM_WEIGHTS = np.array([0.1, 0.4, 0.3, 0.2])


def test_equal_atoms_are_merged_and_their_weights_added():
    mix = gt.GaussianMixture.empirical(jnp.asarray(ATOMS), jnp.asarray(ATOM_WEIGHTS))
    assert mix.num_components == 3
    assert_allclose(mix.means, ATOMS[[0, 1, 3]])
    assert_allclose(jnp.exp(mix.log_weights), [0.4, 0.4, 0.2], rtol=1e-12)
    assert np.all(np.asarray(mix.covariances()) == 0)
    assert_allclose(mix.mean(), ATOM_WEIGHTS @ ATOMS, rtol=1e-12)


def test_atoms_are_uniform_by_default():
    mix = gt.GaussianMixture.empirical(jnp.asarray(ATOMS))
    assert_allclose(jnp.exp(mix.log_weights), [0.5, 0.25, 0.25], rtol=1e-12)


@pytest.mark.parametrize("ask", ["log_prob", "score", "responsibilities"])
def test_atoms_have_no_density(ask):
    mix = gt.GaussianMixture.empirical(jnp.asarray(ATOMS))
    with pytest.raises(gt.InputError, match="no density"):
        getattr(mix, ask)(jnp.zeros(2))
    with pytest.raises(gt.InputError, match="no density"):
        getattr(mix.noised(jnp.asarray(0.5), jnp.asarray(0.0)), ask)(jnp.zeros(2))


def test_noised_and_denoised_atoms():
    atoms, weights = ATOMS[[1, 0, 3]], np.array([0.5, 0.3, 0.2])
    oracle = ref.mixture(weights, atoms, np.zeros((3, 2, 2)))
    mix = gt.GaussianMixture.empirical(jnp.asarray(atoms), jnp.asarray(weights))
    x, alpha, sigma = np.array([0.4, 0.2]), jnp.asarray(ALPHA), jnp.asarray(SIGMA)
    truth = ref.noised(oracle, ALPHA, SIGMA)
    noised, *_ = _noised_density(mix, jnp.asarray(x))
    assert_allclose(noised, ref.log_prob(truth, x), rtol=1e-12)
    law = eqx.filter_jit(mix.denoised)(jnp.asarray(x), alpha, sigma)
    truth = ref.denoised(oracle, x, ALPHA, SIGMA)
    assert_allclose(jnp.exp(law.log_weights), np.exp(truth.log_weights), rtol=1e-12)
    assert_allclose(law.mean(), ref.mean(truth), rtol=1e-12)
    assert_allclose(law.covariance(), ref.covariance(truth), rtol=1e-12)


def test_conditioned_atoms_keep_their_place_and_change_weight():
    mix = gt.GaussianMixture.empirical(jnp.asarray(ATOMS[[1, 0, 3]]))
    A, R, y = np.array([[1.0, 2.0]]), 0.7, np.array([0.4])
    law, evidence = _conditioned(mix, *(jnp.asarray(part) for part in (A, R, y)))
    residuals = y - np.asarray(mix.means) @ A[0]
    factors = np.exp(-0.5 * residuals**2 / R)
    assert_allclose(jnp.exp(law.log_weights), factors / factors.sum(), rtol=1e-12)
    assert_allclose(law.means, mix.means)
    total = np.log(np.mean(factors)) - 0.5 * np.log(2 * np.pi * R)
    assert_allclose(evidence, total, rtol=1e-12)


def test_affine_image_of_atoms_is_atoms():
    mix = gt.GaussianMixture.empirical(jnp.asarray(ATOMS[[1, 0, 3]]))
    A, b = np.array([[1.0, 2.0], [0.5, 0], [0, 1]]), np.array([1.0, 0, -1])
    law = mix.affine(jnp.asarray(A), jnp.asarray(b))
    assert_allclose(law.means, ATOMS[[1, 0, 3]] @ A.T + b, rtol=1e-12)
    assert law.atomic
    noisy = mix.affine(jnp.asarray(A), R=jnp.asarray(0.3))
    assert_allclose(noisy.covariances(), np.broadcast_to(0.3 * np.eye(3), (3, 3, 3)))


# --- samples ------------------------------------------------------------------------


NUM = 8192  # two of the chunks in which samples are drawn


@eqx.filter_jit
def _samples(mix, key, num):
    return mix.sample(key, num)


@pytest.mark.parametrize("name", ["full", "rank two of five"])
def test_samples_have_the_moments_of_the_mixture(name, key, tolerance):
    mix, oracle = MIXTURES[name]()
    samples = np.asarray(_samples(mix, key, NUM))
    assert samples.shape == (NUM, mix.dim)
    centred = samples - ref.mean(oracle)
    _assert_mean_is_zero(centred, tolerance.z)
    products = centred[:, :, None] * centred[:, None, :] - ref.covariance(oracle)
    _assert_mean_is_zero(products.reshape(NUM, -1), tolerance.z)


def test_samples_visit_components_by_weight(key, tolerance):
    means = jnp.outer(jnp.asarray([-100.0, 0.0, 100.0]), jnp.ones(3))
    covariances = jnp.asarray(SPACE.prior.covariances)
    mix = gt.GaussianMixture.full(jnp.asarray(WEIGHTS), means, covariances)
    samples = np.asarray(_samples(mix, key, NUM))[:, 0]
    labels = np.rint(samples / 100)[:, None] == np.array([-1, 0, 1])
    _assert_mean_is_zero(labels.astype(float) - WEIGHTS, tolerance.z)


def _assert_mean_is_zero(values, z):
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    assert np.all(error > 0)
    assert np.all(np.abs(values.mean(axis=0)) < z * error)


@pytest.mark.float32
def test_sample_number_i_depends_on_the_key_and_i_alone(key):
    mix, _ = MIXTURES["full"]()
    few, many = _samples(mix, key, 10), _samples(mix, key, NUM)
    assert_allclose(few, many[:10], rtol=1e-6)
    assert len(np.unique(np.asarray(many)[:, 0])) > NUM - 12
    other = _samples(mix, jax.random.fold_in(key, 1), 10)
    assert np.all(np.asarray(other) != np.asarray(few))


def test_samples_of_atoms_are_atoms(key, tolerance):
    mix = gt.GaussianMixture.empirical(jnp.asarray(ATOMS), jnp.asarray(ATOM_WEIGHTS))
    samples = np.asarray(_samples(mix, key, NUM))
    hits = np.array([np.all(samples == atom, axis=1) for atom in np.asarray(mix.means)])
    assert np.all(hits.sum(axis=0) == 1)
    _assert_mean_is_zero(hits.T.astype(float) - [0.4, 0.4, 0.2], tolerance.z)


def test_mixtures_pass_through_vmap_and_jit():
    mix, oracle = MIXTURES["full"]()
    points = np.random.default_rng(0).normal(size=(5, 3))
    batch = jax.jit(jax.vmap(mix.log_prob))(jnp.asarray(points))
    assert_allclose(batch, [ref.log_prob(oracle, x) for x in points], rtol=1e-10)


@pytest.mark.parametrize("apart, offset", [(8.0, 0.0), (1e3, 5e4), (1e-2, 1e3)])
@pytest.mark.slow
def test_distances_by_matrix_products_have_no_term_larger_than_the_result(
    apart, offset
):
    rng = np.random.default_rng(11)
    means = apart * rng.integers(-2, 3, (25, 100)) + offset
    x = rng.standard_normal((40, 100)) + means[rng.integers(0, 25, 40)]
    wide = np.longdouble
    exact = ((x.astype(wide)[:, None] - means.astype(wide)[None]) ** 2).sum(axis=2)
    found = jax.vmap(components.squared_distances, in_axes=(0, None))(
        jnp.asarray(x), jnp.asarray(means)
    )
    np.testing.assert_allclose(found, exact.astype(float), rtol=1e-12)
    slope = jax.jacfwd(components.squared_distances)(
        jnp.asarray(x[0]), jnp.asarray(means)
    )
    np.testing.assert_allclose(
        slope, 2 * (x[0] - means), rtol=1e-9, atol=1e-9 * np.abs(means).max()
    )


@pytest.mark.parametrize(
    "apart, variance, last", [(30.0, 1e-3, 1.0), (1e3, 1.0, 1.0), (1.0, 1e-3, 1e10)]
)
@pytest.mark.slow
def test_one_basis_in_many_dimensions_against_extended_precision(apart, variance, last):
    """The last component may be far from all others, and weigh nothing."""
    rng = np.random.default_rng(1)
    A, means = rng.standard_normal((6, 40)) / np.sqrt(40), rng.standard_normal((7, 40))
    means[-1] *= last
    weights = np.append(np.full(6, 1 / 6), 1e-300)
    prior = gt.GaussianMixture.isotropic(weights, apart * means, variance)
    mix = prior.conditioned(A, 0.1 * variance, apart * A @ means[1])
    assert components.projects(mix.basis, 7) and mix.basis.shape == (1, 40, 6)
    parts = mix.log_weights, mix.means, mix.base, mix.basis[0], mix.spectrum
    log_weights, means, base, U, spectrum = (
        np.asarray(p, np.longdouble) for p in parts
    )
    for key in range(3):
        x = mix.sample(jax.random.key(key), 1)[0]
        offset = np.asarray(x, np.longdouble) - means
        inside = offset @ U
        outside = offset - inside @ U.T
        log = log_weights - 0.5 * (
            (inside**2 / spectrum).sum(1) + np.log(spectrum).sum(1)
        )
        log = log - 0.5 * ((outside**2).sum(1) / base + 34 * np.log(base))
        share = np.exp(log - log.max()) / np.exp(log - log.max()).sum()
        score = -share @ (outside / base[:, None] + (inside / spectrum) @ U.T)
        error = np.abs(np.asarray(mix.score(x)) - score).max() / np.abs(score).max()
        assert error < 1e-10
        total = np.log(np.exp(log - log.max()).sum()) + log.max()
        total = float(total) - 20.0 * np.log(2.0 * np.pi)
        assert abs(float(mix.log_prob(x)) - total) < 1e-9 * abs(total)


@pytest.mark.parametrize(
    "count, alpha, sigma", [(3, 0.8, 0.5), (20, 0.9, 1e-3), (2, 0.0, 1.0)]
)
@pytest.mark.parametrize("rank", [0, 2, 5, None])
@pytest.mark.slow
def test_moments_are_those_of_the_denoised_law(rank, count, alpha, sigma):
    """One basis of rank r, or atoms: from the law's means and covariances."""
    rng = np.random.default_rng(count)
    means, weights = rng.standard_normal((count, 5)), rng.dirichlet(np.ones(count))
    base, spectrum = (
        rng.uniform(0.2, 2.0, count),
        rng.uniform(0.1, 3.0, (count, rank or 0)),
    )
    basis = np.linalg.qr(rng.standard_normal((5, 5)))[0][:, : rank or 0]
    form = np.log(weights), means, base, basis[None], spectrum
    if rank is None:
        mix = gt.GaussianMixture.empirical(means, weights)
    else:
        mix = gt.GaussianMixture(*map(jnp.asarray, form))
    alpha, sigma = jnp.asarray(alpha), jnp.asarray(sigma)
    x = alpha * means[0] + sigma * rng.standard_normal(5)
    vector = jnp.asarray(rng.standard_normal(5))
    found = mix.denoised_moments(x, alpha, sigma)
    law = mix.denoised(x, alpha, sigma)
    share, places = np.exp(law.log_weights), np.asarray(law.means)
    mean = share @ places
    centred = places - mean
    covariance = np.einsum("k,kij->ij", share, law.covariances())
    covariance = covariance + (share[:, None] * centred).T @ centred
    assert np.allclose(found.mean, mean, rtol=1e-12, atol=1e-13)
    size = 1e-10 * max(np.abs(covariance).max(), np.finfo(float).tiny)
    product = covariance @ vector
    assert np.abs(found.times_covariance(vector) - product).max() <= size * 10


@pytest.mark.skipif(FLOAT32, reason="what is split has 53 bits")
@pytest.mark.parametrize("scale", [1.0, 0.03, 1e-4])
@pytest.mark.slow
def test_distances_by_products_keep_their_digits(scale):
    """Many places far from the origin, and points near one of them, by long doubles."""
    rng = np.random.default_rng(2)
    places = np.tanh(rng.normal(size=(90, 40))) + 5.0
    x = places[:6] + scale * rng.normal(size=(6, 40))
    scales = jnp.asarray(1.0), jnp.asarray(scale)
    mixture = gt.GaussianMixture.empirical(jnp.asarray(places)).noised(*scales)
    found = jax.vmap(mixture.responsibilities)(jnp.asarray(x))
    gaps = x[:, None].astype(np.longdouble) - places
    terms = -0.5 * (gaps**2).sum(axis=2) / np.longdouble(scale) ** 2
    shares = np.exp(terms - terms.max(axis=1)[:, None])
    shares /= shares.sum(axis=1)[:, None]
    assert_allclose(found, shares.astype(float), rtol=1e-8, atol=1e-14)
    middle = places.mean(axis=0)
    near, others = jnp.asarray(x - middle), jnp.asarray(places - middle)
    split = jax.vmap(products.split_squares, (0, None))(near, others)
    exact = ((x - middle)[:, None].astype(np.longdouble) - (places - middle)) ** 2
    assert_allclose(split, exact.sum(axis=2).astype(float), rtol=1e-14)
