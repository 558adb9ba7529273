"""Oracles of T13, T14 and T15: twists, and their residuals."""

import functools

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from scipy.stats import norm

from .line import (
    TWO,
    Line,
    denoised_moments,
    evidence,
    expect,
    line,
    logpdf,
    logs,
    mean,
    nodes,
    noised,
    pdf,
    score,
    seen,
    variance,
)
from .pins import Pin, Side

Y, R, V_MAX = 0.4, 0.5, 30.0

ATOMS = np.array([-1.0, 0.5, 1.2])


def atoms(v) -> Line:
    """Three equal atoms, noised."""
    return line([1.0, 1.0, 1.0], ATOMS, v)


class Problem:
    """y = x0 + N(0, R) of two modes or of atoms, at noise v, in z = x / alpha."""

    def __init__(self, kind):
        self.atomic = kind == "atoms"
        weights = np.full(3, 1 / 3)
        self.prior = TWO if not self.atomic else None
        if self.atomic:
            weights = softmax(norm.logpdf(Y, ATOMS, np.sqrt(R)))
            self.evidence = np.log(np.mean(norm.pdf(Y, ATOMS, np.sqrt(R))))
        else:
            self.after = seen(TWO, 1.0, R, Y)
            self.evidence = evidence(TWO, 1.0, R, Y)
        self.weights = weights

    def marginal(self, v):
        return atoms(v) if self.atomic else noised(TWO, 1.0, v)

    def posterior(self, v):
        if self.atomic:
            return line(self.weights, ATOMS, v)
        return noised(self.after, 1.0, v)

    def moments(self, z, v):
        """E and Var of x0 given z."""
        if not self.atomic:
            return denoised_moments(TWO, z, v)
        shares = softmax(logs(atoms(v), z), axis=-1)
        m = shares @ ATOMS
        return m, np.sum(shares * (ATOMS - m[..., None]) ** 2, axis=-1)

    def log_u(self, z, v):
        """log p(y | z), by Bayes' rule."""
        return (
            self.evidence + logpdf(self.posterior(v), z) - logpdf(self.marginal(v), z)
        )


def log_psi(problem, twist, z, v):
    m, _ = problem.moments(z, v)
    wide = R if twist == "DPS" else R + v / (1.0 + v)  # alpha = 1
    return norm.logpdf(Y, m, np.sqrt(wide))


def guidance(problem, twist, z, v):
    """The derivative of log psi with dm/dz = C / v."""
    m, C = problem.moments(z, v)
    wide = R if twist == "DPS" else R + v / (1.0 + v)
    return C / v * (Y - m) / wide


def residual_of_dps(problem, z, v):
    """(|C r / R|^2 - C^2 / R) / (2 v^2)."""
    m, C = problem.moments(z, v)
    return ((C * (Y - m) / R) ** 2 - C**2 / R) / (2.0 * v**2)


LEVELS = np.polynomial.legendre.leggauss(80)


def over_levels(function, v_min):
    """The integral over v from v_min to V_MAX, in log v."""
    low, high = np.log(v_min), np.log(V_MAX)
    v = np.exp(0.5 * (low + high) + 0.5 * (high - low) * LEVELS[0])
    values = np.array([function(x) for x in v])
    return 0.5 * (high - low) * (LEVELS[1] * v) @ values


@functools.cache
def girsanov(kind, twist, v_min):
    """KL(P^y || Q) through the drifts, and log Z-hat."""
    problem = Problem(kind)

    def gap(v):
        law = problem.posterior(v)

        def square(z):
            exact = score(law, z) - score(problem.marginal(v), z)
            return 0.5 * (guidance(problem, twist, z, v) - exact) ** 2

        return expect(law, square)

    start = problem.marginal(V_MAX)
    log_z = np.log(expect(start, lambda z: np.exp(log_psi(problem, twist, z, V_MAX))))
    first = expect(
        problem.posterior(V_MAX),
        lambda z: problem.log_u(z, V_MAX) - log_psi(problem, twist, z, V_MAX),
    )
    return over_levels(gap, v_min) + first + log_z - problem.evidence, log_z


def two_ways(kind, twist, v_min):
    whole, _ = girsanov(kind, twist, v_min)
    return {"": (whole, whole)}


def pointwise():
    problem = Problem("two modes")
    t, z = np.linspace(0.05, 0.95, 5), np.linspace(-4.0, 4.0, 41)
    v = [0.02 * (V_MAX / 0.02) ** x for x in t]
    closed = np.array([residual_of_dps(problem, z, level) for level in v])
    zero = Side(0.0, atol=1e-9)
    return {
        "R of the exact twist": (zero, 0.0),
        "R of DPS less its closed form": (zero, 0.0),
        "somewhere positive": (0.0, closed.max()),
        "somewhere negative": (closed.min(), 0.0),
    }


def moments_of_atoms(v_min):
    law = Problem("atoms").posterior(v_min)
    stepping = 4e-3
    return {
        "evidence": (Side(1.0, stepping), 1.0),
        "weighted mean": (Side(mean(law), stepping), mean(law)),
        "weighted variance": (Side(variance(law), stepping), variance(law)),
    }


def extremes(function, v, sign=1.0):
    """The largest value over z of a function that vanishes far away."""
    # Shares of atoms change over v / distance: equal steps of the pull on either side.
    z = np.linspace(-3.0 - 30.0 * v, 3.0 + 30.0 * v, 6001)
    values = sign * function(z)
    at = int(np.argmax(values))
    low, high = z[max(at - 1, 0)], z[min(at + 1, len(z) - 1)]
    found = minimize_scalar(
        lambda x: -sign * float(function(np.array([x]))[0]),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return max(-found.fun, values[at])


@functools.cache
def simulated(v_min, num=40000, steps=400):
    """KL(Q || P^y) by simulation of Q with small steps: the mean and its error."""
    problem, rng = Problem("atoms"), np.random.default_rng(5)
    marginal = problem.marginal(V_MAX)
    grid = nodes(marginal, per=400.0, reach=9.0)
    weight = pdf(marginal, grid) * np.exp(log_psi(problem, "DPS", grid, V_MAX))
    z = np.interp(rng.uniform(size=num) * weight.sum(), np.cumsum(weight), grid)
    log_z = girsanov("atoms", "DPS", v_min)[1]
    total = log_psi(problem, "DPS", z, V_MAX) - problem.log_u(z, V_MAX)
    v = np.geomspace(V_MAX, v_min, steps + 1)

    def rates(z, v):
        guide = guidance(problem, "DPS", z, v)
        base = score(problem.marginal(v), z)
        exact = score(problem.posterior(v), z) - base
        return base + guide, 0.5 * (guide - exact) ** 2

    for here, there in zip(v[:-1], v[1:], strict=True):
        fall = here - there
        noise = np.sqrt(fall) * rng.normal(size=num)
        drift, gap = rates(z, here)
        guess = z + fall * drift + noise
        other, later = rates(guess, there)
        z = z + 0.5 * fall * (drift + other) + noise
        total = total + 0.5 * fall * (gap + later)
    values = total + problem.evidence - log_z
    return values.mean(), values.std(ddof=1) / np.sqrt(num)


def residual_divergence(v_min):
    problem = Problem("atoms")
    forward, _ = girsanov("atoms", "DPS", v_min)
    reverse = Side(*simulated(v_min)[:1], rtol=4e-3, stderr=simulated(v_min)[1])

    def ratio(v):
        return lambda z: problem.log_u(z, v) - log_psi(problem, "DPS", z, v)

    def spread(function, v):
        high, low = extremes(function, v), extremes(function, v, -1.0)
        return high + low, max(high, low)

    def rate(v):
        return spread(lambda z: residual_of_dps(problem, z, v), v)

    grown, largest = over_levels(rate, v_min)
    end, most = spread(ratio(v_min), v_min)
    omega, fine = end + grown, 1e-6
    return {
        "KL(Q || P)": (reverse, reverse),
        "KL(P || Q)": (Side(forward, 4e-3), forward),
        "KL(Q || P), oscillation": (reverse, Side(omega**2 / 8.0, fine)),
        "KL(P || Q), oscillation": (forward, Side(omega**2 / 8.0, fine)),
        "both, oscillation": (None, Side(omega * np.tanh(omega / 4.0), fine)),
        "log(u / psi)": (
            Side(spread(ratio(V_MAX), V_MAX)[1], fine),
            Side(most + largest, fine),
        ),
    }


PINS = [
    Pin("T13-residual", {"prior": "two modes"}, pointwise),
    Pin(
        "T13-residual", {"prior": "atoms", "v_min": 0.6}, lambda: moments_of_atoms(0.6)
    ),
    Pin("T14-residual-divergence", {"v_min": 0.5}, lambda: residual_divergence(0.5)),
    Pin(
        "T15-two-ways",
        {"prior": "two modes", "twist": "PiGDM", "v_min": 0.1},
        lambda: two_ways("two modes", "PiGDM", 0.1),
    ),
    Pin(
        "T15-two-ways",
        {"prior": "atoms", "twist": "DPS", "v_min": 0.2},
        lambda: two_ways("atoms", "DPS", 0.2),
    ),
]
