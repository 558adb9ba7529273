"""MMD, energy, Stein, moments, weights and distribution functions of samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

import gmm_testbed as gt
from gmm_testbed.divergences.samples import mmd, pairs

divergences = gt.divergences
LENGTH = 1.3
WEIGHTS = np.array([0.3, 0.7])
MEANS = np.array([[0.0, 1.0], [1.5, -0.5]])
COVARIANCES = np.array([[[1.0, 0.3], [0.3, 0.5]], [[0.4, -0.1], [-0.1, 0.9]]])
SHIFT = np.array([0.5, -0.2])
COUNT = 700  # two blocks of pairs, the second not full


@pytest.fixture(scope="module")
def mixture():
    return gt.GaussianMixture.full(WEIGHTS, MEANS, COVARIANCES)


@pytest.fixture(scope="module")
def shifted():
    """Other weights, and every mean moved: what the samples come from."""
    return gt.GaussianMixture.full(WEIGHTS[::-1], MEANS + SHIFT, COVARIANCES)


@pytest.fixture(scope="module")
def samples(shifted):
    return shifted.sample(jax.random.key(5), COUNT)


@pytest.fixture(scope="module")
def log_weights(samples):
    return 0.4 * samples[:, 0] + 3.0  # not normalised


def gaussian_pairs(q, p):
    """E k(X, Y) by C15 with SciPy, for (weights, means) of q and p."""
    total = 0.0
    for w, m, cov in zip(*q, COVARIANCES, strict=True):
        for v, n, other in zip(*p, COVARIANCES, strict=True):
            spread = cov + other + LENGTH**2 * np.eye(2)
            total += w * v * stats.multivariate_normal(n, spread).pdf(m)
    return 2 * np.pi * LENGTH**2 * total


def mean_norm(offset, covariance):
    """E ||Z|| by the double integral over the plane's polar angle and radius."""
    axes = np.linalg.cholesky(covariance)
    z, w = np.polynomial.hermite_e.hermegauss(200)
    points = offset + np.stack(np.meshgrid(z, z), -1).reshape(-1, 2) @ axes.T
    return np.outer(w, w).ravel() @ np.linalg.norm(points, axis=1) / (2 * np.pi)


def brute(u, log_weights):
    """Value and standard error by the sums as they are written."""
    w = np.exp(log_weights - log_weights.max())
    omega = np.outer(w, w) / w.sum() ** 2
    np.fill_diagonal(omega, 0.0)
    omega /= omega.sum()
    value, rows = (omega * u).sum(), omega.sum(1)
    means = (omega * u).sum(1) / rows
    variance = 4 * (rows**2 * (means - value) ** 2).sum()
    variance -= 2 * (omega**2 * (u - value) ** 2).sum()
    return value, np.sqrt(variance)


def mmd_matrix(x, mixture):
    embedded = np.zeros(len(x))
    for w, m, cov in zip(WEIGHTS, MEANS, COVARIANCES, strict=True):
        law = stats.multivariate_normal(m, cov + LENGTH**2 * np.eye(2))
        embedded += 2 * np.pi * LENGTH**2 * w * law.pdf(x)
    square = ((x[:, None] - x[None]) ** 2).sum(-1)
    both = embedded[:, None] + embedded[None]
    p = (WEIGHTS, MEANS)
    return np.exp(-0.5 * square / LENGTH**2) - both + gaussian_pairs(p, p)


def stein_matrix(x, mixture):
    """The Stein kernel by automatic differentiation of k."""

    def k(a, b):
        return 1.0 / jnp.sqrt(1.0 + jnp.sum((a - b) ** 2) / LENGTH**2)

    def u(a, b):
        s, t = mixture.score(a), mixture.score(b)
        mixed = jnp.trace(jax.jacfwd(jax.grad(k, 1), 0)(a, b))
        return (
            s @ t * k(a, b) + s @ jax.grad(k, 1)(a, b) + t @ jax.grad(k)(a, b) + mixed
        )

    x = jnp.asarray(x)
    return np.asarray(
        jax.jit(lambda x: jax.vmap(jax.vmap(u, (None, 0)), (0, None))(x, x))(x)
    )


@pytest.mark.parametrize(
    "matrix, metric",
    [
        (mmd_matrix, divergences.mmd_squared),
        (stein_matrix, divergences.kernel_stein_discrepancy),
    ],
    ids=["mmd", "stein"],
)
@pytest.mark.slow
def test_all_pairs_with_weights(
    matrix, metric, samples, mixture, log_weights, tolerance
):
    value, error = brute(matrix(np.asarray(samples), mixture), np.asarray(log_weights))
    found = metric(samples, mixture, LENGTH, log_weights=log_weights)
    np.testing.assert_allclose(found.value, value, rtol=tolerance.identity)
    np.testing.assert_allclose(found.stderr, error, rtol=10 / COUNT)  # O(1/n)


def test_pairs_of_two_blocks_count_twice(mixture):
    """Of exact samples the error is that of pairs alone; by the sums as written."""
    samples = mixture.sample(jax.random.key(3), COUNT)
    u = mmd_matrix(np.asarray(samples), mixture)
    omega = (1.0 - np.eye(COUNT)) / (COUNT * (COUNT - 1))
    value = (omega * u).sum()
    between = gaussian_pairs((WEIGHTS, MEANS), (WEIGHTS, MEANS))
    parts = jnp.asarray(LENGTH), jnp.asarray(between)
    kernel = mmd.GaussianKernel(mixture, *parts)
    weights = jnp.full(COUNT, 1.0 / COUNT)
    *_, (by_pairs, outer) = pairs._all_pairs(kernel, samples, weights)
    np.testing.assert_allclose(outer, (omega**2).sum(), rtol=1e-9)
    np.testing.assert_allclose(by_pairs, (omega**2 * (u - value) ** 2).sum(), rtol=1e-9)


def distance_from_ball(x, means, variances):
    """E ||x - X|| for isotropic components: the mean of a noncentral chi (SciPy)."""
    square = ((x[:, None] - means[None]) ** 2).sum(-1)
    rate = special.hyp1f1(-0.5, 1.0, -0.5 * square / variances)
    return np.sqrt(0.5 * np.pi * variances) * rate


def test_energy_of_weighted_samples_in_the_plane(samples, log_weights, tolerance):
    """All pairs by closed forms, and the error by the sums as they are written."""
    variances, x = np.array([0.6, 1.3]), np.asarray(samples)
    covariances = variances[:, None, None] * np.eye(2)
    mixture = gt.GaussianMixture.full(WEIGHTS, MEANS, covariances)
    h = distance_from_ball(x, MEANS, variances) @ WEIGHTS
    between = sum(
        w * distance_from_ball(m[None], MEANS, v + variances)[0] @ WEIGHTS
        for w, m, v in zip(WEIGHTS, MEANS, variances, strict=True)
    )
    norms = np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))
    u = h[:, None] + h[None] - norms - between
    value, error = brute(u, np.asarray(log_weights))
    assert value > 5 * error
    found = divergences.energy_distance(samples, mixture, log_weights=log_weights)
    np.testing.assert_allclose(found.value, value, rtol=tolerance.identity)
    np.testing.assert_allclose(found.stderr, error, rtol=10 / COUNT)  # O(1/n)


DIRECTION = np.array([0.6, -0.8])
PAIRED = {
    "energy": divergences.energy_distance,
    "mmd": lambda x, p, **kw: divergences.mmd_squared(x, p, LENGTH, **kw),
    "cvm": lambda x, p, **kw: divergences.cramer_von_mises(x, p, DIRECTION, **kw),
}
PLAIN = {
    "ks": lambda x, p, **kw: divergences.kolmogorov(x, p, DIRECTION, **kw),
    "mode_weights": lambda x, p, **kw: divergences.mode_weights(x, p, **kw).weights,
    "mean_error": divergences.mean_error,
}


@pytest.mark.parametrize("name", PLAIN | PAIRED)
def test_a_weight_is_a_number_of_equal_points(name, samples, mixture):
    """And no weight is no point. What skips a sample with itself gets that back first."""
    metric = (PLAIN | PAIRED)[name]
    counts = np.array([50, 100, 150, 175, 225])
    share = counts / COUNT
    weights = jnp.log(jnp.asarray(np.pad(share, (0, COUNT - 5))))
    with pytest.warns(UserWarning, match="4.22 effective"):
        found = metric(samples, mixture, log_weights=weights).value
    repeated = metric(jnp.repeat(samples[:5], counts, axis=0), mixture).value
    if name in PAIRED:
        alone = [
            metric(jnp.repeat(x[None], COUNT, axis=0), mixture) for x in samples[:5]
        ]
        own = np.array([float(e.value) for e in alone])  # u(x, x)
        found = found * (1 - share @ share) + share**2 @ own
        repeated = repeated * (1 - 1 / COUNT) + share @ own / COUNT
    np.testing.assert_allclose(found, repeated, rtol=1e-11)
    assert np.abs(found).min() > 0.01


def test_energy_is_twice_the_cramer_distance_on_the_line(tolerance):
    """Against samples as atoms: 2 int (F_n - F)^2, from all pairs with their own."""
    x = np.sort(np.random.default_rng(1).normal(0.4, 1.7, 40))
    mixture = gt.GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.2]], [0.3, 0.8])
    scales = np.sqrt([0.3, 0.8])

    def gap(z):
        F = stats.norm.cdf((z - np.array([-1.0, 1.2])) / scales) @ [0.4, 0.6]
        return 2 * (np.searchsorted(x, z, side="right") / 40 - F) ** 2

    ends = np.concatenate([[-12.0], x, [12.0]])
    cells = zip(ends[:-1], ends[1:], strict=True)
    exact = sum(integrate.quad(gap, *cell, epsabs=1e-13)[0] for cell in cells)
    found = divergences.energy_distance(x[:, None], mixture)
    own = np.abs(x[:, None] - x[None]).sum() * (1 / (40 * 39) - 1 / 40**2)
    np.testing.assert_allclose(found.value + own, exact, rtol=tolerance.identity)


@pytest.mark.parametrize("far", [0.1, 30.0])
def test_mean_distance_against_quadrature(far):
    from gmm_testbed.divergences.samples.embedding import mean_distance

    points = np.array([[far, 0.2], [0.5, -far]])
    mixture = gt.GaussianMixture.full(WEIGHTS, MEANS, COVARIANCES)
    exact = [
        sum(
            w * mean_norm(x - m, cov)
            for w, m, cov in zip(WEIGHTS, MEANS, COVARIANCES, strict=True)
        )
        for x in points
    ]
    # The norm has a kink at zero: Gauss-Hermite errs by 1e-5 where there is mass.
    rtol = 1e-9 if far > 1 else 1e-4
    np.testing.assert_allclose(
        mean_distance(jnp.asarray(points), mixture), exact, rtol=rtol
    )


def test_mean_distance_has_closed_forms(tolerance):
    """At the centre of an isotropic Gaussian, the mean of chi; at atoms, distances."""
    from gmm_testbed.divergences.samples.embedding import mean_distance

    centre = jnp.zeros((1, 5))
    gauss = gt.GaussianMixture.isotropic([1.0], centre, 4.0)
    np.testing.assert_allclose(
        mean_distance(centre, gauss),
        [2.0 * stats.chi(5).mean()],
        rtol=tolerance.identity,
    )
    atoms = gt.GaussianMixture.empirical([[3.0, 4.0], [6.0, 8.0]], [0.25, 0.75])
    np.testing.assert_allclose(
        mean_distance(jnp.zeros((1, 2)), atoms), [8.75], rtol=1e-12
    )


def test_errors_of_few_pairs_are_calibrated(mixture, shifted, key, tolerance):
    """Unbiased, and 95 % intervals hold the closed form, far from zero."""
    p, q = (WEIGHTS, MEANS), (WEIGHTS[::-1], MEANS + SHIFT)
    truth = gaussian_pairs(q, q) - 2 * gaussian_pairs(q, p) + gaussian_pairs(p, p)
    assert truth > 0.01

    def repeat(key):
        found = divergences.mmd_squared(
            shifted.sample(key, 150), mixture, LENGTH, partners=4
        )
        return found.value, found.stderr

    check_calibration(repeat, key, truth, tolerance)


@pytest.mark.slow
def test_errors_of_weighted_pairs_are_calibrated(mixture, shifted, key, tolerance):
    """Importance weights turn samples of one mixture into those of another."""
    p, q = (WEIGHTS, MEANS), (WEIGHTS[::-1], MEANS + SHIFT)
    truth = gaussian_pairs(q, q) - 2 * gaussian_pairs(q, p) + gaussian_pairs(p, p)
    wide = shifted.noised(jnp.asarray(1.0), jnp.asarray(0.5))

    def repeat(key):
        x = wide.sample(key, 400)
        ratio = jax.vmap(lambda x: shifted.log_prob(x) - wide.log_prob(x))(x)
        found = divergences.mmd_squared(x, mixture, LENGTH, log_weights=ratio)
        return found.value, found.stderr

    check_calibration(repeat, key, truth, tolerance)


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.slow
def test_intervals_hold_near_zero(share, mixture, key, tolerance):
    """At zero the error is the spread or a little more; intervals hold the truth.

    Half of the shift is an error and a half from zero, where value plus or minus two
    errors holds the truth in 85 % of cases.
    """
    p, q = (WEIGHTS, MEANS), (WEIGHTS, MEANS + share * SHIFT)
    truth = gaussian_pairs(q, q) - 2 * gaussian_pairs(q, p) + gaussian_pairs(p, p)
    values, errors, low, high = map(np.asarray, _near_zero(key, share, mixture))
    z = (values.mean() - truth) / (values.std() / np.sqrt(len(values)))
    assert abs(z) < tolerance.z
    assert 0.9 < np.sqrt(np.mean(errors**2)) / values.std() < 1.5
    covered = np.mean((low < truth) & (truth < high))
    assert 0.92 < covered + tolerance.z * np.sqrt(0.08 * 0.92 / len(values))
    if share:
        plain = np.mean(np.abs(values - truth) < 1.96 * errors)
        assert plain < 0.9 < covered


@jax.jit
def _near_zero(key, share, mixture):
    """Value, error and interval of 150 samples of the mixture moved by a share, (400,)."""

    def repeat(key):
        x = mixture.sample(key, 150) + share * jnp.asarray(SHIFT)[None]
        found = divergences.mmd_squared(x, mixture, LENGTH)
        return found.value, found.stderr, *found.interval()

    return jax.vmap(repeat)(jax.random.split(key, 400))


def check_calibration(repeat, key, truth, tolerance, repetitions=400):
    found = jax.jit(jax.vmap(repeat))(jax.random.split(key, repetitions))
    values, errors = map(np.asarray, found)
    z = (values.mean() - truth) / (values.std() / np.sqrt(repetitions))
    assert abs(z) < tolerance.z
    covered = np.mean(np.abs(values - truth) < 1.96 * errors)
    assert abs(covered - 0.95) < 0.01 + tolerance.z * np.sqrt(0.05 * 0.95 / repetitions)


def test_moments_and_weights(samples, mixture, shifted, log_weights, tolerance):
    """Weighted moments by NumPy; mode weights of the shifted law within errors."""
    x, w = np.asarray(samples), np.exp(np.asarray(log_weights))
    w = w / w.sum()
    mean, exact = w @ x, WEIGHTS @ MEANS
    found = divergences.mean_error(samples, mixture, log_weights=log_weights)
    np.testing.assert_allclose(found.value, mean - exact, rtol=tolerance.identity)
    covariance = np.cov(x.T, aweights=w)
    terms = (x - mean)[:, :, None] * (x - mean)[:, None]
    centred = terms - (w[:, None, None] * terms).sum(0)
    first = np.sqrt((w[:, None, None] ** 2 * centred**2).sum(0))
    found = divergences.covariance_error(samples, mixture, log_weights=log_weights)
    np.testing.assert_allclose(
        found.value + mixture.covariance(), covariance, rtol=tolerance.identity
    )
    np.testing.assert_allclose(found.stderr, first, rtol=10 / COUNT)
    soft = divergences.mode_weights(samples, shifted)
    assert np.all(np.abs(soft.weights.distance(WEIGHTS[::-1])) < tolerance.z)
    assert not np.any(soft.missed)
    assert np.all(divergences.mode_weights(samples, mixture).missed)
    np.testing.assert_allclose(soft.weights.value.sum(), 1.0, rtol=1e-12)


def test_intervals_of_hard_labels_are_wilsons(tolerance):
    mixture = gt.GaussianMixture.isotropic([0.2, 0.8], [[-9.0], [9.0]], 1.0)
    x = jnp.where(jnp.arange(50) < 7, -9.0, 8.0)[:, None]
    found = divergences.mode_weights(x, mixture, labels="hard", level=0.9)
    z = stats.norm.ppf(1 - 0.1 / 4)
    share = stats.binomtest(7, 50).proportion_ci(2 * stats.norm.cdf(z) - 1, "wilson")
    np.testing.assert_allclose([found.lower[0], found.upper[0]], share, rtol=1e-9)


def test_goodness_of_fit_is_scipys(samples, mixture, tolerance):
    direction = np.array([0.6, -0.8])
    means, scales = MEANS @ direction, np.sqrt(direction @ COVARIANCES @ direction)

    def cdf(z):
        return stats.norm.cdf((z[:, None] - means) / scales) @ WEIGHTS

    x = np.asarray(samples) @ direction
    ks = divergences.kolmogorov(samples, mixture, direction)
    exact = stats.kstest(x, cdf).statistic
    np.testing.assert_allclose(ks.value, exact, rtol=tolerance.identity)
    plain = stats.cramervonmises(x, cdf).statistic / COUNT
    u = cdf(x)
    own = np.mean(u**3 + (1 - u) ** 3) / 3
    unbiased = (plain - own / COUNT) / (1 - 1 / COUNT)
    found = divergences.cramer_von_mises(samples, mixture, direction)
    np.testing.assert_allclose(found.value, unbiased, rtol=tolerance.identity)


def test_one_compilation_a_shape(samples, mixture, log_weights):
    """A second call with other samples, weights and lengths compiles nothing."""
    divergences.mmd_squared(samples, mixture, LENGTH, log_weights=log_weights)
    other, opposite = samples + 1.0, -log_weights
    with count_compilations() as compiled:
        divergences.mmd_squared(other, mixture, 2.0, log_weights=opposite)
    assert not compiled


class count_compilations:
    """The programs that are compiled inside."""

    def __enter__(self):
        self.names = []
        self.active = True
        jax.monitoring.register_event_duration_secs_listener(self)
        return self.names

    def __call__(self, event, duration, **extra):
        if self.active and event == "/jax/core/compile/backend_compile_duration":
            self.names.append(event)

    def __exit__(self, *error):
        self.active = False


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda x, p: divergences.mmd_squared(x[0], p), "as a column"),
        (lambda x, p: divergences.mmd_squared(x, p, -1.0), "length scale"),
        (
            lambda x, p: divergences.energy_distance(x, p, log_weights=[0.0]),
            "log-weights",
        ),
        (lambda x, p: divergences.energy_distance(x, p, partners=400), "partners"),
        (lambda x, p: divergences.kernel_stein_discrepancy(x, p, kernel="im"), "imq"),
        (lambda x, p: divergences.kolmogorov(x, p), "direction"),
        (lambda x, p: divergences.mode_weights(x, p, labels="none"), "labels"),
    ],
)
def test_what_cannot_be_used_is_refused(call, words, samples, mixture):
    with pytest.raises(gt.InputError, match=words):
        call(samples, mixture)


def gaussian_stein_matrix(x, mixture):
    """The Stein kernel of exp(-r^2 / 2 l^2), every term with its derivative by hand."""
    score = np.asarray(jax.vmap(mixture.score)(jnp.asarray(x)))
    offset = x[:, None] - x[None]
    square, scale = (offset**2).sum(-1), 1 / LENGTH**2
    along = np.einsum("id,ijd->ij", score, offset)  # s_x . (x - y)
    across = np.einsum("jd,ijd->ij", score, offset)  # s_y . (x - y)
    mixed = scale * x.shape[1] - scale**2 * square
    value = score @ score.T + scale * (along - across) + mixed
    return value * np.exp(-0.5 * scale * square)


def test_stein_of_the_gaussian_kernel(samples, mixture, log_weights, tolerance):
    """All pairs, with weights and without; the kernels do not agree."""
    matrix = gaussian_stein_matrix(np.asarray(samples), mixture)
    for weights in (np.zeros(COUNT), np.asarray(log_weights)):
        value, error = brute(matrix, weights)
        case = samples, mixture, LENGTH
        options = {"log_weights": jnp.asarray(weights)}
        found = divergences.kernel_stein_discrepancy(
            *case, kernel="gaussian", **options
        )
        np.testing.assert_allclose(found.value, value, rtol=tolerance.identity)
        np.testing.assert_allclose(found.stderr, error, rtol=10 / COUNT)
        other = divergences.kernel_stein_discrepancy(*case, **options)
        assert value > 5 * error and abs(other.value - value) > 0.1 * value
