r"""Expectations under a mixture on the line, by the trapezoidal rule.

A sum over a uniform grid of a smooth function times a normal density with \(\rho\) nodes a
standard deviation errs by \(2 e^{-2\pi^2\rho^2}\) relative; where components have
different scales, each has a grid of its own.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import require
from ..mixture import GaussianMixture

_REACH = 9.0  # standard deviations; the mass beyond is 2e-19

finer = jax.make_user_context(1)
"""`with finer(2):` doubles the nodes of every quadrature behind the sides of theorems.

What a number changes by is its quadrature error. Compiled programs know it.
"""


def refined(cells: int) -> int:
    """Number of cells of a rule, by `finer`."""
    return cells * finer.value


def line_rule(
    mixture: GaussianMixture, nodes: int = 201
) -> tuple[Float[Array, "n 1"], Float[Array, " n"]]:
    r"""Points and weights such that \(\sum_j w_j f(x_j) = E f(X)\).

    Each component has `nodes` points within nine standard deviations of its mean. The
    rule is exact to rounding for functions that are smooth at the scale of a component;
    201 nodes are 11 a standard deviation.

    Args:
        mixture: of dimension 1; atoms are their own rule.
        nodes: points a component, where `finer` is 1.

    Returns:
        Points (K * nodes, 1) and weights (K * nodes,), summing to one.

    Raises:
        InputError: if the mixture is not on the line.
    """
    require(
        mixture.dim == 1,
        "this rule is for the line",
        got=f"a mixture of dimension {mixture.dim}",
        expected="dimension 1",
        hint="use samples in higher dimensions",
    )
    if mixture.atomic:
        return mixture.means, jnp.exp(mixture.log_weights)
    count = refined(nodes - 1) + 1
    z = jnp.linspace(-_REACH, _REACH, count, dtype=mixture.means.dtype)
    density = jnp.exp(-0.5 * z**2)
    density = density / jnp.sum(density)
    scales = jnp.sqrt(mixture.covariances()[:, 0, 0])
    points = mixture.means[:, :1] + scales[:, None] * z[None]
    weights = jnp.exp(mixture.log_weights)[:, None] * density[None]
    return points.reshape(-1, 1), weights.ravel()


@eqx.filter_jit
def line_expectation(mixture: GaussianMixture, function, nodes: int = 201):
    """E f(X) for a function of one point (1,), of any shape or tree."""
    points, weights = line_rule(mixture, nodes)
    values = jax.vmap(function)(points)
    return jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, 1), values)
