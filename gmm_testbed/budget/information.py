r"""Information of a mixture seen through noise: \(\sqrt{s}\, X + \varepsilon\), s the SNR.

Every path has this channel at \(s = \alpha^2/\sigma^2\), where

\[ mmse(s) = E \operatorname{tr} \operatorname{Cov}[X | \sqrt s X + \varepsilon], \qquad
   \frac{dI}{ds} = \tfrac12 mmse(s), \qquad
   \frac{d\,mmse}{ds} = - E \| \operatorname{Cov}[X | \sqrt s X + \varepsilon] \|_F^2 . \]

Exact by quadrature on the line and in closed form for one Gaussian; elsewhere means over
samples, with standard errors. Source: Guo, Shamai and Verdu, IEEE Trans. Inf. Theory 51
(2005), 1261-1282; the second derivative: Payaro and Palomar, ibid. 55 (2009), 3613-3628.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from .._checks import floating, require, unsupported
from .._types import Key, Scalar, Vector
from ..densities.base import over_points
from ..divergences import line_rule
from ..estimate import Estimate
from ..mixture import GaussianMixture, components

_FEW = 16  # components
_BLOCK = 8  # noise levels of a compiled program, which serves any number of them


class Rule(NamedTuple):
    """Points (n, d) and weights (n,) of an expectation.

    Rules of one mixture at two noise levels have the same weights, and points that
    belong together: differences over them have little noise.
    """

    points: Float[Array, "n d"]
    weights: Float[Array, " n"]


def exact_rule(law: GaussianMixture) -> Rule:
    """`line_rule` in d = 1, `gaussian_rule` for one Gaussian.

    With many components their grids overlap, and fewer nodes a component are as good:
    with the 400 of the problem "square" twelve digits agree.
    """
    if law.dim > 1:
        return gaussian_rule(law)
    return Rule(*line_rule(law, 201 if law.num_components <= _FEW else 61))


def gaussian_rule(law: GaussianMixture) -> Rule:
    r"""The 2 d points \(\mu \pm \sqrt d\, \Sigma^{1/2} e_i\) of one Gaussian.

    Exact for quadratic functions. The root is the symmetric one.
    """
    dim, dtype = law.dim, law.means.dtype
    axes = jnp.sqrt(jnp.asarray(dim, dtype)) * jnp.eye(dim, dtype=dtype)
    basis = law.basis[0]
    offsets = jax.vmap(
        lambda axis: components.apply(
            axis, jnp.sqrt(law.base[0]), basis, jnp.sqrt(law.spectrum[0])
        )
    )(axes)
    points = law.means[:1] + jnp.concatenate([offsets, -offsets])
    return Rule(points, jnp.full(2 * dim, 0.5 / dim, dtype))


def sample_rule(law: GaussianMixture, key: Key, num: int) -> Rule:
    """`num` samples, the same draw at every noise level."""
    return Rule(law.sample(key, num), jnp.full(num, 1.0 / num, law.means.dtype))


def mmse(
    mixture: GaussianMixture,
    snr: Real[ArrayLike, "*shape"],
    key: Key | None = None,
    num: int = 4096,
) -> Estimate:
    r"""Least mean squared error of X given \(\sqrt s X + \varepsilon\), in X squared.

    Args:
        mixture: of X (d,).
        snr: \(s \ge 0\), of any shape.
        key: for samples, needed if d > 1 and there are several components.
        num: number of samples.

    Raises:
        InputError: if an SNR is negative.
        UnsupportedError: if samples are needed and there is no key.
    """
    return _expectation(mixture, snr, _variance, key, num)


def mmse_slope(
    mixture: GaussianMixture,
    snr: Real[ArrayLike, "*shape"],
    key: Key | None = None,
    num: int = 4096,
) -> Estimate:
    """Derivative of `mmse` in the SNR, not positive; arguments as there."""
    return -_expectation(mixture, snr, _variance_squared, key, num)


def mutual_information(
    mixture: GaussianMixture,
    snr: Real[ArrayLike, "*shape"],
    key: Key | None = None,
    num: int = 4096,
) -> Estimate:
    r"""I(X; \(\sqrt s X + \varepsilon\)) in nats, from the entropy; arguments as `mmse`."""
    entropy = _expectation(mixture, snr, _surprise, key, num)
    return entropy - 0.5 * mixture.dim * (components.LOG_2PI + 1.0)


def channel(mixture: GaussianMixture, snr: Scalar) -> GaussianMixture:
    r"""Law of \(\sqrt s X + \varepsilon\)."""
    return mixture.noised(jnp.sqrt(snr), jnp.ones((), mixture.means.dtype))


def conditional(mixture: GaussianMixture, x: Vector, snr: Scalar) -> GaussianMixture:
    r"""Law of X given \(\sqrt s X + \varepsilon = x\)."""
    return mixture.denoised(x, jnp.sqrt(snr), jnp.ones((), mixture.means.dtype))


def _variance(mixture, x, snr):
    return conditional(mixture, x, snr).total_variance()


def _variance_squared(mixture, x, snr):
    return jnp.sum(conditional(mixture, x, snr).covariance() ** 2)


def _surprise(mixture, x, snr):
    return -channel(mixture, snr).log_prob(x)


def _expectation(mixture, snr, function, key, num) -> Estimate:
    snr = floating(snr)
    require(
        bool(np.all(np.asarray(snr) >= 0)),
        "a signal-to-noise ratio is negative",
        got=f"snr down to {float(jnp.min(snr)):.6g}",
        expected="snr >= 0",
        hint="pass (alpha / sigma)^2, not its logarithm",
    )
    exact = mixture.dim == 1 or mixture.num_components == 1
    if exact:
        how, key = "quadrature" if mixture.dim == 1 else "closed form", None
    else:
        how = f"{num} samples"
        if key is None:
            unsupported(
                "this expectation needs samples",
                got=f"{mixture.num_components} components in d = {mixture.dim}, no key",
                expected="a key",
                hint="pass key=jax.random.key(0) and the number of samples",
            )
    levels = jnp.pad(snr.ravel(), (0, -snr.size % _BLOCK), mode="edge")
    blocks = [
        _over_levels(mixture, block, function, key, num)
        for block in levels.reshape(-1, _BLOCK)
    ]
    value, error = (
        jnp.concatenate(part)[: snr.size].reshape(snr.shape)
        for part in zip(*blocks, strict=True)
    )
    return Estimate(value, error, how, freedom=np.inf if exact else num - 1.0)


@eqx.filter_jit
def _over_levels(mixture, levels, function, key, num):
    def at(snr):
        law = channel(mixture, snr)
        rule = exact_rule(law) if key is None else sample_rule(law, key, num)
        values = over_points(lambda x: function(mixture, x, snr), rule.points)
        value = rule.weights @ values
        if key is None:
            return value, jnp.zeros_like(value)
        return value, jnp.std(values, ddof=1) / jnp.sqrt(jnp.asarray(num, value.dtype))

    return jax.lax.map(at, levels)
