"""Laws of methods whose steps are mixtures, have several legs, or correlate the axes."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gmm_testbed as gt
from gmm_testbed.divergences import grid as quadrature
from gmm_testbed.laws.plane import sums as plane_sums
from gmm_testbed.method import AbstractComposed, standard_start

A, K, M = gt.approximations, gt.kernels, gt.algorithms
NUM = 20_000


class Renoise(gt.AbstractMarkov):
    """The forward process, from a time to a later one."""

    facts: ClassVar[gt.Facts] = gt.Facts(summary="forward", reference="test")

    start = standard_start

    def transition(self, target, x, t, s):
        path = target.path
        ratio = path.alpha(s) / path.alpha(t)
        return gt.gaussian.isotropic(
            ratio * x, path.sigma(s) ** 2 - (ratio * path.sigma(t)) ** 2
        )


class Returning(AbstractComposed):
    """A deterministic step down, the forward process up again, and a step with noise."""

    last: gt.Guided

    facts: ClassVar[gt.Facts] = gt.Facts(
        summary="time travel", reference="test", law="composed"
    )

    start = standard_start

    def legs(self, t, s):
        down = gt.Guided(A.TMPD(), K.DDIM(0.0))
        legs = (down, t, s), (Renoise(), s, t), (self.last, t, s)
        return tuple(gt.Leg(*leg) for leg in legs)


def on(name, steps=5, **options):
    target = gt.problems.get(name)
    return target, gt.time_grid(target.path, steps, "log_snr", **options)


def unit(dim):
    """Prior N(mu, I) with one measurement, and a grid."""
    prior = gt.GaussianMixture.isotropic([1.0], [np.linspace(0.4, -0.7, dim)], 1.0)
    rows = np.linspace(1.0, 0.5, dim)[None]
    target = gt.Target(gt.InverseProblem(prior, gt.Linear(rows, 0.2), [0.6]), gt.VP())
    return target, gt.time_grid(target.path, 4, "log_snr", t_max=0.9, t_min=0.1)


def one_gaussian_in_the_plane():
    prior = gt.GaussianMixture.full([1.0], [[0.4, -0.3]], [[[0.5, 0.2], [0.2, 0.3]]])
    measurement = gt.Linear([[1.0, 0.5]], 0.2)
    target = gt.Target(gt.InverseProblem(prior, measurement, [0.6]), gt.VP())
    return target, gt.time_grid(target.path, 4, "log_snr", t_max=0.9, t_min=0.1)


def distances(law):
    """Total variation from the exact marginal at every time."""
    return [
        float(quadrature.tv(law.at(i), law.target.posterior(t)))
        for i, t in enumerate(law.times)
    ]


def assert_samples_agree(key, sampler, target, times):
    """Means, second moments and a distribution function, in standard errors."""
    density = gt.laws.grid(sampler, target, times).at(-1)
    x = np.asarray(gt.sample(key, sampler, target, times, NUM).x)
    points, mass = np.asarray(density.points()), np.asarray(density.weights())
    along = np.array([1.0, 0.4])[: x.shape[1]]
    middle = float(np.median(x @ along))
    for statistic in (
        lambda v: v @ along,
        lambda v: v[:, 0] ** 2,
        lambda v: v[:, -1] ** 2 + v[:, 0] * v[:, -1],
    ):
        values = statistic(x)
        error = values.std() / np.sqrt(NUM)
        assert abs(values.mean() - mass @ statistic(points)) < 4.5 * error
    side = 0.5 * (1 + np.tanh((points @ along - middle) / 0.05))  # a smooth step
    sampled = 0.5 * (1 + np.tanh((x @ along - middle) / 0.05))
    assert abs(sampled.mean() - mass @ side) < 4.5 * sampled.std() / np.sqrt(NUM)


@pytest.mark.parametrize("problem", ["two-modes", "three-atoms"])
@pytest.mark.parametrize("sampler", [M.Jump(), M.PosteriorDraws()])
@pytest.mark.slow
def test_exact_methods_have_the_exact_law_on_the_line(problem, sampler):
    target, times = on(problem, t_min=1e-2)
    start = target.posterior(times[0])
    law = gt.laws.grid(sampler, target, times, initial=start)
    assert max(distances(law)) < 1e-11
    assert abs(float(law.escaped_mass)) < 1e-12
    prior = target.marginal(times[0])
    other = gt.laws.grid(M.DAPS("mean", "snr"), target, times, initial=prior)
    assert float(other.tv(target.posterior(times[-1]))) > 1e-3


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.slow
def test_weights_that_are_steps_are_resolved(seed):
    """Atoms near one another and far apart: responsibilities sharper than the density."""
    rng = np.random.default_rng(seed)
    atoms = np.concatenate([rng.normal(size=3), 4.0 + 0.01 * rng.normal(size=3)])
    prior = gt.GaussianMixture.empirical(atoms[:, None])
    target = gt.Target(
        gt.InverseProblem(prior, gt.Linear([[1.0]], 9.0), [1.5]), gt.VE(0.01, 50.0)
    )
    times = jnp.array([0.9, 0.5, 0.3, 0.2, 0.1])
    start = target.posterior(times[0])
    law = gt.laws.grid(M.Jump(), target, times, initial=start)
    assert max(distances(law)) < 1e-9


@pytest.mark.parametrize(
    "sampler",
    [
        M.Jump(),
        M.PosteriorDraws(scale=1.3),
        M.DAPS("mean", "snr"),
        M.DAPS("ode"),
        M.SplitGibbs(2),
        Returning(gt.Guided(A.TMPD(), K.DDPM("matched"))),
        gt.Published(A.TMPD()),
    ],
)
@pytest.mark.slow
def test_samples_agree_on_the_line(key, sampler):
    target, times = on("two-modes", t_max=0.95, t_min=3e-2)
    assert_samples_agree(key, sampler, target, times)


@pytest.mark.parametrize("sampler", [M.Jump(), M.SplitGibbs()])
@pytest.mark.slow
def test_samples_agree_between_atoms(key, sampler):
    """Of a split Gibbs sweep the first leg ends on the atoms, and has no density."""
    target, times = on("three-atoms", t_max=0.95, t_min=3e-2)
    assert_samples_agree(key, sampler, target, times)


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.slow
def test_daps_is_exact_for_a_unit_gaussian(dim):
    target, times = unit(dim)
    start = target.posterior(times[0])
    law = gt.laws.grid(M.DAPS("mean", "snr"), target, times, initial=start)
    assert float(law.kl(target.posterior(times[-1]))) < 1e-12
    wrong = gt.laws.grid(M.DAPS("mean", "flat"), target, times, initial=start)
    assert float(wrong.kl(target.posterior(times[-1]))) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("problem", ["plane-modes", "plane-ring"])
def test_the_exact_jump_has_the_exact_law_in_the_plane(problem):
    target, times = on(problem, t_max=0.9, t_min=5e-2)
    start = target.posterior(times[0])
    law = gt.laws.grid(M.Jump(), target, times, initial=start)
    assert max(distances(law)) < 1e-9
    assert abs(float(law.escaped_mass)) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    [
        M.Jump(),
        M.DAPS("mean", "snr"),
        M.SplitGibbs(),
        gt.Guided(A.TMPD(), K.DDPM("matched")),
    ],
)
def test_samples_agree_in_the_plane(key, sampler):
    target, times = on("plane-modes", t_max=0.95, t_min=5e-2)
    assert_samples_agree(key, sampler, target, times)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    [
        gt.Guided(A.DPS(), K.DDPM("matched")),
        M.DAPS("ode"),
        M.Jump(),
        M.SplitGibbs(2),
    ],
)
def test_one_gaussian_in_the_plane_has_the_affine_law(sampler):
    target, times = one_gaussian_in_the_plane()
    law = gt.laws.grid(sampler, target, times)
    affine = gt.laws.affine(sampler, target, times)
    assert float(law.kl(affine.at(-1))) < 1e-10
    np.testing.assert_allclose(law.mean(), affine.mean(), atol=1e-9)
    np.testing.assert_allclose(law.covariance(), affine.covariance(), atol=1e-9)


@pytest.mark.slow
def test_composed_and_mixture_steps_have_affine_laws(key):
    target, times = one_gaussian_in_the_plane()
    start, exact = target.posterior(times[0]), target.posterior(times[-1])
    jump = gt.laws.affine(M.Jump(), target, times, initial=start)
    assert float(jump.kl(exact)) < 1e-12
    sampler = M.SplitGibbs(2)
    law = gt.laws.affine(sampler, target, times)
    assert float(law.kl(exact)) > 1e-3
    x = np.asarray(gt.sample(key, sampler, target, times, NUM).x)
    covariance = np.asarray(law.covariance())
    z = (x.mean(axis=0) - law.mean()) / np.sqrt(np.diag(covariance) / NUM)
    assert np.abs(z).max() < 4.5
    centred = x - x.mean(axis=0)
    products = centred[:, :, None] * centred[:, None, :]
    error = products.std(axis=0) / np.sqrt(NUM)
    assert (np.abs(products.mean(axis=0) - covariance) < 4.5 * error).all()


def _tail():
    """Five modes between which DPS is so stiff that 1e-9 of its mass flies off."""
    rng = np.random.default_rng(4)
    means, weights = 1.2 * rng.normal(size=(5, 2)), rng.dirichlet(np.full(5, 3.0))
    row = rng.normal(size=(1, 2))
    row /= np.sqrt((row**2).sum())
    prior = gt.GaussianMixture.isotropic(weights, means, 0.2)
    y = [float((row @ means[0])[0])]
    return gt.Target(gt.InverseProblem(prior, gt.Linear(row, 0.15), y), gt.VP())


@pytest.mark.slow
def test_a_negligible_tail_escapes_and_is_reported(key):
    target = _tail()
    times = gt.time_grid(target.path, 10, t_min=0.02)
    sampler = gt.Guided(A.DPS(), K.DDPM())
    law = gt.laws.grid(sampler, target, times)
    lost = [1.0 - float(state.mass().sum()) for state in law.states]
    assert 1e-10 < lost[-1] < 1e-6
    assert np.diff(lost).min() > -1e-12
    assert_samples_agree(key, sampler, target, times)


@pytest.mark.parametrize("correlation", [0.0, 1e-4, -0.05, 0.3, -0.7, 0.97])
def test_sums_of_correlated_gaussians_against_scipy(correlation):
    rng = np.random.default_rng(5)
    mass, mean = np.array([0.3, 0.7]), rng.normal(size=(2, 2))
    first, second = np.array([0.5, 1.1]), np.array([0.9, 0.3])
    both = correlation * np.array([1.0, -0.5]) * first * second
    covariances = np.stack([first**2, both, both, second**2], axis=1).reshape(2, 2, 2)
    x, y = np.linspace(-4, 4, 41), np.linspace(-3, 3, 33)
    points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    expected = sum(
        m * stats.multivariate_normal(*law).pdf(points)
        for m, *law in zip(mass, mean, covariances, strict=True)
    )
    found = plane_sums.density(plane_sums.sources(mass, mean, covariances), x, y, 39.0)
    np.testing.assert_allclose(found, expected, atol=1e-10 * expected.max())
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    turned = plane_sums.sources(mass, mean, covariances).turned(turn)
    np.testing.assert_allclose(turned.mean[0], turn @ mean[0])
    whole = turn @ covariances[1] @ turn.T
    np.testing.assert_allclose(turned.covariance[1], whole.ravel()[[0, 1, 3]])


@pytest.mark.slow
def test_reduced_laws_of_mixtures_and_legs(key):
    rng = np.random.default_rng(9)
    along = rng.normal(size=6)
    along /= np.sqrt((along**2).sum())
    means = np.array([-1.5, 1.2, 0.4])[:, None] * along + rng.normal(size=6)
    prior = gt.GaussianMixture.isotropic([0.5, 0.3, 0.2], means, 0.15)
    seen = gt.Linear(1.3 * along[None], 0.09)
    target = gt.Target(gt.InverseProblem(prior, seen, [0.3]), gt.VP())
    times = gt.time_grid(target.path, 6, "log_snr", t_max=0.9, t_min=3e-2)
    start, exact = target.posterior(times[0]), target.posterior(times[-1])
    jump = gt.laws.reduced(M.Jump(), target, times, initial=start)
    assert float(jump.kl(exact)) < 1e-10
    assert float(jump.tv(exact).upper) < 1e-9
    for sampler in (M.SplitGibbs(2), M.DAPS("mean", "snr")):
        law = gt.laws.reduced(sampler, target, times)
        assert float(law.kl(exact)) > 1e-3
        x = np.asarray(gt.sample(key, sampler, target, times, NUM).x)
        covariance = np.asarray(law.covariance())
        z = (x.mean(axis=0) - law.mean()) / np.sqrt(np.diag(covariance) / NUM)
        assert np.abs(z).max() < 4.5
        squares = (x - x.mean(axis=0)) ** 2
        error = squares.std(axis=0) / np.sqrt(NUM)
        assert (np.abs(squares.mean(axis=0) - np.diag(covariance)) < 4.5 * error).all()


@pytest.mark.parametrize(
    "sampler, reason",
    [
        (M.DAPS("sample"), "Implicit"),
        (gt.smc.ParticleFilter(gt.smc.TDS(A.DPS())), "chain of steps"),
        (Returning(gt.Guided(A.TMPD(), K.Heun())), "ends without noise"),
    ],
)
def test_what_is_not_explicit_is_refused_with_the_part_that_is_not(sampler, reason):
    target, times = on("two-modes", t_max=0.95, t_min=3e-2)
    with pytest.raises(gt.UnsupportedError, match=reason) as caught:
        gt.laws.grid(sampler, target, times)
    assert "hint" in str(caught.value)


class Misstated(gt.AbstractMarkov):
    """The exact jump, with facts that say Gaussian."""

    facts: ClassVar[gt.Facts] = gt.Facts(summary="misstated", reference="test")

    start = standard_start

    def transition(self, target, x, t, s):
        return M.Jump().transition(target, x, t, s)


@pytest.mark.parametrize("problem", ["two-modes", "plane-modes"])
def test_facts_that_hide_a_mixture_are_found_out(problem):
    target, times = on(problem, t_max=0.95, t_min=3e-2)
    with pytest.raises(gt.InputError, match="not what its facts say"):
        gt.laws.grid(Misstated(), target, times)


class Remembering(gt.AbstractMethod):
    """DDPM steps that count themselves."""

    kernel: K.AbstractKernel

    facts: ClassVar[gt.Facts] = gt.Facts(
        summary="counts", reference="test", affine=True
    )

    start = standard_start

    def memory(self, target, x, t):
        return jnp.zeros(())

    def step(self, target, memory, x, t, s, draws):
        law = gt.Guided(A.TMPD(), self.kernel).transition(target, x, t, s)
        return gt.Step(law, memory + 1)


def test_methods_with_memory_are_refused():
    target, times = on("one-gaussian", t_max=0.95, t_min=3e-2)
    with pytest.raises(gt.UnsupportedError, match="remembers earlier steps and has"):
        gt.laws.grid(Remembering(K.DDPM()), target, times)
    for law in (gt.laws.affine, gt.laws.reduced):
        with pytest.raises(gt.UnsupportedError, match="remembers earlier steps"):
            law(Remembering(K.Heun()), target, times)
    plane, times = one_gaussian_in_the_plane()
    with pytest.raises(gt.UnsupportedError, match="beyond the line"):
        gt.laws.grid(Remembering(K.Heun()), plane, times)
