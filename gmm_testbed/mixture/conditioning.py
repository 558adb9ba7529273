r"""One Gaussian component given a linear measurement, in factored form.

A component has covariance \(\Sigma = b\,(I - U U^T) + U \operatorname{diag}(\lambda) U^T\)
with orthonormal \(U\) of rank \(r\). In the basis \(Q\) that spans \(U\) and the rows of
the whitened operator \(\tilde A = L^{-1} A\) (noise covariance \(L L^T\)) it is diagonal,
\(\Sigma = Q \operatorname{diag}(\lambda) Q^T\) plus \(b\) outside, and the singular values
\(s\) of \(\tilde A Q \lambda^{1/2} = P s W^T\) give everything:

\[ \mu^y = \mu + Q \lambda^{1/2} W \frac{s}{1 + s^2} P^T (\tilde y - \tilde A \mu), \qquad
   \Sigma^y = F F^T, \quad F = Q \lambda^{1/2} W (1 + s^2)^{-1/2}. \]

The new spectrum is the square of the singular values of \(F\), so a posterior variance of
1e-10 beside one of order 1 keeps its relative accuracy; a difference of covariances would
lose it. LAPACK is used here, once, when a problem is built.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import check_finite, floating, require
from .._decompositions import apart, eigen_slopes, eigh, symmetric
from .._types import Scalar
from . import checks as inputs
from .components import LOG_2PI, each, matrix, spectral_form


class Whitened(NamedTuple):
    """A measurement in units of its noise: `A` (m, d), `y` (m,), `log_det` of L."""

    A: Float[Array, "m d"]
    y: Float[Array, " m"]
    log_det: Scalar


class Conditioned(NamedTuple):
    """A conditioned component; `log_evidence` is its log N(y; A mu, A Sigma A^T + R)."""

    log_evidence: Scalar
    mean: Float[Array, " d"]
    basis: Float[Array, "d q"]
    spectrum: Float[Array, " q"]


def noise_factor(R: Array, dim_y: int) -> Float[Array, "m m"]:
    """Lower Cholesky factor of R, given as variance (), variances (m,) or (m, m)."""
    if R.ndim == 2:
        return jnp.linalg.cholesky(R)
    return jnp.diag(jnp.broadcast_to(jnp.sqrt(R), (dim_y,)))


def noise_covariance(R: Array, dim_y: int) -> Float[Array, "m m"]:
    """R as a matrix; R is a variance (), variances (m,) or (m, m), as it is given."""
    return R if R.ndim == 2 else jnp.diag(jnp.broadcast_to(R, (dim_y,)))


def factorised(covariances: Float[Array, "K d d"]):
    """Base, basis and spectrum of positive semi-definite matrices.

    Rounding leaves the zero eigenvalue of a singular matrix on either side of zero: what
    is below d eps times the largest is zero.
    """
    spectrum, basis = jax.vmap(eigh)(covariances)
    rounding = spectrum.shape[1] * jnp.finfo(spectrum.dtype).eps * spectrum[:, -1:]
    spectrum = jnp.where(spectrum > rounding, spectrum, 0.0)
    zero = jnp.zeros_like(spectrum[:, 0])
    return spectral_form(spectrum, zero, basis, spectrum)


def whiten(A, R, y, dim: int) -> Whitened:
    """The measurement y = A x + N(0, R) in units of its noise.

    Raises:
        InputError: if shapes disagree or R is not positive definite.
    """
    A, R, y = floating(A), floating(R), floating(y)
    inputs.require_columns(A, dim)
    rows = A.shape[0]
    require(
        y.shape == (rows,),
        "y has the wrong shape",
        got=f"y {y.shape} with A {A.shape}",
        expected=f"({rows},), one entry a row of A",
        hint="wrap a scalar observation as [y]",
    )
    check_finite(y, "y")
    inputs.check_noise(R, rows)
    factor = noise_factor(R, rows)
    log_det = jnp.sum(jnp.log(jnp.diagonal(factor)))
    solve = jax.scipy.linalg.solve_triangular
    return Whitened(solve(factor, A, lower=True), solve(factor, y, lower=True), log_det)


def log_normal_whitened(residual: Float[Array, " m"], log_det: Scalar) -> Scalar:
    """log N(y; mean, L L^T) from the whitened residual L^{-1}(y - mean)."""
    return -0.5 * (residual.shape[0] * LOG_2PI + jnp.sum(residual**2)) - log_det


def components(means, base, basis, spectrum, seen: Whitened):
    """Conditions every component: log-evidences (K,), means, basis and spectrum."""
    if spectrum.shape[1] > 0:
        return each(
            lambda *component: condition(*component, seen), means, base, basis, spectrum
        )
    return conditioned_isotropic(means, base, seen)


@jax.custom_jvp
def conditioned_isotropic(means, variances, seen: Whitened):
    """The same of components N(mean, variance I), which then share one basis."""
    wide = seen.A.shape[0] <= seen.A.shape[1]  # then (d, d) is not needed
    svd = jnp.linalg.svd(seen.A, full_matrices=not wide)
    evidence, means, spectrum = jax.vmap(
        lambda mean, variance: condition_isotropic(mean, variance, svd, seen)
    )(means, variances)
    return evidence, means, svd[2][: spectrum.shape[1]].T[None], spectrum


@conditioned_isotropic.defjvp
def _(primals, tangents):
    evidence, means, basis, _ = conditioned_isotropic(*primals)
    (_, variances, seen), (_, slopes, moved) = primals, tangents
    vectors, A = basis[0], seen.A
    image = A @ vectors
    squares = jnp.sum(image**2, axis=0)
    # What the measurement does not see has no derivative of first order.
    rounding = (max(A.shape) * jnp.finfo(A.dtype).eps) ** 2 * jnp.max(squares)
    squares = apart(jnp.where(squares > rounding, squares, 0.0)[::-1])[::-1]
    turned = moved.A.T @ image + A.T @ (moved.A @ vectors)
    nothing = jnp.zeros((), A.dtype)
    steps, turned = eigen_slopes(vectors, squares, turned, nothing)

    def spectra(variances, squares):
        return variances[:, None] / (1.0 + variances[:, None] * squares[None])

    spectrum, slope = jax.jvp(spectra, (variances, squares), (slopes, steps))

    def updated(means, variances, seen):
        def one(mean, variance):
            joint = variance * seen.A.T
            return _updated(mean, joint, seen)[:2]

        return jax.vmap(one)(means, variances)

    found = jax.jvp(updated, primals, tangents)[1]
    return (evidence, means, basis, spectrum), (*found, turned[None], slope)


def _updated(mean, joint, seen: Whitened):
    """Log-evidence, mean and gain (d, m) given a measurement, without a factor of it.

    They are differentiated in place of what `condition` computes, which is more accurate.

    Args:
        mean: (d,), before.
        joint: (d, m), the covariance of x and A x.
        seen: the whitened measurement.
    """
    eye = jnp.eye(joint.shape[1], dtype=joint.dtype)
    factor = jnp.linalg.cholesky(eye + seen.A @ joint)
    residual = seen.y - seen.A @ mean
    half = jax.scipy.linalg.solve_triangular(factor, residual, lower=True)
    log_det = seen.log_det + jnp.sum(jnp.log(jnp.diagonal(factor)))
    gain = jax.scipy.linalg.cho_solve((factor, True), joint.T).T
    return log_normal_whitened(half, log_det), mean + gain @ residual, gain


def condition_isotropic(mean, variance, operator_svd, seen: Whitened):
    """Conditions N(mean, variance I): every component then shares one basis.

    Args:
        mean: (d,).
        variance: ().
        operator_svd: of seen.A, (m, m), (k,), and (k, d) or (d, d).
        seen: the whitened measurement.

    Returns:
        Log-evidence (), mean (d,), spectrum (k,) along the first k = min(m, d) right
        singular vectors.
    """
    left, singular, right = operator_svd
    rank = singular.shape[0]
    rotated = left.T @ (seen.y - seen.A @ mean)
    growth = 1.0 + variance * singular**2
    shift = variance * singular / growth * rotated[:rank]
    return (
        _log_evidence(rotated, growth, seen.log_det),
        mean + right[:rank].T @ shift,
        variance / growth,
    )


@jax.custom_jvp
def condition(mean, base, basis, spectrum, seen: Whitened) -> Conditioned:
    """Conditions one component of rank r >= 1; the new rank is min(r + m, d)."""
    rank = basis.shape[1]
    frame = _frame(basis, seen.A)
    size = frame.shape[1]
    scale = jnp.sqrt(
        jnp.concatenate([spectrum, jnp.broadcast_to(base, (size - rank,))])
    )
    left, singular, right = jnp.linalg.svd((seen.A @ frame) * scale[None, :])
    few = singular.shape[0]
    rotated = left.T @ (seen.y - seen.A @ mean)
    shift = right[:few].T @ (singular / (1.0 + singular**2) * rotated[:few])
    growth = jnp.ones(size, mean.dtype).at[:few].add(singular**2)
    factor = scale[:, None] * right.T / jnp.sqrt(growth)[None, :]
    rotation, root, _ = jnp.linalg.svd(factor)
    return Conditioned(
        _log_evidence(rotated, growth[:few], seen.log_det),
        mean + frame @ (scale * shift),
        frame @ rotation,
        root**2,
    )


@condition.defjvp
def _(primals, tangents):
    found = condition(*primals)
    base, (dim, rank) = primals[1], found.basis.shape

    def updated(mean, base, basis, spectrum, seen):
        before = matrix(mean, base, basis, spectrum)
        evidence, mean, gain = _updated(mean, before @ seen.A.T, seen)
        kept = jnp.eye(dim, dtype=mean.dtype) - gain @ seen.A
        return evidence, mean, kept @ before @ kept.T + gain @ gain.T  # Joseph's form

    evidence, mean, change = jax.jvp(updated, primals, tangents)[1]
    values = found.spectrum
    if rank < dim:  # there are directions of variance `base` too: away from it
        least = jnp.sqrt(jnp.finfo(values.dtype).eps)
        near = jnp.abs(values - base) < least * base
        values = jnp.where(near, base * (1.0 - (rank + 1) * least), values)
    values = apart(values[::-1])[::-1]
    turned = symmetric(change) @ found.basis
    slopes, turned = eigen_slopes(found.basis, values, turned, base)
    moved = Conditioned(evidence, mean, turned, slopes)
    return found._replace(spectrum=values), moved


def _frame(basis, operator):
    """Orthonormal columns: the basis, then what the measurement sees beyond it."""
    dim, rank = basis.shape
    if rank == dim:
        return basis
    if rank + operator.shape[0] < dim:
        columns = jnp.concatenate([basis, operator.T], axis=1)
        return jnp.concatenate([basis, jnp.linalg.qr(columns)[0][:, rank:]], axis=1)
    complete = jnp.linalg.qr(basis, mode="complete")[0]
    return jnp.concatenate([basis, complete[:, rank:]], axis=1)


def _log_evidence(rotated, growth, log_det):
    few = growth.shape[0]
    quadratic = jnp.sum(rotated[:few] ** 2 / growth) + jnp.sum(rotated[few:] ** 2)
    size = rotated.shape[0] * LOG_2PI + jnp.sum(jnp.log(growth))
    return -0.5 * (size + quadratic) - log_det
