"""The reverse step: given x0 a Gaussian; drawn exactly, as long as one likes."""

from functools import cache

import jax.numpy as jnp

import gmm_testbed as gt

from ..exercise import Exercise

# --- given x0 ---------------------------------------------------------------------------


def reverse_kernel(alpha_t, sigma_t, alpha_s, sigma_s):
    r"""c, rho and btilde of p(x_s | x_t, x0) = N(c x_t + rho x0, btilde), s < t.

    x_s has the law N(alpha_s x0, sigma_s^2) and is seen as x_t = a x_s + N(0, b). The
    gain of this measurement is K = a sigma_s^2 / sigma_t^2, as a^2 sigma_s^2 + b =
    sigma_t^2. So the mean is alpha_s x0 + K (x_t - a alpha_s x0), the variance (1 - K
    a) sigma_s^2.
    """
    a = alpha_t / alpha_s
    b = sigma_t**2 - a**2 * sigma_s**2
    return (
        a * sigma_s**2 / sigma_t**2,
        alpha_s * b / sigma_t**2,
        b * sigma_s**2 / sigma_t**2,
    )


def _by_snr(alpha_t, sigma_t, alpha_s, sigma_s):
    """The same by the ratio of the two signal-to-noise ratios."""
    ratio = (alpha_t * sigma_s / (alpha_s * sigma_t)) ** 2
    c = ratio * alpha_s / alpha_t
    return c, alpha_s * (1.0 - ratio), sigma_s**2 * (1.0 - ratio)


def _by_conditioning(alpha_t, sigma_t, alpha_s, sigma_s):
    a = alpha_t / alpha_s
    b = sigma_t**2 - a**2 * sigma_s**2

    def law(x_t, x0):
        before = gt.GaussianMixture.isotropic([1.0], [[alpha_s * x0]], sigma_s**2)
        return before.conditioned(jnp.array([[a]]), b, jnp.array([x_t]))

    c, rho = law(1.0, 0.0).mean()[0], law(0.0, 1.0).mean()[0]
    return c, rho, law(1.0, 1.0).covariance()[0, 0]


def _with(change):
    """An answer with the right a and b, and a change of the result."""

    def answer(alpha_t, sigma_t, alpha_s, sigma_s):
        a = alpha_t / alpha_s
        b = sigma_t**2 - a**2 * sigma_s**2
        right = reverse_kernel(alpha_t, sigma_t, alpha_s, sigma_s)
        return change(*right, a, b, alpha_s, sigma_s)

    return answer


def _from_noise(noise):
    """An answer with another formula for a and b."""

    def answer(alpha_t, sigma_t, alpha_s, sigma_s):
        a, b = noise(alpha_t, sigma_t, alpha_s, sigma_s)
        share = sigma_s**2 / sigma_t**2
        return a * share, alpha_s * b / sigma_t**2, b * share

    return answer


def _scale_pairs():
    pairs = ((gt.VP(0.1, 12.0), 0.45, 0.3), (gt.Rectified(), 0.7, 0.35))
    pairs += ((gt.OU(2.5), 0.55, 0.15), (gt.CosineVP(), 0.8, 0.6))
    return [
        (path.alpha(t), path.sigma(t), path.alpha(s), path.sigma(s))
        for path, t, s in pairs
    ]


REVERSE_KERNEL = Exercise(
    title="One step back, given the data",
    asks="reverse_kernel(alpha_t, sigma_t, alpha_s, sigma_s), s < t, gives the tuple "
    "(c, rho, btilde) of p(x_s | x_t, x0) = N(c x_t + rho x0, btilde).",
    probes=_scale_pairs,
    truth=_by_conditioning,
    slips={
        "no-shrinking": (
            _from_noise(lambda at, st, As, ss: (1.0 + 0.0 * at, st**2 - ss**2)),
            "from s to t the signal shrinks by a = alpha_t / alpha_s, and so does the "
            "noise that x_s has already: x_t = a x_s + ... These are the numbers of "
            "VE, a = 1.",
        ),
        "a-once": (
            _from_noise(lambda at, st, As, ss: (at / As, st**2 - at / As * ss**2)),
            "variances scale with squares: b = sigma_t^2 - a^2 sigma_s^2.",
        ),
        "forward-variance": (
            _with(lambda c, rho, btilde, a, b, As, ss: (c, rho, b)),
            "b is the noise that the forward step adds. Given x_t and x0, less of it "
            "is unknown.",
        ),
        "afresh": (
            _with(lambda c, rho, btilde, a, b, As, ss: (0.0 * c, As + 0.0 * c, ss**2)),
            "this is p(x_s | x0), noised afresh: x_t has been forgotten.",
        ),
        "standard-deviation": (
            _with(lambda c, rho, btilde, a, b, As, ss: (c, rho, jnp.sqrt(btilde))),
            "btilde is a variance.",
        ),
    },
    solution=reverse_kernel,
    parts=("c", "rho", "btilde"),
    scales={
        "alpha_t": lambda at, st, As, ss: at,
        "sigma_t": lambda at, st, As, ss: st,
        "alpha_s": lambda at, st, As, ss: As,
        "sigma_s": lambda at, st, As, ss: ss,
    },
    notice="(alpha_t sigma_s / (alpha_s sigma_t))^2 is the ratio of the two "
    "signal-to-noise ratios: written with it, c / a, rho / alpha_s and btilde / "
    "sigma_s^2 know nothing else of the path.",
    hints=(
        "x_s is Gaussian given x0, and x_t is a measurement of x_s with noise: which "
        "one?",
        "x_t = a x_s + N(0, b), a = alpha_t / alpha_s; b follows from Var[x_t | x0] = "
        "sigma_t^2.",
        "The product of two Gaussians: gain K = a sigma_s^2 / (a^2 sigma_s^2 + b), "
        "mean alpha_s x0 + K (x_t - a alpha_s x0), variance (1 - K a) sigma_s^2.",
    ),
    others=(_by_snr,),
)


# --- without x0 -------------------------------------------------------------------------


def two_steps():
    """No distance at all: a draw of p(x_s | x_t, y) keeps the exact law, however long.

    If x_t has the law p_t(. | y) and x_s is drawn from p(x_s | x_t, y), then x_s has
    the law p_s(. | y). What samplers approximate is not small steps but this kernel, by
    a Gaussian.
    """
    return 0.0


@cache
def _distance(name, precision):
    """TV to the posterior on 'two-modes' after two steps, from the exact law at t = 1."""
    target = gt.problems.get("two-modes")
    times = gt.time_grid(target.path, 2, t_min=1e-2)
    start = target.posterior(times[0])
    law = gt.laws.grid(_SAMPLERS[name], target, times, initial=start)
    return law.tv(target.posterior(times[-1]))


_EXACT = gt.approximations.Exact()
_SAMPLERS = {
    "jump": gt.algorithms.Jump(),
    "small": gt.Guided(_EXACT, gt.kernels.DDPM()),
    "matched": gt.Guided(_EXACT, gt.kernels.DDPM("matched")),
    "ddim": gt.Guided(_EXACT, gt.kernels.DDIM(eta=0.5)),
}


def _distance_of(name):
    return lambda: _distance(name, jnp.result_type(float))


TWO_STEPS = Exercise(
    title="How far off are two exact steps?",
    asks="two_steps is a number: the total variation distance to the posterior of "
    "'two-modes' after N = 2 draws of the exact reverse kernel, from the exact law at "
    "t = 1.",
    kind="number",
    truth=_distance_of("jump"),
    slips={
        "one-gaussian": (
            _distance_of("small"),
            "this is the distance of DDPM, which replaces the mixture by one Gaussian "
            "with its mean.",
        ),
        "two-moments": (
            _distance_of("matched"),
            "this is the distance of one Gaussian with the mean and the variance of "
            "the exact kernel.",
        ),
        "half-deterministic": (
            _distance_of("ddim"),
            "this is the distance of DDIM with eta = 0.5, another Gaussian.",
        ),
    },
    solution=two_steps,
    atol=1e-6,
    notice=lambda: (
        "with one Gaussian in the place of the mixture it is "
        f"{float(_distance_of('small')()):.2f}, and with the right variance "
        f"{float(_distance_of('matched')()):.2f}: all of a discretisation error is "
        "this replacement."
    ),
    hints=(
        "Take x_t from p_t(. | y) and x_s from p(x_s | x_t, y). Which law has x_s?",
        "The joint law of x_s and x_t is p(x_s, x_t | y), so x_s has its marginal.",
    ),
)
