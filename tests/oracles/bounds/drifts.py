"""Oracles of T52 and T53: what a drift that errs does to Gaussians."""

import numpy as np
from scipy.integrate import solve_ivp

from .pins import Pin, Side

# --- T52: drifts that err, by moments ----------------------------------------------------

COVARIANCE = np.array([[0.5, 0.1], [0.1, 0.3]])


def interpolants(epsilon, drift, score_error, fade, slope):
    """KL of the ends, and energies: (KL, 1/(4 eps) E, gaps of both losses)."""
    begin, end = np.array([0.2, -0.3]), np.array([1.0, 0.4])

    def at(t):
        square = (1 - t) ** 2 * 0.6 + 0.4 * t * (1 - t)
        covariance = square * np.eye(2) + t**2 * COVARIANCE
        rate = (-1.2 * (1 - t) + 0.4 * (1 - 2 * t)) * np.eye(2) + 2 * t * COVARIANCE
        inverse = np.linalg.inv(covariance)
        return (1 - t) * begin + t * end, covariance, 0.5 * rate @ inverse, inverse

    size = drift + epsilon * score_error

    def moments(t, state):
        m, S = state[:2], state[2:6].reshape(2, 2)
        mean, covariance, slopes, inverse = at(t)
        fading = np.exp(-fade * (1 - t))
        A = slopes - epsilon * inverse
        off = size * fading * (1.0 + slope * m)
        wrong = A + size * fading * slope * np.eye(2)
        square = np.sum((1.0 + slope * mean) ** 2) + slope**2 * np.trace(covariance)
        changed = wrong @ S + S @ wrong.T + 2.0 * epsilon * np.eye(2)
        return np.concatenate(
            [
                (end - begin) + A @ (m - mean) + off,
                changed.ravel(),
                [fading**2 * square],
            ]
        )

    start = np.concatenate([begin, 0.6 * np.eye(2).ravel(), [0.0]])
    options = {"rtol": 1e-11, "atol": 1e-13, "method": "LSODA"}
    state = solve_ivp(moments, (0.0, 1.0), start, **options).y[:, -1]
    m, S, energy = state[:2], state[2:6].reshape(2, 2), state[6]
    inverse, gap = np.linalg.inv(S), end - m
    kl = np.trace(inverse @ COVARIANCE) - 2.0 + gap @ inverse @ gap
    kl += np.log(np.linalg.det(S) / np.linalg.det(COVARIANCE))
    gaps = 0.5 * drift**2 * energy, 0.5 * score_error**2 * energy
    return Side(0.5 * kl, 1e-6), 0.25 * size**2 * energy / epsilon, gaps


def losses(case, first, second):
    """KL, and the gaps of the losses times first / epsilon and second * epsilon."""
    kl, paths, gaps = interpolants(*case.values())
    epsilon = case["epsilon"]
    bound = Side(first / epsilon * gaps[0] + second * epsilon * gaps[1], 1e-7)
    return kl, Side(paths, 1e-7), bound


def quoted(case):
    kl, _, bound = losses(case, 0.5, 0.5)
    return {"losses": (kl, bound)}


def corrected(case):
    kl, paths, bound = losses(case, 1.0, 1.0)
    return {
        "paths": (kl, paths),
        "losses": (kl, bound),
        "losses, of the paths": (paths, bound),
    }


# --- T53: moments of two Euler steps, by Gauss and Hermite -------------------------------


def euler_moments(variance, first, error):
    square = np.array([variance + first, np.sqrt((variance + first) * variance)])
    h = square - np.array([square[1], variance])
    gain, cubic = 1.0 - h / square, h * error / np.sqrt(15.0) / square**1.5
    nodes, rule = np.polynomial.hermite_e.hermegauss(40)
    rule = rule / rule.sum()
    z = np.sqrt(square[0]) * nodes[:, None]
    z = gain[0] * z + cubic[0] * z**3 + np.sqrt(h[0]) * nodes
    moment = rule @ (gain[1] * z + cubic[1] * z**3) ** 2 @ rule + h[1]
    odd = np.prod(np.arange(1, 18, 2.0))
    bound = cubic[1] ** 2 * cubic[0] ** 6 * square[0] ** 9 * odd
    return {"": (bound, Side(moment, 1e-9))}


CASE = {"epsilon": 2.0, "drift": 0.3, "score": 0.12, "fade": 1.5, "slope": 0.2}

PINS = [
    Pin("T52-interpolants", CASE, lambda: quoted(CASE)),
    Pin("T52-interpolants-corrected", CASE, lambda: corrected(CASE)),
    Pin(
        "T53-euler-moments",
        {"variance": 0.8, "first": 3.0, "num_steps": 2, "error": 0.7},
        lambda: euler_moments(0.8, 3.0, 0.7),
    ),
]
