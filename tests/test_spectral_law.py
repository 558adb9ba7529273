"""Laws by eigenvalue: against the recursion of matrices, and by hand in many dimensions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt

A, K = gt.approximations, gt.kernels
RNG = np.random.default_rng(5)
TURN = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
VARIANCES = np.array([2.1, 0.6, 0.6, 0.03])
SEEN = np.array([0.7, 0.0, 1.9, 0.4])  # gains; the second is not measured

TRAVEL = gt.algorithms.TimeTravel(gt.Guided(A.TMPD(), K.DDIM(0.4)))


def rotated():
    """A Gaussian in d = 4 and three measurements that share a basis, not the axes."""
    covariance = TURN @ np.diag(VARIANCES) @ TURN.T
    prior = gt.GaussianMixture.full([1.0], [[0.4, -1.1, 0.3, 0.8]], covariance[None])
    left = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    seen = SEEN > 0
    operator = left @ np.diag(SEEN[seen]) @ TURN.T[seen]
    problem = gt.InverseProblem(prior, gt.Linear(operator, 0.3), [0.5, -0.8, 1.4])
    return gt.Target(problem, gt.VP())


@pytest.fixture(scope="module")
def target():
    return rotated()


@pytest.mark.parametrize(
    "sampler",
    [
        pytest.param(gt.Guided(A.DPS(), K.DDPM("matched")), marks=pytest.mark.slow),
        gt.Guided(A.PiGDM(), K.EulerMaruyama()),
        pytest.param(gt.Guided(A.DDNM(), K.Heun()), marks=pytest.mark.slow),
        pytest.param(
            gt.algorithms.TimeTravel(gt.Guided(A.TMPD(), K.DDIM(0.4))),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["DPS", "PiGDM", "DDNM", "time travel"],
)
def test_agrees_with_the_affine_law(target, sampler):
    times = gt.time_grid(target.path, 9, t_min=0.02)
    whole = gt.laws.affine(sampler, target, times)
    found = gt.laws.spectral(sampler, target, times)
    basis = np.asarray(found.problem.basis)
    for index in (0, 4, -1):
        covariance = np.asarray(whole.covariances[index])
        mine = (basis * np.asarray(found.variances[index])) @ basis.T
        np.testing.assert_allclose(mine, covariance, rtol=1e-9, atol=1e-12)
        mean = basis @ np.asarray(found.means[index])
        np.testing.assert_allclose(mean, whole.means[index], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.covariance(), whole.covariance(), atol=1e-12)
    exact, posterior = target.posterior(times[-1]), found.problem.posterior(times[-1])
    for measure in ("kl", "kl_from", "w2", "fisher"):
        mine = float(getattr(found, measure)(posterior))
        assert mine == pytest.approx(float(getattr(whole, measure)(exact)), rel=1e-9)


def test_marginals_are_those_of_the_target(target):
    problem = gt.laws.EigenProblem.of(target)
    basis, t = np.asarray(problem.basis), jnp.asarray(0.37)
    for mine, theirs in (
        (problem.marginal(t), target.marginal(t)),
        (problem.posterior(t), target.posterior(t)),
    ):
        covariance = (basis * np.asarray(mine.variances)) @ basis.T
        np.testing.assert_allclose(covariance, theirs.covariance(), atol=1e-12)
        np.testing.assert_allclose(basis @ mine.means, theirs.mean(), atol=1e-12)


def test_many_dimensions_against_the_product_of_gains():
    """DDIM(0) multiplies x_t by (c^2 + u u') / (c^2 + u^2), u = sigma on a VE path."""
    variances = np.geomspace(1e-4, 30.0, 3072)
    path = gt.VE(0.01, 50.0)
    problem = gt.laws.EigenProblem(path, variances)
    times = gt.time_grid(path, 1000, "karras", t_min=0.0)
    sampler = gt.Guided(A.Unguided(), K.DDIM(0.0))
    start = problem.marginal(times[0])
    law = gt.laws.spectral(sampler, problem, times, initial=start)
    u = np.asarray(path.sigma(times))[:, None]
    gain = np.prod((variances + u[1:] * u[:-1]) / (variances + u[:-1] ** 2), axis=0)
    by_hand = gain**2 * (variances + u[0] ** 2)
    np.testing.assert_allclose(law.variance(), by_hand, rtol=1e-9)
    exact = variances + 0.01**2
    ratio = by_hand / exact
    kl = 0.5 * np.sum(ratio - 1 - np.log(ratio))
    w2 = np.sqrt(np.sum((np.sqrt(by_hand) - np.sqrt(exact)) ** 2))
    truth = problem.marginal(times[-1])
    assert float(law.kl(truth)) == pytest.approx(kl, rel=1e-9)
    assert float(law.w2(truth)) == pytest.approx(w2, rel=1e-9)
    assert law.means.nbytes + law.variances.nbytes < 60e6


def test_a_step_that_mixes_eigenvalues_is_refused(target):
    times = gt.time_grid(target.path, 5)
    mixing = gt.Guided(A.Exact(), K.DDPM("matched_scalar"))
    coordinates = gt.laws.EigenProblem(target.path, VARIANCES, gains=SEEN)
    for problem in (target, coordinates):
        with pytest.raises(gt.UnsupportedError, match="mixes the eigenvalues"):
            gt.laws.spectral(mixing, problem, times)


def test_a_problem_without_a_common_basis_is_refused():
    prior = gt.GaussianMixture.diagonal([1.0], [[0.0, 0.0]], [[1.0, 3.0]])
    problem = gt.InverseProblem(prior, gt.Linear([[1.0, 1.0]], 0.5), [0.3])
    with pytest.raises(gt.UnsupportedError, match="no basis") as caught:
        gt.laws.EigenProblem.of(gt.Target(problem, gt.VP()))
    assert "gt.laws.affine" in str(caught.value)
    with pytest.raises(gt.InputError, match="not positive"):
        gt.laws.EigenProblem(gt.VP(), jnp.array([1.0, 0.0]))
    with pytest.raises(gt.InputError, match="gains do not fit"):
        gt.laws.EigenProblem(gt.VP(), jnp.ones(3), gains=jnp.ones(2))


def test_an_initial_law_has_the_dimension():
    problem = gt.laws.EigenProblem(gt.VP(), jnp.array([0.5, 2.0]))
    sampler, times = gt.Guided(A.Unguided(), K.DDIM(0.0)), gt.time_grid(gt.VP(), 3)
    three = gt.laws.EigenGaussian(jnp.zeros(3), jnp.ones(3))
    with pytest.raises(gt.InputError, match="does not fit"):
        gt.laws.spectral(sampler, problem, times, initial=three)


def test_it_says_what_it_is():
    problem = gt.laws.EigenProblem(gt.VP(), jnp.array([0.5, 2.0]), gains=[0.0, 1.0])
    assert "2 variances from 0.5 to 2, 1 measured" in repr(problem)
    assert "variance 2.5" in repr(problem.prior())
    assert jax.tree.leaves(problem.exact())[1][1] == pytest.approx(2.0 / 3.0)
