"""Numbers far from the origin, and those that are small beside what they come from.

The oracle is mpmath, at fifty digits.
"""

import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import gmm_testbed as gt

WEIGHTS = [0.3, 0.2, 0.5]
MEANS = [[-1.0, 0.4], [1.5, -0.2], [0.3, 2.0]]
COVARIANCES = [[[0.6, 0.2], [0.2, 0.5]], [[0.4, -0.1], [-0.1, 0.9]], [[0.3, 0], [0, 1]]]
A, X = [[1.0, 0.5], [-0.3, 0.8]], [0.7, -1.1]
NOISE = np.array([[1.0, 0.2], [0.2, 0.7]])


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


def exact_guidance(covariances, R, y, x, alpha, sigma):
    """alpha / sigma^2 times the difference of the posterior's and the prior's mean."""
    A_, x, y, R = mp.matrix(A), mp.matrix(x), mp.matrix(y), mp.matrix(R.tolist())
    alpha, sigma, eye = mp.mpf(alpha), mp.mpf(sigma), mp.eye(2)
    before, after, means, shifted = [], [], [], []
    for weight, mean, covariance in zip(WEIGHTS, MEANS, covariances, strict=True):
        mean, S = mp.matrix(mean), mp.matrix(covariance)
        noisy = alpha**2 * S + sigma**2 * eye
        gain = alpha * S * noisy**-1
        denoised = mean + gain * (x - alpha * mean)
        left = S - alpha * gain * S
        seen = A_ * left * A_.T + R
        before.append(mp.mpf(weight) * normal(x - alpha * mean, noisy))
        after.append(before[-1] * normal(y - A_ * denoised, seen))
        means.append(denoised)
        pull = left * A_.T * seen**-1 * (y - A_ * denoised)
        shifted.append(denoised + pull)

    def average(weights, points):
        total = points[0] * 0
        for weight, point in zip(weights, points, strict=True):
            total += weight * point
        return total / sum(weights)

    return alpha / sigma**2 * (average(after, shifted) - average(before, means))


def normal(offset, covariance):
    square = (offset.T * covariance**-1 * offset)[0]
    return mp.exp(-square / 2) / mp.sqrt(mp.det(covariance))


def target(prior, sigma_y, path):
    y = [0.6 * sigma_y + 0.3, -0.9 * sigma_y]
    measurement = gt.Linear(A, sigma_y**2 * NOISE)
    return gt.Target(gt.InverseProblem(prior, measurement, y), path), y


FULL = gt.GaussianMixture.full(WEIGHTS, MEANS, COVARIANCES)
ATOMS = gt.GaussianMixture.empirical(MEANS, WEIGHTS)
POINTS = np.zeros((3, 2, 2)).tolist()
PRIORS = {"full": (FULL, COVARIANCES, 1e-3), "atoms": (ATOMS, POINTS, 0.6)}


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("path", [gt.VP(), gt.VE(0.01, 50.0)], ids=["VP", "VE"])
@pytest.mark.slow
def test_guidance_of_a_measurement_with_little_to_say(name, path):
    """To ten digits, from a noise of 1e-3 to one of 1e8, and at all times."""
    prior, covariances, soon = PRIORS[name]
    for sigma_y in (1e-3, 1.0, 1e4, 1e8):
        made, y = target(prior, sigma_y, path)
        for t in (soon, 0.5, 1.0):
            alpha, sigma = float(path.alpha(t)), float(path.sigma(t))
            x = alpha * np.array(X) + 0.5 * sigma
            found = made.guidance(jnp.asarray(x), jnp.asarray(t))
            R = np.asarray(made.problem.measurement.R)
            exact = exact_guidance(covariances, R, y, x.tolist(), alpha, sigma)
            exact = np.array([float(v) for v in exact])
            error = np.abs(np.asarray(found) - exact).max() / np.abs(exact).max()
            assert error < 1e-10, (sigma_y, t, error)


def test_guidance_of_a_nonlinear_measurement_with_little_to_say():
    """By quadrature on the line, to nine digits; the noise is a million."""
    prior = gt.GaussianMixture.isotropic([0.3, 0.7], [[-1.0], [1.5]], [0.4, 0.7])
    y, noise, t = 7e5, mp.mpf(10) ** 6, 0.4
    forward = gt.Nonlinear(lambda x: x + 0.3 * x**2, 1e12, 1)
    made = gt.Target(gt.InverseProblem(prior, forward, [y]), gt.VP())
    alpha, sigma = (mp.mpf(float(f(t))) for f in (gt.VP().alpha, gt.VP().sigma))

    def parts(z):
        density = sum(
            w * mp.npdf(z, m, mp.sqrt(v))
            for w, m, v in ((0.3, -1.0, 0.4), (0.7, 1.5, 0.7))
        )
        density *= mp.npdf(0.2, alpha * z, sigma)
        return density, mp.exp(-(((y - z - 0.3 * z**2) / noise) ** 2) / 2)

    nodes = [-9 + mp.mpf(k) / 20 for k in range(401)]  # trapezoidal: exact to e^-200
    densities = [parts(z) for z in nodes]

    def mean(weight):
        masses = [weight(*both) for both in densities]
        return mp.fdot(masses, nodes) / mp.fsum(masses)

    gap = mean(lambda prior, seen: prior * seen) - mean(lambda prior, seen: prior)
    found = made.guidance(jnp.asarray([0.2]), jnp.asarray(t))
    np.testing.assert_allclose(found, float(alpha / sigma**2 * gap), rtol=1e-9)


def test_divergences_of_nearly_equal_gaussians():
    """Their own digits, with covariances a millionth apart."""
    S = np.array([[1.0, 0.3], [0.3, 0.5]])
    T = S + 1e-6 * np.array([[0.7, -0.2], [-0.2, 0.4]])
    m, closed = np.zeros(2), gt.divergences.closed_form
    q, p = mp.matrix(S.tolist()), mp.matrix(T.tolist())
    ratio = p**-1 * q
    kl = (ratio[0, 0] + ratio[1, 1] - 2 - mp.log(mp.det(ratio))) / 2
    order = mp.mpf("0.3")
    blend = order * p + (1 - order) * q
    volumes = mp.log(mp.det(blend)) - (1 - order) * mp.log(mp.det(q))
    renyi = (volumes - order * mp.log(mp.det(p))) / (2 * (1 - order))
    D = p**-1 - q**-1
    fisher = sum((D * q * D)[i, i] for i in range(2))
    laws = tuple(map(jnp.asarray, (m, S, m, T)))
    found = closed.kl(*laws), closed.renyi(*laws, 0.3), closed.fisher(*laws)
    exact = [float(v) for v in (kl, renyi, fisher)]
    assert 1e-14 < exact[0] < 1e-11
    np.testing.assert_allclose(found, exact, rtol=1e-9)


OFFSET = 2.0**30  # a grid of 2^-22 is exact there


@pytest.mark.parametrize("form", ["isotropic", "full", "shared"])
def test_a_mixture_far_from_the_origin_is_the_same_mixture(form):
    """Density, score and denoised moments of points and means that are moved alike."""
    grid = 2.0**-20
    means = np.round(np.array(MEANS) / grid) * grid
    x = np.round(np.array(X) / grid) * grid

    def at(offset):
        if form == "isotropic":
            made = gt.GaussianMixture.isotropic(WEIGHTS, means + offset, 0.5)
        elif form == "full":
            made = gt.GaussianMixture.full(WEIGHTS, means + offset, COVARIANCES)
        else:
            variances = [[0.5, 0.8], [0.7, 0.4], [0.3, 1.0]]
            made = gt.GaussianMixture.diagonal(WEIGHTS, means + offset, variances)
        point = jnp.asarray(x + offset)
        moments = made.denoised_moments(point, jnp.asarray(1.0), jnp.asarray(0.5))
        return [
            made.log_prob(point),
            *made.score(point),
            *(made.mean() - offset),
            *(moments.mean - offset),
            *moments.times_covariance(jnp.asarray([1.0, -2.0])),
            *jnp.ravel(made.covariance()),
        ]

    found, exact = np.array(at(OFFSET)), np.array(at(0.0))
    rounding = OFFSET * np.finfo(float).eps  # of means, which are far out themselves
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=4 * rounding)
    np.testing.assert_allclose(found[:3], exact[:3], rtol=1e-12)
    np.testing.assert_allclose(found[-6:], exact[-6:], rtol=1e-9)


def test_two_samples_far_away_in_single_precision():
    """By hand: the kernel of the pair, and of the mixture with itself; no cross terms.

    The score is -x, so KSD is x z f - 2 f' (z - x)(x - z) - 2 f' - 4 r^2 f'' at r = 1.
    """
    one, zero = jnp.ones(1, jnp.float32), jnp.zeros((1, 1), jnp.float32)
    normal = gt.GaussianMixture.isotropic(one, zero, one)
    x = jnp.asarray([[3000.0], [3001.0]], jnp.float32)
    mmd = gt.divergences.mmd_squared(x, normal)
    np.testing.assert_allclose(mmd.value, np.exp(-0.5) + 3**-0.5, rtol=1e-5)
    ksd = gt.divergences.kernel_stein_discrepancy(x, normal)
    f, first, second = 2**-0.5, -0.5 * 2**-1.5, 0.75 * 2**-2.5
    exact = 3000.0 * 3001.0 * f + 2 * first - 2 * first - 4 * second
    np.testing.assert_allclose(ksd.value, exact, rtol=1e-5)
    energy = gt.divergences.energy_distance(x, normal)
    np.testing.assert_allclose(energy.value, 6001 - 1 - 2 * np.pi**-0.5, rtol=1e-6)
    assert np.isnan([mmd.stderr, ksd.stderr, energy.stderr]).all()


@pytest.mark.slow
def test_distances_far_from_the_origin_are_those_at_it(key):
    """Samples and mixture moved alike, where the grid of the numbers is 1e-7."""
    D, grid = gt.divergences, 2.0**-20
    axis = np.array([0.6, -0.8])
    here = np.round(np.random.default_rng(2).normal(size=(40, 2)) / grid) * grid
    means = np.round(np.array(MEANS) / grid) * grid

    def at(offset):
        law = gt.GaussianMixture.full(WEIGHTS, means + offset, COVARIANCES)
        x = jnp.asarray(here + offset)
        found = [
            D.mmd_squared(x, law),
            D.energy_distance(x, law),
            D.kernel_stein_discrepancy(x, law),
            D.cramer_von_mises(x, law, axis),
            D.sliced_wasserstein(key, x, law, directions=40),
            D.max_sliced_wasserstein(key, x, law, starts=10, steps=5).distance,
            *(D.covariance_error(x, law).value.ravel()),
        ]
        return [float(getattr(e, "value", e)) for e in found]

    np.testing.assert_allclose(at(OFFSET), at(0.0), rtol=1e-5, atol=1e-6)
