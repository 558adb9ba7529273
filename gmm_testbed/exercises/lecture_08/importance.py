"""Draws of the prior, weighed by the likelihood: how many count, and how far one is."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

import gmm_testbed as gt

from ...bounds.tools import line_pairs
from ..exercise import Exercise

# --- ess --------------------------------------------------------------------------------


def ess(weights, means, variances, slope, noise, y):
    """Effective share of draws of the prior that are weighed by N(y; slope x, noise^2).

    E w is the density of y. The square of N(y; u, g^2) is N(y; u, g^2/2) over
    sqrt(4 pi g^2), so E w^2 is the density of y at half the noise variance, over the same.
    """

    def density(v):  # of y, if the noise had the variance v
        spread = jnp.sqrt(slope**2 * variances + v)
        return weights @ norm.pdf(y, slope * means, spread)

    square = density(noise**2 / 2) / jnp.sqrt(4 * jnp.pi * noise**2)
    return density(noise**2) ** 2 / square


def _measurements():
    def case(weights, means, variances, *rest):
        return tuple(map(jnp.asarray, (weights, means, variances))) + rest

    two = (0.35, 0.65), (-1.2, 0.9), (0.3, 0.55)
    return {
        "two modes": [
            case(*two, 1.3, 0.4, 1.1),
            case(*two, 0.7, 0.25, -0.8),
            case(*two, -1.6, 0.85, 0.6),
        ],
        "one mode": [case((1.0,), (0.45,), (0.7,), 1.3, 0.35, 0.9)],
    }


def _prior(weights, means, variances):
    return gt.GaussianMixture.isotropic(weights, means[:, None], variances)


@eqx.filter_jit
def _share(weights, means, variances, slope, noise, y):
    """(E w)^2 / E w^2 over the prior, by quadrature."""
    prior = _prior(weights, means, variances)

    def powers(x):
        w = norm.pdf(y, slope * x[0], noise)
        return jnp.stack([w, w**2])

    first, second = gt.divergences.line_expectation(prior, powers, 801)
    return first**2 / second


@eqx.filter_jit
def _divergence_share(weights, means, variances, slope, noise, y):
    prior = _prior(weights, means, variances)
    seen = jnp.reshape(slope, (1, 1)), noise**2, jnp.reshape(y, (1,))
    return jnp.exp(-line_pairs.kl(prior.conditioned(*seen), prior))


@eqx.filter_jit
def _not_halved(weights, means, variances, slope, noise, y):
    density = weights @ norm.pdf(
        y, slope * means, jnp.sqrt(slope**2 * variances + noise**2)
    )
    return density * jnp.sqrt(4 * jnp.pi * noise**2)


@eqx.filter_jit
def _likelihood_at_means(weights, means, variances, slope, noise, y):
    w = norm.pdf(y, slope * means, noise)
    return (weights @ w) ** 2 / (weights @ w**2)


ESS = Exercise(
    title="How many draws count?",
    asks="ess(weights, means, variances, slope, noise, y) gives a number (): n draws "
    "x of the prior (K components on the line, arrays (K,)) are weighed by w = N(y; "
    "slope x, noise^2). The limit of ESS/n, which is (E w)^2 / E w^2 = 1 / (1 + "
    "chi2(posterior || prior)).",
    probes=_measurements,
    truth=_share,
    slips={
        "chi-square": (
            lambda *args: 1.0 / _share(*args) - 1.0,
            "that is chi2 itself; the share is 1 / (1 + chi2).",
        ),
        "upside-down": (
            lambda *args: 1.0 / _share(*args),
            "a share is at most 1: E w^2 is at least (E w)^2.",
        ),
        "not-halved": (
            _not_halved,
            "the square of N(y; u, g^2) is N(y; u, g^2/2) over sqrt(4 pi g^2): the "
            "variance is halved, in the evidence of the square too.",
        ),
        "kl-for-chi-square": (
            _divergence_share,
            "exp(-KL) is how the number of draws that are needed grows; the variance "
            "of the weights has chi2, which is larger.",
        ),
        "at-the-means": (
            _likelihood_at_means,
            "the components have a spread: each of its draws has a weight of its own.",
        ),
    },
    solution=ess,
    scales={"noise": lambda *args: args[4], "slope": lambda *args: jnp.abs(args[3])},
    hints=(
        "E w is the evidence p(y): a mixture of N(y; slope mean_k, slope^2 var_k + "
        "noise^2).",
        "w^2 is a normal density as well, of half the variance, times a constant.",
        "N(y; u, v)^2 = N(y; u, v/2) / sqrt(4 pi v).",
    ),
    notice=lambda: _notice_share(),
)


def _notice_share():
    shares = []
    for noise in (0.4, 0.04):
        case = tuple(map(jnp.asarray, ([0.35, 0.65], [-1.2, 0.9], [0.3, 0.55])))
        shares.append(float(_share(*case, 1.3, jnp.asarray(noise), jnp.asarray(1.1))))
    return (
        f"{100 * shares[0]:.0f} of 100 draws count at noise 0.4, {100 * shares[1]:.1f} "
        "at a tenth of it: the share falls like the noise, and in m measurements like "
        "its power m."
    )


# --- sir-bound --------------------------------------------------------------------------


def sir_bound(prior, posterior, num):
    """Bound in nats on KL(posterior || one of num draws of the prior, kept by weight).

    KL is at most E log(Z^/Z) with one draw from the posterior and the others from the
    prior. The mean of Z^/Z is then (1 + chi2 + num - 1)/num; Jensen gives the logarithm.
    """
    x, mass = gt.divergences.line_rule(prior)
    ratio = jnp.exp(jax.vmap(posterior.log_prob)(x) - jax.vmap(prior.log_prob)(x))
    chi2 = mass @ ratio**2 - 1
    return jnp.log1p(chi2 / num)


def _conditioned():
    def case(weights, means, variances, slope, noise, y, num):
        arrays = tuple(map(jnp.asarray, (weights, means, variances)))
        prior = _prior(*arrays)
        seen = jnp.asarray([[slope]]), noise**2, jnp.asarray([y])
        return prior, prior.conditioned(*seen), float(num)

    two = (0.35, 0.65), (-1.2, 0.9), (0.3, 0.55)
    return {
        "two modes": [case(*two, 1.3, 0.4, 1.1, 3), case(*two, 0.7, 0.3, -0.8, 24)],
        "one mode": [case((1.0,), (0.45,), (0.7,), 1.3, 0.35, 0.9, 7)],
    }


def _bound(prior, posterior, num):
    return jnp.log1p(line_pairs.chi2(posterior, prior) / num)


SIR_BOUND = Exercise(
    title="One draw of n",
    asks="sir_bound(prior, posterior, num) gives a number (): of `num` draws of the "
    "prior one is kept, with the probability of its weight. The bound log(1 + chi2/n) "
    "on KL(posterior || law of that draw), chi2 = E_prior (posterior/prior)^2 - 1, "
    "two mixtures on the line.",
    probes=_conditioned,
    truth=_bound,
    slips={
        "no-logarithm": (
            lambda prior, posterior, num: line_pairs.chi2(posterior, prior) / num,
            "chi2/n is a bound too, and a loose one where n is below chi2: Jensen "
            "gives the logarithm.",
        ),
        "others-only": (
            lambda prior, posterior, num: jnp.log1p(
                line_pairs.chi2(posterior, prior) / (num - 1.0)
            ),
            "n draws and not the n - 1 others: the one from the posterior counts as "
            "well.",
        ),
        "second-moment": (
            lambda prior, posterior, num: jnp.log1p(
                (1.0 + line_pairs.chi2(posterior, prior)) / num
            ),
            "E (posterior/prior)^2 is 1 + chi2: subtract the 1.",
        ),
        "divided-outside": (
            lambda prior, posterior, num: (
                jnp.log1p(line_pairs.chi2(posterior, prior)) / num
            ),
            "the n stands inside of the logarithm.",
        ),
        "kl-for-chi-square": (
            lambda prior, posterior, num: jnp.log1p(
                line_pairs.kl(posterior, prior) / num
            ),
            "the mean of the weight of a posterior draw is 1 + chi2, not 1 + KL.",
        ),
    },
    solution=sir_bound,
    hints=(
        "gt.divergences.line_rule(prior) gives points (n, 1) and masses: E_prior f = "
        "sum of mass f(x).",
        "chi2 = E_prior (posterior/prior)^2 - 1.",
        "E_cond Z^/Z = (E_post w + n - 1)/n = 1 + chi2/n; then Jensen.",
    ),
    notice=lambda: _notice_bound(),
)


def _notice_bound():
    prior, posterior, _ = _conditioned()["two modes"][0]
    chi2 = float(line_pairs.chi2(posterior, prior))
    return (
        f"chi2 is {chi2:.2f} here: {chi2 / 0.01:.0f} draws bring KL of one kept draw "
        "below 0.01 nats, for certain."
    )
