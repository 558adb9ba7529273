"""Hands the NumPy problems to the package; the only file here that imports it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

from .numpy_mixture import Mixture, Problem


def to_mixture(mix: Mixture) -> gt.GaussianMixture:
    """The package's mixture of the same law."""
    arrays = (jnp.asarray(np.asarray(part)) for part in mix)
    log_weights, means, covariances = arrays
    return gt.GaussianMixture.full(jnp.exp(log_weights), means, covariances)


def to_problem(problem: Problem) -> gt.InverseProblem:
    """The package's inverse problem, built in one compilation."""
    return _problem(jax.tree.map(jnp.asarray, problem))


def to_target(problem: Problem, path: gt.AbstractPath) -> gt.Target:
    """The package's problem along a path, built in one compilation."""
    return _target(jax.tree.map(jnp.asarray, problem), path)


@eqx.filter_jit
def _problem(problem):
    log_weights, means, covariances = problem.prior
    prior = gt.GaussianMixture.full(jnp.exp(log_weights), means, covariances)
    return gt.InverseProblem(prior, gt.Linear(problem.A, problem.R), problem.y)


@eqx.filter_jit
def _target(problem, path):
    return gt.Target(_problem(problem), path)


@eqx.filter_jit
def posterior_and_evidence(problem: gt.InverseProblem):
    """The package's exact posterior and log-evidence, in one compilation."""
    return problem.posterior(), problem.log_evidence()


def from_mixture(mix: gt.GaussianMixture) -> Mixture:
    """Back to NumPy."""
    parts = (mix.log_weights, mix.means, mix.covariances())
    return Mixture(*(np.asarray(part, np.float64) for part in parts))


class OneOf(gt.AbstractPath):
    """One of several paths, by a number that is data: one compilation serves them all."""

    paths: tuple[gt.AbstractPath, ...]
    index: jax.Array

    def alpha(self, t):
        return self._chosen("alpha", t)

    def sigma(self, t):
        return self._chosen("sigma", t)

    def drift(self, t):
        return self._chosen("drift", t)

    def diffusion_squared(self, t):
        return self._chosen("diffusion_squared", t)

    def log_snr(self, t):
        return self._chosen("log_snr", t)

    def time_at_log_snr(self, log_snr):
        return self._chosen("time_at_log_snr", log_snr)

    def _chosen(self, method, argument):
        values = [getattr(path, method)(argument) for path in self.paths]
        return jnp.stack(values)[self.index]


PATHS = {"VP": gt.VP(), "VE": gt.VE(0.01, 50.0), "Rectified": gt.Rectified()}


def path_of(name: str) -> OneOf:
    """A path of PATHS, for one program."""
    return OneOf(tuple(PATHS.values()), jnp.asarray(list(PATHS).index(name)))


def rates(name: str, t) -> tuple[float, float]:
    """alpha' and sigma' of a path of PATHS, by hand."""
    alpha, sigma = scales(PATHS[name], t)
    if name == "VP":
        slope = -0.5 * (0.1 + 19.9 * float(t)) * alpha
        return slope, -slope * alpha / sigma
    return {"VE": (0.0, sigma * np.log(5000.0)), "Rectified": (-1.0, 1.0)}[name]


def drift_and_diffusion(name: str, t) -> tuple[float, float]:
    """f = alpha' / alpha and g^2 = 2 sigma sigma' - 2 f sigma^2."""
    (alpha, sigma), (slope, growth) = scales(PATHS[name], t), rates(name, t)
    drift = slope / alpha
    return drift, 2 * sigma * growth - 2 * drift * sigma**2


def time_of(path: gt.AbstractPath, alpha: float, sigma: float):
    """The time at which the path has this signal-to-noise ratio."""
    return path.time_at_log_snr(jnp.asarray(2 * np.log(alpha / sigma)))


def scales(path: gt.AbstractPath, t) -> tuple[float, float]:
    """alpha and sigma at t as floats."""
    return float(path.alpha(t)), float(path.sigma(t))
