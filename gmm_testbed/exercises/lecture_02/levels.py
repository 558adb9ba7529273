"""Noise levels: the same one on two paths, and the one at which two modes part."""

import jax
import jax.numpy as jnp
from scipy.optimize import brentq

import gmm_testbed as gt

from .. import cases
from ..exercise import Exercise

# --- one noise level, two paths ---------------------------------------------------------


def same_snr(target, x, t, other):
    r"""The point and the time on another path at which the same is known of x0.

    x / alpha = x0 + (sigma / alpha) noise: the ratio is all that matters. So take the
    time at which the other path has it, and multiply x / alpha by the other alpha.
    """
    path = target.path
    there = other.time_at_log_snr(path.log_snr(t))
    return x / path.alpha(t) * other.alpha(there), there


def _by_sigma(target, x, t, other):
    """At one ratio the scales of noise are in proportion to those of the signal."""
    path = target.path
    there = other.time_at_log_snr(path.log_snr(t))
    return x / path.sigma(t) * other.sigma(there), there


def _moved(change):
    """An answer with another point or time."""

    def answer(target, x, t, other):
        path, there = target.path, other.time_at_log_snr(target.path.log_snr(t))
        return change(x, t, there, path, other)

    return answer


def _known_there(answer, target, x, t, other):
    """E[x0 | x'_t'] on the other path, where the answer says."""
    given = answer(target, x, t, other)
    if given is None or given is ...:
        return given
    return gt.Target(target.problem, other).prior_mean(*given)


def _pairs():
    others = gt.CosineVP(), gt.VE(0.05, 8.0), gt.OU(2.5), gt.VE(0.02, 12.0)
    points = [args for several in cases.probes().values() for args in several]
    return [(*args, other) for args, other in zip(points, others, strict=False)]


SAME_SNR = Exercise(
    title="The same knowledge on another path",
    asks="same_snr(target, x, t, other), x (d,), gives the tuple (x', t') of a point "
    "(d,) and a time on the path `other` with E[x0 | x'_t' = x'] = E[x0 | x_t = x].",
    probes=_pairs,
    truth=lambda target, x, t, other: target.prior_mean(x, t),
    measured=_known_there,
    slips={
        "same-time": (
            _moved(lambda x, t, there, path, o: (x / path.alpha(t) * o.alpha(t), t)),
            "time is only a name: at the same t another path has another noise level.",
        ),
        "same-point": (
            _moved(lambda x, t, there, path, o: (x, there)),
            "the noise level is right, but the other path has scaled the data "
            "differently: compare x / alpha.",
        ),
        "inverse": (
            _moved(lambda x, t, u, path, o: (x * path.alpha(t) / o.alpha(u), u)),
            "the other way round: x / alpha is x0 plus noise, and the new path "
            "multiplies that by its own alpha.",
        ),
    },
    solution=same_snr,
    transforms=(),
    notice="nothing that is exact, and no ancestral sampler, knows the path otherwise "
    "than by its signal-to-noise ratio. VP, VE and straight lines are one process in "
    "three clocks.",
    hints=(
        "Divide x_t by alpha: which noise is on x0 then?",
        "x / alpha = x0 + sqrt(v) noise with v = sigma^2 / alpha^2. Where has the "
        "other path this v?",
        "other.time_at_log_snr(path.log_snr(t)); then multiply by other.alpha there.",
    ),
    others=(_by_sigma,),
)


# --- where two modes part ---------------------------------------------------------------


def speciation(m, s):
    r"""The level v = sigma^2/alpha^2 below which 0 lies between two modes, m and -m.

    At level v the modes have variance c = s^2 + v. The curvature of the log-density at
    0 along m is -1/c + |m|^2/c^2, the second term from the shares of the modes. It is 0
    at c = |m|^2.
    """
    return jnp.sum(m**2) - s**2


def _by_bisection(m, s):
    along = m / jnp.sqrt(jnp.sum(m**2))
    pair = gt.GaussianMixture.isotropic([0.5, 0.5], jnp.stack([m, -m]), s**2)

    @jax.jit
    def curvature(v):
        law = pair.noised(1.0, jnp.sqrt(v))
        return along @ jax.hessian(law.log_prob)(jnp.zeros_like(m)) @ along

    return jnp.asarray(brentq(curvature, 1e-9, 50.0, xtol=1e-13, rtol=1e-13))


SPECIATION = Exercise(
    title="Where a mode is chosen",
    asks="speciation(m, s), m (d,), s a standard deviation, gives the level v = "
    "sigma^2/alpha^2 at which 0 stops being a mode of N(m, s^2 I) and N(-m, s^2 I), "
    "half each, noised.",
    probes=lambda: [
        (jnp.array([1.3]), 0.45),
        (jnp.array([1.1, -0.7]), 0.8),
        (jnp.array([0.6, 0.9, -1.4]), 0.35),
    ],
    truth=_by_bisection,
    slips={
        "no-width": (
            lambda m, s: jnp.sum(m**2),
            "modes have a width before noise is added: c = s^2 + v.",
        ),
        "distance": (
            lambda m, s: 4.0 * jnp.sum(m**2) - s**2,
            "this has the distance of the modes, |2m|; what counts is how far each is "
            "from the middle.",
        ),
        "deviation": (
            lambda m, s: jnp.sum(m**2) - s,
            "s is a standard deviation, and v a variance.",
        ),
        "scale": (
            lambda m, s: jnp.sqrt(jnp.sum(m**2) - s**2),
            "this is a scale of noise; v = sigma^2/alpha^2 is its square.",
        ),
    },
    solution=speciation,
    scales={"s": lambda m, s: s, "|m|": lambda m, s: jnp.sqrt(jnp.sum(m**2))},
    terms=lambda m, s: {"|m|^2": jnp.sum(m**2), "s^2": -(s**2)},
    notice="above this level there is one hill, and below it two. A sampler decides "
    "here how much mass each mode gets: guidance that is wrong near this level gives "
    "wrong weights, however good it is below.",
    hints=(
        "Write the log-density of the pair at level v near 0, up to second order.",
        "Both modes have variance c = s^2 + v; log cosh(m.x / c) is (m.x)^2 / (2 c^2) "
        "near 0.",
        "The curvature along m is -1/c + |m|^2/c^2.",
    ),
)
