"""Two divergences of one error, and the noise of a metric."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

from ..exercise import Exercise

# --- fisher-and-kl ----------------------------------------------------------------------


def fisher_and_kl(q, p):
    """Fisher divergence and KL(q || p) of two mixtures on the line.

    Both are means under q, of (d/dx log(q/p))^2 and of log(q/p), and E_q f is a sum over
    the points and masses of a quadrature.
    """
    x, mass = gt.divergences.line_rule(q)
    gap = jax.vmap(q.score)(x) - jax.vmap(p.score)(x)
    ratio = jax.vmap(q.log_prob)(x) - jax.vmap(p.log_prob)(x)
    return mass @ jnp.sum(gap**2, axis=1), mass @ ratio


def _pairs():
    def law(weights, means, variances):
        means = jnp.asarray(means)[:, None]
        return gt.GaussianMixture.isotropic(weights, means, jnp.asarray(variances))

    first, wide = (-1.3, 1.7), (0.45, 0.7)
    return {
        "two modes": [
            (law((0.35, 0.65), first, wide), law((0.7, 0.3), first, wide)),
            (law((0.8, 0.2), first, wide), law((0.42, 0.58), (-1.1, 0.9), wide)),
            (law((0.15, 0.85), (-2.3, 2.1), wide), law((0.6, 0.4), (-2.3, 2.1), wide)),
        ],
        "one mode": [(law((1.0,), (0.4,), (0.55,)), law((1.0,), (-0.3,), (0.8,)))],
    }


@eqx.filter_jit
def _fisher_and_kl(q, p):
    """By the density on a grid, its root's derivative spectral."""
    x = jnp.linspace(-12.0, 12.0, 2401)
    law = gt.divergences.LineDensity.uniform(
        -12.0, 12.0, jax.vmap(q.log_prob)(x[:, None])
    )
    return gt.divergences.fisher(law, p), gt.divergences.kl_to(law, p)


@eqx.filter_jit
def _over(law, q, p):
    """Points, masses of `law`, the difference of the scores, and the log-ratio."""
    x, mass = gt.divergences.line_rule(law)
    gap = (jax.vmap(q.score)(x) - jax.vmap(p.score)(x))[:, 0]
    return x, mass, gap, jax.vmap(q.log_prob)(x) - jax.vmap(p.log_prob)(x)


def _under_p(q, p):
    _, mass, gap, ratio = _over(p, q, p)
    return mass @ gap**2, mass @ ratio


def _reversed(q, p):
    _, mass, gap, ratio = _over(p, q, p)
    return mass @ gap**2, -(mass @ ratio)


def _not_squared(q, p):
    _, mass, gap, ratio = _over(q, q, p)
    return mass @ jnp.abs(gap), mass @ ratio


def _halved(q, p):
    _, mass, gap, ratio = _over(q, q, p)
    return 0.5 * (mass @ gap**2), mass @ ratio


def _score_of_p_forgotten(q, p):
    x, mass, _, ratio = _over(q, q, p)
    return mass @ jax.vmap(q.score)(x)[:, 0] ** 2, mass @ ratio


def _of_the_weights(q, p):
    _, mass, gap, _ = _over(q, q, p)
    kl = jnp.exp(q.log_weights) @ (q.log_weights - p.log_weights)
    return mass @ gap**2, kl


FISHER_AND_KL = Exercise(
    title="Two divergences of the same error",
    asks="fisher_and_kl(q, p) gives two numbers: the Fisher divergence E_q |d/dx "
    "log(q/p)|^2 and KL(q || p) in nats, of two mixtures on the line.",
    probes=_pairs,
    truth=_fisher_and_kl,
    slips={
        "under-p": (
            _under_p,
            "both expectations are under q, the law that is judged; yours are under p, "
            "which makes the second minus KL(p || q).",
        ),
        "reversed": (
            _reversed,
            "these are the divergences of p from q: KL(q || p) asks where q has mass "
            "and p has none, KL(p || q) the other way round.",
        ),
        "not-squared": (
            _not_squared,
            "the difference of the scores is squared before the mean is taken.",
        ),
        "halved": (
            _halved,
            "the score-matching loss has a factor 1/2, and the Fisher divergence has "
            "none.",
        ),
        "score-of-p-forgotten": (
            _score_of_p_forgotten,
            "that is the Fisher information of q alone; subtract the score of p.",
        ),
        "of-the-weights": (
            _of_the_weights,
            "KL of the weights alone is what the labels of the modes would show: an "
            "upper bound if the modes are the same, and x does not tell its mode for "
            "certain.",
        ),
        "order": (
            lambda q, p: _fisher_and_kl(q, p)[::-1],
            "first the Fisher divergence, then KL.",
        ),
    },
    solution=fisher_and_kl,
    parts=("the Fisher divergence", "KL"),
    hints=(
        "Both are means under q: E_q f(X) = sum of mass_j f(x_j), and "
        "gt.divergences.line_rule(q) gives the points x_j (n, 1) and their masses "
        "(n,).",
        "q.score and q.log_prob take one point (1,): use jax.vmap.",
        "The first is the mean of (q.score(x) - p.score(x))^2, the second that of "
        "q.log_prob(x) - p.log_prob(x).",
    ),
    notice=lambda: _notice_blindness(),
)


def _notice_blindness():
    def law(weight):
        return gt.GaussianMixture.isotropic(
            [weight, 1.0 - weight], [[-3.0], [3.0]], 1.0
        )

    found, kl = map(float, _fisher_and_kl(law(0.9), law(0.5)))
    return (
        f"modes 6 deviations apart, weights 0.9 and 0.1 for halves: KL {kl:.3f} nats, "
        f"and a Fisher divergence of {found:.4f}. A score network that is trained to "
        "the second has not learnt the first."
    )


# --- floor ------------------------------------------------------------------------------


def floor(found, exact):
    """z of one value of a metric among those of exact samples (n,), and its error.

    The yardstick is the deviation of a single value. Three things are uncertain, in its
    units: the value (1), the mean of the others (1/n), and the yardstick, whose relative
    variance is 1/(2 (n - 1)) for normal values.
    """
    noise = jnp.std(exact, ddof=1)
    z = (found - jnp.mean(exact)) / noise
    of_the_mean, of_the_noise = 1 / exact.size, z**2 / (2 * (exact.size - 1))
    return z, jnp.sqrt(1 + of_the_mean + of_the_noise)


def _values():
    rng = np.random.default_rng(7)
    sets = [(rng.normal(0.3, 0.9, n), n) for n in (6, 6, 11)]
    return {
        "six exact sets": [(2.9, sets[0][0]), (-1.4, sets[1][0])],
        "eleven exact sets": [(1.6, sets[2][0])],
    }


def _separation(found, exact):
    z = gt.diagnostics.separation(found, exact)
    return z.value, z.stderr


def _z_with(found, exact, *, ddof=1, of_mean=False, centre=None, constant=1.0):
    noise = jnp.std(exact, ddof=ddof)
    noise = noise / jnp.sqrt(exact.size) if of_mean else noise
    z = (found - (jnp.mean(exact) if centre is None else centre)) / noise
    error = constant + 1.0 / exact.size + z**2 / (2.0 * (exact.size - 1))
    return z, jnp.sqrt(error)


FLOOR = Exercise(
    title="Is that evidence?",
    asks="floor(found, exact) gives two numbers: by how many standard deviations of a "
    "single value a metric `found` () exceeds its values `exact` (n,) on exact "
    "samples, and the standard error of that number: the square root of 1 + 1/n + z^2 "
    "/ (2 (n - 1)).",
    probes=_values,
    truth=_separation,
    slips={
        "error-of-the-mean": (
            functools.partial(_z_with, of_mean=True),
            "one set of samples has the spread of one value; dividing by the error of "
            "the mean of n makes any sampler look wrong if only n is large.",
        ),
        "population": (
            functools.partial(_z_with, ddof=0),
            "the mean was estimated from the same values: the standard deviation has "
            "n - 1 below (ddof=1).",
        ),
        "not-centred": (
            functools.partial(_z_with, centre=0.0),
            "exact samples do not give 0: subtract their mean first.",
        ),
        "own-noise-forgotten": (
            functools.partial(_z_with, constant=0.0),
            "`found` is one value and has the noise of one, which is the 1 in the "
            "error.",
        ),
        "sign": (
            lambda found, exact: _z_with(-found, -exact),
            "a value above those of exact samples has a positive z.",
        ),
    },
    solution=floor,
    parts=("z", "its standard error"),
    hints=(
        "The yardstick is the spread of a single value of the metric on exact samples.",
        "jnp.std(exact, ddof=1), since the mean comes from the same values.",
        "Three things are uncertain: found itself (1), the mean of n values (1/n), "
        "and the yardstick (z^2 / (2 (n - 1))).",
    ),
    notice=lambda: _notice_floor(),
)


def _notice_floor():
    exact = np.random.default_rng(3).normal(size=20)
    z, error = map(float, _separation(2.0, exact))
    return (
        f"with 20 exact sets a value two deviations up has z = {z:.1f} ± {error:.1f}: "
        "an answer without the second number is none."
    )
