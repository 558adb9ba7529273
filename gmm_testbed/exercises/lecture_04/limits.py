"""The law that DPS tends to as its steps shrink: of the SDE, and of the ODE."""

import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import dawsn

from ...bounds import dps_limit
from ..exercise import Exercise


def sde(kappa, zeta=1.0):
    """Mean over y and variance over s^2 of the limit, from theorem T11."""
    return _relative(dps_limit.sde_moments(_line(kappa), np.asarray(zeta)))


def ode(kappa):
    """The same of the ODE."""
    return _relative(dps_limit.ode_moments(_line(kappa)))


def _line(kappa):
    return dps_limit.Line(np.asarray(kappa))


def _relative(moments):
    mean, variance = moments
    line = dps_limit.Line(1.0)
    return (mean - line.mean) / dps_limit.BEYOND, variance / line.variance


# --- moments ----------------------------------------------------------------------------


def dps_limit_mean(kappa, y):
    r"""y (1 - exp(-kappa)).

    In w = s^2 + v the mean of x / alpha obeys dmu/dw = (1/w + a/w^2) mu - s^2 y / (g^2
    w), a = s^4/g^2. The factor exp(a/w) / w makes it a derivative; from w = infinity,
    where mu / w vanishes, to w = s^2 it integrates to the formula.
    """
    return y * (1.0 - jnp.exp(-kappa))


def _by_expm1(kappa, y):
    return -y * jnp.expm1(-kappa)


MEAN = Exercise(
    title="The mean that DPS tends to",
    asks="dps_limit_mean(kappa, y) gives the mean of DPS (the SDE, without steps) at "
    "the end, for the prior N(0, s^2), y = x0 + N(0, g^2) and kappa = s^2 / g^2.",
    probes=lambda: [(0.4, 1.3), (2.2, -0.7), (4.0, 0.55), (0.9, 2.1)],
    truth=lambda kappa, y: y * sde(kappa)[0],
    slips={
        "exact": (
            lambda kappa, y: y * kappa / (1.0 + kappa),
            "this is the mean of the exact posterior. DPS does not tend to it.",
        ),
        "ode": (
            lambda kappa, y: y * ode(kappa)[0],
            "this is the limit of the ODE, with half of the drift; the SDE is asked "
            "for.",
        ),
        "two-kappa": (
            lambda kappa, y: y * (1.0 - jnp.exp(-2.0 * kappa)),
            "the factor of the mean is exp(a/w); its square belongs to the variance.",
        ),
        "limit": (
            lambda kappa, y: y * (1.0 + 0.0 * kappa),
            "this is the limit of sharp measurements, kappa = infinity.",
        ),
    },
    solution=dps_limit_mean,
    scales={"kappa": lambda kappa, y: kappa},
    notice=lambda: (
        f"at kappa = 4 the mean is {float(sde(4.0)[0]):.3f} y, and the exact one "
        f"{4.0 / 5.0:.3f} y: DPS follows the data too closely, with any number of "
        "steps."
    ),
    hints=(
        "The reverse SDE in v = sigma^2/alpha^2 has the drift score + guidance, and "
        "for one Gaussian both are linear in x. Write the equation of the mean.",
        "With w = s^2 + v and a = s^4/g^2: dmu/dw = (1/w + a/w^2) mu - s^2 y / (g^2 "
        "w).",
        "Multiply by exp(a/w) / w, and integrate from infinity to s^2.",
    ),
    others=(_by_expm1,),
)


def dps_limit_variance(kappa, g2):
    r"""(g^2 / 2) (1 - exp(-2 kappa)).

    In w = s^2 + v the variance P of x / alpha obeys dP/dw = 2 (1/w + a/w^2) P - 1 with
    a = s^4/g^2. The factor exp(2 a/w) / w^2 makes it a derivative, and
    int exp(2 a/w) / w^2 dw = -exp(2 a/w) / (2 a), from infinity to s^2.
    """
    return g2 / 2.0 * (1.0 - jnp.exp(-2.0 * kappa))


def _by_sinh(kappa, g2):
    return g2 * jnp.exp(-kappa) * jnp.sinh(kappa)


VARIANCE = Exercise(
    title="The variance that DPS tends to",
    asks="dps_limit_variance(kappa, g2) gives the variance of DPS (the SDE, without "
    "steps) at the end, for the prior N(0, s^2), y = x0 + N(0, g2) and kappa = s^2 / "
    "g2.",
    probes=lambda: [(0.4, 0.8), (1.7, 0.25), (4.0, 0.09), (0.9, 0.55)],
    truth=lambda kappa, g2: kappa * g2 * sde(kappa)[1],
    slips={
        "exact": (
            lambda kappa, g2: kappa * g2 / (1.0 + kappa),
            "this is the variance of the exact posterior. DPS does not tend to it.",
        ),
        "no-half": (
            lambda kappa, g2: g2 * (1.0 - jnp.exp(-2.0 * kappa)),
            "int exp(2 a/w) / w^2 dw brings a factor 1/(2 a), and yours has 1/a.",
        ),
        "one-kappa": (
            lambda kappa, g2: g2 / 2.0 * (1.0 - jnp.exp(-kappa)),
            "variances have the square of the factor of the mean: exp(2 a/w).",
        ),
        "ode": (
            lambda kappa, g2: kappa * g2 * jnp.exp(-kappa),
            "this is the limit of the ODE, which adds no noise; the SDE is asked for.",
        ),
        "deviation": (
            lambda kappa, g2: jnp.sqrt(g2 / 2.0 * (1.0 - jnp.exp(-2.0 * kappa))),
            "this is a standard deviation.",
        ),
        "limit": (
            lambda kappa, g2: g2 / 2.0 + 0.0 * kappa,
            "this is the limit of sharp measurements, kappa = infinity.",
        ),
    },
    solution=dps_limit_variance,
    scales={"kappa": lambda kappa, g2: kappa, "g2": lambda kappa, g2: g2},
    notice=lambda: (
        f"at kappa = 9 it is {9.0 * float(sde(9.0)[1]):.4f} g^2, and the exact "
        f"posterior has {9.0 / 10.0:.4f} g^2. As kappa grows: half."
    ),
    hints=(
        "A linear SDE dx = b x dw + dB has dP/dw = 2 b P -+ 1; which sign, if w "
        "decreases?",
        "dP/dw = 2 (1/w + a/w^2) P - 1 with w = s^2 + v, a = s^4/g^2.",
        "Multiply by exp(2 a/w) / w^2, and integrate from infinity to s^2.",
    ),
    others=(_by_sinh,),
)


# --- the ODE overshoots -----------------------------------------------------------------


def overshoot():
    """The maximum of sqrt(2 kappa) D(sqrt(kappa / 2)) over kappa, D Dawson's integral.

    With z = sqrt(kappa / 2) it is 2 z D(z), and D' = 1 - 2 z D: the maximum is where
    D + z (1 - 2 z D) = 0.
    """
    found = minimize_scalar(
        lambda kappa: -np.sqrt(2.0 * kappa) * dawsn(np.sqrt(kappa / 2.0)),
        bounds=(0.5, 20.0),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return -found.fun, found.x


def _largest(function, upper=20.0):
    """The largest value on (0, upper] and its place, by zooming in on a grid."""
    low, high = 1e-6, upper
    for _ in range(12):
        grid = np.linspace(low, high, 401)
        top = int(np.argmax(function(grid)))
        low, high = grid[max(top - 4, 0)], grid[min(top + 4, 400)]
    return float(function(grid)[top]), float(grid[top])


OVERSHOOT = Exercise(
    title="How far beyond the data?",
    asks="overshoot is a tuple (ratio, kappa): the largest mean of the DPS-ODE in "
    "units of y, over kappa, and the kappa at which it is reached, to four digits.",
    kind="number",
    truth=lambda: _largest(lambda kappa: ode(kappa)[0]),
    slips={
        "at-the-root": (
            lambda: _at_root(_largest(lambda kappa: ode(kappa)[0])),
            "the ratio is right. Its place is kappa, and yours is sqrt(kappa / 2), the "
            "argument of Dawson's integral.",
        ),
        "dawson": (
            lambda: _largest(dawsn),
            "this is the maximum of Dawson's integral itself: sqrt(2 kappa) stands "
            "before it.",
        ),
        "no-half": (
            lambda: _largest(lambda k: np.sqrt(2.0 * k) * dawsn(np.sqrt(k))),
            "its argument is sqrt(kappa / 2).",
        ),
    },
    solution=overshoot,
    parts=("ratio", "kappa"),
    rtol=5e-4,
    notice="the posterior mean lies between the prior mean and the data, always. The "
    "ODE with DPS's guidance goes past the data, by more than a quarter, and its "
    "variance falls as exp(-kappa): wrong, and sure of it.",
    equivalent=tuple(  # other bounds
        "found = minimize_scalar(lambda kappa: -np.sqrt(2.0 * kappa) * "
        f"dawsn(np.sqrt(kappa / 2.0)), bounds={bounds}, method='bounded', "
        "options={'xatol': 1e-09})"
        for bounds in ("(1.5, 20.0)", "(0.5, 21.0)")
    ),
    hints=(
        "The ODE has half of the drift: what becomes of the integrating factor?",
        "mean / y = sqrt(2 kappa) D(sqrt(kappa / 2)); scipy.special.dawsn is D.",
        "scipy.optimize.minimize_scalar of its negative, between 0.5 and 20.",
    ),
)


def _at_root(found):
    return found[0], float(np.sqrt(found[1] / 2.0))
