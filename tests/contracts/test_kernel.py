"""One suite for every kernel: `gt.conformance`, and the NumPy references."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt

from ..oracles import numpy_mixture as ref
from ..oracles.library import (
    PATHS,
    drift_and_diffusion,
    path_of,
    scales,
    to_target,
)
from ..oracles.problems import SPACE, golden

kernels = gt.kernels
VARIANTS = {
    "DDPM large": kernels.DDPM("large"),
    "DDPM matched": kernels.DDPM("matched"),
    "DDPM matched_scalar": kernels.DDPM("matched_scalar"),
    "DDIM half": kernels.DDIM(0.5),
    "DDIM one": kernels.DDIM(1.0),
    "ReverseSDE strong": kernels.ReverseSDE(1.7),
    "DPS update": gt.Published(gt.approximations.ZetaDPS(1.0)),
}
ROWS = {name: kind() for name, kind in kernels.CATALOGUE.items()} | VARIANTS
PATH = gt.Rectified()  # alpha = 0 at t = 1, and not variance preserving
START = path_of("Rectified")


def _one_gaussian():
    """Three equal components: one Gaussian, in the shapes of the generic problem."""
    means = np.broadcast_to([0.8, -0.5, 1.7], (3, 3))
    covariances = np.broadcast_to(SPACE.prior.covariances[0], (3, 3, 3))
    return SPACE._replace(
        prior=ref.Mixture(SPACE.prior.log_weights, means, covariances)
    )


GAUSSIAN = _one_gaussian()


RNG = np.random.default_rng(12)
XS, TS, SS = (
    RNG.normal(size=(3, 3)),
    np.array([0.2, 0.5, 0.9]),
    np.array([0.1, 0.45, 0.6]),
)


@eqx.filter_jit
def _evaluate(sampler, target, xs, ts, ss):
    def at(x, t, s):
        step = sampler.transition(target, x, t, s)
        return {"mean": step.mean, "covariance": step.covariance()}

    return jax.vmap(at)(xs, ts, ss)


def _sampler(kernel):
    if isinstance(kernel, gt.Published):
        return kernel
    return gt.Guided(gt.approximations.Exact(), kernel)


class Row:
    """One kernel and its transitions on a generic mixture and on one Gaussian."""

    def __init__(self, name):
        self.name = name
        self.kernel = ROWS[name]
        self.facts = self.kernel.facts
        self.on = {
            "mixture": self.evaluate(self.kernel, SPACE),
            "gaussian": self.evaluate(self.kernel, GAUSSIAN),
        }

    def evaluate(self, kernel, problem, path=START, steps=(XS, TS, SS)):
        steps = (jnp.asarray(part) for part in steps)
        values = _evaluate(_sampler(kernel), to_target(problem, path), *steps)
        return {key: np.asarray(value) for key, value in values.items()}


@pytest.fixture(scope="module", params=ROWS)
def row(request):
    return Row(request.param)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == "DDIM half" else pytest.mark.slow) for n in ROWS],
)
def test_the_facts_are_true(name):
    report = gt.conformance(ROWS[name])
    assert report.ok, str(report)


FROZEN = {  # alpha_s times the integral of g^2 / alpha, by hand
    "VP": lambda at, st, as_, ss, t, s: 2 * (as_ / at - 1),
    "VE": lambda at, st, as_, ss, t, s: st**2 - ss**2,
    "Rectified": lambda at, st, as_, ss, t, s: (
        2 * as_ * (1 / at - 1 / as_ - np.log(as_ / at))
    ),
}


def _moments(name, x, t, s, path="Rectified"):
    """Mean and covariance of the step by the NumPy references, on the mixture."""
    (at, st), (as_, ss) = (scales(PATHS[path], jnp.asarray(time)) for time in (t, s))
    step, eye = (at, st, as_, ss), np.eye(3)
    m = ref.posterior_mean(SPACE, x, at, st)
    C = ref.posterior_covariance(SPACE, x, at, st)
    small, large = ref.ddpm_variances(*step)
    ancestral = ref.ddpm_mean(x, m, *step)
    drift, squared = drift_and_diffusion(path, t)
    euler = (x, m, t - s, drift, squared)
    _, _, c, _ = ref.bridge(*step)
    if name == "DPS update":
        unguided = ref.ddpm_mean(x, ref.prior_mean(SPACE, x, at, st), *step)
        return unguided + ref.zeta_dps(SPACE, x, at, st, 1.0), small * eye
    if name == "Heun":

        def rule(x, alpha, sigma):
            return ref.posterior_mean(SPACE, x, alpha, sigma)

        return ref.heun(x, rule, *step), 0 * eye
    if name == "ExponentialIntegrator":
        score = (at * m - x) / st**2
        weight, ratio = FROZEN[path](at, st, as_, ss, t, s), as_ / at
        return ratio * x + weight * score, ((ratio * st) ** 2 - ss**2) * eye
    if name == "HeunInTime":

        def velocity(x, time):
            alpha, sigma = scales(PATHS[path], jnp.asarray(time))
            rates = drift_and_diffusion(path, time)
            mean = ref.posterior_mean(SPACE, x, alpha, sigma)
            return rates[0] * x - 0.5 * rates[1] * (alpha * mean - x) / sigma**2

        slope = velocity(x, t)
        later = velocity(x - (t - s) * slope, s)
        return x - 0.5 * (t - s) * (slope + later), 0 * eye
    if name.startswith("DDIM"):
        eta = {"DDIM": 0.0, "DDIM half": 0.5, "DDIM one": 1.0}[name]
        mean, std = ref.ddim(x, m, eta, *step)
        return mean, std**2 * eye
    if name.startswith("ReverseSDE"):
        h = {"ReverseSDE": 1.0, "ReverseSDE strong": 1.7}[name]
        mean, std = ref.reverse_sde(x, m, h, *step)
        return mean, std**2 * eye
    return {
        "DDPM": (ancestral, small * eye),
        "DDPM large": (ancestral, large * eye),
        "DDPM matched": (ancestral, ref.matched_covariance(C, *step)),
        "DDPM matched_scalar": (ancestral, (small + c**2 * np.trace(C) / 3) * eye),
        "EulerMaruyama": (ref.euler(*euler, 1.0, at, st), squared * (t - s) * eye),
        "ProbabilityFlow": (ref.euler(*euler, 0.5, at, st), 0 * eye),
    }.get(name)


def _at_equal_ratio(path):
    """The steps at the same x / alpha and sigma / alpha."""
    ts, ss = (
        np.asarray(PATHS[path].time_at_log_snr(PATH.log_snr(times)))
        for times in (TS, SS)
    )
    ratio = PATHS[path].alpha(ts) / PATH.alpha(TS)
    return XS * np.asarray(ratio)[:, None], ts, ss


@pytest.mark.float32
@pytest.mark.parametrize("path", PATHS)
def test_mean_and_covariance_agree_with_the_references(path, row, tolerance):
    steps = _at_equal_ratio(path)
    mine = row.evaluate(row.kernel, SPACE, path_of(path), steps)
    rtol = tolerance.identity
    for index in range(len(XS)):
        moments = _moments(row.name, *(part[index] for part in steps), path)
        if moments is None:
            pytest.skip("no reference in NumPy")
        for key, truth in zip(("mean", "covariance"), moments, strict=True):
            near = {"rtol": 0, "atol": rtol * np.abs(truth).max()}
            assert_allclose(mine[key][index], truth, **near)


# The others step in t, or in units of x_t: a variance sigma_t^2, a gradient in x_t.
IN_THE_SCALES = (
    "DDPM",
    "DDPM matched",
    "DDPM matched_scalar",
    "DDIM",
    "DDIM half",
    "Heun",
    "ReverseSDE strong",
)


@pytest.mark.parametrize("name", IN_THE_SCALES)
def test_steps_in_the_scales_do_not_depend_on_the_path(name):
    """At equal signal-to-noise ratios x_s / alpha_s has one law."""
    row, laws = Row(name), []
    for path in PATHS:
        steps = _at_equal_ratio(path)
        values = row.evaluate(row.kernel, SPACE, path_of(path), steps)
        alpha = np.asarray(PATHS[path].alpha(steps[2]))
        mean = values["mean"] / alpha[:, None]
        laws.append((mean, values["covariance"] / alpha[:, None, None] ** 2))
    for other in laws[1:]:
        assert_allclose(other[0], laws[0][0], rtol=1e-9, atol=1e-10)
        assert_allclose(other[1], laws[0][1], rtol=1e-9, atol=1e-10)


def _posterior_parts():
    posterior = ref.posterior(GAUSSIAN)
    return np.ones(3), posterior.means, posterior.covariances


# --- what single kernels claim ------------------------------------------------------


def _step(kernel, target, x, t, s, field=None):
    sampler = gt.Guided(field or gt.approximations.Exact(), kernel)
    return sampler.transition(target, jnp.asarray(x), jnp.asarray(t), jnp.asarray(s))


def test_ddim_with_all_noise_fresh_is_ancestral():
    one, ancestral = (Row(name).on["mixture"] for name in ("DDIM one", "DDPM"))
    for key in ("mean", "covariance"):
        assert_allclose(one[key], ancestral[key], rtol=1e-9, atol=1e-12)


def test_matched_kernel_is_the_exact_reverse_kernel_of_one_gaussian():
    values = Row("DDPM matched").on["gaussian"]
    posterior = ref.mixture(*(part[:1] for part in _posterior_parts()))
    for index in range(len(XS)):
        ends = (scales(PATH, jnp.asarray(time[index])) for time in (TS, SS))
        kernel = ref.reverse_kernel(posterior, XS[index], *next(ends), *next(ends))
        assert_allclose(values["mean"][index], kernel.means[0], rtol=1e-9)
        covariance = kernel.covariances[0]
        assert_allclose(values["covariance"][index], covariance, rtol=1e-9, atol=1e-12)


def test_the_reverse_kernel_is_the_law_between_two_noise_levels():
    posterior, target = ref.posterior(golden()), to_target(golden(), PATH)
    for x, t, s in zip(XS, TS, SS, strict=True):
        ends = (scales(PATH, jnp.asarray(time)) for time in (t, s))
        exact = ref.reverse_kernel(posterior, x, *next(ends), *next(ends))
        found = gt.reverse_kernel(
            target, jnp.asarray(x), jnp.asarray(t), jnp.asarray(s)
        )
        assert_allclose(found.log_weights, exact.log_weights, rtol=1e-9, atol=1e-12)
        assert_allclose(found.means, exact.means, rtol=1e-9, atol=1e-12)
        assert_allclose(found.covariances(), exact.covariances, rtol=1e-9, atol=1e-12)


def test_large_variance_is_exact_for_a_unit_gaussian_under_variance_preservation():
    unit = ref.mixture([1.0], [[1.0, -2.0, 0.5]], np.eye(3)[None])
    path = gt.VP()
    target = to_target(golden()._replace(prior=unit), path)
    t, s, x = 0.5, 0.2, np.array([0.3, 0.7, -1.0])
    ends = (scales(path, jnp.asarray(time)) for time in (t, s))
    exact = ref.reverse_kernel(unit, x, *next(ends), *next(ends))
    unguided = gt.approximations.Unguided()
    large, small = (
        _step(kernels.DDPM(variance), target, x, t, s, unguided)
        for variance in ("large", "small")
    )
    assert_allclose(large.mean, exact.means[0], rtol=1e-9)
    variance = exact.covariances[0, 0, 0]
    assert_allclose(large.covariance(), variance * np.eye(3), rtol=1e-9, atol=1e-15)
    assert small.covariance()[0, 0] < 0.9 * variance


def test_small_variance_is_exact_for_a_point_mass():
    prior = gt.GaussianMixture.empirical(jnp.asarray([[1.0, -2.0, 0.5]]))
    problem = gt.InverseProblem(prior, gt.Linear(SPACE.A, SPACE.R), SPACE.y)
    t, s, x = 0.5, 0.2, np.array([0.3, 0.7, -1.0])
    step = _step(kernels.DDPM("small"), gt.Target(problem, PATH), x, t, s)
    atom = ref.mixture([1.0], [[1.0, -2.0, 0.5]], np.zeros((1, 3, 3)))
    ends = (scales(PATH, jnp.asarray(time)) for time in (t, s))
    exact = ref.reverse_kernel(atom, x, *next(ends), *next(ends))
    assert_allclose(step.mean, exact.means[0], rtol=1e-9)
    assert_allclose(step.covariance()[0, 0], exact.covariances[0, 0, 0], rtol=1e-9)


def test_field_gives_the_score_of_the_posterior_at_time_t():
    field = gt.GuidedField(gt.approximations.Exact(), to_target(SPACE, PATH))
    x, t = np.array([0.4, -0.2, 0.9]), jnp.asarray(0.4)
    law = ref.noised(ref.posterior(SPACE), *scales(PATH, t))
    assert_allclose(field.score(jnp.asarray(x), t), ref.score(law, x), rtol=1e-9)
