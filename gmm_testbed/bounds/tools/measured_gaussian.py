r"""One Gaussian prior and a linear measurement, as measurements on the line.

Where one basis diagonalises the covariance of the prior and \(A^T R^{-1} A\), coordinate j
of \(x_0\) is \(N(m_j, s_j^2)\), independent of the others, and y says of it what
\(x_j + N(0, s_j^2/\kappa_j)\) does. A guided sampler moves each coordinate by itself, so
that divergences and squares of distances add up.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float, Real

from ..._checks import require
from ...laws import EigenProblem
from ...mixture import GaussianMixture
from ...paths import VP
from ...problem import InverseProblem, Linear, Target


class Lines(NamedTuple):
    """The coordinates that are measured.

    Attributes:
        variances: (k,) s_j^2, of the prior.
        kappas: (k,), positive: variance of the prior over that of the noise.
        widest: the largest posterior variance of all d coordinates.
        axes: (d, k), orthonormal columns.
    """

    variances: Float[np.ndarray, " k"]
    kappas: Float[np.ndarray, " k"]
    widest: float
    axes: Float[np.ndarray, "d k"]


def is_measured(A: Real[ArrayLike, "m d"], R: Real[ArrayLike, "m m"]) -> bool:
    """Whether the noise has a density, and y says something of x."""
    return bool(np.any(np.asarray(A) != 0.0) and has_inverse(R))


def has_inverse(R: Real[ArrayLike, "m m"]) -> bool:
    """Whether a covariance of noise is positive definite."""
    return bool(np.linalg.eigvalsh(np.asarray(R)).min() > 0.0)


def one_gaussian(prior: GaussianMixture) -> None:
    """Refuses mixtures.

    Raises:
        InputError: for more than one component.
    """
    require(
        prior.num_components == 1,
        "both sides of this theorem are computed for one Gaussian",
        got=f"{prior.num_components} components",
        expected="1",
        hint="the statement holds for mixtures; try the Gaussian of the same moments",
    )


def lines(
    prior: GaussianMixture, A: Real[ArrayLike, "m d"], R: Real[ArrayLike, "m m"]
) -> Lines:
    """The coordinates of one Gaussian in the basis that prior and measurement share.

    Args:
        prior: one Gaussian with a density.
        A: (m, d), not 0.
        R: (m, m) covariance of the noise.

    Raises:
        InputError: for more than one component.
        UnsupportedError: where the covariance does not commute with A^T R^-1 A.
    """
    one_gaussian(prior)
    problem = InverseProblem(prior, Linear(A, R), jnp.zeros(A.shape[0]))
    found = EigenProblem.of(Target(problem, VP()))
    variances, gains = np.asarray(found.variances), np.asarray(found.gains)
    kappas = gains**2 * variances / np.asarray(found.noise)
    widest = float(np.max(variances / (1.0 + kappas)))
    seen = kappas > 0.0
    axes = np.asarray(found.basis)[:, seen]
    return Lines(variances[seen], kappas[seen], widest, axes)
