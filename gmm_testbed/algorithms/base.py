r"""What an algorithm is: a Markov chain that is not approximation times kernel.

The state at time t is \(x_t\) at noise level t, as in every sampler here, so that its law
can be set beside `target.posterior(t)`.
"""

import equinox as eqx
import jax.numpy as jnp

from .. import _linalg
from .._checks import unsupported
from .._types import Observation, Scalar, Vector
from ..measurements import Linear
from ..problem import InverseProblem, Target
from ..samplers import AbstractChain, SamplerFacts


class AbstractAlgorithm(AbstractChain):
    """A chain with facts."""

    facts: eqx.AbstractClassVar[SamplerFacts]


def require_linear(algorithm: AbstractAlgorithm, target: Target) -> None:
    """Refuses a measurement that is not linear."""
    measurement = target.problem.measurement
    if not isinstance(measurement, Linear):
        unsupported(
            f"{type(algorithm).__name__} needs a linear measurement",
            got=type(measurement).__name__,
            expected="Linear(A, R)",
            hint="gt.smc.TDS serves any measurement",
        )


def conjugate(
    problem: InverseProblem,
    centre: Vector,
    variance: Scalar,
    noise: Vector,
    noise_y: Observation,
) -> Vector:
    r"""One draw (d,) of \(N(x; c, v I)\, N(y; A x, R)\), normalised.

    By conditioning a joint draw, so that only an m x m system is solved:

    \[ x = \tilde x + v A^T (R + v A A^T)^{-1} (y - A \tilde x - \tilde e), \qquad
       \tilde x \sim N(c, v I),\ \tilde e \sim N(0, R) . \]

    Args:
        problem: with a linear measurement.
        centre: (d,).
        variance: () v >= 0.
        noise: (d,) standard normal.
        noise_y: (m,) standard normal.
    """
    seen = problem.measurement.whitened(problem.y)
    x = centre + jnp.sqrt(variance) * noise
    eye = jnp.eye(seen.A.shape[0], dtype=x.dtype)
    factor = _linalg.cholesky(eye + variance * (seen.A @ seen.A.T))
    residual = seen.y - seen.A @ x - noise_y
    return x + variance * (seen.A.T @ _linalg.solve(factor, residual))
