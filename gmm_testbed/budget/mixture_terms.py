r"""The divergence of a step whose law is a mixture, at every point.

Both laws are mixtures: the exact step \(p(x_s | x_t, y)\) is that of a noised mixture seen
through noise, and \(q(x_s | x_t)\) the method's. Nothing of
\(E[\log p(x_s | x_t, y) - \log q(x_s | x_t)]\) is in closed form; the expectation is a
quadrature on the line, and one exact posterior step from every point beyond it.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._checks import unsupported
from .._types import Scalar, Vector
from ..kernels.reverse import reverse
from ..laws.explicit import require_explicit
from ..method import AbstractDescribed, AbstractMarkov, name_of
from ..mixture import GaussianMixture
from ..problem import Target
from ..random import Draws, key_words
from .information import exact_rule
from .terms import Terms

_AT_ONCE = 64  # points, against the quadrature from each


def reverse_kernel(target: Target, x: Vector, t: Scalar, s: Scalar) -> GaussianMixture:
    """p(x_s | x_t = x, y), a mixture, for s < t; needs alpha_t > 0 or sigma_s > 0.

    Raises:
        InputError: unless x is one point (d,), and t and s are times ().
        UnsupportedError: if the posterior is not a mixture.
    """
    x, t = target.state(x, t)
    s = target.state(x, s)[1]
    if target.exact_posterior is None:
        target.problem.posterior()  # raises, with the reason
    return reverse(target.exact_posterior, target.path, x, t, s)


def mixture_terms(sampler, target, points, t, s, key, number) -> tuple[Terms, Array]:
    """The terms of a step from t to s at the points, (n,) each, and smallest scales (n,).

    Args:
        sampler: whose steps are mixtures.
        target: with a posterior that is a mixture.
        points: (n, d), x_t.
        t: () time.
        s: () the next time.
        key: of one exact step from each point; None for a quadrature, on the line.
        number: () of the step, whose draws are its own.
    """

    def at(given):
        index, x = given
        exact = reverse_kernel(target, x, t, s)
        made = sampler.transition(target, x, t, s).law

        def log_ratio(point):
            return exact.log_prob(point) - made.log_prob(point)

        if key is None:
            rule = exact_rule(exact)
            value = rule.weights @ jax.vmap(log_ratio)(rule.points)
        else:
            draws = Draws(key_words(jax.random.fold_in(key, index)), number)
            value = log_ratio(draws.of(exact, "exact step"))
        return value, jnp.sqrt(_least_variance(made))

    numbered = jnp.arange(points.shape[0]), points
    value, scales = jax.lax.map(at, numbered, batch_size=_AT_ONCE)
    zero = jnp.zeros_like(value)
    return Terms(value, zero, zero, zero), scales


def _least_variance(mixture: GaussianMixture) -> Scalar:
    """Of any component in any direction, ()."""
    dim, rank = mixture.basis.shape[1:]
    kinds = [jnp.min(mixture.spectrum)] if rank else []
    if rank < dim:
        kinds.append(jnp.min(mixture.base))
    return jnp.min(jnp.stack(kinds))


def require_one_law(sampler: AbstractDescribed) -> None:
    """Refuses what has not one explicit law a step.

    Raises:
        UnsupportedError: with the reason.
    """
    require_explicit(sampler)
    if isinstance(sampler, AbstractMarkov):
        return
    composed = sampler.facts.law == "composed"
    unsupported(
        "no path divergence for this sampler",
        got=f"{name_of(sampler)}, "
        + (
            "whose paths pass through the ends of several legs"
            if composed
            else "whose steps depend on earlier ones"
        ),
        expected="a method whose x_s given x_t has one explicit law",
        hint="the exact paths visit the times of the grid only: gt.laws.grid gives the "
        "divergence of the output itself",
    )
