r"""Problems on the line. All run along VP with beta from 0.01 to 20.

The first three are the testbeds of Burns & Fridovich-Keil (arXiv:2605.30330).
"""

import jax.numpy as jnp

from ..mixture import GaussianMixture
from ..paths import VP
from ..problem import InverseProblem, Linear, Target


def three_atoms() -> Target:
    """Three equal atoms at -1.8, 0.2, 2.2; y = x + N(0, 0.3^2) = -1.8."""
    prior = GaussianMixture.empirical([[-1.8], [0.2], [2.2]])
    return _on_vp(prior, Linear([[1.0]], 0.3**2), [-1.8])


def two_modes() -> Target:
    """Means -1, 1.5, variances 0.16, 0.36, weights 0.4, 0.6; y = x + N(0, 0.3^2) = 0.5."""
    prior = GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
    return _on_vp(prior, Linear([[1.0]], 0.3**2), [0.5])


def one_gaussian() -> Target:
    """Mean 0.5, variance 0.6; y = 1.2 x - 0.1 + N(0, 0.25^2) = 0.8."""
    prior = GaussianMixture.isotropic([1.0], [[0.5]], 0.6)
    return _on_vp(prior, Linear([[1.2]], 0.25**2, b=[-0.1]), [0.8])


def one_sided() -> Target:
    """Four separated modes, and an observation that leaves one: a unimodal posterior.

    Failures need neither a nonlinear measurement nor a multimodal posterior.
    """
    prior = GaussianMixture.isotropic(
        [0.35, 0.3, 0.2, 0.15], [[-2.4], [-0.7], [0.9], [2.6]], [0.05, 0.03, 0.06, 0.04]
    )
    return _on_vp(prior, Linear([[1.0]], 0.35**2), [0.95])


def gap() -> Target:
    """The prior of `one_sided`, and an observation between two of its modes: 0.1.

    Both stay likely (0.54 and 0.46) and the others are ruled out, while the likelihood is
    highest where the prior has nothing: every failure has room.
    """
    known = one_sided().problem
    return _on_vp(known.prior, known.measurement, [0.1])


def _on_vp(prior, measurement, y) -> Target:
    problem = InverseProblem(prior, measurement, jnp.asarray(y))
    return Target(problem, VP(beta_min=0.01, beta_max=20.0))
