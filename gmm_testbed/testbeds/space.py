r"""Problems in the plane and in ten dimensions, with full covariances and no symmetry."""

import jax.numpy as jnp
import numpy as np

from ..mixture import GaussianMixture
from ..paths import VP
from ..problem import InverseProblem, Linear, Target


def plane_modes() -> Target:
    """Three tilted modes in the plane, one oblique measurement: two modes stay likely."""
    prior = GaussianMixture.full(
        [0.5, 0.3, 0.2],
        [[-1.5, 0.6], [1.2, 1.1], [0.4, -1.6]],
        [
            [[0.20, 0.08], [0.08, 0.12]],
            [[0.10, -0.04], [-0.04, 0.25]],
            [[0.30, 0.05], [0.05, 0.08]],
        ],
    )
    return _on_vp(prior, Linear([[1.0, 0.5]], 0.3**2), [-0.5])


def plane_ring() -> Target:
    """Nine modes on an arc, unequal weights, both coordinates measured, noises apart."""
    angle = np.linspace(0.2, 1.7 * np.pi, 9)
    radius = np.linspace(1.0, 2.0, 9)
    means = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    weights = np.arange(1.0, 10.0)
    prior = GaussianMixture.isotropic(weights / weights.sum(), means, 0.04)
    measurement = Linear([[1.0, 0.2], [0.0, 1.0]], [0.4**2, 1.0**2])
    return _on_vp(prior, measurement, [0.3, 0.9])


def ten() -> Target:
    """Four components with full covariances in d = 10, three measurements."""
    rng = np.random.default_rng(20)
    means = 1.5 * rng.standard_normal((4, 10))
    factors = 0.35 * rng.standard_normal((4, 10, 10))
    covariances = factors @ np.swapaxes(factors, 1, 2) + 0.05 * np.eye(10)
    prior = GaussianMixture.full([0.4, 0.3, 0.2, 0.1], means, covariances)
    A = rng.standard_normal((3, 10)) / np.sqrt(10)
    R = np.array([[0.04, 0.01, 0.0], [0.01, 0.06, -0.01], [0.0, -0.01, 0.09]])
    truth = means[1] + factors[1] @ rng.standard_normal(10)
    return _on_vp(prior, Linear(A, R), A @ truth + 0.2 * rng.standard_normal(3))


def _on_vp(prior, measurement, y) -> Target:
    problem = InverseProblem(prior, measurement, jnp.asarray(y))
    return Target(problem, VP(beta_min=0.01, beta_max=20.0))
