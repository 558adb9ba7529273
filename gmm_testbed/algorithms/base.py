r"""What linear methods share: the measurement in the singular vectors of A."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Scalar, Vector
from ..gaussian import Gaussian, Spectral
from ..problem import InverseProblem, Target


def conjugate(problem: InverseProblem, centre: Vector, variance: Scalar) -> Gaussian:
    r"""\(N(x; c, v I)\, N(y; A x, R)\), normalised, in the singular vectors of A.

    With \(R^{-1/2} A = \sum_i s_i u_i v_i^T\) the precision is \(1/v + s_i^2\) along
    \(v_i\) and \(1/v\) elsewhere, so nothing is solved.

    Args:
        problem: with a linear measurement.
        centre: c, (d,).
        variance: v >= 0, ().
    """
    seen, y = problem.measurement, problem.y
    singular, right = seen.singular, seen.right
    shrunk = variance / (1.0 + variance * singular**2)
    residual = seen.left.T @ (y - seen.apply(centre))
    mean = centre + right.T @ (shrunk * singular * residual)
    return Gaussian(mean, Spectral(variance, right.T, shrunk))


class Coordinates(NamedTuple):
    """The measurement in the singular vectors of the whitened A.

    Attributes:
        basis: (d, k), right singular vectors.
        singular: (k,), 0 where nothing is measured.
        observed: (k,), the observation in units of the noise.
        exact: (k,), what of x0 an observation without noise would say; 0 where nothing
            is measured.
    """

    basis: Float[Array, "d k"]
    singular: Float[Array, " k"]
    observed: Float[Array, " k"]
    exact: Float[Array, " k"]


def coordinates(target: Target) -> Coordinates:
    """The linear measurement of a target in singular vectors."""
    seen, y = target.problem.measurement, target.problem.y
    observed = seen.left.T @ (y - seen.b)
    measured = seen.singular > 0
    exact = jnp.where(measured, observed / jnp.where(measured, seen.singular, 1.0), 0.0)
    return Coordinates(seen.right.T, seen.singular, observed, exact)
