r"""What the methods of this folder share: conditioning a Gaussian on the measurement."""

from .._types import Scalar, Vector
from ..gaussian import Gaussian, Spectral
from ..problem import InverseProblem


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
