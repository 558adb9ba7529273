"""A bound of a published theorem, and a case in which it fails."""

import jax.numpy as jnp

import gmm_testbed as gt

from ...bounds.tools.radial import mean_distance
from ..exercise import Exercise


def refute():
    """x_t, v and noise where |p(y|x_t) - p(y|x0=m)| is above the printed bound.

    The printed constant exp(-1/(2 s^2)) / sqrt(2 pi s^2) is the slope of N(0, s^2) at
    distance 1. The steepest slope is at distance s. For small noise s the first is smaller
    by exp(-1/(2 s^2)), and almost any point will do.
    """
    return 0.3, 0.5, 0.1


def both_sides(x, v, noise):
    """Logarithms of the error and of the printed bound, for 'two-modes' at level v."""
    problem = gt.problems.get("two-modes").problem
    law = problem.prior.denoised(jnp.array([x]), 1.0, jnp.sqrt(v))
    mean = law.mean()
    exact = law.log_evidence(problem.measurement.A, noise**2, problem.y)
    point = -0.5 * ((problem.y - mean)[0] / noise) ** 2
    point = point - jnp.log(jnp.sqrt(2.0 * jnp.pi) * noise)
    log_gap = jnp.maximum(exact, point) + jnp.log(-jnp.expm1(-jnp.abs(exact - point)))
    log_constant = -0.5 / noise**2 - jnp.log(jnp.sqrt(2.0 * jnp.pi) * noise)
    return float(log_gap), float(log_constant + jnp.log(mean_distance(law, mean)))


def _judged(answer) -> tuple[str, str]:
    x, v, noise = (float(number) for number in answer)
    if not (v > 0.0 and noise > 0.0):
        return "outside", f"v = {v:g} and noise = {noise:g}"
    log_gap, log_bound = both_sides(x, v, noise)
    words = (
        f"at x_t = {x:g}, v = {v:g}, noise = {noise:g} the error is {_e(log_gap)} and "
        f"the printed bound {_e(log_bound)}"
    )
    if log_gap > log_bound + 1e-9:
        return "", f"{words}: refuted."
    if noise >= 1.0:
        return "large-noise", f"{words}: it holds."
    return "holds-here", f"{words}: it holds."


def _e(log_value: float) -> str:
    """A number by its natural logarithm, also below the smallest one."""
    exponent, rest = divmod(log_value / 2.302585092994046, 1.0)
    return f"{10.0**rest:.3g}e{exponent:+.0f}"


REFUTE = Exercise(
    title="Refute a printed bound",
    asks="refute is a tuple (x_t, v, noise) of three numbers: a point, a level v = "
    "sigma^2/alpha^2 and a standard deviation of the measurement's noise, for the "
    "prior and y of 'two-modes', where the error of DPS's density is above the "
    "printed bound.",
    kind="witness",
    truth=_judged,
    slips={
        "large-noise": (
            lambda: (0.3, 0.5, 1.5),
            "for a noise of 1 or more the printed constant is at least the true "
            "slope, so it holds everywhere. Try less.",
        ),
        "holds-here": (
            lambda: (3.0, 0.02, 0.7),
            "there are few points near this noise that refute it. How does the "
            "constant go to 0 with the noise, and how does the error?",
        ),
        "outside": (
            lambda: (0.3, 0.5, 0.0),
            "the theorem assumes noise, and without a level v there is nothing to "
            "denoise.",
        ),
    },
    solution=refute,
    notice="Lemma 2 there takes the slope of the density of N(0, s^2) at distance 1; "
    "it is steepest at distance s, where it is exp(-1/2) / (s sqrt(2 pi s^2)). With "
    "that constant the bound holds. The constant fails, not the statement: a narrow "
    "p(x0 | x_t) makes the error small.",
    equivalent=("return (1.3, 0.5, 0.1)", "return (0.3, 1.5, 0.1)"),  # refute it too
    hints=(
        "The printed constant is exp(-1/(2 s^2)) / sqrt(2 pi s^2). What does it do as "
        "s goes to 0?",
        "The error is a difference of densities of y: it does not go to 0 so fast.",
        "Take a noise of 0.1, and x_t between the modes.",
    ),
)
