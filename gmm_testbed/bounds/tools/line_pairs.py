r"""Divergences between two mixtures on the line, by quadrature to about ten digits.

Both have densities. The trapezoidal rule does the smooth integrals (`line_expectation`).
The total variation has a kink where the densities cross, and is summed cell by cell
from the distribution functions, to seven digits. Optimal transport is followed in the
parameter \(s = x + z\), in which the coupling is smooth also where the map x -> z jumps.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..._types import Scalar
from ...densities.curves import bisect
from ...divergences import line_expectation, mixture_cdf, mixture_survival
from ...divergences.expectation import refined
from ...mixture import GaussianMixture

_REACH = 9.0  # standard deviations; the mass beyond is 2e-19
_CELLS = 4096


@eqx.filter_jit
def kl(q: GaussianMixture, p: GaussianMixture) -> Scalar:
    """KL(q || p) in nats."""
    return line_expectation(q, lambda x: q.log_prob(x) - p.log_prob(x))


@eqx.filter_jit
def fisher(q: GaussianMixture, p: GaussianMixture) -> Scalar:
    r"""\(E_q |(\log q/p)'|^2\), one over length squared."""
    return line_expectation(q, lambda x: jnp.sum((q.score(x) - p.score(x)) ** 2))


@eqx.filter_jit
def log_chi2(q: GaussianMixture, p: GaussianMixture) -> Scalar:
    r"""\(\log(1 + \chi^2(q \| p)) = \log\int q^2/p\); infinite where q has the wider tails.

    The sum is over where q^2 divided by the widest component of p is, which bounds q^2/p.
    """
    widest = jnp.argmax(p.covariances()[:, 0, 0])
    m, v = q.means[:, 0], q.covariances()[:, 0, 0]
    other, wide = p.means[widest, 0], p.covariances()[widest, 0, 0]
    precision = 2.0 / v - 1.0 / wide
    finite = jnp.min(precision) > 0
    precision = jnp.where(precision > 0, precision, 1.0)
    centre = (2.0 * m / v - other / wide) / precision
    reach = _REACH / jnp.sqrt(precision)
    ends = jnp.min(centre - reach), jnp.max(centre + reach)
    x = jnp.linspace(*ends, refined(_CELLS) + 1)
    logs = jax.vmap(lambda x: 2.0 * q.log_prob(x[None]) - p.log_prob(x[None]))(x)
    found = jax.scipy.special.logsumexp(logs) + jnp.log(x[1] - x[0])
    return jnp.where(finite, found, jnp.inf)


@eqx.filter_jit
def chi2(q: GaussianMixture, p: GaussianMixture) -> Scalar:
    r"""\(\chi^2(q \| p) = \int (q - p)^2/p\)."""
    return jnp.expm1(log_chi2(q, p))


@eqx.filter_jit
def tv(q: GaussianMixture, p: GaussianMixture) -> Scalar:
    r"""\(\tfrac12 \int |q - p|\), in [0, 1]."""
    return 0.5 * jnp.sum(_cells(q, p)[0])


@eqx.filter_jit
def overlap(q: GaussianMixture, p: GaussianMixture) -> Scalar:
    r"""\(\int \min(q, p) = 1 - TV\), with all its digits where the laws are far apart."""
    return jnp.sum(_cells(q, p)[1])


def _cells(q, p):
    """Integrals over cells of |q - p| and of min(q, p)."""
    x = jnp.linspace(*_ends(q, p), refined(_CELLS) + 1)
    gap = jax.vmap(lambda x: _density(q, x) - _density(p, x))(x)
    masses = [_masses(mixture, x) for mixture in (q, p)]
    left, right = gap[:-1], gap[1:]
    # Where the sign changes the difference is taken to be linear.
    size = jnp.abs(left) + jnp.abs(right)
    safe = jnp.where(size > 0, size, 1.0)
    crossing = (x[1] - x[0]) * (left**2 + right**2) / (2.0 * safe)
    apart = jnp.abs(masses[0] - masses[1])
    apart = jnp.where(left * right < 0, crossing, apart)
    return apart, 0.5 * (masses[0] + masses[1] - apart)


def _masses(mixture, x):
    """Between neighbours of x (n,), from the smaller tail."""
    below = jax.vmap(lambda x: mixture_cdf(mixture, x))(x)
    above = jax.vmap(lambda x: mixture_survival(mixture, x))(x)
    return jnp.where(below[1:] < 0.5, jnp.diff(below), -jnp.diff(above))


@eqx.filter_jit
def transport(
    q: GaussianMixture,
    p: GaussianMixture,
    cost: Callable[[Scalar, Scalar], Array] = lambda x, z: (x - z) ** 2,
) -> Array:
    r"""E cost(X, Z) for X from q and Z from p, coupled monotonically.

    With the default cost it is \(W_2^2(q, p)\); with (f(x) - z)^2 and f increasing, that
    of the image of q under f.

    Args:
        q: law of X.
        p: law of Z.
        cost: of two numbers (), of any shape.
    """
    lower_q, upper_q = _ends(q)
    lower_p, upper_p = _ends(p)
    ends = lower_q + lower_p, upper_q + upper_p
    sums = jnp.linspace(*ends, refined(_CELLS) + 1)

    def part(s):
        def passed(x):
            z = s - x
            low = mixture_cdf(q, x) >= mixture_cdf(p, z)
            high = mixture_survival(q, x) <= mixture_survival(p, z)
            return jnp.where(mixture_cdf(p, z) < 0.5, low, high)  # the smaller tails

        x = bisect(
            passed,
            jnp.maximum(lower_q, s - upper_p),
            jnp.minimum(upper_q, s - lower_p),
        )
        mass_q, mass_p = _density(q, x), _density(p, s - x)
        total = mass_q + mass_p
        rate = mass_q * mass_p / jnp.where(total > 0, total, 1.0)
        return rate * cost(x, s - x)

    return (sums[1] - sums[0]) * jnp.sum(jax.vmap(part)(sums), axis=0)


def _density(mixture, x):
    return jnp.exp(mixture.log_prob(x[None]))


def _ends(*mixtures):
    """The range that holds all but 2e-19 of every mixture."""
    means = jnp.concatenate([m.means[:, 0] for m in mixtures])
    scales = jnp.concatenate([jnp.sqrt(m.covariances()[:, 0, 0]) for m in mixtures])
    return jnp.min(means - _REACH * scales), jnp.max(means + _REACH * scales)
