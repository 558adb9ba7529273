"""Five samplers of the 25-mode mixture at once, fast: used by tmpd_table.py.

Many particles are the last axis of every array, and the common variance of the modes makes
a step a few products with the (25, r) means: fifteen times faster than `gt.sample`, whose
steps these are (tests/test_tmpd_table.py compares them, in all d dimensions, to 1e-9).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

ZETA_STEP, ZETA = 0.1, 0.3  # Cardoso et al.'s step of the published DPS; of the field

_euler = gt.kernels.EulerMaruyama()
SAMPLERS = {
    "exact": gt.Guided(gt.approximations.Exact(), _euler),
    "TMPD": gt.Guided(gt.approximations.TMPD(), _euler),
    "PiGDM": gt.Guided(gt.approximations.PiGDM(), _euler),
    "DPS": gt.Guided(gt.approximations.Unguided(), gt.kernels.DPSUpdate(ZETA_STEP)),
    "zeta-DPS": gt.Guided(gt.approximations.ZetaDPS(ZETA), _euler),
}


class Problem(NamedTuple):
    """A problem in r coordinates: K modes of variance 1, y = A x + noise."""

    means: jax.Array  # (K, r)
    A: jax.Array  # (m, r)
    variance: jax.Array  # (), of the noise
    y: jax.Array  # (m,)
    left: jax.Array  # (m, m), and
    squares: jax.Array  # (m,): A A^T = left diag(squares) left^T
    axes: jax.Array  # (r, r), of the posterior's modes, with
    spectrum: jax.Array  # (r,) their variances there
    centre: jax.Array  # (r,), the posterior's mean
    modes: jax.Array  # (K, r), along the axes, from the centre
    log_weights: jax.Array  # (K,), of the posterior's modes


class Step(NamedTuple):
    """One time t of the grid: scales, and the coefficients of both kernels, all ()."""

    alpha: jax.Array
    sigma: jax.Array
    euler: tuple  # of x, of M, of the noise
    ddpm: tuple


def problem_of(target: gt.Target) -> Problem:
    """The arrays of a target whose prior has equal weights and variance 1."""
    problem, posterior = target.problem, target.exact_posterior
    A = problem.measurement.A
    squares, left = np.linalg.eigh(np.asarray(A @ A.T))
    spectrum, axes = np.linalg.eigh(np.asarray(posterior.covariances()[0]))
    centre = posterior.mean()
    found = Problem(
        problem.prior.means,
        A,
        problem.measurement.R[0, 0],
        problem.y,
        left,
        squares,
        axes,
        spectrum,
        centre,
        (posterior.means - centre[None]) @ axes,
        posterior.log_weights,
    )
    return jax.tree.map(jnp.asarray, found)


def steps_of(path: gt.AbstractPath, times: jax.Array) -> Step:
    """Every step of the grid, (N,) each."""
    t, s = times[:-1], times[1:]
    alpha, sigma, delta = path.alpha(t), path.sigma(t), t - s
    g2 = path.diffusion_squared(t)
    pull = delta * g2 / sigma**2
    euler = 1.0 - delta * path.drift(t) - pull, pull * alpha, jnp.sqrt(g2 * delta)
    fresh = -jnp.expm1(path.log_snr(t) - path.log_snr(s))
    keep = alpha / path.alpha(s) * (path.sigma(s) / sigma) ** 2
    ddpm = keep, path.alpha(s) * fresh, path.sigma(s) * jnp.sqrt(fresh)
    return Step(alpha, sigma, euler, ddpm)


def advance(x: dict, noise, p: Problem, step: Step, final) -> dict:
    """The next states (r, n) of all methods, with one noise; the means if `final`."""
    alpha, sigma = step.alpha, step.sigma
    noise = jnp.where(final, 0.0, noise)
    fields = {"exact": exact(x["exact"], p, alpha, sigma)}
    for name in ("TMPD", "PiGDM", "zeta-DPS"):
        mean, product, weights = denoised(x[name], p, alpha, sigma)
        dual = DUALS[name](p.y[:, None] - p.A @ mean, p, weights, alpha, sigma)
        fields[name] = mean + product(p.A.T @ dual)
    keep, pull, scale = step.euler
    new = {
        name: keep * x[name] + pull * M + scale * noise for name, M in fields.items()
    }
    mean, product, _ = denoised(x["DPS"], p, alpha, sigma)
    dual = 2.0 * ZETA_STEP * unit(p.y[:, None] - p.A @ mean)
    keep, pull, scale = step.ddpm
    new["DPS"] = keep * x["DPS"] + pull * mean + scale * noise
    new["DPS"] += alpha / sigma**2 * product(p.A.T @ dual)
    return {name: new[name] for name in x}


def shares(log_terms):
    """Over the first axis; every exponential once."""
    terms = jnp.exp(log_terms - jnp.max(log_terms, axis=0, keepdims=True))
    return terms / jnp.sum(terms, axis=0, keepdims=True)


def exact(x, p: Problem, alpha, sigma):
    """E[x0 | x_t, y], (r, n)."""
    z = p.axes.T @ (x - alpha * p.centre[:, None])
    variance = (alpha**2 * p.spectrum + sigma**2)[:, None]
    heights = p.log_weights - 0.5 * alpha**2 * (p.modes**2 @ (1.0 / variance[:, 0]))
    share = shares(heights[:, None] + alpha * (p.modes @ (z / variance)))
    mean = alpha * p.spectrum[:, None] * z + sigma**2 * (p.modes.T @ share)
    return p.centre[:, None] + p.axes @ (mean / variance)


def denoised(x, p: Problem, alpha, sigma):
    """E[x0 | x_t] (r, n), products with Cov[x0 | x_t], and the modes' shares (K, n)."""
    total = alpha**2 + sigma**2
    height = 0.5 * alpha**2 * jnp.sum(p.means**2, axis=1)
    share = shares((alpha * (p.means @ x) - height[:, None]) / total)
    width = sigma**2 / total

    def product(vector):
        along = p.means @ vector
        along = share * (along - jnp.sum(share * along, axis=0, keepdims=True))
        return width * vector + width**2 * (p.means.T @ along)

    return alpha / total * x + width * (p.means.T @ share), product, share


def _tmpd(residual, p, share, alpha, sigma):
    """(R + A C A^T)^{-1} r, with the m x m systems written out."""
    width, m = sigma**2 / (alpha**2 + sigma**2), len(p.y)
    seen = p.means @ p.A.T  # (K, m)
    gaps = [seen[:, i, None] - (seen[:, i] @ share)[None] for i in range(m)]
    fixed = width * (p.A @ p.A.T) + p.variance * jnp.eye(m, dtype=seen.dtype)
    S = {
        (i, j): fixed[i, j] + width**2 * jnp.sum(share * gaps[i] * gaps[j], axis=0)
        for i in range(m)
        for j in range(i, m)
    }
    r = list(residual)
    for k in range(m):  # symmetric elimination, then back
        for i in range(k + 1, m):
            factor = S[k, i] / S[k, k]
            r[i] = r[i] - factor * r[k]
            for j in range(i, m):
                S[i, j] = S[i, j] - factor * S[k, j]
    for k in reversed(range(m)):
        r[k] = (r[k] - sum(S[k, j] * r[j] for j in range(k + 1, m))) / S[k, k]
    return jnp.stack(r)


def _pigdm(residual, p, share, alpha, sigma):
    r2 = sigma**2 / (alpha**2 + sigma**2)
    return p.left @ ((p.left.T @ residual) / (p.variance + r2 * p.squares)[:, None])


def _zeta(residual, p, share, alpha, sigma):
    return 2.0 * ZETA * unit(residual)


DUALS = {"TMPD": _tmpd, "PiGDM": _pigdm, "zeta-DPS": _zeta}


def unit(residual):
    """r / |r|, a norm for every particle, and 0 at 0."""
    square = jnp.sum(residual**2, axis=0, keepdims=True)
    return residual / jnp.sqrt(jnp.where(square > 0, square, 1.0))


@jax.jit
def simulate(p: Problem, steps: Step, noise) -> dict:
    """The outputs (r, n) of all methods with common noise (N + 1, r, n), start first."""
    start = dict.fromkeys(SAMPLERS, steps.sigma[0] * noise[0])
    last = jnp.arange(len(noise) - 1) == len(noise) - 2

    def body(x, each):
        return advance(x, each[0], p, *each[1:]), None

    return jax.lax.scan(body, start, (noise[1:], steps, last))[0]


def spread_beyond(path: gt.AbstractPath, times: jax.Array) -> dict[str, float]:
    """Standard deviation of every direction beyond the frame, of the last mean."""
    line = gt.GaussianMixture.isotropic(jnp.ones(1), jnp.zeros((1, 1)), 1.0)
    blind = gt.Linear(jnp.zeros((1, 1)), 1.0)
    target = gt.Target(gt.InverseProblem(line, blind, jnp.zeros(1)), path)
    found = {}
    for name, kernel in (("euler", _euler), ("DPS", gt.kernels.DDPM())):
        sampler = gt.Guided(gt.approximations.Unguided(), kernel)
        law = gt.laws.affine(sampler, target, times[:-1])
        keep = sampler.transition(target, jnp.ones(1), times[-2], times[-1]).mean[0]
        found[name] = float(keep * jnp.sqrt(law.covariance()[0, 0]))
    return {name: found.get(name, found["euler"]) for name in SAMPLERS}


@jax.jit
def sliced_w1(points, log_weights, means, variances):
    """Mean over L directions of W1 on the line, (sets,).

    Args:
        points: (L, sets, n), projected samples.
        log_weights: (K,), means (L, K), variances (L,): the posterior's projections.
    """

    def along(projected):
        points, means, variance = projected
        weights = jnp.exp(log_weights)
        law = gt.GaussianMixture.isotropic(weights, means[:, None], variance)

        def cost(x):
            return gt.divergences.line_wasserstein(x[:, None], law, p=1).value

        return jax.vmap(cost)(points)

    return jnp.mean(jax.lax.map(along, (points, means, variances)), axis=0)
