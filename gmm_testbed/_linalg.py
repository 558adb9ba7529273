r"""Small dense linear algebra without LAPACK, for everything that runs per step.

A LAPACK call inside a loop over steps or particles is slow, and with jaxlib 0.10 on few
cores it can deadlock beside a large matrix product. The systems here are small
(\(m \times m\), the number of measurements), so a column-by-column Cholesky is enough.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_UNROLLED = 8  # columns; above this a loop keeps compilation short


def cholesky(matrix: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """Lower Cholesky factor of a positive definite matrix (NaN if it is not one)."""
    size = matrix.shape[0]
    rows = jnp.arange(size)

    def column(j, carry):
        factor, rest = carry
        scaled = jnp.where(rows >= j, rest[:, j] / jnp.sqrt(rest[j, j]), 0.0)
        return factor.at[:, j].set(scaled), rest - jnp.outer(scaled, scaled)

    return _loop(size, column, (jnp.zeros_like(matrix), matrix))[0]


def solve_lower(factor: Float[Array, "m m"], vector: Float[Array, " m"]) -> Array:
    """`factor^{-1} vector` for a lower triangular factor."""

    def row(j, carry):
        solution, rest = carry
        entry = rest[j] / factor[j, j]
        return solution.at[j].set(entry), rest - entry * factor[:, j]

    return _loop(vector.shape[0], row, (jnp.zeros_like(vector), vector))[0]


def solve_upper(factor: Float[Array, "m m"], vector: Float[Array, " m"]) -> Array:
    """`factor^{-T} vector` for a lower triangular factor."""
    return solve_lower(factor.T[::-1, ::-1], vector[::-1])[::-1]


def solve(factor: Float[Array, "m m"], vector: Float[Array, " m"]) -> Array:
    """`(factor factor^T)^{-1} vector`."""
    return solve_upper(factor, solve_lower(factor, vector))


def log_det(factor: Float[Array, "m m"]) -> Float[Array, ""]:
    """`log det(factor factor^T)`."""
    return 2.0 * jnp.sum(jnp.log(jnp.diagonal(factor)))


def log_det_of_one_plus(matrix: Float[Array, "m m"]) -> Float[Array, ""]:
    """`log det(I + matrix)`, matrix semi-definite and small or large, to its own digits."""
    size = matrix.shape[0]

    def column(j, carry):
        rest, total = carry
        pivot = rest[j, j]
        rest = rest - jnp.outer(rest[:, j], rest[j] / (1.0 + pivot))
        return rest, total + jnp.log1p(pivot)

    return _loop(size, column, (matrix, jnp.zeros((), matrix.dtype)))[1]


def sign_and_log_det(matrix: Float[Array, "m m"]) -> tuple[Array, Array]:
    """Sign and log of the absolute value of a determinant, by rows with pivots."""
    size = matrix.shape[0]
    rows = jnp.arange(size)

    def column(j, carry):
        rest, sign, total = carry
        pivot = jnp.argmax(jnp.where(rows >= j, jnp.abs(rest[:, j]), -1.0))
        row = rest[pivot]
        rest = rest.at[pivot].set(rest[j]).at[j].set(row)
        factors = jnp.where(rows > j, rest[:, j] / row[j], 0.0)
        flip = jnp.where(pivot == j, 1.0, -1.0).astype(rest.dtype)
        total = total + jnp.log(jnp.abs(row[j]))
        return rest - jnp.outer(factors, row), sign * flip * jnp.sign(row[j]), total

    one = jnp.ones((), matrix.dtype)
    return _loop(size, column, (matrix, one, jnp.zeros_like(one)))[1:]


def _loop(size, body, carry):
    if size <= _UNROLLED:
        for j in range(size):
            carry = body(j, carry)
        return carry
    return jax.lax.fori_loop(0, size, body, carry)
