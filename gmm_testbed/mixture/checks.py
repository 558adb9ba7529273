"""What users get wrong when they build a mixture or a measurement."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array

from .._checks import (
    check_covariance,
    check_finite,
    concrete,
    floating,
    require,
    vector,
)


def merged(log_weights, atoms):
    """Equal atoms become one, with the sum of their weights (first occurrence order)."""
    host = np.asarray(atoms)
    _, first, inverse = np.unique(host, axis=0, return_index=True, return_inverse=True)
    if first.shape[0] == host.shape[0]:
        return log_weights, atoms
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.shape[0])
    totals = np.full(order.shape, -np.inf)
    label = rank[inverse.reshape(-1)]
    np.logaddexp.at(totals, label, np.asarray(log_weights, np.float64))
    log_merged = jnp.asarray(totals, log_weights.dtype)
    return log_merged - logsumexp(log_merged), atoms[np.sort(first)]


def weights_and_means(weights, means):
    """Log-weights (K,) and means (K, d) as arrays, once they fit.

    Raises:
        InputError: if shapes disagree, or the weights are not a distribution.
    """
    weights, means = floating(weights), floating(means)
    require(
        means.ndim == 2 and weights.shape == means.shape[:1] and means.size > 0,
        "weights and means do not match",
        got=f"weights {weights.shape}, means {means.shape}",
        expected="(K,) and (K, d)",
        hint="in one dimension write the means as a column: means[:, None]",
    )
    if concrete(weights):
        host = np.asarray(weights, np.float64)
        require(
            np.all(host >= 0),
            "a weight is negative" if np.all(np.isfinite(host)) else "a weight is NaN",
            got=f"smallest weight {host.min():.6g}",
            expected="non-negative weights",
            hint="weights are probabilities, not logarithms",
        )
        require(
            abs(host.sum() - 1.0) < 1e-6,
            "the weights do not sum to one",
            got=f"sum {host.sum():.9g}",
            expected="1 to within 1e-6",
            hint="divide them by their sum",
        )
    check_finite(means, "a mean")
    return _normalised(weights), means


@jax.jit
def _normalised(weights):
    """Logarithms of the weights, normalised: one program in place of six."""
    log_weights = _log(weights)
    return log_weights - logsumexp(log_weights)


@jax.custom_jvp
def _log(weights):
    """Logarithms of weights (K,), of which some may be zero.

    While they are differentiated a weight of zero is the root of the smallest number
    (1e-154 in double precision), whose share in anything is below rounding: 0 times the
    infinite slope of the logarithm would be NaN, and the derivative is often not zero, as
    that of log p(x), N_k(x) / p(x). Of first order only.
    """
    return jnp.log(weights)


@_log.defjvp
def _(primals, tangents):
    least = jnp.sqrt(jnp.finfo(primals[0].dtype).tiny)
    weights = jnp.where(primals[0] == 0, least, primals[0])
    return jnp.log(weights), tangents[0] / weights


def variances(values, shapes, what: str):
    """Positive variances in one of the allowed shapes."""
    values = floating(values)
    require(
        values.shape in shapes,
        f"{what} has the wrong shape",
        got=values.shape,
        expected=" or ".join(str(shape) for shape in shapes),
        hint="isotropic takes () or (K,), diagonal (K, d), full (K, d, d)",
    )
    require_positive(values, what)
    return values


def covariances(matrices, shape):
    """Positive semi-definite covariances (K, d, d) for means of shape (K, d)."""
    matrices = floating(matrices)
    require(
        matrices.shape == (*shape, shape[1]),
        "covariances have the wrong shape",
        got=f"covariances {matrices.shape} with means {shape}",
        expected=str((*shape, shape[1])),
        hint="use GaussianMixture.diagonal for (K, d) variances",
    )
    check_covariance(matrices, "a component's covariance", definite=False)
    return matrices


def require_positive(variances, what: str) -> None:
    """Refuses variances that are known not to be positive and finite."""
    if concrete(variances):
        host = np.asarray(variances)
        require(
            np.all(host > 0) and np.all(np.isfinite(host)),
            f"{what} must be positive",
            got=f"smallest value {host.min():.6g}",
            expected="positive, finite variances",
            hint="for point masses use GaussianMixture.empirical",
        )


def require_columns(A, dim: int) -> None:
    """Refuses an A that is not (m, d)."""
    require(
        A.ndim == 2 and A.shape[1] == dim,
        "A does not fit the mixture",
        got=f"A {A.shape} for a mixture in dimension {dim}",
        expected=f"(m, {dim})",
        hint="A maps x (d,) to y (m,); transpose it, or write a row vector as A[None]",
    )
    check_finite(A, "A")


def offset(b, rows: int) -> Array:
    """The offset b (m,) of a map to m = `rows` dimensions."""
    b = floating(b)
    require(
        b.shape == (rows,),
        "b does not fit A",
        got=f"b {b.shape} for {rows} rows of A",
        expected=f"({rows},)",
        hint="b is an offset of the measurement, one entry a row of A",
    )
    check_finite(b, "b")
    return b


def check_noise(R: Array, rows: int, *, definite: bool = True) -> None:
    """Refuses a noise covariance of the wrong shape, or a singular one if `definite`."""
    require(
        R.shape in ((), (rows,), (rows, rows)),
        "R has the wrong shape",
        got=f"R {R.shape} for {rows} measurements",
        expected=f"a variance (), variances ({rows},) or a covariance ({rows}, {rows})",
        hint="R holds variances, not standard deviations",
    )
    if R.ndim == 2:
        check_covariance(R, "the noise covariance R", definite=definite)
    elif definite:
        require_positive(R, "the noise covariance R (singular otherwise)")
    elif concrete(R):
        host = np.asarray(R)
        require(
            np.all(host >= 0) and np.all(np.isfinite(host)),
            "the noise covariance R is negative or not finite",
            got=f"smallest value {host.min():.6g}",
            expected="finite variances, zero or positive",
            hint="check the sign: these are variances, not scales",
        )


def point(x, dim: int) -> Array:
    """One point (d,) as an array; refuses anything else."""
    return vector(x, "x", dim)


def scales(alpha, sigma) -> tuple[Array, Array]:
    """The scales of one noised law as arrays ()."""
    alpha, sigma = floating(alpha), floating(sigma)
    require(
        alpha.shape == () and sigma.shape == (),
        "the scales of a noised law are not scalars",
        got=f"alpha {alpha.shape}, sigma {sigma.shape}",
        expected="() and ()",
        hint="use jax.vmap for many noise levels",
    )
    return alpha, sigma


def check_density(atomic: bool, base: Array, spectrum: Array, dim: int) -> None:
    """Refuses atoms and, where they are known, singular covariances."""
    hint = "use mixture.noised(alpha, sigma), or target.marginal(t) with t > 0"
    require(
        not atomic,
        "a mixture of atoms has no density",
        got="log_prob, score or responsibilities of an empirical mixture",
        expected="a noised law, sigma > 0",
        hint=hint,
    )
    # The base has no meaning where the basis is complete.
    for variances in (spectrum,) if spectrum.shape[1] == dim else (base, spectrum):
        require(
            not concrete(variances) or np.all(np.asarray(variances) != 0),
            "a component with a singular covariance has no density",
            got="variance 0 in some direction",
            expected="positive definite covariances",
            hint=hint,
        )
