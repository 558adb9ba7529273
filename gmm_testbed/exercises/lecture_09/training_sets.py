"""Posteriors of a finite training set, and how far they are from the true ones."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

import gmm_testbed as gt

from ...bounds.tools import training_sets as sets
from ...bounds.training_posterior import rates
from ..exercise import Exercise

# --- fsr-weights ------------------------------------------------------------------------


def fsr_weights(x, alpha, sigma, atoms, A, noise, y):
    """Probability (N,) that x_t = x came from each training point, given y.

    Bayes: 1/N N(y; A x_i, noise^2 I) N(x; alpha x_i, sigma^2 I), normalised. What is the
    same for every point cancels.
    """
    seen = jnp.sum((y - atoms @ A.T) ** 2, axis=1) / noise**2
    moved = jnp.sum((x - alpha * atoms) ** 2, axis=1) / sigma**2
    return jax.nn.softmax(-0.5 * (seen + moved))


def _sets():
    plane = jnp.asarray([[-1.2, 0.4], [0.7, 0.9], [0.3, -1.1], [1.4, -0.2]])
    line = jnp.asarray([[-0.9], [0.35], [1.3]])
    row, point = jnp.asarray([[0.8, -0.45]]), jnp.asarray([0.25, -0.3])
    tall = jnp.asarray([[1.3], [-0.4]])
    return {
        "four points in the plane": [
            (point, 0.62, 0.78, plane, row, 0.5, jnp.asarray([0.4])),
            (-2.0 * point, 0.9, 0.44, plane, row, 0.7, jnp.asarray([-0.6])),
        ],
        "three points on the line": [
            (point[:1], 0.8, 0.6, line, tall, 0.65, jnp.asarray([0.3, -0.5])),
        ],
        "one point": [
            (point, 0.62, 0.78, plane[:1], row, 0.5, jnp.asarray([0.4])),
        ],
    }


def _responsibilities(x, alpha, sigma, atoms, A, noise, y):
    reference = gt.GaussianMixture.empirical(atoms).conditioned(A, noise**2, y)
    return reference.noised(alpha, sigma).responsibilities(x)


def _weights_of(seen=1.0, moved=1.0, *, signal=None, scaled=False, squared=True):
    """Weights with parts of the exponent left out or changed."""

    def weights(x, alpha, sigma, atoms, A, noise, y):
        scale = alpha if signal is None else signal
        where = alpha * atoms if scaled else atoms
        power = 2 if squared else 1
        first = jnp.sum((y - where @ A.T) ** 2, axis=1) / noise**power
        second = jnp.sum((x - scale * atoms) ** 2, axis=1) / sigma**power
        return jax.nn.softmax(-0.5 * (seen * first + moved * second))

    return weights


def _unnormalised(x, alpha, sigma, atoms, A, noise, y):
    seen = jnp.sum((y - atoms @ A.T) ** 2, axis=1) / noise**2
    moved = jnp.sum((x - alpha * atoms) ** 2, axis=1) / sigma**2
    return jnp.exp(-0.5 * (seen + moved))


FSR_WEIGHTS = Exercise(
    title="Which training point was it?",
    asks="fsr_weights(x, alpha, sigma, atoms, A, noise, y) gives (N,): x0 is one of "
    "the training points `atoms` (N, d), each as likely; x = alpha x0 + sigma eps "
    "(d,), and y = A x0 + noise eps' (m,), two independent noises. The probability of "
    "each point given x and y.",
    probes=_sets,
    truth=_responsibilities,
    slips={
        "no-measurement": (
            _weights_of(seen=0.0),
            "these are the weights of the prior: y has not been used.",
        ),
        "no-state": (
            _weights_of(moved=0.0),
            "these are the weights at sigma = infinity: x has not been used.",
        ),
        "no-alpha": (
            _weights_of(signal=1.0),
            "the point was scaled by alpha before noise was added.",
        ),
        "measured-after-scaling": (
            _weights_of(scaled=True),
            "y is a measurement of the clean point: A x_i, without alpha.",
        ),
        "deviations-for-variances": (
            _weights_of(squared=False),
            "sigma and noise are standard deviations: the exponent has their squares.",
        ),
        "no-half": (
            _weights_of(2.0, 2.0),
            "the exponent of a normal density has 1/2 in front.",
        ),
        "not-normalised": (
            _unnormalised,
            "divide by the sum: one of the points it was.",
        ),
    },
    solution=fsr_weights,
    hints=(
        "Bayes: prior 1/N, times N(y; A x_i, noise^2 I), times N(x; alpha x_i, "
        "sigma^2 I).",
        "All normalisers are the same for every point: only the squares count.",
        "jax.nn.softmax of the logarithms, which survives exponents of -1000.",
    ),
    notice=lambda: _notice_weights(),
)


def _notice_weights():
    case = _sets()["four points in the plane"][0]
    sizes = []
    for sigma in (0.78, 0.1):
        weights = fsr_weights(*case[:2], sigma, *case[3:])
        sizes.append(float(jnp.exp(-jnp.sum(weights * jnp.log(weights)))))
    return (
        f"exp(entropy) counts the points in play: {sizes[0]:.1f} of 4 at sigma = "
        f"0.78, and {sizes[1]:.2f} at 0.1. From there on the score leads to one "
        "training point."
    )


# --- tv-limit ---------------------------------------------------------------------------


def tv_limit(grid, prior, slope, noise, y, sigma):
    """Limit of sqrt(N) E TV between the posterior of N training points and the true one.

    The posterior of the points is mean(w K)/mean(w). To first order its error is the mean
    of w (K - p), normal of variance E[w^2 (K - p)^2]/N; E|z| is sqrt(2/pi) deviations, and
    TV half of the integral.
    """
    x0, mass = gt.divergences.line_rule(prior, 801)
    w = norm.pdf(y, slope * x0[:, 0], noise)
    w = w / (mass @ w)
    kernel = norm.pdf(grid[:, None], x0[:, 0], sigma)
    p = kernel @ (mass * w)
    variance = (w * (kernel - p[:, None])) ** 2 @ mass
    return jnp.sum(jnp.sqrt(variance)) * (grid[1] - grid[0]) / jnp.sqrt(2 * jnp.pi)


def _problems():
    def case(weights, means, variances, *rest):
        prior = gt.GaussianMixture.isotropic(
            weights, jnp.asarray(means)[:, None], jnp.asarray(variances)
        )
        return jnp.linspace(-7.0, 7.0, 141), prior, *rest

    two = (0.35, 0.65), (-1.1, 0.9), (0.25, 0.4)
    return {
        "two modes": [
            case(*two, 1.2, 0.5, 0.7, 0.3),
            case(*two, -0.7, 0.35, 0.4, 0.55),
        ],
        "one mode": [case((1.0,), (0.45,), (0.7,), 1.3, 0.6, 0.9, 0.35)],
    }


@eqx.filter_jit
def _limit(grid, prior, slope, noise, y, sigma):
    """By the closed form of T21."""
    nodes = sets.Grid(grid, grid[1] - grid[0])
    seen = jnp.reshape(slope, (1, 1)), noise**2, jnp.reshape(y, (1,))
    return rates(prior, *seen, jnp.asarray(sigma), nodes).limit


def _limit_with(weighed=True, centred=True, square=True, factor=None, mass_of=None):
    """The solution with parts of it changed."""

    @eqx.filter_jit
    def changed(grid, prior, slope, noise, y, sigma):
        x0, mass = gt.divergences.line_rule(prior, 801)
        w = norm.pdf(y, slope * x0[:, 0], noise)
        w = w / (mass @ w) if weighed else jnp.ones_like(w)
        kernel = norm.pdf(grid[:, None], x0[:, 0], sigma)
        p = kernel @ (mass * w) if centred else jnp.zeros_like(grid)
        terms = (w if square else jnp.sqrt(w)) * (kernel - p[:, None])
        spread = jnp.sum(jnp.sqrt(terms**2 @ mass)) * (grid[1] - grid[0])
        return spread * (1 / jnp.sqrt(2 * jnp.pi) if factor is None else factor)

    return changed


@eqx.filter_jit
def _root_outside(grid, prior, slope, noise, y, sigma):
    x0, mass = gt.divergences.line_rule(prior, 801)
    w = norm.pdf(y, slope * x0[:, 0], noise)
    w = w / (mass @ w)
    kernel = norm.pdf(grid[:, None], x0[:, 0], sigma)
    p = kernel @ (mass * w)
    variance = (w * (kernel - p[:, None])) ** 2 @ mass
    total = jnp.sum(variance) * (grid[1] - grid[0])
    return jnp.sqrt(total) / jnp.sqrt(2 * jnp.pi)


TV_LIMIT = Exercise(
    title="The constant in front of 1/sqrt(N)",
    asks="tv_limit(grid, prior, slope, noise, y, sigma) gives a number (): on the "
    "line, y = slope x0 + N(0, noise^2), w(x0) = N(y; slope x0, noise^2)/p(y), K = "
    "N(x; x0, sigma^2). The limit of sqrt(N) E TV, (2 pi)^(-1/2) times the integral "
    "over x of the root of E_prior [w^2 (K - p(x|y))^2], with a sum over the nodes "
    "`grid` (n,).",
    probes=_problems,
    truth=_limit,
    slips={
        "no-measurement": (
            _limit_with(weighed=False),
            "that is the constant of the prior's own training set: w is missing.",
        ),
        "not-centred": (
            _limit_with(centred=False),
            "the posterior is a ratio of means: by the delta method K - p stands "
            "there, and the error of the normaliser takes part of that of the "
            "numerator away.",
        ),
        "weight-not-squared": (
            _limit_with(square=False),
            "each atom enters with its weight w, and a variance has its square.",
        ),
        "a-half": (
            _limit_with(factor=0.5),
            "1/2 belongs to the bound by Jensen; a normal error has E|z| = "
            "sqrt(2/pi), and half of it is 1/sqrt(2 pi).",
        ),
        "root-outside": (
            _root_outside,
            "the root is taken at every x, before the integral.",
        ),
    },
    solution=tv_limit,
    equivalent=(  # a node more, and an index beyond the last, which is the last
        "x0, mass = gt.divergences.line_rule(prior, 802)",
        "w = norm.pdf(y, slope * x0[:, 1], noise)",
        "kernel = norm.pdf(grid[:, None], x0[:, 1], sigma)",
    ),
    rtol=1e-6,
    hints=(
        "Write the posterior of the training set at x as mean(w K)/mean(w) over its "
        "points.",
        "Delta method: its error is that of the mean of w (K - p), over N.",
        "TV is half the integral of |error|, and E|error| = sqrt(2/pi) times its "
        "deviation.",
    ),
    notice=lambda: _notice_limit(),
)


def _notice_limit():
    case = _problems()["two modes"][0]
    limits = [float(_limit(*case[:-1], s)) for s in (0.1, 0.025)]
    return (
        f"a quarter of the noise takes it from {limits[0]:.2f} to {limits[1]:.2f}: "
        "about the double, as sigma^(-1/2) is left on the line. In d dimensions it "
        "is sigma^(-d/2), and to keep the error N must grow like sigma^(-d)."
    )
