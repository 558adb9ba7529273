r"""T23: the error of the score of a finite training set.

With K the kernel \(N(x; x_0, \sigma^2)\), s the true score and \(\hat s\) that of N points,

\[ N\, E \int p_t \|\hat s - s\|^2 \;\to\; c(v) =
   E_{x_0} \int \frac{K^2 \|\nabla\log K - s\|^2}{p_t}\, dx , \qquad v = \sigma^2 , \]

by the delta method, \(\hat s - s \approx \frac1N \sum_i K_i (\nabla \log K_i - s)/p_t\). As
\(K^2\) is \((4\pi v)^{-d/2}\) times a kernel of variance v/2, the mean over \(x_0\) is in
closed form.

As \(v \to 0\) the slope of log c in log v tends to \(-(d+1)\) for Gaussian tails: with one
Gaussian of variance s^2, \(E K^2 / p\) is \((4\pi v)^{-d/2}\) times a normal shape of
variance \(2 (s^2 + v/2)(s^2 + v)/v\), so that far points, which hardly any data reach, make
\(v^{-d/2}\) of it, and both parts of the square are d/(2v) on average. On a bounded set,
where the density is bounded below, it is \(-(d+2)/2\), the minimax rate of Zhang et al.
(arXiv:2402.15602).
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from ..estimate import Estimate
from .base import AbstractBound, Case, Claim, Facts, Limit
from .tools import space
from .tools import training_sets as sets

_SETS, _MOST = 512, 512
_LIMIT = 0.05  # what N = 512 leaves of the limit
_LARGE = 0.9  # noise for which 512 points are that near to it
_SLOPE = 0.01  # what v = 1e-4 leaves of the slope


class TrainingScore(AbstractBound):
    """N times the mean squared score error of 512 points, and its slope in v."""

    facts: ClassVar[Facts] = Facts(
        statement="N E|s_N - s|^2 -> c(v), and c(v) ~ v^-(d+1) as v -> 0, Gaussian tails",
        assumptions=("independent training points",),
        source="here; rate: Zhang et al., arXiv:2402.15602",
        status="asymptotic",
        limits=(Limit("sigma", sets.SMALLEST),),
    )
    cases: ClassVar[tuple[Case, ...]] = ({"sigma": 1.0}, {"sigma": 1.5})

    def setting(self, case):
        return {"prior": sets.two_modes()} | case

    def sides(self, key, prior, sigma):
        space.on_the_line(prior)
        sigma = jnp.asarray(sigma)
        grid, density, score = _exact(prior, sigma)
        measure = Partial(_error, grid, density, score, sigma)
        found = sets.over_sets(
            key, prior, float(_MOST), measure, sets=_SETS, most=_MOST
        )
        error = Estimate.mean_of(_MOST * found)
        constant = Estimate(_constant(prior, sigma), how="quadrature")
        low, high = (jnp.log(_constant(prior, jnp.asarray(s))) for s in (0.01, 0.02))
        slope = Estimate((high - low) / jnp.log(4.0), how="quadrature")
        slack = _LIMIT * float(constant.value)
        claims = [Claim("slope", slope, Estimate(-2.0), True, _SLOPE)]
        if sigma >= _LARGE:
            claims.append(Claim("leading constant", error, constant, True, slack))
        return claims


@eqx.filter_jit
def _exact(prior, sigma):
    """The grid, and density and score on it."""
    marginal = prior.noised(jnp.ones_like(sigma), sigma)
    grid = sets.grid_of(marginal)
    score = jax.vmap(lambda x: marginal.score(x[None])[0])(grid.points)
    return grid, grid.density(marginal), score


@eqx.filter_jit
def _constant(prior, sigma):
    """c(v)."""
    one, half = jnp.ones_like(sigma), sigma / jnp.sqrt(2.0)
    marginal, narrow = prior.noised(one, sigma), prior.noised(one, half)
    grid = sets.far_grid(prior, sigma)

    def node(x):
        point = x[None]
        law = prior.denoised(point, one, half)
        drift = (law.mean() - point) / sigma**2 - marginal.score(point)
        spread = jnp.sum(drift**2) + law.total_variance() / sigma**4
        return jnp.exp(narrow.log_prob(point) - marginal.log_prob(point)) * spread

    return sets.kernel_square(sigma) * grid.integral(jax.vmap(node)(grid.points))


def _error(grid, density, score, sigma, atoms, log_weights):
    """Integral of p |s_N - s|^2 for one data set."""
    shares = jnp.exp(sets.noised_set(grid, atoms, log_weights, sigma).log_shares)
    found = (shares @ atoms - grid.points) / sigma**2
    return grid.integral(density * (found - score) ** 2)
