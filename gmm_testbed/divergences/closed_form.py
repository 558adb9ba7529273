r"""Divergences between two Gaussians \(q = N(m_q, S_q)\) and \(p = N(m_p, S_p)\).

Every function takes `mean_q, covariance_q, mean_p, covariance_p`, shapes (d,) and
(d, d), and returns a scalar (). The formulas factor matrices, so they belong on the
host, once a result, never inside a loop over steps or particles.

Covariances must be positive definite, except in `w2_squared` and `w2`, where
semi-definite ones (a point mass, say) are as good. A matrix that is not definite gives
NaN.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, ArrayLike, Real

from .._checks import check_shape, concrete, floating, require, scalar, vector
from .._decompositions import root
from .._types import Matrix, Scalar, Vector

_NEAR = 0.5  # of a ratio of variances from one
_TERMS = 16  # of a series in 1/9 at most: to 1e-17


def kl(
    mean_q: Vector, covariance_q: Matrix, mean_p: Vector, covariance_p: Matrix
) -> Scalar:
    r"""Kullback-Leibler divergence KL(q || p), in nats.

    \[ \tfrac12 \sum_i (\lambda_i - 1 - \log\lambda_i)
       + \tfrac12 \|m_q - m_p\|^2_{S_p^{-1}} . \]

    \(\lambda_i\) are the eigenvalues of \(S_p^{-1} S_q\), and \(\lambda_i - 1\) those of
    \(S_p^{-1} (S_q - S_p)\), from which each term is had where it is small: nearly equal
    Gaussians lose no digits.
    """
    mean_q, covariance_q, mean_p, covariance_p = _checked(
        mean_q, covariance_q, mean_p, covariance_p
    )
    factor = jnp.linalg.cholesky(covariance_p)
    ratios = jnp.linalg.eigvalsh(_whitened(factor, covariance_q))
    gaps = jnp.linalg.eigvalsh(_whitened(factor, covariance_q - covariance_p))
    near = jnp.abs(gaps) < _NEAR
    far = jnp.where(near, 1.0, ratios)
    terms = jnp.where(near, _beyond_log(gaps), far - 1.0 - jnp.log(far))
    shift = _solve_lower(factor, mean_q - mean_p)
    return 0.5 * (jnp.sum(terms) + shift @ shift)


def renyi(
    mean_q: Vector,
    covariance_q: Matrix,
    mean_p: Vector,
    covariance_p: Matrix,
    order: Real[ArrayLike, ""],
) -> Scalar:
    r"""Rényi divergence \(\frac{1}{a-1} \log \int q^a p^{1-a}\) of order a > 0, not 1.

    With \(S = a S_p + (1-a) S_q\), which must be positive definite for a finite value,

    \[ \tfrac a2 \|m_q - m_p\|^2_{S^{-1}}
       - \tfrac{1}{2(a-1)} \log \frac{|S|}{|S_q|^{1-a} |S_p|^a} . \]

    Infinite where S is not positive definite. At order 1 use `kl`, its limit.
    Source: Gil, Alajaji and Linder, Information Sciences 249 (2013), 124-131.

    Raises:
        InputError: if the order is not positive, or is 1.
    """
    mean_q, covariance_q, mean_p, covariance_p = _checked(
        mean_q, covariance_q, mean_p, covariance_p
    )
    order = scalar(order, "order").astype(mean_q.dtype)
    require(
        not concrete(order) or (float(order) > 0 and float(order) != 1),
        "no Rényi divergence of this order",
        got=f"order {order}",
        expected="a positive order other than 1",
        hint="the limit at order 1 is kl",
    )
    factor = jnp.linalg.cholesky(covariance_p)
    # In coordinates that turn S_p into the identity and S_q into diag(ratios).
    ratios = jnp.linalg.eigvalsh(_whitened(factor, covariance_q))
    change = _whitened(factor, covariance_q - covariance_p)
    gaps = jnp.linalg.eigvalsh(change)
    leans = (1.0 - order) * gaps
    near = (jnp.abs(gaps) < _NEAR) & (jnp.abs(leans) < _NEAR)
    blend = jnp.where(near, 1.0 + leans, order + (1.0 - order) * ratios)
    shift = _solve_lower(factor, mean_q - mean_p)
    whole = jnp.eye(shift.shape[0], dtype=shift.dtype) + (1.0 - order) * change
    square = shift @ jnp.linalg.solve(whole, shift)
    volumes = jnp.log(blend) - (1.0 - order) * jnp.log(ratios)
    # log(1 + leans) - (1 - a) log(1 + gaps), of which the first order cancels.
    small = (1.0 - order) * _beyond_log(gaps) - _beyond_log(leans)
    log_volume = jnp.sum(jnp.where(near, small, volumes))
    value = 0.5 * (order * square - log_volume / (order - 1.0))
    return jnp.where(jnp.any(blend <= 0), jnp.inf, value)


def hellinger(
    mean_q: Vector, covariance_q: Matrix, mean_p: Vector, covariance_p: Matrix
) -> Scalar:
    r"""\(H = (1 - \int \sqrt{q p})^{1/2}\), in [0, 1]; \(H^2 \le TV \le \sqrt2 H\).

    \(-\log \int \sqrt{qp}\) is half the Rényi divergence of order one half.
    """
    half = renyi(mean_q, covariance_q, mean_p, covariance_p, 0.5)
    return jnp.sqrt(-jnp.expm1(-0.5 * half))


def fisher(
    mean_q: Vector, covariance_q: Matrix, mean_p: Vector, covariance_p: Matrix
) -> Scalar:
    r"""\(FI(q\|p) = E_q \|\nabla \log (q/p)\|^2\), in units of one over length squared.

    With \(D = S_p^{-1} - S_q^{-1} = S_p^{-1} (S_q - S_p) S_q^{-1}\):
    \(\operatorname{tr}(D S_q D) + \|S_p^{-1}(m_q - m_p)\|^2\).
    """
    mean_q, covariance_q, mean_p, covariance_p = _checked(
        mean_q, covariance_q, mean_p, covariance_p
    )
    half = jnp.linalg.solve(covariance_p, covariance_q - covariance_p)
    difference = jnp.linalg.solve(covariance_q, half.T).T
    pull = jnp.linalg.solve(covariance_p, mean_q - mean_p)
    return jnp.sum((difference @ covariance_q) * difference) + pull @ pull


def w2_squared(
    mean_q: Vector, covariance_q: Matrix, mean_p: Vector, covariance_p: Matrix
) -> Scalar:
    r"""Squared Wasserstein-2 distance, in units of length squared.

    \[ \|m_q - m_p\|^2 + \min_{U^T U = I} \|S_q^{1/2} - S_p^{1/2} U\|_F^2 . \]

    The minimum is the squared Bures distance
    \(\operatorname{tr}(S_q + S_p - 2 (S_q^{1/2} S_p S_q^{1/2})^{1/2})\); as a norm it
    does not lose half of the digits for nearly equal covariances, as the trace does.
    Source: Bhatia, Jain and Lim, Expositiones Mathematicae 37 (2019), 165-191.
    """
    mean_q, covariance_q, mean_p, covariance_p = _checked(
        mean_q, covariance_q, mean_p, covariance_p
    )
    root_q, root_p = root(covariance_q), root(covariance_p)
    left, _, right = jnp.linalg.svd(jax.lax.stop_gradient(root_p @ root_q))
    # The turn is the best one, so that the distance does not change with it.
    bures = jnp.sum((root_q - root_p @ (left @ right)) ** 2)
    return jnp.sum((mean_q - mean_p) ** 2) + bures


def w2(
    mean_q: Vector, covariance_q: Matrix, mean_p: Vector, covariance_p: Matrix
) -> Scalar:
    """Wasserstein-2 distance, a length: the root of `w2_squared`."""
    return jnp.sqrt(w2_squared(mean_q, covariance_q, mean_p, covariance_p))


def tv(
    mean_q: Vector, covariance_q: Matrix, mean_p: Vector, covariance_p: Matrix
) -> Scalar:
    r"""Total variation \(\tfrac12 \int |q - p|\) on the line, exact, in [0, 1].

    Two normal densities cross where a quadratic vanishes. Between its roots
    \(r_1, r_2\) the sign of q - p is one and outside it is the other, so
    \(TV = |G(r_2) - G(r_1)|\), G the difference of the distribution functions. With
    equal variances one root is at infinity.

    Raises:
        InputError: if d is not 1.
    """
    mean_q, covariance_q, mean_p, covariance_p = _checked(
        mean_q, covariance_q, mean_p, covariance_p
    )
    require(
        mean_q.shape == (1,),
        "no closed form for the total variation beyond the line",
        got=f"dimension {mean_q.shape[0]}",
        expected="dimension 1",
        hint="in the plane use divergences.tv of a PlaneDensity",
    )
    centre_q, centre_p = mean_q[0], mean_p[0]
    scale_q, scale_p = jnp.sqrt(covariance_q[0, 0]), jnp.sqrt(covariance_p[0, 0])
    # 2 log(q/p) = a z^2 + 2 b z + c with z = (x - m_q) / s_q.
    ratio, shift = scale_q / scale_p, (centre_q - centre_p) / scale_p
    a, b = (ratio - 1.0) * (ratio + 1.0), ratio * shift
    c = shift**2 - 2.0 * jnp.log(ratio)
    root = jnp.sqrt(shift**2 + 2.0 * a * jnp.log(ratio))  # of b^2 - a c, never negative
    pivot = -(b + jnp.where(b < 0, -root, root))
    equal = pivot == 0
    pivot = jnp.where(equal, 1.0, pivot)
    steep = jnp.where(a == 0, jnp.inf, pivot / jnp.where(a == 0, 1.0, a))

    def difference(z):
        return ndtr(z) - ndtr(ratio * z + shift)

    gap = jnp.abs(difference(steep) - difference(c / pivot))
    return jnp.where(equal, 0.0, gap)


def _beyond_log(x: Array) -> Array:
    r"""\(x - \log(1 + x)\) for \(|x| < 1/2\), to its own digits.

    With \(r = x/(2 + x)\) it is \(x r - 2 r (r^2/3 + r^4/5 + \dots)\).
    """
    x = jnp.where(jnp.abs(x) < _NEAR, x, 0.0)
    r = x / (2.0 + x)
    square, series = r**2, jnp.zeros_like(r)
    for k in range(_TERMS, 0, -1):
        series = square * (series + 1.0 / (2 * k + 1))
    return x * r - 2.0 * r * series


def _checked(mean_q, covariance_q, mean_p, covariance_p) -> tuple[Array, ...]:
    """The means (d,) and covariances (d, d) as arrays, once they fit."""
    mean_q = vector(mean_q, "mean_q")
    dim = mean_q.shape[0]
    mean_p = vector(mean_p, "mean_p", dim)
    covariances = floating(covariance_q), floating(covariance_p)
    for name, given in zip(("covariance_q", "covariance_p"), covariances, strict=True):
        hint = "variances alone are jnp.diag(variances)"
        check_shape(given, (dim, dim), name, hint)
    return mean_q, covariances[0], mean_p, covariances[1]


def _whitened(factor: Matrix, covariance: Matrix) -> Matrix:
    """L^{-1} S L^{-T} for a lower factor L."""
    half = _solve_lower(factor, covariance)
    return _solve_lower(factor, half.T)


def _solve_lower(factor: Matrix, right: Array) -> Array:
    return jax.scipy.linalg.solve_triangular(factor, right, lower=True)
