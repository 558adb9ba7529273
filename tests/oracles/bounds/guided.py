"""Oracles of T37 to T39: guidance by a class, by SciPy's integrators and on a grid."""

import numpy as np
from scipy.integrate import quad, solve_ivp
from scipy.special import ndtr
from scipy.stats import norm

from .. import numpy_mixture as dense
from .pins import Pin, Side

TIGHT = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-12}


# --- T37 -----------------------------------------------------------------------------


def gaussian_density(scale):
    """Both sides for N(0, 2) and N(0.7, 1): affine maps, whose integrals are quadratures.

    Levels and starting points are those of the case. The flow is z' = ((g - 1) z/(2 + v)
    ... )/2 in v, solved as an affine map with its factor and offset.
    """
    c, top, end = 0.7, 30.0**2, 0.05**2
    start = 30.0 * np.linspace(-1.5, 1.8, 4)

    def slope(v):
        return 0.5 * (scale / (1.0 + v) + (1.0 - scale) / (2.0 + v))

    def rates(v, z):
        return slope(v) * z - 0.5 * scale * c / (1.0 + v)

    path = solve_ivp(rates, (top, end), start, dense_output=True, **TIGHT)
    z = path.y[:, -1]
    log_jacobian = -quad(slope, end, top, epsabs=1e-13, limit=200)[0]
    by_map = norm.logpdf(start, 0.0, 30.0) - log_jacobian

    def force(v, i):
        at = path.sol(v)[i]
        return ((c - at) / (1.0 + v) + at / (2.0 + v)) ** 2

    edges = np.geomspace(end, top, 12)
    energy = [
        sum(
            quad(force, a, b, args=(i,), epsabs=1e-12)[0]
            for a, b in zip(edges[:-1], edges[1:], strict=True)
        )
        for i in range(4)
    ]

    def tilt(z, v):
        return scale * norm.logpdf(z, c, np.sqrt(1.0 + v)) + (1 - scale) * norm.logpdf(
            z, 0.0, np.sqrt(2.0 + v)
        )

    price = 0.5 * scale * (scale - 1.0) * np.array(energy)
    by_formula = norm.logpdf(start, 0.0, 30.0) - tilt(start, top) + tilt(z, end) - price
    return _pairs(by_map, by_formula, energy)


def mixture_density(scale):
    """Both sides for the mixtures in the plane; traces of Hessians by hand."""
    means = np.array([[1.2, -0.4], [-0.8, 0.9], [0.3, 1.6]])
    covariances = np.array(
        [[[0.5, 0.2], [0.2, 0.4]], [[0.3, -0.1], [-0.1, 0.7]], [[0.2, 0.0], [0.0, 0.3]]]
    )
    q = dense.mixture([0.3, 0.5, 0.2], means, covariances)
    p = dense.mixture([0.7, 0.3], means[::2], covariances[::2])
    start = 30.0 * np.linspace(-1.5, 1.8, 4)[:, None] * np.array([1.0, -0.4])

    def rates(u, state):  # u = log sigma, 2 v du = dv
        v, z = np.exp(2 * u), state[:2]
        at_p, at_q = (dense.noised(law, 1.0, np.exp(u)) for law in (p, q))
        s_p, s_q = dense.score(at_p, z), dense.score(at_q, z)
        guided = scale * s_p + (1 - scale) * s_q
        spread = scale * dense.hessian(at_p, z) + (1 - scale) * dense.hessian(at_q, z)
        force = -2.0 * v * np.sum((s_p - s_q) ** 2)
        return [*(-v * guided), -v * np.trace(spread), force]

    by_map, by_formula, energy = [], [], []
    for point in start:
        span = np.log(30.0), np.log(0.05)
        y = solve_ivp(rates, span, [*point, 0, 0], "DOP853", rtol=1e-9, atol=1e-9).y
        z, log_jacobian, price = y[:2, -1], y[2, -1], y[3, -1]

        def tilt(z, sigma):
            at_p, at_q = (dense.noised(law, 1.0, sigma) for law in (p, q))
            return scale * dense.log_prob(at_p, z) + (1 - scale) * dense.log_prob(
                at_q, z
            )

        begun = norm.logpdf(point, 0.0, 30.0).sum()
        by_map.append(begun - log_jacobian)
        moved = begun - tilt(point, 30.0) + tilt(z, 0.05)
        by_formula.append(moved - 0.5 * scale * (scale - 1.0) * price)
        energy.append(price)
    return _pairs(np.array(by_map), np.array(by_formula), energy)


def _pairs(by_map, by_formula, energy):
    far, sides = int(np.argmax(energy)), (by_map, by_formula)
    return {
        "mean": tuple(Side(float(side.mean()), 1e-6) for side in sides),
        "where": tuple(Side(float(side[far]), 1e-6) for side in sides),
    }


# --- T38 -----------------------------------------------------------------------------


def end_of(weight, x, span=(0.0, 1.0)):
    """x(1) of x(0), or back, and the slope: the flow in s as it is printed."""

    def rates(s, state):
        tangent = np.tanh(state[0] * s)
        rate = 1.0 + weight * (1.0 - tangent)
        return [rate, -weight * s * (1.0 - tangent**2) * state[1]]

    return solve_ivp(rates, span, [x, 1.0], **TIGHT).y[:, -1]


def modes(weight, rate):
    """Of both masses; the start at 0 is that of z at a level of 1e9."""
    root = np.sqrt(weight)
    masses = [ndtr(-end_of(weight, level, (1.0, 0.0))[0]) for level in (0.0, root)]
    promised = -np.expm1(-rate * np.array([weight**2, weight]))
    return {
        label: (promised[i], Side(masses[i], 1e-5))
        for i, label in enumerate(("beyond 0", "beyond the root"))
    }


def modes_corrected(weight):
    """C and S by a fixed number of Runge-Kutta steps of the flow in units of the root."""
    steps = 40_000
    h, xi, slope = 40.0 / steps, 0.0, 1.0

    def f(a, xi, slope):
        tangent = np.tanh(xi * a)
        return np.array([1.0 - tangent, -a * (1.0 - tangent**2) * slope])

    state = np.array([xi, slope])
    for i in range(steps):
        a = i * h
        k1 = f(a, *state)
        k2 = f(a + h / 2, *(state + h / 2 * k1))
        k3 = f(a + h / 2, *(state + h / 2 * k2))
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(a + h, *(state + h * k3)))
    median, slope = end_of(weight, 0.0)
    below = ndtr(end_of(weight, 0.0, (1.0, 0.0))[0])
    gap = abs(median - state[0] * np.sqrt(weight) - 1.0)
    return {
        "mass below 0": (Side(below, 1e-4), ndtr(-weight - 1.0)),
        "median": (Side(gap, 1e-4), weight**-0.5),
        "slope": (Side(abs(slope - state[1]), 1e-4), 2.0 / weight),
    }


# --- T39 -----------------------------------------------------------------------------


def variation_with_noise(d, omega, h=0.02):
    """DDPM with the large variance on a fixed grid, in 160 steps equal in the log-SNR."""
    m, T = np.sqrt(d), 9.0
    ends = [-2 * T * t - np.log(-np.expm1(-2 * T * t)) for t in (1.0, 1e-4)]
    snr = np.exp(np.linspace(*ends, 161))
    alphas, sigmas = np.sqrt(snr / (1 + snr)), np.sqrt(1 / (1 + snr))
    x = np.arange(-m - 9.0, m + 9.0, h)
    law = norm.pdf(x, 0.0, sigmas[0])
    for a, s, a2, s2 in zip(
        alphas[:-1], sigmas[:-1], alphas[1:], sigmas[1:], strict=True
    ):
        alive = law > 1e-30
        z = x[alive]
        free = m * np.tanh(a * m * z)  # the marginals are N(+-a m, 1)
        free, one = a * z + s**2 * free, a * z + s**2 * m
        M = one + omega * (one - free)
        rho2 = (a * s2 / (a2 * s)) ** 2
        mean = a * s2**2 / (a2 * s**2) * z + a2 * (1 - rho2) * M
        noise = s * np.sqrt(1 - rho2)
        parts = np.exp(-0.5 * ((x[:, None] - mean) / noise) ** 2)
        law = parts @ law[alive] * h / (noise * np.sqrt(2 * np.pi))
    return 0.5 * h * np.abs(law - norm.pdf(x, alphas[-1] * m, 1.0)).sum()


def variation_without(d, omega):
    """The scalar flow of z = q - sqrt(d) s in a = sqrt(d) s, as it is printed."""
    x = np.linspace(-9.0, 9.0, 8001)

    def rates(a, z):
        return omega * (1.0 - np.tanh(a * (z + a)))

    z = solve_ivp(rates, (0.0, np.sqrt(d)), x, **TIGHT).y[:, -1]
    gap = ndtr(x) - ndtr(z)
    return 0.5 * (np.abs(np.diff(gap)).sum() + abs(gap[0]) + abs(gap[-1]))


def dimension(d, omega, variation, rtol):
    ends = [variation(each, omega) for each in (d, 16 * d)]
    slope = np.log(ends[0] / ends[1]) / np.log(16.0)
    return slope, [Side(end, rtol) for end in ends]


def dimension_with_noise(d, omega):
    slope, _ = dimension(d, omega, variation_with_noise, 1e-4)
    return {"slope": (Side(slope, 1e-4), 0.5)}


def dimension_as_printed(d, omega):
    slope, _ = dimension(d, omega, variation_without, 1e-4)
    return {"": (Side(slope, atol=1e-4), 0.5)}


def dimension_without(d, omega):
    _, ends = dimension(d, omega, variation_without, 1e-4)
    return {"the same": tuple(ends)}


PINS = [
    Pin(
        "T37-guided-density",
        {"laws": "gaussians", "scale": 2.3},
        lambda: gaussian_density(2.3),
    ),
    Pin(
        "T37-guided-density",
        {"laws": "mixtures", "scale": 1.7},
        lambda: mixture_density(1.7),
    ),
    Pin(
        "T38-guided-modes",
        {"weight": 37.0, "rate": 0.02},
        lambda: modes(37.0, 0.02),
    ),
    Pin(
        "T38-guided-modes-corrected",
        {"weight": 2.2},
        lambda: modes_corrected(2.2),
    ),
    Pin(
        "T39-guided-dimension",
        {"sampler": "ODE", "d": 6, "omega": 1.4},
        lambda: dimension_as_printed(6, 1.4),
    ),
    Pin(
        "T39-guided-dimension-corrected",
        {"sampler": "ODE", "d": 5, "omega": 2.3},
        lambda: dimension_without(5, 2.3),
    ),
    Pin(
        "T39-guided-dimension-corrected",
        {"sampler": "SDE", "d": 7, "omega": 1.6},
        lambda: dimension_with_noise(7, 1.6),
    ),
]
