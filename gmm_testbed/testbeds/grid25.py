r"""The 25-mode mixture of published benchmarks, in any even dimension.

\[ p(x_0) = \tfrac1{25} \sum_{i,j=-2}^{2} N\big((8i, 8j, 8i, 8j, \dots), I_d\big), \qquad
   y = A x_0 + \sigma_y \varepsilon , \]

\(A = U \operatorname{diag}(s) V^T\) with the singular vectors of a Gaussian matrix and s
uniform on [0, 1], sorted. The means lie in a plane, so that everything happens in the span
of that plane and the rows of A, of dimension m + 2 at most; beyond it the prior, the
posterior and every sampler that is guided by A are isotropic Gaussians.
Sources: Cardoso et al., ICLR 2024, arXiv:2308.07983 (the mixture and the operator); Boys
et al., TMLR 2024, arXiv:2310.06721 (the path and the noise levels).
"""

import numpy as np

from .._checks import require
from ..mixture import GaussianMixture
from ..paths import VP
from ..problem import InverseProblem, Linear, Target

SIDE, SPACING = 5, 8.0


def grid25(
    dim: int, num_measurements: int, noise: float, seed: int, *, frame=None
) -> Target:
    """One random problem, along VP with beta from 0.1 to 25.

    The same seed, dimension and number of measurements give the same operator, truth and
    standard normal noise for every noise level.

    Args:
        dim: d, even.
        num_measurements: m, from 1 to d.
        noise: standard deviation of the noise, positive.
        seed: of the operator, the truth and the noise.
        frame: None, or (d, r) orthonormal columns that span the means and the rows of A,
            as `grid25_frame` gives: the problem in their r coordinates.

    Raises:
        InputError: if d is odd, or m is not between 1 and d.
    """
    prior_means, A, y = _drawn(dim, num_measurements, noise, seed)
    if frame is not None:
        prior_means, A = prior_means @ frame, A @ frame
    count = len(prior_means)
    prior = GaussianMixture.isotropic(np.full(count, 1.0 / count), prior_means, 1.0)
    problem = InverseProblem(prior, Linear(A, noise**2), y)
    return Target(problem, VP(beta_min=0.1, beta_max=25.0))


def grid25_frame(dim: int, num_measurements: int, seed: int) -> np.ndarray:
    """Orthonormal columns (d, r) that span the means and the rows of A, r = min(m + 2, d).

    Raises:
        InputError: as `grid25`.
    """
    A = _drawn(dim, num_measurements, 1.0, seed)[1]
    plane = _plane(dim) / np.sqrt(dim / 2)
    rows = np.linalg.svd(A, full_matrices=False)[2]
    if num_measurements + 2 > dim:
        return np.eye(dim)
    return np.linalg.qr(np.concatenate([plane, rows.T], axis=1))[0]


def _plane(dim):
    """Columns (1, 0, 1, 0, ...) and (0, 1, 0, 1, ...), (d, 2)."""
    return np.tile(np.eye(2), (dim // 2, 1))


def _drawn(dim, num_measurements, noise, seed):
    """Means (25, d), operator (m, d) and observation (m,)."""
    require(
        dim % 2 == 0 and 1 <= num_measurements <= dim,
        "no such problem of the 25-mode mixture",
        got=f"dim {dim}, num_measurements {num_measurements}",
        expected="an even dimension, and from 1 to dim measurements",
        hint="the published ones have dim 8, 80 or 800 and 1, 2 or 4 measurements",
    )
    rng = np.random.default_rng([seed, dim, num_measurements])
    steps = SPACING * (np.arange(SIDE) - SIDE // 2)
    corners = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    means = corners @ _plane(dim).T
    left, _, right = np.linalg.svd(
        rng.standard_normal((num_measurements, dim)), full_matrices=False
    )
    A = left @ (np.sort(rng.uniform(size=num_measurements))[::-1, None] * right)
    truth = means[rng.integers(len(means))] + rng.standard_normal(dim)
    return means, A, A @ truth + noise * rng.standard_normal(num_measurements)
