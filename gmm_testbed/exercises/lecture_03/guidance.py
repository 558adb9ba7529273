"""The exact likelihood of x_t, and the guidance that it gives."""

import jax
import jax.numpy as jnp
from jax.scipy.stats import multivariate_normal

import gmm_testbed as gt

from .. import cases
from ..exercise import Exercise

# --- the likelihood ---------------------------------------------------------------------


def likelihood(target, x, t):
    r"""p(y | x_t = x) = sum_k r_k N(y; A m_k, A S_k A^T + R).

    x0 given x_t is the mixture of N(m_k, S_k) with weights r_k, so y = A x0 + noise is the
    mixture of N(A m_k, A S_k A^T + R) with the same weights.
    """
    law, seen, y = target.denoised(x, t), target.problem.measurement, target.problem.y
    R = seen.A @ law.covariances() @ seen.A.T + seen.R
    each = jax.vmap(multivariate_normal.logpdf, (None, 0, 0))(
        y, law.means @ seen.A.T, R
    )
    return jnp.exp(jax.nn.logsumexp(law.log_weights + each))


def _likelihood(law, problem, weights=None, spread=1.0):
    """That of a law of x0, with the mistakes that the arguments allow."""
    seen = problem.measurement
    R = spread * seen.A @ law.covariances() @ seen.A.T + seen.R
    centres = law.means @ seen.A.T
    each = jax.vmap(multivariate_normal.logpdf, (None, 0, 0))(problem.y, centres, R)
    weights = law.log_weights if weights is None else weights
    return jnp.exp(jax.nn.logsumexp(weights + each))


def _at(point):
    """The likelihood p(y | x0) at a point in the place of x0."""

    def answer(target, x, t):
        seen = target.problem.measurement
        centre = seen.A @ point(target, x, t)
        return jnp.exp(multivariate_normal.logpdf(target.problem.y, centre, seen.R))

    return answer


def _prior_shares(target, x, t):
    weights = target.problem.prior.log_weights
    return _likelihood(target.denoised(x, t), target.problem, weights)


def _no_spread(target, x, t):
    return _likelihood(target.denoised(x, t), target.problem, spread=0.0)


def _unscaled(target, x, t):
    law = target.problem.prior.denoised(x, 1.0, target.path.sigma(t))
    return _likelihood(law, target.problem)


def _jensen() -> str:
    target, x, t = gt.problems.get("two-modes"), jnp.array([0.1]), 0.3
    exact = float(jnp.exp(target.log_likelihood(x, t)))
    at_mean = float(_at(gt.Target.prior_mean)(target, x, t))
    return (
        f"on 'two-modes' at x_t = {float(x[0])}, t = {t}, p(y | x_t) is {exact:.3f}, "
        f"and the likelihood of the denoised mean {at_mean:.3f}: the mean lies "
        "between the modes, where y is, and x0 hardly ever does."
    )


LIKELIHOOD = Exercise(
    title="What x_t says of y",
    asks="likelihood(target, x, t), x (d,), gives p(y | x_t = x), (), from the mixture "
    "target.denoised(x, t) and target.problem.",
    probes=cases.probes,
    truth=lambda target, x, t: jnp.exp(target.log_likelihood(x, t)),
    slips={
        "dps": (
            _at(lambda target, x, t: target.prior_mean(x, t)),
            "this is the likelihood of the mean, p(y | x0 = E[x0 | x_t]), and not the "
            "mean of the likelihood (Jensen's gap). DPS makes this replacement.",
        ),
        "no-spread": (
            _no_spread,
            "within component k, x0 is not its mean m_k: it spreads with S_k, and A "
            "x0 with A S_k A^T.",
        ),
        "prior-weights": (
            _prior_shares,
            "x_t has told something of the component: the weights are the "
            "responsibilities, those of target.denoised(x, t).",
        ),
        "no-alpha": (
            _unscaled,
            "x_t is alpha x0 plus noise: x was denoised as if alpha were 1.",
        ),
        "noisy-point": (
            _at(lambda target, x, t: x),
            "this puts x_t itself into the measurement; y measures x0.",
        ),
        "log": (
            lambda target, x, t: target.log_likelihood(x, t),
            "this is the logarithm; the density is asked for.",
        ),
    },
    solution=likelihood,
    notice=_jensen,
    hints=(
        "p(y | x_t) = int p(y | x0) p(x0 | x_t) dx0. Which law is p(x0 | x_t)?",
        "target.denoised(x, t) is that mixture: log_weights, means, covariances().",
        "A Gaussian N(m_k, S_k) seen through A with noise R is N(A m_k, A S_k A^T + "
        "R).",
    ),
)


# --- the guidance -----------------------------------------------------------------------


def guidance_from_two_denoisers(target, x, t):
    r"""grad_x log p(y | x_t) = (alpha / sigma^2) (E[x0 | x_t, y] - E[x0 | x_t]).

    p(y | x) = p(x | y) p(y) / p(x), so the guidance is the score given y less the score. By
    Tweedie each is (alpha m - x) / sigma^2 with its own mean, and x / sigma^2 cancels.
    """
    apart = target.posterior_mean(x, t) - target.prior_mean(x, t)
    return target.path.alpha(t) / target.path.sigma(t) ** 2 * apart


def _two_scores(target, x, t):
    return target.posterior(t).score(x) - target.marginal(t).score(x)


def _times_difference(factor):
    """A factor of alpha and sigma times the difference of the means, as an answer."""

    def answer(target, x, t):
        apart = target.posterior_mean(x, t) - target.prior_mean(x, t)
        return factor(target.path.alpha(t), target.path.sigma(t)) * apart

    return answer


def _how_strong() -> str:
    target, x = gt.problems.get("two-modes"), jnp.array([0.0])
    exact, dps = (
        [float(jax.jit(method.guidance)(target, x, t)[0]) for t in (0.05, 0.5)]
        for method in (gt.approximations.Exact(), gt.approximations.DPS())
    )
    return (
        f"at x_t = 0 on 'two-modes' the guidance is {exact[0]:.2f} at t = 0.05, where "
        f"DPS has {dps[0]:.2f}, and {exact[1]:.2f} at t = 0.5, where DPS has "
        f"{dps[1]:.2f}. A program with two denoisers needs no derivative for it."
    )


GUIDANCE = Exercise(
    title="Guidance without a derivative",
    asks="guidance_from_two_denoisers(target, x, t), x (d,), gives grad_x log p(y | "
    "x_t = x), (d,), from target.posterior_mean and target.prior_mean.",
    probes=cases.probes,
    truth=lambda target, x, t: target.guidance(x, t),
    slips={
        "sign": (
            _times_difference(lambda alpha, sigma: -alpha / sigma**2),
            "guidance goes from what is likely to what is likely given y: posterior "
            "mean less prior mean.",
        ),
        "no-factor": (
            _times_difference(lambda alpha, sigma: 1.0),
            "a difference of means has the units of x, a gradient of a logarithm "
            "those of 1/x.",
        ),
        "sigma-once": (
            _times_difference(lambda alpha, sigma: alpha / sigma),
            "alpha / sigma^2: Tweedie has sigma squared.",
        ),
        "no-alpha": (
            _times_difference(lambda alpha, sigma: 1.0 / sigma**2),
            "the score is (alpha m - x) / sigma^2, with alpha before the mean.",
        ),
        "inverted": (
            _times_difference(lambda alpha, sigma: sigma**2 / alpha),
            "the other way round: the means differ by sigma^2 / alpha times the "
            "guidance.",
        ),
    },
    solution=guidance_from_two_denoisers,
    scales={
        "alpha": lambda target, x, t: target.path.alpha(t),
        "sigma": lambda target, x, t: target.path.sigma(t),
    },
    notice=_how_strong,
    hints=(
        "Bayes' rule for p(y | x_t): which three densities, and which depend on x?",
        "It is the score of p_t(x | y) less the score of p_t(x). Write both with "
        "Tweedie.",
        "score = (alpha m - x) / sigma^2, with m = E[x0 | x_t, y] or E[x0 | x_t].",
    ),
    others=(_two_scores,),
)
