r"""Factorisations of matrices whose derivatives are right where eigenvalues are equal.

The derivative of \(S = U \operatorname{diag}(l) U^T\) with \(P = U^T\,dS\,U\) is
\(dl_i = P_{ii}\) and \(dU = U (F \circ P)\), \(F_{ij} = 1/(l_j - l_i)\), and that of a
function of the matrix then has the divided differences \((f(l_j) - f(l_i))/(l_j - l_i)\).
Where two eigenvalues are equal these are 0/0, and JAX gives NaN.

Here *the derivative* is taken where they are a root of the rounding apart, relative to
themselves: 1.5e-8 in double precision. Gradients of functions of the matrix, as densities,
denoisers and posteriors are, are right to 1e-7 or so, and so are their values while they
are differentiated; values that are not differentiated are as they were. Those of a single
eigenvector mean nothing where its eigenvalue is not simple, and second derivatives are
only right where eigenvalues are apart. Equal eigenvalues of zero are not split.

LAPACK is used here: where a problem is built, never inside a loop.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._types import Matrix


@jax.custom_jvp
def eigh(matrix: Matrix) -> tuple[Float[Array, " d"], Matrix]:
    """Eigenvalues (d,), increasing, and vectors (d, d) of a covariance (d, d)."""
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


@eigh.defjvp
def _(primals, tangents):
    values, vectors = eigh(*primals)
    values = apart(values)
    turned = symmetric(tangents[0]) @ vectors
    return (values, vectors), eigen_slopes(vectors, values, turned)


def apart(values: Float[Array, " r"]) -> Float[Array, " r"]:
    """Increasing values (r,), not negative, a root of the rounding apart in relation."""
    steps = jnp.arange(values.shape[0], dtype=values.dtype)
    growth = (1.0 + jnp.sqrt(jnp.finfo(values.dtype).eps)) ** steps
    return jnp.maximum(values, jax.lax.cummax(values / growth) * growth)


def eigen_slopes(vectors: Float[Array, "d r"], values, turned, beyond=None):
    """Derivatives of eigenvalues (r,) and vectors (d, r), as the module has them.

    Args:
        vectors: (d, r), orthonormal.
        values: (r,), apart.
        turned: (d, r), the change of the matrix times the vectors.
        beyond: () eigenvalue of all vectors beyond the r, if r < d.
    """
    inside = vectors.T @ turned
    slopes = vectors @ (_inverse_gaps(values) * inside)
    if vectors.shape[1] < vectors.shape[0]:
        outside = turned - vectors @ inside
        slopes = slopes + outside * inverse(values - beyond)[None]
    return jnp.diagonal(inside), slopes


def symmetric(matrix: Matrix) -> Matrix:
    """The symmetric part: of a change of a covariance it is all.

    In reverse mode the rest is large beside it, and would be what is left of a difference.
    """
    return 0.5 * (matrix + matrix.T)


def _inverse_gaps(values):
    """1 / (value_j - value_i), and 0 on the diagonal and between values of zero, (r, r)."""
    gaps = values[None] - values[:, None]
    return jnp.where(jnp.eye(values.shape[0], dtype=bool), 0.0, inverse(gaps))


def inverse(gaps: Array) -> Array:
    """1 / gaps (...), and 0 where there is none."""
    return jnp.where(gaps == 0, 0.0, 1.0 / jnp.where(gaps == 0, 1.0, gaps))


@jax.custom_jvp
def svd(matrix: Float[Array, "m n"]) -> tuple[Array, Array, Array]:
    """Left vectors (m, k), values (k,) from the largest, and right (k, n), k = min(m, n).

    Values that are rounding are 0.
    """
    left, values, right = jnp.linalg.svd(matrix, full_matrices=False)
    rounding = max(matrix.shape) * jnp.finfo(matrix.dtype).eps * values[:1]
    return left, jnp.where(values > rounding, values, 0.0), right


@svd.defjvp
def _(primals, tangents):
    left, values, right = svd(*primals)
    values = apart(values[::-1])[::-1]
    (change,), right = tangents, right.T
    inside = left.T @ change @ right
    gaps = _inverse_gaps(values) * inverse(values[None] + values[:, None])
    scaled, turned = inside * values[None], values[:, None] * inside
    shares = inverse(values)[None]
    left_slope = left @ (gaps * (scaled + scaled.T))
    left_slope += (change @ right - left @ inside) * shares
    right_slope = right @ (gaps * (turned + turned.T))
    right_slope += (change.T @ left - right @ inside.T) * shares
    slopes = left_slope, jnp.diagonal(inside), right_slope.T
    return (left, values, right.T), slopes


@jax.custom_jvp
def root(matrix: Matrix) -> Matrix:
    r"""Symmetric square root; eigenvalues that rounding made negative count as zero.

    Its derivative is exact also where eigenvalues are equal: the divided differences of
    the root are \(1/(\sqrt{\lambda_i} + \sqrt{\lambda_j})\).
    """
    values, vectors = jnp.linalg.eigh(matrix)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None]) @ vectors.T


@root.defjvp
def _(primals, tangents):
    values, vectors = jnp.linalg.eigh(*primals)
    scales = jnp.sqrt(jnp.maximum(values, 0.0))
    inside = vectors.T @ tangents[0] @ vectors
    slope = vectors @ (inverse(scales[:, None] + scales[None]) * inside) @ vectors.T
    return (vectors * scales[None]) @ vectors.T, slope
