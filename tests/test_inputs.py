"""What comes in: shapes are exact, numbers real, indices within, NaN named.

Every public function of several arrays stands in `CALLS` with arguments that fit; each of
them is then given in other shapes, that often broadcast, and as complex numbers.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed import diagnostics, divergences, information, measures, smc
from gmm_testbed.diagnostics import deliberate
from gmm_testbed.divergences import closed_form
from gmm_testbed.sampling import Options

pytestmark = pytest.mark.usefixtures("without_shape_checks")

DIM, COUNT = 3, 6
RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
OPTIONS = Options()
WEIGHTS, MEANS = np.array([0.4, 0.6]), RNG.normal(size=(2, DIM))
COVARIANCES = np.stack([0.5 * np.eye(DIM), np.diag([0.4, 0.5, 0.6])])
X, A = RNG.normal(size=DIM), RNG.normal(size=(2, DIM))
Y, R = RNG.normal(size=2), 0.3 * np.eye(2)
SAMPLES, LOG_WEIGHTS = RNG.normal(size=(COUNT, DIM)), RNG.normal(size=COUNT)
LINE, LOG_DENSITY = np.linspace(-4, 4, 41), -0.5 * np.linspace(-4, 4, 41) ** 2
HALF, SOME, NOTHING = np.array(0.5), np.array(0.3), np.array(0.0)
ONES, SPACING = np.ones(41), np.array(0.2)

Mixture = gt.GaussianMixture


def calls():
    """By name: a function of keyword arguments, arrays for it, and shapes it has, too."""
    law = Mixture.full(WEIGHTS, MEANS, COVARIANCES)
    seen = gt.Linear(A, R)
    problem = gt.InverseProblem(law, seen, Y)
    target = gt.Target(problem, gt.VP())
    line = Mixture.isotropic(WEIGHTS, MEANS[:, :1], 0.5)
    on_line = gt.InverseProblem(line, gt.Linear([[1.0]], 0.1), [0.3])
    line_target = gt.Target(on_line, gt.VP())
    density = divergences.LineDensity.uniform(-4.0, 4.0, LOG_DENSITY)
    step = gt.isotropic(jnp.asarray(X), jnp.asarray(0.3))
    dps = gt.approximations.DPS()
    noise = {"R": [(), (2,)]}
    found = {
        "isotropic": (
            Mixture.isotropic,
            {"weights": WEIGHTS, "means": MEANS, "var": np.array([0.3, 0.4])},
            {"var": [()]},
        ),
        "diagonal": (
            Mixture.diagonal,
            {"weights": WEIGHTS, "means": MEANS, "variances": np.abs(MEANS)},
        ),
        "full": (
            Mixture.full,
            {"weights": WEIGHTS, "means": MEANS, "covariances": COVARIANCES},
        ),
        "empirical": (Mixture.empirical, {"atoms": MEANS, "weights": WEIGHTS}),
        "noised": (law.noised, {"alpha": HALF, "sigma": SOME}),
        "affine": (law.affine, {"A": A, "b": Y, "R": R}, noise),
        "conditioned": (law.conditioned, {"A": A, "R": R, "y": Y}, noise),
        "log_evidence": (law.log_evidence, {"A": A, "R": R, "y": Y}, noise),
        "reweighted": (law.reweighted, {"log_factors": WEIGHTS}),
        "covariance_product": (law.covariance_product, {"vector": X}),
        "Linear": (gt.Linear, {"A": A, "R": R, "b": Y}, noise),
        "apply": (seen.apply, {"x0": X}),
        "jacobian": (seen.jacobian, {"x0": X}),
        "pullback": (seen.pullback, {"x0": X, "v": Y}),
        "ridge": (
            seen.ridge,
            {"x0": X, "residual": Y, "tension": HALF, "variance": SOME},
        ),
        "measurement log_prob": (seen.log_prob, {"y": Y, "x0": X}),
        "misfit_gradient": (seen.misfit_gradient, {"y": Y, "x0": X}),
        "whitened": (seen.whitened, {"y": Y}),
        "InverseProblem": (lambda y: gt.InverseProblem(law, seen, y), {"y": Y}),
        "whitened_at": (problem.whitened_at, {"x0": X}),
        "blur": (
            lambda kernel: gt.blur(kernel, 5, 0.1),
            {"kernel": np.array([0.2, 0.5, 0.3])},
            {"kernel": [(1,)]},
        ),
        "denoise_at": (target.denoise_at, {"x": X, "alpha": HALF, "sigma": SOME}),
        "time_grid": (
            lambda t_max, t_min: gt.time_grid(gt.VP(), 4, t_max=t_max, t_min=t_min),
            {"t_max": HALF, "t_min": SOME},
        ),
        "TabulatedPath": (
            gt.TabulatedPath,
            {
                "times": np.array([0.1, 0.5, 0.9]),
                "alphas": np.array([0.9, 0.5, 0.1]),
                "sigmas": np.array([0.1, 0.5, 0.9]),
            },
        ),
        "VP": (gt.VP, {"beta_min": SOME, "beta_max": HALF}),
        "sample": (
            lambda times: gt.sample(KEY, gt.PosteriorDraws(), target, times, 3),
            {"times": np.array([0.9, 0.5, 0.2])},
        ),
        "isotropic step": (gt.isotropic, {"variance": SOME, "mean": X}),
        "step log_prob": (step.log_prob, {"x": X}),
        "step at": (step.at, {"noise": X}),
        "reverse_kernel": (
            lambda x, t, s: gt.reverse_kernel(target, x, t, s),
            {"x": X, "t": HALF, "s": SOME},
        ),
        "residual": (lambda x, t: smc.residual(dps, target, x, t), {"x": X, "t": HALF}),
        "effective_size": (smc.effective_size, {"log_weights": LOG_WEIGHTS}),
        "assignment": (
            lambda samples, reference, log_weights: (
                divergences.w2_squared_by_assignment(
                    samples, reference, batch_size=3, log_weights=log_weights
                )
            ),
            {
                "samples": SAMPLES,
                "reference": SAMPLES + 1.0,
                "log_weights": np.zeros(COUNT),
            },
        ),
        "projected": (
            lambda points, weights, means, scales: divergences.projected_wasserstein(
                {"some": points}, weights, means, scales
            ),
            {
                "points": RNG.normal(size=(4, COUNT)),
                "weights": WEIGHTS,
                "means": RNG.normal(size=(4, 2)),
                "scales": np.ones((4, 2)),
            },
        ),
        "LineDensity": (
            divergences.LineDensity,
            {
                "position": LINE,
                "jacobian": ONES,
                "spacing": SPACING,
                "log_density": LOG_DENSITY,
                "escaped_mass": NOTHING,
            },
        ),
        "uniform": (
            divergences.LineDensity.uniform,
            {"lower": -HALF, "upper": HALF, "log_density": LOG_DENSITY},
        ),
        "PlaneDensity": (
            divergences.PlaneDensity,
            {
                "x": LINE,
                "y": LINE[:-1],
                "log_density": np.zeros((41, 40)),
                "escaped_mass": NOTHING,
            },
        ),
        "renyi": (
            closed_form.renyi,
            {
                "mean_q": X,
                "covariance_q": COVARIANCES[0],
                "mean_p": MEANS[0],
                "covariance_p": COVARIANCES[1],
                "order": HALF,
            },
        ),
        "psnr of": (
            lambda truth, peak: diagnostics.psnr(SAMPLES, truth, peak),
            {"truth": X, "peak": HALF},
        ),
        "psnr_of_mean of": (
            lambda truth, peak: diagnostics.psnr_of_mean(SAMPLES, truth, peak),
            {"truth": X, "peak": HALF},
        ),
        "spread_scaled": (
            lambda directions: deliberate.spread_scaled(law, directions, 2.0),
            {"directions": np.eye(DIM)[:, :1]},
        ),
        "from_the_data": (
            lambda directions: deliberate.from_the_data(law, directions, 2.0),
            {"directions": np.eye(DIM)[:, :1]},
        ),
        "hallucinated_prior_mass": (
            lambda t, threshold: diagnostics.hallucinated_prior_mass(
                density, line_target, t, threshold
            ),
            {"t": HALF, "threshold": SOME},
        ),
        "hallucinated_likelihood_mass": (
            lambda t, outside, level: diagnostics.hallucinated_likelihood_mass(
                density, line_target, t, outside, level
            ),
            {"t": HALF, "outside": SOME, "level": SOME},
        ),
        "early_stopping": (
            lambda times: diagnostics.early_stopping(
                [density] * 2, line_target, times, divergences.w2
            ),
            {"times": np.array([0.3, 0.2])},
        ),
        "conditional": (
            lambda x, snr: information.conditional(law, x, snr),
            {"x": X, "snr": HALF},
        ),
        "compare": (
            lambda a, b: gt.compare({"a": a, "b": b}, law, repeats=2),
            {"a": SAMPLES, "b": SAMPLES + 1.0},
        ),
        "measures.of": (lambda t: measures.of(density, line_target, t), {"t": HALF}),
    }
    for name in ("log_prob", "score", "responsibilities"):
        found[name] = getattr(law, name), {"x": X}
    for name in ("denoised", "denoised_mean", "denoised_moments"):
        found[name] = getattr(law, name), {"x": X, "alpha": HALF, "sigma": SOME}
    for name in ("marginal", "posterior", "gain"):
        found[name] = getattr(target, name), {"t": HALF}
    for name in (
        *("denoised", "denoise", "prior_mean", "prior_covariance", "posterior_mean"),
        *("posterior_covariance", "log_likelihood", "correction", "guidance"),
        *("reference_error", "state"),
    ):
        found[f"target {name}"] = getattr(target, name), {"x": X, "t": HALF}
    for name in ("mixture_cdf", "mixture_survival", "mixture_quantile"):
        function = getattr(divergences, name)
        found[name] = (lambda f: lambda x: f(line, x))(function), {"x": SOME}
    pair = {
        "mean_q": X,
        "covariance_q": COVARIANCES[0],
        "mean_p": MEANS[0],
        "covariance_p": COVARIANCES[1],
    }
    for name in ("kl", "hellinger", "fisher", "w2", "w2_squared"):
        found[f"closed {name}"] = getattr(closed_form, name), pair
    for name, function in of_samples(law, problem).items():
        given = {"samples": SAMPLES, "log_weights": LOG_WEIGHTS}
        found[name] = function, given, {"samples": [(COUNT + 1, DIM)]}
    found["coordinate_variance"] = (
        lambda log_weights: diagnostics.coordinate_variance(
            SAMPLES, log_weights=log_weights
        ),
        {"log_weights": LOG_WEIGHTS},
    )
    return found


def of_samples(law, problem):
    """By name: functions of samples and log_weights."""

    def bound(function, *before):
        return lambda samples, log_weights: function(
            *before, samples, law, log_weights=log_weights
        )

    names = (
        *("mmd_squared", "energy_distance", "kernel_stein_discrepancy", "mean_error"),
        *("covariance_error", "mode_weights"),
    )
    found = {name: bound(getattr(divergences, name)) for name in names}
    found["sliced"] = bound(divergences.sliced_wasserstein, KEY)
    found["max_sliced"] = bound(divergences.max_sliced_wasserstein, KEY)
    found["log_density"] = bound(diagnostics.log_density)
    found["frechet"] = bound(diagnostics.frechet)
    found["residual_chi2"] = lambda samples, log_weights: diagnostics.residual_chi2(
        samples, problem, log_weights=log_weights
    )
    for name in ("psnr", "psnr_of_mean"):
        function = getattr(diagnostics, name)
        found[name] = (
            lambda f: (
                lambda samples, log_weights: f(samples, X, log_weights=log_weights)
            )
        )(function)
    for name in ("kolmogorov", "cramer_von_mises"):
        function = getattr(divergences, name)
        found[name] = (
            lambda f: (
                lambda samples, log_weights: f(samples, law, X, log_weights=log_weights)
            )
        )(function)
    return found


def variants(array, own):
    """The array in shapes that are not its own, nor among `own`."""
    array = np.asarray(array)
    found = [array[None], array[..., None]]
    if array.ndim:
        found += [array.ravel()[0], array[:1], np.concatenate([array, array[:1]])]
    if array.ndim == 2:
        found += [array[0], array.T]
    return [one for one in found if np.shape(one) not in {array.shape, *own}]


@pytest.mark.slow
def test_every_function_of_arrays_refuses_other_shapes_and_complex_numbers():
    accepted = []
    for name, (function, given, *more) in calls().items():
        free = {
            "effective_size": {"log_weights": [(1,), (COUNT + 1,)]},
            "isotropic step": {"mean": [(1,), (DIM + 1,)]},
            "uniform": {"log_density": [(42,)]},
        }.get(name, more[0] if more else {})
        for argument, array in given.items():
            wrong = [*variants(array, free.get(argument, [])), array + 1j]
            for one in wrong:
                try:
                    function(**{**given, argument: one})
                except gt.InputError as error:
                    if np.iscomplexobj(one):
                        assert "stack real and imaginary" in str(error), name
                    continue
                except Exception as error:
                    accepted.append(f"{name}({argument}) {np.shape(one)}: {error!r}")
                    continue
                accepted.append(f"{name}({argument}) {np.shape(one)}: no error")
    assert not accepted, "\n".join(accepted)


# --- indices --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("observed", "what"),
    [
        ([4], "no such coordinate"),
        ([-1], "no such coordinate"),
        ([0, 2, 2], "chosen twice"),
        ([1, 0, 0, 1], "or a mask"),
        (np.ones(4, int), "or a mask"),
        ([1.0, 0.0, 0.0, 1.0], "not indices"),
        (2, "not indices"),
        ([], "not indices"),
        (np.ones(3, bool), "mask"),
        (np.zeros(4, bool), "mask"),
    ],
)
def test_what_may_be_no_indices_is_refused(observed, what):
    with pytest.raises(gt.InputError, match=what):
        gt.inpainting(observed, 4, 0.1)


def test_a_mask_of_zero_and_one_is_not_two_indices():
    with pytest.raises(gt.InputError, match="or a mask") as caught:
        gt.inpainting([1, 0], 2, 0.1)
    assert "astype(bool)" in str(caught.value)
    assert gt.inpainting([0], 1, 0.1).dim_y == 1


def test_a_mask_of_booleans_is_a_mask():
    found = gt.inpainting([True, False, False, True], 4, 0.1).A
    np.testing.assert_array_equal(found, np.eye(4)[[0, 3]])


def test_a_time_of_a_law_that_is_not_there():
    """JAX would give the last one."""
    target = gt.problems.get("one-gaussian")
    method = gt.Guided(gt.approximations.Exact(), gt.kernels.DDPM())
    law = gt.laws.affine(method, target, jnp.asarray([0.9, 0.5, 0.2]))
    np.testing.assert_array_equal(law.at(2).means, law.at(-1).means)
    for index in (3, -4, 1.5):
        with pytest.raises(gt.InputError, match="no such time"):
            law.at(index)


# --- complex numbers ------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: gt.Linear([[1j]], 0.1),
        lambda: gt.Linear([[1.0]], 0.1 + 0j),
        lambda: gt.blur(np.array([1j, 1.0, 1.0]), 5, 0.1),
        lambda: Mixture.empirical([[1j], [2.0]]),
        lambda: gt.Nonlinear(jnp.fft.fft, 0.1, 1).apply(jnp.ones(1)),
        lambda: gt.time_grid(gt.VP(), 3, t_max=0.9 + 0j),
        lambda: diagnostics.psnr(SAMPLES + 0j, X),
        lambda: gt.External(lambda *_: np.zeros((2, 1), complex)).run(
            KEY, gt.problems.get("one-gaussian"), jnp.asarray([0.9, 0.1]), 2, OPTIONS
        ),
    ],
)
def test_complex_numbers_are_refused_and_not_cut(make):
    with pytest.raises(gt.InputError, match="stack real and imaginary"):
        make()


# --- a forward model that is not a number ---------------------------------------------


def logarithm(prior):
    seen = gt.Nonlinear(jnp.log, 0.1, 1)
    return gt.InverseProblem(prior, seen, [0.5])


def test_atoms_where_the_forward_model_is_not_a_number_are_named():
    problem = logarithm(Mixture.empirical([[1.0], [2.0], [-1.0], [-3.0]]))
    with pytest.raises(gt.InputError, match="2 of 4 atoms, first at atom 2"):
        gt.Target(problem, gt.VP())
    with pytest.raises(gt.InputError, match="not defined at every atom"):
        problem.log_evidence()


def test_an_atom_of_infinite_measurement_has_no_weight():
    found = logarithm(Mixture.empirical([[1.0], [2.0], [0.0]])).posterior()
    factors = -5.0 * (0.5 - np.log([1.0, 2.0])) ** 2
    exact = np.exp(factors) / np.exp(factors).sum()
    np.testing.assert_allclose(np.exp(found.log_weights), [*exact, 0.0], rtol=1e-12)
    with pytest.raises(gt.InputError, match="no atom of the prior explains y"):
        logarithm(Mixture.empirical([[0.0]])).posterior()


def test_nodes_where_the_forward_model_is_not_a_number_are_counted():
    """Means 1, deviation .5: nodes to 12.5 of them, half of those below -2."""
    problem = logarithm(Mixture.isotropic([1.0], [[1.0]], 0.25))
    nodes = np.linspace(-12.5, 12.5, 512)
    count = np.sum(1.0 + 0.5 * nodes < 0)
    with pytest.warns(UserWarning, match=f"NaN at {count} of 512 nodes") as caught:
        gt.Target(problem, gt.VP())
    assert "more nodes do not help" in str(caught[0].message)
