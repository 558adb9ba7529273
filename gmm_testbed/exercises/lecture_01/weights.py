"""Weights of the components: given x_t, and given y."""

from functools import partial

import jax
import jax.numpy as jnp

import gmm_testbed as gt

from .. import cases
from ..exercise import Exercise

# --- given x_t --------------------------------------------------------------------------


def responsibilities(target, x, t):
    """r_k = P(component k | x_t = x): Bayes' rule, normalised in log space.

    Component k is noised to N(alpha mu_k, alpha^2 Sigma_k + sigma^2 I). The logarithm of
    its weight times its density at x is known up to a constant, which the softmax removes.
    """
    prior, path = target.problem.prior, target.path
    C = path.alpha(t) ** 2 * prior.covariances() + path.sigma(t) ** 2 * jnp.eye(
        prior.dim
    )
    r = x - path.alpha(t) * prior.means
    distance = jnp.einsum("ki,kij,kj->k", r, jnp.linalg.inv(C), r)
    log_density = -0.5 * distance - 0.5 * jnp.linalg.slogdet(C)[1]
    return jax.nn.softmax(prior.log_weights + log_density)


def _log_normal(r, C, determinant=0.5):
    """Log-densities (K,) at r (K, d), without the factor of pi."""
    distance = jnp.einsum("ki,kij,kj->k", r, jnp.linalg.inv(C), r)
    return -0.5 * distance - determinant * jnp.linalg.slogdet(C)[1]


def _log_joint(target, x, t, weights=1.0, determinant=0.5, noise=True, scaled=True):
    """log(w_k N(x; ...)), with the mistakes that the arguments allow."""
    prior, path = target.problem.prior, target.path
    C = prior.covariances()
    if noise:
        C = path.alpha(t) ** 2 * C + path.sigma(t) ** 2 * jnp.eye(prior.dim)
    r = x - (path.alpha(t) if scaled else 1.0) * prior.means
    return weights * prior.log_weights + _log_normal(r, C, determinant)


def _shares(target, x, t, **mistake):
    return jax.nn.softmax(_log_joint(target, x, t, **mistake))


def _joint(target, x, t):
    half = 0.5 * target.problem.prior.dim * jnp.log(2.0 * jnp.pi)
    return jnp.exp(_log_joint(target, x, t) - half)


def _what_noise_forgets() -> str:
    target, x = gt.problems.get("two-modes"), jnp.array([0.2])
    early, late = (float(target.marginal(t).responsibilities(x)[0]) for t in (0.1, 1.0))
    weight = float(jnp.exp(target.problem.prior.log_weights[0]))
    return (
        f"on 'two-modes' the left component has a share of {early:.2f} in x = 0.2 at "
        f"t = 0.1, and of {late:.3f} at t = 1: only its weight, {weight:.1f}, is "
        "left."
    )


RESPONSIBILITIES = Exercise(
    title="Which component does x_t come from?",
    asks="responsibilities(target, x, t), x (d,), gives P(component k | x_t = x), "
    "(K,).",
    probes=cases.probes_of_mixtures,
    truth=lambda target, x, t: target.marginal(t).responsibilities(x),
    slips={
        "weights-alone": (
            lambda target, x, t: jnp.exp(target.problem.prior.log_weights),
            "these are the weights before x is seen; what does x add?",
        ),
        "no-weights": (
            partial(_shares, weights=0.0),
            "the components have weights before x is seen: Bayes' rule multiplies the "
            "density of each by its weight.",
        ),
        "no-determinant": (
            partial(_shares, determinant=0.0),
            "a wide component has a low density everywhere: the normaliser "
            "det(C_k)^(-1/2) differs from one component to the next.",
        ),
        "prior-covariance": (
            partial(_shares, noise=False),
            "noise widens every component: its covariance at time t is "
            "alpha^2 Sigma_k + sigma^2 I.",
        ),
        "data-means": (
            partial(_shares, scaled=False),
            "the data are scaled by alpha before noise is added: component k stands at "
            "alpha mu_k.",
        ),
        "not-normalised": (
            _joint,
            "these are the joint densities w_k N(x; ...): divide by their sum, p_t(x).",
        ),
    },
    solution=responsibilities,
    notice=_what_noise_forgets,
    hints=(
        "Which law has x_t if x0 comes from component k?",
        "N(alpha mu_k, C_k) with C_k = alpha^2 Sigma_k + sigma^2 I.",
        "r_k is the softmax over k of log w_k + log N(x; alpha mu_k, C_k).",
    ),
)


# --- given y ----------------------------------------------------------------------------


def posterior_weights(problem):
    r"""log w_k^y, from w_k N(y; A mu_k, A Sigma_k A^T + R), normalised.

    Given component k, y = A x0 + noise is Gaussian, so component k explains y with that
    density: its evidence, in which x0 has been integrated out.
    """
    prior, A = problem.prior, problem.measurement.A
    B = A @ prior.covariances() @ A.T + problem.measurement.R
    r = problem.y - prior.means @ A.T
    distance = jnp.einsum("ki,kij,kj->k", r, jnp.linalg.inv(B), r)
    log_evidence = -0.5 * distance - 0.5 * jnp.linalg.slogdet(B)[1]
    return jax.nn.log_softmax(prior.log_weights + log_evidence)


def _log_evidence(problem, spread=1.0, determinant=0.5):
    prior, A = problem.prior, problem.measurement.A
    B = spread * A @ prior.covariances() @ A.T + problem.measurement.R
    return _log_normal(problem.y - prior.means @ A.T, B, determinant)


def _updated(problem, **mistake):
    log_joint = problem.prior.log_weights + _log_evidence(problem, **mistake)
    return jax.nn.log_softmax(log_joint)


def _joint_with_y(problem):
    half = 0.5 * problem.y.size * jnp.log(2.0 * jnp.pi)
    return problem.prior.log_weights + _log_evidence(problem) - half


def _width_explains() -> str:
    problem = gt.problems.get("two-modes").problem
    weights = (
        problem.prior.log_weights,
        problem.posterior().log_weights,
        _updated(problem, spread=0.0),
    )
    before, after, at_mean = (float(jnp.exp(each[1])) for each in weights)
    return (
        f"on 'two-modes' the right mode has weight {before:.2f} before y and "
        f"{after:.3f} after it. The likelihood at the means would give {at_mean:.3f}: "
        "most of what a component explains, it explains by its width."
    )


POSTERIOR = Exercise(
    title="What y says of the components",
    asks="posterior_weights(problem) gives the log-weights (K,) of the posterior "
    "mixture, normalised; problem has prior, measurement.A, measurement.R and y.",
    probes=cases.problems,
    truth=lambda problem: problem.posterior().log_weights,
    slips={
        "prior-weights": (
            lambda problem: problem.prior.log_weights,
            "these are the weights before y was seen.",
        ),
        "at-the-mean": (
            partial(_updated, spread=0.0),
            "this is the likelihood at the mean of each component. A component also "
            "spreads: given k, y has covariance A Sigma_k A^T + R.",
        ),
        "no-determinant": (
            partial(_updated, determinant=0.0),
            "det(A Sigma_k A^T + R)^(-1/2) differs from one component to the next.",
        ),
        "evidence-alone": (
            lambda problem: jax.nn.log_softmax(_log_evidence(problem)),
            "the prior weights are missing: Bayes' rule multiplies by them.",
        ),
        "not-normalised": (
            _joint_with_y,
            "these are log(w_k N(y; ...)), whose exponentials sum to p(y): subtract "
            "log p(y).",
        ),
        "not-log": (
            lambda problem: jnp.exp(posterior_weights(problem)),
            "these are the weights. Their logarithms are asked for, which stay finite "
            "where a weight is below the smallest number.",
        ),
    },
    solution=posterior_weights,
    notice=_width_explains,
    hints=(
        "Which law has y if x0 comes from component k?",
        "N(A mu_k, A Sigma_k A^T + R).",
        "log w_k + log N(y; A mu_k, A Sigma_k A^T + R), less its logsumexp over k.",
    ),
)
