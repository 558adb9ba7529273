"""One number before the guidance cannot mend two moments."""

import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from ..exercise import Exercise
from .limits import sde


def fix_the_mean(kappa):
    """zeta = log(1 + kappa) / kappa.

    With zeta before the guidance the mean is y (1 - exp(-zeta kappa)); it should be
    y kappa / (1 + kappa), so exp(-zeta kappa) = 1 / (1 + kappa).
    """
    return jnp.log(1.0 + kappa) / kappa


def _root(moment, kappa):
    """The zeta at which a moment of the limit is that of the posterior."""
    exact = kappa / (1.0 + kappa), 1.0 / (1.0 + kappa)
    gap = lambda zeta: float(sde(kappa, zeta)[moment] - exact[moment])  # noqa: E731
    return jnp.asarray(brentq(gap, 1e-6, 5.0, xtol=1e-14, rtol=1e-14))


def _kl(zeta, kappa):
    """KL(exact || limit) at y = 0, of the variances alone."""
    ratio = 1.0 / (1.0 + kappa) / sde(kappa, zeta)[1]
    return 0.5 * (ratio - 1.0 - np.log(ratio))


MEAN = Exercise(
    title="A weight for the mean",
    asks="fix_the_mean(kappa) gives the weight zeta before DPS's guidance at which "
    "the mean of its limit is the posterior's.",
    probes=lambda: [(0.6,), (2.3,), (4.0,), (8.5,)],
    truth=lambda kappa: _root(0, float(kappa)),
    slips={
        "one": (
            lambda kappa: 1.0 + 0.0 * kappa,
            "with zeta = 1 the mean is y (1 - exp(-kappa)), too near to the data.",
        ),
        "not-divided": (
            lambda kappa: jnp.log(1.0 + kappa),
            "this is zeta kappa: divide by kappa.",
        ),
        "shrinkage": (
            lambda kappa: kappa / (1.0 + kappa),
            "this is the exact mean over y. It should be equal to 1 - exp(-zeta "
            "kappa).",
        ),
        "linear": (
            lambda kappa: 1.0 / (1.0 + kappa),
            "this would do if the mean were y zeta kappa, as it is for small kappa "
            "only.",
        ),
    },
    solution=fix_the_mean,
    scales={"kappa": lambda kappa: kappa, "1 + kappa": lambda kappa: 1.0 + kappa},
    notice=lambda: (
        f"at kappa = 4 it is {float(fix_the_mean(4.0)):.3f}: less than half of the "
        "guidance."
    ),
    hints=(
        "zeta multiplies kappa wherever the guidance comes in.",
        "1 - exp(-zeta kappa) = kappa / (1 + kappa).",
    ),
)


def fix_the_variance(kappa):
    """zeta = u / (2 kappa), where (1 - exp(-u)) / u = 1 / (1 + kappa).

    With zeta before the guidance the variance is (g^2 / (2 zeta)) (1 - exp(-2 zeta kappa)),
    and should be kappa g^2 / (1 + kappa). No closed form: a root in u = 2 zeta kappa.
    """
    gap = lambda u: (1.0 - np.exp(-u)) / u - 1.0 / (1.0 + kappa)  # noqa: E731
    return brentq(gap, 1e-9, 2.0 + 2.0 * kappa, xtol=1e-13) / (2.0 * kappa)


VARIANCE = Exercise(
    title="A weight for the variance",
    asks="fix_the_variance(kappa) gives the weight zeta at which the variance of "
    "DPS's limit is the posterior's (a root; scipy.optimize.brentq finds it).",
    probes=lambda: [(0.6,), (2.3,), (4.0,), (8.5,)],
    truth=lambda kappa: _root(1, float(kappa)),
    slips={
        "mean": (
            lambda kappa: _root(0, float(kappa)),
            "this is the weight that mends the mean.",
        ),
        "no-two": (
            lambda kappa: 2.0 * _root(1, float(kappa)),
            "u = 2 zeta kappa: the factor of the variance is the square of that of "
            "the mean.",
        ),
        "half": (
            lambda kappa: 0.5 + 0.0 * kappa,
            "one half is right in the limit of sharp measurements only.",
        ),
    },
    solution=fix_the_variance,
    scales={"kappa": lambda kappa: kappa},
    transforms=(),
    notice=lambda: (
        f"at kappa = 4 the mean asks for {float(_root(0, 4.0)):.3f} and the variance "
        f"for {float(_root(1, 4.0)):.3f}. No weight mends both; with the first, "
        f"KL(exact || DPS) is still {_kl(float(_root(0, 4.0)), 4.0):.3f} nats, all of "
        "it from the variance."
    ),
    equivalent=tuple(  # other ends of the bracket
        f"return brentq(gap, {ends}, xtol=1e-13) / (2.0 * kappa)"
        for ends in (
            "1.000000001, 2.0 + 2.0 * kappa",
            "1e-09, 2.0 * kappa",
            "1e-09, 2.0 + kappa",
            "1e-09, 2.0 + 3.0 * kappa",
            "1e-09, 3.0 + 2.0 * kappa",
        )
    ),
    hints=(
        "(g^2 / (2 zeta)) (1 - exp(-2 zeta kappa)) = kappa g^2 / (1 + kappa).",
        "With u = 2 zeta kappa: (1 - exp(-u)) / u = 1 / (1 + kappa). The left falls "
        "with u.",
    ),
)
