r"""Divergences of paths on the line, by nested sums: an account that knows no information.

\(E\, KL(p(x_s | x_t, y) \| N(a(x_t), S))\) with the exact reverse step, a mixture, inside
an expectation over \(p_t(\cdot | y)\).
"""

import equinox as eqx
import jax
from jaxtyping import Array, Float

from ...budget import reverse_kernel
from ...divergences import line_expectation
from ...method import AbstractMarkov
from ...mixture import GaussianMixture
from ...paths import AbstractPath
from ...problem import InverseProblem, Linear, Target

_NODES = 101  # a component and sum; 5.6 a standard deviation


def two_modes(path: AbstractPath) -> Target:
    """A posterior with two modes of different width, along a path."""
    prior = GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
    problem = InverseProblem(prior, Linear([[1.0]], 0.5), [0.4])
    return Target(problem, path)


@eqx.filter_jit
def step_divergences(
    sampler: AbstractMarkov, target: Target, times: Float[Array, " n"]
) -> Float[Array, " n-1"]:
    """E KL(p(x_s | x_t, y) || step of the sampler), for every step, in nats."""

    def step(window):
        t, s = window

        def at(x):
            exact, made = (
                reverse_kernel(target, x, t, s),
                sampler.transition(target, x, t, s),
            )

            def log_ratio(z):
                return exact.log_prob(z) - made.log_prob(z)

            return line_expectation(exact, log_ratio, _NODES)

        return line_expectation(target.posterior(t), at, _NODES)

    return jax.lax.map(step, (times[:-1], times[1:]))
