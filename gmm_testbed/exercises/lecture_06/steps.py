"""How many steps a deterministic sampler needs: for its order, and to be one to one."""

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

from ...bounds.orders import law_error
from ..exercise import Exercise

# --- order ------------------------------------------------------------------------------

_FEWEST, _SPAN, _SLOPE = 4, 8.0, 0.1
PROBLEM = "two-modes"


def w2_errors(kernel, steps):
    """W2 from the exact posterior marginal after N steps from the exact start, (n,).

    By the oracle of this lecture: where equally likely points should be, and where they
    are.
    """
    target = gt.problems.get(PROBLEM)
    return np.asarray([law_error(kernel, target, count) for count in steps])


def fitted_order(steps, errors):
    """Minus the slope of log error against log N, and the largest step between slopes."""
    steps, errors = np.log(np.asarray(steps, float)), np.log(errors)
    slopes = np.diff(errors) / np.diff(steps)
    return -float(np.polyfit(steps, errors, 1)[0]), float(np.ptp(slopes))


def order():
    """Numbers of steps of which the order of Heun's method can be read.

    The log-SNR runs over some 17 units: with 32 steps each is half a unit, where the field
    is nearly straight, and from there on the error falls like 1/N^2.
    """
    return [32, 64, 128, 256]


def _judged(steps):
    given = np.atleast_1d(np.asarray(steps))
    if not np.issubdtype(given.dtype, np.integer):
        return "kind", f"{steps!r}, where a list of whole numbers is asked for"
    steps = sorted({int(n) for n in given.ravel()})
    if len(steps) < _FEWEST:
        return "too-few-points", (
            f"{len(steps)} different numbers of steps: a line goes through any two "
            f"points, and only {_FEWEST} or more show that it is one"
        )
    if steps[0] < 1:
        return "no-steps", "a sampler takes at least one step"
    if steps[-1] < _SPAN * steps[0]:
        return "too-short", (
            f"from {steps[0]} to {steps[-1]} steps is less than a factor {_SPAN:g}: "
            "the slope of so short a line is hardly there"
        )
    if steps[-1] > _MOST:
        return "too-many-steps", f"more than {_MOST} steps need not be"
    slope, bend = fitted_order(steps, w2_errors(gt.kernels.Heun(), steps))
    want = gt.kernels.Heun.facts.order
    if abs(slope - want) > _SLOPE:
        return "not-yet-there", (
            f"W2 over these falls with the slope -{slope:.2f}, and slopes between "
            f"neighbours differ by {bend:.2f}: an order is a limit, and these steps "
            "are too long for it"
        )
    return "", f"the fit over {steps} has the slope -{slope:.3f}"


_MOST = 512


ORDER = Exercise(
    title="Read an order off a curve",
    asks="order is a list of at least four numbers of steps over a factor of eight or "
    "more. The check computes W2 of Heun's sampler on two-modes after each (exact "
    "mean, exact start, steps equal in log-SNR from t = 1 to 0.01) and fits a line "
    "to the logarithms; the slope must be that of its order within 0.1.",
    truth=_judged,
    slips={
        "too-few-points": (
            lambda: [64, 512],
            "two points make a line through anything.",
        ),
        "too-short": (
            lambda: [100, 110, 120, 130],
            "the curve must be long enough to have a slope: a factor of eight.",
        ),
        "not-yet-there": (
            lambda: [2, 4, 8, 16],
            "steps so long do not see the limit: an order is asymptotic.",
        ),
        "too-many-steps": (
            lambda: [64, 256, 1024, 4096],
            "long before that rounding and the quadrature of the grid are in the way.",
        ),
    },
    solution=order,
    kind="witness",
    equivalent=(
        "return [32, 64, 128, 257]",
        "return [32, 64, 129, 256]",
        "return [32, 65, 128, 256]",
    ),
    hints=(
        "How long may a step be in the log-SNR? The field bends over one unit of it.",
        "From t = 1 to t = 0.01 the log-SNR runs over some 17 units.",
        "Start with 32 steps and double.",
    ),
    notice=lambda: _notice_order(),
)


def _notice_order():
    steps = [32, 64, 128, 256]
    found = {
        name: fitted_order(steps, w2_errors(kernel, steps))[0]
        for name, kernel in (
            ("DDIM", gt.kernels.DDIM(0.0)),
            ("Heun", gt.kernels.Heun()),
        )
    }
    words = ", ".join(f"{name} {slope:.2f}" for name, slope in found.items())
    return f"orders read off the same steps: {words}. Heun calls the denoiser twice a step."


# --- fold -------------------------------------------------------------------------------


def slope_of_step(x, t, s):
    """Derivative in x () of a DPS step with DDIM from t to s, on two-modes."""
    target = gt.problems.get(PROBLEM)
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDIM(0.0))

    def moved(x):
        return sampler.transition(target, x[None], t, s).mean[0]

    return jax.grad(moved)(x)


_slope = jax.jit(slope_of_step)


def fold():
    """A point where a step mirrors the line, one where it does not, and its two times.

    DPS pushes with the slope of the denoised mean, which is steepest between the modes: a
    long step overshoots there (Phi' < 0) and is harmless outside of them (Phi' > 0).
    """
    return -0.2, 2.5, 0.5, 0.3


_REACH = 4.0


def _folds(answer):
    if np.shape(answer) != (4,):
        return "kind", f"{answer!r}, where four numbers (x, z, t, s) are asked for"
    x, z, t, s = (jnp.asarray(float(v)) for v in answer)
    if not 0.0 < s < t < 1.0:
        return "times", "a step goes from t to s with 0 < s < t < 1"
    if max(abs(float(x)), abs(float(z))) > _REACH:
        return (
            "far-away",
            f"no sample comes there: stay within {_REACH:g} of the origin",
        )
    slopes = float(_slope(x, t, s)), float(_slope(z, t, s))
    words = f"the step has the slopes {slopes[0]:.3f} and {slopes[1]:.3f} there"
    if min(slopes) >= 0:
        return "no-fold", f"{words}, both positive: take a longer step, or other points"
    if max(slopes) <= 0:
        return "mirrored", (
            f"{words}, both negative: that mirrors the line between them, and a "
            "mirror is still one to one"
        )
    return "", f"{words}: in between it turns, and two points go to one"


FOLD = Exercise(
    title="Where a sampler folds space",
    asks="fold is (x, z, t, s), four numbers: the step from time t to s < t of DPS "
    "with DDIM on two-modes has a positive derivative at one of the points x and z "
    "and a negative one at the other, both within 4 of the origin. Then it is not one "
    "to one.",
    truth=_folds,
    slips={
        "no-fold": (
            lambda: (-0.2, 2.5, 0.5, 0.495),
            "a short step is close to the identity, which folds nothing.",
        ),
        "mirrored": (
            lambda: (-0.2, -0.25, 0.5, 0.3),
            "two negative slopes: the part between them is turned round and not "
            "folded.",
        ),
        "times": (
            lambda: (-0.2, 2.5, 0.3, 0.5),
            "samplers go from noise to data: from the larger time to the smaller.",
        ),
        "far-away": (
            lambda: (-0.2, 40.0, 0.5, 0.3),
            "both points must be where samples can be.",
        ),
    },
    solution=fold,
    kind="witness",
    equivalent=(  # there are folds elsewhere too
        "return (-0.2, 3.5, 0.5, 0.3)",
        "return (-1.2, 2.5, 0.5, 0.3)",
        "return (0.2, 2.5, 0.5, 0.3)",
    ),
    hints=(
        "Plot the step x -> step(x) from t = 0.5 to t = 0.3 and look for where it "
        "falls.",
        "DPS pushes hardest where the denoised mean turns fastest: between the modes.",
        "Outside of the modes the step increases: take z there, and x between them.",
    ),
    notice=lambda: _notice_fold(),
)


def _notice_fold():
    target = gt.problems.get(PROBLEM)
    sampler = gt.Guided(gt.approximations.DPS(), gt.kernels.DDIM(0.0))
    x, most = jnp.linspace(-_REACH, _REACH, 401), 256
    for count in (16, 32, 64, 128, most):
        times = gt.time_grid(target.path, count, "log_snr", t_max=0.99, t_min=1e-2)
        times = jnp.pad(times, (0, most - count), mode="edge")  # one program for all
        slopes = _slopes(sampler, target, x, times[:-1], times[1:])
        if float(jnp.min(slopes)) > 0:
            break
    return (
        f"of 16, 32, 64, ... equal steps in the log-SNR, {count} are the first "
        f"without a negative slope anywhere within {_REACH:g}: with fewer, the "
        "density formula of this lecture may not be used for DPS."
    )


@jax.jit
def _slopes(sampler, target, x, t, s):
    """Derivatives of all steps at all points; 1 where a step has no length."""

    def one(x, t, s):
        def move(x):
            return sampler.transition(target, x[None], t, s).mean[0]

        return jax.grad(move)(x)

    return jax.vmap(jax.vmap(one, (0, None, None)), (None, 0, 0))(x, t, s)
