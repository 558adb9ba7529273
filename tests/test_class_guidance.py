"""Guidance by a class: its formula, its Jacobian, and beside a measurement."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt

from .oracles import numpy_mixture as oracle

WEIGHTS, MEANS = np.array([0.3, 0.7]), np.array([[1.2, -0.4], [-0.8, 0.9]])
COVARIANCES = np.array([[[0.5, 0.2], [0.2, 0.4]], [[0.3, -0.1], [-0.1, 0.7]]])
PRIOR = gt.GaussianMixture.full(WEIGHTS, MEANS, COVARIANCES)
CLASS = gt.GaussianMixture.full([1.0], MEANS[:1], COVARIANCES[:1])
X, ALPHA, SIGMA = np.array([0.7, -1.1]), 0.8, 0.6
AT = jnp.asarray(X)
HERE = AT, jnp.asarray(ALPHA), jnp.asarray(SIGMA)


@eqx.filter_jit
def asked(denoiser, vector=(0.0, 0.0)):
    """Mean, covariance and its product with a vector, in one program."""
    made = denoiser(*HERE)
    return made.mean, made.covariance(), made.times_covariance(jnp.asarray(vector))


def by_hand(x, scale, power):
    """M (d,) from the exact scores of the two noised mixtures, in NumPy."""
    free, bound = (
        oracle.noised(oracle.mixture(*parts), ALPHA, SIGMA)
        for parts in (
            (WEIGHTS, MEANS, COVARIANCES),
            ([1.0], MEANS[:1], COVARIANCES[:1]),
        )
    )
    s, s_c = oracle.score(free, x), oracle.score(bound, x)
    guided = s_c + (scale - 1.0) * np.linalg.norm(s_c - s) ** power * (s_c - s)
    return (x + SIGMA**2 * guided) / ALPHA


def jacobian(x, scale, power, h=1e-5):
    """Of M, (d, d), by central differences of the same."""
    columns = [
        (by_hand(x + e, scale, power) - by_hand(x - e, scale, power)) / (2 * h)
        for e in h * np.eye(2)
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("power", [0.0, 0.9])
@pytest.mark.parametrize("scale", [-0.5, 1.0, 3.5])
def test_mean_and_covariance_are_those_of_the_guided_score(scale, power, tolerance):
    vector = np.array([0.3, -1.7])
    guided = gt.denoisers.ClassGuidance(PRIOR, CLASS, scale, power)
    mean, covariance, along = asked(guided, jnp.asarray(vector))
    np.testing.assert_allclose(mean, by_hand(X, scale, power), rtol=tolerance.identity)
    slope = SIGMA**2 / ALPHA * jacobian(X, scale, power)
    np.testing.assert_allclose(covariance, slope, atol=1e-7)
    np.testing.assert_allclose(along, slope.T @ vector, rtol=1e-6)


def test_two_scales_are_the_two_denoisers():
    for scale, mixture in ((0.0, PRIOR), (1.0, CLASS)):
        made = asked(gt.denoisers.ClassGuidance(PRIOR, CLASS, scale))
        exact = asked(gt.denoisers.Prior(mixture))
        np.testing.assert_allclose(made[0], exact[0], rtol=1e-12)
        np.testing.assert_allclose(made[1], exact[1], atol=1e-12)


def test_derivatives_are_numbers_where_nothing_guides():
    """Two equal denoisers, a time without signal, and one with hardly any noise."""

    def guided(x, alpha, sigma, power, conditional=CLASS):
        made = gt.denoisers.ClassGuidance(PRIOR, conditional, 3.0, power)
        return made(x, alpha, sigma).mean

    slopes = eqx.filter_jit(jax.jacrev(guided, argnums=(0, 1, 2, 3)))
    for scales in ((ALPHA, SIGMA), (0.0, 1.0), (1.0, 1e-7)):
        for power in (0.0, 0.9):
            numbers = [jnp.asarray(n, float) for n in (X, *scales, power)]
            for leaf in jax.tree.leaves(slopes(*numbers)):
                assert np.all(np.isfinite(leaf)), (scales, power)
    same = guided(*HERE, 0.9, PRIOR)
    np.testing.assert_allclose(same, asked(gt.denoisers.Prior(PRIOR))[0], rtol=1e-14)
    assert np.all(np.isfinite(slopes(*HERE, jnp.asarray(0.9), PRIOR)[0]))


@eqx.filter_jit
def posterior_mean(approximation, target, x, t):
    return approximation.posterior_mean(target, x, t)


def test_guidance_by_a_measurement_is_of_the_guided_denoiser():
    """DPS differentiates M; exact guidance adds what is exact for the law without class."""
    A, R, y = np.array([[1.0, 0.5]]), np.array([[0.3]]), np.array([0.4])
    problem = gt.InverseProblem(PRIOR, gt.Linear(A, R), y)
    t = jnp.asarray(0.35)
    target, scale = gt.Target(problem, gt.Rectified()), 2.5
    free = oracle.mixture(WEIGHTS, MEANS, COVARIANCES)
    laws = [
        oracle.denoised(mixture, X, 0.65, 0.35)
        for mixture in (free, oracle.mixture([1.0], MEANS[:1], COVARIANCES[:1]))
    ]
    M, C = (
        (1 - scale) * moment(laws[0]) + scale * moment(laws[1])
        for moment in (oracle.mean, oracle.covariance)
    )
    seen = target.seen_through(gt.denoisers.ClassGuidance(PRIOR, CLASS, scale))
    found = posterior_mean(gt.approximations.DPS(), seen, AT, t)
    np.testing.assert_allclose(found, M + C @ A.T @ ((y - A @ M) / R[0]), rtol=1e-9)
    state = oracle.Problem(free, A, R, y), X, 0.65, 0.35
    exact = oracle.posterior_mean(*state) - oracle.prior_mean(*state)
    found = posterior_mean(gt.approximations.Exact(), seen, AT, t)
    np.testing.assert_allclose(found, M + exact, rtol=1e-9)


def test_autoguidance_takes_the_mixture_away_from_its_blurred_self():
    """Of one Gaussian on the line, where both denoisers are gains."""
    good = gt.GaussianMixture.isotropic([1.0], [[0.0]], 0.5)
    bad = good.noised(jnp.asarray(1.0), jnp.asarray(0.6))  # variance .5 + .36
    made = gt.denoisers.ClassGuidance(bad, good, 3.0)(
        *map(jnp.asarray, ([0.8], 1.0, 0.7))
    )
    own, other = 0.5 / (0.5 + 0.49), 0.86 / (0.86 + 0.49)
    np.testing.assert_allclose(made.mean, [0.8 * (3 * own - 2 * other)], rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "closed"),
    [
        ("DDIM", (2.0**-2, 2.0)),
        ("DDPM", ((2 - 2.0**-4) / 5, 1.75)),
    ],
)
def test_guided_gaussian_ends_at_neither_the_class_nor_the_tilt(kind, closed):
    """x | c ~ N(c, 1), c ~ N(0, 1), scale 3, c = .7: variance and mean over c."""
    scale, c, steps = 3.0, 0.7, 2000
    free = gt.GaussianMixture.isotropic([1.0], [[0.0]], 2.0)
    bound = gt.GaussianMixture.isotropic([1.0], [[c]], 1.0)
    problem = gt.InverseProblem(free, gt.Linear([[1.0]], 1.0), [0.0])
    path = gt.VE(1e-3, 1e3)
    guided = gt.denoisers.ClassGuidance(free, bound, scale)
    target = gt.Target(problem, path).seen_through(guided)
    kernel = gt.kernels.DDIM(0.0) if kind == "DDIM" else gt.kernels.DDPM()
    sampler = gt.Guided(gt.approximations.Unguided(), kernel)
    law = gt.laws.affine(sampler, target, gt.time_grid(path, steps, "log_snr", t_min=0))
    found = float(law.covariance()[0, 0]), float(law.mean()[0]) / c
    np.testing.assert_allclose(found, closed, rtol=1e-2)  # first order in the steps
    # The same steps by NumPy, from the printed formula of the kernel.
    sigma = 10.0 ** np.linspace(3, -3, steps + 1)
    mean, variance = 0.0, sigma[0] ** 2
    for v, w in zip(sigma[:-1] ** 2, sigma[1:] ** 2, strict=True):
        slope = (1 - scale) * 2 / (2 + v) + scale / (1 + v)
        offset = scale * c * v / (1 + v)
        share = np.sqrt(w / v) if kind == "DDIM" else w / v
        keep = share + (1 - share) * slope
        noise = 0.0 if kind == "DDIM" else w * (1 - w / v)
        mean, variance = keep * mean + (1 - share) * offset, keep**2 * variance + noise
    np.testing.assert_allclose(found, (variance, mean / c), rtol=1e-9)


def test_denoisers_of_different_points_are_refused():
    line = gt.GaussianMixture.isotropic([1.0], [[0.0]], 1.0)
    for call, words in (
        (lambda: gt.denoisers.ClassGuidance(PRIOR, line, 2.0), "dimension 2 and"),
        (lambda: gt.denoisers.ClassGuidance(PRIOR, CLASS, np.inf), "scale"),
        (lambda: gt.denoisers.ClassGuidance(PRIOR, CLASS, 2.0, -0.5), "power"),
    ):
        with pytest.raises(gt.InputError, match=words):
            call()


def test_a_guided_target_is_not_reduced_to_a_line():
    prior = gt.GaussianMixture.isotropic([0.5, 0.5], [[1.0, 0, 0], [-1.0, 0, 0]], 1.0)
    one = gt.GaussianMixture.isotropic([1.0], [[1.0, 0, 0]], 1.0)
    problem = gt.InverseProblem(prior, gt.Linear([[1.0, 0.0, 0.0]], 1.0), [0.0])
    target = gt.Target(problem, gt.VP())
    seen = target.seen_through(gt.denoisers.ClassGuidance(prior, one, 2.0))
    sampler = gt.Guided(gt.approximations.Unguided(), gt.kernels.DDPM("large"))
    with pytest.raises(gt.UnsupportedError, match="seen through ClassGuidance"):
        gt.laws.reduced(sampler, seen, gt.time_grid(gt.VP(), 4))
