r"""Distribution function, quantiles and partial moments of a mixture on the line.

Each takes a `GaussianMixture` of dimension 1 and one number (); callers `vmap`.
Components of zero variance are atoms: the distribution function has a step there and is
continuous from the right, and the quantile picks the atom.
"""

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, logsumexp, ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from .._checks import check_real, check_shape, require
from .._types import Scalar
from ..mixture import GaussianMixture
from .curves import bisect


def mixture_cdf(mixture: GaussianMixture, x: Scalar) -> Scalar:
    r"""\(P(X \le x) = \sum_k w_k \Phi((x - \mu_k)/s_k)\); accurate in the left tail.

    Raises:
        InputError: if the mixture is not on the line (here and in all that follow).
    """
    return mixture_tail(mixture, x, 1.0)


def mixture_survival(mixture: GaussianMixture, x: Scalar) -> Scalar:
    r"""\(P(X > x)\), accurate in the right tail."""
    return mixture_tail(mixture, x, -1.0)


def mixture_tail(mixture: GaussianMixture, x: Scalar, side: Scalar | float) -> Scalar:
    """`mixture_cdf` for side 1, `mixture_survival` for side -1."""
    _check_number(x, "x")
    weights, means, scales = _components(mixture)
    return weights @ ndtr(side * _standardised(x, means, scales))


def mixture_log_outside(
    mixture: GaussianMixture, lower: Scalar, upper: Scalar
) -> Scalar:
    r"""\(\log P(X \notin [lower, upper])\), finite in the farthest tails."""
    _, means, scales = _components(mixture)
    return normal_log_outside(mixture.log_weights, means, scales, lower, upper)


def normal_log_outside(
    log_weights: Float[Array, " K"],
    means: Float[Array, " K"],
    scales: Float[Array, " K"],
    lower: Scalar,
    upper: Scalar,
) -> Scalar:
    """`mixture_log_outside` by the parameters of the components."""
    below = _standardised(lower, means, scales)
    above = _standardised(upper, means, scales)
    tails = jnp.concatenate([log_ndtr(below), log_ndtr(-above)])
    return logsumexp(jnp.tile(log_weights, 2) + tails)


def mixture_quantile(mixture: GaussianMixture, level: Scalar) -> Scalar:
    """The smallest x with P(X <= x) >= level; minus or plus infinity at levels 0 and 1.

    By bisection between the extreme quantiles of the components. A mixture of atoms has
    its first and last atom at levels 0 and 1.
    """
    _check_number(level, "level")
    _, means, scales = _components(mixture)
    spread = jnp.where(scales > 0, scales * ndtri(level), 0.0)
    quantiles = means + spread

    def reached(x):
        low_half = mixture_cdf(mixture, x) >= level
        return jnp.where(
            level < 0.5, low_half, mixture_survival(mixture, x) <= 1.0 - level
        )

    return bisect(reached, jnp.min(quantiles), jnp.max(quantiles))


def mixture_integrated_cdf(mixture: GaussianMixture, x: Scalar) -> Scalar:
    r"""\(\int_{-\infty}^x P(X \le s)\, ds = E (x - X)_+\) (C13)."""
    weights, means, scales = _components(mixture)
    z = _standardised(x, means, scales)
    return weights @ ((x - means) * ndtr(z) + scales * norm.pdf(z))


def mixture_integrated_survival(mixture: GaussianMixture, x: Scalar) -> Scalar:
    r"""\(\int_x^\infty P(X > s)\, ds = E (X - x)_+\)."""
    weights, means, scales = _components(mixture)
    z = _standardised(x, means, scales)
    return weights @ ((means - x) * ndtr(-z) + scales * norm.pdf(z))


def mixture_square_below(
    mixture: GaussianMixture, centre: Scalar, level: Scalar
) -> Scalar:
    r"""\(\int_0^{level} (centre - Q(v))^2 dv\), Q the quantile: the lowest mass.

    From the partial moments (C13); an atom at the end of the range counts in part.
    """
    weights, means, scales = _components(mixture)
    top = mixture_quantile(mixture, level)
    z = _standardised(top, means, scales)
    offset = means - centre
    below = (offset**2 + scales**2) * ndtr(z)
    edge = scales * (top - centre + offset) * norm.pdf(z)
    excess = mixture_cdf(mixture, top) - level
    return weights @ (below - edge) - excess * (top - centre) ** 2


def mixture_square_above(
    mixture: GaussianMixture, centre: Scalar, level: Scalar
) -> Scalar:
    """As `mixture_square_below`, for the highest `level` of the mass."""
    mirrored = eqx.tree_at(lambda law: law.means, mixture, -mixture.means)
    return mixture_square_below(mirrored, -centre, level)


def _check_number(value, what: str) -> None:
    """Refuses what would broadcast with the components."""
    check_real(value, what)
    check_shape(value, (), what, "use jax.vmap for many values")


def _components(mixture):
    """Weights, means and standard deviations, each (K,)."""
    require(
        mixture.dim == 1,
        "this mixture is not on the line",
        got=f"dimension {mixture.dim}",
        expected="dimension 1",
        hint="project it: mixture.affine(direction[None])",
    )
    scales = jnp.sqrt(mixture.covariances()[:, 0, 0])
    return jnp.exp(mixture.log_weights), mixture.means[:, 0], scales


def _standardised(x, means, scales):
    """(x - mean) / scale, (K,); infinite beside an atom."""
    spread = scales > 0
    beside = jnp.where(x >= means, jnp.inf, -jnp.inf)
    return jnp.where(spread, (x - means) / jnp.where(spread, scales, 1.0), beside)
