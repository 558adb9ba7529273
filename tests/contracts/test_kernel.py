"""One suite for every kernel: each row of CATALOGUE answers the same questions."""

import dataclasses
from collections import Counter

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
    "DPS update": gt.Published(gt.approximations.ZetaDPS(1.0)),
}
ROWS = {name: kind() for name, kind in kernels.CATALOGUE.items()} | VARIANTS
DETERMINISTIC = {"DDIM", "ProbabilityFlow", "Heun"}
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


def _grid(steps, t_max=0.95, t_min=0.05):
    """Equal steps in the log signal-to-noise ratio."""
    levels = np.exp(
        np.linspace(*np.log([t_max / (1 - t_max), t_min / (1 - t_min)]), steps + 1)
    )
    return levels / (1 + levels)


# Steps: inside, along a segment, very short, near both ends, and two whole grids.
RNG = np.random.default_rng(12)
GRIDS = (_grid(64), _grid(128))
SHARE = 0.3
ENDS = RNG.normal(size=(2, 3))
PARTS = {
    "inside": (RNG.normal(size=(3, 3)), [0.2, 0.5, 0.9], [0.1, 0.45, 0.6]),
    "segment": (
        np.stack([*ENDS, SHARE * ENDS[0] + (1 - SHARE) * ENDS[1]]),
        [0.6] * 3,
        [0.4] * 3,
    ),
    "short": (RNG.normal(size=(1, 3)), [0.5], [0.5 - 1e-7]),
    "ends": (RNG.normal(size=(3, 3)), [1e-5, 1e-2, 0.9999], [1e-6, 5e-3, 0.99]),
    "without signal": (RNG.normal(size=(1, 3)), [1.0], [0.9]),
    "without noise": (np.array([[0.4, -1.1, 0.2]]), [0.2], [0.0]),
    "coarse": (np.zeros((64, 3)), GRIDS[0][:-1], GRIDS[0][1:]),
    "fine": (np.zeros((128, 3)), GRIDS[1][:-1], GRIDS[1][1:]),
}
XS, TS, SS = (np.concatenate([part[i] for part in PARTS.values()]) for i in range(3))
BOUNDS = np.cumsum([0, *(len(part[1]) for part in PARTS.values())])
WHERE = {
    name: slice(*bounds)
    for name, bounds in zip(
        PARTS, zip(BOUNDS[:-1], BOUNDS[1:], strict=True), strict=True
    )
}
TRACES = Counter()


@eqx.filter_jit
def _evaluate(sampler, target, xs, ts, ss):
    TRACES[repr(type(sampler)), type(sampler.kernel).__name__] += 1

    def at(x, t, s):
        step = sampler.transition(target, x, t, s)
        jacobian = jax.jacfwd(lambda x: sampler.transition(target, x, t, s).mean)(x)
        return {
            "mean": step.mean,
            "least": step.root.least(),
            "covariance": step.covariance(),
            "jacobian": jacobian,
        }

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

    def at(self, part, key, kind="mixture"):
        return self.on[kind][key][WHERE[part]]


@pytest.fixture(scope="module", params=ROWS)
def row(request):
    return Row(request.param)


def _gap(value, truth):
    return np.linalg.norm(value - truth) / np.linalg.norm(truth)


def test_facts_are_complete(row):
    assert row.facts.summary and row.facts.reference
    assert row.facts.order in {0, 1, 2}


def test_shapes(row):
    count = len(XS)
    assert row.on["mixture"]["mean"].shape == (count, 3)
    assert row.on["mixture"]["covariance"].shape == (count, 3, 3)


def test_single_step_without_jit_agrees_with_the_compiled_batch(row):
    index = WHERE["inside"].start + 1
    step = _sampler(row.kernel).transition(
        to_target(SPACE, PATH), *(jnp.asarray(part[index]) for part in (XS, TS, SS))
    )
    values = row.on["mixture"]
    assert_allclose(step.mean, values["mean"][index], rtol=1e-9)
    assert_allclose(step.root.least(), values["least"][index], rtol=1e-9, atol=1e-12)


def _parameters(kernel):
    fields = dataclasses.fields(kernel)
    return [field.name for field in fields if not field.metadata.get("static", False)]


def test_no_recompilation_when_a_hyper_parameter_or_the_problem_changes(row):
    if isinstance(row.kernel, gt.Published):
        pytest.skip("its parts are asked by themselves")
    sampler = _sampler(row.kernel)
    name = repr(type(sampler)), type(row.kernel).__name__
    before = TRACES[name]
    for parameter in _parameters(row.kernel):
        value = 0.7 * float(getattr(row.kernel, parameter)) + 0.05
        changed = row.evaluate(type(row.kernel)(**{parameter: value}), SPACE)
        inside = changed["mean"][WHERE["inside"]]
        assert _gap(inside, row.at("inside", "mean")) > 1e-4
    row.evaluate(row.kernel, SPACE._replace(y=SPACE.y + 0.5, R=2 * SPACE.R))
    assert before >= 1
    assert TRACES[name] == before


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
    if name.startswith("DDIM"):
        eta = {"DDIM": 0.0, "DDIM half": 0.5, "DDIM one": 1.0}[name]
        mean, std = ref.ddim(x, m, eta, *step)
        return mean, std**2 * eye
    return {
        "DDPM": (ancestral, small * eye),
        "DDPM large": (ancestral, large * eye),
        "DDPM matched": (ancestral, ref.matched_covariance(C, *step)),
        "DDPM matched_scalar": (ancestral, (small + c**2 * np.trace(C) / 3) * eye),
        "EulerMaruyama": (ref.euler(*euler, 1.0, at, st), squared * (t - s) * eye),
        "ProbabilityFlow": (ref.euler(*euler, 0.5, at, st), 0 * eye),
    }[name]


def _at_equal_ratio(path):
    """The steps inside, with the rest, at the same x / alpha and sigma / alpha."""
    where, (ts, ss) = WHERE["inside"], (TS.copy(), SS.copy())
    for times in (ts, ss):
        times[where] = PATHS[path].time_at_log_snr(PATH.log_snr(times[where]))
    ratio = PATHS[path].alpha(ts[where]) / PATH.alpha(TS[where])
    xs = XS.copy()
    xs[where] *= np.asarray(ratio)[:, None]
    return xs, ts, ss


@pytest.mark.float32
@pytest.mark.parametrize("path", PATHS)
def test_mean_and_covariance_agree_with_the_references(path, row, tolerance):
    steps = _at_equal_ratio(path)
    mine = row.evaluate(row.kernel, SPACE, path_of(path), steps)
    rtol = tolerance.identity
    for index in range(len(XS))[WHERE["inside"]]:
        mean, covariance = _moments(row.name, *(part[index] for part in steps), path)
        near = {"rtol": 0, "atol": rtol * np.abs(mean).max()}
        assert_allclose(mine["mean"][index], mean, **near)
        near["atol"] = rtol * np.abs(covariance).max()
        assert_allclose(mine["covariance"][index], covariance, **near)


def test_steps_in_the_scales_do_not_depend_on_the_path(row):
    """At equal signal-to-noise ratios x_s / alpha_s has one law; steps in t do not."""
    where, laws = WHERE["inside"], []
    if row.name in {"EulerMaruyama", "ProbabilityFlow"}:
        pytest.skip("steps in t")
    if row.name in {"DDPM large", "DPS update"}:
        pytest.skip("in units of x_t: a variance sigma_t^2, a gradient in x_t")
    for path in PATHS:
        steps = _at_equal_ratio(path)
        values = row.evaluate(row.kernel, SPACE, path_of(path), steps)
        alpha = np.asarray(PATHS[path].alpha(steps[2][where]))
        mean = values["mean"][where] / alpha[:, None]
        laws.append((mean, values["covariance"][where] / alpha[:, None, None] ** 2))
    for other in laws[1:]:
        assert_allclose(other[0], laws[0][0], rtol=1e-9, atol=1e-10)
        assert_allclose(other[1], laws[0][1], rtol=1e-9, atol=1e-10)


def test_scale_is_zero_exactly_for_deterministic_kernels(row):
    scale = row.at("inside", "covariance")
    if row.name in DETERMINISTIC:
        assert np.all(scale == 0)
    else:
        assert np.all(np.trace(scale, axis1=1, axis2=2) > 0)


def test_affine_on_one_gaussian_exactly_if_the_facts_say_so(row):
    one, other, between = row.at("segment", "mean", "gaussian")
    error = _gap(between, SHARE * one + (1 - SHARE) * other)
    first, *others = row.at("segment", "covariance", "gaussian")
    constant = all(np.allclose(first, cov, rtol=1e-9, atol=1e-15) for cov in others)
    assert (error < 1e-9 and constant) == row.facts.affine
    if not row.facts.affine:
        assert error > 1e-3


def test_not_affine_on_a_generic_mixture(row):
    one, other, between = row.at("segment", "mean")
    assert _gap(between, SHARE * one + (1 - SHARE) * other) > 1e-4


def test_finite_near_both_ends(row):
    for key in ("mean", "covariance", "jacobian"):
        assert np.all(np.isfinite(row.at("ends", key)))


def test_finite_without_signal_exactly_if_alpha_is_not_needed(row):
    finite = np.all(np.isfinite(row.at("without signal", "mean")))
    assert finite != ("signal" in row.facts.needs)


def test_finite_without_noise_exactly_if_sigma_is_not_needed(row):
    finite = np.all(np.isfinite(row.at("without noise", "mean")))
    assert finite != ("noise" in row.facts.needs)


def test_a_short_step_moves_little_exactly_if_the_order_is_positive(row):
    moved = np.linalg.norm(row.at("short", "mean") - XS[WHERE["short"]])
    assert np.trace(row.at("short", "covariance")[0]) < 1e-4
    if row.facts.order > 0:
        assert moved < 1e-4
    else:
        assert moved > 1e-2


def _law_error(row, part, grid):
    """Distance of the sampler's exact Gaussian law from the posterior, at the end."""
    posterior = ref.mixture(*(part[:1] for part in _posterior_parts()))
    start, end = (
        ref.noised(posterior, *scales(PATH, jnp.asarray(t)))
        for t in (grid[0], grid[-1])
    )
    mean, covariance = start.means[0], start.covariances[0]
    for F, shift, noise in zip(
        *(row.at(part, key, "gaussian") for key in ("jacobian", "mean", "covariance")),
        strict=True,
    ):
        mean = F @ mean + shift
        covariance = F @ covariance @ F.T + noise
    return np.hypot(
        np.linalg.norm(mean - end.means[0]),
        np.linalg.norm(covariance - end.covariances[0]),
    )


def _posterior_parts():
    posterior = ref.posterior(GAUSSIAN)
    return np.ones(3), posterior.means, posterior.covariances


def test_order_of_the_law_on_one_gaussian(row, tolerance):
    if not row.facts.affine:
        pytest.skip("no Gaussian law: a short step is asked instead")
    errors = [
        _law_error(row, part, grid)
        for part, grid in zip(("coarse", "fine"), GRIDS, strict=True)
    ]
    if row.name == "DDPM matched":
        assert max(errors) < 1e-10
        return
    assert errors[1] > 1e-6
    slope = np.log2(errors[0] / errors[1])
    assert abs(slope - row.facts.order) < tolerance.slope


# --- what single kernels claim ------------------------------------------------------


def _step(kernel, target, x, t, s, field=None):
    sampler = gt.Guided(field or gt.approximations.Exact(), kernel)
    return sampler.transition(target, jnp.asarray(x), jnp.asarray(t), jnp.asarray(s))


def test_every_kernel_of_the_catalogue_has_a_reference():
    for name in ROWS:
        mean, covariance = _moments(name, XS[0], TS[0], SS[0])
        assert mean.shape == (3,) and covariance.shape == (3, 3)


def test_ddim_with_all_noise_fresh_is_ancestral():
    one, ancestral = (Row(name).on["mixture"] for name in ("DDIM one", "DDPM"))
    inside = WHERE["inside"]
    for key in ("mean", "covariance"):
        assert_allclose(one[key][inside], ancestral[key][inside], rtol=1e-9, atol=1e-12)


def test_matched_kernel_is_the_exact_reverse_kernel_of_one_gaussian():
    values = Row("DDPM matched").on["gaussian"]
    posterior = ref.mixture(*(part[:1] for part in _posterior_parts()))
    for index in range(len(XS))[WHERE["inside"]]:
        ends = (scales(PATH, jnp.asarray(time[index])) for time in (TS, SS))
        kernel = ref.reverse_kernel(posterior, XS[index], *next(ends), *next(ends))
        assert_allclose(values["mean"][index], kernel.means[0], rtol=1e-9)
        covariance = kernel.covariances[0]
        assert_allclose(values["covariance"][index], covariance, rtol=1e-9, atol=1e-12)


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
