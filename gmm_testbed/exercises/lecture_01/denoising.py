"""What a denoiser knows: the mean of x0 given x_t, and by its slope the covariance."""

import jax
import jax.numpy as jnp

import gmm_testbed as gt

from .. import cases
from ..exercise import Exercise

_SCALES = {
    "alpha": lambda target, x, t: target.path.alpha(t),
    "sigma": lambda target, x, t: target.path.sigma(t),
}

# --- the mean ---------------------------------------------------------------------------


def tweedie(target, x, t):
    r"""E[x0 | x_t = x] = (x + sigma^2 score) / alpha.

    p_t(x) = int p(x0) N(x; alpha x0, sigma^2 I) dx0. The gradient brings down
    (alpha x0 - x) / sigma^2, so the score is (alpha E[x0 | x] - x) / sigma^2.
    """
    score = target.marginal(t).score(x)
    return (x + target.path.sigma(t) ** 2 * score) / target.path.alpha(t)


def _by_autodiff(target, x, t):
    alpha, sigma = target.path.alpha(t), target.path.sigma(t)
    score = jax.grad(target.marginal(t).log_prob)(x)
    return x / alpha + (sigma / alpha) ** 2 * alpha * score


def _of_score(formula):
    """A formula of x, the score, alpha and sigma as an answer."""

    def answer(target, x, t):
        score = target.marginal(t).score(x)
        return formula(x, score, target.path.alpha(t), target.path.sigma(t))

    return answer


def _an_average() -> str:
    target, x = gt.problems.get("two-modes"), jnp.array([-0.5])
    early, late = (float(target.prior_mean(x, t)[0]) for t in (0.02, 0.9))
    return (
        f"on 'two-modes' the denoised mean of x_t = -0.5 is {early:.2f} at t = 0.02, "
        f"and at t = 0.9 it is {late:.2f}, the mean of the prior: an average, and no "
        "data point has to look like it."
    )


TWEEDIE = Exercise(
    title="The denoised mean from the score",
    asks="tweedie(target, x, t), x (d,), gives E[x0 | x_t = x], (d,), from "
    "target.marginal(t).score(x) and target.path.",
    probes=cases.probes,
    truth=lambda target, x, t: target.prior_mean(x, t),
    slips={
        "no-alpha": (
            _of_score(lambda x, score, alpha, sigma: x + sigma**2 * score),
            "this is E[alpha x0 | x_t]: the data were scaled by alpha before noise was "
            "added.",
        ),
        "sigma-once": (
            _of_score(lambda x, score, alpha, sigma: (x + sigma * score) / alpha),
            "a score has the units of 1/x, so sigma^2 times it has those of x. Sigma "
            "once belongs to the noise: E[noise | x] = -sigma score.",
        ),
        "sign": (
            _of_score(lambda x, score, alpha, sigma: (x - sigma**2 * score) / alpha),
            "the score points to where the density is high, and so does denoising: "
            "plus.",
        ),
        "alpha-squared": (
            _of_score(lambda x, score, alpha, sigma: (x + sigma**2 * score) / alpha**2),
            "divided by alpha once too often: alpha E[x0 | x] = x + sigma^2 score.",
        ),
        "score-undivided": (
            _of_score(lambda x, score, alpha, sigma: x / alpha + sigma**2 * score),
            "both terms are divided by alpha, that of the score too.",
        ),
        "x-undivided": (
            _of_score(lambda x, score, alpha, sigma: x + sigma**2 * score / alpha),
            "both terms are divided by alpha, x too.",
        ),
    },
    solution=tweedie,
    scales=_SCALES,
    terms=lambda target, x, t: {
        "x / alpha": x / target.path.alpha(t),
        "sigma^2 score / alpha": target.prior_mean(x, t) - x / target.path.alpha(t),
    },
    notice=_an_average,
    hints=(
        "Write p_t(x) as an integral over x0 and take the gradient under the integral.",
        "The gradient brings down (alpha x0 - x) / sigma^2. Divide by p_t(x): what is "
        "the average of that over p(x0 | x)?",
        "score = (alpha m - x) / sigma^2; solve for m.",
    ),
    others=(_by_autodiff,),
)


# --- the covariance ---------------------------------------------------------------------


def jacobian_is_covariance(target, x, t):
    r"""Cov[x0 | x_t = x] = (sigma^2 / alpha) dm/dx, m the denoised mean.

    p(x0 | x) is p(x0) exp(-|x0|^2 alpha^2 / (2 sigma^2) + x0.(alpha x / sigma^2)) up to a
    factor: an exponential family with parameter alpha x / sigma^2. The derivative of its
    mean in the parameter is its covariance, so dm/dx = (alpha / sigma^2) Cov.
    """
    J = jax.jacfwd(lambda x: target.prior_mean(x, t))(x)
    return target.path.sigma(t) ** 2 / target.path.alpha(t) * J


def _times_jacobian(factor, mean="prior_mean"):
    """A factor of alpha and sigma times the Jacobian of a mean, as an answer."""

    def answer(target, x, t):
        J = jax.jacfwd(lambda x: getattr(target, mean)(x, t))(x)
        return factor(target.path.alpha(t), target.path.sigma(t)) * J

    return answer


def _by_hessian(target, x, t):
    alpha, sigma = target.path.alpha(t), target.path.sigma(t)
    H = jax.hessian(target.marginal(t).log_prob)(x)
    return (sigma / alpha) ** 2 * (jnp.eye(x.size) + sigma**2 * H)


def _steepest() -> str:
    target, t = gt.problems.get("two-modes"), 0.2
    x = jnp.linspace(-2.0, 2.0, 201)
    at = jax.jit(jax.vmap(lambda x: target.prior_covariance(x, t)[0, 0]))
    spread = at(x[:, None])
    top = int(jnp.argmax(spread))
    return (
        "no covariance is negative, so a denoiser never moves against its input. On "
        f"'two-modes' at t = {t} it is steepest at x = {float(x[top]):.2f}, between "
        "the modes, where x0 may be in either and has variance "
        f"{float(spread[top]):.2f}."
    )


JACOBIAN = Exercise(
    title="How sure is a denoiser?",
    asks="jacobian_is_covariance(target, x, t), x (d,), gives Cov[x0 | x_t = x], (d, "
    "d), from the Jacobian of target.prior_mean.",
    probes=cases.probes,
    truth=lambda target, x, t: target.prior_covariance(x, t),
    slips={
        "jacobian": (
            _times_jacobian(lambda alpha, sigma: 1.0),
            "a Jacobian has no units, a covariance those of x0 squared: which factor "
            "has them?",
        ),
        "sigma-once": (
            _times_jacobian(lambda alpha, sigma: sigma / alpha),
            "sigma^2 / alpha, not sigma / alpha. The same slip in the code of a guided "
            "sampler passed a test on its samples.",
        ),
        "inverted": (
            _times_jacobian(lambda alpha, sigma: alpha / sigma**2),
            "the other way round: dm/dx is (alpha / sigma^2) times the covariance.",
        ),
        "no-alpha": (
            _times_jacobian(lambda alpha, sigma: sigma**2),
            "x0 is multiplied by alpha on its way to x_t, and the derivative knows it.",
        ),
        "alpha-squared": (
            _times_jacobian(lambda alpha, sigma: (sigma / alpha) ** 2),
            "sigma^2 / alpha^2 is right for the derivative in x / alpha, not in x.",
        ),
        "posterior": (
            _times_jacobian(lambda alpha, sigma: sigma**2 / alpha, "posterior_mean"),
            "this is the covariance given y as well: differentiate prior_mean.",
        ),
    },
    solution=jacobian_is_covariance,
    scales=_SCALES,
    notice=_steepest,
    hints=(
        "jax.jacfwd(f)(x) is the Jacobian of f at x. Which units has it?",
        "p(x0 | x) is proportional to p(x0) exp(-|x - alpha x0|^2 / (2 sigma^2)). "
        "Differentiate its mean in x: a covariance of x0 with something appears.",
        "dm/dx = (alpha / sigma^2) Cov[x0 | x].",
    ),
    others=(_by_hessian,),
)
