"""Laws on the line: against NumPy, samples, closed forms, and their own refinement."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.divergences import grid as quadrature
from gmm_testbed.laws.line import bands
from gmm_testbed.laws.line import programs as line_steps
from tests.oracles import numpy_law, numpy_mixture
from tests.oracles.library import from_mixture

T_MIN = 1e-2
A, K = gt.approximations, gt.kernels


@pytest.fixture(scope="module")
def two_modes():
    return gt.problems.get("two-modes")


def law_of(target, approximation, kernel, steps, **options):
    times = gt.time_grid(target.path, steps, t_min=T_MIN)
    return gt.laws.grid(gt.Guided(approximation, kernel), target, times, **options)


def truth(target):
    return target.posterior(jnp.asarray(T_MIN))


@pytest.mark.slow
def test_law_agrees_with_a_plain_numpy_propagation(two_modes):
    times = gt.time_grid(two_modes.path, 6, kind="log_snr", t_min=0.1)
    law = gt.laws.grid(gt.Guided(A.TMPD(), K.DDPM()), two_modes, times)
    problem = numpy_mixture.Problem(
        from_mixture(two_modes.problem.prior),
        np.asarray(two_modes.problem.measurement.A),
        np.asarray(two_modes.problem.measurement.R),
        np.asarray(two_modes.problem.y),
    )
    scales = [
        (float(two_modes.path.alpha(t)), float(two_modes.path.sigma(t)))
        for t in np.asarray(law.times)
    ]

    def rule(problem, x, alpha, sigma):
        guidance = numpy_mixture.tmpd(problem, x, alpha, sigma)
        mean = numpy_mixture.prior_mean(problem, x, alpha, sigma)
        return numpy_mixture.guidance_to_mean(guidance, mean, alpha, sigma)

    grid = np.linspace(-9.0, 9.0, 1201)
    sigma = scales[0][1]
    start = np.exp(-0.5 * (grid / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    expected = numpy_law.ddpm_law(problem, scales, rule, start, grid)
    sources = law.states[-1].sources
    found = np.exp(line_steps.log_density(sources, grid))
    assert np.abs(found - expected).max() < 1e-9 * expected.max()
    assert abs(float(law.mean()[0]) - grid @ expected * (grid[1] - grid[0])) < 1e-9


def test_a_law_is_shown_in_one_line(two_modes):
    shown = repr(law_of(two_modes, A.DPS(), K.DDPM(), 5))
    assert shown.startswith("LineLaw after 5 steps from t = 1 to ")


@pytest.mark.parametrize("steps", [5, 60, 300])
@pytest.mark.parametrize("kernel", [K.DDPM(), K.DDPM("matched"), K.EulerMaruyama()])
def test_mass_is_one_or_accounted_for(two_modes, kernel, steps):
    law = law_of(two_modes, A.TMPD(), kernel, steps)
    final = law.native(-1)
    assert abs(float(quadrature.mass(final) + final.escaped_mass) - 1.0) < 1e-12
    assert abs(float(law.escaped_mass)) < 1e-9
    assert all(abs(state.mass() - 1.0) < 1e-9 for state in law.states)


@pytest.mark.parametrize(
    "approximation,kernel,steps",
    [
        (A.Exact(), K.DDPM(), 10),
        (A.DPS(), K.DDPM(), 40),
        pytest.param(A.ZetaDPS(0.3), K.DDIM(0.5), 100, marks=pytest.mark.slow),
        (A.DDNM(), K.DDPM("matched"), 20),
    ],
)
def test_refinement_changes_total_variation_by_less_than_1e_6(
    two_modes, approximation, kernel, steps
):
    law = law_of(two_modes, approximation, kernel, steps)
    change = law.refined().tv(truth(two_modes)) - law.tv(truth(two_modes))
    assert abs(float(change)) < 1e-6


@pytest.mark.slow
def test_a_million_samples_agree_on_every_cell(two_modes, key):
    sampler = gt.Guided(A.PiGDM(), K.DDPM("matched"))
    times = gt.time_grid(two_modes.path, 8, t_min=T_MIN)
    law = gt.laws.grid(sampler, two_modes, times).at(-1)
    num = 1_000_000
    x = np.asarray(gt.sample(key, sampler, two_modes, times, num).x)[:, 0]
    weights = np.asarray(law.weights())
    below = np.concatenate([[0.0], np.cumsum(weights)[:-1]]) + 0.5 * weights
    levels = np.linspace(0.02, 0.98, 49)
    edges = np.interp(levels, below, np.asarray(law.position))
    counts = np.histogram(x, np.concatenate([[-np.inf], edges, [np.inf]]))[0]
    expected = np.diff(np.concatenate([[0.0], levels, [1.0]]))
    z = (counts - num * expected) / np.sqrt(num * expected * (1 - expected))
    assert np.abs(z).max() < 4.5


@pytest.mark.parametrize("variance,order", [("small", 1.0), ("matched", 2.0)])
def test_exact_guidance_converges_with_the_order_of_the_kernel(
    two_modes, variance, order
):
    counts = np.array([256, 512, 1024])
    start = two_modes.posterior(jnp.asarray(1.0))
    laws = [
        law_of(two_modes, A.Exact(), K.DDPM(variance), int(n), initial=start)
        for n in counts
    ]
    tv = [float(law.tv(truth(two_modes))) for law in laws]
    kl = [float(law.kl(truth(two_modes))) for law in laws]
    assert abs(np.polyfit(np.log(counts), np.log(tv), 1)[0] + order) < 0.2
    assert abs(np.polyfit(np.log(counts), np.log(kl), 1)[0] + 2 * order) < 0.2


def test_matched_ddpm_is_exact_for_one_gaussian_in_one_step():
    target = gt.problems.get("one-gaussian")
    start = target.posterior(jnp.asarray(1.0))
    law = law_of(target, A.Exact(), K.DDPM("matched"), 1, initial=start)
    assert float(law.tv(truth(target))) < 1e-9
    small = law_of(target, A.Exact(), K.DDPM("small"), 1, initial=start)
    assert float(small.tv(truth(target))) > 0.1


@pytest.mark.parametrize(
    "approximation", [A.Exact(), A.DPS(), A.PiGDM(), A.TMPD(), A.DDNM(), A.DiffPIR(2.0)]
)
@pytest.mark.parametrize("kernel", [K.DDPM(), K.DDIM(0.5), K.EulerMaruyama()])
@pytest.mark.slow
def test_law_of_an_affine_sampler_is_the_affine_law(approximation, kernel):
    target = gt.problems.get("one-gaussian")
    law = law_of(target, approximation, kernel, 15)
    affine = gt.laws.affine(gt.Guided(approximation, kernel), target, law.times)
    assert float(law.kl(affine.at(-1))) < 1e-12
    np.testing.assert_allclose(law.mean(), affine.mean(), rtol=1e-10)
    np.testing.assert_allclose(law.covariance(), affine.covariance(), rtol=1e-9)


def test_all_components_of_the_start_are_carried():
    """They lie 40 deviations apart; of an affine map two moments make two moments."""
    target, gm = gt.problems.get("one-gaussian"), gt.GaussianMixture
    start = gm.isotropic([0.3, 0.7], [[-6.0], [5.0]], [0.04, 0.09])
    law = law_of(target, A.Exact(), K.DDPM("matched"), 1, initial=start)
    np.testing.assert_allclose([s.mass() for s in law.states], 1.0, rtol=1e-9)
    alike = gm.isotropic([1.0], [[1.7]], 0.3 * 7.7**2 + 0.7 * 3.3**2 + 0.075)
    affine = gt.laws.affine(law.sampler, target, law.times, initial=alike)
    np.testing.assert_allclose(law.mean(), affine.mean(), rtol=1e-9)
    np.testing.assert_allclose(law.covariance(), affine.covariance(), rtol=1e-9)


def test_far_tails_keep_their_logarithm(two_modes):
    """KL(truth || law) is finite when the law all but misses a mode."""
    target = gt.problems.get("two-modes")
    narrow = gt.GaussianMixture.isotropic([1.0], [[1.5]], 1e-4)
    law = law_of(target, A.DDNM(), K.DDPM(), 2, initial=narrow)
    far = gt.GaussianMixture.isotropic([0.5, 0.5], [[-9.0], [9.0]], 0.01)
    value = float(law.kl_from(far))
    assert 700.0 < value < np.inf


@pytest.mark.parametrize("kernel", [K.Heun(), K.DDIM(0.0), K.ProbabilityFlow()])
@pytest.mark.slow
def test_deterministic_kernels_by_the_change_of_variables(two_modes, key, kernel):
    sampler = gt.Guided(A.Exact(), kernel)
    times = gt.time_grid(two_modes.path, 20, kind="log_snr", t_min=T_MIN)
    law = gt.laws.grid(sampler, two_modes, times)
    assert abs(float(law.escaped_mass)) < 1e-9
    num = 200_000
    x = np.asarray(gt.sample(key, sampler, two_modes, times, num).x)[:, 0]
    deviation = np.sqrt(float(law.covariance()[0, 0]) / num)
    assert abs(x.mean() - float(law.mean()[0])) < 4.5 * deviation
    spread = (x - x.mean()) ** 2
    assert abs(spread.mean() - float(law.covariance()[0, 0])) < 4.5 * (
        spread.std() / np.sqrt(num)
    )


@pytest.mark.slow
def test_heun_converges_to_the_exact_posterior_at_second_order(two_modes):
    start = two_modes.posterior(jnp.asarray(1.0))
    counts = np.array([32, 64, 128])
    errors = []
    for steps in counts:
        times = gt.time_grid(two_modes.path, int(steps), kind="karras", t_min=T_MIN)
        sampler = gt.Guided(A.Exact(), K.Heun())
        law = gt.laws.grid(sampler, two_modes, times, initial=start)
        errors.append(float(law.w2(truth(two_modes))))
    assert abs(np.polyfit(np.log(counts), np.log(errors), 1)[0] + 2.0) < 0.2


def test_a_fold_is_refused_with_its_place(two_modes):
    with pytest.raises(gt.UnsupportedError, match="folds the line") as caught:
        law_of(two_modes, A.DPS(), K.DDIM(0.0), 5)
    assert "hint" in str(caught.value) and "step" in str(caught.value)


def test_dimension_three_is_refused():
    target = gt.problems.get("ten")
    with pytest.raises(gt.UnsupportedError, match="d = 10"):
        law_of(target, A.Exact(), K.DDPM(), 5)


def test_a_step_beyond_every_grid_is_refused(two_modes):
    times = gt.time_grid(two_modes.path, 3, t_min=1e-9)
    with pytest.raises(gt.InputError, match="cannot be resolved"):
        gt.laws.grid(gt.Guided(A.DPS(), K.DDPM()), two_modes, times)


def test_one_compilation_serves_all_steps_and_hyperparameters(two_modes):
    traces = []

    class Counted(A.AbstractCorrection):
        zeta: jax.Array

        facts = A.ZetaDPS.facts

        def correction(self, target, x, t):
            traces.append(1)
            return self.zeta * A.ZetaDPS(1.0).correction(target, x, t)

        def covariance(self, target, x, t):
            return target.prior_covariance(x, t)

    for steps, zeta in [(6, 0.1), (9, 0.2), (40, 0.3), (120, 0.4)]:
        times = gt.time_grid(two_modes.path, steps, t_min=T_MIN)
        sampler = gt.Guided(Counted(jnp.asarray(zeta)), K.DDPM())
        before = len(traces)
        gt.laws.grid(sampler, two_modes, times)
        # Two checks of one point before each run trace it, the program itself once.
        assert len(traces) - before <= (3 if steps == 6 else 2)


@pytest.mark.parametrize(
    "approximation, kernel, steps",
    [(A.DPS(), K.DDPM(), 20), (A.ZetaDPS(), K.DDIM(0.5), 50)],
)
def test_steps_that_tear_the_line_between_atoms_are_resolved(
    approximation, kernel, steps
):
    target = gt.problems.get("three-atoms")
    times = gt.time_grid(target.path, steps, t_min=1e-2)
    law = gt.laws.grid(gt.Guided(approximation, kernel), target, times)
    finer = law.refined()
    assert any(state.sources.mass.size > 1000 for state in law.states[1:])
    assert abs(1.0 - law.states[-1].mass()) < 1e-9
    points = np.linspace(-5.0, 5.0, 4001)
    first, second = (
        bands.density(found.states[-1].sources, points) for found in (law, finer)
    )
    assert 0.5 * np.abs(first - second).sum() * (points[1] - points[0]) < 1e-9


@pytest.mark.slow
def test_modes_a_thousand_standard_deviations_apart():
    """Each mode alone is one Gaussian, which matched DDPM samples exactly."""
    prior = gt.GaussianMixture.isotropic([0.3, 0.7], [[-500.0], [500.0]], 1.0)
    measurement = gt.Linear([[1.0]], 250_000.0)
    target = gt.Target(gt.InverseProblem(prior, measurement, [40.0]), gt.VP())
    times = gt.time_grid(target.path, 60, "log_snr", t_min=3e-2)
    start = target.posterior(times[0])
    sampler = gt.Guided(A.Exact(), K.DDPM("matched"))
    law = gt.laws.grid(sampler, target, times, initial=start)
    assert law.states[-1].grid.count > 16384
    assert abs(law.states[-1].mass() + float(law.escaped_mass) - 1.0) < 1e-9
    exact = target.posterior(times[-1])
    assert float(law.tv(exact)) < 1e-4
    weights = np.asarray(gt.diagnostics.mode_weights(law.native(-1), exact))
    np.testing.assert_allclose(weights, np.exp(exact.log_weights), atol=1e-4)
    assert weights[1] > 0.7


def test_a_step_without_noise_is_refused(two_modes):
    times = gt.time_grid(two_modes.path, 10, t_min=0.0)
    with pytest.raises(gt.InputError, match="no noise"):
        gt.laws.grid(gt.Guided(A.Exact(), K.DDPM()), two_modes, times)
