"""Three methods in one line: the gain that each puts before y - A m."""

import jax.numpy as jnp

import gmm_testbed as gt

from .. import cases
from ..exercise import Exercise


def gains(target, x, t):
    r"""The gains G of E[x0 | x_t, y] = m + G (y - A m): exact, PiGDM's and DPS's.

    One Gaussian given x_t is N(m, C), so y updates it with the Kalman gain
    C A^T (A C A^T + R)^-1. PiGDM puts r^2 I for C inside the inverse, DPS nothing.
    """
    A, R = target.problem.measurement.A, target.problem.measurement.R
    C = target.prior_covariance(x, t)
    alpha, sigma = target.path.alpha(t), target.path.sigma(t)
    r2 = sigma**2 / (sigma**2 + alpha**2)
    exact = C @ A.T @ jnp.linalg.inv(A @ C @ A.T + R)
    pigdm = C @ A.T @ jnp.linalg.inv(r2 * A @ A.T + R)
    return exact, pigdm, C @ A.T @ jnp.linalg.inv(R)


def _derivatives(target, x, t):
    """What each method does with y: the slopes of its posterior mean, which is affine."""
    seen, prior, y = target.problem.measurement, target.problem.prior, target.problem.y

    def mean(method, y):
        problem = gt.InverseProblem(prior, seen, y)
        return method.posterior_mean(gt.Target(problem, target.path), x, t)

    methods = (
        gt.approximations.Exact(),
        gt.approximations.PiGDM(),
        gt.approximations.DPS(),
    )
    shifts = y + jnp.eye(y.size)
    return tuple(
        jnp.stack([mean(method, other) - mean(method, y) for other in shifts], axis=1)
        for method in methods
    )


def _with(change):
    """The right gains with a change of them."""

    def answer(target, x, t):
        seen = target.problem.measurement
        right = gains(target, x, t)
        C, alpha = target.prior_covariance(x, t), target.path.alpha(t)
        return change(*right, C, seen.A, seen.R, alpha, target.path.sigma(t))

    return answer


def _inside(r2):
    """PiGDM with another r^2."""
    return lambda C, A, R, a, s: C @ A.T @ jnp.linalg.inv(r2(a, s) * A @ A.T + R)


_flat = _inside(lambda a, s: s**2 / a**2)
_root = _inside(lambda a, s: s / jnp.sqrt(s**2 + a**2))


def _proximal(C, A, R, alpha, sigma):
    r2 = sigma**2 / (sigma**2 + alpha**2)
    return r2 * A.T @ jnp.linalg.inv(r2 * A @ A.T + R)


def _too_strong() -> str:
    target = cases.one_component()
    parts = []
    for t in (0.1, 0.5, 0.9):
        exact, pigdm, dps = (float(g[0, 0]) for g in gains(target, jnp.array([0.5]), t))
        parts.append(f"{pigdm / exact:.2f} and {dps / exact:.2f} at t = {t}")
    return (
        "PiGDM's and DPS's gain are these multiples of the exact one: "
        f"{', '.join(parts)}. TMPD's is the exact one, for every Gaussian prior: a "
        "Kalman update."
    )


GAINS = Exercise(
    title="Exact, PiGDM and DPS are Kalman updates, more or less",
    asks="gains(target, x, t), for a prior of one Gaussian, gives the tuple of three "
    "gains G (d, m) in m + G (y - A m): exact, of PiGDM with r^2 = sigma^2 / (sigma^2 "
    "+ alpha^2), and of DPS.",
    probes=cases.probes_of_one_gaussian,
    truth=_derivatives,
    slips={
        "prior-covariance": (
            lambda target, x, t: _of_the_prior(target),
            "x_t is known: the covariance in a gain is that of x0 given x_t.",
        ),
        "proximal": (
            _with(lambda e, p, d, *given: (e, _proximal(*given), d)),
            "r^2 before the inverse as well is DiffPIR's proximal step. PiGDM "
            "differentiates through the denoiser, and its Jacobian brings C.",
        ),
        "flat": (
            _with(lambda e, p, d, *given: (e, _flat(*given), d)),
            "r^2 = sigma^2 / alpha^2 is what a flat prior would leave; PiGDM takes "
            "sigma^2 / (sigma^2 + alpha^2), right for the prior N(0, I).",
        ),
        "root": (
            _with(lambda e, p, d, *given: (e, _root(*given), d)),
            "r^2 is a variance: sigma^2 / (sigma^2 + alpha^2) is r^2, not r.",
        ),
        "noise-free": (
            _with(lambda e, p, d, C, A, R, a, s: (e, p, jnp.linalg.pinv(A) + 0.0 * d)),
            "the pseudo-inverse is DDNM's gain, for measurements without noise. DPS "
            "divides by R, and multiplies by C.",
        ),
        "no-covariance": (
            _with(lambda e, p, d, C, A, R, a, s: (e, p, A.T @ jnp.linalg.inv(R))),
            "DPS differentiates the residual of the denoised mean: its Jacobian is "
            "(alpha/sigma^2) C.",
        ),
    },
    solution=gains,
    parts=("exact", "PiGDM", "DPS"),
    notice=_too_strong,
    hints=(
        "x0 given x_t is N(m, C). What does y = A x0 + noise make of it?",
        "C A^T (A C A^T + R)^-1 is the exact gain. Both methods have C A^T before an "
        "inverse.",
        "PiGDM: (r^2 A A^T + R)^-1. DPS: R^-1, as if x0 were its mean.",
    ),
)


def _of_the_prior(target):
    A, R = target.problem.measurement.A, target.problem.measurement.R
    S = target.problem.prior.covariance()
    gain = S @ A.T
    exact = gain @ jnp.linalg.inv(A @ S @ A.T + R)
    return exact, gain @ jnp.linalg.inv(A @ A.T + R), gain @ jnp.linalg.inv(R)
