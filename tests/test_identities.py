"""Identities of denoising and guidance, against dense NumPy, in d = 1, 3 and 10.

On three paths, at the same x / alpha and the same signal-to-noise ratios.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt

from .oracles import numpy_mixture as ref
from .oracles.library import (
    PATHS,
    from_mixture,
    path_of,
    posterior_and_evidence,
    rates,
    scales,
    to_target,
)
from .oracles.problems import LINE, SPACE, TEN

PROBLEMS = {"d1": LINE, "d3": SPACE, "d10": TEN}
LOG_SNR = gt.VP().log_snr(np.array([0.08, 0.3, 0.3, 0.75]))
STEP = 0.05
RTOL = 1e-9
APPROXIMATIONS = {
    "Exact": gt.approximations.Exact(),
    "DPS": gt.approximations.DPS(),
    "ZetaDPS": gt.approximations.ZetaDPS(0.4),
    "PiGDM": gt.approximations.PiGDM("snr"),
    "PiGDM flat": gt.approximations.PiGDM("flat"),
    "PiGDM data": gt.approximations.PiGDM("data"),
    "TMPD": gt.approximations.TMPD(),
    "DDNM": gt.approximations.DDNM(),
    "DiffPIR": gt.approximations.DiffPIR(0.7),
}


@eqx.filter_jit
def _library(target, xs, ts):
    """Everything the package says at each point and time."""

    def at(x, t):
        marginal, posterior = target.marginal(t), target.posterior(t)
        step = gt.Guided(gt.approximations.Exact(), gt.kernels.DDPM("matched"))
        flow = gt.Guided(gt.approximations.Exact(), gt.kernels.ProbabilityFlow())
        kernel = step.transition(target, x, t, t - STEP)
        moved = flow.transition(target, x, t, t - STEP).mean
        return {
            "log_prob": marginal.log_prob(x),
            "score": marginal.score(x),
            "hessian": jax.jacfwd(marginal.score)(x),
            "responsibilities": marginal.responsibilities(x),
            "posterior_log_prob": posterior.log_prob(x),
            "posterior_score": posterior.score(x),
            "denoised": target.denoised(x, t).means,
            "m": target.prior_mean(x, t),
            "C": target.prior_covariance(x, t),
            "J": jax.jacfwd(target.prior_mean)(x, t),
            "m_y": target.posterior_mean(x, t),
            "C_y": target.posterior_covariance(x, t),
            "J_y": jax.jacfwd(target.posterior_mean)(x, t),
            "log_likelihood": target.log_likelihood(x, t),
            "guidance": target.guidance(x, t),
            "gradient": jax.grad(target.log_likelihood)(x, t),
            "curvature": jax.jacfwd(target.guidance)(x, t),
            "correction": target.correction(x, t),
            "kernel_mean": kernel.mean,
            "kernel_covariance": kernel.covariance(),
            "velocity": (x - moved) / STEP,
        }

    return jax.vmap(at)(xs, ts)


class Case:
    """One problem at several points: the package's values and the oracle's inputs."""

    def __init__(self, name, path):
        self.name, self.path = name, path
        self.problem = problem = PROBLEMS[name]
        self.target = to_target(problem, path_of(path))
        exact = posterior_and_evidence(self.target.problem)
        self.posterior, self.evidence = exact
        dim = problem.A.shape[1]
        self.times = np.asarray(PATHS[path].time_at_log_snr(LOG_SNR))
        self.alpha, self.sigma = self.scales_at(self.times)
        clean = 2 * np.random.default_rng(dim).normal(size=(len(self.times), dim))
        self.xs = self.alpha[:, None] * clean
        self.states = list(zip(self.xs, self.alpha, self.sigma, strict=True))
        values = _library(self.target, jnp.asarray(self.xs), jnp.asarray(self.times))
        self.values = {name: np.asarray(value) for name, value in values.items()}

    def scales_at(self, times):
        """alpha and sigma at every time."""
        pairs = [scales(PATHS[self.path], jnp.asarray(t)) for t in times]
        return np.array(pairs).T

    def expect(self, name, oracle):
        """The package's `name` is the oracle's, at every point."""
        truth = np.array([oracle(self.problem, *state) for state in self.states])
        same(self.values[name], truth)


def same(value, truth):
    """Equal to 1e-9 of the largest entry of each point's value."""
    truth = np.asarray(truth)
    size = np.abs(truth.reshape(len(truth), -1)).max(axis=1)
    error = np.abs(np.asarray(value) - truth).reshape(len(truth), -1).max(axis=1)
    assert np.all(size > 0)
    assert np.all(error <= RTOL * size), error / size


_case = functools.cache(Case)


SLOW = {"d10": pytest.mark.slow}  # each dimension is a compilation


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=SLOW.get(name, ())) for name in PROBLEMS],
)
def problem(request):
    return request.param


@pytest.fixture(scope="module", params=PATHS)
def case(request, problem):
    return _case(problem, request.param)


def _marginal(problem, alpha, sigma):
    return ref.noised(problem.prior, alpha, sigma)


def _posterior(problem, alpha, sigma):
    return ref.noised(ref.posterior(problem), alpha, sigma)


def test_marginal_law_responsibilities_score_and_hessian(case):
    case.expect("log_prob", lambda p, x, a, s: ref.log_prob(_marginal(p, a, s), x))
    case.expect("score", lambda p, x, a, s: ref.score(_marginal(p, a, s), x))
    case.expect("hessian", lambda p, x, a, s: ref.hessian(_marginal(p, a, s), x))
    case.expect(
        "responsibilities",
        lambda p, x, a, s: ref.responsibilities(_marginal(p, a, s), x),
    )


def test_denoiser(case):
    case.expect("denoised", lambda p, *state: ref.denoised(p.prior, *state).means)
    case.expect("m", ref.prior_mean)
    case.expect("C", ref.prior_covariance)


def test_posterior_mean_and_covariance(case):
    case.expect("m_y", ref.posterior_mean)
    case.expect("C_y", ref.posterior_covariance)


def test_likelihood_and_guidance(case):
    case.expect("log_likelihood", ref.log_likelihood)
    case.expect("guidance", ref.exact_guidance)


def test_score_is_minus_predicted_noise_over_sigma(case):
    v, alpha, sigma = case.values, case.alpha[:, None], case.sigma[:, None]
    noise = (case.xs - alpha * v["m"]) / sigma
    same(v["score"], -noise / sigma)


def test_covariance_is_the_scaled_jacobian_of_the_denoiser(case):
    v, alpha, sigma = case.values, case.alpha[:, None, None], case.sigma[:, None, None]
    eye = np.eye(case.xs.shape[1])
    same(v["C"], sigma**2 / alpha * v["J"])
    same(v["C"], sigma**2 / alpha**2 * (eye + sigma**2 * v["hessian"]))
    assert np.all(np.linalg.eigvalsh(v["C"]) > 0)


def test_guidance_moves_the_mean_from_prior_to_posterior(case):
    v, alpha, sigma = case.values, case.alpha[:, None], case.sigma[:, None]
    same(v["m_y"], v["m"] + sigma**2 / alpha * v["guidance"])
    same(v["correction"], sigma**2 / alpha * v["guidance"])


def test_guidance_is_the_gradient_of_the_log_likelihood(case):
    same(case.values["gradient"], case.values["guidance"])


def test_posterior_covariance_is_the_scaled_jacobian_of_the_posterior_mean(case):
    v, alpha, sigma = case.values, case.alpha[:, None, None], case.sigma[:, None, None]
    gain = sigma**2 / alpha
    same(v["C_y"], gain * v["J_y"])
    same(v["C_y"], v["C"] + gain**2 * v["curvature"])


def test_guidance_is_the_difference_of_two_scores(case):
    case.expect("posterior_score", lambda p, x, a, s: ref.score(_posterior(p, a, s), x))
    same(case.values["posterior_score"] - case.values["score"], case.values["guidance"])


def test_exact_posterior_and_evidence(case):
    mine, truth = from_mixture(case.posterior), ref.posterior(case.problem)
    for part, other in zip(mine, truth, strict=True):
        assert_allclose(part, other, rtol=RTOL, atol=RTOL * np.abs(other).max())
    assert_allclose(case.evidence, ref.log_evidence(*case.problem), rtol=RTOL)


def test_bayes_rule_at_every_time(case):
    v = case.values
    joint = v["log_prob"] + v["log_likelihood"]
    same(v["posterior_log_prob"], joint - float(case.evidence))
    case.expect(
        "posterior_log_prob",
        lambda p, x, a, s: ref.log_prob(_posterior(p, a, s), x),
    )


def test_matched_kernel_has_the_moments_of_the_exact_reverse_kernel(case):
    after = zip(*case.scales_at(case.times - STEP), strict=True)
    kernels = [
        ref.reverse_kernel(ref.posterior(case.problem), *state, *end)
        for state, end in zip(case.states, after, strict=True)
    ]
    same(case.values["kernel_mean"], [ref.mean(kernel) for kernel in kernels])
    same(case.values["kernel_covariance"], [ref.covariance(k) for k in kernels])


def test_probability_flow_velocity_is_that_of_the_clean_and_noise_estimates(case):
    """u = alpha' m_y + sigma' E[eps | x_t, y]."""
    truth = []
    for (x, alpha, sigma), t in zip(case.states, case.times, strict=True):
        slope, growth = rates(case.path, t)
        clean = ref.posterior_mean(case.problem, x, alpha, sigma)
        truth.append(slope * clean + growth * (x - alpha * clean) / sigma)
    same(case.values["velocity"], truth)


def test_posterior_mean_is_the_denoiser_at_the_fused_pivot(case):
    case.expect("m_y", ref.fused_mean)


# --- approximations -----------------------------------------------------------------


@eqx.filter_jit
def _approximated(target, xs, ts):
    def at(x, t):
        return {
            name: (
                method.guidance(target, x, t),
                method.posterior_mean(target, x, t),
                method.covariance(target, x, t),
            )
            for name, method in APPROXIMATIONS.items()
        }

    return jax.vmap(at)(xs, ts)


@functools.cache
def _fields(problem, path):
    """Guidance, mean and covariance of every method at the points of a case."""
    case = _case(problem, path)
    fields = _approximated(case.target, jnp.asarray(case.xs), jnp.asarray(case.times))
    return jax.tree.map(np.asarray, fields)


@pytest.fixture(scope="module")
def approximated(case):
    return _fields(case.name, case.path)


ORACLES = {
    "Exact": ref.exact_guidance,
    "DPS": ref.dps,
    "ZetaDPS": lambda *state: ref.zeta_dps(*state, 0.4),
    "PiGDM": lambda p, x, a, s: ref.pigdm(p, x, a, s, s**2 / (s**2 + a**2)),
    "PiGDM flat": lambda p, x, a, s: ref.pigdm(p, x, a, s, s**2 / a**2),
    "TMPD": ref.tmpd,
}


@pytest.mark.parametrize("name", ORACLES)
def test_guidance_of_approximations(name, case, approximated):
    truth = np.array([ORACLES[name](case.problem, *state) for state in case.states])
    same(approximated[name][0], truth)


def test_data_variant_of_pigdm_uses_the_mean_variance_of_the_prior(case, approximated):
    variance = np.trace(ref.covariance(case.problem.prior)) / case.xs.shape[1]
    truth = [
        ref.pigdm(case.problem, x, a, s, variance * s**2 / (s**2 + a**2 * variance))
        for x, a, s in case.states
    ]
    same(approximated["PiGDM data"][0], truth)


def test_means_of_projection_and_proximal_methods(case, approximated):
    ddnm = [ref.ddnm_mean(case.problem, *state) for state in case.states]
    diffpir = [ref.diffpir_mean(case.problem, *state, 0.7) for state in case.states]
    same(approximated["DDNM"][1], ddnm)
    same(approximated["DiffPIR"][1], diffpir)


def test_means_are_the_guidance_moved(case, approximated):
    gain = (case.sigma**2 / case.alpha)[:, None]
    for guidance, mean, _ in approximated.values():
        same(mean, case.values["m"] + gain * guidance)


def test_covariances_of_approximations(case, approximated):
    oracles = {"Exact": ref.posterior_covariance, "TMPD": ref.tmpd_covariance}
    for name, (_, _, covariance) in approximated.items():
        oracle = oracles.get(name, ref.prior_covariance)
        same(covariance, [oracle(case.problem, *state) for state in case.states])


def test_truth_and_methods_do_not_depend_on_the_path(problem):
    """At equal x / alpha and sigma / alpha: every moment, log p(y | x_t), alpha g."""
    results = []
    for path in PATHS:
        case, fields = _case(problem, path), _fields(problem, path)
        names = ("m", "C", "m_y", "C_y", "log_likelihood", "correction", "denoised")
        values = {name: case.values[name] for name in names}
        alpha = case.alpha[:, None]
        values["guidance"] = alpha * case.values["guidance"]
        values["score"] = alpha * case.values["score"]
        for name, (guidance, mean, covariance) in fields.items():
            values |= {(name, "g"): alpha * guidance, (name, "M"): mean}
            values[name, "C"] = covariance
        results.append(values)
    first, *others = results
    for other in others:
        for name in first:
            same(other[name], first[name])
