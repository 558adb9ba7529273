"""The noise level of collapse, and what stopping early costs."""

import jax
import jax.numpy as jnp
from scipy.optimize import brentq

import gmm_testbed as gt

from ...bounds.early_stopping import distances_squared
from ..exercise import Exercise

# --- collapse-level ---------------------------------------------------------------------


def collapse_level(variances, num):
    """snr () at which x_t tells log(num) nats of x0 ~ N(0, diag(variances)).

    By Newton's method. The information is concave in the snr, so its tangents lie above
    it, and from 0 no step goes too far.
    """
    snr = 0.0
    for _ in range(30):
        missing = jnp.log(num) - 0.5 * jnp.sum(jnp.log1p(snr * variances))
        snr = snr + 2 * missing / jnp.sum(variances / (1 + snr * variances))
    return snr


def _spectra():
    return {
        "three variances": [
            (jnp.asarray([0.3, 0.75, 1.8]), 64.0),
            (jnp.asarray([2.2, 0.15, 0.6]), 5.0),
        ],
        "six variances": [(jnp.asarray([0.9, 0.4, 0.25, 0.1, 0.05, 0.02]), 300.0)],
        "one variance": [(jnp.asarray([0.65]), 12.0)],
    }


def _level(variances, num):
    """The root of the testbed's mutual information, which is a closed form."""
    law = gt.GaussianMixture.diagonal(
        [1.0], jnp.zeros((1, variances.size)), variances[None]
    )
    goal = float(jnp.log(num))

    def excess(log_snr):
        return (
            float(gt.information.mutual_information(law, jnp.exp(log_snr)).value) - goal
        )

    return jnp.exp(brentq(excess, -10.0, 30.0, xtol=1e-13, rtol=1e-13))


@jax.jit
def _solved(variances, num):
    """The solution, compiled once for each number of variances."""

    def step(_, snr):
        missing = jnp.log(num) - 0.5 * jnp.sum(jnp.log1p(snr * variances))
        return snr + 2.0 * missing / jnp.sum(variances / (1.0 + snr * variances))

    return jax.lax.fori_loop(0, 30, step, jnp.zeros_like(num))


def _equal(variances, num):
    """As if all variances were their mean."""
    return (num ** (2.0 / variances.size) - 1.0) / jnp.mean(variances)


def _loop(steps=30, factor=2, one=1) -> str:
    """The loop of the solution with other numbers."""
    return (
        f"for _ in range({steps}):\n"
        "    missing = jnp.log(num) - 0.5 * jnp.sum(jnp.log1p(snr * variances))\n"
        f"    snr = snr + {factor} * missing / "
        f"jnp.sum(variances / ({one} + snr * variances))"
    )


COLLAPSE_LEVEL = Exercise(
    title="When is the training set memorised?",
    asks="collapse_level(variances, num) gives a number (): for x0 ~ N(0, "
    "diag(variances)), variances (d,), the signal-to-noise ratio at which the "
    "information of x_t about x0, (1/2) sum log(1 + snr variance_i), is log(num): "
    "from there on x_t tells apart all `num` training points.",
    probes=_spectra,
    truth=_level,
    slips={
        "no-half": (
            lambda variances, num: _solved(variances, jnp.sqrt(num)),
            "the information of a Gaussian channel has 1/2 in front.",
        ),
        "bits": (
            lambda variances, num: _solved(variances, jnp.exp(jnp.log2(num))),
            "nats and bits are mixed: the logarithm of num is natural too.",
        ),
        "equal-variances": (
            _equal,
            "that is right if all variances are the same; each direction has its own.",
        ),
        "largest-only": (
            lambda variances, num: _solved(jnp.max(variances)[None], num),
            "every direction tells something: sum over them.",
        ),
        "noise-level": (
            lambda variances, num: 1.0 / _solved(variances, num),
            "that is v = sigma^2/alpha^2; the signal-to-noise ratio is its inverse.",
        ),
        "high-snr": (
            lambda variances, num: (
                num ** (2.0 / variances.size) / jnp.exp(jnp.mean(jnp.log(variances)))
            ),
            "log(1 + u) was taken as log u: directions whose variance is below the "
            "noise tell nothing, not less than nothing.",
        ),
    },
    solution=collapse_level,
    # Newton's method forgives another start, a step more, and steps that are too long.
    equivalent=("snr = 1.0", _loop(steps=31), _loop(factor=3), _loop(one=2)),
    hints=(
        "The left side grows with the snr, from 0: there is one root.",
        "Newton from snr = 0 comes from below, since the information is concave in the "
        "snr.",
        "Its derivative is (1/2) sum variance/(1 + snr variance).",
    ),
    notice=lambda: _notice_collapse(),
)


def _notice_collapse():
    levels = [float(_solved(jnp.full(dim, 0.5), jnp.asarray(1e6))) for dim in (4, 64)]
    return (
        f"a million points of variance 1/2 collapse at snr {levels[0]:.3g} in 4 "
        f"dimensions and at {levels[1]:.2g} in 64: num^(2/d) is what counts."
    )


# --- half-denoise -----------------------------------------------------------------------


def half_denoise(prior, x, alpha, sigma):
    """The point (d,) half of the way from x/alpha to the denoised mean.

    With z = x/alpha and v = sigma^2/alpha^2 the score of z is alpha times that of x, so
    z + (v/2) score_z = (x + (sigma^2/2) score_x)/alpha: an Euler step of the flow to 0.
    """
    score = prior.noised(alpha, sigma).score(x)
    return (x + 0.5 * sigma**2 * score) / alpha


def _points():
    plane = gt.GaussianMixture.full(
        [0.4, 0.6],
        [[-1.1, 0.5], [0.8, -0.7]],
        [[[0.5, 0.2], [0.2, 0.3]], [[0.4, -0.1], [-0.1, 0.7]]],
    )
    line = gt.GaussianMixture.isotropic([0.35, 0.65], [[-1.2], [1.4]], [0.15, 0.3])
    one = gt.GaussianMixture.isotropic([1.0], [[0.7]], 0.45)
    return {
        "two modes in the plane": [
            (plane, jnp.asarray([0.3, -0.9]), 0.8, 0.6),
            (plane, jnp.asarray([-1.3, 0.2]), 0.93, 0.37),
        ],
        "two modes on the line": [(line, jnp.asarray([0.2]), 0.7, 0.72)],
        "one mode": [(one, jnp.asarray([-0.4]), 0.85, 0.53)],
    }


def _halfway(prior, x, alpha, sigma):
    return 0.5 * (x / alpha + prior.denoised_mean(x, alpha, sigma))


HALF_DENOISE = Exercise(
    title="Half a denoising step",
    asks="half_denoise(prior, x, alpha, sigma), x (d,), gives a point (d,): x = alpha "
    "x0 + sigma eps (d,) with x0 from the mixture `prior`. In z = x/alpha, of noise v "
    "= sigma^2/alpha^2, return z + (v/2) grad log p_v(z), p_v the law of z. "
    "The score in x is prior.noised(alpha, sigma).score(x).",
    probes=_points,
    truth=_halfway,
    slips={
        "whole-step": (
            lambda prior, x, alpha, sigma: prior.denoised_mean(x, alpha, sigma),
            "that is the whole way, to the denoised mean: too narrow a law, O(v) away.",
        ),
        "score-in-x": (
            lambda prior, x, alpha, sigma: (
                x / alpha
                + 0.5 * (sigma / alpha) ** 2 * prior.noised(alpha, sigma).score(x)
            ),
            "the score in z = x/alpha is alpha times the score in x.",
        ),
        "no-alpha": (
            lambda prior, x, alpha, sigma: (
                x + 0.5 * sigma**2 * prior.noised(alpha, sigma).score(x)
            ),
            "the result is in units of x0: divide by alpha.",
        ),
        "sigma-for-variance": (
            lambda prior, x, alpha, sigma: (
                (x + 0.5 * sigma * prior.noised(alpha, sigma).score(x)) / alpha
            ),
            "the score is multiplied by the variance sigma^2.",
        ),
        "sign": (
            lambda prior, x, alpha, sigma: (
                (x - 0.5 * sigma**2 * prior.noised(alpha, sigma).score(x)) / alpha
            ),
            "the score points to where data are: add it.",
        ),
        "score-without-noise": (
            lambda prior, x, alpha, sigma: (
                x / alpha + 0.5 * (sigma / alpha) ** 2 * prior.score(x / alpha)
            ),
            "the score of the noised law, at this noise; not that of the data.",
        ),
    },
    solution=half_denoise,
    hints=(
        "Tweedie: z + v grad log p_v(z) is the denoised mean. Here v/2 stands.",
        "p_v is the law of x/alpha: its score at z is alpha times that of x at x.",
        "v times alpha is sigma^2/alpha.",
    ),
    notice=lambda: _notice_half(),
)


def _notice_half():
    found = []
    prior = gt.GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
    for v in (0.02, 0.01):
        squares = distances_squared(prior, jnp.asarray(v))
        found.append(jnp.sqrt(squares))
    ratios = found[0] / found[1]
    return (
        f"half the noise divides W2 to the prior by {float(ratios[1]):.1f} after a "
        f"whole step and by {float(ratios[2]):.1f} after half a one: O(v) and O(v^2), "
        "for half the price of a step."
    )
