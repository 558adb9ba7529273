r"""Gaussian mixtures under noise and linear measurement, by dense float64 NumPy.

Nothing here shares a line with the package: every law is written from its textbook
formula with `np.linalg.solve` and `np.linalg.inv`, one component at a time. A mixture
is `Mixture(log_weights (K,), means (K, d), covariances (K, d, d))`, a linear inverse
problem is `Problem(prior, A (m, d), R (m, m), y (m,))`, and every function takes one
point `x (d,)` and the two scales of \(x_t = \alpha x_0 + \sigma\epsilon\).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp, softmax


class Mixture(NamedTuple):
    """The law sum_k w_k N(mu_k, P_k); logarithms, so that no weight is lost."""

    log_weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


class Problem(NamedTuple):
    """The prior of \\(x_0\\) and one observation \\(y = A x_0 + N(0, R)\\)."""

    prior: Mixture
    A: np.ndarray
    R: np.ndarray
    y: np.ndarray


def mixture(weights, means, covariances) -> Mixture:
    """A mixture from positive weights, which are normalised in the log domain."""
    log_weights = np.log(np.asarray(weights, float))
    return Mixture(
        log_weights - logsumexp(log_weights),
        np.asarray(means, float),
        np.asarray(covariances, float),
    )


def log_normal(x, mean, covariance) -> float:
    """log N(x; mean, covariance)."""
    residual = x - mean
    _, log_det = np.linalg.slogdet(covariance)
    square = residual @ np.linalg.solve(covariance, residual)
    return -0.5 * (len(residual) * np.log(2 * np.pi) + log_det + square)


def log_terms(mix: Mixture, x) -> np.ndarray:
    """log w_k + log N(x; mu_k, P_k), shape (K,)."""
    terms = [log_normal(x, m, c) for m, c in zip(*mix[1:], strict=True)]
    return mix.log_weights + np.array(terms)


def log_prob(mix: Mixture, x) -> float:
    """log p(x)."""
    return float(logsumexp(log_terms(mix, x)))


def responsibilities(mix: Mixture, x) -> np.ndarray:
    """Probability of each component given x, shape (K,)."""
    return softmax(log_terms(mix, x))


def component_scores(mix: Mixture, x) -> np.ndarray:
    """g_k = P_k^{-1} (mu_k - x), shape (K, d)."""
    return np.array([np.linalg.solve(c, m - x) for m, c in zip(*mix[1:], strict=True)])


def score(mix: Mixture, x) -> np.ndarray:
    """grad log p(x)."""
    return responsibilities(mix, x) @ component_scores(mix, x)


def hessian(mix: Mixture, x) -> np.ndarray:
    """Second derivative of log p(x): -sum r P^{-1} + sum r g g' - s s'."""
    resp, pulls = responsibilities(mix, x), component_scores(mix, x)
    total = -np.outer(score(mix, x), score(mix, x))
    for r, g, c in zip(resp, pulls, mix.covariances, strict=True):
        total += r * (np.outer(g, g) - np.linalg.inv(c))
    return total


def mean(mix: Mixture) -> np.ndarray:
    """E[X]."""
    return np.exp(mix.log_weights) @ mix.means


def covariance(mix: Mixture) -> np.ndarray:
    """Cov[X], summed about the mean so that nothing cancels."""
    centre = mean(mix)
    total = np.zeros((len(centre), len(centre)))
    for w, m, c in zip(np.exp(mix.log_weights), *mix[1:], strict=True):
        total += w * (c + np.outer(m - centre, m - centre))
    return total


def affine(mix: Mixture, A, b, R) -> Mixture:
    """Law of A X + b + N(0, R)."""
    covariances = np.array([A @ c @ A.T + R for c in mix.covariances])
    return Mixture(mix.log_weights, mix.means @ A.T + b, covariances)


def noised(mix: Mixture, alpha, sigma) -> Mixture:
    """Law of alpha X + sigma eps."""
    identity = np.eye(mix.means.shape[1])
    return affine(mix, alpha * identity, 0.0 * mix.means[0], sigma**2 * identity)


def denoised(mix: Mixture, x, alpha, sigma) -> Mixture:
    """Law of X given alpha X + sigma eps = x."""
    identity = np.eye(len(x))
    means, covariances = [], []
    for m, c in zip(*mix[1:], strict=True):
        gain = alpha * c @ np.linalg.inv(alpha**2 * c + sigma**2 * identity)
        means.append(m + gain @ (x - alpha * m))
        covariances.append(sigma / alpha * gain * sigma)
    log_resp = log_terms(noised(mix, alpha, sigma), x)
    log_resp = log_resp - logsumexp(log_resp)
    return Mixture(log_resp, np.array(means), np.array(covariances))


def conditioned(mix: Mixture, A, R, y) -> Mixture:
    """Law of X given A X + N(0, R) = y; Joseph's form keeps small R accurate."""
    means, covariances, terms = [], [], []
    for m, c in zip(*mix[1:], strict=True):
        predicted = A @ c @ A.T + R
        gain = np.linalg.solve(predicted, A @ c).T
        keep = np.eye(len(m)) - gain @ A
        means.append(m + gain @ (y - A @ m))
        covariances.append(keep @ c @ keep.T + gain @ R @ gain.T)
        terms.append(log_normal(y, A @ m, predicted))
    log_weights = mix.log_weights + np.array(terms)
    log_weights = log_weights - logsumexp(log_weights)
    return Mixture(log_weights, np.array(means), np.array(covariances))


def log_evidence(mix: Mixture, A, R, y) -> float:
    """log p(y)."""
    return log_prob(affine(mix, A, np.zeros(len(y)), R), y)


def posterior(problem: Problem) -> Mixture:
    """p(x0 | y)."""
    return conditioned(*problem)


def prior_mean(problem: Problem, x, alpha, sigma) -> np.ndarray:
    """m = E[x0 | x_t]."""
    return mean(denoised(problem.prior, x, alpha, sigma))


def prior_covariance(problem: Problem, x, alpha, sigma) -> np.ndarray:
    """C = Cov[x0 | x_t]."""
    return covariance(denoised(problem.prior, x, alpha, sigma))


def posterior_mean(problem: Problem, x, alpha, sigma) -> np.ndarray:
    """m_y = E[x0 | x_t, y]: denoise, then condition on y."""
    law = denoised(problem.prior, x, alpha, sigma)
    return mean(conditioned(law, *problem[1:]))


def posterior_covariance(problem: Problem, x, alpha, sigma) -> np.ndarray:
    """C_y = Cov[x0 | x_t, y]: denoise, then condition on y."""
    law = denoised(problem.prior, x, alpha, sigma)
    return covariance(conditioned(law, *problem[1:]))


def log_likelihood(problem: Problem, x, alpha, sigma) -> float:
    """log p(y | x_t)."""
    law = denoised(problem.prior, x, alpha, sigma)
    return log_evidence(law, *problem[1:])


def exact_guidance(problem: Problem, x, alpha, sigma) -> np.ndarray:
    """grad log p(y | x_t), differentiated by hand component by component."""
    _, A, R, y = problem
    law = denoised(problem.prior, x, alpha, sigma)
    marginal = noised(problem.prior, alpha, sigma)
    pulls, total = component_scores(marginal, x), score(marginal, x)
    terms, gradients = [], []
    for g, m, c in zip(pulls, *law[1:], strict=True):
        predicted = A @ c @ A.T + R
        terms.append(log_normal(y, A @ m, predicted))
        push = c @ A.T @ np.linalg.solve(predicted, y - A @ m)
        gradients.append(g - total + alpha / sigma**2 * push)
    return softmax(law.log_weights + np.array(terms)) @ np.array(gradients)


def fused_mean(problem: Problem, x, alpha, sigma) -> np.ndarray:
    """m_y by fusing x_t and y into one pivot with anisotropic noise, then denoising."""
    prior, A, R, y = problem
    snr = alpha**2 / sigma**2
    noise = np.linalg.inv(snr * np.eye(len(x)) + A.T @ np.linalg.solve(R, A))
    pivot = noise @ (snr / alpha * x + A.T @ np.linalg.solve(R, y))
    means, terms = [], []
    for m, c in zip(*prior[1:], strict=True):
        gain = c @ np.linalg.inv(c + noise)
        means.append(m + gain @ (pivot - m))
        terms.append(log_normal(pivot, m, c + noise))
    return softmax(prior.log_weights + np.array(terms)) @ np.array(means)


def reverse_kernel(mix: Mixture, x, alpha_t, sigma_t, alpha_s, sigma_s) -> Mixture:
    """p(x_s | x_t) for x_0 ~ mix, s < t; with the posterior, p(x_s | x_t, y)."""
    ratio = alpha_t / alpha_s
    added = sigma_t**2 - ratio**2 * sigma_s**2
    before, after = noised(mix, alpha_s, sigma_s), noised(mix, alpha_t, sigma_t)
    means, covariances = [], []
    for k in range(len(mix.log_weights)):
        Cs, Ct = before.covariances[k], after.covariances[k]
        gain = Cs @ np.linalg.inv(Ct)
        means.append(before.means[k] + ratio * gain @ (x - after.means[k]))
        covariances.append(added * gain)
    terms = log_terms(after, x)
    return Mixture(terms - logsumexp(terms), np.array(means), np.array(covariances))


def denoiser_jacobian(problem: Problem, x, alpha, sigma) -> np.ndarray:
    """J = dm/dx = (alpha / sigma^2) C."""
    return alpha / sigma**2 * prior_covariance(problem, x, alpha, sigma)


def _residual(problem: Problem, x, alpha, sigma) -> np.ndarray:
    return problem.y - problem.A @ prior_mean(problem, x, alpha, sigma)


def dps(problem: Problem, x, alpha, sigma) -> np.ndarray:
    """J' A' R^{-1} r."""
    pull = np.linalg.solve(problem.R, _residual(problem, x, alpha, sigma))
    return denoiser_jacobian(problem, x, alpha, sigma).T @ problem.A.T @ pull


def zeta_dps(problem: Problem, x, alpha, sigma, zeta) -> np.ndarray:
    """2 zeta J' A' r / |r|."""
    r = _residual(problem, x, alpha, sigma)
    J = denoiser_jacobian(problem, x, alpha, sigma)
    return 2 * zeta * J.T @ problem.A.T @ r / np.sqrt(r @ r)


def pigdm(problem: Problem, x, alpha, sigma, r2) -> np.ndarray:
    """J' A' (R + r2 A A')^{-1} r."""
    _, A, R, _ = problem
    r = _residual(problem, x, alpha, sigma)
    J = denoiser_jacobian(problem, x, alpha, sigma)
    return J.T @ A.T @ np.linalg.solve(R + r2 * A @ A.T, r)


def tmpd(problem: Problem, x, alpha, sigma) -> np.ndarray:
    """(alpha / sigma^2) C A' (R + A C A')^{-1} r."""
    _, A, R, _ = problem
    C = prior_covariance(problem, x, alpha, sigma)
    pull = np.linalg.solve(R + A @ C @ A.T, _residual(problem, x, alpha, sigma))
    return alpha / sigma**2 * C @ A.T @ pull


def tmpd_covariance(problem: Problem, x, alpha, sigma) -> np.ndarray:
    """C - C A' (R + A C A')^{-1} A C."""
    _, A, R, _ = problem
    C = prior_covariance(problem, x, alpha, sigma)
    return C - C @ A.T @ np.linalg.solve(R + A @ C @ A.T, A @ C)


def ddnm_mean(problem: Problem, x, alpha, sigma) -> np.ndarray:
    """m + A^+ r."""
    r = _residual(problem, x, alpha, sigma)
    return prior_mean(problem, x, alpha, sigma) + np.linalg.pinv(problem.A) @ r


def diffpir_mean(problem: Problem, x, alpha, sigma, lam) -> np.ndarray:
    """argmin |y - A x0|^2_{R^{-1}} + (lam alpha^2 / sigma^2) |x0 - m|^2."""
    _, A, R, y = problem
    weight = lam * alpha**2 / sigma**2
    m = prior_mean(problem, x, alpha, sigma)
    precision = A.T @ np.linalg.solve(R, A) + weight * np.eye(len(x))
    return np.linalg.solve(precision, A.T @ np.linalg.solve(R, y) + weight * m)


def guidance_to_mean(guidance, m, alpha, sigma) -> np.ndarray:
    """M = m + (sigma^2 / alpha) g."""
    return m + sigma**2 / alpha * guidance


def bridge(alpha_t, sigma_t, alpha_s, sigma_s) -> tuple[float, float, float, float]:
    """rho, a, c and v_ts of the step t -> s."""
    rho = alpha_t * sigma_s / (alpha_s * sigma_t)
    a = rho * sigma_s / sigma_t
    return rho, a, alpha_s * (1 - rho**2), sigma_t**2 * (1 - rho**2)


def ddpm_mean(x, m, alpha_t, sigma_t, alpha_s, sigma_s) -> np.ndarray:
    """a x + c m."""
    _, a, c, _ = bridge(alpha_t, sigma_t, alpha_s, sigma_s)
    return a * x + c * m


def ddpm_variances(alpha_t, sigma_t, alpha_s, sigma_s) -> tuple[float, float]:
    """Small and large ancestral variances."""
    rho, _, _, added = bridge(alpha_t, sigma_t, alpha_s, sigma_s)
    return sigma_s**2 * (1 - rho**2), added


def matched_covariance(C, alpha_t, sigma_t, alpha_s, sigma_s) -> np.ndarray:
    """sigma_s^2 (1 - rho^2) I + c^2 C."""
    rho, _, c, _ = bridge(alpha_t, sigma_t, alpha_s, sigma_s)
    return sigma_s**2 * (1 - rho**2) * np.eye(len(C)) + c**2 * C


def ddim(x, m, eta, alpha_t, sigma_t, alpha_s, sigma_s) -> tuple[np.ndarray, float]:
    """Mean and standard deviation of DDIM(eta)."""
    rho, *_ = bridge(alpha_t, sigma_t, alpha_s, sigma_s)
    std = eta * sigma_s * np.sqrt(1 - rho**2)
    noise = (x - alpha_t * m) / sigma_t
    return alpha_s * m + np.sqrt(sigma_s**2 - std**2) * noise, std


def reverse_sde(
    x, m, h, alpha_t, sigma_t, alpha_s, sigma_s
) -> tuple[np.ndarray, float]:
    """Mean and standard deviation of noise that decays h^2 times as fast as in DDPM."""
    ratio = (alpha_t / sigma_t) / (alpha_s / sigma_s)
    noise = (x - alpha_t * m) / sigma_t
    std = sigma_s * np.sqrt(1.0 - ratio ** (2.0 * h * h))
    return alpha_s * m + sigma_s * ratio ** (h * h) * noise, std


def euler(x, m, step, drift, squared, weight, alpha_t, sigma_t) -> np.ndarray:
    """x - dt (f x - weight g^2 s): weight 1 for the SDE, 1/2 for its ODE."""
    s = (alpha_t * m - x) / sigma_t**2
    return x - step * (drift * x - weight * squared * s)


def heun(x, rule: Callable, alpha_t, sigma_t, alpha_s, sigma_s) -> np.ndarray:
    """Heun in (x / alpha, sigma / alpha); `rule(x, alpha, sigma)` is the mean used."""
    z, u, end = x / alpha_t, sigma_t / alpha_t, sigma_s / alpha_s
    slope = (z - rule(x, alpha_t, sigma_t)) / u
    guess = z + (end - u) * slope
    last = (guess - rule(alpha_s * guess, alpha_s, sigma_s)) / end
    return alpha_s * (z + (end - u) * (slope + last) / 2)


def vp(t, beta_min=0.1, beta_max=20.0) -> tuple[float, float, float, float]:
    """alpha, sigma, drift and squared diffusion of the linear-beta path."""
    log_alpha = -0.25 * (beta_max - beta_min) * t**2 - 0.5 * beta_min * t
    beta = beta_min + (beta_max - beta_min) * t
    return np.exp(log_alpha), np.sqrt(-np.expm1(2 * log_alpha)), -beta / 2, beta
